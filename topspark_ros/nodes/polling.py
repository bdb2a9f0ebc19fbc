"""A subscription without a callback: its messages are taken when they are wanted.

An executor wakes, and looks through everything that a node has, for every message; in Python that
costs more than most messages are worth.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

from rclpy.callback_groups import CallbackGroup
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

Message = TypeVar('Message')


class _Unscheduled(CallbackGroup):
    """No executor takes the messages of its subscriptions."""

    def can_execute(self, entity: object) -> bool:
        return False

    def beginning_execution(self, entity: object) -> bool:
        return False

    def ending_execution(self, entity: object) -> None:
        pass


class PolledSubscription(Generic[Message]):
    """What came on a topic, as much of it as the queue of `profile` holds.

    raw: messages stay serialised, as bytes.

    topic: its name, resolved.
    """

    def __init__(
        self,
        node: Node,
        message_type: type[Message],
        topic: str,
        profile: QoSProfile,
        *,
        raw: bool = False,
    ):
        self._type, self._raw, self._depth = message_type, raw, profile.depth
        self.subscription = node.create_subscription(
            message_type,
            topic,
            lambda message: None,
            profile,
            raw=raw,
            callback_group=_Unscheduled(),
        )
        self.topic = self.subscription.topic_name

    def take(self) -> Iterator[Message]:
        """The messages that have come since, oldest first: no more than the queue holds, so that
        it ends however fast they come."""
        for _ in range(self._depth):
            message = self.take_one()
            if message is None:
                return
            yield message

    def take_one(self) -> Message | None:
        """The oldest message that has come since; None if there is none."""
        taken = self.subscription.handle.take_message(self._type, self._raw)
        return None if taken is None else taken[0]


class Losses:
    """Messages that were lost on their way to a subscription, as far as the middleware knows.

    Asked for, not waited for: an executor that waits for an event of a subscription is woken by
    each of its messages that nobody has taken yet.
    """

    def __init__(self, subscription: Subscription):
        with subscription.handle:
            self._event = rclpy_implementation.EventHandle(
                subscription.handle,
                rclpy_implementation.rcl_subscription_event_type_t.RCL_SUBSCRIPTION_MESSAGE_LOST,
            )
        self._total = 0
        self._lock = threading.Lock()

    @property
    def total(self) -> int:
        with self._lock:
            if self._event is not None:
                with self._event:
                    self._total = self._event.take_event().total_count
            return self._total

    def close(self) -> None:
        """The subscription can go; the total stays."""
        _ = self.total  # counts for the last time
        with self._lock:
            self._event.destroy_when_not_in_use()
            self._event = None
