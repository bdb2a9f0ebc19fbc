"""Protection of what comes after: stuck pixels and floods are taken out of a stream of events.

Both filters work on packets of any length, before windows, and in sensor time. What they keep does
not depend on where one packet ends and the next one begins.
"""

from __future__ import annotations

import numpy as np

from topspark_ros.engine.kernels.compilation import entry_point, kernel

from .decoders import EVENT, EventError, pixel_count

HOT_RATE_HZ = 100.0  # of one pixel, events a second of sensor time
HOT_PERIOD_NS = 100_000_000  # of sensor time
BURST_NS = 100_000_000  # of sensor time, whose worth of events the limiter lets pass at once
MAX_RATE_HZ = 1e10  # that the limiter's integers have room for

_REACH = 2  # rows and columns around a pixel that are its surroundings
_HOT_RATIO = 8  # of a pixel's events to the mean around it; a line one pixel wide has 6
_NUMBER_SHIFT = 32  # of a count lies the period's number, so that counts need no clearing
_MANY = 1 << 31  # events of one pixel in a period: more than there can be
_EVENT_COST = 1_000_000_000  # of the limiter's bucket: nanoseconds times events a second

_FACTOR, _INCREMENT = 6364136223846793005, 1442695040888963407  # Knuth's generator, modulo 2^64

# Places in the state of HotPixelFilter.
WIDTH, HEIGHT, PERIOD, LEAST, START, NUMBER, CANDIDATES, MASKED = range(8)
# Places in the state of RateLimiter.
RATE, DEPTH, LEVEL, LAST, STARTED, SHARE, THRESHOLD, DRAWN = range(8)


class HotPixelFilter:
    """Discards the events of stuck pixels. Not for use by two threads at once.

    Sensor time is cut into periods, the first one from the first event on. A pixel is hot in a
    period if it sends events at more than `max_rate_hz` and more than 8 times as many as the pixels
    around it (5 x 5) on average: so flicker and texture stay, which cover more than a few pixels. A
    pixel that was hot in one period is masked in the next. It goes on being counted there, so it
    stays masked for as long as it is hot, and comes back by itself.

    An event that is late by up to a period belongs to the present one; where time goes back
    further the sensor has started again: nothing is masked and a first period begins.

    width, height: of the sensor, pixels. Events outside it pass.
    max_rate_hz: of one pixel, events a second of sensor time.
    period_ns: of sensor time.

    discarded: events so far.
    """

    def __init__(
        self,
        width: int,
        height: int,
        max_rate_hz: float = HOT_RATE_HZ,
        period_ns: int = HOT_PERIOD_NS,
    ) -> None:
        pixels = pixel_count(width, height)
        if not 0 < max_rate_hz <= MAX_RATE_HZ:
            raise EventError(
                f'max_rate_hz is {max_rate_hz}, accepted is above 0 up to {MAX_RATE_HZ:g}'
            )
        if period_ns < 1:
            raise EventError(f'period_ns is {period_ns}, accepted is 1 or more')
        self.discarded = 0
        self._counts = np.zeros(pixels, np.int64)
        self._masks = np.zeros(pixels, np.uint8)
        self._candidates, self._masked = np.empty((2, pixels), np.int32)
        self._scratch = np.empty(0, np.int64)
        self._state = np.zeros(MASKED + 1, np.int64)
        self._state[: LEAST + 1] = width, height, period_ns, _min_hot(max_rate_hz, period_ns)
        self.filter(np.empty(0, EVENT))  # compiles, or loads, the kernel

    @property
    def masked(self) -> int:
        """Pixels that are masked at present."""
        return int(self._state[MASKED])

    def filter(self, events: np.ndarray) -> np.ndarray:
        """The events of the pixels that are not masked, in their order.

        events: array of EVENT, contiguous; it is not changed, and returned where all is kept.
        """
        self._scratch = _with_room(self._scratch, events)
        count = drop_masked(
            events.view(np.int64),
            self._scratch,
            self._state,
            self._counts,
            self._masks,
            self._candidates,
            self._masked,
        )
        self.discarded += len(events) - count
        return _kept(events, self._scratch, count)


