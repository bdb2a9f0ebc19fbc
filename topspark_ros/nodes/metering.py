"""What the learner's meter says, from activation to deactivation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial

from rclpy.subscription import Subscription
from sensor_msgs.msg import BatteryState

from topspark_ros.control.meters import (
    BatteryMeter,
    Meter,
    MeterError,
    MeterSettings,
    open_meter,
)
from topspark_ros.nodes import qos
from topspark_ros.nodes.managed_node import ManagedNode
from topspark_ros.perception.activity import Measured, MeterWindow
from topspark_ros.perception.messages import battery_reading


class Metering:
    """A meter that is read for every status, or that the battery's states feed.

    The battery's states are of the node's clock, which may be a simulation's; all other meters
    are of this machine, and so is their time.

    kind, settings: as of `open_meter`.
    window_s: power and energy a frame are over this time.
    classified: how many frames there were since the meter was opened.

    name: of the meter; empty while nothing is measured.
    fault: why nothing is measured though a meter was asked for; empty otherwise.
    """

    def __init__(
        self,
        node: ManagedNode,
        kind: str,
        settings: MeterSettings,
        window_s: float,
        classified: Callable[[], int],
    ):
        self._node = node
        self._classified = classified
        self._readings = MeterWindow(window_s)
        self._meter: Meter | None = None
        self._battery: Subscription | None = None
        self._rejected = ''  # why the last state of the battery told nothing
        self._warned = ''
        self.name = self.fault = ''
        try:
            meter = self._meter = open_meter(kind, settings)
        except MeterError as error:
            self._fail(error)
            return
        if isinstance(meter, BatteryMeter):
            self._battery = node.create_subscription(
                BatteryState, 'battery_state', partial(self._on_battery, meter), qos.BATTERY
            )
        elif meter is not None:
            self._readings.add(time.monotonic(), 0.0, classified())
            node.get_logger().info('; '.join([f'meter {meter.name}', *meter.reasons]))

    def read(self) -> Measured:
        """What it says now; where it cannot be read, it is tried again the next time."""
        meter, measured = self._meter, Measured()
        if meter is not None:
            try:
                measured = self._read(meter)
            except MeterError as error:
                self._fail(error)
        self.name = '' if meter is None or math.isnan(measured.power_w) else meter.name
        return measured

    def _read(self, meter: Meter) -> Measured:
        now_s = time.monotonic() if self._battery is None else self._node.now_s()
        if self._battery is None:
            self._readings.add(now_s, meter.energy_j(), self._classified())
        measured = self._readings.summary(now_s)
        self.fault = self._warned = ''
        if self._battery is not None and math.isnan(measured.power_w):
            topic = self._battery.topic_name
            self.fault = self._rejected or (
                f'meter battery: no state on {topic} (publishers: '
                f'{self._node.count_publishers(topic)})'
            )
        return measured

    def _on_battery(self, meter: BatteryMeter, state: BatteryState) -> None:
        now_s = self._node.now_s()
        try:
            rejected = meter.measure(now_s, battery_reading(state))
        except MeterError as error:
            self._rejected = str(error)
            self._node.diagnostics.reject('battery_state', error)
            return
        self._rejected = ''
        if rejected:
            self._node.diagnostics.reject('battery_state', rejected)
        self._readings.add(now_s, meter.energy_j(), self._classified())

    def _fail(self, error: MeterError) -> None:
        self.fault = str(error)
        if self.fault != self._warned:
            self._warned = self.fault
            self._node.get_logger().warning(f'{error}; power is estimated')
