"""Where the learner's frames come from: camera images, or windows of an event camera.

Both have one interface. Callbacks, or polls, only collect; `take`, called by the worker thread,
does the work.
"""
from __future__ import annotations

import time
from collections import deque
from typing import Callable, NamedTuple, Protocol

from event_camera_msgs.msg import EventPacket
from rclpy.event_handler import SubscriptionEventCallbacks
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from topspark_ros.nodes import conversions, diagnostics, qos
from topspark_ros.nodes.managed_node import ManagedNode
from topspark_ros.nodes.polling import PolledSubscription
from topspark_ros.nodes.recent import Recent
from topspark_ros.perception.online import Sample
from topspark_ros.perception.samples import ImageSamples, push_packet
from topspark_ros.streams.backlog import Backlog
from topspark_ros.streams.events import EventError, EventSettings, EventStream, StreamCounts
from topspark_ros.streams.images import ImageError
from topspark_ros.streams.share import FrameShare
from topspark_ros.streams.slot import LatestSlot

POLL_S = 0.002    # between two looks for packets: a driver sends up to 1000 a second
TURN_S = 0.1      # of decoding, after which what is finished is classified, and labels are heeded
LEAST_PATIENCE_S = 1.0       # that a packet may wait at least: a machine stalls now and then
MAX_WAITING_BYTES = 1 << 27  # of packets
TURN_BYTES = 1 << 24         # of packets that are received before some are decoded

Share = Callable[[], float]     # of the frames that is to be processed now, 0..1


class Frame(NamedTuple):
    """What is classified at once, and learned later."""

    sample: Sample
    header: Header          # of its result: the stamp is that of the image or of the last event
    begin_ns: int           # host time that it takes, as of OnlineLearner.classify
    end_ns: int
    received_s: float       # monotonic, for the latency


class Intake(Protocol):
    """A subscription, from activation to deactivation, by which the node destroys it.

    topic: its name, resolved.
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

    def fault(self) -> str:
        """What is wrong with what came lately, empty if nothing."""

    def values(self) -> dict[str, object]:
        """More for the diagnostics."""

    def close(self) -> None:
        """Wake who waits in `take`, and count what is left as dropped."""


class ImageIntake:
    """Frames of a camera: the latest ones."""

    def __init__(self, node: ManagedNode, compressed: bool, queue_depth: int, share: Share):
        self._node = node
        self._samples = ImageSamples()
        self._share, self._frames = share, FrameShare()
        self._slot = LatestSlot(queue_depth)
        self._lost = 0
        self.received = self.rejected = self.skipped = 0
        self._name = 'image/compressed' if compressed else 'image'
        events = SubscriptionEventCallbacks(message_lost=self._on_lost,
                                            use_default_callbacks=False)
        self.topic = node.create_subscription(
            CompressedImage if compressed else Image, self._name, self._on_image,
            qos.sensor(queue_depth), event_callbacks=events).topic_name

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
            self._node.diagnostics.reject(self._name, error)
            return None
        stamp_ns = conversions.stamp_ns(message.header.stamp)
        return Frame(sample, message.header, stamp_ns, stamp_ns, received_s)

    def fault(self) -> str:
        return ''

    def values(self) -> dict[str, object]:
        return {}

    def close(self) -> None:
        self._slot.close()

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

    Packets are decoded in their order, since later ones build on them. A learner that falls behind
    drops whole windows, the oldest first; where decoding itself is too slow, packets are discarded
    before it (:class:`Backlog`), and the windows begin anew. What became of packets is told in the
    diagnostics alone: one that is refused or discarded is no frame.
    """

    def __init__(self, node: ManagedNode, settings: EventSettings, queue_depth: int,
                 share: Share):
        self._node = node
        self._share, self._frames = share, FrameShare()
        self._stream = EventStream(settings)
        patience_s = max(LEAST_PATIENCE_S, queue_depth * settings.window_ns * 1e-9)
        self._waiting: Backlog[tuple[EventPacket, float]] = Backlog(patience_s, MAX_WAITING_BYTES)
        self._discarded = self._lost = 0     # packets: before they were decoded, on their way
        self._overruns = 0     # turns that left packets behind in the middleware's queue
        self._recent = Recent(diagnostics.RECENT_S)
        self._windows: deque[Frame] = deque()
        self._queue_depth = queue_depth
        self._closed = False
        self.received = self.dropped = self.rejected = self.skipped = 0
        self._packets = PolledSubscription(node, EventPacket, 'events', qos.EVENTS)
        self.topic = self._packets.topic

    def take(self, timeout_s: float) -> Frame | None:
        end_s = time.monotonic() + timeout_s
        while not self._closed:
            self._collect(time.monotonic())
            self._decode_waiting()
            if self._windows:
                seen, header, received_s = self._windows.popleft()
                return Frame(seen.view(), header, seen.begin_ns, seen.end_ns, received_s)
            if self._waiting or time.monotonic() >= end_s:
                break
            time.sleep(POLL_S)
        if self._closed:
            self.dropped += len(self._windows)
            self._windows.clear()
        return None

    def fault(self) -> str:
        discarded, overruns, *counts = self._recent.rise(
            self._waiting.discarded, self._overruns, *self._counts())
        faults = StreamCounts(*counts).faults()
        if discarded or overruns:
            faults = (f'packets come faster than they are decoded: {discarded:,} were discarded '
                      'before', *faults)
        return f'{self.topic}: {"; ".join(faults)}' if faults else ''

    def values(self) -> dict[str, object]:
        return {f'events: {name.replace("_", " ")}': value
                for name, value in self._counts()._asdict().items()} | {
                    'events: discarded packets': self._waiting.discarded}

    def close(self) -> None:
        self._closed = True

    def _counts(self) -> StreamCounts:
        return self._stream.counts._replace(lost_packets=self._lost)

    def _collect(self, now_s: float) -> None:
        # Packets can come so fast that to receive them takes all the time there is.
        size = 0
        for packet in self._packets.take():
            self._waiting.put((packet, now_s), len(packet.events), now_s)
            size += len(packet.events)
            if self._closed:
                return
            if size > TURN_BYTES:
                self._overruns += 1
                return

    def _decode_waiting(self) -> None:
        end_s = (now_s := time.monotonic()) + TURN_S
        while self._waiting and now_s < end_s and not self._closed:
            self._decode(*self._waiting.take(now_s))
            now_s = time.monotonic()

    def _decode(self, packet: EventPacket, received_s: float) -> None:
        lost = self._stream.counts.lost_packets
        try:
            finished = push_packet(self._stream, packet, self._node.get_clock().now().nanoseconds)
        except EventError as error:
            self._node.diagnostics.reject('events', error)
            return
        # What was discarded here is missing for the decoder as if it had been lost on its way.
        missing = self._stream.counts.lost_packets - lost
        self._lost += max(0, missing - (self._waiting.discarded - self._discarded))
        self._discarded = self._waiting.discarded
        if self._node.debugging:
            self._node.get_logger().debug(
                f'packet {packet.seq}: {len(packet.events)} bytes finish {len(finished)} windows')
        if finished:
            self._waiting.succeed()
        for seen in finished:
            self.received += 1
            if not self._frames.takes(self._share()):
                self.skipped += 1
                continue
            header = Header(stamp=conversions.stamp(seen.stamp_ns),
                            frame_id=packet.header.frame_id)
            self._windows.append((seen, header, received_s))
            if len(self._windows) > self._queue_depth:
                self._windows.popleft()
                self.dropped += 1
