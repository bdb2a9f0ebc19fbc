"""The controller's policy: limits in order, faults, steadiness, and properties over any input."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from topspark_ros.methodology.policy import (
    Budget, Conditions, PolicyConfig, PolicyError, Reason, TimestepPolicy,
)
from topspark_ros.methodology.tradeoff import enumerate_candidates

# Other load on the machine is no failure.
untimed = settings(deadline=None)

FULL = Conditions(state_of_charge=1.0, frame_rate_hz=10.0, learned_share=1.0)


def first(profile, budget=Budget(), conditions=FULL, **config):
    return TimestepPolicy(profile, PolicyConfig(**config)).decide(0.0, budget, conditions)


def setting(decision):
    return decision.training_timesteps, decision.inference_timesteps, decision.learning


# Limits.

def test_score(profile):
    decision = first(profile)
    assert setting(decision) == (64, 64, True) and decision.reason == Reason.SCORE
    assert decision.expected_accuracy == pytest.approx(0.955)
    assert decision.expected_latency_s == pytest.approx(0.010)
    assert decision.expected_energy_j == pytest.approx(0.250)
    assert decision.expected_power_w == pytest.approx(2.50)
    assert decision.detail == ('best score 0.947 at state of charge 1.00: accuracy 0.955, '
                               '2.5 W at 10 frames/s')


def test_an_emptier_battery_spends_less(profile):
    charges = (1.0, 0.75, 0.5, 0.25, 0.0)
    powers = [first(profile, conditions=replace(FULL, state_of_charge=charge),
                    energy_weight_empty=2.0).expected_power_w for charge in charges]
    assert powers == sorted(powers, reverse=True) and powers[-1] < powers[0]


@pytest.mark.parametrize('budget, expected, reason', [
    (Budget(power_w=10), (64, 64, True), Reason.SCORE),
    (Budget(power_w=2), (16, 64, True), Reason.POWER),
    (Budget(power_w=0.5), (4, 16, True), Reason.POWER),
    (Budget(power_w=0.2), (4, 4, False), Reason.POWER),
    (Budget(power_w=0.05), (4, 4, False), Reason.INFEASIBLE),
    (Budget(power_w=0), (4, 4, False), Reason.INFEASIBLE),
    (Budget(deadline_s=0.005), (64, 16, True), Reason.DEADLINE),
    (Budget(deadline_s=0.0005), (64, 4, True), Reason.INFEASIBLE),
    (Budget(min_accuracy=0.96), (64, 350, True), Reason.ACCURACY),
    (Budget(min_accuracy=0.99), (350, 350, True), Reason.ACCURACY),
    (Budget(power_w=2, min_accuracy=0.95), (16, 64, True), Reason.POWER),
    (Budget(power_w=2, deadline_s=0.005), (64, 16, True), Reason.DEADLINE),
    (Budget(energy_j=0), (4, 4, False), Reason.ENERGY),
    (Budget(energy_j=0.01), (4, 4, False), Reason.ENERGY),
    (Budget(energy_j=1.0), (64, 64, True), Reason.SCORE),
], ids=str)
def test_limits(profile, budget, expected, reason):
    decision = first(profile, budget)
    assert (setting(decision), decision.reason) == (expected, reason)


@pytest.mark.parametrize('budget, detail', [
    (Budget(power_w=2), 'power limit 2 W: 1.45 W at 10 frames/s, accuracy 0.920'),
    (Budget(power_w=0.2), 'power limit 0.2 W: 0.1 W at 10 frames/s without learning, '
                          'accuracy 0.800'),
    (Budget(deadline_s=0.005), 'deadline 0.005 s: latency 0.003 s, accuracy 0.915'),
    (Budget(min_accuracy=0.96), 'least accuracy 0.960: accuracy 0.965, 6.5 W at 10 frames/s'),
    (Budget(power_w=0.05), 'no setting meets power limit 0.05 W: at best '
                           '0.1 W at 10 frames/s without learning, latency 0.001 s'),
    (Budget(energy_j=0), 'energy left 0 J is used up: 0.1 W at 10 frames/s without learning'),
], ids=str)
def test_detail_gives_the_numbers(profile, budget, detail):
    assert first(profile, budget).detail == detail


# Faults.

@pytest.mark.parametrize('fault', [
    {'state_of_charge': math.nan}, {'battery_stale': True},
    {'state_of_charge': -0.1}, {'state_of_charge': 55.0},
])
def test_battery_unknown(profile, fault):
    decision = first(profile, conditions=replace(FULL, **fault), assumed_state_of_charge=0.4)
    known = first(profile, conditions=replace(FULL, state_of_charge=0.4))
    assert setting(decision) == setting(known)
    assert decision.reason == Reason.BATTERY_UNKNOWN
    assert decision.detail == 'the battery is unknown: ' + known.detail
    limited = first(profile, Budget(power_w=0.5), replace(FULL, **fault))
    assert limited.reason == Reason.POWER


def test_budget_stale_keeps_its_limits(profile):
    stale = replace(FULL, budget_stale=True)
    decision = first(profile, Budget(power_w=2), stale)
    assert setting(decision) == (16, 64, True) and decision.reason == Reason.BUDGET_STALE
    assert decision.detail.startswith('the budget is stale, its limits stay: power limit 2 W')
    assert first(profile, Budget(power_w=0.05), stale).reason == Reason.INFEASIBLE
    assert first(profile, Budget(energy_j=0), stale).reason == Reason.ENERGY


def test_learner_silent_holds_the_decision_until_it_is_back(profile):
    policy = TimestepPolicy(profile)
    before = policy.decide(0, Budget(), FULL)
    silent = policy.decide(10, Budget(power_w=0.5), replace(FULL, learner_silent=True))
    assert setting(silent) == setting(before) and silent.reason == Reason.LEARNER_SILENT
    assert silent.detail == ('the learner is silent: inference T 64, training T 64 '
                             'stays until it is back')
    assert policy.decide(20, Budget(power_w=0.5), replace(FULL, learner_silent=True)) is silent
    back = policy.decide(21, Budget(power_w=0.5), FULL)
    assert setting(back) == (4, 16, True) and back.reason == Reason.POWER


def test_startup_lasts_until_the_learner_is_heard(profile):
    policy = TimestepPolicy(profile)
    unheard = Conditions(learner_silent=True, battery_stale=True)
    decision = policy.decide(0, Budget(), unheard)
    assert decision.reason == Reason.STARTUP
    assert decision.detail.startswith('no learner heard yet: ')
    limited = policy.decide(5, Budget(power_w=0.4), unheard)
    assert limited.reason == Reason.STARTUP and limited.expected_power_w <= 0.4
    assert policy.decide(9, Budget(), FULL).reason == Reason.SCORE


def test_unmeasured_rate_and_share(profile):
    policy = TimestepPolicy(profile, PolicyConfig(assumed_frame_rate_hz=20.0))
    budget = Budget(power_w=10)
    unknown = replace(FULL, frame_rate_hz=math.nan, learned_share=math.nan)
    assert policy.decide(0, budget, unknown).expected_power_w == pytest.approx(20 * 0.25)
    policy.decide(10, budget, replace(FULL, frame_rate_hz=60.0))
    stopped = policy.decide(20, budget, replace(FULL, frame_rate_hz=0.0))
    assert stopped.reason == Reason.POWER  # as at 60 frames/s


def test_share_measured_without_learning_does_not_switch_learning_on(profile):
    policy = TimestepPolicy(profile)
    off = policy.decide(0, Budget(power_w=0.2), FULL)
    assert not off.learning
    assert policy.decide(60, Budget(power_w=0.2), replace(FULL, learned_share=0.0)) is off


# Steadiness.

def test_same_object_while_nothing_changes(profile):
    policy = TimestepPolicy(profile)
    decision = policy.decide(0, Budget(), FULL)
    assert policy.decide(100, Budget(), replace(FULL, frame_rate_hz=11.0)) is decision
    assert policy.decide(200, Budget(power_w=2), FULL) is not decision


def test_dwell_delays_what_no_limit_demands(profile):
    policy = TimestepPolicy(profile, PolicyConfig(min_dwell_s=5.0))
    low = policy.decide(0, Budget(power_w=0.5), FULL)
    assert policy.decide(4.9, Budget(), FULL) is low
    assert setting(policy.decide(5.0, Budget(), FULL)) == (64, 64, True)


@pytest.mark.parametrize('budget', [
    Budget(power_w=0.5), Budget(deadline_s=0.005), Budget(min_accuracy=0.96), Budget(energy_j=0)])
def test_a_violated_limit_breaks_dwell_and_deadband(profile, budget):
    policy = TimestepPolicy(profile, PolicyConfig(min_dwell_s=1e6, deadband=1e6))
    assert setting(policy.decide(0, Budget(), FULL)) == (64, 64, True)
    decision = policy.decide(0.1, budget, FULL)
    assert setting(decision) == setting(first(profile, budget))
    assert decision.reason == first(profile, budget).reason


def test_a_clock_that_jumps_back_restarts_the_dwell(profile):
    policy = TimestepPolicy(profile, PolicyConfig(min_dwell_s=5.0))
    low = policy.decide(1000, Budget(power_w=0.5), FULL)
    assert policy.decide(10, Budget(), FULL) is low
    assert policy.decide(15, Budget(), FULL) is not low


def test_deadband_keeps_what_is_about_as_good(profile):
    def walk(deadband):
        policy = TimestepPolicy(profile, PolicyConfig(deadband=deadband, min_dwell_s=0))
        charges = [0.5 + 0.5 * math.sin(step / 5) for step in range(200)]
        decisions = [policy.decide(step, Budget(), replace(FULL, state_of_charge=charge))
                     for step, charge in enumerate(charges)]
        return sum(setting(a) != setting(b) for a, b in zip(decisions, decisions[1:]))

    assert walk(0.2) < walk(0.0)


def test_power_limit_is_entered_with_a_margin_and_kept_without(profile):
    budget = Budget(power_w=1.0)
    policy = TimestepPolicy(profile, PolicyConfig(power_margin=0.1, min_dwell_s=0, deadband=0))
    # Training and inferring at 16 takes 0.075 J a frame.
    assert policy.decide(0, budget, replace(FULL, frame_rate_hz=13.0)).inference_timesteps != 64
    near = [policy.decide(step, budget, replace(FULL, frame_rate_hz=rate))
            for step, rate in enumerate((11.0, 12.5, 13.2, 12.5, 13.2), 1)]
    assert len({id(decision) for decision in near}) == 1 and setting(near[0]) == (16, 16, True)
    over = policy.decide(9, budget, replace(FULL, frame_rate_hz=13.5))
    assert setting(over) != (16, 16, True)
    # Back below the limit is not enough, 12.5 frames/s needs 0.94 W of 0.90 W.
    assert policy.decide(10, budget, replace(FULL, frame_rate_hz=12.5)) is over


def test_a_margin_never_excludes_the_only_fit(profile):
    only = first(profile, Budget(power_w=0.26), power_margin=0.5)
    assert setting(only) == (4, 4, True)


# Refused values.

@pytest.mark.parametrize('field, value, accepted', [
    ('power_w', -1.0, 'a finite number from 0, or NaN for no limit'),
    ('power_w', math.inf, 'a finite number from 0, or NaN for no limit'),
    ('energy_j', -0.1, 'a finite number from 0, or NaN for no limit'),
    ('deadline_s', 0.0, 'a finite number above 0, or NaN for no limit'),
    ('min_accuracy', 90.0, 'a fraction from 0 to 1, or NaN for no limit'),
    ('min_accuracy', None, 'a fraction from 0 to 1, or NaN for no limit'),
])
def test_refused_budget(field, value, accepted):
    with pytest.raises(PolicyError) as error:
        Budget(**{field: value})
    assert str(error.value) == f'{field} is {value}, accepted is {accepted}'


@pytest.mark.parametrize('field, value, accepted', [
    ('latency_weight', -1, 'a finite number from 0'),
    ('energy_weight_full', math.nan, 'a finite number from 0'),
    ('energy_weight_empty', math.inf, 'a finite number from 0'),
    ('assumed_state_of_charge', 50, 'a fraction from 0 to 1'),
    ('assumed_frame_rate_hz', 0, 'a finite number above 0'),
    ('min_dwell_s', -1, 'a finite number from 0'),
    ('deadband', 'small', 'a finite number from 0'),
    ('power_margin', 1, 'a fraction from 0 to below 1'),
])
def test_refused_configuration(field, value, accepted):
    with pytest.raises(PolicyError) as error:
        PolicyConfig(**{field: value})
    assert str(error.value) == f'{field} is {value}, accepted is {accepted}'


# Properties.

def unlimited_or(low, high):
    return st.just(math.nan) | st.floats(low, high)


budgets = st.builds(Budget, power_w=unlimited_or(0, 100), energy_j=unlimited_or(0, 10),
                    deadline_s=unlimited_or(1e-4, 1), min_accuracy=unlimited_or(0, 1))
any_conditions = st.builds(
    Conditions, state_of_charge=st.floats(), battery_stale=st.booleans(),
    budget_stale=st.booleans(), learner_silent=st.booleans(), frame_rate_hz=st.floats(),
    learned_share=st.floats())
measured = st.builds(
    Conditions, state_of_charge=st.floats(0, 1), frame_rate_hz=st.floats(0.1, 200),
    learned_share=st.floats(0, 1))


def steps(conditions):
    return st.lists(st.tuples(st.floats(0, 10), budgets, conditions), min_size=1, max_size=6)


@untimed
@given(steps=steps(any_conditions))
def test_any_input_gives_a_decision_of_the_profile(profile, steps):
    policy, now_s = TimestepPolicy(profile), 0.0
    for elapsed_s, budget, conditions in steps:
        now_s += elapsed_s
        decision = policy.decide(now_s, budget, conditions)
        assert decision.training_timesteps in profile.timesteps
        assert decision.inference_timesteps in profile.timesteps
        assert 0 <= decision.expected_accuracy <= 1
        assert '\n' not in decision.detail and 'nan' not in decision.detail


@untimed
@given(steps=steps(any_conditions))
def test_same_inputs_same_decisions(profile, steps):
    def run():
        policy = TimestepPolicy(profile)
        return [policy.decide(now_s, *inputs) for now_s, *inputs in steps]

    assert run() == run()


@untimed
@given(steps=steps(measured), share=st.floats(0, 1))
def test_never_above_a_power_limit_that_can_be_met(profile, steps, share):
    policy, now_s = TimestepPolicy(profile), 0.0
    for elapsed_s, budget, conditions in steps:
        now_s += elapsed_s
        decision = policy.decide(now_s, budget, replace(conditions, learned_share=share))
        infer_j = profile.at(decision.inference_timesteps).inference.energy_j
        train_j = profile.at(decision.training_timesteps).training.energy_j
        power_w = conditions.frame_rate_hz * (infer_j + decision.learning * share * train_j)
        least_w = conditions.frame_rate_hz * profile.points[0].inference.energy_j
        if least_w <= budget.power_w:
            assert power_w <= budget.power_w * (1 + 1e-9)
        elif not math.isnan(budget.power_w):
            assert setting(decision) == (4, 4, False)


@untimed
@given(budget=budgets, conditions=measured)
def test_score_is_the_reason_exactly_when_no_limit_changed_the_choice(profile, budget, conditions):
    # A floor may demand more just as another limit forbids it: only those are told apart here.
    budget = replace(budget, min_accuracy=math.nan)
    limited = first(profile, budget, conditions, power_margin=0.0)
    free = first(profile, Budget(), conditions)
    if limited.reason == Reason.SCORE:
        assert setting(limited) == setting(free)
    elif limited.reason in (Reason.POWER, Reason.DEADLINE):
        assert setting(limited) != setting(free)


@untimed
@given(budget=budgets, conditions=measured)
def test_without_cost_weights_the_most_accurate_that_fits_is_chosen(profile, budget, conditions):
    decision = first(profile, replace(budget, energy_j=math.nan), conditions, power_margin=0.0,
                     latency_weight=0.0, energy_weight_full=0.0, energy_weight_empty=0.0)
    if not decision.learning or decision.reason == Reason.INFEASIBLE:
        return
    candidates = enumerate_candidates(profile, conditions.learned_share)
    power_w = candidates.energy_j * conditions.frame_rate_hz
    fits = candidates.learning & ~(power_w > budget.power_w) \
        & ~(candidates.latency_s > budget.deadline_s)
    assert decision.expected_accuracy == pytest.approx(candidates.accuracy[fits].max())
