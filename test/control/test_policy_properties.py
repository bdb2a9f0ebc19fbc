"""What the controller's policy promises for any input, and for any profile that rises with T."""

import math
from dataclasses import fields, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from topspark_ros.control.budgets import Limits
from topspark_ros.control.decision import Reason
from topspark_ros.control.policy import Conditions, PolicyConfig, TimestepPolicy
from topspark_ros.methodology.tradeoff import LEARNING_SHARES, SHARES, enumerate_candidates

# Other load on the machine is no failure.
untimed = settings(deadline=None, max_examples=40)

ROWS = 4 * 4 * (1 + len(LEARNING_SHARES)) + 4 + len(SHARES) + 4 * (len(SHARES) - 1)


def first(profile, limits, conditions, config=PolicyConfig()):
    return TimestepPolicy(profile, config).decide(0.0, limits, conditions)


def unlimited_or(low, high):
    return st.just(math.nan) | st.floats(low, high)


limits = st.builds(
    Limits,
    power_w=unlimited_or(0, 100),
    mission_power_w=unlimited_or(0, 100),
    overdraft_w=st.just(0.0) | st.floats(0, 10),
    energy_j=unlimited_or(0, 10),
    deadline_s=unlimited_or(1e-4, 1),
    min_accuracy=unlimited_or(0, 1),
)
measured = st.builds(
    Conditions,
    state_of_charge=st.floats(0, 1),
    frame_rate_hz=st.floats(0.1, 200),
    learned_share=st.floats(0, 1),
)
any_limits = st.builds(Limits, **{field.name: st.floats() for field in fields(Limits)})
any_conditions = st.builds(
    Conditions,
    state_of_charge=st.floats(),
    budget_stale=st.booleans(),
    learner_silent=st.booleans(),
    frame_rate_hz=st.floats(),
    learned_share=st.floats(),
    energy_ratios=st.none() | st.lists(st.floats(), min_size=ROWS, max_size=ROWS),
    latency_ratio=st.floats(),
    latency_overhead_s=st.floats(),
)
configs = st.builds(
    PolicyConfig,
    latency_weight=st.floats(0, 2),
    energy_weight_full=st.floats(0, 2),
    energy_weight_empty=st.floats(0, 2),
    limit_margin=st.floats(0, 0.9),
    min_frame_share=st.sampled_from((0.0, 1.0)) | st.floats(0, 1),
    max_training_loss=st.floats(0, 1),
)


@st.composite
def rising(draw):
    """(timesteps, accuracy, latency and energy of both phases) of 1 to 6 points."""
    count = draw(st.integers(1, 6))

    def column(elements, unique=False):
        return sorted(draw(st.lists(elements, min_size=count, max_size=count, unique=unique)))

    accuracies, costs = st.floats(0, 1), st.floats(1e-4, 1)
    return [
        column(st.integers(1, 500), unique=True),
        column(accuracies),
        column(accuracies),
        *(column(costs) for _ in range(4)),
    ]


def profile_of(profile, columns):
    """The profile with the figures of `rising`."""
    point = profile.points[0]
    return replace(
        profile,
        points=tuple(
            replace(
                point,
                timesteps=timesteps,
                inference=replace(
                    point.inference, accuracy=accuracy, latency_s=latency_s, energy_j=energy_j
                ),
                training=replace(
                    point.training,
                    accuracy=training_accuracy,
                    latency_s=training_s,
                    energy_j=training_j,
                ),
            )
            for (
                timesteps,
                accuracy,
                training_accuracy,
                latency_s,
                training_s,
                energy_j,
                training_j,
            ) in zip(*columns)
        ),
    )


def steps(limits, conditions):
    return st.lists(st.tuples(st.floats(0, 10), limits, conditions), min_size=1, max_size=6)


def run(policy, steps):
    now_s = 0.0
    for elapsed_s, limits, conditions in steps:
        now_s += elapsed_s
        yield limits, conditions, policy.decide(now_s, limits, conditions)


@untimed
@given(
    config=configs,
    steps=st.lists(st.tuples(st.floats(), any_limits, any_conditions), min_size=1, max_size=6),
)
def test_any_input_gives_a_decision_of_the_profile(profile, config, steps):
    candidates, policy = enumerate_candidates(profile, 1.0), TimestepPolicy(profile, config)
    for _, _, decision in run(policy, steps):
        assert candidates.row(*decision.setting) is not None
        assert 0 <= decision.expected_accuracy <= 1
        assert decision.expected_power_w >= 0 and decision.expected_latency_s >= 0
        assert '\n' not in decision.detail and 'nan' not in decision.detail


@untimed
@given(
    before=st.tuples(st.integers(), st.integers(), st.floats(), st.floats()),
    steps=steps(any_limits, any_conditions),
)
def test_same_inputs_same_decisions(profile, before, steps):
    def decisions():
        policy = TimestepPolicy(profile)
        policy.resume(*before)
        return [decision for _, _, decision in run(policy, steps)]

    assert decisions() == decisions()


