"""The controller's policy: limits in order, faults, steadiness."""

import math
from dataclasses import replace

import pytest
from learner_simulation import any_t

from topspark_ros.control.budgets import Limits
from topspark_ros.control.decision import Reason
from topspark_ros.control.policy import Conditions, TimestepPolicy
from topspark_ros.control.ranges import RangeError
from topspark_ros.methodology.tradeoff import SHARES, enumerate_candidates

FULL = Conditions(state_of_charge=1.0, frame_rate_hz=10.0, learned_share=1.0)


def first(profile, limits=Limits(), conditions=FULL, **config):
    return TimestepPolicy(profile, any_t(**config)).decide(0.0, limits, conditions)


# Limits.


def test_score(profile):
    decision = first(profile)
    assert decision.setting == (64, 64, 1.0, 1.0) and decision.reason == Reason.SCORE
    assert decision.expected_accuracy == pytest.approx(0.955)
    assert decision.expected_latency_s == pytest.approx(0.010)
    assert decision.expected_energy_j == pytest.approx(0.250)
    assert decision.expected_power_w == pytest.approx(2.50)
    assert decision.detail == (
        'best score 0.947 at state of charge 1.00: accuracy 0.955, 2.5 W at 10 frames/s'
    )


def test_an_emptier_battery_spends_less(profile):
    charges = (1.0, 0.75, 0.5, 0.25, 0.0)
    powers = [
        first(
            profile, conditions=replace(FULL, state_of_charge=charge), energy_weight_empty=2.0
        ).expected_power_w
        for charge in charges
    ]
    assert powers == sorted(powers, reverse=True) and powers[-1] < powers[0]


@pytest.mark.parametrize(
    'limits, expected, reason',
    [
        (Limits(power_w=10), (64, 64, 1.0, 1.0), Reason.SCORE),
        (Limits(power_w=2), (16, 64, 1.0, 1.0), Reason.POWER),
        (Limits(power_w=0.5), (4, 16, 1.0, 1.0), Reason.POWER),
        (Limits(power_w=0.2), (4, 4, 0.5, 1.0), Reason.POWER),
        (Limits(power_w=0.13), (4, 4, 0.125, 1.0), Reason.POWER),
        (Limits(power_w=0.11), (4, 4, 0.0, 1.0), Reason.POWER),
        (Limits(power_w=0.05), (4, 4, 0.0, SHARES[3]), Reason.POWER),
        (Limits(power_w=0.001), (4, 4, 0.0, 0.0), Reason.POWER),
        (Limits(power_w=0), (4, 4, 0.0, 0.0), Reason.POWER),
        (Limits(mission_power_w=2), (16, 64, 1.0, 1.0), Reason.MISSION),
        (Limits(mission_power_w=0), (4, 4, 0.0, 0.0), Reason.MISSION),
        (Limits(power_w=2, mission_power_w=0.5), (4, 16, 1.0, 1.0), Reason.MISSION),
        (Limits(power_w=0.5, mission_power_w=2), (4, 16, 1.0, 1.0), Reason.POWER),
        (Limits(power_w=2, mission_power_w=2), (16, 64, 1.0, 1.0), Reason.POWER),
        (Limits(power_w=2.5, overdraft_w=0.5), (16, 64, 1.0, 1.0), Reason.POWER),
        (Limits(power_w=2, overdraft_w=9), (4, 4, 0.0, 0.0), Reason.POWER),
        (Limits(overdraft_w=9), (64, 64, 1.0, 1.0), Reason.SCORE),
        (Limits(deadline_s=0.005), (64, 16, 1.0, 1.0), Reason.DEADLINE),
        (Limits(deadline_s=0.0005), (64, 4, 1.0, 1.0), Reason.INFEASIBLE),
        (Limits(min_accuracy=0.96), (64, 350, 1.0, 1.0), Reason.ACCURACY),
        (Limits(min_accuracy=0.99), (350, 350, 1.0, 1.0), Reason.ACCURACY),
        (Limits(power_w=2, min_accuracy=0.95), (16, 64, 1.0, 1.0), Reason.POWER),
        (Limits(power_w=2, deadline_s=0.005), (64, 16, 1.0, 1.0), Reason.DEADLINE),
        (Limits(energy_j=0), (4, 4, 0.0, 0.0), Reason.ENERGY),
        (Limits(energy_j=0.01), (4, 4, 0.0, 0.0), Reason.ENERGY),
        (Limits(energy_j=1.0), (64, 64, 1.0, 1.0), Reason.SCORE),
    ],
    ids=str,
)
def test_limits(profile, limits, expected, reason):
    decision = first(profile, limits)
    assert decision.setting == pytest.approx(expected)
    assert decision.reason == reason


