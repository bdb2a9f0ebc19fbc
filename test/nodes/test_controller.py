"""The controller as a process: budgets, batteries and the learner's silence make decisions."""

from __future__ import annotations

import math
from pathlib import Path

from rig import msg

import pytest
import yaml
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParametersAtomically
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import BatteryState

from topspark_ros.control.decision import Reason
from topspark_ros.methodology.profile import load_profile
from topspark_ros.nodes import conversions, qos

CONTROLLER = 'timestep_controller'
PROFILE = Path(__file__).parents[2] / 'config' / 'profile_recruiting.yaml'
NAN = math.nan


def battery(percentage: float = NAN, charge: float = NAN, capacity: float = NAN) -> BatteryState:
    return BatteryState(
        percentage=percentage,
        charge=charge,
        capacity=capacity,
        design_capacity=NAN,
        voltage=NAN,
        current=NAN,
        present=True,
    )


def setting(decision: msg.TimestepDecision) -> tuple[int, int, bool, float]:
    return (
        decision.training_timesteps,
        decision.inference_timesteps,
        decision.learning_share,
        decision.frame_share,
    )


class Controlled:
    """A running controller, with the test in the place of battery, operators and learner.

    The learner's clock and counts are the test's own: a second of it needs no second.
    """

    def __init__(self, rig, profile, **parameters):
        self.rig = rig
        self.profile = profile
        self.process = rig.start(
            CONTROLLER,
            **{
                'control_period': 0.05,
                'min_dwell': 0.0,
                'learner_timeout': 600.0,
                'battery_min_discharge': 0.001,
                'profile_file': str(PROFILE),
                **parameters,
            },
        )
        self.decisions = rig.collect(msg.TimestepDecision, 'timestep_decision', qos.DECISIONS)
        self.statuses = rig.collect(msg.ControllerStatus, f'{CONTROLLER}/status', qos.STATUS)
        self.learner_s = 100.0
        self.active_s = 0.0  # that it says; 0: it does not
        self.frames = self.skipped = self.learned = 0
        self.energy_j = self.learning_j = 0.0
        rig.wait_until_active(CONTROLLER)

    def hear_learner(self, seconds: float = 0.5, rate: float = 20.0, wrong: float = 1.0) -> None:
        """What the learner did in so many seconds, at `wrong` times the energy of the profile."""
        decision = (
            self.decisions[-1]
            if self.decisions
            else msg.TimestepDecision(
                training_timesteps=64, inference_timesteps=64, learning_share=1.0, frame_share=1.0
            )
        )
        frames = round(seconds * rate)
        processed = round(frames * decision.frame_share)
        self.learner_s += seconds
        self.frames += processed
        self.skipped += frames - processed
        learned = round(processed * decision.learning_share)
        self.learned += learned
        learning_j = (
            wrong * learned * self.profile.at(decision.training_timesteps).training.energy_j
        )
        self.learning_j += learning_j
        inference_j = self.profile.at(decision.inference_timesteps).inference.energy_j
        self.energy_j += wrong * processed * inference_j + learning_j
        status = msg.LearnerStatus(
            decision_sequence=decision.sequence,
            learning_share=decision.learning_share,
            training_timesteps=decision.training_timesteps,
            inference_timesteps=decision.inference_timesteps,
            frame_share=decision.frame_share,
            frames_classified=self.frames,
            frames_skipped=self.skipped,
            frames_learned=self.learned,
            energy_total_estimated=self.energy_j,
            energy_total_learning=self.learning_j,
            latency_p95=NAN,
            frame_rate=rate * decision.frame_share,
            active_time=self.active_s,
            inference_time=NAN,
        )
        status.header.stamp = conversions.stamp(round(self.learner_s * 1e9))
        self.rig.publish('snn_learner/status', status, qos.STATUS)

    def go_on_from(self, before: Controlled) -> None:
        """The learner is the one that another controller had."""
        kept = 'learner_s', 'active_s', 'frames', 'skipped', 'learned', 'energy_j', 'learning_j'
        for name in kept:
            setattr(self, name, getattr(before, name))

    def meet_learner(self) -> None:
        """Best effort of a new subscription loses what comes before discovery: until it decides."""

        def decided():
            self.hear_learner()
            return self.decisions

        self.rig.wait_for(decided, 'a first decision')

    def hear_battery(self, state: BatteryState) -> None:
        self.rig.publish('battery_state', state, qos.BATTERY)

    def hear_budget(self, source: str = '', **limits) -> None:
        self.rig.publish('power_budget', budget(source, **limits), qos.STATE)

    def decides(self, reason: Reason) -> msg.TimestepDecision:
        """The last decision, once it has this reason."""
        self.rig.wait_for(
            lambda: self.decisions and self.decisions[-1].reason == reason,
            f'{reason.name}, last: {self.decisions[-1:]}',
        )
        return self.decisions[-1]

    def says(self, condition) -> msg.ControllerStatus:
        """The first status from now on for which the condition holds."""
        seen = len(self.statuses)
        self.rig.wait_for(
            lambda: any(map(condition, self.statuses[seen:])),
            f'a status, last: {self.statuses[-1:]}',
        )
        return next(filter(condition, self.statuses[seen:]))

    def knows_charge(self, value: float) -> None:
        self.says(lambda status: status.state_of_charge == pytest.approx(value, abs=1e-4))

    def health(self, key: str) -> float:
        return float(self.rig.health(CONTROLLER, key) or NAN)


