"""Event decoders: the real recordings to the last bit, and any bytes against a plain decoder."""

import array
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from event_reference import REFERENCES
from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.engine.kernels.compilation import cache_directory
from topspark_ros.streams.event_bags import read_packets
from topspark_ros.streams.events import EVENT_ENCODINGS, EventDecoder, EventError, kernels

SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data'
RECORDINGS = Path(os.environ.get('TOPSPARK_DATA') or SHARED) / 'events'
EXPECTED = {}
if (RECORDINGS / 'expected.json').is_file():
    EXPECTED = json.loads((RECORDINGS / 'expected.json').read_text())['bags']

real_bags = pytest.mark.parametrize(
    'name',
    sorted(EXPECTED)
    or [
        pytest.param(
            None, marks=pytest.mark.skip(reason=f'no recordings in {RECORDINGS}: set TOPSPARK_DATA')
        )
    ],
)
every_encoding = pytest.mark.parametrize('encoding', EVENT_ENCODINGS)


def decode_all(decoder, packets):
    parts = [decoder.decode(packet.payload, packet.time_base, packet.seq) for packet in packets]
    return [np.concatenate(arrays) for arrays in zip(*parts)]


def tuples(events, triggers):
    return events[['t', 'x', 'y', 'p']].tolist(), triggers[['t', 'edge', 'id']].tolist()


def digest(array_, fields):
    """Of the fields, packed: the layouts of expected.json."""
    packed = np.empty(len(array_), list(fields.items()))
    for field in fields:
        packed[field] = array_[field]
    return hashlib.md5(packed.tobytes()).hexdigest()


@real_bags
def test_real_bag(name):
    expected = EXPECTED[name]
    packets = list(read_packets(RECORDINGS / name))
    assert len(packets) == expected['messages']
    decoder = EventDecoder(expected['encoding'], expected['width'], expected['height'])
    events, triggers = decode_all(decoder, packets)

    cd, trigger = expected['cd'], expected['trigger']
    assert len(events) == cd['count'] and np.count_nonzero(events['p']) == cd['on']
    assert (events['x'].sum(), events['y'].sum()) == (cd['sum_x'], cd['sum_y'])
    assert events['t'].astype(np.uint64).sum() == cd['sum_t_ns_mod_2_64']
    assert (
        digest(events, {'t': '<u8', 'x': '<u2', 'y': '<u2', 'p': 'u1'}) == cd['cd_event_13']['md5']
    )
    assert len(triggers) == trigger['count']
    assert digest(triggers, {'t': '<u8', 'edge': 'u1', 'id': 'u1'}) == trigger['trigger_10']['md5']
    counts = decoder.counts._asdict()
    assert counts.pop('words') > len(events) / 12
    assert [value for value in counts.values() if value] == [
        value for value in (len(packets), len(events), len(triggers)) if value
    ]


def packed(*words):
    return np.array(words, np.uint16).tobytes()


def high(value):
    return 0x8000 | value


def low(value):
    return 0x6000 | value


EVENT_AT_3_2 = packed(high(0), low(5), 0x0002, 0x2803)  # x = 3, y = 2, brighter, at 5 us