@pytest.mark.parametrize(
    'limits, detail',
    [
        (Limits(power_w=2), 'power limit 2 W: 1.45 W at 10 frames/s, accuracy 0.920'),
        (
            Limits(power_w=0.2),
            'power limit 0.2 W: 0.175 W at 10 frames/s, 0.5 of them learned, accuracy 0.680',
        ),
        (
            Limits(power_w=0.11),
            'power limit 0.11 W: 0.1 W at 10 frames/s without learning, accuracy 0.800',
        ),
        (
            Limits(power_w=0.05),
            'power limit 0.05 W: 0.041 W at 10 frames/s, 41% of them, '
            'without learning, accuracy 0.800',
        ),
        (Limits(power_w=0), 'power limit 0 W: paused, accuracy 0.800'),
        (
            Limits(power_w=2.5, overdraft_w=0.5),
            'power limit 2.5 W less 0.5 W overdrawn: 1.45 W at 10 frames/s, accuracy 0.920',
        ),
        (
            Limits(mission_power_w=2),
            '2 W lasts to the end of the mission: 1.45 W at 10 frames/s, accuracy 0.920',
        ),
        (Limits(deadline_s=0.005), 'deadline 0.005 s: latency 0.003 s, accuracy 0.915'),
        (Limits(min_accuracy=0.96), 'least accuracy 0.960: accuracy 0.965, 6.5 W at 10 frames/s'),
        (
            Limits(deadline_s=0.0005),
            'no setting meets deadline 0.0005 s: at best 1.6 W at 10 frames/s, latency 0.001 s',
        ),
        (Limits(energy_j=0), 'energy left 0 J is used up: paused'),
    ],
    ids=str,
)
def test_detail_gives_the_numbers(profile, limits, detail):
    assert first(profile, limits).detail == detail


@pytest.mark.parametrize(
    'power_w, share, expected, reason',
    [
        (0.08, 0.5, SHARES[1], Reason.POWER),
        (0.05, 0.5, SHARES[2], Reason.INFEASIBLE),  # 0.51 of the frames is the least allowed
        (0.05, 0.9, 1.0, Reason.INFEASIBLE),
        (0.05, 1.0, 1.0, Reason.INFEASIBLE),
        (0.102, 1.0, 1.0, Reason.POWER),  # what fits is feasible, margin or not
    ],
)
def test_least_frames_whatever_the_power(profile, power_w, share, expected, reason):
    decision = first(profile, Limits(power_w=power_w), min_frame_share=share)
    assert decision.setting == (4, 4, 0.0, pytest.approx(expected))
    assert decision.reason == reason


def test_least_frames_when_the_energy_is_used_up(profile):
    assert first(profile, Limits(energy_j=0), min_frame_share=0.5).setting == (
        4,
        4,
        0.0,
        pytest.approx(0.512),
    )
    assert first(profile, Limits(energy_j=0), min_frame_share=1.0).setting == (4, 4, 0.0, 1.0)