def budget(source: str = '', **limits) -> msg.PowerBudget:
    return msg.PowerBudget(
        source=source,
        **{
            **dict.fromkeys(
                ('power', 'energy', 'duration', 'deadline', 'min_accuracy', 'lifetime'), NAN
            ),
            **limits,
        },
    )


def brought_up(rig, profile, **parameters) -> Controlled:
    """A controller that has heard everybody."""
    controlled = Controlled(rig, profile, **parameters)
    controlled.meet_learner()
    assert controlled.decides(Reason.BATTERY_UNKNOWN).sequence == 1

    # Best effort: what comes before discovery is lost, so until it is heard.
    def heard():
        controlled.hear_battery(battery(1.0))
        return controlled.decisions[-1].reason == Reason.SCORE

    rig.wait_for(heard, 'the battery is known')
    controlled.hear_learner()
    return controlled


@pytest.fixture(scope='module')
def profile():
    return load_profile(PROFILE)


@pytest.fixture(scope='module')
def controlled(shared_rig, profile):
    # Without a deadband the free setting does not depend on the one before.
    controlled = brought_up(shared_rig, profile, battery_timeout=3600.0, deadband=0.0)
    controlled.free_setting = setting(controlled.decisions[-1])
    return controlled


@pytest.fixture
def unlimited(controlled):
    """The shared controller with its battery full and no limit in force."""
    # Reports of the test before are taken at the next control period, and would change, in the
    # middle of this one, what a setting is expected to draw.
    for _ in range(2):
        controlled.says(lambda status: True)
    controlled.hear_battery(battery(1.0))
    controlled.hear_budget()
    controlled.rig.wait_for(lambda: setting(controlled.decisions[-1]) == controlled.free_setting)
    assert controlled.decisions[-1].reason == Reason.SCORE
    return controlled


def test_a_power_limit_is_kept_and_said_to_be_the_reason(unlimited):
    free = unlimited.decisions[-1]
    unlimited.hear_budget(power=2e-5)
    limited = unlimited.decides(Reason.POWER)
    assert limited.sequence > free.sequence
    assert limited.expected_power <= 2e-5 < free.expected_power
    assert limited.inference_timesteps <= free.inference_timesteps
    assert 'power limit 2e-05 W' in limited.detail


def test_a_late_subscriber_gets_the_last_decision(unlimited):
    unlimited.hear_budget(power=2e-5)
    last = unlimited.decides(Reason.POWER)
    late = unlimited.rig.collect(msg.TimestepDecision, 'timestep_decision', qos.STATE)
    unlimited.rig.wait_for(lambda: late)
    assert late[0] == last


@pytest.mark.parametrize(
    'limits, field',
    [
        (dict(power=-1.0), 'power'),
        (dict(power=math.inf), 'power'),
        (dict(energy=-1.0), 'energy'),
        (dict(deadline=0.0), 'deadline'),
        (dict(deadline=-math.inf), 'deadline'),
        (dict(min_accuracy=1.5), 'min_accuracy'),
    ],
)
def test_a_bad_budget_is_rejected_and_the_decision_stays(unlimited, limits, field):
    rig = unlimited.rig
    before = rig.rejected(CONTROLLER, 'power_budget')
    unlimited.hear_budget(power=2e-5)
    decision = unlimited.decides(Reason.POWER)
    unlimited.hear_budget(**limits)
    rig.wait_for(lambda: rig.rejected(CONTROLLER, 'power_budget') == before + 1)
    assert unlimited.decisions[-1] is decision
    assert unlimited.health('power limit [W]') == pytest.approx(2e-5)
    if not before:  # the line is throttled
        assert f'{rig.namespace}/power_budget: {field}' in unlimited.process.log


