"""Where the learner's frames come from: camera images, or windows of an event camera.

Both have one interface. Callbacks, or polls, only collect; `take`, called by the worker thread,
does the work.
"""
from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple, Protocol

import numpy as np
import rclpy.event_handler
from event_camera_msgs.msg import EventPacket
from rclpy.callback_groups import CallbackGroup
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from topspark_ros.nodes import conversions, qos
from topspark_ros.nodes.managed_node import ManagedNode
from topspark_ros.perception.online import Sample
from topspark_ros.streams.events import EventError, EventSettings, EventStream
from topspark_ros.streams.images import ImageError, decode_compressed, to_gray
from topspark_ros.streams.objects import centre_object
from topspark_ros.streams.slot import LatestSlot

POLL_S = 0.002    # between two looks for packets: a driver sends up to 1000 a second


class Frame(NamedTuple):
    """What is classified at once, and learned later."""

    sample: Sample
    header: Header          # of its result: the stamp is that of the image or of the last event
    begin_ns: int           # host time: a label between begin and stamp is about this frame
    received_s: float       # monotonic


class Intake(Protocol):
    """A subscription, from activation to deactivation.

    topic: its name.
    received, dropped, rejected: frames since then.
    """

    topic: str
    received: int
    rejected: int

    @property
    def dropped(self) -> int: ...

    def take(self, timeout_s: float) -> Frame | None:
        """The next frame; None if none came in time. What is refused is counted."""

    def values(self) -> dict[str, object]:
        """More for the diagnostics."""

    def close(self) -> None:
        """Wake who waits in `take`, and count what is left as dropped."""

    def destroy(self) -> None:
        """End the subscription; nobody may take any more."""


class ImageIntake:
    """Frames of a camera: the latest ones."""

    def __init__(self, node: ManagedNode, compressed: bool, queue_depth: int, size: int):
        self._node = node
        self._size = size
        self._slot = LatestSlot(queue_depth)
        self._last_stamp_ns = 0
        self._lost = 0
        self.received = self.rejected = 0
        events = rclpy.event_handler.SubscriptionEventCallbacks(message_lost=self._on_lost)
        message_type, topic = ((CompressedImage, 'image/compressed') if compressed
                               else (Image, 'image'))
        self._subscription = node.create_subscription(
            message_type, topic, self._on_image, qos.sensor(queue_depth), event_callbacks=events)
        self.topic = self._subscription.topic

    @property
    def dropped(self) -> int:
        return self._slot.dropped + self._lost

    def take(self, timeout_s: float) -> Frame | None:
        taken = self._slot.take(timeout_s)
        if taken is None:
            return None
        message, received_s = taken
        stamp_ns = conversions.stamp_ns(message.header.stamp)
        try:
            if stamp_ns != 0 and stamp_ns == self._last_stamp_ns:
                raise ImageError('header.stamp: the same as of the frame before; accepted: each '
                                 'frame once')
            gray = (decode_compressed(message.format, message.data)
                    if isinstance(message, CompressedImage)
                    else to_gray(message.encoding, message.height, message.width, message.step,
                                 message.is_bigendian, message.data))
        except ImageError as error:
            self.rejected += 1
            self._node.diagnostics.reject(self.topic, error)
            return None
        self._last_stamp_ns = stamp_ns
        return Frame(centre_object(gray, self._size), message.header, stamp_ns, received_s)

    def values(self) -> dict[str, object]:
        return {}

    def close(self) -> None:
        self._slot.close()

    def destroy(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def _on_image(self, message: Image | CompressedImage) -> None:
        self.received += 1
        self._slot.put((message, time.monotonic()))

    def _on_lost(self, event) -> None:
        self._lost += event.total_count_change


class _Unscheduled(CallbackGroup):
    """No executor takes the messages of its subscriptions: that would cost more than decoding."""

    def can_execute(self, entity) -> bool:
        return False

    def beginning_execution(self, entity) -> bool:
        return False

    def ending_execution(self, entity) -> None:
        pass


class EventIntake:
    """Windows of an event camera.

    Packets are decoded as they come, since later ones build on them; a learner that falls behind
    drops whole windows, the oldest first.
    """

    def __init__(self, node: ManagedNode, settings: EventSettings, queue_depth: int):
        self._node = node
        self._stream = EventStream(settings)
        self._windows: deque[Frame] = deque()
        self._queue_depth = queue_depth
        self._closed = False
        self.received = self.dropped = self.rejected = 0
        self._subscription = node.create_subscription(
            EventPacket, 'events', self._push, qos.EVENTS, callback_group=_Unscheduled())
        self.topic = self._subscription.topic

    def take(self, timeout_s: float) -> Frame | None:
        until_s = time.monotonic() + timeout_s
        while not self._closed:
            self._drain()
            if self._windows:
                seen, header, received_s = self._windows.popleft()
                return Frame(seen.view(), header, seen.begin_ns, received_s)
            if time.monotonic() >= until_s:
                break
            time.sleep(POLL_S)
        return None

    def values(self) -> dict[str, object]:
        return {f'events: {name.replace("_", " ")}': value
                for name, value in self._stream.counts._asdict().items()}

    def close(self) -> None:
        self._closed = True
        self.dropped += len(self._windows)
        self._windows.clear()

    def destroy(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def _drain(self) -> None:
        handle = self._subscription.handle
        while (taken := handle.take_message(EventPacket, False)) is not None:
            self._push(taken[0])

    def _push(self, packet: EventPacket) -> None:
        stamp_ns = (conversions.stamp_ns(packet.header.stamp)
                    or self._node.get_clock().now().nanoseconds)
        try:
            finished = self._stream.push(
                packet.encoding, packet.width, packet.height, packet.seq, packet.time_base,
                stamp_ns, np.frombuffer(packet.events, np.uint8))
        except EventError as error:
            self.rejected += 1
            self._node.diagnostics.reject(self.topic, error)
            return
        for seen in finished:
            header = Header(stamp=conversions.stamp(seen.stamp_ns),
                            frame_id=packet.header.frame_id)
            self.received += 1
            self._windows.append((seen, header, time.monotonic()))
            if len(self._windows) > self._queue_depth:
                self._windows.popleft()
                self.dropped += 1
