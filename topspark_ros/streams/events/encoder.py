"""Events to evt3 packets, for cameras that are simulated or whose events are sent on."""

from __future__ import annotations

import numpy as np

from topspark_ros.engine.kernels.compilation import entry_point, kernel

from .decoders import EVENT, EventError
from .kernels import is_wrap

MAX_EVT3_SIDE = 2048  # of a sensor, pixels: coordinates have 11 bits
MAX_WRAPS = 1 << 20  # of the 24-bit clock in one packet: half a year, 4 MB of words

_CLOCK_BITS = 24  # of the sensor's clock, us
_VECTOR_PIXELS = 12  # of one vector word; the one of 8 pixels would never make a packet shorter


class Evt3Encoder:
    """Encodes the events of one camera. Not for use by two threads at once.

    Each packet begins with the time, so that a new decoder gets all its events; it knows their time
    but for a multiple of 2^24 us. A decoder that gets every packet in order counts all wraps of the
    sensor's clock, those between two packets too.

    The kernels are compiled, or loaded from their cache, here. Raises EventError for an impossible
    size.

    Parameters
    ----------
    width, height
        Of the sensor, pixels, 1 to 2048.
    """

    def __init__(self, width: int, height: int) -> None:
        for field, value in (('width', width), ('height', height)):
            if not 1 <= value <= MAX_EVT3_SIDE:
                raise EventError(f'{field} is {value}, accepted is 1 to {MAX_EVT3_SIDE} pixels')
        self._width, self._height = width, height
        self._last: int | None = None  # time of the last event, ns
        self.encode(np.zeros(1, EVENT))
        self._last = None

    def encode(self, events: np.ndarray) -> bytes:
        """One packet, no bytes for no events.

        Parameters
        ----------
        events
            Array of EVENT, contiguous, in order of time within a call and from call to call. Times
            are rounded down to 1 us.

        Raises
        ------
        EventError
            For an event outside the sensor, a polarity other than 0 and 1, a time that goes
            back, and a pause of more than MAX_WRAPS wraps. Nothing has changed then.
        """
        if not len(events):
            return b''
        first, last = events['t'][[0, -1]].tolist()
        since = first if self._last is None else self._last
        if not are_encodable(events, self._width, self._height, since):
            raise EventError(self._complaint(events, since))
        wraps = (last // 1000 >> _CLOCK_BITS) - (since // 1000 >> _CLOCK_BITS)
        if wraps > MAX_WRAPS:
            raise EventError(
                f'events.t goes on from {since} to {last} ns, accepted are '
                f'{MAX_WRAPS} wraps of the clock, one each 2^{_CLOCK_BITS} us'
            )
        words = np.empty(4 * len(events) + 2 * wraps, np.uint16)
        count = encode_evt3(events, since // 1000, words)
        self._last = last
        return words[:count].tobytes()

    def _complaint(self, events: np.ndarray, since: int) -> str:
        """What is wrong with the first event that is rejected."""
        before = np.concatenate(([since], events['t'][:-1]))
        late, unknown = events['t'] < before, events['p'] > 1
        outside = (events['x'] >= self._width) | (events['y'] >= self._height)
        i = np.argmax(late | unknown | outside)
        x, y, p, t = events[['x', 'y', 'p', 't']][i].tolist()
        if late[i]:
            return f'events[{i}].t is {t} ns, accepted is {before[i]} ns, as of the one before, on'
        if unknown[i]:
            return f'events[{i}].p is {p}, accepted is 0 or 1'
        return (
            f'events[{i}] is at x {x}, y {y}, accepted is inside the sensor of '
            f'{self._width} x {self._height} pixels'
        )


@entry_point
def are_encodable(events: np.ndarray, width: int, height: int, since: int) -> bool:
    """Whether all lie inside, have a polarity of 0 or 1, and are in order of time from `since`."""
    is_rejected = False
    for i in range(events.size):
        event = events[i]
        is_rejected |= (event.x >= width) | (event.y >= height) | (event.p > 1) | (event.t < since)
        since = event.t
    return not is_rejected


@kernel
def _put_time_high(words: np.ndarray, n: int, since: int, t: int) -> int:
    """Put TIME_HIGH of `t` for a decoder that is at `since`, both us. Returns the next place.

    Wraps that it would not tell by itself are told before it, each by 4095 and 0.
    """
    high = t >> 12 & 0xFFF
    wraps = (t >> _CLOCK_BITS) - (since >> _CLOCK_BITS)
    if wraps != 1 or not is_wrap(high, since >> 12 & 0xFFF):
        for _ in range(wraps):
            words[n], words[n + 1] = 0x8FFF, 0x8000
            n += 2
    words[n] = 0x8000 | high
    return n + 1


@kernel
def _vector(events: np.ndarray, i: int, first: np.record, base: int, t: int) -> tuple[int, int]:
    """The next vector word's pixels from `base` on, as bits, and the event that comes after them.

    i: where to go on. first: the event whose row and polarity they share, at `t`, us. A decoder
    emits the pixels in ascending order, so events join as long as theirs is.
    """
    bits = 0
    while i < events.size:
        event = events[i]
        place = event.x - base
        if (
            event.y != first.y
            or event.p != first.p
            or event.t >= 1000 * t + 1000
            or place < 0
            or place >= _VECTOR_PIXELS
            or bits >> place
        ):
            break
        bits |= 1 << place
        i += 1
    return bits, i


@entry_point
def encode_evt3(events: np.ndarray, since: int, words: np.ndarray) -> int:
    """Encode one event or more, all encodable, for a decoder that is at `since`, us.

    `words`, uint16, has room for 4 an event and 2 a wrap. Returns the number of words.
    """
    t = events[0].t // 1000
    n = _put_time_high(words, 0, since, t)
    low = y = -1
    i = 0
    while i < events.size:
        event = events[i]
        before, t = t, event.t // 1000
        if t >> 12 != before >> 12:
            n = _put_time_high(words, n, before, t)
        # Written in any case, and kept if new: whether it is cannot be predicted.
        words[n] = 0x6000 | t & 0xFFF
        n += t & 0xFFF != low
        words[n] = event.y
        n += event.y != y
        low, y = t & 0xFFF, event.y

        x, polarity = np.int64(event.x), np.int64(event.p) << 11
        bits, after = _vector(events, i, event, x, t)
        if after == i + 1:
            words[n] = 0x2000 | polarity | x
            n, i = n + 1, after
            continue
        # Base and vector are no longer than two single events, and what follows may join.
        words[n] = 0x3000 | polarity | x
        n += 1
        while bits:
            words[n] = 0x4000 | bits
            n, i, x = n + 1, after, x + _VECTOR_PIXELS
            bits, after = _vector(events, i, event, x, t)
    return n
