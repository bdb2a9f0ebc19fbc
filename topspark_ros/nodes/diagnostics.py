"""A node's health on /diagnostics, once a second, and its count of rejected input.

What goes wrong is a concern for as long as it lasts, or for RECENT_S after it has happened; how
often it did is told as a value.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import count

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.logging import LoggingSeverity
from rclpy.node import Node

from topspark_ros.nodes.clock import ClockWatch
from topspark_ros.nodes.matching import mismatches

PERIOD_S = 1.0
MATCHING_PERIOD = 5  # reports from one look at who is on the topics to the next
REJECT_LOG_PERIOD_S = 5.0
RECENT_S = 10.0  # wall time

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
Report = tuple[bytes, str, Mapping[str, object]]


class Tally:
    """How often something has happened: `total`, and whether it is a concern still: `recent`."""

    def __init__(self) -> None:
        self.total = 0
        self._last_s = 0.0

    def add(self) -> None:
        self.total += 1
        self._last_s = time.monotonic()

    @property
    def recent(self) -> bool:
        return self.total > 0 and time.monotonic() - self._last_s < RECENT_S


class _Complaint(Tally):
    """What is rejected of one field of a topic: logged at once, and while it goes on ever more
    seldom."""

    def __init__(self) -> None:
        super().__init__()
        self._due_s = self._period_s = 0.0

    def repeat(self) -> bool:
        """Once more; whether it is to be logged."""
        now_s = time.monotonic()
        if not self.recent:
            self._due_s, self._period_s = now_s, REJECT_LOG_PERIOD_S
        self.add()
        if now_s < self._due_s:
            return False
        self._due_s, self._period_s = now_s + self._period_s, 2.0 * self._period_s
        return True


class Diagnostics:
    """Publishes `report()`, a (level, message, values) triple, with what concerns every node: the
    rejected input, topics that do not match, and the clock. The worst comes first."""

    def __init__(self, node: Node, report: Callable[[], Report]):
        self._node = node
        self._report = report
        self._rejected: dict[str, Tally] = {}
        self._complaints: dict[tuple[str, str], _Complaint] = {}  # of a topic and a field
        self._clock = ClockWatch(node)
        self._mismatches: list[str] = []  # logged
        self._reports = count()
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # Not of the node's clock: that it does not run is to be told as well.
        self._timer = node.create_timer(
            PERIOD_S, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    @property
    def rejected(self) -> int:
        """Rejected messages since the node started, over all topics."""
        return sum(tally.total for tally in list(self._rejected.values()))

    def reject(self, topic: str, error: Exception | str) -> None:
        """Count one rejected message and say why, beginning with the field: at once, ever more
        seldom while it goes on, and at the debug level every time."""
        tally = self._rejected.setdefault(topic, Tally())
        tally.add()
        field = str(error).split(maxsplit=1)[0]
        due = self._complaints.setdefault((topic, field), _Complaint()).repeat()
        logger = self._node.get_logger()
        if not due and not logger.is_enabled_for(LoggingSeverity.DEBUG):
            return
        line = f'{self._node.resolve_topic_name(topic)}: {error} (rejected so far: {tally.total})'
        if due:
            logger.warning(line)
        else:
            logger.debug(line)

    def publish(self) -> None:
        array = DiagnosticArray(status=[self.status()])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)

    def status(self) -> DiagnosticStatus:
        """What is published next."""
        level, message, reported = self._report()
        # A copy: a worker thread may reject something meanwhile.
        rejected = list(self._rejected.items())
        values = {
            **reported,
            **{f'rejected on {topic}': tally.total for topic, tally in rejected},
        }
        self._clock.update()
        concerns = [
            concern
            for concern, holds in (
                ((level, message), level != OK),
                ((ERROR, self._clock.missing), self._clock.missing),
                ((WARN, self._clock.paused), self._clock.paused),
                ((WARN, 'some input was rejected'), any(tally.recent for _, tally in rejected)),
                *(((WARN, line), True) for line in self._find_mismatches()),
            )
            if holds
        ]
        if concerns:
            level = max(level for level, _ in concerns)
            message = ', '.join(
                text for _, text in sorted(concerns, key=lambda concern: concern[0], reverse=True)
            )
        name = self._node.get_fully_qualified_name().lstrip('/')
        return DiagnosticStatus(
            level=level,
            name=name,
            message=message,
            hardware_id='topspark',
            values=[KeyValue(key=key, value=_text(value)) for key, value in values.items()],
        )

    def _find_mismatches(self) -> list[str]:
        if next(self._reports) % MATCHING_PERIOD:  # to ask the discovery costs most of a report
            return self._mismatches
        before, self._mismatches = self._mismatches, list(mismatches(self._node))
        for line in self._mismatches:
            if line not in before:
                self._node.get_logger().warning(line)
        return self._mismatches


def _text(value: object) -> str:
    return f'{value:.6g}' if isinstance(value, float) else str(value)