# Words whose codes matter, in sequences as cameras send them and as none does.
EVT3_WORDS = st.one_of(
    st.integers(0, 0xFFFF).map(lambda word: [word]),
    st.tuples(st.integers(0, 0xFFF), st.integers(0, 40), st.integers(0, 40)).map(
        lambda fields: [low(fields[0]), fields[1], 0x2000 | fields[2]]
    ),
    st.sampled_from([0, 1, 5, 16, 4095]).flatmap(
        lambda value: st.integers(1, 5).map(lambda repeats: [high(value)] * repeats)
    ),
    st.lists(st.sampled_from([0xE123, 0xF001, 0x7ABC]), min_size=1, max_size=5),
    st.tuples(st.integers(0, 40), st.integers(0, 0xFFF), st.integers(0, 0xFFF)).map(
        lambda fields: [0x3800 | fields[0], 0x4000 | fields[1], 0x5000 | fields[2]]
    ),
    st.integers(0, 0xFFF).map(lambda value: [0xA000 | value]),
)
CMP_WORDS = st.one_of(
    st.integers(0, 0xFFFF).map(lambda word: [word]),
    st.tuples(st.integers(0, 0xFFF), st.integers(0, 40), st.integers(0, 40)).map(
        lambda fields: [0x1000 | fields[0], 0x2800 | fields[1], 0x3800 | fields[2]]
    ),
    st.tuples(st.integers(0, 40), st.integers(0, 40)).map(
        lambda fields: [0x2000 | fields[0], 0x3000 | fields[1]]
    ),
    st.tuples(st.integers(0, 40), st.integers(0, 0xFFF)).map(
        lambda fields: [0x4000 | fields[0], 0x5000 | fields[1]]
    ),
)
LIBCAER_EVENT = st.tuples(
    st.integers(0, 33),
    st.integers(0, 33),
    st.integers(0, 3),
    st.one_of(st.integers(0, 20), st.integers(-(2**31), 2**31 - 1)),
).map(lambda f: f[0] << 17 | f[1] << 2 | f[2] | (f[3] & 0xFFFFFFFF) << 32)


# A head of evt2 and evt21: events and triggers inside and outside, times that wrap, any code.
HEADS = st.one_of(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(0, 1), st.integers(0, 63), st.integers(0, 40), st.integers(0, 40)).map(
        lambda f: f[0] << 28 | f[1] << 22 | f[2] << 11 | f[3]
    ),
    st.sampled_from([0, 1, 5, 2**27, 2**28 - 1]).map(lambda value: 8 << 28 | value),
    st.integers(0, 2**28 - 1).map(lambda value: 10 << 28 | value),
)


@st.composite
def evt21_words(draw):
    """As one camera sends them: all heads above their pixels, or below."""
    words = draw(st.lists(st.tuples(HEADS, st.integers(0, 2**32 - 1)), max_size=20))
    halves = [(head, 0 if head >> 28 == 8 else pixels) for head, pixels in words]
    if draw(st.booleans()):
        halves = [(pixels, head) for head, pixels in halves]
    return [upper << 32 | lower for upper, lower in halves]


def payloads(encoding):
    if encoding == 'evt2':
        whole = st.lists(HEADS, max_size=30).map(lambda w: np.array(w, np.uint32).tobytes())
    elif encoding == 'evt21':
        whole = evt21_words().map(lambda w: np.array(w, np.uint64).tobytes())
    elif encoding in ('evt3', 'libcaer_cmp'):
        words = st.lists(EVT3_WORDS if encoding == 'evt3' else CMP_WORDS, max_size=30)
        whole = words.map(lambda parts: packed(*(word for part in parts for word in part)))
        if encoding == 'evt3':
            whole = st.one_of(whole, whole.map(lambda data: EVENT_AT_3_2 + data))
    else:
        events = LIBCAER_EVENT if encoding == 'libcaer' else st.integers(0, 2**64 - 1)
        whole = st.lists(events, max_size=20).map(lambda w: np.array(w, np.uint64).tobytes())
    return st.one_of(whole, st.tuples(whole, st.binary(max_size=9)).map(b''.join))


@settings(deadline=None, max_examples=150)
@given(data=st.data())
@every_encoding
def test_any_bytes_as_the_plain_decoder(encoding, data):
    decoder, plain = EventDecoder(encoding, 33, 30), REFERENCES[encoding](33, 30)
    for payload in data.draw(st.lists(payloads(encoding), max_size=4)):
        time_base = data.draw(st.integers(0, 2**62))
        events, triggers = decoder.decode(payload, time_base)
        assert tuples(events, triggers) == plain.decode(payload, time_base)


