"""Events decoded a second on one core, against the C++ decoders scaled by this machine's memory."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from topspark_ros.streams.event_bags import EventPacket
from topspark_ros.streams.events import EventDecoder

from . import event_packets

ROUNDS, PASSES = 30, 3

# Millions of events a second of the public C++ decoders (-O3, one core, x, y, t and p stored), on
# a machine that copies so many bytes a second, read plus written.
REFERENCE = {'evt3': 80.0, 'libcaer_cmp': 150.0, 'libcaer': 740.0}
REFERENCE_COPY = 25e9

COPIED_BYTES = 1 << 26  # more than any cache holds


def decoding() -> list[dict]:
    """One row an encoding: millions of events a second of a whole bag whose packets are in memory.

    bag: evt2 and evt21 have the events of the evt3 bag, in packets of 8 ms.
    recorded: packet by packet, as recorded. joined: 16 packets in one, where they share their time
    base (else NaN); what a call costs hardly counts then. reference: of the C++ decoders, scaled
    by the rate of copying memory, which is measured in the same turns; NaN for evt2 and evt21,
    which they do not decode. The best pass counts.

    Raises DatasetError without the recordings.
    """
    event_packets.required()
    events, names = {}, {}
    tasks = {'copy': _copy_task()}
    for encoding, (name, packets) in event_packets.recordings().items():
        if encoding == 'mono':  # a hundred events
            continue
        names[encoding], events[encoding] = name, _count(packets)
        tasks[encoding, 'recorded'] = _decode_task(packets)
        if encoding.startswith('evt') or len({packet.time_base for packet in packets}) == 1:
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
        recorded, joined = (
            count / best.get((encoding, way), np.nan) / 1e6 for way in ('recorded', 'joined')
        )
        reference = REFERENCE.get(encoding, np.nan) * copy / REFERENCE_COPY
        rows.append(
            dict(
                encoding=encoding,
                bag=names[encoding],
                recorded=recorded,
                joined=joined,
                reference=reference,
                ratio=recorded / reference,
                copy_gigabytes=copy / 1e9,
            )
        )
    return rows


def _copy_task() -> Callable[[], None]:
    source, target = np.ones((2, COPIED_BYTES), np.uint8)
    return lambda: np.copyto(target, source)


def _joined(packets: list[EventPacket], count: int) -> list[EventPacket]:
    groups = (packets[first : first + count] for first in range(0, len(packets), count))
    return [
        group[0]._replace(payload=np.concatenate([packet.payload for packet in group]))
        for group in groups
    ]


def _count(packets: list[EventPacket]) -> int:
    decoder = EventDecoder(packets[0].encoding, packets[0].width, packets[0].height)
    return sum(len(decoder.decode(packet.payload, packet.time_base)[0]) for packet in packets)


def _decode_task(packets: list[EventPacket]) -> Callable[[], None]:
    decoder = EventDecoder(packets[0].encoding, packets[0].width, packets[0].height)
    fields = [(packet.payload.tobytes(), packet.time_base) for packet in packets]

    def task() -> None:
        for payload, time_base in fields:
            decoder.decode(payload, time_base)

    return task
