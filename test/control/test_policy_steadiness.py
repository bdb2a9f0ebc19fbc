"""The controller's policy over time: what it leaves, and what it stays at."""

import math
from dataclasses import replace

import numpy as np
import pytest
from learner_simulation import any_t

from topspark_ros.control.accuracy import AccuracyReport, Trial
from topspark_ros.control.budgets import Limits
from topspark_ros.control.decision import Reason
from topspark_ros.control.policy import DWELL_REQUESTED_S, Conditions, TimestepPolicy
from topspark_ros.methodology.tradeoff import LEARNING_SHARES, enumerate_candidates

FULL = Conditions(state_of_charge=1.0, frame_rate_hz=10.0, learned_share=1.0)


def changes(decisions):
    return sum(a.setting != b.setting for a, b in zip(decisions, decisions[1:]))


def test_same_object_while_nothing_changes(profile):
    policy = TimestepPolicy(profile, any_t())
    decision = policy.decide(0, Limits(), FULL)
    assert policy.decide(100, Limits(), replace(FULL, frame_rate_hz=11.0)) is decision
    assert policy.decide(200, Limits(power_w=2), FULL) is not decision


def test_dwell_delays_what_no_limit_demands(profile):
    policy = TimestepPolicy(profile, any_t(min_dwell_s=5.0))
    low = policy.decide(0, Limits(power_w=0.5), FULL)
    slower = replace(FULL, frame_rate_hz=1.0)
    assert policy.decide(4.9, Limits(power_w=0.5), slower) is low
    assert policy.decide(5.0, Limits(power_w=0.5), slower).setting == (64, 64, 1.0, 1.0)


@pytest.mark.parametrize(
    'limits', [Limits(), Limits(power_w=9), Limits(mission_power_w=9)], ids=str
)
def test_who_changes_a_budget_waits_less(profile, limits):
    policy = TimestepPolicy(profile, any_t(min_dwell_s=5.0))
    low = policy.decide(0, Limits(power_w=0.5), FULL)
    assert policy.decide(0.9 * DWELL_REQUESTED_S, limits, FULL) is low
    assert policy.decide(DWELL_REQUESTED_S, limits, FULL) is not low
    policy = TimestepPolicy(profile, any_t(min_dwell_s=0.0))
    low = policy.decide(0, Limits(power_w=0.5), FULL)
    assert policy.decide(0.0, limits, FULL) is not low


def test_the_missions_plan_is_no_changed_budget(profile):
    policy = TimestepPolicy(profile, any_t(min_dwell_s=5.0))
    low = policy.decide(0, Limits(mission_power_w=0.5), FULL)
    assert policy.decide(4.9, Limits(mission_power_w=9), FULL) is low
    assert policy.decide(5.0, Limits(mission_power_w=9), FULL) is not low


@pytest.mark.parametrize(
    'limits',
    [
        Limits(power_w=0.5),
        Limits(mission_power_w=0.5),
        Limits(power_w=1.5, overdraft_w=1.0),
        Limits(power_w=0),
        Limits(deadline_s=0.005),
        Limits(deadline_s=0.0005),
        Limits(min_accuracy=0.96),
        Limits(energy_j=0),
    ],
)
def test_a_violated_limit_breaks_dwell_and_deadband(profile, limits):
    policy = TimestepPolicy(profile, any_t(min_dwell_s=1e6, deadband=1e6))
    assert policy.decide(0, Limits(), FULL).setting == (64, 64, 1.0, 1.0)
    decision = policy.decide(0.1, limits, FULL)
    fresh = TimestepPolicy(profile, any_t()).decide(0.0, limits, FULL)
    assert (decision.setting, decision.reason) == (fresh.setting, fresh.reason)


def test_a_clock_that_jumps_back_restarts_the_dwell(profile):
    policy = TimestepPolicy(profile, any_t(min_dwell_s=5.0))
    limits, slower = Limits(power_w=0.5), replace(FULL, frame_rate_hz=1.0)
    low = policy.decide(1000, limits, FULL)
    assert policy.decide(10, limits, slower) is low
    assert policy.decide(15, limits, slower) is not low


def test_deadband_keeps_what_is_about_as_good(profile):
    def walk(deadband):
        policy = TimestepPolicy(profile, any_t(deadband=deadband, min_dwell_s=0))
        charges = [0.5 + 0.5 * math.sin(step / 5) for step in range(200)]
        return changes(
            [
                policy.decide(step, Limits(), replace(FULL, state_of_charge=charge))
                for step, charge in enumerate(charges)
            ]
        )

    assert walk(0.2) < walk(0.0)