@settings(deadline=None, max_examples=50)
@given(data=st.data())
@every_encoding
def test_any_fields_and_bytes_stay_inside_the_sensor(encoding, data):
    decoder = EventDecoder(encoding, 33, 30)
    total = 0
    for payload in data.draw(st.lists(st.one_of(payloads(encoding), st.binary()), max_size=6)):
        time_base, seq = (data.draw(st.integers(0, 2**64 - 1)) for _ in range(2))
        events, _ = decoder.decode(payload, time_base, seq)
        assert (events['x'] < 33).all() and (events['y'] < 30).all() and (events['p'] < 2).all()
        total += len(events)
    assert decoder.counts.events == total


@real_bags
def test_damaged_real_packets_as_the_plain_decoder(name):
    expected = EXPECTED[name]
    random = np.random.default_rng(0)
    packets = list(read_packets(RECORDINGS / name))
    width, height = expected['width'] // 2, expected['height'] // 2
    decoder = EventDecoder(expected['encoding'], width, height)
    plain = REFERENCES[expected['encoding']](width, height)
    kept = 0
    for index in random.permutation(len(packets))[:30]:
        packet = packets[index]
        payload = bytearray(packet.payload.tobytes())
        for place in random.integers(0, len(payload), random.integers(0, 4)):
            payload[place] = random.integers(256)
        payload = bytes(payload[random.integers(50) : random.integers(len(payload))])
        events, triggers = decoder.decode(payload, packet.time_base)
        assert tuples(events, triggers) == plain.decode(payload, packet.time_base)
        kept += len(events)
    counts = decoder.counts
    assert counts.events == kept
    assert name == 'test_data_mono_cd' or counts.outside > 0 and counts.truncated > 0


@pytest.mark.parametrize('encoding, width', [('evt3', 2048), ('libcaer_cmp', 2048)])
def test_a_split_between_any_two_words_changes_nothing(encoding, width):
    if encoding == 'evt3':
        payload = packed(
            high(1), low(2), 5, 0x2007, 0x3803, 0x4FFF, 0x50FF, high(2), 0xA101, 0x2001
        )
    else:
        payload = packed(0x2007, 0x3805, 0x4003, 0x50FF, 0x50AA, 0x3009)
    expected, triggers = EventDecoder(encoding, width, 9).decode(payload)
    assert len(expected) > 12 or encoding == 'libcaer_cmp'
    for cut in range(4, len(payload), 2):
        decoder = EventDecoder(encoding, width, 9)
        first, second = decoder.decode(payload[:cut]), decoder.decode(payload[cut:])
        np.testing.assert_array_equal(np.concatenate((first[0], second[0])), expected)
        np.testing.assert_array_equal(np.concatenate((first[1], second[1])), triggers)


@every_encoding
def test_a_tail_that_is_no_word_is_dropped_and_counted(encoding):
    decoder = EventDecoder(encoding, 640, 480)
    size = {'evt2': 4, 'evt3': 2, 'libcaer_cmp': 2}.get(encoding, 8)
    for length in range(3 * size + 1):
        decoder.decode(bytes(length))
    assert decoder.counts.truncated == 3 * size + 1 - 4
    assert decoder.counts.packets == 3 * size + 1


def test_outside_and_invalid_are_counted():
    decoder = EventDecoder('evt3', 4, 4)
    events, _ = decoder.decode(
        EVENT_AT_3_2
        + packed(0x2004, 0x0004, 0x2000, 0x3000, 0x4FFF, 0x0001, 0x3002, 0x4FFF, 0x9000, 0x2000)
    )
    assert events[['x', 'y', 'p']].tolist() == [(3, 2, 1), (2, 1, 0), (3, 1, 0), (0, 1, 0)]
    assert decoder.counts.outside == 1 + 1 + 12 + 10 and decoder.counts.invalid == 1

    libcaer = EventDecoder('libcaer', 4, 4)
    events, _ = libcaer.decode(np.array([0, 1, 4 << 17 | 1, 4 << 2 | 1], np.uint64).tobytes())
    assert len(events) == 1
    assert (libcaer.counts.outside, libcaer.counts.invalid) == (2, 1)