class RateLimiter:
    """Thins out a stream of events that is too fast. Not for use by two threads at once.

    A bucket holds as many events as 100 ms of sensor time at `max_rate_hz` bring, two at least. An
    event that passes takes one out, and sensor time fills it up again: in any T seconds at most
    `max_rate_hz` x (T + 0.1) events pass. While it is half full or more every event passes, so that
    nothing is discarded before 50 ms' worth too much has come. Below, the share that passes falls
    with the level, from 1 to 0: in a lasting flood one of k events passes. Which one is drawn (with
    a fixed seed): every k-th could be of the same pixels each time that the sensor is read out.

    An event that is late by up to 100 ms fills nothing; where time goes back further the sensor has
    started again, and the bucket stays as full as it is.

    max_rate_hz: events a second of sensor time, rounded down.

    discarded: events so far.
    """

    def __init__(self, max_rate_hz: float) -> None:
        if not 1 <= max_rate_hz <= MAX_RATE_HZ:
            raise EventError(f'max_rate_hz is {max_rate_hz}, accepted is 1 to {MAX_RATE_HZ:g}')
        self.discarded = 0
        self._scratch = np.empty(0, np.int64)
        self._state = np.zeros(DRAWN + 1, np.int64)
        depth = max(int(max_rate_hz) * BURST_NS, 2 * _EVENT_COST)
        self._state[: LEVEL + 1] = int(max_rate_hz), depth, depth
        self._state[THRESHOLD] = depth // 2
        self.filter(np.empty(0, EVENT))  # compiles, or loads, the kernel

    def filter(self, events: np.ndarray) -> np.ndarray:
        """The events that pass, in their order.

        events: array of EVENT, contiguous; it is not changed, and returned where all is kept.
        """
        self._scratch = _with_room(self._scratch, events)
        count = limit_rate(events.view(np.int64), self._scratch, self._state)
        self.discarded += len(events) - count
        return _kept(events, self._scratch, count)


