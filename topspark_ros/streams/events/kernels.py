"""The compiled decoders: packets of words in, events in a flat array of int64 out.

An event takes two int64: x | y << 16 | polarity << 32, and its time in ns; that is the memory of
one EVENT of decoders.py. Registers and counters live in `state` from packet to packet.

Branches that the data decides at random cost more than all the rest. So the loops advance over
the common sequence of words by arithmetic, and leave anything else to the word-by-word part.
Indices are unsigned: of a signed one Numba tests whether it counts from the end.
"""

from __future__ import annotations

import numpy as np

from topspark_ros.engine.kernels.compilation import entry_point, kernel
from topspark_ros.engine.kernels.vectors import lowest_bit

# Places in `state`: counters (in the order of DecoderCounts), the sensor's size, how many triggers
# the last packet held, registers.
(
    PACKETS,
    WORDS,
    EVENTS,
    TRIGGERS,
    OUTSIDE,
    INVALID,
    UNTIMED,
    EXCESS,
    TRUNCATED,
    WRAPS,
    GAPS,
    LOST_PACKETS,
) = range(12)
WIDTH, HEIGHT, TRIGGERS_NOW = 12, 13, 14
X, Y, POLARITY, TIME_HIGH, TIME_LOW, TIME_VALID, ORDER, EPOCH = range(15, 23)
COUNTERS = slice(PACKETS, LOST_PACKETS + 1)
REGISTERS = slice(X, EPOCH + 1)
STATE_SIZE = EPOCH + 1

MAX_PACKET_EVENTS = 1 << 23  # that are kept of one packet: 134 MB
MAX_PACKET_TRIGGERS = 1 << 16

_0, _1, _2, _3, _7 = (np.uint64(n) for n in (0, 1, 2, 3, 7))
_LAST = np.uint64(MAX_PACKET_EVENTS)  # place in `out` of an event that is not kept
_BLOCK = 256  # events of libcaer that are checked at once: they stay in the first cache
_TIME_STEP_BACK = 10  # a smaller TIME_HIGH of evt3 is a wrap from this difference on
_HALF_CLOCK = 1 << 27  # the same of evt2 and evt21, whose TIME_HIGH has 28 bits
_EVERY_WORD = 0x0001000100010001

# The known codes of words, as bits. OTHERS and CONTINUED (7, 14 and 15 of evt3; 14 and 15 of evt2
# and evt21) hold data of the vendor's own, and are passed over.
_EVT3_CODES = 0b1100010111111101
_EVT2_CODES = 0b1100010100000011


@kernel
def _put(out, n, x, y, polarity, t):
    n = min(n, _LAST)
    out[_2 * n] = x | y << 16 | polarity << 32
    out[_2 * n + _1] = t


@kernel
def _put_trigger(out, count, edge, number, t):
    """Triggers stand at the end of `out`, the last one first. Returns their number."""
    if count < MAX_PACKET_TRIGGERS:
        out[out.size - 2 * count - 2] = edge | number << 8
        out[out.size - 2 * count - 1] = t
    return count + 1


@kernel
def _four(words, i):
    """Words i to i + 3 as one integer; compiles to one load."""
    return (
        np.int64(words[i])
        | np.int64(words[i + _1]) << 16
        | np.int64(words[i + _2]) << 32
        | np.int64(words[i + _3]) << 48
    )


@kernel
def _counted(state, words, events, inside, triggers):
    """The number of events of a packet that are kept, after all of it was counted."""
    kept, state[TRIGGERS_NOW] = min(inside, MAX_PACKET_EVENTS), min(triggers, MAX_PACKET_TRIGGERS)
    state[PACKETS] += 1
    state[WORDS] += words
    state[EVENTS] += kept
    state[TRIGGERS] += state[TRIGGERS_NOW]
    state[OUTSIDE] += events - inside
    state[EXCESS] += inside - kept + triggers - state[TRIGGERS_NOW]
    return kept


@kernel
def is_wrap(high, previous):
    return high < previous and previous - high > _TIME_STEP_BACK