@pytest.mark.parametrize(
    'state',
    [
        battery(1.5),
        battery(-0.1),
        battery(math.inf),
        battery(),
        battery(charge=3.0, capacity=2.0),
        battery(charge=1.0, capacity=0.0),
    ],
    ids=lambda state: f'{state.percentage:g},{state.charge:g}',
)
def test_a_bad_battery_is_rejected_and_the_last_charge_stays(unlimited, state):
    rig = unlimited.rig
    before = rig.rejected(CONTROLLER, 'battery_state')
    decision = unlimited.decisions[-1]
    unlimited.hear_battery(state)
    rig.wait_for(lambda: rig.rejected(CONTROLLER, 'battery_state') == before + 1)
    assert unlimited.decisions[-1] is decision
    unlimited.knows_charge(1.0)


@pytest.mark.parametrize(
    'state, charge, rejected',
    [
        (BatteryState(), 1.0, True),
        (BatteryState(percentage=-0.01, charge=0.9, capacity=1.0), 0.9, False),
        (BatteryState(percentage=-2.9e-5, charge=-7.7e-6, capacity=1.0, voltage=3.0), 0.0, False),
        (BatteryState(percentage=55.0, charge=0.8, capacity=1.0), 0.8, True),
        (BatteryState(percentage=0.7, current=2.0, power_supply_status=2), 0.7, True),
    ],
    ids=['empty message', 'unknown', 'below 0', 'of a hundred', 'sign'],
)
def test_each_field_of_a_battery_is_judged_alone(unlimited, state, charge, rejected):
    rig = unlimited.rig
    before = rig.rejected(CONTROLLER, 'battery_state')

    def heard():  # best effort
        unlimited.hear_battery(state)
        return unlimited.statuses[-1].state_of_charge == pytest.approx(charge, abs=1e-4) and (
            rig.rejected(CONTROLLER, 'battery_state') > before or not rejected
        )

    rig.wait_for(heard)
    assert (rig.rejected(CONTROLLER, 'battery_state') > before) == rejected


def test_the_share_of_a_budget(rig, profile):
    controlled = Controlled(rig, profile, budget_share=0.5)
    controlled.hear_budget(power=4e-5, deadline=1.0)
    status = controlled.says(lambda status: status.power_limit == pytest.approx(2e-5))
    assert status.deadline == 1.0


def test_charge_over_capacity_where_the_percentage_is_unmeasured(unlimited):
    unlimited.hear_battery(battery(charge=0.5, capacity=2.0))
    unlimited.knows_charge(0.25)


def test_a_drained_battery_spends_less(unlimited):
    full = unlimited.decisions[-1]
    unlimited.hear_battery(battery(0.0))
    unlimited.rig.wait_for(lambda: unlimited.decisions[-1] is not full)
    assert unlimited.decisions[-1].expected_power < full.expected_power
    assert unlimited.decisions[-1].reason == Reason.SCORE


def set_parameter(rig, name: str, value: float):
    request = SetParametersAtomically.Request(
        parameters=[
            Parameter(
                name=name,
                value=ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value),
            )
        ]
    )
    return rig.call(
        SetParametersAtomically, f'{CONTROLLER}/set_parameters_atomically', request
    ).result


def test_a_parameter_out_of_range_is_rejected_with_the_reason(unlimited):
    result = set_parameter(unlimited.rig, 'deadband', 2.0)
    assert not result.successful and 'deadband' in result.reason


def test_a_fixed_parameter_is_rejected(unlimited):
    result = set_parameter(unlimited.rig, 'control_period', 1.0)
    assert not result.successful and result.reason


def test_a_changed_weight_changes_the_decision(unlimited):
    thrifty = unlimited.decisions[-1]
    assert set_parameter(unlimited.rig, 'energy_weight_full', 50.0).successful
    unlimited.rig.wait_for(lambda: unlimited.decisions[-1] is not thrifty)
    assert unlimited.decisions[-1].expected_power < thrifty.expected_power
    assert set_parameter(unlimited.rig, 'energy_weight_full', 0.02).successful


# A fresh process each.


def test_a_percentage_of_a_hundred(rig, profile):
    controlled = Controlled(rig, profile, full_percentage=100.0)
    rig.wait_for(
        lambda: (
            controlled.hear_battery(battery(40.0))
            or controlled.health('state of charge') == pytest.approx(0.4)
        )
    )


