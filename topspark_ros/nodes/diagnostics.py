"""A node's health on /diagnostics, once a second, and its count of refused input."""
from __future__ import annotations

from collections import Counter
from typing import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

PERIOD_S = 1.0
REJECT_LOG_PERIOD_S = 5.0

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
Report = tuple[bytes, str, dict[str, object]]


class Diagnostics:
    """Publishes `report()`, a (level, message, values) triple, with the refused input added."""

    def __init__(self, node: Node, report: Callable[[], Report]):
        self._node = node
        self._report = report
        self._rejected: Counter[str] = Counter()
        self._logged_ns: dict[str, int] = {}
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._timer = node.create_timer(PERIOD_S, self.publish)

    @property
    def rejected(self) -> int:
        """Refused messages since the node started, over all topics."""
        return self._rejected.total()

    def reject(self, topic: str, error: Exception | str) -> None:
        """Count one refused message and say why, at most once per topic and period."""
        self._rejected[topic] += 1
        now_ns = self._node.get_clock().now().nanoseconds
        last_ns = self._logged_ns.get(topic)
        if last_ns is None or abs(now_ns - last_ns) >= REJECT_LOG_PERIOD_S * 1e9:
            self._logged_ns[topic] = now_ns
            self._node.get_logger().warning(
                f'{self._node.resolve_topic_name(topic)}: {error} '
                f'(refused so far: {self._rejected[topic]})')

    def publish(self) -> None:
        level, message, values = self._report()
        # A copy: a worker thread may refuse something meanwhile.
        rejected = dict(self._rejected)
        values |= {f'refused on {topic}': count for topic, count in rejected.items()}
        name = self._node.get_fully_qualified_name().lstrip('/')
        status = DiagnosticStatus(
            level=level, name=name, message=message, hardware_id='topspark',
            values=[KeyValue(key=key, value=_text(value)) for key, value in values.items()])
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)


def _text(value: object) -> str:
    return f'{value:.6g}' if isinstance(value, float) else str(value)
