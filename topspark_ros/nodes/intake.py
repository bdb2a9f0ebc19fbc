"""Where the learner's frames come from: camera images, or windows of an event camera.

Both have one interface. Callbacks, or polls, only collect; `take`, called by the worker thread,
does the work.
"""
from __future__ import annotations

import time
from collections import deque
from typing import Callable, NamedTuple, Protocol

import rclpy.event_handler
from event_camera_msgs.msg import EventPacket
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from topspark_ros.nodes import conversions, qos
from topspark_ros.nodes.managed_node import ManagedNode
from topspark_ros.nodes.polling import PolledSubscription
from topspark_ros.perception.online import Sample
from topspark_ros.perception.samples import ImageSamples, push_packet
from topspark_ros.streams.events import EventError, EventSettings, EventStream
from topspark_ros.streams.images import ImageError
from topspark_ros.streams.share import FrameShare
from topspark_ros.streams.slot import LatestSlot

POLL_S = 0.002    # between two looks for packets: a driver sends up to 1000 a second

Share = Callable[[], float]     # of the frames that is to be processed now, 0..1


class Frame(NamedTuple):
    """What is classified at once, and learned later."""

    sample: Sample
    header: Header          # of its result: the stamp is that of the image or of the last event
    begin_ns: int           # host time: a label between begin and stamp is about this frame
    received_s: float       # monotonic


class Intake(Protocol):
    """A subscription, from activation to deactivation.

    topic: its name.
    received, dropped, rejected, skipped: frames since then. Those that were lost on their way
        count as received and dropped, what the share leaves out as received and skipped.
    """

    topic: str
    received: int
    rejected: int
    skipped: int

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

    def __init__(self, node: ManagedNode, compressed: bool, queue_depth: int, share: Share):
        self._node = node
        self._samples = ImageSamples()
        self._share, self._frames = share, FrameShare()
        self._slot = LatestSlot(queue_depth)
        self._lost = 0
        self.received = self.rejected = self.skipped = 0
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
        try:
            sample = self._samples.take(message)
        except ImageError as error:
            self.rejected += 1
            self._node.diagnostics.reject(self.topic, error)
            return None
        return Frame(sample, message.header, conversions.stamp_ns(message.header.stamp),
                     received_s)

    def values(self) -> dict[str, object]:
        return {}

    def close(self) -> None:
        self._slot.close()

    def destroy(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def _on_image(self, message: Image | CompressedImage) -> None:
        self.received += 1
        if self._frames.takes(self._share()):
            self._slot.put((message, time.monotonic()))
        else:
            self.skipped += 1

    def _on_lost(self, event) -> None:
        self.received += event.total_count_change
        self._lost += event.total_count_change


class EventIntake:
    """Windows of an event camera.

    Packets are decoded as they come, since later ones build on them; a learner that falls behind
    drops whole windows, the oldest first. A packet that is refused is no frame: it is counted in
    the diagnostics alone.
    """

    def __init__(self, node: ManagedNode, settings: EventSettings, queue_depth: int,
                 share: Share):
        self._node = node
        self._share, self._frames = share, FrameShare()
        self._stream = EventStream(settings)
        self._windows: deque[Frame] = deque()
        self._queue_depth = queue_depth
        self._closed = False
        self.received = self.dropped = self.rejected = self.skipped = 0
        self._packets = PolledSubscription(node, EventPacket, 'events', qos.EVENTS)
        self.topic = self._packets.topic

    def take(self, timeout_s: float) -> Frame | None:
        until_s = time.monotonic() + timeout_s
        while not self._closed:
            for packet in self._packets.take():
                self._push(packet)
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
        self._packets.destroy()

    def _push(self, packet: EventPacket) -> None:
        try:
            finished = push_packet(self._stream, packet, self._node.get_clock().now().nanoseconds)
        except EventError as error:
            self._node.diagnostics.reject(self.topic, error)
            return
        for seen in finished:
            self.received += 1
            if not self._frames.takes(self._share()):
                self.skipped += 1
                continue
            header = Header(stamp=conversions.stamp(seen.stamp_ns),
                            frame_id=packet.header.frame_id)
            self._windows.append((seen, header, time.monotonic()))
            if len(self._windows) > self._queue_depth:
                self._windows.popleft()
                self.dropped += 1