@entry_point
def decode_evt3(words, out, state, time_base):
    """Decode uint16 words, with up to 12 events each. `time_base` is unused.

    `out` has room for the events and the triggers that there may be, as far as they are kept, and
    one event more. Returns the number of events. state[TRIGGERS_NOW] triggers stand at the end of
    `out`, the last one first, each as edge | id << 8 and time. The same holds for all decoders.
    """
    width, height = state[WIDTH], state[HEIGHT]
    x, y, polarity = state[X], state[Y], state[POLARITY]
    high, low, epoch = state[TIME_HIGH], state[TIME_LOW], state[EPOCH]
    valid = state[TIME_VALID] != 0
    size = np.uint64(words.size)
    i = n = _0
    seen = trigger_count = 0

    # Until the time is known all that counts is TIME_HIGH, and TIME_LOW after it.
    high_seen = False
    while i < size and not valid:
        word = np.int64(words[i])
        value = word & 0xFFF
        if word >> 12 == 6:
            low = value
            valid = high_seen
        elif word >> 12 == 8:
            if is_wrap(value, high):
                epoch += 1
                state[WRAPS] += 1
            high = value
            high_seen = True
        else:
            is_known = _EVT3_CODES >> (word >> 12) & 1
            state[UNTIMED] += is_known
            state[INVALID] += 1 - is_known
        i += _1

    base = (epoch << 24 | high << 12) * 1000
    t = base + low * 1000
    repeated = (0x8000 | high) * _EVERY_WORD
    while i < size:
        # TIME_HIGH that says nothing new, up to three times, then TIME_LOW, Y, X.
        while i + _7 <= size:
            difference = _four(words, i) ^ repeated
            i += (
                np.uint64(difference & 0xFFFF == 0)
                + np.uint64(difference & 0xFFFFFFFF == 0)
                + np.uint64(difference & 0xFFFFFFFFFFFF == 0)
            )
            four = _four(words, i)
            if four & 0xF000F000F000 != 0x200000006000:
                break
            t = base + (four & 0xFFF) * 1000
            y = four >> 16 & 0x7FF
            _put(out, n, four >> 32 & 0x7FF, y, four >> 43 & 1, t)
            n += np.uint64((y < height) & (four >> 32 & 0x7FF < width))
            seen += 1
            i += _3

        word = np.int64(words[i])
        code, value = word >> 12, word & 0xFFF
        i += _1
        if code == 2:
            _put(out, n, value & 0x7FF, y, value >> 11, t)
            n += np.uint64((y < height) & (value & 0x7FF < width))
            seen += 1
        elif code == 0:
            y = value & 0x7FF
        elif code == 6:
            t = base + value * 1000
        elif code == 4 or code == 5:
            count = 12 if code == 4 else 8
            value &= (1 << count) - 1
            for bit in range(12):
                is_set = value >> bit & 1
                _put(out, n, x + bit, y, polarity, t)
                n += np.uint64(is_set & (y < height) & (x + bit < width))
                seen += is_set
            x = x + count & 0xFFFF
        elif code == 3:
            x, polarity = value & 0x7FF, value >> 11
        elif code == 8:
            if is_wrap(value, high):
                epoch += 1
                state[WRAPS] += 1
            high = value
            t -= base
            base = (epoch << 24 | high << 12) * 1000
            t += base
            repeated = word * _EVERY_WORD
        elif code == 7 or code >= 14:  # they come in bursts
            while i < size and (words[i] >> 12 == 7 or words[i] >= 0xE000):
                i += _1
        elif code == 10:
            trigger_count = _put_trigger(out, trigger_count, value & 1, value >> 8, t)
        else:
            state[INVALID] += 1
    state[X], state[Y], state[POLARITY] = x, y, polarity
    state[TIME_HIGH], state[TIME_LOW], state[EPOCH] = high, (t - base) // 1000, epoch
    state[TIME_VALID] = valid
    return _counted(state, words.size, seen, np.int64(n), trigger_count)


@kernel
def _time_high(state, value, high, epoch):
    """The epoch with a new TIME_HIGH of evt2 or evt21."""
    wraps = high - value > _HALF_CLOCK
    state[WRAPS] += wraps
    return epoch + wraps