def hot_pixels(counts: np.ndarray, duration_ns: int) -> np.ndarray:
    """The pixels that HotPixelFilter's rule finds in a recording as a whole, the hottest first.

    counts: events of each pixel, (height, width) int64.
    duration_ns: of the recording, sensor time.

    Returns x and y, (pixels, 2) int32.
    """
    height, width = counts.shape
    counts = counts.reshape(-1)
    least = _min_hot(HOT_RATE_HZ, max(duration_ns, HOT_PERIOD_NS))
    found: np.ndarray = np.empty(counts.size, np.int32)
    found = found[: find_hot(counts, width, height, least, found)]
    found = found[np.argsort(-counts[found], kind='stable')]
    return np.stack((found % width, found // width), axis=1)


def _min_hot(max_rate_hz: float, duration_ns: int) -> int:
    """Events of one pixel in `duration_ns` that are more than `max_rate_hz`."""
    return int(min(max_rate_hz * duration_ns / 1e9, _MANY)) + 1


def _with_room(scratch: np.ndarray, events: np.ndarray) -> np.ndarray:
    return scratch if scratch.size >= 2 * len(events) else np.empty(2 * len(events), np.int64)


def _kept(events: np.ndarray, scratch: np.ndarray, count: int) -> np.ndarray:
    # Copied as numbers: structures are copied slowly.
    return events if count == len(events) else scratch[: 2 * count].copy().view(EVENT)


@kernel
def _is_hot(counts: np.ndarray, base: int, pixel: int, width: int, height: int) -> bool:
    """Whether a pixel stands out; a count is what is above `base`, 0 for less."""
    x, y = pixel % width, pixel // width
    around = cells = 0
    for row in range(max(y - _REACH, 0), min(y + _REACH + 1, height)):
        for column in range(max(x - _REACH, 0), min(x + _REACH + 1, width)):
            around += max(counts[row * width + column] - base, 0)
            cells += 1
    own = counts[pixel] - base
    return own * (cells - 1) > _HOT_RATIO * (around - own)


@entry_point
def find_hot(counts: np.ndarray, width: int, height: int, least: int, found: np.ndarray) -> int:
    """Hot pixels of (height * width,) counts, by index; returns how many."""
    count = 0
    for pixel in range(counts.size):
        if counts[pixel] >= least and _is_hot(counts, 0, pixel, width, height):
            found[count] = pixel
            count += 1
    return count


@kernel
def _next_period(
    state: np.ndarray,
    counts: np.ndarray,
    masks: np.ndarray,
    candidates: np.ndarray,
    masked: np.ndarray,
    is_next: bool,
) -> None:
    """Mask the pixels that were hot in the period that ends, none if another one lies between."""
    for i in range(state[MASKED]):
        masks[masked[i]] = 0
    count = 0
    if is_next:
        for pixel in candidates[: state[CANDIDATES]]:
            if _is_hot(counts, state[NUMBER] << _NUMBER_SHIFT, pixel, state[WIDTH], state[HEIGHT]):
                masks[pixel] = 1
                masked[count] = pixel
                count += 1
    state[MASKED] = count
    state[CANDIDATES] = 0
    state[NUMBER] += 1


@entry_point
def drop_masked(
    events: np.ndarray,
    out: np.ndarray,
    state: np.ndarray,
    counts: np.ndarray,
    masks: np.ndarray,
    candidates: np.ndarray,
    masked: np.ndarray,
) -> int:
    """Copy the events of pixels that are not masked; returns how many.

    counts: of each pixel, above the period's number shifted.
    masks: of each pixel, 1 if masked.
    candidates: pixels with enough events in this period. masked: those that are masked.
    """
    width, height, period, start = state[WIDTH], state[HEIGHT], state[PERIOD], state[START]
    least, base = state[LEAST], state[NUMBER] << _NUMBER_SHIFT
    count = 0
    for i in range(events.size // 2):
        word, t = events[2 * i], events[2 * i + 1]
        elapsed = t - start
        if elapsed >= period or elapsed < -period or base == 0:
            is_first = elapsed < -period or base == 0
            _next_period(
                state, counts, masks, candidates, masked, not is_first and elapsed - period < period
            )
            start = t if is_first else start + elapsed // period * period
            base = state[NUMBER] << _NUMBER_SHIFT
        x, y = word & 0xFFFF, word >> 16 & 0xFFFF
        out[2 * count], out[2 * count + 1] = word, t
        if x < width and y < height:
            pixel = y * width + x
            seen = max(counts[pixel], base) + 1
            counts[pixel] = seen
            if seen == base + least:
                candidates[state[CANDIDATES]] = pixel
                state[CANDIDATES] += 1
            count += 1 - masks[pixel]
        else:
            count += 1
    state[START] = start
    return count


@entry_point
def limit_rate(events: np.ndarray, out: np.ndarray, state: np.ndarray) -> int:
    """Copy the events that pass; returns how many. Integers alone: the same on any machine.

    Below half of the depth each event adds the level to `share`, half of the depth is one event
    that passes. It does at a threshold drawn from 1/2 to 3/2 events, another one for each.
    """
    rate, depth, level, last = state[RATE], state[DEPTH], state[LEVEL], state[LAST]
    share, threshold, drawn = state[SHARE], state[THRESHOLD], state[DRAWN]
    half = depth // 2
    fill_time = depth // rate + 1
    if not state[STARTED] and events.size:
        last = events[1]
        state[STARTED] = 1
    count = 0
    for i in range(events.size // 2):
        word, t = events[2 * i], events[2 * i + 1]
        elapsed = t - last
        level = min(level + min(max(elapsed, 0), fill_time) * rate, depth)
        last = t if elapsed > 0 or elapsed < -BURST_NS else last
        share = min(share + min(level, half), depth)
        passes = (level >= half) | (share >= threshold) & (level >= _EVENT_COST)
        share -= half * passes
        level -= _EVENT_COST * passes
        drawn = drawn * _FACTOR + _INCREMENT
        if passes:
            threshold = half // 2 + (half >> 20) * (drawn >> 40 & 0xFFFFF)
        out[2 * count], out[2 * count + 1] = word, t
        count += passes
    state[LEVEL], state[LAST] = level, last
    state[SHARE], state[THRESHOLD], state[DRAWN] = share, threshold, drawn
    return count