# By encoding: the type of its words, how far the code is shifted, codes that mean something, and
# those of them with the vendor's own data.
CODES = {
    'evt2': (np.uint32, 28, {0, 1, 8, 10, 14, 15}, {14, 15}),
    'evt21': (np.uint64, 60, {0, 1, 8, 10, 14, 15}, {14, 15}),
    'evt3': (np.uint16, 12, {0, 2, 3, 4, 5, 6, 7, 8, 10, 14, 15}, {7, 14, 15}),
    'libcaer_cmp': (np.uint16, 12, {0, 1, 2, 3, 4, 5}, set()),
}
TIMED_EVENTS = {
    'evt2': [8 << 28, 7 << 11 | 5, 1 << 28 | 8 << 11 | 5],
    'evt21': [8 << 60, 7 << 43 | 5 << 32 | 3, 1 << 60 | 9 << 43 | 5 << 32 | 1],
    'evt3': [high(0), low(0), 5, 0x2007, 0x2808, 0x3009, 0x4003],
    'libcaer_cmp': [0, 0x1000, 0x2007, 0x3005, 0x3806, 0x4007, 0x5003],
}


@pytest.mark.parametrize(
    'encoding, code',
    [
        (encoding, code)
        for encoding, (_, _, known, vendor) in CODES.items()
        for code in range(16)
        if code not in known - vendor
    ],
)
def test_a_word_that_is_no_event_costs_nothing_but_itself(encoding, code):
    dtype, shift, known, _ = CODES[encoding]
    words = TIMED_EVENTS[encoding]
    expected = EventDecoder(encoding, 640, 480).decode(np.array(words, dtype).tobytes())
    assert len(expected[0]) >= 2
    for value in (0, 0x123, 0xFFF):
        padding = code << shift | value
        padded = [word for each in words for word in (padding, each, padding, padding)]
        decoder = EventDecoder(encoding, 640, 480)
        events, _ = decoder.decode(np.array(padded, dtype).tobytes())
        np.testing.assert_array_equal(events, expected[0])
        is_counted = 0 if code in known else 3 * len(words)
        assert (decoder.counts.invalid, decoder.counts.words) == (is_counted, len(padded))


@pytest.mark.skipif('test_data_evt3_trigger' not in EXPECTED, reason='no recordings')
@pytest.mark.parametrize('code', [1, 7, 9, 11, 12, 13, 14, 15])
def test_a_real_bag_with_padding_keeps_its_events(code):
    known = CODES['evt3'][2]
    packets = list(read_packets(RECORDINGS / 'test_data_evt3_trigger'))
    decoder = EventDecoder(packets[0].encoding, packets[0].width, packets[0].height)
    padding = 0
    parts = []
    for packet in packets:
        words = np.frombuffer(packet.payload, np.uint16)
        places = np.arange(0, words.size + 1, 40)
        padding += places.size
        padded = np.insert(words, places, code << 12 | 0x5A5)
        parts.append(decoder.decode(padded.tobytes(), packet.time_base, packet.seq)[0])
    cd = EXPECTED['test_data_evt3_trigger']['cd']
    events = np.concatenate(parts)
    assert (
        digest(events, {'t': '<u8', 'x': '<u2', 'y': '<u2', 'p': 'u1'}) == cd['cd_event_13']['md5']
    )
    assert decoder.counts.invalid == (0 if code in known else padding)


def test_words_before_the_time_is_known_are_counted():
    for encoding, words in TIMED_EVENTS.items():
        dtype, shift, known, _ = CODES[encoding]
        decoder = EventDecoder(encoding, 640, 480)
        unknown = 13 << shift
        events, _ = decoder.decode(np.array(words[2:] + [unknown], dtype).tobytes())
        if encoding == 'libcaer_cmp':  # its time_base is enough
            continue
        assert not len(events)
        counts = decoder.counts
        if encoding == 'evt21':  # without a TIME_HIGH even the codes are not known
            assert (counts.untimed, counts.invalid) == (len(words) - 1, 0)
        else:
            assert (counts.untimed, counts.invalid) == (len(words) - 2, 1)