@untimed
@given(columns=rising(), config=configs, steps=steps(limits, measured), share=st.floats(0, 1))
def test_never_above_a_power_limit_that_can_be_met(profile, columns, config, steps, share):
    profile = profile_of(profile, columns)
    smallest = profile.points[0]
    min_share = min(least for least in (1.0, *SHARES) if least >= config.min_frame_share)
    steps = [
        (elapsed_s, limits, replace(conditions, learned_share=share))
        for elapsed_s, limits, conditions in steps
    ]
    for limits, conditions, decision in run(TimestepPolicy(profile, config), steps):
        infer_j = profile.at(decision.inference_timesteps).inference.energy_j
        train_j = profile.at(decision.training_timesteps).training.energy_j
        processed_hz = conditions.frame_rate_hz * decision.frame_share
        power_w = processed_hz * (infer_j + decision.learning_share * share * train_j)
        assert decision.frame_share >= min_share
        min_w = conditions.frame_rate_hz * min_share * smallest.inference.energy_j
        if min_w <= limits.allowed_power_w:
            assert power_w <= limits.allowed_power_w * (1 + 1e-9)
        else:
            assert decision.setting == (smallest.timesteps, smallest.timesteps, 0.0, min_share)
            assert decision.reason in (Reason.INFEASIBLE, Reason.ENERGY)


# Slow to infer at 2 and dear to learn at 2.
UNLIKE = [[1, 2], [0.90, 0.95], [0.90, 0.94], [0.001, 1.0], [0.001, 0.002], [0.1, 0.2], [0.1, 2.0]]


@untimed
@example(
    columns=UNLIKE,
    config=PolicyConfig(latency_weight=0.04, energy_weight_full=0.0),
    limits=Limits(power_w=10),
    conditions=Conditions(1.0, frame_rate_hz=10),
    more=12.6,
    field='power_w',
)
@given(
    columns=rising(),
    config=configs,
    limits=limits,
    conditions=measured,
    more=st.floats(0, 100),
    field=st.sampled_from(('power_w', 'mission_power_w', 'energy_j')),
)
def test_more_budget_is_never_to_the_worse(
    profile, columns, config, limits, conditions, more, field
):
    profile = profile_of(profile, columns)
    lavish = replace(limits, **{field: getattr(limits, field) + more})
    less = first(profile, limits, conditions, config)
    more = first(profile, lavish, conditions, config)
    assert more.frame_share >= less.frame_share
    assert more.learning_share >= less.learning_share
    if (more.learning_share, more.frame_share) == (less.learning_share, less.frame_share):
        assert more.expected_accuracy >= less.expected_accuracy


@untimed
@given(columns=rising(), limits=limits, conditions=measured, config=configs)
def test_infeasible_exactly_when_nothing_fits(profile, columns, limits, conditions, config):
    profile = profile_of(profile, columns)
    limits = replace(limits, energy_j=math.nan)
    decision = first(profile, limits, conditions, config)
    candidates = enumerate_candidates(profile, conditions.learned_share)
    power_w = candidates.energy_j * conditions.frame_rate_hz * candidates.frame_share
    fits = (candidates.frame_share >= config.min_frame_share) & (power_w <= limits.allowed_power_w)
    row = candidates.row(*decision.setting)
    if decision.reason == Reason.INFEASIBLE:
        assert not fits.any() or candidates.latency_s[row] > limits.deadline_s
    else:
        assert fits[row] and not candidates.latency_s[row] > limits.deadline_s


@untimed
@given(limits=limits, conditions=measured)
def test_score_is_the_reason_exactly_when_no_limit_changed_the_choice(profile, limits, conditions):
    # A floor may demand more just as another limit forbids it: only those are told apart here.
    limits = replace(limits, min_accuracy=math.nan)
    limited = first(profile, limits, conditions, PolicyConfig(limit_margin=0.0))
    free = first(profile, Limits(), conditions)
    if limited.reason == Reason.SCORE:
        assert limited.setting == free.setting
    elif limited.reason in (Reason.POWER, Reason.MISSION, Reason.DEADLINE):
        assert limited.setting != free.setting


@untimed
@given(limits=limits, conditions=measured)
def test_the_reason_is_the_limit_that_decided(profile, limits, conditions):
    decision = first(profile, limits, conditions)
    field = {
        Reason.POWER: 'power_w',
        Reason.MISSION: 'mission_power_w',
        Reason.DEADLINE: 'deadline_s',
        Reason.ACCURACY: 'min_accuracy',
        Reason.ENERGY: 'energy_j',
    }.get(decision.reason)
    if field:
        alone = replace(Limits(overdraft_w=limits.overdraft_w), **{field: getattr(limits, field)})
        without = replace(limits, **{field: math.nan})
        assert (
            first(profile, without, conditions).setting != decision.setting
            or first(profile, alone, conditions).reason == decision.reason
        )


@untimed
@given(columns=rising(), limits=limits, conditions=measured)
def test_without_cost_weights_the_most_accurate_that_fits_is_chosen(
    profile, columns, limits, conditions
):
    profile = profile_of(profile, columns)
    decision = first(
        profile,
        replace(limits, energy_j=math.nan),
        conditions,
        PolicyConfig(
            latency_weight=0.0, energy_weight_full=0.0, energy_weight_empty=0.0, limit_margin=0.0
        ),
    )
    if decision.frame_share < 1 or decision.reason == Reason.INFEASIBLE:
        return
    candidates = enumerate_candidates(profile, conditions.learned_share)
    fits = (
        (candidates.learning_share == decision.learning_share)
        & (candidates.training_loss <= PolicyConfig().max_training_loss)
        & (candidates.energy_j * conditions.frame_rate_hz <= limits.allowed_power_w)
        & (candidates.frame_share == 1)
        & ~(candidates.latency_s > limits.deadline_s)
    )
    assert decision.expected_accuracy == pytest.approx(candidates.accuracy[fits].max())