def test_a_power_limit_walked_to_nothing_and_back(profile):
    policy, config = TimestepPolicy(profile, any_t()), any_t()
    walk = [3.0 * 0.97**step for step in range(300)] + [0.0]
    tiers = {'down': [], 'up': []}
    now_s, before = 0.0, policy.decide(0.0, Limits(power_w=3.0), FULL)
    for way, powers in (('down', walk), ('up', walk[::-1])):
        for power_w in powers:
            now_s += config.min_dwell_s
            decision = policy.decide(now_s, Limits(power_w=power_w), FULL)
            assert decision.expected_power_w <= power_w
            rises = (decision.learning_share, decision.frame_share) >= (
                before.learning_share,
                before.frame_share,
            )
            assert (
                rises
                if way == 'up'
                else (before.learning_share, before.frame_share)
                >= (decision.learning_share, decision.frame_share)
            )
            tier = (
                'learning'
                if decision.learning_share == 1
                else 'learning some'
                if decision.learning
                else 'inferring'
                if decision.frame_share == 1
                else 'fewer'
                if decision.frame_share
                else 'pause'
            )
            if tier not in tiers[way][-1:]:
                tiers[way].append(tier)
            before = decision
    assert tiers['down'] == ['learning', 'learning some', 'inferring', 'fewer', 'pause']
    assert tiers['up'] == tiers['down'][::-1]
    assert before.setting == (64, 64, 1.0, 1.0)


# Corrections by measurement.


def test_corrected_energy_counts_for_power_not_for_the_score(profile):
    rows = len(enumerate_candidates(profile, 1.0))
    double = replace(FULL, energy_ratios=[2.0] * rows)
    decision = first(profile, conditions=double)
    assert decision.setting == (64, 64, 1.0, 1.0)
    assert decision.expected_energy_j == pytest.approx(0.5)
    assert decision.expected_power_w == pytest.approx(5.0)
    assert first(profile, Limits(power_w=4), double).setting == (16, 64, 1.0, 1.0)
    assert first(profile, Limits(energy_j=0.015), double).reason == Reason.ENERGY


def test_corrected_latency_counts_for_the_deadline(profile):
    slow = replace(FULL, latency_ratio=2.0, latency_overhead_s=0.005)
    decision = first(profile, conditions=slow)
    assert decision.expected_latency_s == pytest.approx(0.025)
    assert first(profile, Limits(deadline_s=0.015), slow).setting == (64, 16, 1.0, 1.0)
    assert first(profile, Limits(deadline_s=0.006), slow).reason == Reason.INFEASIBLE


# Faults.


@pytest.mark.parametrize('state_of_charge', [math.nan, -0.1, 55.0])
def test_battery_unknown(profile, state_of_charge):
    unknown = replace(FULL, state_of_charge=state_of_charge)
    decision = first(profile, conditions=unknown, assumed_state_of_charge=0.4)
    known = first(profile, conditions=replace(FULL, state_of_charge=0.4))
    assert decision.setting == known.setting
    assert decision.reason == Reason.BATTERY_UNKNOWN
    assert decision.detail == 'the battery is unknown: ' + known.detail
    assert first(profile, Limits(power_w=0.5), unknown).reason == Reason.POWER


def test_budget_stale_keeps_its_limits(profile):
    stale = replace(FULL, budget_stale=True)
    decision = first(profile, Limits(power_w=2), stale)
    assert decision.setting == (16, 64, 1.0, 1.0) and decision.reason == Reason.BUDGET_STALE
    assert decision.detail.startswith('the budget is stale, its limits stay: power limit 2 W')
    assert first(profile, Limits(deadline_s=0.0005), stale).reason == Reason.INFEASIBLE
    assert first(profile, Limits(energy_j=0), stale).reason == Reason.ENERGY


def test_learner_silent_holds_the_decision_until_it_is_back(profile):
    policy = TimestepPolicy(profile, any_t())
    before = policy.decide(0, Limits(), FULL)
    silent = policy.decide(10, Limits(power_w=0.5), replace(FULL, learner_silent=True))
    assert silent.setting == before.setting and silent.reason == Reason.LEARNER_SILENT
    assert silent.detail == (
        'the learner is silent: inference T 64, training T 64 stays until it is back'
    )
    assert policy.decide(20, Limits(power_w=0.5), replace(FULL, learner_silent=True)) is silent
    back = policy.decide(21, Limits(power_w=0.5), FULL)
    assert back.setting == (4, 16, 1.0, 1.0) and back.reason == Reason.POWER


