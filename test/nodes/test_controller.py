"""The controller as a process: budgets, batteries and the learner's silence make decisions."""
from __future__ import annotations

import math

import pytest

from rig import msg

import yaml
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParametersAtomically
from sensor_msgs.msg import BatteryState

from topspark_ros.methodology.policy import Reason
from topspark_ros.nodes import qos

CONTROLLER = 'timestep_controller'
NAN = math.nan


def battery(percentage: float = NAN, charge: float = NAN, capacity: float = NAN) -> BatteryState:
    return BatteryState(percentage=percentage, charge=charge, capacity=capacity,
                        design_capacity=NAN)


def setting(decision: msg.TimestepDecision) -> tuple[int, int, bool]:
    return decision.training_timesteps, decision.inference_timesteps, decision.learning


class Controlled:
    """A running controller, with the test in the place of battery, operator and learner."""

    def __init__(self, rig, **parameters):
        self.rig = rig
        self.process = rig.start(CONTROLLER, **{
            'control_period': 0.05, 'min_dwell': 0.0, 'learner_timeout': 60.0, **parameters})
        self.decisions = rig.collect(msg.TimestepDecision, 'timestep_decision', qos.DECISIONS)
        rig.wait_until_active(CONTROLLER)

    def hear_learner(self, power_estimated: float = 0.0) -> None:
        self.rig.publish('snn_learner/status', msg.LearnerStatus(
            frame_rate=20.0, learned_share=1.0, learning=True, power_measured=NAN,
            power_estimated=power_estimated), qos.STATUS)

    def hear_battery(self, state: BatteryState) -> None:
        self.rig.publish('battery_state', state, qos.BATTERY)

    def hear_budget(self, **limits) -> None:
        self.rig.publish('power_budget', msg.PowerBudget(**{
            'power': NAN, 'energy': NAN, 'deadline': NAN, 'min_accuracy': NAN, **limits}),
            qos.STATE)

    def decides(self, reason: Reason) -> msg.TimestepDecision:
        """The last decision, once it has this reason."""
        self.rig.wait_for(lambda: self.decisions and self.decisions[-1].reason == reason,
                          f'{reason.name}, last: {self.decisions[-1:]}')
        return self.decisions[-1]

    def knows_charge(self, value: float) -> None:
        self.rig.wait_for(lambda: self.health('state of charge') == pytest.approx(value, abs=1e-4),
                          f'a state of charge of {value}')

    def health(self, key: str) -> float:
        return float(self.rig.health(CONTROLLER, key) or NAN)


def brought_up(rig, **parameters) -> Controlled:
    """A controller that has heard everybody."""
    controlled = Controlled(rig, **parameters)
    controlled.decides(Reason.STARTUP)
    controlled.hear_learner()
    controlled.decides(Reason.BATTERY_UNKNOWN)
    # Best effort: what comes before discovery is lost, so until it is heard.
    def heard():
        controlled.hear_battery(battery(1.0))
        return controlled.decisions[-1].reason == Reason.SCORE
    rig.wait_for(heard, 'the battery is known')
    return controlled


@pytest.fixture(scope='module')
def controlled(shared_rig):
    # Without a deadband the free setting does not depend on the one before.
    controlled = brought_up(shared_rig, battery_timeout=3600.0, deadband=0.0)
    controlled.free_setting = setting(controlled.decisions[-1])
    return controlled


@pytest.fixture
def unlimited(controlled):
    """The shared controller with its battery full and no limit in force."""
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


@pytest.mark.parametrize('limits, field', [
    (dict(power=-1.0), 'power'), (dict(power=math.inf), 'power'),
    (dict(energy=-1.0), 'energy'), (dict(deadline=0.0), 'deadline'),
    (dict(deadline=-math.inf), 'deadline'), (dict(min_accuracy=1.5), 'min_accuracy')])