def test_power_limit_is_entered_with_a_margin_and_kept_without(profile):
    limits = Limits(power_w=1.0)
    policy = TimestepPolicy(profile, any_t(limit_margin=0.1, min_dwell_s=0, deadband=0))
    # Training and inferring at 16 takes 0.075 J a frame.
    assert policy.decide(0, limits, replace(FULL, frame_rate_hz=13.0)).inference_timesteps != 64
    near = [
        policy.decide(step, limits, replace(FULL, frame_rate_hz=rate))
        for step, rate in enumerate((11.0, 12.5, 13.2, 12.5, 13.2), 1)
    ]
    assert len({id(decision) for decision in near}) == 1
    assert near[0].setting == (16, 16, 1.0, 1.0)
    over = policy.decide(9, limits, replace(FULL, frame_rate_hz=13.5))
    assert over.setting != (16, 16, 1.0, 1.0)
    # Back below the limit is not enough, 12.5 frames/s needs 0.94 W of 0.90 W.
    assert policy.decide(10, limits, replace(FULL, frame_rate_hz=12.5)) is over


def test_deadline_is_entered_with_a_margin_and_kept_without(profile):
    limits = Limits(deadline_s=0.011)
    policy = TimestepPolicy(profile, any_t(limit_margin=0.1, min_dwell_s=0, deadband=0))
    inferring = [
        policy.decide(
            step, limits, replace(FULL, latency_overhead_s=overhead_s)
        ).inference_timesteps
        for step, overhead_s in enumerate((0.0005, -1.0, 0.0009, 0.0011, 0.0009))
    ]
    assert inferring == [16, 16, 16, 16, 16]  # 0.010 s needs 0.0111 s
    limits = Limits(deadline_s=0.0112)
    inferring = [
        policy.decide(
            step, limits, replace(FULL, latency_overhead_s=overhead_s)
        ).inference_timesteps
        for step, overhead_s in enumerate((0.0, 0.0011, 0.0013, 0.0011, 0.0), 10)
    ]
    assert inferring == [64, 64, 16, 16, 64]


def test_a_deadline_that_only_fits_without_margin_is_met(profile):
    decision = TimestepPolicy(profile, any_t(limit_margin=0.5)).decide(
        0, Limits(deadline_s=0.0015), FULL
    )
    assert decision.inference_timesteps == 4 and decision.reason == Reason.DEADLINE


def test_a_margin_may_cost_a_tier(profile):
    # Learning every frame at the smallest T takes 0.25 W, half of them 0.175 W.
    decision = TimestepPolicy(profile, any_t(limit_margin=0.5)).decide(
        0, Limits(power_w=0.26), FULL
    )
    assert decision.setting == (4, 4, 0.125, 1.0) and decision.reason == Reason.POWER


# What a setting takes at 10 frames/s: a frame's energy times the rate times the share.
@pytest.mark.parametrize('taken_w', [2.5, 0.75, 0.25, 0.1, 0.0512])
def test_no_flapping_when_the_frame_rate_wavers(profile, taken_w):
    def walk(limit_w, margin):
        policy = TimestepPolicy(profile, any_t(limit_margin=margin))
        rates = 10.0 * (1 + 0.024 * np.sin(np.arange(200) * 0.7))
        return changes(
            [
                policy.decide(
                    0.2 * step, Limits(power_w=limit_w), replace(FULL, frame_rate_hz=rate)
                )
                for step, rate in enumerate(rates)
            ]
        )

    assert walk(taken_w, margin=0.0) > 5
    assert walk(taken_w, margin=0.05) <= 1
    assert walk(taken_w / 0.95, margin=0.05) <= 1  # where it is entered


# A controller before this one.


def test_resumed_setting_stays_while_it_is_about_as_good(profile):
    for resumed in ((64, 64, 1.0, 1.0), (16, 64, 1.0, 1.0)):
        policy = TimestepPolicy(profile, any_t(deadband=0.04))
        policy.resume(*resumed)
        assert policy.decide(0, Limits(), FULL).setting == resumed
    policy = TimestepPolicy(profile, any_t(deadband=0.04))
    policy.resume(4, 4, 1.0, 1.0)
    assert policy.decide(0, Limits(), FULL).setting == (64, 64, 1.0, 1.0)


def test_resumed_setting_needs_no_margin(profile):
    policy = TimestepPolicy(profile, any_t())
    policy.resume(64, 64, 1.0, 1.0)
    assert policy.decide(0, Limits(power_w=2.51), FULL).setting == (64, 64, 1.0, 1.0)
    policy = TimestepPolicy(profile, any_t())
    policy.resume(64, 64, 1.0, 1.0)
    assert policy.decide(0, Limits(power_w=2.49), FULL).setting == (16, 64, 1.0, 1.0)


@pytest.mark.parametrize('unknown', [(5, 16, 1.0, 1.0), (16, 16, 1.0, 0.8), (0, 0, 0.0, math.nan)])
def test_what_cannot_be_resumed_is_passed_over(profile, unknown):
    policy = TimestepPolicy(profile, any_t())
    policy.resume(*unknown)
    assert policy.decide(0, Limits(), FULL).setting == (64, 64, 1.0, 1.0)


def test_nothing_is_resumed_after_the_first_decision(profile):
    policy = TimestepPolicy(profile, any_t(deadband=1.0))
    decision = policy.decide(0, Limits(), FULL)
    policy.resume(4, 4, 1.0, 1.0)
    assert policy.decide(10, Limits(), FULL) is decision