@pytest.mark.parametrize(
    'power_w, words',
    [
        (0.2, 'inference T 4, training T 4 of 0.5 of the frames stays'),
        (0.11, 'inference T 4, no learning stays'),
        (0.05, 'inference T 4, no learning, 41% of the frames stays'),
        (0, 'the pause stays'),
    ],
)
def test_silence_names_what_stays(profile, power_w, words):
    policy = TimestepPolicy(profile, any_t())
    policy.decide(0, Limits(power_w=power_w), FULL)
    assert words in policy.decide(1, Limits(), replace(FULL, learner_silent=True)).detail


def test_startup_lasts_until_the_learner_is_heard(profile):
    policy = TimestepPolicy(profile, any_t())
    unheard = Conditions(learner_silent=True)
    decision = policy.decide(0, Limits(), unheard)
    assert decision.reason == Reason.STARTUP
    assert decision.detail.startswith('no learner heard yet: ')
    limited = policy.decide(5, Limits(power_w=0.4), unheard)
    assert limited.reason == Reason.STARTUP and limited.expected_power_w <= 0.4
    assert policy.decide(9, Limits(), FULL).reason == Reason.SCORE


def test_unmeasured_rate_and_share(profile):
    policy = TimestepPolicy(profile, any_t(assumed_frame_rate_hz=20.0))
    limits = Limits(power_w=10)
    unknown = replace(FULL, frame_rate_hz=math.nan, learned_share=math.nan)
    assert policy.decide(0, limits, unknown).expected_power_w == pytest.approx(20 * 0.25)
    policy.decide(10, limits, replace(FULL, frame_rate_hz=60.0))
    stopped = policy.decide(20, limits, replace(FULL, frame_rate_hz=0.0))
    assert stopped.reason == Reason.POWER  # as at 60 frames/s


def test_share_measured_without_learning_does_not_switch_learning_on(profile):
    policy = TimestepPolicy(profile, any_t())
    off = policy.decide(0, Limits(power_w=0.11), FULL)
    assert not off.learning
    assert policy.decide(60, Limits(power_w=0.11), replace(FULL, learned_share=0.0)) is off


@pytest.mark.parametrize(
    'power_w, expected',
    [
        (10, (64, 64, 1.0, 1.0)),
        (2, (64, 16, 1.0, 1.0)),  # without the limit to what training may lose: 16, 64
        (0.5, (64, 4, 0.25, 1.0)),  # 4, 16
        (0.2, (4, 4, 0.0, 1.0)),
    ],
)
def test_what_training_may_lose_comes_before_learning_every_frame(profile, power_w, expected):
    decision = first(profile, Limits(power_w=power_w), max_training_loss=0.01)
    assert decision.setting == pytest.approx(expected)


@pytest.mark.parametrize(
    'field, value, accepted',
    [
        ('latency_weight', -1, 'a finite number from 0'),
        ('energy_weight_full', math.nan, 'a finite number from 0'),
        ('energy_weight_empty', math.inf, 'a finite number from 0'),
        ('assumed_state_of_charge', 50, 'a fraction from 0 to 1'),
        ('max_training_loss', -0.1, 'a fraction from 0 to 1'),
        ('assumed_frame_rate_hz', 0, 'a finite number above 0'),
        ('min_dwell_s', -1, 'a finite number from 0'),
        ('deadband', 'small', 'a finite number from 0'),
        ('limit_margin', 1, 'a fraction from 0 to below 1'),
        ('min_frame_share', 1.1, 'a fraction from 0 to 1'),
    ],
)
def test_rejected_configuration(field, value, accepted):
    with pytest.raises(RangeError) as error:
        any_t(**{field: value})
    assert str(error.value) == f'{field} is {value}, accepted is {accepted}'
