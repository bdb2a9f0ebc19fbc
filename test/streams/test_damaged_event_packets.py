"""Packets of every encoding, damaged: decoded as the plain decoder does, and shown without fail."""

import sys
from pathlib import Path

import numpy as np
import pytest
from event_reference import REFERENCES
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[2]))  # last, or it would hide the built package

from benchmarks import event_packets  # noqa: E402
from benchmarks.faults import Extent, decoders  # noqa: E402
from topspark_ros.streams.events import EVENT_ENCODINGS, EventDecoder  # noqa: E402

SIDE = 160
PIECE_BYTES = 192
every_encoding = pytest.mark.parametrize('encoding', EVENT_ENCODINGS)


@pytest.fixture(scope='module')
def events():
    return event_packets.simulated()


@pytest.fixture(scope='module')
def pieces(events):
    """By encoding: the beginning of some packets, and something from the middle of them."""
    found = {}
    for encoding in EVENT_ENCODINGS:
        payloads = [
            packet.payload.tobytes()
            for packet in event_packets.as_packets(events, encoding, SIDE, SIDE)
        ]
        found[encoding] = [
            payload[begin : begin + PIECE_BYTES]
            for payload in payloads[1:5]
            for begin in (0, 4 * PIECE_BYTES)
        ]
    found['evt21'] += [event_packets.evt21(events[:40], head_first=True)]
    return found


@every_encoding
def test_events_come_back_from_the_packets_they_are_sent_in(events, encoding):
    packets = event_packets.as_packets(events, encoding, SIDE, SIDE)
    decoder = EventDecoder(encoding, SIDE, SIDE)
    back = np.concatenate(
        [decoder.decode(packet.payload, packet.time_base, packet.seq)[0] for packet in packets]
    )
    for field in 'xyp':
        np.testing.assert_array_equal(back[field], events[field])
    unit_ns = 1 if encoding == 'mono' else 1000
    np.testing.assert_array_equal(back['t'] // unit_ns, events['t'] // unit_ns)


def test_pixels_of_one_row_share_a_word_of_evt21(events):
    row = np.repeat(events[:1], 64)
    row['x'], row['y'] = np.arange(64), 7
    for head_first in (False, True):
        payload = event_packets.evt21(row, head_first)
        assert len(payload) == 8 * 3  # TIME_HIGH and two of 32 pixels
        back, _ = EventDecoder('evt21', SIDE, SIDE).decode(payload)
        assert back['x'].tolist() == list(range(64))


MUTATIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ['flip', 'cut', 'shift', 'double', 'exchange', 'random', 'join', 'join another']
        ),
        st.integers(0, 2**16 - 1),
        st.integers(0, 2**16 - 1),
    ),
    max_size=4,
)


def damaged(payload, mutations, word, own, others):
    for kind, a, b in mutations:
        words = [payload[i : i + word] for i in range(0, len(payload), word)] or [b'']
        first, second = a % len(words), b % len(words)
        if kind == 'flip' and payload:
            changed = bytearray(payload)
            changed[a % len(payload)] ^= 1 << b % 8
            payload = bytes(changed)
        elif kind == 'cut':
            payload = payload[: a % (len(payload) + 1)]
        elif kind == 'shift':
            payload = payload[a % (word + 1) :]
        elif kind == 'double':
            payload = b''.join(words[:first] + [words[first]] * (b % 9) + words[first:])
        elif kind == 'exchange':
            words[first], words[second] = words[second], words[first]
            payload = b''.join(words)
        elif kind == 'random':
            payload = b''.join(
                words[:first] + [np.random.default_rng(b).bytes(word)] + words[first:]
            )
        elif kind == 'join':
            payload += own[a % len(own)]
        elif kind == 'join another':
            payload += others[a % len(others)]
    return payload


@settings(deadline=None, max_examples=100)
@given(data=st.data())
@every_encoding
def test_damaged_packets_as_the_plain_decoder(pieces, encoding, data):
    width, height = data.draw(st.sampled_from([(SIDE, SIDE), (90, 70), (1, 1), (2048, 2048)]))
    decoder, plain = EventDecoder(encoding, width, height), REFERENCES[encoding](width, height)
    own = pieces[encoding]
    others = [piece for name, found in pieces.items() if name != encoding for piece in found]
    kept = 0
    for _ in range(data.draw(st.integers(1, 4))):
        payload = damaged(
            data.draw(st.sampled_from(own + others)),
            data.draw(MUTATIONS),
            decoders.WORD_BYTES[encoding],
            own,
            others,
        )
        time_base = data.draw(st.integers(0, 2**62))
        events, triggers = decoder.decode(payload, time_base)
        assert (
            events[['t', 'x', 'y', 'p']].tolist(),
            triggers[['t', 'edge', 'id']].tolist(),
        ) == plain.decode(payload, time_base)
        kept += len(events)
    assert decoder.counts.events == kept


def test_thousands_of_damaged_packets_find_no_fault(tmp_path, monkeypatch):
    monkeypatch.delenv('TOPSPARK_DATA', raising=False)
    findings = decoders.run(Extent(times=4000), tmp_path, lambda line: None)
    assert len(findings) == len(EVENT_ENCODINGS)
    for finding in findings:
        assert finding.met, finding
    tallies, crashes = decoders.fuzz(1000, 1, lambda line: None)
    assert not crashes and sum(tally.packets for tally in tallies.values()) == 1000
    assert all(tally.events > 100 and tally.windows for tally in tallies.values())
    assert sum(tally.rejected for tally in tallies.values()) > 0
