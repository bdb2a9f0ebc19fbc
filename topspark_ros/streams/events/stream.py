"""From the packets of an event camera to windows that a network can look at."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ..objects import framed
from .decoders import EVENT, EVENT_ENCODINGS, Buffer, EventDecoder
from .encoder import Evt3Encoder
from .filtering import HotPixelFilter, RateLimiter
from .views import EventView, EventViewer
from .windows import CountWindows, TimeWindows, Window

_PACKETS = 50  # by which the host's clock is compared with the sensor's
_CLOCK_SET_NS = 500_000_000  # by which they differ more when one of them was set
_LAST_STAMP_NS = 2**31 * 10**9 - 1  # that a message can have


@dataclass(frozen=True)
class EventSettings:
    """How a stream of events is cut and looked at.

    Parameters
    ----------
    window_ns
        Length of a window, sensor time.
    window_events
        0, or events of each window; then windows are as long as they take to come.
    min_events
        A window of time with fewer is skipped: nothing moves in it.
    roi, by_polarity, centring, size, as_picture, whole, max_objects
        As of EventViewer.
    max_rate_hz
        Events a second that pass, as of RateLimiter.
    hot_pixel_rate_hz
        Events a second of a pixel that may be stuck, as of HotPixelFilter.
    """

    window_ns: int
    window_events: int = 0
    min_events: int = 1
    roi: tuple[int, int, int, int] | None = None
    by_polarity: bool = False
    centring: bool = True
    size: int = 28
    as_picture: bool = False
    whole: bool = False
    max_objects: int = 1
    max_rate_hz: float = 5e6
    hot_pixel_rate_hz: float = 100.0


class SeenWindow(NamedTuple):
    """A window, and when the host saw it.

    Host times are what the stamp of a message can be, 0 to 2^31 s, however far off the clocks are.

    Parameters
    ----------
    begin_ns, end_ns
        Host time that it takes, up to before `end_ns`. A window begins where the one before ended,
        unless the sensor was silent, lost packets or started again in between.
    stamp_ns
        Host time of its last event.
    """

    window: Window
    viewer: EventViewer
    begin_ns: int
    end_ns: int
    stamp_ns: int

    def views(self) -> list[EventView]:
        """As of EventViewer."""
        return self.viewer.views(self.window)


class StreamCounts(NamedTuple):
    """What a stream has come to so far.

    Parameters
    ----------
    packets, words, events
        Decoded.
    lost_packets
        Missing by their `seq`.
    truncated, unknown_words, untimed_words, events_outside
        As of DecoderCounts.
    discarded
        Events of stuck pixels, above the rate, too many for a window or a packet, and of windows
        that lost packets left unfinished.
    restarts
        Times that the camera started again, or another one took its place.
    """

    packets: int = 0
    words: int = 0
    events: int = 0
    lost_packets: int = 0
    truncated: int = 0
    unknown_words: int = 0
    untimed_words: int = 0
    events_outside: int = 0
    discarded: int = 0
    restarts: int = 0

    def faults(self) -> tuple[str, ...]:
        """What is wrong with the packets, one line each; none for a camera that is in order.

        A camera whose packets begin to be heard in the middle sends some words before a time.
        """
        return tuple(
            line
            for is_wrong, line in (
                (
                    self.lost_packets,
                    f'{self.lost_packets:,} packets of events are missing by their seq',
                ),
                (
                    self.truncated,
                    f'{self.truncated:,} of {self.packets:,} packets of events end within a word',
                ),
                (
                    self.unknown_words,
                    f'{self.unknown_words:,} of {self.words:,} words of events are unknown',
                ),
                (
                    2 * self.untimed_words > self.words,
                    f'{self.untimed_words:,} of {self.words:,} words of events came before a time',
                ),
                (
                    self.events_outside,
                    f'{self.events_outside:,} of {self.events + self.events_outside:,} events lie '
                    'outside '
                    'the sensor',
                ),
            )
            if is_wrong
        )


class EventStream:
    """The packets of one camera, in order. Not for use by two threads at once."""

    def __init__(self, settings: EventSettings) -> None:
        self._settings = settings
        self._camera: _Camera | None = None
        self._past = StreamCounts()  # of the cameras before

    @property
    def counts(self) -> StreamCounts:
        if self._camera is None:
            return self._past
        return _sum(self._past, self._camera.counts)

    def push(
        self,
        encoding: str,
        width: int,
        height: int,
        seq: int,
        time_base: int,
        stamp_ns: int,
        payload: Buffer,
    ) -> list[SeenWindow]:
        """The windows that a packet finishes.

        encoding, width, height, seq, time_base (ns): fields of the packet.
        stamp_ns: of its header, host time, taken as that of its last event.
        payload: its bytes.

        A packet of another camera starts anew. Raises EventError for an encoding, a sensor or a
        roi that is rejected; the packet is skipped then.
        """
        sensor = encoding, width, height
        if self._camera is None or self._camera.sensor != sensor:
            camera = _Camera(sensor, self._settings)
            if self._camera is not None:
                self._past = self.counts._replace(restarts=self.counts.restarts + 1)
            self._camera = camera
        return self._camera.push(payload, time_base, seq, stamp_ns)


def warm_up(settings: EventSettings) -> None:
    """Compile, or load, the kernels of any stream before its first packet comes."""
    for encoding in EVENT_ENCODINGS:
        EventDecoder(encoding, 64, 64)
    stream = EventStream(
        replace(settings, window_events=min(settings.window_events, 2), min_events=1, roi=None)
    )
    events = np.zeros(2, EVENT)
    events['t'] = 0, 2 * settings.window_ns
    payload = Evt3Encoder(64, 64).encode(events)
    for seen in stream.push('evt3', 64, 64, 0, 0, 0, payload):
        for view in seen.views():
            view.presented(1)
            view.picture()
    some = np.ones((2, 2), np.uint8)  # two events show nothing that could be framed
    framed(some.astype(np.float32), np.inf, some)


class _Camera:
    """Decoder, filters, windows and viewer of one sensor."""

    def __init__(self, sensor: tuple[str, int, int], settings: EventSettings) -> None:
        self.sensor = sensor
        _, width, height = sensor
        self._min_events = 1 if settings.window_events else settings.min_events
        self._viewer = EventViewer(
            width,
            height,
            settings.roi,
            settings.by_polarity,
            settings.centring,
            settings.size,
            settings.as_picture,
            settings.whole,
            settings.max_objects,
        )
        self._hot_pixels = HotPixelFilter(width, height, settings.hot_pixel_rate_hz)
        self._limiter = RateLimiter(settings.max_rate_hz)
        self._windows = (
            CountWindows(settings.window_events)
            if settings.window_events
            else TimeWindows(settings.window_ns)
        )
        self._decoder = EventDecoder(*sensor)
        self._gaps = self._too_many = 0
        self._ahead_ns: deque[int] = deque(maxlen=_PACKETS)  # host time less sensor time
        self._host_end_ns = 0  # of the last window

    @property
    def counts(self) -> StreamCounts:
        decoded = self._decoder.counts
        return StreamCounts(
            decoded.packets,
            decoded.words,
            decoded.events,
            decoded.lost_packets,
            decoded.truncated,
            decoded.invalid,
            decoded.untimed,
            decoded.outside,
            decoded.excess
            + self._hot_pixels.discarded
            + self._limiter.discarded
            + self._windows.discarded
            + self._too_many,
            self._windows.resets,
        )

    def push(self, payload: Buffer, time_base: int, seq: int, stamp_ns: int) -> list[SeenWindow]:
        events, _ = self._decoder.decode(payload, time_base, seq)
        gaps = self._decoder.counts.gaps
        if gaps > self._gaps:
            self._gaps = gaps
            self._windows.reset()
        if not len(events):
            return []
        earlier_ns = min(self._ahead_ns, default=0)
        host_ahead_ns = self._host_ahead_ns(stamp_ns - int(events['t'][-1]))
        was_set, was_open = len(self._ahead_ns) == 1, self._windows.is_open
        resets = self._windows.resets
        finished = self._windows.push(self._limiter.filter(self._hot_pixels.filter(events)))
        self._too_many += sum(window.discarded for window in finished)
        ahead_ns = [host_ahead_ns] * len(finished)
        if finished and was_set and was_open and self._windows.resets == resets:
            ahead_ns[0] = earlier_ns  # it began before a clock was set
        seen = list(map(self._seen, finished, ahead_ns))
        return [window for window in seen if len(window.window.events) >= self._min_events]

    def _host_ahead_ns(self, ahead_ns: int) -> int:
        """Host time less sensor time, from a packet's stamp and its last event.

        A packet may be stamped some time after its last event, never before, so the least of the
        last ones is nearest to the truth, unless one of the clocks was set.
        """
        if self._ahead_ns and abs(ahead_ns - self._ahead_ns[-1]) > _CLOCK_SET_NS:
            self._ahead_ns.clear()
        self._ahead_ns.append(ahead_ns)
        return min(self._ahead_ns)

    def _seen(self, window: Window, host_ahead_ns: int) -> SeenWindow:
        begin_ns, end_ns = window.start + host_ahead_ns, window.end + host_ahead_ns
        if abs(begin_ns - self._host_end_ns) < end_ns - begin_ns:
            begin_ns = self._host_end_ns
        self._host_end_ns = end_ns
        stamp_ns = max(begin_ns, int(window.events['t'][-1]) + host_ahead_ns)
        return SeenWindow(
            window,
            self._viewer,
            *(min(max(time_ns, 0), _LAST_STAMP_NS) for time_ns in (begin_ns, end_ns, stamp_ns)),
        )


def _sum(*counts: StreamCounts) -> StreamCounts:
    return StreamCounts(*map(sum, zip(*counts)))
