"""Encoding evt3: what the decoders read back is what went in, in no more words than needed."""

from bisect import bisect_left
from functools import cache

import numpy as np
import pytest
from event_reference import Evt3
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_event_decoders import EXPECTED, RECORDINGS, high, low, packed, real_bags

from topspark_ros.streams.event_bags import read_packets
from topspark_ros.streams.events import EVENT, EventDecoder, EventError, Evt3Encoder
from topspark_ros.streams.events.encoder import MAX_WRAPS

WRAP_NS = 2**24 * 1000  # of the sensor's clock


def events_of(*fields):
    """Events from (x, y, p, t), t in ns."""
    return np.array([*fields], EVENT)


def as_decoded(events, first):
    """The events as tuples, in us, by the clock of a decoder that has begun at `first`, ns."""
    return [
        (x, y, p, (t // 1000 - (first // WRAP_NS << 24)) * 1000) for x, y, p, t in events.tolist()
    ]


def tuples(events):
    return events[['x', 'y', 'p', 't']].tolist()


# Steps of time within a microsecond, a TIME_LOW, a TIME_HIGH, to a wrap and over several.
STEPS = st.sampled_from(
    [
        0,
        0,
        0,
        1,
        999,
        1000,
        4096_000,
        11 * 4096_000,
        WRAP_NS - 1000,
        WRAP_NS - 5 * 4096_000,
        WRAP_NS,
        WRAP_NS + 5 * 4096_000,
        3 * WRAP_NS,
    ]
)
EVENTS = st.one_of(
    st.tuples(st.integers(0, 2047), st.integers(0, 1023), st.integers(0, 1), STEPS),
    st.tuples(st.integers(2000, 2047), st.integers(0, 1), st.integers(0, 1), STEPS),
).map(lambda event: [event])
RUNS = st.tuples(
    st.lists(st.integers(0, 60), min_size=1, max_size=30),
    st.booleans(),
    st.integers(0, 1),
    STEPS,
).map(
    lambda run: [
        (x, 7, run[2], run[3] if i == 0 else 0)
        for i, x in enumerate(sorted(run[0]) if run[1] else run[0])
    ]
)
PACKETS = st.lists(
    st.lists(st.one_of(EVENTS, RUNS), max_size=12).map(
        lambda parts: [event for part in parts for event in part]
    ),
    max_size=4,
)


@settings(deadline=None)
@given(packets=PACKETS, start=st.integers(-(2**61), 2**61))
@example(packets=[], start=0)
@example(packets=[[], [(1, 2, 1, 0)], []], start=WRAP_NS - 1)
def test_any_events_come_back(packets, start):
    arrays = [events_of(*packet) for packet in packets]
    t = start
    for events in arrays:
        events['t'] = t + np.cumsum(events['t'])
        t = int(events['t'][-1]) if len(events) else t
    first = next((int(events['t'][0]) for events in arrays if len(events)), t)

    encoder = Evt3Encoder(2048, 1024)
    follower, plain = EventDecoder('evt3', 2048, 1024), Evt3(2048, 1024)
    for seq, events in enumerate(arrays):
        payload, expected = encoder.encode(events), as_decoded(events, first)
        assert tuples(follower.decode(payload, seq=seq)[0]) == expected
        assert [(x, y, p, t) for t, x, y, p in plain.decode(payload, 0)[0]] == expected
        if expected:
            newcomer = tuples(EventDecoder('evt3', 2048, 1024).decode(payload)[0])
            lag = expected[0][3] - newcomer[0][3]
            assert lag % WRAP_NS == 0
            assert [(x, y, p, t + lag) for x, y, p, t in newcomer] == expected
    counts = follower.counts
    assert (counts.outside, counts.invalid, counts.truncated, counts.gaps) == (0, 0, 0, 0)
    assert counts.wraps == t // WRAP_NS - first // WRAP_NS


@real_bags
def test_real_bag(name):
    expected = EXPECTED[name]
    camera = expected['width'], expected['height']
    source, encoder = EventDecoder(expected['encoding'], *camera), Evt3Encoder(*camera)
    decoder = EventDecoder('evt3', *camera)
    size = 0
    first = None
    for packet in read_packets(RECORDINGS / name):
        events, _ = source.decode(packet.payload, packet.time_base)
        first = int(events['t'][0]) if first is None else first
        payload = encoder.encode(events)
        decoded, _ = decoder.decode(payload, seq=packet.seq)
        for field in 'xyp':
            np.testing.assert_array_equal(decoded[field], events[field])
        np.testing.assert_array_equal(
            decoded['t'], events['t'] // 1000 * 1000 - first // WRAP_NS * WRAP_NS
        )
        size += len(payload)
    assert decoder.counts.events == expected['cd']['count']
    assert size < expected['payload_bytes']


START = high(0), low(0)


@pytest.mark.parametrize(
    'fields, words',
    [
        ([(3, 2, 1, 5000)], (high(0), low(5), 2, 0x2803)),
        # A word of a time only where it changes.
        (
            [(3, 2, 1, 0), (3, 2, 1, 999), (3, 2, 1, 1000)],
            (*START, 2, 0x2803, 0x2803, low(1), 0x2803),
        ),
        ([(3, 2, 1, 0), (3, 2, 1, 4096_000)], (*START, 2, 0x2803, high(1), 0x2803)),
        ([(3, 2, 1, 0), (3, 2, 1, 4097_000)], (*START, 2, 0x2803, high(1), low(1), 0x2803)),
        # Vectors: of 12 pixels, going on where they ended; another base after a longer hole.
        ([(3, 2, 1, 0), (14, 2, 1, 0)], (*START, 2, 0x3803, 0x4801)),
        ([(3, 2, 1, 0), (15, 2, 1, 0)], (*START, 2, 0x2803, 0x280F)),
        ([(3, 2, 0, 0), (4, 2, 0, 0), (15, 2, 0, 0)], (*START, 2, 0x3003, 0x4003, 0x4001)),
        ([(3, 2, 0, 0), (4, 2, 0, 0), (27, 2, 0, 0)], (*START, 2, 0x3003, 0x4003, 0x201B)),
        ([(x, 2, 0, 0) for x in range(40)], (*START, 2, 0x3000, 0x4FFF, 0x4FFF, 0x4FFF, 0x400F)),
        # No vector over another polarity, row or time, nor against the order.
        ([(3, 2, 0, 0), (4, 2, 1, 0)], (*START, 2, 0x2003, 0x2804)),
        ([(3, 2, 0, 0), (4, 3, 0, 0)], (*START, 2, 0x2003, 3, 0x2004)),
        ([(3, 2, 0, 0), (4, 2, 0, 1000)], (*START, 2, 0x2003, low(1), 0x2004)),
        ([(3, 2, 0, 0), (3, 2, 0, 0)], (*START, 2, 0x2003, 0x2003)),
        ([(4, 2, 0, 0), (3, 2, 0, 0)], (*START, 2, 0x2004, 0x2003)),
        # A wrap that its TIME_HIGH tells, and one that a decoder would not see without more words.
        (
            [(3, 2, 0, WRAP_NS - 1), (3, 2, 0, WRAP_NS)],
            (high(4095), low(4095), 2, 0x2003, high(0), low(0), 0x2003),
        ),
        (
            [(3, 2, 0, 0), (3, 2, 0, WRAP_NS)],
            (*START, 2, 0x2003, high(4095), high(0), high(0), 0x2003),
        ),
    ],
)
def test_words(fields, words):
    assert Evt3Encoder(640, 480).encode(events_of(*fields)) == packed(*words)


@settings(deadline=None)
@given(columns=st.sets(st.integers(0, 80), min_size=1).map(sorted))
def test_no_other_words_are_fewer(columns):

    @cache
    def fewest(i, base):
        """Words for the columns from i on, in a vector that goes on at `base`."""
        if i == len(columns):
            return 0
        x = columns[i]
        words = [1 + fewest(i + 1, -1), 2 + fewest(bisect_left(columns, x + 12), x + 12)]
        if 0 <= base <= x:
            words.append(1 + fewest(bisect_left(columns, base + 12), base + 12))
        return min(words)

    payload = Evt3Encoder(640, 480).encode(events_of(*((x, 0, 0, 0) for x in columns)))
    assert len(payload) // 2 == 3 + fewest(0, -1)


INSIDE = (0, 0, 0, 7)


@pytest.mark.parametrize(
    'fields, message',
    [
        (
            [INSIDE, (640, 0, 0, 7)],
            'events[1] is at x 640, y 0, accepted is inside the sensor of 640 x 480 pixels',
        ),
        (
            [(0, 480, 0, 7)],
            'events[0] is at x 0, y 480, accepted is inside the sensor of 640 x 480 pixels',
        ),
        ([(0, 0, 2, 7)], 'events[0].p is 2, accepted is 0 or 1'),
        ([INSIDE, (0, 0, 0, 6)], 'events[1].t is 6 ns, accepted is 7 ns, as of the one before, on'),
        ([(0, 0, 0, 4)], 'events[0].t is 4 ns, accepted is 5 ns, as of the one before, on'),
        (
            [(0, 0, 0, WRAP_NS * (MAX_WRAPS + 1))],
            f'events.t goes on from 5 to {WRAP_NS * (MAX_WRAPS + 1)} ns, accepted are '
            f'{MAX_WRAPS} wraps '
            'of the clock, one each 2^24 us',
        ),
        (
            [(0, 0, 0, -(2**63)), (0, 0, 0, 2**63 - 1)],
            'events[0].t is -9223372036854775808 ns, accepted is 5 ns, as of the one before, on',
        ),
    ],
)
def test_rejected_and_nothing_changed(fields, message):
    encoder = Evt3Encoder(640, 480)
    encoder.encode(events_of((0, 0, 0, 5)))
    with pytest.raises(EventError) as error:
        encoder.encode(events_of(*fields))
    assert str(error.value) == message
    assert encoder.encode(events_of((1, 0, 0, 5))) == packed(high(0), low(0), 0, 0x2001)


@pytest.mark.parametrize(
    'size, message',
    [
        ((0, 480), 'width is 0, accepted is 1 to 2048 pixels'),
        ((640, 2049), 'height is 2049, accepted is 1 to 2048 pixels'),
    ],
)
def test_a_sensor_that_cannot_be(size, message):
    with pytest.raises(EventError) as error:
        Evt3Encoder(*size)
    assert str(error.value) == message
