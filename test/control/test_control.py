"""What the controller hears, and what becomes of it: budgets, learner, battery, clock."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learner_simulation import SimulatedLearner, any_t, highest_mean_w, simulate, span

from topspark_ros.control.accuracy import AccuracyReport
from topspark_ros.control.battery import (
    BatteryReading,
    BatterySettings,
    BatteryValidity,
)
from topspark_ros.control.budgets import BATTERY, Budget
from topspark_ros.control.closed_loop import LearnerReport
from topspark_ros.control.controller import Controller, ControlSettings
from topspark_ros.control.decision import Reason
from topspark_ros.control.policy import PolicyConfig
from topspark_ros.control.ranges import RangeError
from topspark_ros.methodology.tradeoff import enumerate_candidates

# Other load on the machine is no failure.
untimed = settings(deadline=None, max_examples=40)

REPORT = LearnerReport(
    time_s=0.0,
    training_timesteps=64,
    inference_timesteps=64,
    learning_share=1.0,
    frame_share=1.0,
    classified=100,
    skipped=0,
    learned=0,
    energy_j=0.0,
    frame_rate_hz=10.0,
    decided=False,
)
FULL = BatteryReading(percentage=1.0, voltage_v=10.0, capacity_ah=1.0)


def started(profile, **settings):
    """A controller that hears a learner of 10 frames/s."""
    controller = Controller(profile, ControlSettings(**settings))
    controller.on_report(0.0, REPORT)
    return controller


@pytest.mark.parametrize(
    'field, value, accepted',
    [
        ('learner_timeout_s', 0.0, 'a finite number above 0'),
        ('budget_timeout_s', -1.0, 'a finite number from 0'),
        ('mission_duration_s', math.nan, 'a finite number from 0'),
        ('mission_battery_share', 50, 'a fraction from 0 to 1'),
        ('budget_share', 2, 'a fraction from 0 to 1'),
        ('core_power_w', 0, 'a finite number above 0'),
    ],
)
def test_rejected_settings(field, value, accepted):
    with pytest.raises(RangeError) as error:
        ControlSettings(**{field: value})
    assert str(error.value) == f'{field} is {value}, accepted is {accepted}'


# The learner.


def test_first_moments_without_a_learner(profile):
    controller = Controller(profile)
    controller.on_budget(5.0, 'operator', Budget(power_w=0.5))
    assert controller.decide(5.0) is None and controller.decide(7.9) is None
    assert math.isnan(controller.status(7.9).energy_ratio)
    decision = controller.decide(5.0 + ControlSettings().learner_timeout_s)
    assert decision.reason == Reason.STARTUP and decision.expected_power_w <= 0.5
    assert controller.decide(100.0) is decision


def test_a_learner_that_is_heard_is_decided_for_at_once(profile):
    decision = started(profile).decide(0.0)
    assert decision.reason == Reason.BATTERY_UNKNOWN
    assert decision.expected_power_w == pytest.approx(10 * decision.expected_energy_j)


def test_the_outlook_of_each_t_is_the_profile_as_corrected(profile):
    controller = started(profile)
    assert controller.status(0.0).outlook == ()
    controller.decide(0.0)
    for outlook, point in zip(controller.status(0.0).outlook, profile.points, strict=True):
        figures = point.inference
        expected = (point.timesteps, figures.accuracy, figures.energy_j, figures.latency_s)
        assert outlook == pytest.approx(expected)
    # Twice the energy, and mistakes in a third of the frames.
    report = replace(REPORT, accuracy=AccuracyReport(0.67, 200))
    for second in range(1, 20):
        frames = 10 * second
        taken_j = 0.2 * frames
        report = replace(report, time_s=float(second), classified=100 + frames, energy_j=taken_j)
        controller.on_report(float(second), report)
    controller.decide(19.0)
    for outlook, point in zip(controller.status(19.0).outlook, profile.points):
        assert outlook.energy_j == pytest.approx(2 * point.inference.energy_j, rel=0.1)
        assert outlook.accuracy < point.inference.accuracy - 0.2


def test_a_silent_learner_and_its_return(profile):
    controller = started(profile, learner_timeout_s=2.0)
    before = controller.decide(0.0)
    controller.on_budget(1.0, 'operator', Budget(power_w=0.5))
    assert not controller.status(2.0).learner_silent
    assert controller.decide(2.1).reason == Reason.LEARNER_SILENT
    assert controller.decide(9.0).setting == before.setting
    assert controller.status(9.0).learner_silent
    controller.on_report(9.5, replace(REPORT, time_s=9.5))
    after = controller.decide(9.5)
    assert after.reason == Reason.POWER and after.expected_power_w <= 0.5


@pytest.mark.parametrize('factor', [0.5, 1.0, 2.0])
@pytest.mark.parametrize('limit_w', [0.06, 1.0])
def test_a_controller_before_this_one_is_gone_on_from(profile, limit_w, factor):
    first, second = Controller(profile), Controller(profile)
    first.on_budget(0.0, 'operator', Budget(power_w=limit_w))
    second.on_budget(40.0, 'operator', Budget(power_w=limit_w))
    learner = SimulatedLearner(profile, factor)
    before_w, decisions = simulate(first, learner, span(0, 40), 10)
    after_w, resumed = simulate(second, learner, span(40, 80), 10)
    assert highest_mean_w([*before_w[20:], *after_w]) <= 1.05 * limit_w
    assert resumed[-1].setting == decisions[-1].setting
    if factor == 1.0:  # else the second has to find out first
        assert {decision.setting for decision in resumed} == {decisions[-1].setting}


def test_what_is_about_as_good_is_gone_on_with(profile):
    policy = PolicyConfig(deadband=0.04, assumed_state_of_charge=1.0)
    report = replace(REPORT, training_timesteps=16, decided=True)
    for resumed, expected in (
        (report, (16, 64, 1.0, 1.0)),
        (replace(report, decided=False), (64, 64, 1.0, 1.0)),
        (replace(report, training_timesteps=5), (64, 64, 1.0, 1.0)),
    ):
        controller = Controller(profile, ControlSettings(policy=policy))
        controller.on_report(0.0, resumed)
        controller.on_report(0.5, replace(REPORT, time_s=0.5))  # only the first one counts
        assert controller.decide(0.5).setting == expected


def test_the_first_rate_is_that_which_the_learner_tells(profile):
    controller = Controller(profile)
    controller.on_report(0.0, replace(REPORT, frame_rate_hz=6.0, frame_share=0.5))
    assert controller.status(0.0).frame_rate_hz == pytest.approx(12.0)


# Budgets.


def test_a_budget_of_each_source_and_its_energy(profile):
    controller = started(profile)
    controller.on_budget(0.0, 'operator', Budget(power_w=2.0, lifetime_s=10.0))
    controller.on_budget(0.0, 'guard', Budget(power_w=0.5, lifetime_s=5.0, energy_j=10.0))
    assert controller.decide(0.0).expected_power_w <= 0.5
    controller.on_report(1.0, replace(REPORT, time_s=1.0, energy_j=4.0))
    status = controller.status(1.0)
    assert status.limits.power_w == 0.5 and status.limits.energy_j == 6.0
    assert status.sources == ('guard', 'operator')
    assert controller.status(5.0).limits.power_w == 2.0
    assert controller.status(10.0).sources == ()


def test_energy_that_is_used_up_pauses(profile):
    controller = started(profile)
    controller.on_budget(0.0, 'operator', Budget(energy_j=3.0))
    assert controller.decide(0.0).frame_share == 1.0
    controller.on_report(1.0, replace(REPORT, time_s=1.0, energy_j=3.0))
    decision = controller.decide(1.0)
    assert decision.reason == Reason.ENERGY and decision.frame_share == 0.0
    controller.on_budget(1.5, 'operator', Budget())
    controller.on_report(2.0, replace(REPORT, time_s=2.0, energy_j=3.0))
    assert controller.decide(5.0).frame_share == 1.0


def test_an_old_budget_has_been_used_for_a_while(profile):
    controller = started(profile)
    controller.on_budget(0.0, 'latched', Budget(energy_j=100.0, duration_s=100.0), age_s=60.0)
    limits = controller.status(0.0).limits
    assert limits.energy_j == pytest.approx(40.0) and limits.time_left_s == pytest.approx(40.0)


def test_a_budget_that_is_not_renewed_is_stale_and_stays(profile):
    controller = started(profile, budget_timeout_s=2.0)
    assert not controller.status(0.0).budget_stale  # there is none
    controller.on_budget(0.0, 'operator', Budget(power_w=0.5))
    assert not controller.status(2.0).budget_stale and controller.status(2.1).budget_stale
    controller.on_report(2.1, replace(REPORT, time_s=2.1))
    decision = controller.decide(2.1)
    assert decision.reason == Reason.BUDGET_STALE and decision.expected_power_w <= 0.5
    # One that says itself how long it holds is never stale.
    controller.on_budget(2.1, 'operator', Budget(power_w=0.5, lifetime_s=60.0))
    assert not controller.status(30.0).budget_stale
    assert not started(profile).status(1e9).budget_stale


# The battery and its mission.


def test_the_battery_is_known_stale_or_rejected(profile):
    controller = started(profile, battery=BatterySettings(timeout_s=5.0))
    assert controller.on_battery(0.0, FULL) == ()
    assert controller.status(0.0).battery_source == 'percentage'
    assert controller.on_battery(1.0, replace(FULL, percentage=55.0))
    assert controller.status(1.0).state_of_charge == 1.0
    assert controller.decide(1.0).reason == Reason.SCORE
    assert controller.status(5.1).battery == BatteryValidity.STALE
    controller.on_report(5.1, replace(REPORT, time_s=5.1))
    decision = controller.decide(5.1)
    assert decision.reason == Reason.BATTERY_UNKNOWN
    assert decision.detail.startswith('the battery is stale: ')


def test_what_was_decided_at_an_assumed_charge_is_left_as_soon_as_it_is_known(profile):
    policy = any_t(min_dwell_s=1e3, assumed_state_of_charge=0.0, energy_weight_empty=5.0)
    controller = started(profile, policy=policy)
    assumed = controller.decide(0.0)
    assert assumed.reason == Reason.BATTERY_UNKNOWN and 'state of charge 0.00' in assumed.detail
    controller.on_battery(0.5, FULL)
    known = controller.decide(0.5)
    assert known.reason == Reason.SCORE and 'state of charge 1.00' in known.detail
    assert known.setting == started_full(profile, policy).setting != assumed.setting


def started_full(profile, policy):
    controller = started(profile, policy=policy)
    controller.on_battery(0.0, FULL)
    return controller.decide(0.0)


def test_a_mission_on_a_share_of_the_battery(profile):
    controller = started(profile, mission_duration_s=3600.0, mission_battery_share=0.05)
    assert controller.status(0.0).sources == ()
    controller.decide(0.0)
    assert controller.status(0.0).sources == ()  # nothing is known of the battery
    controller.on_battery(600.0, FULL)
    controller.on_report(600.0, replace(REPORT, time_s=600.0))
    decision, limits = controller.decide(600.0), controller.status(600.0).limits
    assert limits.energy_j == pytest.approx(1800.0)
    assert limits.mission_power_w == pytest.approx(1800.0 / 3000.0)
    assert limits.time_left_s == pytest.approx(3000.0)
    assert decision.reason == Reason.MISSION and decision.expected_power_w <= 0.6
    assert controller.status(600.0).sources == (BATTERY,)


def test_what_the_battery_tells_counts_each_minute(profile):
    controller = started(
        profile,
        mission_duration_s=1000.0,
        mission_battery_share=0.01,
        battery=BatterySettings(timeout_s=1e6),
    )
    energies_j = []
    for now_s, charge in ((0.0, 1.0), (59.0, 0.9), (60.0, 0.9), (120.0, 0.95), (180.0, 0.8)):
        controller.on_battery(now_s, replace(FULL, percentage=charge))
        controller.decide(now_s)
        energies_j.append(controller.status(now_s).limits.energy_j)
    assert energies_j == pytest.approx([360.0, 360.0, 324.0, 342.0, 288.0])


def test_a_source_that_calls_itself_the_battery_is_another(profile):
    controller = started(profile, mission_duration_s=1000.0)
    controller.on_battery(0.0, FULL)
    controller.on_budget(0.0, BATTERY, Budget(power_w=0.5, energy_j=1e9))
    assert controller.decide(0.0).expected_power_w <= 0.5
    assert controller.status(0.0).limits.energy_j == pytest.approx(36e3)


# Clock, settings, and anything at all.


def test_a_clock_that_is_set_back_stops_nothing(profile):
    controller = Controller(profile, ControlSettings(mission_duration_s=600.0, budget_timeout_s=90))
    controller.on_battery(1000.0, FULL)
    controller.on_budget(1000.0, 'operator', Budget(power_w=1.0))
    controller.on_budget(1000.0, 'guard', Budget(deadline_s=10.0, lifetime_s=100.0))
    learner = SimulatedLearner(profile, 2.0)
    simulate(controller, learner, span(1000, 1060), 30)
    controller.on_battery(1060.0, FULL)
    before, known = controller.decide(1060.0), controller.status(1060.0)
    # Nothing was heard since, and nothing is assumed.
    assert controller.decide(10.0) is before
    status = controller.status(10.0)
    assert status.battery == BatteryValidity.KNOWN and status.state_of_charge == 1.0
    assert not status.learner_silent and not status.budget_stale
    assert status.energy_ratio == known.energy_ratio != 1.0
    assert repr(status.limits) == repr(known.limits)  # NaN among them
    assert status.limits.time_left_s == pytest.approx(540.0)
    # Another world: its battery is believed at once.
    controller.on_battery(11.0, replace(FULL, percentage=0.3))
    assert controller.status(11.0).state_of_charge == 0.3
    after_w, decisions = simulate(controller, learner, span(11, 71), 30)
    assert highest_mean_w(after_w) <= 1.05 and after_w[-1] > 0
    assert {decision.reason for decision in decisions} == {Reason.POWER, Reason.BUDGET_STALE}
    status = controller.status(71.0)
    assert status.sources == (BATTERY, 'operator') and status.battery == BatteryValidity.STALE
    assert status.limits.time_left_s == pytest.approx(540.0 - 61.0)


# Restarts, and shares.


def test_a_controller_that_comes_back_goes_on_with_the_mission(profile):
    mission = Budget(energy_j=100.0, duration_s=1000.0)
    first, second = Controller(profile), Controller(profile)
    learner = SimulatedLearner(profile, 1.0)
    first.on_budget(0.0, 'mission', mission)
    simulate(first, learner, span(0, 400), 10)
    left_j = first.status(400.0).limits.energy_j

    second.on_budget(400.0, 'mission', mission, age_s=400.0)
    second.on_report(400.0, learner.report(400.0))
    limits = second.status(400.0).limits
    assert limits.energy_j == pytest.approx(left_j, abs=0.5)
    assert limits.time_left_s == pytest.approx(600.0)
    simulate(second, learner, span(400, 1000), 10)
    after = second.status(1000.0).limits
    used_j = learner.energy_j
    assert 0.9 * 100.0 < used_j <= 100.0
    assert after.energy_j == pytest.approx(100.0 - used_j, abs=1.0)


def test_a_budget_that_was_stale_is_stale_after_a_restart(profile):
    controller = started(profile, budget_timeout_s=10.0)
    controller.on_budget(0.0, 'operator', Budget(power_w=0.5), age_s=11.0)
    assert controller.decide(0.0).reason == Reason.BUDGET_STALE


def test_two_that_share_a_budget_spend_it_once(profile):
    limits = []
    for share in (0.25, 0.75, 1.0):
        controller = started(
            profile, mission_duration_s=1000.0, mission_battery_share=0.01, budget_share=share
        )
        controller.on_battery(0.0, FULL)
        controller.on_budget(0.0, 'operator', Budget(power_w=0.2, deadline_s=3.0))
        controller.decide(0.0)
        battery = controller.status(0.0).limits
        controller.on_budget(0.0, 'operator', Budget(energy_j=8.0, duration_s=100.0))
        budget = controller.status(0.0).limits
        limits.append(
            (
                battery.power_w,
                battery.energy_j,
                battery.mission_power_w,
                budget.energy_j,
                budget.mission_power_w,
            )
        )
        assert battery.deadline_s == 3.0 and budget.time_left_s == 100.0
    one, other, whole = np.array(limits)
    assert whole == pytest.approx([0.2, 360.0, 0.36, 8.0, 0.08])
    assert one == pytest.approx(0.25 * whole) and one + other == pytest.approx(whole)


def test_other_settings_count_from_the_next_decision(profile):
    controller = started(profile)
    controller.on_budget(0.0, 'operator', Budget(power_w=0.05))
    assert controller.decide(0.0).frame_share < 1
    controller.reconfigure(ControlSettings(policy=PolicyConfig(min_frame_share=1.0)))
    assert controller.decide(1.0).setting == (4, 4, 0.0, 1.0)


times = st.sampled_from((0.0, 1.0, 100.0)) | st.floats(-1e9, 1e9)
readings = st.builds(
    BatteryReading,
    **{
        field: st.floats()
        for field in ('percentage', 'voltage_v', 'current_a', 'charge_ah', 'capacity_ah')
    },
)
budgets = st.builds(
    Budget,
    power_w=st.just(math.nan) | st.floats(0, 10),
    energy_j=st.floats(0, 1e3),
    duration_s=st.just(math.nan) | st.floats(0.1, 1e4),
    lifetime_s=st.floats(0.1, 1e4),
)
timesteps = st.sampled_from((4, 16, 64, 350)) | st.integers(0, 10**9)
reports = st.builds(
    LearnerReport,
    time_s=st.floats(),
    training_timesteps=timesteps,
    inference_timesteps=timesteps,
    learning_share=st.floats(),
    frame_share=st.floats(),
    classified=st.integers(0, 10**9),
    skipped=st.integers(0, 10**9),
    learned=st.integers(0, 10**9),
    energy_j=st.floats(0, 1e12),
    frame_rate_hz=st.floats(),
    metered=st.booleans(),
    decided=st.booleans(),
    latency_s=st.floats(),
    inference_s=st.floats(),
)
inputs = readings | reports | st.tuples(st.sampled_from('ab'), budgets, st.floats(-1e9, 1e9))


@untimed
@given(events=st.lists(st.tuples(times, inputs), max_size=12), duration_s=st.floats(0, 1e4))
def test_anything_gives_decisions_of_the_profile_and_the_same_again(profile, events, duration_s):
    def decisions():
        controller = Controller(profile, ControlSettings(mission_duration_s=duration_s))
        for now_s, heard in events:
            if isinstance(heard, LearnerReport):
                controller.on_report(now_s, heard)
            elif isinstance(heard, tuple):
                controller.on_budget(now_s, *heard)
            else:
                controller.on_battery(now_s, heard)
            yield controller.decide(now_s)
            controller.status(now_s)

    candidates = enumerate_candidates(profile, 1.0)
    decided = list(decisions())
    assert all(
        decision is None or candidates.row(*decision.setting) is not None for decision in decided
    )
    assert decided == list(decisions())
