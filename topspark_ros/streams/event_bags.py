"""Event packets out of rosbag2 recordings: sqlite3 and mcap, compressed or not, without ROS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader, ReaderError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

EVENT_TYPES = ('event_camera_msgs/msg/EventPacket', 'event_array_msgs/msg/EventArray')

STORAGE_SUFFIXES = ('.mcap', '.db3')

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


class EventBagError(ValueError):
    """A bag that cannot be read, or holds no such topic: one line that says what is there."""


class EventPacket(NamedTuple):
    """One message.

    encoding, width, height, seq, time_base (ns): its fields, as EventDecoder takes them. The
        field is_bigendian is left out: these encodings are little-endian on any machine.
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
        path.suffix in STORAGE_SUFFIXES and path.is_file())


def event_topics(path: str | Path, topic: str | None = None) -> dict[str, int]:
    """The topics of a bag with event packets, and how many of them its index says that it holds.

    path: as of `read_packets`.
    topic: only this one; None: all.

    Raises EventBagError: no such bag, a broken one, or no such topic.
    """
    path = Path(path)
    with _reading(path) as reader:
        packets = Counter()
        for connection in _connections(path, reader, topic):
            packets[connection.topic] += connection.msgcount
        return dict(sorted(packets.items()))


def read_packets(path: str | Path, topic: str | None = None) -> Iterator[EventPacket]:
    """The event packets of a bag, in recorded order.

    path: the bag's folder, or one storage file of it (.mcap or .db3).
    topic: None: the only one with event packets.

    Raises EventBagError, when the first packet is asked for: no such bag, a broken one, no such
    topic, or several and none named.
    """
    path = Path(path)
    with _reading(path) as reader:
        connections = _connections(path, reader, topic)
        if len({connection.topic for connection in connections}) > 1:
            raise _no_such_topic(path, reader, topic)
        for connection, recorded, data in reader.messages(connections):
            message = _typestore().deserialize_cdr(data, connection.msgtype)
            yield EventPacket(message.encoding, message.width, message.height, message.seq,
                              message.time_base, message.events, recorded)


@contextmanager
def _reading(path: Path) -> Iterator[Reader]:
    """An open reader; whatever it fails with becomes one line."""
    try:
        with _open(path) as reader:
            yield reader
    except EventBagError:
        raise
    except Exception as error:  # broken bytes break the reader in many ways
        reason = ' '.join(str(error).split()).rstrip('.') or type(error).__name__
        raise EventBagError(f'{path}: {reason}, accepted is a whole rosbag2 recording '
                            f'(its folder, or a {" or ".join(STORAGE_SUFFIXES)} file)') from None


def _open(path: Path) -> Reader:
    """A reader, not yet entered; of the only storage file where the folder's metadata is no use."""
    reader = Reader(path)
    if path.is_dir():
        try:
            with reader:
                pass
        except ReaderError:
            files = [file for file in path.iterdir() if file.suffix in STORAGE_SUFFIXES]
            if len(files) == 1:
                return Reader(files[0])
    return reader


def _connections(path: Path, reader: Reader, topic: str | None) -> list[Connection]:
    """The connections with event packets, of one topic or of all."""
    events = [connection for connection in reader.connections
              if connection.msgtype in EVENT_TYPES and topic in (None, connection.topic)]
    if not events:
        raise _no_such_topic(path, reader, topic)
    return events


def _no_such_topic(path: Path, reader: Reader, topic: str | None) -> EventBagError:
    there = ', '.join(sorted(f'{connection.topic} ({connection.msgtype})'
                             for connection in reader.connections)) or 'no topic at all'
    return EventBagError(f'{path}: topic is {topic!r}, accepted is one with {EVENT_TYPES[0]}; '
                         f'the bag holds {there}')


@lru_cache(maxsize=1)
def _typestore() -> Typestore:
    store = get_typestore(Stores.EMPTY)
    types = {}
    for name in EVENT_TYPES:
        types.update(get_types_from_msg(_DEFINITION, name))
    store.register(types)
    return store