def test_silence_of_battery_and_learner_has_its_reason_and_ends(rig, profile):
    controlled = brought_up(rig, profile, battery_timeout=0.5)
    assert controlled.decides(Reason.BATTERY_UNKNOWN).inference_timesteps > 0
    rig.wait_for(lambda: 'the battery is stale' in rig.concern(CONTROLLER))

    before = controlled.decisions[-1]
    assert set_parameter(rig, 'learner_timeout', 0.1).successful
    held = controlled.decides(Reason.LEARNER_SILENT)
    assert setting(held) == setting(before)
    assert set_parameter(rig, 'learner_timeout', 600.0).successful
    controlled.hear_learner()
    controlled.decides(Reason.BATTERY_UNKNOWN)
    sequences = [decision.sequence for decision in controlled.decisions]
    assert sequences == list(range(1, len(sequences) + 1))


def unsorted(profile: dict) -> dict:
    return {**profile, 'points': profile['points'][::-1]}


def without_timesteps(profile: dict) -> dict:
    points = [dict(point) for point in profile['points']]
    del points[0]['timesteps']
    return {**profile, 'points': points}


@pytest.mark.parametrize('spoil', [None, unsorted, without_timesteps])
def test_a_bad_profile_fails_configure_with_one_line(rig, tmp_path, shipped_profile, spoil):
    path = tmp_path / 'profile.yaml'
    if spoil:
        path.write_text(yaml.safe_dump(spoil(yaml.safe_load(shipped_profile.read_text()))))
    process = rig.start(CONTROLLER, profile_file=str(path))
    rig.wait_for(lambda: str(path) in process.log)
    assert rig.state(CONTROLLER) == 'unconfigured' and process.running
    assert 'configure: ' in process.log and 'Traceback' not in process.log
    assert sum(str(path) in line for line in process.log.splitlines()) == 1


def test_an_energy_budget_is_used_up_by_what_the_learner_draws(unlimited):
    unlimited.hear_budget(energy=1e-4)
    unlimited.says(lambda status: status.energy_left == 1e-4)

    def used_up():
        unlimited.hear_learner()
        return unlimited.decisions[-1].reason == Reason.ENERGY

    unlimited.rig.wait_for(used_up, 'the energy to be used up')
    assert unlimited.decisions[-1].frame_share == 0.0
    unlimited.hear_budget()
    unlimited.decides(Reason.SCORE)


def test_the_strictest_of_several_sources_counts_until_it_lapses(unlimited):
    unlimited.hear_budget('operator', power=1e-4)
    unlimited.hear_budget('thermal guard', power=2e-5, lifetime=1.0)
    both = unlimited.says(lambda status: 'thermal guard' in status.budget_sources)
    assert both.power_limit == pytest.approx(2e-5)
    assert {'operator', 'thermal guard'} <= set(both.budget_sources)
    left = unlimited.says(lambda status: 'thermal guard' not in status.budget_sources)
    assert left.power_limit == pytest.approx(1e-4)
    unlimited.hear_budget('operator')


def test_budgets_of_several_publishers_reach_a_controller_that_starts_later(rig, profile):
    for source, power in (('operator', 1e-4), ('mission', 3e-5), ('thermal guard', 5e-5)):
        publisher = rig.node.create_publisher(msg.PowerBudget, 'power_budget', qos.STATE)
        publisher.publish(budget(source, power=power))
    controlled = Controlled(rig, profile)
    status = controlled.says(lambda status: len(status.budget_sources) == 3)
    assert status.power_limit == pytest.approx(3e-5)


def test_a_wrong_profile_is_corrected(unlimited):
    unlimited.hear_budget(power=2e-5)
    limited = unlimited.decides(Reason.POWER)

    def corrected():
        unlimited.hear_learner(wrong=2.0)
        return unlimited.statuses[-1].energy_correction > 1.9

    unlimited.rig.wait_for(corrected, 'the correction')
    status = unlimited.statuses[-1]
    assert status.energy_correction < 2.1 and status.expected_power <= 2e-5
    assert unlimited.decisions[-1].expected_energy < 2 * limited.expected_energy
    points = unlimited.profile.points
    assert list(status.timesteps) == [point.timesteps for point in points]
    for energy_j, point in zip(status.timesteps_energy, points):
        in_force = point.timesteps == status.inference_timesteps
        assert (1.9 if in_force else 1.0) < energy_j / point.inference.energy_j < 2.1
    assert len(status.timesteps_accuracy) == len(status.timesteps_latency) == len(points)

    def right_again():
        unlimited.hear_learner()
        return unlimited.statuses[-1].energy_correction < 1.02

    unlimited.rig.wait_for(right_again, 'the correction to go')


