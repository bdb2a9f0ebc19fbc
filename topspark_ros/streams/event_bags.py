"""Event packets out of rosbag2 recordings: sqlite3 and mcap, compressed or not, without ROS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from .bags import STORAGE_SUFFIXES, Bag, BagError, Topic

EVENT_TYPES = ('event_camera_msgs/msg/EventPacket', 'event_array_msgs/msg/EventArray')

_DEFINITION = f"""
std_msgs/Header header
uint32 height
uint32 width
uint64 seq
uint64 time_base
string encoding
bool is_bigendian
uint8[] events
{'=' * 80}
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
{'=' * 80}
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""


class EventPacket(NamedTuple):
    """One message.

    encoding, width, height, seq, time_base (ns): its fields, as EventDecoder takes them. The
        field is_bigendian is skipped: these encodings are little-endian on any machine.
    payload: the field `events`, uint8, read-only.
    recorded: ns of the recording's clock.
    """

    encoding: str
    width: int
    height: int
    seq: int
    time_base: int
    payload: np.ndarray
    recorded: int


def is_event_bag(path: Path) -> bool:
    """Whether `path` is something that `read_packets` reads: a bag's folder or its storage file."""
    return (path / 'metadata.yaml').is_file() or (
        path.suffix in STORAGE_SUFFIXES and path.is_file()
    )


def event_topics(
    path: str | Path, topic: str | None = None, lost: Counter[str] | None = None
) -> dict[str, int]:
    """The topics of a bag with event packets, and how many of them its index says that it holds.

    path, lost: as of `read_packets`.
    topic: only this one; None: all.

    Raises BagError: no such bag, a broken one, or no such topic.
    """
    with _open(path, lost) as bag:
        packets: Counter[str] = Counter()
        for each in _topics(bag, topic):
            packets[each.name] += each.messages
        return dict(packets)


def read_packets(
    path: str | Path, topic: str | None = None, lost: Counter[str] | None = None
) -> Iterator[EventPacket]:
    """The event packets of a bag, in recorded order.

    path: the bag's folder, or one storage file of it (.mcap or .db3).
    topic: None: the only one with event packets.
    lost: takes what of the bag cannot be read, a line, and how often; None: that is an error.

    Raises BagError, when the first packet is asked for: no such bag, a broken one, no such
    topic, or several and none named; or when the last one was read: some were lost.
    """
    with _open(path, lost) as bag:
        topics = _topics(bag, topic)
        if len({each.name for each in topics}) > 1:
            raise _no_such_topic(bag, topic)
        for recorded in bag.messages(topics):
            try:
                message = bag.deserialize(recorded)
            except BagError as error:
                if lost is None:
                    raise
                lost[f'{recorded.topic}: {error}'] += 1
                continue
            yield EventPacket(
                message.encoding,
                message.width,
                message.height,
                message.seq,
                message.time_base,
                message.events,
                recorded.recorded_ns,
            )


@contextmanager
def _open(path: str | Path, lost: Counter[str] | None) -> Iterator[Bag]:
    """An open bag; what of it is lost, before or after it was read, is told, or BagError."""

    def check(bag: Bag) -> None:
        if lost is not None:
            lost.update(dict.fromkeys(set(bag.lost) - lost.keys(), 1))
        elif bag.lost:
            raise BagError(f'{bag.path}: {bag.lost[0]}; accepted is a whole recording')

    with Bag(path, _typestore()) as bag:
        check(bag)
        yield bag
        check(bag)


def _topics(bag: Bag, topic: str | None) -> list[Topic]:
    """Those with event packets, of one name or of all."""
    events = [
        each for each in bag.topics if each.type in EVENT_TYPES and topic in (None, each.name)
    ]
    if not events:
        raise _no_such_topic(bag, topic)
    return events


def _no_such_topic(bag: Bag, topic: str | None) -> BagError:
    return BagError(
        f'{bag.path}: topic is {topic!r}, accepted is one with {EVENT_TYPES[0]}; {bag.there()}'
    )


@lru_cache(maxsize=1)
def _typestore() -> Typestore:
    store = get_typestore(Stores.EMPTY)
    types = {}
    for name in EVENT_TYPES:
        types.update(get_types_from_msg(_DEFINITION, name))
    store.register(types)
    return store
