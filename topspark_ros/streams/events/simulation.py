"""What an event camera would have sent of a sequence of frames, as ESIM and v2e simulate it.

Rebecq et al., ESIM: an Open Event Camera Simulator, CoRL 2018; Hu et al., v2e: From Video Frames
to Realistic DVS Events, CVPR Workshops 2021.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from topspark_ros.engine.kernels.compilation import entry_point, kernel

from .decoders import EVENT, EventError, pixel_count

MAX_INTERVAL_NS = 1_000_000_000  # between two frames: too long to guess what happened meanwhile
MIN_CONTRAST_THRESHOLD = 0.01  # one pixel sends hundreds of events then
MAX_REFRACTORY_S = 1.0
MAX_NOISE_RATE_HZ = 100.0

_LINEAR_BELOW = 20.0  # grey value
_ROOM = 1 << 15  # events; taken at first, and doubled when it is full
_NEVER = np.iinfo(np.int64).max


class EventCamera:
    """Turns frames into events. Not for use by two threads at once.

    Each pixel has a level, at first its log intensity. Between two frames log intensity changes
    linearly in time; whenever it gets `contrast_threshold` away from the level, an event is sent
    and the level follows by as much.

    The kernels are compiled, or loaded from their cache, here. Raises EventError naming the
    argument, its value and what is accepted.

    Parameters
    ----------
    width, height
        Of the sensor, pixels.
    contrast_threshold
        Of both polarities, in natural logarithm: intensity that changes by a factor f makes abs(ln
        f) / contrast_threshold events.
    refractory_s
        A pixel sends nothing for so long after an event; its level follows all the same.
    noise_rate_hz
        Of events that each pixel sends at random, of either polarity, a Poisson process; the level
        does not follow them.
    seed
        Of the noise.

    Attributes
    ----------
    restarts
        Frames that began anew, like the first one, because they were not later than the one before
        or more than MAX_INTERVAL_NS later.
    """

    def __init__(
        self,
        width: int,
        height: int,
        contrast_threshold: float = 0.2,
        refractory_s: float = 0.001,
        noise_rate_hz: float = 0.0,
        seed: int = 0,
    ) -> None:
        pixel_count(width, height)
        for field, value, low, high in (
            ('contrast_threshold', contrast_threshold, MIN_CONTRAST_THRESHOLD, math.inf),
            ('refractory_s', refractory_s, 0, MAX_REFRACTORY_S),
            ('noise_rate_hz', noise_rate_hz, 0, MAX_NOISE_RATE_HZ),
        ):
            if not low <= value <= high:
                raise EventError(f'{field} is {value}, accepted is {low} to {high}')
        self._threshold = float(contrast_threshold)
        self._refractory_ns = round(refractory_s * 1e9)
        self._noise_rate_hz = noise_rate_hz
        self._random = np.random.default_rng(seed)
        self.restarts = 0
        self._time_ns: int | None = None  # of the frame before
        # Log intensity in the frame before and in this one; time of the last event, ns.
        self._before, self._now, self._level = np.zeros((3, height, width))
        self._sent_ns = np.zeros((height, width), np.int64)
        self._find_events(0, 1)

    def observe(self, gray: np.ndarray, t_ns: int) -> np.ndarray:
        """The events since the frame before, in order of time; none if the frame begins anew.

        Returns an array of EVENT, the caller's own. Raises EventError for an array of another
        shape or type and for values below 0 or not finite; nothing has changed then.

        Parameters
        ----------
        gray
            (height, width) uint8, uint16 of 256 times the scale, or float32 of that of uint8.
        t_ns
            Of the frame.
        """
        _log_intensity(self._accepted(gray), self._now)
        before_ns, self._time_ns = self._time_ns, t_ns
        if before_ns is not None and 0 < t_ns - before_ns <= MAX_INTERVAL_NS:
            events = self._find_events(before_ns, t_ns - before_ns)
        else:
            self.restarts += before_ns is not None
            self._level[:] = self._now
            self._sent_ns[:] = t_ns - self._refractory_ns
            events = np.empty(0, EVENT)
        self._before, self._now = self._now, self._before
        return events

    def _accepted(self, gray: np.ndarray) -> np.ndarray:
        if gray.shape != self._level.shape or gray.dtype not in (np.uint8, np.uint16, np.float32):
            height, width = self._level.shape
            raise EventError(
                f'gray is {gray.dtype} of shape {gray.shape}, accepted is uint8, '
                f'uint16 or float32 of shape ({height}, {width})'
            )
        if gray.dtype == np.uint16:
            return gray * np.float32(1 / 256)
        if gray.dtype == np.float32 and not 0 <= gray.min() <= gray.max() < np.inf:
            raise EventError(f'gray is {gray.min()} to {gray.max()}, accepted is 0 or more')
        return gray

    def _find_events(self, start: int, interval: int) -> np.ndarray:
        pixels = self._level.size
        count = self._random.poisson(self._noise_rate_hz * interval * 1e-9 * pixels)
        noise = np.sort(self._random.integers(2 * interval * pixels, size=count))
        events = find_events(
            self._before,
            self._now,
            self._level,
            self._sent_ns,
            noise,
            start,
            interval,
            self._threshold,
            self._refractory_ns,
        )
        return in_order(events, start, interval)


def _log_intensity(gray: np.ndarray, out: np.ndarray) -> None:
    """The logarithm, and its tangent in the dark, where it would turn noise into events."""
    if gray.dtype == np.uint8:
        cv2.LUT(gray, _TABLE, dst=out)
        return
    np.maximum(gray, _LINEAR_BELOW, out=out, dtype=np.float64)
    np.log(out, out=out)
    out += np.minimum(gray, _LINEAR_BELOW, dtype=np.float64) / _LINEAR_BELOW


_TABLE = np.empty(256)
_log_intensity(np.arange(256, dtype=np.float32), _TABLE)


@entry_point
def find_events(
    before: np.ndarray,
    now: np.ndarray,
    level: np.ndarray,
    sent: np.ndarray,
    noise: np.ndarray,
    start: int,
    interval: int,
    threshold: float,
    refractory: int,
) -> np.ndarray:
    """The events of `interval` ns from `start` on, pixel by pixel; `level` and `sent` follow.

    before, now: log intensity at the start and at the end; level: that of the last crossing; sent:
        time of the last event, ns; all (height, width).
    noise: ascending, each (pixel * interval + time since the start) * 2 + polarity.
    """
    events = np.empty(_ROOM, EVENT)
    n = k = 0
    noisy = _pixel_of(noise, k, interval)
    for y in range(now.shape[0]):
        for x in range(now.shape[1]):
            end, memory = now[y, x], level[y, x]
            pixel = y * now.shape[1] + x
            if memory - threshold < end < memory + threshold and pixel != noisy:
                continue
            step = threshold if end > memory else -threshold
            while True:
                crossing = chance = _NEVER
                if memory + step <= end if step > 0 else memory + step >= end:
                    share = (memory + step - before[y, x]) / (end - before[y, x])
                    crossing = int(share * interval)
                if pixel == noisy:
                    chance = noise[k] // 2 % interval
                if crossing == chance == _NEVER:
                    break
                if crossing <= chance:
                    polarity = step > 0
                    memory += step
                else:
                    polarity = noise[k] & 1 == 1
                    k += 1
                    noisy = _pixel_of(noise, k, interval)
                t = start + min(crossing, chance)
                if t - sent[y, x] >= refractory:
                    if n == events.size:
                        full = events
                        events = np.empty(2 * n, EVENT)
                        events[:n] = full
                    event = events[n]
                    event.x, event.y, event.p, event.t = x, y, polarity, t
                    sent[y, x] = t
                    n += 1
            level[y, x] = memory
    return events[:n]


@kernel
def _pixel_of(noise: np.ndarray, k: int, interval: int) -> int:
    """The pixel of noise event k; -1 after the last one."""
    return noise[k] // (2 * interval) if k < noise.size else -1


@entry_point
def in_order(events: np.ndarray, start: int, interval: int) -> np.ndarray:
    """The events sorted by time, stably: two passes of a radix sort."""
    bits = 1
    while interval >> 2 * bits:
        bits += 1
    for shift in (0, bits):
        places = np.zeros((1 << bits) + 1, np.int64)  # where the next event of a digit goes
        for i in range(events.size):
            places[((events[i].t - start) >> shift & (1 << bits) - 1) + 1] += 1
        for digit in range(1 << bits):
            places[digit + 1] += places[digit]
        ordered = np.empty(events.size, EVENT)
        for i in range(events.size):
            digit = (events[i].t - start) >> shift & (1 << bits) - 1
            ordered[places[digit]] = events[i]
            places[digit] += 1
        events = ordered
    return events
