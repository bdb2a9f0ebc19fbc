"""Events decoded a second on one core, against the C++ decoders scaled by this machine's memory."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from topspark_ros.streams.datasets import DATA_VARIABLE
from topspark_ros.streams.errors import DatasetError
from topspark_ros.streams.event_bags import EventPacket, read_packets
from topspark_ros.streams.events import EventDecoder

ROUNDS, PASSES = 30, 3

# Millions of events a second of the public C++ decoders (-O3, one core, x, y, t and p stored), on
# a machine that copies so many bytes a second, read plus written.
REFERENCE = {'evt3': 80.0, 'libcaer_cmp': 150.0, 'libcaer': 740.0}
REFERENCE_COPY = 25e9

COPIED_BYTES = 1 << 26  # more than any cache holds


def decoding() -> list[dict]:
    """One row an encoding: millions of events a second of a whole bag whose packets are in memory.

    recorded: packet by packet, as recorded. joined: 16 packets in one, where they share their time
    base (else NaN); what a call costs hardly counts then. reference: of the C++ decoders, scaled
    by the rate of copying memory, which is measured in the same turns. The best pass counts.

    Raises DatasetError without the recordings.
    """
    root = Path(os.environ.get(DATA_VARIABLE) or '.') / 'events'
    try:
        expected = json.loads((root / 'expected.json').read_text())['bags']
    except OSError:
        raise DatasetError(f'{root}: no expected.json; point {DATA_VARIABLE} to the folder that '
                           'holds events/ with the recordings') from None
    events = {}
    tasks = {'copy': _copy_task()}
    for name, facts in expected.items():
        encoding = facts['encoding']
        if encoding not in REFERENCE:
            continue
        events[encoding] = facts['cd']['count']
        packets = list(read_packets(root / name))
        tasks[encoding, 'recorded'] = _decode_task(packets)
        if len({packet.time_base for packet in packets}) == 1:
            tasks[encoding, 'joined'] = _decode_task(_joined(packets, 16))

    best = dict.fromkeys(tasks, np.inf)
    for _ in range(ROUNDS):
        for name, task in tasks.items():
            for _ in range(PASSES):
                start = time.perf_counter()
                task()
                best[name] = min(best[name], time.perf_counter() - start)

    copy = 2 * COPIED_BYTES / best['copy']
    rows = []
    for encoding, count in events.items():
        recorded, joined = (count / best.get((encoding, way), np.nan) / 1e6
                            for way in ('recorded', 'joined'))
        reference = REFERENCE[encoding] * copy / REFERENCE_COPY
        rows.append(dict(encoding=encoding, recorded=recorded, joined=joined, reference=reference,
                         ratio=recorded / reference, copy_gigabytes=copy / 1e9))
    return rows


def _copy_task() -> Callable[[], None]:
    source, target = np.ones((2, COPIED_BYTES), np.uint8)
    return lambda: np.copyto(target, source)


def _joined(packets: list[EventPacket], count: int) -> list[EventPacket]:
    groups = (packets[first:first + count] for first in range(0, len(packets), count))
    return [group[0]._replace(payload=np.concatenate([packet.payload for packet in group]))
            for group in groups]


def _decode_task(packets: list[EventPacket]) -> Callable[[], None]:
    decoder = EventDecoder(packets[0].encoding, packets[0].width, packets[0].height)
    fields = [(packet.payload.tobytes(), packet.time_base) for packet in packets]

    def task() -> None:
        for payload, time_base in fields:
            decoder.decode(payload, time_base)

    return task