def test_a_bad_budget_is_refused_and_the_decision_stays(unlimited, limits, field):
    rig = unlimited.rig
    before = rig.refused(CONTROLLER, 'power_budget')
    unlimited.hear_budget(power=2e-5)
    decision = unlimited.decides(Reason.POWER)
    unlimited.hear_budget(**limits)
    rig.wait_for(lambda: rig.refused(CONTROLLER, 'power_budget') == before + 1)
    assert unlimited.decisions[-1] is decision
    assert unlimited.health('power limit [W]') == pytest.approx(2e-5)
    if not before:      # the line is throttled
        assert f'{rig.namespace}/power_budget: {field}' in unlimited.process.log


@pytest.mark.parametrize('state', [
    battery(1.5), battery(-0.1), battery(math.inf), battery(), battery(charge=3.0, capacity=2.0),
    battery(charge=1.0, capacity=0.0)], ids=lambda state: f'{state.percentage:g},{state.charge:g}')
def test_a_bad_battery_is_refused_and_the_last_charge_stays(unlimited, state):
    rig = unlimited.rig
    before = rig.refused(CONTROLLER, 'battery_state')
    decision = unlimited.decisions[-1]
    unlimited.hear_battery(state)
    rig.wait_for(lambda: rig.refused(CONTROLLER, 'battery_state') == before + 1)
    assert unlimited.decisions[-1] is decision
    unlimited.knows_charge(1.0)


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
    request = SetParametersAtomically.Request(parameters=[Parameter(
        name=name, value=ParameterValue(type=ParameterType.PARAMETER_DOUBLE,
                                        double_value=value))])
    return rig.call(SetParametersAtomically, f'{CONTROLLER}/set_parameters_atomically',
                    request).result


def test_a_parameter_out_of_range_is_refused_with_the_reason(unlimited):
    result = set_parameter(unlimited.rig, 'deadband', 2.0)
    assert not result.successful and 'deadband' in result.reason


def test_a_fixed_parameter_is_refused(unlimited):
    result = set_parameter(unlimited.rig, 'control_period', 1.0)
    assert not result.successful and result.reason


def test_a_changed_weight_changes_the_decision(unlimited):
    thrifty = unlimited.decisions[-1]
    assert set_parameter(unlimited.rig, 'energy_weight_full', 50.0).successful
    unlimited.rig.wait_for(lambda: unlimited.decisions[-1] is not thrifty)
    assert unlimited.decisions[-1].expected_power < thrifty.expected_power
    assert set_parameter(unlimited.rig, 'energy_weight_full', 0.02).successful


# A fresh process each.

def test_a_percentage_of_a_hundred(rig):
    controlled = Controlled(rig, full_percentage=100.0)
    rig.wait_for(lambda: controlled.hear_battery(battery(40.0)) or
                 controlled.health('state of charge') == pytest.approx(0.4))


def test_silence_of_battery_and_learner_has_its_reason_and_ends(rig):
    controlled = brought_up(rig, battery_timeout=0.5, learner_timeout=60.0)
    assert controlled.decides(Reason.BATTERY_UNKNOWN).inference_timesteps > 0
    rig.wait_for(lambda: 'the battery is unknown' in rig.concern(CONTROLLER))

    before = controlled.decisions[-1]
    assert set_parameter(rig, 'learner_timeout', 0.1).successful
    held = controlled.decides(Reason.LEARNER_SILENT)
    assert setting(held) == setting(before)
    assert set_parameter(rig, 'learner_timeout', 60.0).successful
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
    unlimited.hear_budget(energy=1.0)
    unlimited.rig.wait_for(lambda: unlimited.health('energy left [J]') == 1.0, 'the budget')

    def used_up():
        unlimited.hear_learner(power_estimated=10.0)
        return unlimited.decisions[-1].reason == Reason.ENERGY
    unlimited.rig.wait_for(used_up, 'the energy to be used up')
    assert not unlimited.decisions[-1].learning
    unlimited.hear_budget()
    unlimited.decides(Reason.SCORE)
