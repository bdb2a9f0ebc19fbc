"""Gazebo's battery: drained in pulses until it has lost what perception reports."""

from __future__ import annotations

import math

from rig import msg

import pytest
from builtin_interfaces.msg import Time
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import BatteryState
from std_msgs.msg import Empty

from topspark_ros.nodes import qos

POWER_LOAD_W = 20.0
STEP_S = 0.02


class Plugin:
    """A battery of 1 V that is drained by POWER_LOAD_W, or not at all."""

    def __init__(self, rig, charge_ah: float = 1.0):
        self._rig = rig
        self.charge_ah = self.full_ah = charge_ah
        self._step = 0
        self._draining = False
        self._told = 0
        self.pulses = 0
        self.states = rig.collect(BatteryState, 'battery_state')
        rig.node.create_subscription(Empty, 'gazebo/battery_drain', lambda _: self._tell(True), 10)
        rig.node.create_subscription(Empty, 'gazebo/battery_rest', lambda _: self._tell(False), 10)

    def _tell(self, draining: bool) -> None:
        self.pulses += draining and not self._draining
        self._draining = draining
        self._told += 1

    @property
    def resting(self) -> bool:
        return not self._draining

    def lost_j(self) -> float:
        return (self.full_ah - self.charge_ah) * 3600

    def send(self) -> None:
        """One state, STEP_S after the one before."""
        self._step += 1
        if self._draining and self.charge_ah > 0.0:  # the last step goes below empty
            self.charge_ah -= POWER_LOAD_W * STEP_S / 3600
        seconds, rest = divmod(self._step * round(STEP_S * 1e9), 10**9)
        state = BatteryState(
            voltage=1.0,
            current=-POWER_LOAD_W,
            charge=self.charge_ah,
            capacity=self.full_ah,
            percentage=100 * self.charge_ah / self.full_ah,
        )
        state.header.stamp = Time(sec=seconds, nanosec=rest)
        self._rig.publish('gazebo/battery_state', state, qos.STATUS)

    def reset(self) -> None:
        """Full, at the beginning of time."""
        self.charge_ah, self._step = self.full_ah, 0

    def step(self) -> None:
        """Send a state, and wait for what is to be done."""
        told = self._told
        self.send()
        self._rig.wait_for(lambda: self._told > told, 'drain or rest')

    def begin(self) -> None:
        """Until both sides have found each other."""
        self._rig.wait_for(
            lambda: (self.send(), self._rig.spin(0.05), self._told)[-1] and self.states
        )


def report(rig, power_w: float, **energy_j) -> None:
    """A learner's status; each one with another power, by which it is seen to have come."""
    rig.publish(
        'snn_learner/status',
        msg.LearnerStatus(power_estimated=power_w, power_measured=math.nan, **energy_j),
        qos.STATUS,
    )
    rig.wait_for(lambda: float(rig.health('gazebo_battery', 'load [W]') or 0) == power_w)


def test_it_loses_what_perception_spends(rig):
    rig.start('gazebo_battery', time_compression=1000.0)
    plugin = Plugin(rig)
    plugin.begin()
    pulse_j = POWER_LOAD_W * STEP_S
    expected_j = 0.0
    report(rig, 0.001, energy_total_estimated=5.0)  # spent before it was watched
    for power_w, total_j, new_j in (
        (0.002, 5.004, 4.0),
        (0.003, 5.01, 6.0),
        (0.004, 0.003, 3.0),
    ):  # activated again
        report(rig, power_w, energy_total_estimated=total_j)
        expected_j += new_j
        for _ in range(30):
            plugin.step()
        assert plugin.lost_j() == pytest.approx(expected_j, abs=2 * pulse_j)
    assert plugin.resting and plugin.pulses == 3
    rig.wait_for(lambda: plugin.states[-1].charge == pytest.approx(plugin.charge_ah))
    assert plugin.states[-1].percentage == pytest.approx(100 * plugin.charge_ah)
    assert plugin.states[-1].current == pytest.approx(-0.004)


