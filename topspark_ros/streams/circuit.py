"""Driving along a circle, by the robot's pose."""

from __future__ import annotations

import math

from .panels import Pose

_REACH_M = 0.3  # off the path, a robot heads back to it at 45 degrees
_TURN_GAIN_HZ = 2.0  # rad/s for each rad off the heading
_MAX_TURN = 1.5  # rad/s


class Circuit:
    """A circle around the origin, driven counterclockwise.

    laps: driven so far, backwards negative.
    off_m: outside of the circle at the last pose.
    """

    def __init__(self, radius_m: float) -> None:
        self._radius_m = radius_m
        self._angle: float | None = None
        self.laps = 0.0
        self.off_m = 0.0

    def drive(self, pose: Pose, speed: float) -> tuple[float, float]:
        """The velocity to go on with, forward in m/s and counterclockwise in rad/s.

        speed: along the path, m/s.
        """
        angle = math.atan2(pose.y_m, pose.x_m)
        if self._angle is not None:
            self.laps += math.remainder(angle - self._angle, 2 * math.pi) / (2 * math.pi)
        self._angle = angle
        self.off_m = math.hypot(pose.x_m, pose.y_m) - self._radius_m

        heading = angle + math.pi / 2 + math.atan(self.off_m / _REACH_M)
        error = math.remainder(heading - pose.yaw_rad, 2 * math.pi)
        # Who looks elsewhere turns first.
        forward = speed * max(0.0, math.cos(error))
        turn = forward / self._radius_m + _TURN_GAIN_HZ * error
        return forward, max(-_MAX_TURN, min(_MAX_TURN, turn))
