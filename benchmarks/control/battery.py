"""The robot's battery and what it says of itself, at times wrongly."""

from __future__ import annotations

import math

from topspark_ros.control.battery import BatteryReading

from .trace import Trace

CAPACITY_AH = 5.0
VOLTAGE_V = 20.0, 25.0  # empty and full
ROBOT_SHARE, PERCEPTION_SHARE = 0.6, 0.2  # of the charge, that the mission takes


class Battery:
    """Drained evenly by the robot, and by perception; told in whole percent, as many are.

    charge: the true state of charge, 0..1.
    """

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self.charge = self._told = 1.0
        self._then_s = self._used_j = 0.0

    def read(self, now_s: float, used_j: float) -> BatteryReading | None:
        """What it says; None: nothing.

        used_j: by perception since the beginning, J.
        """
        trace = self._trace
        elapsed_s = now_s - self._then_s
        taken = (
            ROBOT_SHARE * elapsed_s / trace.duration_s
            + PERCEPTION_SHARE * (used_j - self._used_j) / trace.mission_j
        )
        self._then_s, self._used_j = now_s, used_j
        self.charge = max(0.0, self.charge - taken)
        if not trace.fault('stuck', now_s):
            self._told = round(self.charge, 2)
        if trace.fault('silent', now_s):
            return None
        told = 0.05 if trace.fault('jump', now_s) else self._told
        empty_v, full_v = VOLTAGE_V
        return BatteryReading(
            percentage=math.nan if trace.fault('no percentage', now_s) else told,
            voltage_v=empty_v + told * (full_v - empty_v),
            current_a=-CAPACITY_AH * taken * 3600.0 / elapsed_s if elapsed_s else math.nan,
            charge_ah=CAPACITY_AH * told,
            capacity_ah=CAPACITY_AH,
            design_capacity_ah=CAPACITY_AH,
        )
