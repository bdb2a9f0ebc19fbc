"""A subscription without a callback: its messages are taken when they are wanted.

An executor wakes, and looks through everything that a node has, for every message; in Python that
costs more than most messages are worth.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from topspark_ros.nodes.arrivals import Arrivals
from topspark_ros.nodes.executor import UnscheduledCallbackGroup
from topspark_ros.nodes.serialised import SerialisedBuffer
from topspark_ros.nodes.wake import Wake

Message = TypeVar('Message')


class _Queue(Generic[Message]):
    """Messages that wait to be taken."""

    _depth: int

    def take_one(self) -> Message | None:
        """The oldest message that has come since; None if there is none."""
        raise NotImplementedError

    def take(self) -> Iterator[Message]:
        """The messages that have come since, oldest first: no more than the queue holds, so that
        it ends however fast they come."""
        for _ in range(self._depth):
            message = self.take_one()
            if message is None:
                return
            yield message


class _Polled(_Queue[Message]):
    """A subscription without a callback, and its queue as deep as `profile` says."""

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        profile: QoSProfile,
        *,
        raw: bool = False,
    ):
        self._depth = profile.depth
        self.subscription = node.create_subscription(
            message_type,
            topic,
            lambda message: None,
            profile,
            raw=raw,
            callback_group=UnscheduledCallbackGroup(),
        )


class PolledSubscription(_Polled[Message]):
    """What came on a topic, as much of it as the queue of `profile` holds."""

    def __init__(
        self, node: Node, message_type: type[Message], topic: str, profile: QoSProfile
    ) -> None:
        super().__init__(node, message_type, topic, profile)
        self._type = message_type

    def take_one(self) -> Message | None:
        taken = self.subscription.handle.take_message(self._type, False)
        return None if taken is None else taken[0]


class SerialisedSubscription(_Polled[memoryview]):
    """The same, serialised: each message in `buffer`, in the place of the one before it."""

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        profile: QoSProfile,
        buffer: SerialisedBuffer,
    ) -> None:
        super().__init__(node, message_type, topic, profile, raw=True)
        self._buffer = buffer

    def take_one(self) -> memoryview | None:
        return self._buffer.take(self.subscription)


class PausableSubscription(_Queue[Message]):
    """A polled subscription that is there only while messages are wanted: one that nobody takes
    costs the middleware as much as any other.

    make: subscribes, with a queue of this depth.
    arrivals: what has come; `wake` is woken for it.
    """

    def __init__(self, node: Node, make: Callable[[], _Polled[Message]], depth: int, wake: Wake):
        self._node, self._make, self._depth = node, make, depth
        self.arrivals = Arrivals(wake)
        self._polled: _Polled[Message] | None = None
        self._losses: Losses | None = None
        self._lost = 0  # of earlier subscriptions
        self._lock = threading.RLock()

    @property
    def lost(self) -> int:
        """Messages that were lost on their way, as far as the middleware knows."""
        with self._lock:
            return self._lost + (0 if self._losses is None else self._losses.total)

    def take_one(self) -> Message | None:
        with self._lock:
            return None if self._polled is None else self._polled.take_one()

    def resume(self) -> bool:
        """Subscribe; whether it was paused, as it is at first."""
        with self._lock:
            if self._polled is not None:
                return False
            self._polled = self._make()
            self._losses = Losses(self._polled.subscription)
            self.arrivals.listen_to(self._polled.subscription)
            return True

    def pause(self) -> None:
        """Unsubscribe; what waits is gone."""
        with self._lock:
            if self._polled is None or self._losses is None:
                return
            self.arrivals.listen_to(None)
            self._losses.close()
            self._lost += self._losses.total
            self._node.destroy_subscription(self._polled.subscription)
            self._polled = self._losses = None


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
