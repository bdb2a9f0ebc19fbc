"""Tells a lifecycle manager of Nav2 that a node lives: the sending half of a bond of bond_core.

The manager takes a node for dead when its `bond_timeout` passes without a message. We do not
listen to the manager: all nodes of Nav2 share the topic, each sends up to ten messages a second,
and every one would wake Python.
"""

from __future__ import annotations

import math
import uuid
from typing import TYPE_CHECKING

from bond.msg import Status
from rclpy.clock import Clock, ClockType

from topspark_ros.nodes import qos

if TYPE_CHECKING:
    from topspark_ros.nodes.managed_node import ManagedNode


class Heartbeat:
    """From here, within `activate`, until that is undone: then the bond ends.

    period_s: between two messages, above 0; by the clock of the machine, which a simulation does
        not stop.
    """

    def __init__(self, node: ManagedNode, period_s: float) -> None:
        self._node = node
        self._publisher = node.create_publisher(Status, 'bond', qos.STATUS)
        self._status = Status(
            id=node.get_name(),  # as the manager's node_names has it
            instance_id=str(uuid.uuid4()),
            active=True,
            heartbeat_timeout=math.inf,
            heartbeat_period=period_s,
        )
        node.undo_with(self._end)
        node.create_timer(period_s, self._beat, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _beat(self) -> None:
        self._publisher.publish(self._stamped())

    def _end(self) -> None:
        self._status.active = False
        self._node.publish_last(self._publisher, self._stamped())

    def _stamped(self) -> Status:
        self._status.header.stamp = self._node.get_clock().now().to_msg()
        return self._status
