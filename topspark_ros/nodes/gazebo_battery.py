"""Gazebo battery node: Gazebo's battery, discharged by what perception draws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sensor_msgs.msg import BatteryState
from std_msgs.msg import Empty

from topspark_ros import msg
from topspark_ros.errors import TopsparkError
from topspark_ros.nodes import conversions, diagnostics, qos
from topspark_ros.nodes.managed_node import ManagedNode, ManagedParameters
from topspark_ros.nodes.parameters import parameter
from topspark_ros.perception.messages import learner_report, stamp_ns

SECONDS_AN_HOUR = 3600.0
BEHIND_S = 5.0  # of its load, by which a battery that is drained all the time may lag


@dataclass(frozen=True)
class GazeboBatteryParameters(ManagedParameters):
    """Parameters of the load."""

    base_load: float = parameter(0.0, 'Drawn besides perception.', unit='W', low=0.0, high=1e5)
    time_compression: float = parameter(
        1.0, 'Seconds of discharge a second of node time.', low=0.0, high=1e9
    )


class GazeboBattery(ManagedNode[GazeboBatteryParameters]):
    """Drains Gazebo's battery until it has lost the energy that the learner reports.

    Gazebo's LinearBatteryPlugin takes no load at run time: it draws the `power_load` of its SDF,
    or nothing, as two topics say. So it is drained in pulses, by what is still to be drawn: the
    energy that was spent, less what the battery's charge says has been drawn. Energy, because the
    learner's power is over real time, and simulated time may pass more slowly. `power_load` has
    to be above the compressed load.

    ROS Parameters:
        see :class:`GazeboBatteryParameters`, or `ros2 param describe`

    Subscribers:
        * gazebo/battery_state (sensor_msgs/BatteryState): as bridged
        * snn_learner/status (topspark_ros/LearnerStatus): measured energy, or else estimated

    Publishers:
        * battery_state (sensor_msgs/BatteryState): the same, percentage on its scale, it and charge
          from 0; current that of the load, because Gazebo's is that of the pulses
        * gazebo/battery_drain, gazebo/battery_rest (std_msgs/Empty): drain, or do not
        * /diagnostics (diagnostic_msgs/DiagnosticArray)
    """

    Parameters = GazeboBatteryParameters

    def __init__(self, **node_options: Any) -> None:
        super().__init__('gazebo_battery', **node_options)

    def configure(self) -> None:
        self._state = self.create_lifecycle_publisher(BatteryState, 'battery_state', qos.STATUS)
        self._drain = self.create_lifecycle_publisher(Empty, 'gazebo/battery_drain', qos.STATUS)
        self._rest = self.create_lifecycle_publisher(Empty, 'gazebo/battery_rest', qos.STATUS)

    def activate(self) -> None:
        self._perception_w = 0.0
        self._spent_j: float | None = None  # by perception, as reported last
        self._owed_j = 0.0  # of the battery's energy, still to be drawn
        self._last: BatteryState | None = None
        self.undo_with(self.publish_last, self._rest, Empty())
        self.create_subscription(
            BatteryState, 'gazebo/battery_state', self._on_battery, qos.BATTERY
        )
        self.create_subscription(
            msg.LearnerStatus, 'snn_learner/status', self._on_status, qos.STATUS
        )

    @property
    def _load_w(self) -> float:
        return self.parameters.base_load + self._perception_w

    def _on_status(self, message: msg.LearnerStatus) -> None:
        try:
            spent_j = learner_report(message).energy_j
            perception_w = conversions.load_w(message)
        except TopsparkError as error:
            self.diagnostics.reject('snn_learner/status', error)
            return
        if self._spent_j is not None:
            # A learner that was activated again counts anew.
            new_j = spent_j - self._spent_j if spent_j >= self._spent_j else spent_j
            self._owed_j += self.parameters.time_compression * new_j
        self._spent_j = spent_j
        self._perception_w = perception_w

    def _on_battery(self, state: BatteryState) -> None:
        if not (state.voltage > 0.0 and math.isfinite(state.voltage * state.charge)):
            self.diagnostics.reject(
                'gazebo/battery_state',
                (
                    f'voltage, charge: {state.voltage:g}, {state.charge:g}; accepted: finite '
                    'numbers, '
                    'voltage above 0'
                ),
            )
            return
        # The plugin's last step goes below empty, and the battery stays there.
        for field in ('charge', 'percentage'):
            if getattr(state, field) < 0.0:
                setattr(state, field, 0.0)
        if self._last is not None:
            p = self.parameters
            passed_s = 1e-9 * (stamp_ns(state.header.stamp) - stamp_ns(self._last.header.stamp))
            lost_ah = self._last.charge - state.charge
            self._owed_j += (
                max(0.0, passed_s) * p.time_compression * p.base_load
                - max(0.0, lost_ah) * SECONDS_AN_HOUR * state.voltage
            )
        self._last = state
        if state.charge == 0.0:
            self._owed_j = 0.0
        (self._drain if self._owed_j > 0.0 else self._rest).publish(Empty())

        state.current = -self._load_w / state.voltage
        state.power_supply_status = BatteryState.POWER_SUPPLY_STATUS_DISCHARGING
        self._state.publish(state)

    def report(self) -> diagnostics.Report:
        values = {'load [W]': self._load_w, 'still to be drawn [J]': self._owed_j}
        if self._last is None:
            return diagnostics.WARN, 'no battery state has come', values
        if self._last.charge == 0.0:
            return diagnostics.WARN, 'empty', values
        if self._owed_j > BEHIND_S * self._load_w * self.parameters.time_compression > 0.0:
            return diagnostics.WARN, 'the load is above power_load of the battery plugin', values
        return diagnostics.OK, 'discharging', values
