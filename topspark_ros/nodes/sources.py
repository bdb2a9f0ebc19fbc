"""Where the learner's frames come from: camera images, or windows of an event camera.

Both have one interface. What arrives stays in the middleware's queue, and is noted; `take`, called
by the worker thread, does the work.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from event_camera_msgs.msg import EventPacket
from sensor_msgs.msg import CompressedImage, Image

from topspark_ros.nodes import conversions, diagnostics, qos
from topspark_ros.nodes.managed_node import ManagedNode
from topspark_ros.nodes.polling import (
    PausableSubscription,
    PolledSubscription,
    SerialisedSubscription,
)
from topspark_ros.nodes.recent import Recent
from topspark_ros.nodes.serialised import SerialisedBuffer
from topspark_ros.nodes.wake import Wake
from topspark_ros.perception.online import Sample
from topspark_ros.perception.samples import ImageSamples, View, push_packet
from topspark_ros.streams import cdr
from topspark_ros.streams.backlog import Backlog
from topspark_ros.streams.colours import Square
from topspark_ros.streams.events import EventError, EventSettings, EventStream, StreamCounts
from topspark_ros.streams.events.stream import SeenWindow
from topspark_ros.streams.images import ImageError
from topspark_ros.streams.share import FrameShare

GATHER_S = 0.002  # in which packets come together: a driver sends up to 1000 a second
TURN_S = 0.1  # of decoding, after which what is finished is classified, and labels are heeded
MIN_PATIENCE_S = 1.0  # that a packet may wait at least: a machine stalls now and then
MAX_WAITING_BYTES = 1 << 27  # of packets
TURN_BYTES = 1 << 24  # of packets that are received before some are decoded


class Frame(NamedTuple):
    """What is classified at once, and learned later."""

    samples: tuple[Sample, ...]  # of its objects, the most salient first
    header: cdr.Header  # of its result: the stamp is that of the image or of the last event
    begin_ns: int  # host time that it takes, as of OnlineLearner.classify
    end_ns: int
    received_s: float  # monotonic, for the latency
    squares: tuple[Square | None, ...]  # of the image or sensor that each is, pixels; None: none
    # For people, (height, width, 3) RGB, until the next frame is taken:
    rgb: Callable[[], np.ndarray]  # all of the frame, or window
    picture: Callable[[], np.ndarray]  # what the network is shown of the first object, uint8


class FrameSource(Protocol):
    """A subscription, from activation to deactivation, by which the node destroys it.

    topic: its name, resolved.
    share: of the frames that come next, 0..1, which is processed.
    received, dropped, rejected, skipped: frames since then. Those that were lost on their way
        count as received and dropped, what the share skips as received and skipped.
    """

    share: float

    @property
    def topic(self) -> str: ...

    @property
    def received(self) -> int: ...

    @property
    def dropped(self) -> int: ...

    @property
    def rejected(self) -> int: ...

    @property
    def skipped(self) -> int: ...

    def take(self, timeout_s: float) -> Frame | None:
        """The next frame; None if none came in time. What is rejected is counted."""

    def fault(self) -> str:
        """What is wrong with what came lately, empty if nothing."""

    def values(self) -> dict[str, object]:
        """More for the diagnostics."""

    def close(self) -> None:
        """Wake who waits in `take`, and count what is left as dropped. For the thread that waits
        it is over then."""


class ImageSource:
    """Frames of a camera: the latest ones.

    They wait in the middleware's queue, serialised. A frame that the share skips is not taken
    from it, unless one behind it is wanted; with a share of 0 none is even received.
    """

    def __init__(
        self, node: ManagedNode, view: View, compressed: bool, queue_depth: int, share: float
    ):
        self._node = node
        self._samples = ImageSamples(view)
        self._name = 'image/compressed' if compressed else 'image'
        self._read = cdr.read_compressed_image if compressed else cdr.read_image
        self._queue_depth = queue_depth
        self._passed = 0  # arrivals that are no longer in the queue, as far as is known
        self._taken = 0  # of those that were chosen
        self._closed = False
        self.rejected = 0
        self._wake = Wake()
        message_type = CompressedImage if compressed else Image
        profile = qos.sensor(queue_depth)
        # Of the source: a frame may still be in work when its subscription goes.
        buffer = self._buffer = SerialisedBuffer()
        self._frames = PausableSubscription(
            node,
            lambda: SerialisedSubscription(node, message_type, self._name, profile, buffer),
            queue_depth,
            self._wake,
        )
        self.topic = node.resolve_topic_name(self._name)
        self._arrivals = self._frames.arrivals
        self._lock = threading.Lock()  # of what waits
        self.share = share
        node.undo_with(self._frames.pause)

    @property
    def share(self) -> float:
        return self._arrivals.share

    @share.setter
    def share(self, share: float) -> None:
        with self._lock:
            self._arrivals.share = share
            if share == 0.0:
                self._frames.pause()
                self._passed = self._arrivals.arrived
            elif not self._closed:
                self._frames.resume()

    @property
    def received(self) -> int:
        return self._arrivals.arrived + self._frames.lost

    @property
    def skipped(self) -> int:
        arrived = self._arrivals.arrived
        return arrived - self._arrivals.chosen_of(arrived)

    @property
    def dropped(self) -> int:
        with self._lock:  # or one that is being taken would count twice
            # Frames may arrive meanwhile: all of it is of one number of them.
            arrived = self._arrivals.arrived
            waiting = 0 if self._closed else len(self._waiting(arrived)[1])
            return self._frames.lost + self._arrivals.chosen_of(arrived) - self._taken - waiting

    def take(self, timeout_s: float) -> Frame | None:
        first, chosen = self._waiting(self._arrivals.arrived)
        if not self._closed and not chosen:
            self._wake.wait(timeout_s)
            first, chosen = self._waiting(self._arrivals.arrived)
        for number in range(first, chosen[-1] + 1 if chosen else first):
            with self._lock:
                if self._closed or number < self._passed:
                    break
                serialised = self._frames.take_one()
                self._passed = number + 1
                if serialised is None or not self._arrivals.is_chosen(number):
                    continue
                self._taken += 1
            return self._frame(serialised, self._arrivals.arrived_s(number))
        return None

    def fault(self) -> str:
        return ''

    def values(self) -> dict[str, object]:
        return {}

    def close(self) -> None:
        self._arrivals.listen_to(None)
        self._closed = True
        self._wake.up()

    def _waiting(self, arrived: int) -> tuple[int, list[int]]:
        """Of so many arrivals those that wait: the first one, and those that are chosen."""
        first = max(self._passed, arrived - self._queue_depth)
        return first, [
            number for number in range(first, arrived) if self._arrivals.is_chosen(number)
        ]

    def _frame(self, serialised: memoryview, received_s: float) -> Frame | None:
        try:
            message = self._read(serialised)
            sights = self._samples.take(message)
        except ImageError as error:
            self.rejected += 1
            self._node.diagnostics.reject(self._name, error)
            return None
        stamp_ns = conversions.stamp_ns(message.header.stamp)
        return Frame(
            tuple(sight.sample for sight in sights),
            message.header,
            stamp_ns,
            stamp_ns,
            received_s,
            tuple(sight.square for sight in sights),
            sights[0].image.rgb,
            sights[0].picture_rgb,
        )


class EventSource:
    """Windows of an event camera.

    Packets are decoded in their order, since later ones build on them. A learner that falls behind
    drops whole windows, the oldest first; where decoding itself is too slow, packets are discarded
    before it (:class:`Backlog`), and the windows begin anew. What became of packets is told in the
    diagnostics alone: one that is rejected or discarded is no frame.
    """

    def __init__(self, node: ManagedNode, settings: EventSettings, queue_depth: int, share: float):
        self._node = node
        self._frames = FrameShare()
        self._stream = EventStream(settings)
        patience_s = max(MIN_PATIENCE_S, queue_depth * settings.window_ns * 1e-9)
        self._waiting: Backlog[tuple[EventPacket, float]] = Backlog(patience_s, MAX_WAITING_BYTES)
        self._discarded = self._lost = 0  # packets: before they were decoded, on their way
        self._overruns = 0  # turns that left packets behind in the middleware's queue
        self._recent = Recent(diagnostics.RECENT_S)
        self._windows: deque[tuple[SeenWindow, cdr.Header, float]] = deque()
        self._queue_depth = queue_depth
        self._closed = False
        self.received = self.dropped = self.rejected = self.skipped = 0
        self._wake = Wake()
        self._packets = PausableSubscription(
            node,
            lambda: PolledSubscription(node, EventPacket, 'events', qos.EVENTS),
            qos.EVENTS.depth,
            self._wake,
        )
        self.topic = node.resolve_topic_name('events')
        self._after_pause = True  # packets that are missing then were not lost
        self.share = share
        node.undo_with(self._packets.pause)

    @property
    def share(self) -> float:
        return self._share

    @share.setter
    def share(self, share: float) -> None:
        self._share = share
        if share == 0.0:
            self._packets.pause()
        elif not self._closed and self._packets.resume():
            self._after_pause = True

    def take(self, timeout_s: float) -> Frame | None:
        end_s = time.monotonic() + timeout_s
        while not self._closed:
            self._collect(time.monotonic())
            self._decode_waiting()
            if self._windows:
                seen, header, received_s = self._windows.popleft()
                views = seen.views()
                return Frame(
                    tuple(views),
                    header,
                    seen.begin_ns,
                    seen.end_ns,
                    received_s,
                    tuple(view.square for view in views),
                    views[0].picture,
                    views[0].picture if len(views) == 1 else views[0].close_up,
                )
            if self._waiting or not self._wake.wait(end_s - time.monotonic()):
                break
            time.sleep(GATHER_S)
        if self._closed:
            self.dropped += len(self._windows)
            self._windows.clear()
        return None

    def fault(self) -> str:
        discarded, overruns, *counts = self._recent.rise(
            self._waiting.discarded, self._overruns, *self._counts()
        )
        faults = StreamCounts(*counts).faults()
        if discarded or overruns:
            faults = (
                f'packets come faster than they are decoded: {discarded:,} were discarded before',
                *faults,
            )
        return f'{self.topic}: {"; ".join(faults)}' if faults else ''

    def values(self) -> dict[str, object]:
        return {
            f'events: {name.replace("_", " ")}': value
            for name, value in self._counts()._asdict().items()
        } | {'events: discarded packets': self._waiting.discarded}

    def close(self) -> None:
        self._packets.arrivals.listen_to(None)
        self._closed = True
        self._wake.up()

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
        missing = 0 if self._after_pause else self._stream.counts.lost_packets - lost
        self._after_pause = False
        self._lost += max(0, missing - (self._waiting.discarded - self._discarded))
        self._discarded = self._waiting.discarded
        if self._node.debugging:
            self._node.get_logger().debug(
                f'packet {packet.seq}: {len(packet.events)} bytes finish {len(finished)} windows'
            )
        if finished:
            self._waiting.succeed()
        for seen in finished:
            self.received += 1
            if not self._frames.takes(self.share):
                self.skipped += 1
                continue
            header = cdr.Header(
                cdr.Time(*divmod(seen.stamp_ns, 1_000_000_000)), packet.header.frame_id
            )
            self._windows.append((seen, header, received_s))
            if len(self._windows) > self._queue_depth:
                self._windows.popleft()
                self.dropped += 1