def evt2_word(code, low_bits, x, y):
    return code << 28 | low_bits << 22 | x << 11 | y


def test_events_and_triggers_of_evt2():
    decoder = EventDecoder('evt2', 1280, 720)
    words = np.array(
        [
            8 << 28 | 0xABCDEF0,
            evt2_word(1, 63, 1279, 719),
            evt2_word(0, 0, 0, 0),
            10 << 28 | 5 << 22 | 31 << 8 | 1,
            evt2_word(1, 0, 1280, 0),
        ],
        np.uint32,
    )
    events, triggers = decoder.decode(words.tobytes(), time_base=12345)
    base = 0xABCDEF0 << 6
    assert tuples(events, triggers) == (
        [((base + 63) * 1000, 1279, 719, 1), (base * 1000, 0, 0, 0)],
        [((base + 5) * 1000, 1, 31)],
    )
    assert decoder.counts.outside == 1


@pytest.mark.parametrize('head_comes', ['last', 'first'])
def test_events_and_triggers_of_evt21_in_either_order_of_halves(head_comes):
    """GenX320 sends 64-bit words, little-endian; IMX636 and Gen 4.1 the upper half first."""
    decoder = EventDecoder('evt21', 1280, 720)
    halves = [
        (8 << 28 | 7, 0),
        (evt2_word(1, 3, 1248, 9), 0x80000001),
        (evt2_word(0, 4, 1270, 719), 0xFFFFFFFF),
        (evt2_word(0, 4, 0, 720), 1),
        (10 << 28 | 6 << 22 | 30 << 8, 0),
        (evt2_word(1, 5, 64, 5), 0),
    ]
    pairs = np.array(halves, np.uint32)
    payload = (pairs if head_comes == 'first' else pairs[:, ::-1]).tobytes()
    events, triggers = decoder.decode(payload)
    first, second = (7 * 64 + 3) * 1000, (7 * 64 + 4) * 1000
    assert tuples(events, triggers) == (
        [(first, 1248, 9, 1), (first, 1279, 9, 1)]
        + [(second, x, 719, 0) for x in range(1270, 1280)],
        [((7 * 64 + 6) * 1000, 0, 30)],
    )
    assert decoder.counts.outside == 22 + 1 and decoder.counts.invalid == 0


@pytest.mark.parametrize('encoding', ['evt2', 'evt21'])
def test_time_of_evt2_and_evt21_wraps_and_steps_back(encoding):
    def packet(time_high):
        heads = [8 << 28 | time_high, evt2_word(0, 1, 2, 3)]
        if encoding == 'evt2':
            return np.array(heads, np.uint32).tobytes()
        return np.array([heads[0] << 32, heads[1] << 32 | 1], np.uint64).tobytes()

    decoder = EventDecoder(encoding, 640, 480)
    last = 2**28 - 1
    for time_high, epoch in ((last, 0), (0, 1), (7, 1), (5, 1), (2**27 + 1, 1), (0, 2)):
        events, _ = decoder.decode(packet(time_high))
        assert events['t'].tolist() == [(epoch * 2**34 + time_high * 2**6 + 1) * 1000]
    assert decoder.counts.wraps == 2


