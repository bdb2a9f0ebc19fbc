"""Whether a node's clock runs: under use_sim_time it is what comes on /clock."""

from __future__ import annotations

import time

from rclpy.node import Node

SILENT_S = 5.0  # wall time without a new time, after which the clock does not run


class ClockWatch:
    """Looks at the clock now and then.

    missing: why there is no time at all, one line; empty while there is.
    paused: the same of a clock that stands still; a simulation may be paused on purpose.
    """

    def __init__(self, node: Node):
        self._node = node
        self._time_ns = 0
        self._since_s = time.monotonic()
        self.missing = self.paused = ''

    def update(self) -> None:
        """To be called once a second or so, whatever the clock says; logs what has changed."""
        clock, now_s = self._node.get_clock(), time.monotonic()
        time_ns = clock.now().nanoseconds
        if not clock.ros_time_is_active or time_ns != self._time_ns:
            if self.missing:
                self._node.get_logger().info('The clock runs.')
            self._time_ns, self._since_s = time_ns, now_s
            self.missing = self.paused = ''
        elif now_s - self._since_s >= SILENT_S:
            self._tell(now_s - self._since_s)

    def _tell(self, silent_s: float) -> None:
        topic = self._node.resolve_topic_name('/clock')
        publishers = f'{topic} (publishers: {self._node.count_publishers(topic)})'
        if self._time_ns:
            self.paused = (
                f'paused: {publishers} stands still at {self._time_ns * 1e-9:.3f} s '
                f'for {silent_s:.0f} s'
            )
            return
        if not self.missing:
            self._node.get_logger().error(
                f'use_sim_time is true, and no time has come on {publishers} for {silent_s:.0f} '
                's: nothing that has a period is done. Publish /clock, or set use_sim_time to '
                'false.'
            )
        self.missing = f'use_sim_time is true, and no time has come on {publishers}'