def test_less_and_less_power_ends_learning_bit_by_bit_then_thins_out_frames_then_pauses(
    rig, profile
):
    # One of its own: what share of the frames is learned decides what learning costs.
    controlled = brought_up(rig, profile, battery_timeout=3600.0)
    free = controlled.decisions[-1]
    seen = [free]
    # Fine steps: without learning, all frames at the least T cost only 10 % less than with some.
    for power in (*(free.expected_power * 0.97**step for step in range(1, 170)), 0.0):
        controlled.hear_budget(power=power)
        rig.wait_for(lambda: controlled.decisions[-1].expected_power <= power)
        seen.append(controlled.decisions[-1])
    shares = [(decision.learning_share, decision.frame_share) for decision in seen]
    assert shares == sorted(shares, reverse=True)
    tiers = [
        'all'
        if learned == 1.0
        else 'some learned'
        if learned
        else 'none learned'
        if processed == 1.0
        else 'fewer'
        if processed
        else 'paused'
        for learned, processed in shares
    ]
    assert list(dict.fromkeys(tiers)) == ['all', 'some learned', 'none learned', 'fewer', 'paused']
    assert all(decision.reason == Reason.POWER for decision in seen[1:])
    assert 'paused' in seen[-1].detail


def test_a_controller_that_starts_again_goes_on_from_the_present_setting(rig, profile):
    first = brought_up(rig, profile)
    first.hear_budget(power=2e-5)
    held = first.decides(Reason.POWER)
    first.process.kill()
    second = Controlled(rig, profile)
    second.go_on_from(first)
    second.decisions.append(held)  # which the learner still applies

    def decided():
        second.hear_learner()
        return second.decisions[-1].reason == Reason.POWER and second.decisions[-1] is not held

    rig.wait_for(decided, 'the budget, which is latched')
    assert setting(second.decisions[-1]) == setting(held)
    sequences = [decision.sequence for decision in second.decisions]
    assert sequences == list(range(held.sequence, held.sequence + len(sequences)))


def test_without_a_learner_it_decides_after_its_timeout(rig, profile):
    Controlled(rig, profile, learner_timeout=0.5).decides(Reason.STARTUP)


def test_a_mission_without_a_stamp_goes_on_over_a_restart(rig, profile):
    publisher = rig.node.create_publisher(msg.PowerBudget, 'power_budget', qos.STATE)
    publisher.publish(budget('mission', energy=1.0, duration=1e9))
    first = Controlled(rig, profile)
    first.active_s = 1e-6  # whatever it used, it used after that
    first.meet_learner()
    first.hear_learner(seconds=5.0)
    left_j = 1.0 - first.energy_j
    spent = first.says(lambda status: status.energy_left == pytest.approx(left_j, abs=1e-6))
    assert left_j < 1.0 - 1e-4
    first.process.kill()

    second = Controlled(rig, profile)
    second.go_on_from(first)
    second.meet_learner()
    left_j = 1.0 - second.energy_j
    gone_on = second.says(lambda status: status.energy_left == pytest.approx(left_j, abs=1e-6))
    assert gone_on.time_left < spent.time_left
    assert list(gone_on.budget_sources) == ['mission']


def test_a_learner_without_an_energy_is_rejected(unlimited):
    before = unlimited.rig.rejected(CONTROLLER, 'snn_learner/status')
    for status in (
        msg.LearnerStatus(energy_total_estimated=NAN),
        msg.LearnerStatus(decision_sequence=2**64 - 1),
    ):
        unlimited.rig.publish('snn_learner/status', status, qos.STATUS)
    unlimited.rig.wait_for(
        lambda: unlimited.rig.rejected(CONTROLLER, 'snn_learner/status') == before + 2
    )


def test_a_clock_that_is_set_back_changes_no_decision(rig, profile):
    """As a simulation does whose world is reset."""
    clock = rig.node.create_publisher(Clock, '/clock', qos.sensor(1))
    time_s = 1000.0

    def tick():
        nonlocal time_s
        time_s += 0.05
        clock.publish(Clock(clock=conversions.stamp(round(time_s * 1e9))))

    ticking = rig.node.create_timer(0.01, tick)
    controlled = brought_up(rig, profile, use_sim_time=True, battery_timeout=3600.0)
    before = controlled.says(lambda status: status.reason == Reason.SCORE)
    decided = len(controlled.decisions)

    time_s = 5.0
    after = [controlled.says(lambda status: status.header.stamp.sec < 1000) for _ in range(5)]
    ticking.cancel()
    assert all(
        status.battery == msg.ControllerStatus.BATTERY_KNOWN
        and status.state_of_charge == before.state_of_charge
        and status.decision_sequence == before.decision_sequence
        for status in after
    )
    assert len(controlled.decisions) == decided