# What trials have not told apart, and how much there is to learn.


def told(accuracy, trials=(), frames=200):
    report = AccuracyReport(accuracy, frames, trials)
    return replace(FULL, inference_timesteps=64, accuracy=report)


def test_chance_in_a_few_trials_moves_nothing(profile):
    """One T seems better by a single frame of the first ten, whichever it is."""
    policy = TimestepPolicy(profile, any_t())
    policy.resume(64, 64, 1.0, 1.0)
    before = policy.decide(0.0, Limits(), told(0.5)).setting
    for now_s, (worse, better) in enumerate(((0.0, 1.0), (1.0, 0.0)), 1):
        by_chance = (Trial(350, 64, 10.0, worse, better),)
        assert policy.decide(10.0 * now_s, Limits(), told(0.5, by_chance)).setting == before


def test_trials_that_tell_no_difference_lead_to_a_cheaper_t_and_it_stays(profile):
    """On objects for which all T are alike, as more and more trials are made."""
    policy = TimestepPolicy(profile, any_t())
    draw, mistaken = np.random.default_rng(0), np.zeros((3, 2))
    decisions = []
    for step in range(1, 41):
        mistaken += draw.binomial(100, 0.05, (3, 2))
        trials = tuple(
            Trial(each, 64, 100.0 * step, *counts)
            for each, counts in zip((4, 16, 350), mistaken.tolist())
        )
        decisions.append(policy.decide(10.0 * step, Limits(), told(0.5, trials)))
    assert decisions[-1].inference_timesteps == 4 and changes(decisions) <= 2
    assert 'cheapest of the best scores' in decisions[-1].detail


@pytest.mark.parametrize('accuracy, share', [(0.5, 1.0), (0.85, 0.5), (0.93, 0.25), (0.99, 0.125)])
def test_so_much_is_learned_as_there_are_mistakes(profile, accuracy, share):
    decision = TimestepPolicy(profile, any_t()).decide(0.0, Limits(), told(accuracy))
    assert decision.learning_share == share
    assert ('of them learned' in decision.detail) == (share < 1.0)


def test_a_few_right_frames_are_no_reason_to_learn_little(profile):
    decision = TimestepPolicy(profile, any_t()).decide(0.0, Limits(), told(1.0, frames=3))
    assert decision.learning_share > LEARNING_SHARES[-1]


def test_learning_does_not_flap_with_the_mistakes(profile):
    def walk(accuracies):
        policy = TimestepPolicy(profile, any_t())
        return changes(
            [
                policy.decide(10.0 * step, Limits(), told(accuracy))
                for step, accuracy in enumerate(accuracies)
            ]
        )

    assert walk([0.95, 0.90] * 20) <= 1
    assert walk([0.95, 0.40] * 2) == 3  # what has become harder is learned at once


def test_where_learning_saves_nothing_every_frame_is_learned(profile):
    """As where a meter sees much besides the network: each frame takes about the same."""
    energy_j = enumerate_candidates(profile, learned_share=1.0).energy_j
    alike = replace(told(0.99), energy_ratios=1.0 / energy_j, metered=True)
    assert TimestepPolicy(profile, any_t()).decide(0.0, Limits(), alike).learning_share == 1.0


def test_a_limit_may_demand_that_less_is_learned_than_is_worth_it(profile):
    policy = TimestepPolicy(profile, any_t())
    assert policy.decide(0.0, Limits(power_w=0.13), told(0.5)).learning_share < 0.5


def metered(profile, learning, of_t=0.0):
    """Few mistakes, and a frame takes 1 J, `learning` J more if it is learned, and `of_t` J more at
    the largest T of inference than at none."""
    rows = enumerate_candidates(profile, learned_share=1.0)
    frame_j = 1.0 + learning * rows.learning_share + of_t * rows.inference_timesteps / 350
    return replace(told(0.99), energy_ratios=frame_j / rows.energy_j, metered=True)


def test_learning_does_not_flap_where_it_saves_about_enough(profile):
    """By what a meter sees: of a frame that is learned a little less or more than a fifth."""

    def walk(*learning):
        policy = TimestepPolicy(profile, any_t())
        return changes(
            [
                policy.decide(
                    10.0 * step, Limits(), metered(profile, learning[step % len(learning)])
                )
                for step in range(40)
            ]
        )

    assert walk(0.28, 0.31) <= 1
    assert walk(0.1, 0.5) == 39  # where it does, it does at once


def test_t_stays_when_more_or_fewer_frames_are_learned(profile):
    """As long as it is about as good as the best."""
    policy = TimestepPolicy(profile, any_t(deadband=0.06))
    little, much = (metered(profile, learning, of_t=0.01) for learning in (0.1, 0.5))
    policy.resume(64, 16, 1.0, 1.0)
    settings = [
        policy.decide(10.0 * step, Limits(), seen).setting
        for step, seen in enumerate((little, much, little, much))
    ]
    assert [setting[:2] for setting in settings] == 4 * [(64, 16)]
    assert [setting[2] for setting in settings] == [1.0, 0.125, 1.0, 0.125]
