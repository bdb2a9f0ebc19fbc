"""A subscription without a callback: its messages are taken when they are wanted.

An executor wakes, and looks through everything that a node has, for every message; in Python that
costs more than most messages are worth.
"""
from __future__ import annotations

from typing import Generic, Iterator, TypeVar

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile

Message = TypeVar('Message')


class _Unscheduled(CallbackGroup):
    """No executor takes the messages of its subscriptions."""

    def can_execute(self, entity) -> bool:
        return False

    def beginning_execution(self, entity) -> bool:
        return False

    def ending_execution(self, entity) -> None:
        pass


class PolledSubscription(Generic[Message]):
    """What came on a topic, as much of it as the queue of `profile` holds.

    topic: its name, resolved.
    """

    def __init__(self, node: Node, message_type: type[Message], topic: str, profile: QoSProfile):
        self._type, self._depth = message_type, profile.depth
        self._subscription = node.create_subscription(
            message_type, topic, lambda message: None, profile, callback_group=_Unscheduled())
        self.topic = self._subscription.topic_name

    def take(self) -> Iterator[Message]:
        """The messages that have come since, oldest first: no more than the queue holds, so that
        it ends however fast they come."""
        handle = self._subscription.handle
        for _ in range(self._depth):
            taken = handle.take_message(self._type, False)
            if taken is None:
                return
            yield taken[0]
