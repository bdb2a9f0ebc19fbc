"""Event packets of every encoding: recorded ones, and their events as other cameras send them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from topspark_ros.streams.datasets import DATA_VARIABLE, load_dataset
from topspark_ros.streams.errors import DatasetError
from topspark_ros.streams.event_bags import EventPacket, read_packets
from topspark_ros.streams.events import (
    EVENT,
    EVENT_ENCODINGS,
    EventCamera,
    EventDecoder,
    Evt3Encoder,
)
from topspark_ros.streams.scenes import SceneRenderer

SIMULATED_SIDE = 160  # of the sensor without recordings, pixels
SIMULATED_FRAMES = 16
FRAME_NS = 10_000_000
PACKET_NS = 8_000_000  # of events in a packet that is sent again, as in the evt3 bag

_TIME_HIGH = 8 << 28  # of evt2
_CLOCK_MASK = (1 << 34) - 1  # of evt2 and evt21, us


class Recording(NamedTuple):
    """What one camera has sent. name: of the bag, or how the packets were made."""

    name: str
    packets: list[EventPacket]


def recordings() -> dict[str, Recording]:
    """Packets by encoding, in the order of EVENT_ENCODINGS.

    An encoding that there is no bag of has the events of the evt3 bag, or of a simulated camera
    without any bag.
    """
    found = recorded()
    packets = found['evt3'].packets if 'evt3' in found else []
    events = _decoded(packets) if packets else simulated()
    width, height = (
        (packets[0].width, packets[0].height) if packets else (SIMULATED_SIDE, SIMULATED_SIDE)
    )
    name = f'{found["evt3"].name}, recoded' if packets else 'simulated'
    made = {
        encoding: Recording(name, as_packets(events, encoding, width, height))
        for encoding in EVENT_ENCODINGS
        if encoding not in found
    }
    return {encoding: found.get(encoding) or made[encoding] for encoding in EVENT_ENCODINGS}


def recorded() -> dict[str, Recording]:
    """The bags below DATA_VARIABLE's folder by encoding, none without it."""
    root = Path(os.environ.get(DATA_VARIABLE) or '.') / 'events'
    try:
        bags = json.loads((root / 'expected.json').read_text())['bags']
    except OSError:
        return {}
    return {
        facts['encoding']: Recording(name, list(read_packets(root / name)))
        for name, facts in bags.items()
    }


def required() -> dict[str, Recording]:
    """As `recorded`; DatasetError without the recordings."""
    found = recorded()
    if not found:
        raise DatasetError(
            f'events/expected.json is not there; point {DATA_VARIABLE} to the '
            'folder that holds events/ with the recordings'
        )
    return found


def as_packets(events: np.ndarray, encoding: str, width: int, height: int) -> list[EventPacket]:
    """Events, in order of time, in packets of PACKET_NS."""
    if encoding == 'evt3':
        encode = Evt3Encoder(width, height).encode
    else:
        encode = {
            'evt2': evt2,
            'evt21': evt21,
            'libcaer_cmp': libcaer_cmp,
            'libcaer': libcaer,
            'mono': mono,
        }[encoding]
    times = events['t'] // PACKET_NS
    groups = np.split(events, np.flatnonzero(np.diff(times)) + 1)
    return [
        EventPacket(
            encoding,
            width,
            height,
            seq,
            int(group['t'][0]) // 1000 * 1000,
            np.frombuffer(encode(group), np.uint8),
            int(group['t'][-1]),
        )
        for seq, group in enumerate(groups)
    ]


def evt2(events: np.ndarray) -> bytes:
    """TIME_HIGH first, and where it changes."""
    high, words = _heads(events)
    begins = np.flatnonzero(np.diff(high, prepend=-1))
    return np.insert(words, begins, _TIME_HIGH | high[begins]).astype(np.uint32).tobytes()


def evt21(events: np.ndarray, head_first: bool = False) -> bytes:
    """Events of one time, row and polarity that ascend within 32 pixels are one word.

    head_first: the order of the halves in memory, as IMX636 sends them; else as GenX320.
    """
    high, words = _heads(events)
    columns = events['x'].astype(np.int64)
    aligned = words & ~(31 << 11)  # heads that look to a multiple of 32
    joins = (
        (np.diff(aligned, prepend=-1) == 0)
        & (np.diff(high, prepend=-1) == 0)
        & (np.diff(columns, prepend=-1) > 0)
    )
    begins = np.flatnonzero(~joins)
    masks = np.bitwise_or.reduceat(1 << (columns & 31), begins)
    heads, high = aligned[begins], high[begins]
    places = np.flatnonzero(np.diff(high, prepend=-1))
    heads = np.insert(heads, places, _TIME_HIGH | high[places])
    masks = np.insert(masks, places, 0)
    halves = (heads, masks) if head_first else (masks, heads)
    return np.stack(halves, axis=1).astype(np.uint32).tobytes()


def libcaer_cmp(events: np.ndarray) -> bytes:
    """Time low, x and y of each event; time high where it changes: `time_base` is the first's."""
    times = (events['t'] - events['t'][0] // 1000 * 1000) // 1000
    words = np.stack(
        (
            0x1000 | times & 0xFFF,
            0x2000 | events['x'].astype(np.int64),
            0x3000 | events['p'].astype(np.int64) << 11 | events['y'],
        ),
        axis=1,
    )
    high = times >> 12
    begins = np.flatnonzero(np.diff(high, prepend=0))
    return (
        np.insert(words.reshape(-1), 3 * begins, high[begins] & 0xFFF).astype(np.uint16).tobytes()
    )


def libcaer(events: np.ndarray) -> bytes:
    times = (events['t'] - events['t'][0] // 1000 * 1000) // 1000
    return (
        1
        | events['p'].astype(np.int64) << 1
        | events['y'].astype(np.int64) << 2
        | events['x'].astype(np.int64) << 17
        | times << 32
    ).tobytes()


def mono(events: np.ndarray) -> bytes:
    times = events['t'] - events['t'][0] // 1000 * 1000
    return (
        times
        | events['x'].astype(np.int64) << 32
        | events['y'].astype(np.int64) << 48
        | events['p'].astype(np.int64) << 63
    ).tobytes()


def _heads(events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of evt2 words: TIME_HIGH before each event, and the events."""
    clock = events['t'] // 1000 & _CLOCK_MASK
    return clock >> 6, (
        events['p'].astype(np.int64) << 28
        | (clock & 63) << 22
        | events['x'].astype(np.int64) << 11
        | events['y']
    )


def _decoded(packets: list[EventPacket]) -> np.ndarray:
    decoder = EventDecoder(packets[0].encoding, packets[0].width, packets[0].height)
    parts = [decoder.decode(packet.payload, packet.time_base)[0] for packet in packets]
    return np.concatenate(parts)


def simulated() -> np.ndarray:
    """Digits that move."""
    scenes = SceneRenderer(load_dataset('digits').images, SIMULATED_SIDE, SIMULATED_SIDE)
    camera = EventCamera(SIMULATED_SIDE, SIMULATED_SIDE)
    frames = (
        np.ascontiguousarray(scenes.render(frame // 4)[:, :, 1])
        for frame in range(SIMULATED_FRAMES)
    )
    parts = [camera.observe(gray, frame * FRAME_NS) for frame, gray in enumerate(frames)]
    return np.concatenate([*parts, np.empty(0, EVENT)])