@entry_point
def decode_evt2(words, out, state, time_base):
    """Decode uint32 words, with one event each at most. `time_base` is unused."""
    width, height = state[WIDTH], state[HEIGHT]
    high, epoch = state[TIME_HIGH], state[EPOCH]
    size = np.uint64(words.size)
    i = n = _0
    seen = trigger_count = 0
    while i < size and not state[TIME_VALID]:
        code = np.int64(words[i]) >> 28
        state[TIME_VALID] = code == 8
        is_known = _EVT2_CODES >> code & 1
        state[UNTIMED] += is_known & (code != 8)
        state[INVALID] += 1 - is_known
        i += np.uint64(code != 8)

    while i < size:
        # Events, and TIME_HIGH that goes on.
        while i < size:
            word = np.int64(words[i])
            code, value = word >> 28, word & 0xFFFFFFF
            is_event, is_high = code <= 1, (code == 8) & (value >= high)
            if not is_event | is_high:
                break
            high = value if is_high else high
            x, y = word >> 11 & 0x7FF, word & 0x7FF
            _put(out, n, x, y, code & 1, (epoch << 34 | high << 6 | word >> 22 & 0x3F) * 1000)
            n += np.uint64(is_event & (x < width) & (y < height))
            seen += is_event
            i += _1
        if i == size:
            break

        word = np.int64(words[i])
        code, value = word >> 28, word & 0xFFFFFFF
        i += _1
        if code == 8:
            epoch, high = _time_high(state, value, high, epoch), value
        elif code == 10:
            t = (epoch << 34 | high << 6 | word >> 22 & 0x3F) * 1000
            trigger_count = _put_trigger(out, trigger_count, word & 1, word >> 8 & 0x1F, t)
        elif code < 14:
            state[INVALID] += 1
    state[TIME_HIGH], state[EPOCH] = high, epoch
    return _counted(state, words.size, seen, np.int64(n), trigger_count)


@kernel
def _halves(word, is_below):
    """The head of an evt21 word, made as a word of evt2, and the pixels from its x on."""
    upper, lower = word >> 32 & 0xFFFFFFFF, word & 0xFFFFFFFF
    return (lower, upper) if is_below else (upper, lower)


@kernel
def _order_of_halves(words):
    """1: heads stand above, -1: below, 0: not known. The other half of a TIME_HIGH is empty."""
    above = below = 0
    for word in words:
        upper, lower = _halves(word, False)
        above += (upper >> 28 == 8) & (lower == 0)
        below += (lower >> 28 == 8) & (upper == 0)
    return np.int64(above > below) - np.int64(above < below)


@entry_point
def decode_evt21(words, out, state, time_base):
    """Decode int64 words, with up to 32 events each. `time_base` is unused."""
    width, height = state[WIDTH], state[HEIGHT]
    high, epoch, is_timed = state[TIME_HIGH], state[EPOCH], state[TIME_VALID] != 0
    n = _0
    seen = trigger_count = 0
    if state[ORDER] == 0:
        state[ORDER] = _order_of_halves(words)
    if state[ORDER] == 0:
        state[UNTIMED] += words.size
        return _counted(state, words.size, 0, 0, 0)
    is_below = state[ORDER] < 0
    for word in words:
        head, pixels = _halves(word, is_below)
        code, value = head >> 28, head & 0xFFFFFFF
        t = (epoch << 34 | high << 6 | head >> 22 & 0x3F) * 1000
        if code == 8:
            epoch, high, is_timed = _time_high(state, value, high, epoch), value, True
        elif not _EVT2_CODES >> code & 1:
            state[INVALID] += 1
        elif not is_timed:
            state[UNTIMED] += 1
        elif code <= 1:
            x, y = head >> 11 & 0x7FF, head & 0x7FF
            bits = np.uint64(pixels)
            while bits:
                column = x + np.int64(lowest_bit(bits))
                bits &= bits - _1
                _put(out, n, column, y, code, t)
                n += np.uint64((column < width) & (y < height))
                seen += 1
        elif code == 10:
            trigger_count = _put_trigger(out, trigger_count, head & 1, head >> 8 & 0x1F, t)
    state[TIME_HIGH], state[EPOCH], state[TIME_VALID] = high, epoch, is_timed
    return _counted(state, words.size, seen, np.int64(n), trigger_count)