@every_encoding
def test_memory_for_one_packet_is_bounded(encoding):
    """Of words with as many events as there can be, more than are kept."""
    most = kernels.MAX_PACKET_EVENTS
    words = {
        'evt2': evt2_word(1, 0, 1, 2),
        'evt21': evt2_word(1, 0, 1, 2) << 32 | 0xFFFFFFFF,
        'evt3': 0x4FFF,
        'libcaer_cmp': 0x5FFF,
        'libcaer': 1,
        'mono': 0,
    }
    dtype = CODES.get(encoding, (np.uint64,))[0]
    per_word = {'evt21': 32, 'evt3': 12, 'libcaer_cmp': 8}.get(encoding, 1)
    size = most // per_word + 1000
    payload = np.full(size + 4, words[encoding], dtype)
    payload[:4] = {'evt2': 8 << 28, 'evt21': 8 << 60, 'evt3': high(0)}.get(
        encoding, words[encoding]
    )
    if encoding == 'evt3':
        payload[1] = low(0)
    # Vectors of 12 and 8 go on from base to base and leave the sensor, but for a new base each.
    if encoding in ('evt3', 'libcaer_cmp'):
        payload[4::2] = 0x3000 if encoding == 'evt3' else 0x4000
        payload = np.concatenate((payload, payload[4:]))
    decoder = EventDecoder(encoding, 2048, 2048)
    events, _ = decoder.decode(payload)
    counts = decoder.counts
    assert len(events) == counts.events == most and counts.excess > 500
    assert counts.outside == 0 or encoding == 'evt3'
    events, _ = decoder.decode(payload[:200])
    assert 0 < len(events) <= 200 * per_word and decoder.counts.excess == counts.excess


def test_time_of_evt3_wraps_and_steps_back():
    decoder = EventDecoder('evt3', 640, 480)
    decoder.decode(packed(high(4095), low(4095)))
    # A step back by 10 is jitter, by 11 a wrap.
    for value, epoch in ((0, 1), (10, 1), (0, 1), (11, 1), (0, 2)):
        events, _ = decoder.decode(packed(high(value), low(3), 0, 0x2000))
        assert events['t'].tolist() == [(epoch * 2**24 + value * 2**12 + 3) * 1000]
    assert decoder.counts.wraps == 2


@pytest.mark.parametrize('first', [1, 255, 256, 512, 700, 999])
def test_time_of_libcaer_wraps_within_a_packet(first):
    times = np.arange(1000) + 2**31 - first
    times[first:] -= 2**31
    words = (times.astype(np.uint64) << np.uint64(32)) | np.uint64(1)
    decoder = EventDecoder('libcaer', 640, 480)
    events, _ = decoder.decode(words.tobytes(), 5)
    np.testing.assert_array_equal(events['t'], 5 + 1000 * (np.arange(1000) + 2**31 - first))
    assert decoder.counts.wraps == 1
    assert decoder.decode(words[:1].tobytes(), 5)[0]['t'].tolist() == [5 + 1000 * times[0]]


def test_time_base_of_64_bits():
    events, _ = EventDecoder('mono', 640, 480).decode(bytes(8), 2**64 - 1)
    assert events['t'].tolist() == [-1]


def test_lost_packets_and_restarts_begin_anew():
    decoder = EventDecoder('evt3', 640, 480)
    decoder.decode(packed(high(4095), low(0)), seq=7)
    decoder.decode(packed(high(0), low(0)), seq=8)  # the sensor's clock has wrapped
    assert len(decoder.decode(packed(0x2000), seq=10)[0]) == 0  # the time is not known any more
    after_loss, _ = decoder.decode(EVENT_AT_3_2, seq=11)
    assert after_loss['t'].tolist() == [(2**24 + 5) * 1000]
    after_restart, _ = decoder.decode(EVENT_AT_3_2, seq=0)
    assert after_restart['t'].tolist() == [5 * 1000]
    assert (decoder.counts.gaps, decoder.counts.lost_packets) == (2, 1)


