"""Battery simulator node: a battery that perception discharges, in compressed time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sensor_msgs.msg import BatteryState

from topspark_ros import msg
from topspark_ros.nodes import conversions, diagnostics, qos
from topspark_ros.nodes.managed_node import ManagedNode, ManagedParameters
from topspark_ros.nodes.parameters import parameter
from topspark_ros.perception.messages import MessageError

SECONDS_AN_HOUR = 3600.0


@dataclass(frozen=True)
class BatterySimulatorParameters(ManagedParameters):
    """Parameters of the battery."""

    capacity: float = parameter(
        0.66,
        'Energy of the full battery (0.66: a CR2032 coin cell).',
        unit='Wh',
        low=1e-6,
        high=1e6,
        fixed=True,
    )
    initial_state_of_charge: float = parameter(
        1.0, 'When activated.', low=0.0, high=1.0, fixed=True
    )
    voltage_empty: float = parameter(
        2.0, 'Voltage at no charge; linear in between.', unit='V', low=0.1, high=1000.0, fixed=True
    )
    voltage_full: float = parameter(
        3.0, 'Voltage at full charge.', unit='V', low=0.1, high=1000.0, fixed=True
    )
    base_load: float = parameter(0.0, 'Drawn besides perception.', unit='W', low=0.0, high=1e5)
    time_compression: float = parameter(
        1.0, 'Seconds of discharge a second of node time.', low=0.0, high=1e9
    )
    rate: float = parameter(
        5.0, 'Battery states a second.', unit='Hz', low=0.1, high=100.0, fixed=True
    )


class BatterySimulator(ManagedNode[BatterySimulatorParameters]):
    """A linear battery under the load that the learner reports.

    ROS Parameters:
        see :class:`BatterySimulatorParameters`, or `ros2 param describe`

    Subscribers:
        * snn_learner/status (topspark_ros/LearnerStatus): measured power, or else estimated

    Publishers:
        * battery_state (sensor_msgs/BatteryState): percentage 0..1, current negative
        * /diagnostics (diagnostic_msgs/DiagnosticArray)
    """

    Parameters = BatterySimulatorParameters

    def __init__(self, **node_options: Any) -> None:
        super().__init__('battery_simulator', **node_options)

    def configure(self) -> None:
        self._publisher = self.create_lifecycle_publisher(BatteryState, 'battery_state', qos.STATUS)

    def activate(self) -> None:
        self._state_of_charge = self.parameters.initial_state_of_charge
        self._perception_w = 0.0
        self._then_s = self.now_s()
        self.create_subscription(
            msg.LearnerStatus, 'snn_learner/status', self._on_status, qos.STATUS
        )
        self.create_timer(1.0 / self.parameters.rate, self._discharge)

    def _on_status(self, message: msg.LearnerStatus) -> None:
        try:
            self._perception_w = conversions.load_w(message)
        except MessageError as error:
            self.diagnostics.reject('snn_learner/status', error)

    def _discharge(self) -> None:
        p = self.parameters
        now_s = self.now_s()
        passed_s = max(0.0, now_s - self._then_s) * p.time_compression
        self._then_s = now_s
        load_w = p.base_load + self._perception_w
        self._state_of_charge = max(
            0.0, self._state_of_charge - load_w * passed_s / (p.capacity * SECONDS_AN_HOUR)
        )

        voltage = p.voltage_empty + self._state_of_charge * (p.voltage_full - p.voltage_empty)
        capacity_ah = p.capacity / ((p.voltage_empty + p.voltage_full) / 2)
        state = BatteryState(
            voltage=voltage,
            current=-load_w / voltage,
            temperature=math.nan,
            charge=self._state_of_charge * capacity_ah,
            capacity=capacity_ah,
            design_capacity=capacity_ah,
            percentage=self._state_of_charge,
            present=True,
            power_supply_status=BatteryState.POWER_SUPPLY_STATUS_DISCHARGING,
            power_supply_health=BatteryState.POWER_SUPPLY_HEALTH_GOOD,
            power_supply_technology=BatteryState.POWER_SUPPLY_TECHNOLOGY_UNKNOWN,
        )
        state.header.stamp = self.get_clock().now().to_msg()
        self._publisher.publish(state)

    def report(self) -> diagnostics.Report:
        empty = self._state_of_charge == 0.0
        return (
            diagnostics.WARN if empty else diagnostics.OK,
            'empty' if empty else 'discharging',
            {
                'state of charge': self._state_of_charge,
                'load [W]': self.parameters.base_load + self._perception_w,
            },
        )