@entry_point
def decode_libcaer_cmp(words, out, state, time_base):
    """Decode uint16 words, with up to 8 events each."""
    width, height = state[WIDTH], state[HEIGHT]
    x, y, polarity = state[X], state[Y], state[POLARITY]
    size = np.uint64(words.size)
    i = n = _0
    seen = 0
    t = base = time_base
    while i < size:
        # Time low or not, then X, Y.
        while i + _3 <= size:
            word = np.int64(words[i])
            t = base + (word & 0xFFF) * 1000 if word >> 12 == 1 else t
            i += np.uint64(word >> 12 == 1)
            first, second = np.int64(words[i]), np.int64(words[i + _1])
            if (first ^ 0x2000) | (second ^ 0x3000) >= 0x1000:
                break
            x = first & 0x7FF
            _put(out, n, x, second & 0x7FF, second >> 11 & 1, t)
            n += np.uint64((x < width) & (second & 0x7FF < height))
            seen += 1
            i += _2
        if i == size:
            break

        word = np.int64(words[i])
        code, value = word >> 12, word & 0xFFF
        i += _1
        if code == 3:
            _put(out, n, x, value & 0x7FF, value >> 11, t)
            n += np.uint64((x < width) & (value & 0x7FF < height))
            seen += 1
        elif code == 2:
            x = value & 0x7FF
        elif code == 1:
            t = base + value * 1000
        elif code == 0:
            t -= base
            base = time_base + value * 4096000
            t += base
        elif code == 4:
            y, polarity = value & 0x7FF, value >> 11
        elif code == 5:
            for bit in range(8):
                is_set = value >> bit & 1
                _put(out, n, x, y + bit, polarity, t)
                n += np.uint64(is_set & (x < width) & (y + bit < height))
                seen += is_set
            y = y + 8 & 0xFFFF
        else:
            state[INVALID] += 1
    state[X], state[Y], state[POLARITY] = x, y, polarity
    return _counted(state, words.size, seen, np.int64(n), 0)


@kernel
def _decode_clean(words, out, width, height, time_base):
    """Decode without a branch; whether all are valid, inside and in order of time.

    Both coordinates are compared at once: a difference that goes below 0 borrows the bit above it.
    """
    borrow = 0x80008000
    limit = borrow | min(width - 1, 0x7FFF) | min(height - 1, 0x7FFF) << 16
    inside = valid = order = np.int64(-1)
    for i in range(words.size):
        word = words[i]
        position = word >> 17 & 0x7FFF | word << 14 & 0x7FFF0000
        inside &= limit - position
        valid &= word
        out[2 * i] = position | word << 31 & 1 << 32
        out[2 * i + 1] = time_base + (word >> 32) * 1000
    for i in range(1, words.size):
        order &= ~((words[i] >> 32) - (words[i - 1] >> 32))
    return (inside & borrow == borrow) & (valid & 1 == 1) & (order < 0)


@entry_point
def decode_libcaer(words, out, state, time_base):
    """Decode int64 words, with one event each."""
    width, height = state[WIDTH], state[HEIGHT]
    state[EXCESS] += max(words.size - MAX_PACKET_EVENTS, 0)
    words = words[:MAX_PACKET_EVENTS]
    n = seen = 0
    previous = words[0] >> 32 if words.size else 0
    for start in range(0, words.size, _BLOCK):
        block = words[start : start + _BLOCK]
        in_order = block[0] >> 32 >= previous
        previous = block[-1] >> 32
        if in_order and _decode_clean(block, out[2 * n :], width, height, time_base):
            n += block.size
            seen += block.size
            continue
        previous = words[max(start - 1, 0)] >> 32
        for word in block:
            x, y, t = word >> 17 & 0x7FFF, word >> 2 & 0x7FFF, word >> 32
            if t < previous:
                time_base += 1000 << 31
                state[WRAPS] += 1
            previous = t
            if word & 1 == 0:
                state[INVALID] += 1
                continue
            _put(out, np.uint64(n), x, y, word >> 1 & 1, time_base + t * 1000)
            n += (x < width) & (y < height)
            seen += 1
    return _counted(state, words.size, seen, n, 0)


@entry_point
def decode_mono(words, out, state, time_base):
    """Decode int64 words, with one event each."""
    state[EXCESS] += max(words.size - MAX_PACKET_EVENTS, 0)
    words = words[:MAX_PACKET_EVENTS]
    n = _0
    for word in words:
        x, y = word >> 32 & 0xFFFF, word >> 48 & 0x7FFF
        _put(out, n, x, y, word >> 63 & 1, time_base + (word & 0xFFFFFFFF))
        n += np.uint64((x < state[WIDTH]) & (y < state[HEIGHT]))
    return _counted(state, words.size, words.size, np.int64(n), 0)