@real_bags
def test_after_a_gap_as_a_new_decoder(name):
    expected = EXPECTED[name]
    camera = expected['encoding'], expected['width'], expected['height']
    packets = list(read_packets(RECORDINGS / name))
    old, new = EventDecoder(*camera), EventDecoder(*camera)
    decode_all(old, packets[:1])
    later = [packet._replace(seq=packet.seq + 5) for packet in packets[1:]]
    for mine, its in zip(decode_all(old, later), decode_all(new, later)):
        np.testing.assert_array_equal(mine, its)
    assert (old.counts.gaps, old.counts.lost_packets) == (1, 5)
    assert (new.counts.gaps, new.counts.lost_packets) == (0, 0)


@every_encoding
def test_any_buffer_and_one_compilation(encoding):
    data = EVENT_AT_3_2 * 2
    shifted = np.zeros(len(data) + 1, np.uint8)
    shifted[1:] = np.frombuffer(data, np.uint8)
    strided = np.repeat(np.frombuffer(data, np.uint8), 2)[::2]
    results = []
    for buffer in (
        data,
        bytearray(data),
        memoryview(data),
        array.array('B', data),
        np.frombuffer(data, np.uint8),
        shifted[1:],
        strided,
    ):
        results.append(tuples(*EventDecoder(encoding, 640, 480).decode(buffer)))
    assert all(result == results[0] for result in results)
    assert len(getattr(kernels, f'decode_{encoding}').signatures) == 1


@every_encoding
def test_what_is_returned_stays(encoding):
    decoder = EventDecoder(encoding, 640, 480)
    events, triggers = decoder.decode(EVENT_AT_3_2 * 4 + packed(0xA001) * 4)
    before = events.copy(), triggers.copy()
    decoder.decode(packed(high(7), low(7), 7, 0x2007, 0xA100) * 8)
    np.testing.assert_array_equal(events, before[0])
    np.testing.assert_array_equal(triggers, before[1])


@every_encoding
def test_a_packet_with_few_events_keeps_little_memory(encoding):
    """Windows hold events for long; of garbage they are not to hold the rest too."""
    dtype, _, _, _ = CODES.get(encoding, (np.uint64, 0, 0, 0))
    words = np.full(100_000, np.iinfo(dtype).max if encoding == 'mono' else 0, dtype)
    few = TIMED_EVENTS.get(encoding, [1] if encoding == 'libcaer' else [0])
    words[: len(few)] = few
    if encoding in ('evt2', 'evt21', 'evt3'):
        words[len(few) :] = 13 << CODES[encoding][1]
    events, _ = EventDecoder(encoding, 640, 480).decode(words.tobytes())
    base = events
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert 0 < len(events) < 10 and base.nbytes <= 16 * len(events)


@pytest.mark.parametrize(
    'arguments, message',
    [
        (
            ('evt4', 640, 480),
            "encoding is 'evt4', accepted is one of evt2, evt21, evt3, libcaer_cmp, libcaer, mono",
        ),
        (('evt3', 0, 480), 'width is 0, accepted is 1 to 65535 pixels'),
        (('evt3', 640, 65536), 'height is 65536, accepted is 1 to 65535 pixels'),
        (
            ('evt3', 65535, 65535),
            'width x height is 65535 x 65535, accepted is up to 16777216 pixels',
        ),
    ],
)
def test_rejected(arguments, message):
    with pytest.raises(EventError) as error:
        EventDecoder(*arguments)
    assert str(error.value) == message


def test_second_start_compiles_nothing_and_a_changed_file_does(tmp_path):
    script = (
        'from topspark_ros.engine import compilations\n'
        'from topspark_ros.streams.events import EventDecoder\n'
        'EventDecoder("mono", 640, 480)\nprint(compilations())'
    )

    def compiled():
        environment = {**os.environ, 'NUMBA_CACHE_DIR': str(tmp_path / 'cache')}
        return int(
            subprocess.run(
                [sys.executable, '-c', script],
                env=environment,
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )

    assert compiled() > 0
    assert compiled() == 0
    helper = tmp_path / 'helper.py'
    helper.write_text('a = 1')
    before = cache_directory(tmp_path)
    helper.write_text('a = 2')
    assert cache_directory(tmp_path) != before