def test_measured_energy_counts_before_estimated(rig):
    rig.start('gazebo_battery')
    plugin = Plugin(rig)
    plugin.begin()
    report(rig, 0.001, meter='rapl', energy_total_measured=2.0, energy_total_estimated=0.0)
    report(rig, 0.002, meter='rapl', energy_total_measured=6.0, energy_total_estimated=0.1)
    for _ in range(30):
        plugin.step()
    assert plugin.lost_j() == pytest.approx(4.0, abs=2 * POWER_LOAD_W * STEP_S)


def test_a_base_load_is_drawn_in_pulses(rig):
    rig.start('gazebo_battery', base_load=4.0)
    plugin = Plugin(rig)
    plugin.begin()
    lost_j = plugin.lost_j()
    for _ in range(200):
        plugin.step()
    assert plugin.lost_j() - lost_j == pytest.approx(
        200 * STEP_S * 4.0, abs=2 * POWER_LOAD_W * STEP_S
    )
    assert plugin.pulses > 20


def test_without_a_load_it_rests(rig):
    rig.start('gazebo_battery')
    plugin = Plugin(rig)
    plugin.begin()
    for _ in range(20):
        plugin.step()
    assert plugin.pulses == 0 and plugin.lost_j() == 0


def test_a_load_that_the_plugin_cannot_draw_is_said(rig):
    rig.start('gazebo_battery', base_load=POWER_LOAD_W * 2, time_compression=100.0)
    plugin = Plugin(rig)
    plugin.begin()
    for _ in range(400):
        plugin.step()
    rig.wait_for(lambda: 'power_load' in rig.concern('gazebo_battery'))


def test_an_empty_battery_and_deactivation_end_the_drain(rig):
    rig.start('gazebo_battery', base_load=1.0, time_compression=10.0)
    plugin = Plugin(rig, charge_ah=4.5e-4)
    plugin.begin()
    while plugin.charge_ah > 0:
        plugin.step()
    assert plugin.charge_ah < 0
    plugin.step()
    rig.wait_for(lambda: plugin.resting and plugin.states[-1].charge == 0.0)
    assert plugin.states[-1].percentage == 0.0
    rig.wait_for(lambda: rig.concern('gazebo_battery') == 'empty')

    plugin.charge_ah = 0.4
    rig.wait_for(lambda: (plugin.step(), not plugin.resting)[-1])
    assert rig.transit('gazebo_battery', Transition.TRANSITION_DEACTIVATE)
    rig.wait_for(lambda: plugin.resting)


def test_a_world_that_is_reset_owes_what_was_spent_before(rig):
    rig.start('gazebo_battery', time_compression=1000.0)
    plugin = Plugin(rig)
    plugin.begin()
    report(rig, 0.001, energy_total_estimated=0.0)
    report(rig, 0.002, energy_total_estimated=0.006)
    for _ in range(3):
        plugin.step()
    assert not plugin.resting
    lost_j = plugin.lost_j()
    plugin.reset()
    for _ in range(30):
        plugin.step()
    assert lost_j + plugin.lost_j() == pytest.approx(6.0, abs=2 * POWER_LOAD_W * STEP_S)
    rig.wait_for(
        lambda: plugin.resting and plugin.states[-1].charge == pytest.approx(plugin.charge_ah)
    )


def test_what_makes_no_sense_is_rejected(rig):
    rig.start('gazebo_battery')
    plugin = Plugin(rig)
    plugin.begin()
    rig.publish(
        'snn_learner/status', msg.LearnerStatus(energy_total_estimated=math.nan), qos.STATUS
    )
    rig.wait_for(lambda: rig.rejected('gazebo_battery', 'snn_learner/status') == 1)
    rig.publish('gazebo/battery_state', BatteryState(voltage=math.nan, charge=1.0), qos.STATUS)
    rig.wait_for(lambda: rig.rejected('gazebo_battery', 'gazebo/battery_state') == 1)
