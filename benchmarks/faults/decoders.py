"""Event decoders, and what stands behind them, fed with real packets that were damaged.

    python -m benchmarks.faults.decoders [--packets N] [--seed N]

A packet is a piece of a recorded one with up to four mutations: bits flipped, bytes cut off, words
written over, doubled, moved, skipped or put in, another packet joined to it, of any encoding. Its
`seq`, `time_base`, stamp and the size of the sensor are right or not. Decoders keep their state
from packet to packet; one packet of sixteen goes through the whole stream, to windows, spikes and
pictures.

With NUMBA_BOUNDSCHECK=1, and NUMBA_CACHE_DIR an empty folder, each index of the kernels is checked.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from topspark_ros.engine.kernels.compilation import entry_point, kernel
from topspark_ros.streams.events import (
    EVENT_ENCODINGS,
    EventDecoder,
    EventError,
    EventSettings,
    EventStream,
)
from topspark_ros.streams.events.stream import StreamCounts

from .. import event_packets
from . import Extent, Finding, Show

PACKETS = 10_000_000
BATCH = 4096  # packets of one decoder after the other, at most
STREAM_SHARE = 16  # one round of so many, the first one too, goes through the whole stream
PIECES = 1024  # of recorded packets, of each encoding
PIECE_BYTES = 256  # of one, at most
ROOM = 1024  # bytes of a damaged packet, at most
SIZE_CHANGE = 64  # one packet of so many has another size of the sensor
TIMESTEPS = 64

# Sensors that the recordings' own packets lie inside of, partly outside of, or all outside of.
SIZES = ((1280, 720), (346, 260), (33, 30), (1, 1), (2048, 2048), (65535, 16))
SIZES_OF_NONE = ((0, 0), (640, 0), (2**32 - 1, 1), (65535, 65535))

WORD_BYTES = {'evt2': 4, 'evt21': 8, 'evt3': 2, 'libcaer_cmp': 2, 'libcaer': 8, 'mono': 8}
MUTATIONS = 10
_LAST_STAMP_NS = 2**31 * 10**9


class Tally(NamedTuple):
    """What came of the packets of one encoding.

    rejected: packets of a sensor that cannot be. crashes, outside, wrong_windows: faults;
        exceptions, events outside the sensor or miscounted, windows with times or
        spikes that cannot be.
    """

    packets: int = 0
    words: int = 0
    events: int = 0
    unknown_words: int = 0
    crashes: int = 0
    outside: int = 0
    wrong_windows: int = 0
    windows: int = 0
    rejected: int = 0


def run(extent: Extent, folder: Path, show: Show) -> list[Finding]:
    """Findings, one an encoding. extent.times: packets of all encodings."""
    tallies, _ = fuzz(extent.times or PACKETS, 0, show)
    return [
        Finding(
            f'{encoding} packets damaged',
            f'{tally.packets:,} packets',
            f'{tally.crashes} crashes, {tally.outside} of {tally.events:,} events outside '
            'the sensor, '
            f'{tally.wrong_windows} of {tally.windows:,} windows wrong',
            'none of them',
            not tally.crashes | tally.outside | tally.wrong_windows,
        )
        for encoding, tally in tallies.items()
    ]


def fuzz(packets: int, seed: int, show: Show) -> tuple[dict[str, Tally], list[str]]:
    """Tallies by encoding, and the tracebacks of crashes, one of each kind."""
    random = np.random.default_rng(seed)
    pool = Pool(random)
    counts = {encoding: Counter() for encoding in EVENT_ENCODINGS}
    crashes: dict[str, str] = {}
    targets = [(encoding, size) for size in SIZES for encoding in EVENT_ENCODINGS]
    decoders = {target: EventDecoder(target[0], *target[1]) for target in targets}
    streams = {
        encoding: [EventStream(_settings(window_events)) for window_events in (0, 500)]
        for encoding in EVENT_ENCODINGS
    }
    began_s = time.perf_counter()
    done = 0
    batch_size = min(BATCH, -(-packets // (2 * len(targets))))  # two rounds at least
    for number, start in enumerate(range(0, packets, batch_size)):
        encoding, size = targets[number % len(targets)]
        batch = pool.batch(encoding, min(batch_size, packets - start))
        if number // len(targets) % STREAM_SHARE == 0:
            stream = streams[encoding][random.integers(2)]
            _push(stream, encoding, size, batch, random, counts[encoding], crashes)
        else:
            _decode(decoders[encoding, size], encoding, size, batch, counts[encoding], crashes)
        done += len(batch.seqs)
        rate = done / (time.perf_counter() - began_s)
        show(
            f'{done:,} of {packets:,} packets, {rate:,.0f} a second, {len(crashes)} kinds of crash'
        )
    return {encoding: Tally(**counts[encoding]) for encoding in EVENT_ENCODINGS}, list(
        crashes.values()
    )


class Batch(NamedTuple):
    """Damaged packets: their bytes one after the other, ends, and fields."""

    data: np.ndarray
    ends: list[int]
    seqs: list[int]
    time_bases: list[int]
    stamps_ns: list[int]

    def payloads(self) -> list[np.ndarray]:
        begins = [0, *self.ends[:-1]]
        return [self.data[begin:end] for begin, end in zip(begins, self.ends)]


class Pool:
    """Pieces of packets of all encodings, and what is made of them."""

    def __init__(self, random: np.random.Generator):
        self._random = random
        self._seqs = Counter()
        pieces = [
            piece
            for recording in event_packets.recordings().values()
            for piece in self._pieces(recording.packets)
        ]
        self._data = np.concatenate(pieces)
        self._ends = np.cumsum([piece.size for piece in pieces])
        seed_numba(int(random.integers(2**31)))

    def _pieces(self, packets: list) -> list[np.ndarray]:
        """Some at the beginning of a packet, where times stand, the others from anywhere in it."""
        pieces = []
        for _ in range(PIECES):
            payload = packets[self._random.integers(len(packets))].payload
            begin = 8 * int(self._random.integers(max(1, payload.size // 8)))
            begin *= int(self._random.integers(4) > 0)
            pieces.append(
                payload[begin : begin + 8 * int(self._random.integers(1, PIECE_BYTES // 8 + 1))]
            )
        return pieces

    def batch(self, encoding: str, count: int) -> Batch:
        random = self._random
        data, ends = np.empty(count * ROOM, np.uint8), np.empty(count, np.int64)
        own = EVENT_ENCODINGS.index(encoding) * PIECES
        damage(self._data, self._ends, own, PIECES, WORD_BYTES[encoding], data, ends)
        data.setflags(write=False)

        # Mostly in order, now and then with a gap, at times anything.
        kinds = random.random(count)
        seqs = self._seqs[encoding] + np.cumsum(1 + random.integers(1, 5, count) * (kinds < 0.02))
        self._seqs[encoding] = int(seqs[-1])
        any_64_bits = random.integers(0, 2**64, (3, count), np.uint64)
        seqs = np.where(kinds > 0.99, any_64_bits[0], seqs.astype(np.uint64))
        kinds = random.random(count)
        steady = 1_700_000_000_000_000_000 + seqs % np.uint64(2**32) * np.uint64(1_000_000)
        near_the_end = np.uint64(2**63 - 10**6) + any_64_bits[1] % np.uint64(2 * 10**6)
        time_bases = np.select([kinds < 0.9, kinds < 0.95], [steady, near_the_end], any_64_bits[1])
        stamps_s = (any_64_bits[2] % np.uint64(2**32)).astype(np.int64) - 2**31
        stamps_ns = np.where(random.random(count) < 0.9, steady.astype(np.int64), stamps_s * 10**9)
        return Batch(
            data[: ends[-1]], ends.tolist(), seqs.tolist(), time_bases.tolist(), stamps_ns.tolist()
        )


def _settings(window_events: int) -> EventSettings:
    return EventSettings(
        5_000_000, window_events, by_polarity=window_events > 0, centring=window_events == 0
    )


def _decode(
    decoder: EventDecoder,
    encoding: str,
    size: tuple[int, int],
    batch: Batch,
    counts: Counter,
    crashes: dict[str, str],
) -> None:
    before = decoder.counts
    decoded = []
    for payload, time_base, seq in zip(batch.payloads(), batch.time_bases, batch.seqs):
        try:
            events, triggers = decoder.decode(payload, time_base, seq)
        except Exception:
            _note_crash(counts, crashes)
            continue
        decoded.append(events.view(np.int64))
        if len(triggers):
            counts['outside'] += int((triggers['edge'] > 1).sum())
    counts['outside'] += outside(np.concatenate(decoded), *size)
    after = decoder.counts
    counted = after.events - before.events
    counts['outside'] += abs(counted - sum(len(events) // 2 for events in decoded))
    _add(
        counts, len(batch.seqs), after.words - before.words, counted, after.invalid - before.invalid
    )


def _push(
    stream: EventStream,
    encoding: str,
    size: tuple[int, int],
    batch: Batch,
    random: np.random.Generator,
    counts: Counter,
    crashes: dict[str, str],
) -> None:
    before = stream.counts
    changes = random.random(len(batch.seqs)) < 1 / SIZE_CHANGE
    for change, payload, time_base, seq, stamp_ns in zip(
        changes, batch.payloads(), batch.time_bases, batch.seqs, batch.stamps_ns
    ):
        width, height = size
        if change:
            width, height = (SIZES_OF_NONE + SIZES)[random.integers(len(SIZES + SIZES_OF_NONE))]
        try:
            for seen in stream.push(encoding, width, height, seq, time_base, stamp_ns, payload):
                _look(seen, width, height, counts)
        except EventError:
            counts['rejected'] += 1
        except Exception:
            _note_crash(counts, crashes)
    recent = StreamCounts(*np.subtract(stream.counts, before).tolist())
    _add(counts, len(batch.seqs), recent.words, recent.events, recent.unknown_words)


def _look(seen, width: int, height: int, counts: Counter) -> None:
    """At a window, as the learner and who looks at its picture do."""
    counts['windows'] += 1
    view = seen.views()[0]
    train = view.presented(TIMESTEPS)
    steps, neurons = train.steps, train.neurons
    is_right = (
        0 <= seen.begin_ns <= seen.end_ns < _LAST_STAMP_NS
        and 0 <= seen.stamp_ns < _LAST_STAMP_NS
        and (np.diff(steps) >= 0).all()
        and (steps < TIMESTEPS).all()
        and (neurons >= 0).all()
        and (neurons < 2 * 784).all()
    )
    counts['wrong_windows'] += not is_right
    counts['outside'] += outside(seen.window.events.view(np.int64), width, height)
    if width * height <= 1 << 17 and counts['windows'] % 64 == 0:
        view.picture()


def _add(counts: Counter, packets: int, words: int, events: int, unknown_words: int) -> None:
    counts.update(packets=packets, words=words, events=events, unknown_words=unknown_words)


def _note_crash(counts: Counter, crashes: dict[str, str]) -> None:
    counts['crashes'] += 1
    text = traceback.format_exc()
    crashes.setdefault(text.splitlines()[-1], text)


@entry_point
def outside(events, width, height):
    """Events that lie outside the sensor or have another polarity than 0 and 1."""
    count = 0
    for i in range(events.size // 2):
        word = events[2 * i]
        count += (word & 0xFFFF >= width) | (word >> 16 & 0xFFFF >= height) | (word >> 32 > 1)
    return count


@entry_point
def seed_numba(seed):
    np.random.seed(seed)


@kernel
def _piece(pool, ends, first, count, data, at, room):
    """Put one of the pieces from `first` on, as much of it as there is room for; where it ends."""
    number = first + np.random.randint(count)
    begin = ends[number - 1] if number else 0
    size = min(ends[number] - begin, room)
    for i in range(size):
        data[at + i] = pool[begin + i]
    return at + size


@entry_point
def damage(pool, ends, own, count, word, data, packet_ends):
    """Fill `data` with damaged packets.

    pool, ends: bytes of all pieces, and where each ends. own, count: those of the encoding.
    word: its bytes. packet_ends: one a packet, with ROOM bytes for each.
    """
    at = 0
    for packet in range(packet_ends.size):
        begin, stop = at, at + ROOM
        is_own = np.random.randint(10) > 0
        end = _piece(
            pool, ends, own if is_own else 0, count if is_own else ends.size, data, at, ROOM
        )
        for _ in range(np.random.randint(5)):
            size = end - begin
            kind = np.random.randint(MUTATIONS)
            words = size // word
            first = begin + np.random.randint(max(words, 1)) * word
            second = begin + np.random.randint(max(words, 1)) * word
            if kind == 0:  # another packet behind it
                end = _piece(pool, ends, own, count, data, end, stop - end)
            elif kind == 1:  # one of any encoding
                end = _piece(pool, ends, 0, ends.size, data, end, stop - end)
            elif kind == 2:  # random words behind it
                more = min(np.random.randint(1, 65), stop - end)
                for i in range(more):
                    data[end + i] = np.random.randint(256)
                end += more
            elif size == 0 or words == 0:
                continue
            elif kind == 3:  # bits flipped
                for _ in range(np.random.randint(1, 9)):
                    data[begin + np.random.randint(size)] ^= 1 << np.random.randint(8)
            elif kind == 4:  # cut off behind
                end = begin + np.random.randint(size)
            elif kind == 5:  # cut off in front: what follows is shifted by bytes
                cut = np.random.randint(size)
                for i in range(size - cut):
                    data[begin + i] = data[begin + cut + i]
                end -= cut
            elif kind == 6:  # a word doubled many times
                more = min(word * np.random.randint(1, 33), stop - end)
                for i in range(more):
                    data[end + i] = data[first + i % word]
                end += more
            elif kind == 7:  # words exchanged
                for i in range(word):
                    data[first + i], data[second + i] = data[second + i], data[first + i]
            elif kind == 8:  # a random word
                for i in range(word):
                    data[first + i] = np.random.randint(256)
            else:  # all words in another order
                for other in range(words - 1, 0, -1):
                    chosen = np.random.randint(other + 1)
                    for i in range(word):
                        a, b = begin + other * word + i, begin + chosen * word + i
                        data[a], data[b] = data[b], data[a]
        packet_ends[packet] = end
        at = end


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.faults.decoders', description=__doc__.split('\n')[0]
    )
    parser.add_argument('--packets', type=int, default=PACKETS, help='of all encodings')
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args(arguments)
    console = Console(highlight=False)
    began_s = time.perf_counter()
    with console.status('compiling') as status:
        tallies, crashes = fuzz(options.packets, options.seed, status.update)
    for encoding, tally in tallies.items():
        console.print(
            f'{encoding}: '
            + ', '.join(
                f'{name.replace("_", " ")} {value:,}' for name, value in tally._asdict().items()
            ),
            soft_wrap=True,
        )
    for text in crashes:
        console.print(text)
    took_s = time.perf_counter() - began_s
    console.print(f'{options.packets:,} packets in {took_s:.0f} s')
    return (
        1
        if any(tally.crashes | tally.outside | tally.wrong_windows for tally in tallies.values())
        else 0
    )


if __name__ == '__main__':
    sys.exit(main())
