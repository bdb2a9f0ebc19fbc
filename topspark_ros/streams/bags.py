"""Messages out of rosbag2 recordings, without ROS: sqlite3 and mcap, split, compressed, or damaged.

What the storage files hold is what counts; metadata.yaml is only held against them. Of a damaged
file that is read which is whole, and what is lost is reported.

Times are of the recording's clock. Where it was set back, which the order tells in which messages
were written, the time of the bag goes on: it never runs backwards.
"""

from __future__ import annotations

import heapq
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from topspark_ros.errors import TopsparkError
from topspark_ros.files import FileError, read_yaml

from .mcap_files import McapFile
from .sqlite_files import SqliteFile
from .storages import (
    MAX_METADATA,
    ZSTD_MAGIC,
    Channel,
    Storage,
    StorageError,
    decompressed,
    zstd,
)

STORAGE_SUFFIXES = ('.mcap', '.db3')
QUIET_NS = 60_000_000_000  # without a message for longer, the clock has jumped, or it was quiet
BACK_NS = 1_000_000_000  # a topic's messages may be written in another order by that much

_Key = tuple[str, str]  # of a topic: its name and its type

_COMPRESSED_SUFFIX = '.zstd'
_PIECE = 1 << 20  # bytes that are unpacked at a time
_MAX_DEFINITION = 1 << 17  # characters of a type with all that it is made of
_MAX_ELEMENTS = 10_000  # of an array of fixed size
_ACCEPTED = (
    f'accepted is a whole rosbag2 recording (its folder, or a {" or ".join(STORAGE_SUFFIXES)} file)'
)


class BagError(TopsparkError):
    """A bag that cannot be read, or lacks what is asked for: one line that says what is there."""


class Topic(NamedTuple):
    """A topic of a bag with its type, such as std_msgs/msg/String, and number of messages."""

    name: str
    type: str
    messages: int


class Recorded(NamedTuple):
    """A message as it was recorded.

    Parameters
    ----------
    recorded_ns
        Time of the recording's clock.
    time_ns
        Time of the bag: the same, but where the clock was set back before.
    """

    topic: str
    type: str
    recorded_ns: int
    time_ns: int
    data: bytes


class Jump(NamedTuple):
    """at_ns: of the bag. step_ns: how far the recording's clock went from one message to the next;
    below 0: it was set back."""

    at_ns: int
    step_ns: int


class _File(NamedTuple):
    """An open storage file, and the time of the bag of each of its rows, (rows,) int64."""

    name: str
    storage: Storage
    time_ns: np.ndarray


class Bag:
    """An open recording; a context manager.

    Parameters
    ----------
    path
        A bag's folder, or one storage file of it (.mcap or .db3, or compressed, .zstd).
    definitions
        Of types that the bag does not define itself, as old ones do not.

    Attributes
    ----------
    topics
        With their types, in order.
    begin_ns, end_ns
        Of the first and of the last message, time of the bag; both 0 in an empty one.
    jumps
        Where the recording's clock was set back, or longer than QUIET_NS was without a message.
    lost
        What of the bag cannot be read, one line each; more may come while messages are read.

    Raises
    ------
    BagError
        If nothing of it can be read.
    """

    def __init__(self, path: str | Path, definitions: Typestore) -> None:
        self.path = Path(path)
        self._lost: list[str] = []
        self._definitions = definitions
        self._stores: dict[str, Typestore] = {}
        self._stack = ExitStack()
        self._files: list[_File] = []
        try:
            files, stated = self._scan()
            opened = [
                (file, storage) for file in files if (storage := self._open(file)) is not None
            ]
            if not any(len(storage.channel) for _, storage in opened) and (
                self._lost or any(storage.lost for _, storage in opened)
            ):
                self._reject(opened)
        except BaseException:
            self._stack.close()
            raise
        self.jumps: tuple[Jump, ...] = self._set_times(opened)
        counts: Counter[_Key] = Counter()
        for _, storage, _ in self._files:
            numbers, occurrences = np.unique(storage.channel, return_counts=True)
            messages = dict(zip(numbers.tolist(), occurrences.tolist()))
            for number, channel in storage.channels.items():
                counts[channel[:2]] += messages.get(number, 0)
        self.topics = tuple(Topic(*key, count) for key, count in sorted(counts.items()))
        total = sum(len(file.time_ns) for file in self._files)
        if stated not in (None, total):
            self._lost.append(f'metadata.yaml tells of {stated} messages, the files hold {total}')

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    @property
    def lost(self) -> list[str]:
        return [
            *(f'{file.name}: {line}' for file in self._files for line in file.storage.lost),
            *self._lost,
        ]

    def there(self) -> str:
        """The topics with their types, for the end of a complaint."""
        return 'the bag holds ' + (
            ', '.join(f'{topic.name} ({topic.type})' for topic in self.topics) or 'no topic at all'
        )

    def messages(
        self, topics: Collection[Topic], begin_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[Recorded]:
        """The messages of topics in order of time.

        Parameters
        ----------
        begin_ns, end_ns
            Only those from begin to before end, time of the bag.
        """
        wanted = {topic[:2] for topic in topics}
        yield from heapq.merge(
            *(_read(file, wanted, begin_ns, end_ns) for file in self._files),
            key=lambda message: message.time_ns,
        )

    def deserialize(self, recorded: Recorded) -> Any:
        """The message, with the fields of its type; BagError for bytes that are none."""
        data, kind = recorded.data, recorded.type
        try:
            if kind not in self._stores:
                self._stores[kind] = self._store(kind)
            if data[:4] == ZSTD_MAGIC:
                data = decompressed(data, 'zstd')
            return self._stores[kind].deserialize_cdr(data, kind)
        except Exception as error:  # broken bytes break it in many ways
            raise BagError(
                f'data is {len(recorded.data)} bytes that are no {kind}: {_reason(error)}'
            ) from None

    # ---------------------------------------------------------------------------------------

    def _scan(self) -> tuple[list[Path], int | None]:
        """The storage files in order, and how many messages metadata.yaml tells of; None: it does
        not."""
        if not self.path.is_dir():
            if not self.path.exists():
                raise BagError(f'{self.path}: File does not exist, {_ACCEPTED}')
            if not self.path.is_file():
                raise BagError(f'{self.path}: a pipe or a device, {_ACCEPTED}')
            return [self.path], None
        files = sorted(
            (file for file in self.path.iterdir() if _storage_suffix(file) and file.is_file()),
            key=_place_in_series,
        )
        if not files:
            raise BagError(f'{self.path}: no storage file in it, {_ACCEPTED}')
        try:
            metadata = read_yaml(self.path / 'metadata.yaml', 'that of a bag', MAX_METADATA)
            metadata = dict(metadata['rosbag2_bagfile_information'])
            listed = {Path(name).name for name in metadata.get('relative_file_paths') or ()}
        except (FileError, ValueError, TypeError, KeyError):
            return files, None  # of no use, but the files tell the same
        compression = metadata.get('compression_format') or 'zstd'
        if compression != 'zstd':
            raise BagError(
                f'{self.path}: compression_format is {compression!r}, accepted is zstd, or none'
            )
        self._lost += [
            f'{name}: missing, metadata.yaml tells of it'
            for name in sorted(listed - {file.name for file in files})
        ]
        count = metadata.get('message_count')
        return files, count if isinstance(count, int) else None

    def _open(self, file: Path) -> Storage | None:
        """A storage file, or what is whole of it; None: nothing is, which is noted."""
        name = file.name
        try:
            if not file.is_file():  # a pipe might never begin
                raise BagError('no file')
            if file.suffix == _COMPRESSED_SUFFIX:
                file = self._decompressed(file)
            suffix = _storage_suffix(file)
            if not suffix:
                raise BagError('no storage file')
            storage = (McapFile if suffix == '.mcap' else SqliteFile)(file)
            self._stack.callback(storage.close)
            encodings = {channel.encoding for channel in storage.channels.values()}
            if not encodings <= {'cdr'}:
                raise BagError(f'serialization format {", ".join(sorted(encodings))} is not cdr')
        except (TopsparkError, OSError, zstd.ZstdError) as error:
            reason = error.strerror or error if isinstance(error, OSError) else error
            self._lost.append(f'{name}: {_reason(reason)}')
            return None
        return storage

    def _reject(self, opened: list[tuple[Path, Storage]]) -> None:
        """Raise BagError, because there is no message at all, and something is lost."""
        folder = self.path if self.path.is_dir() else self.path.parent
        lost = [
            *(
                f'{file.name}: {line}, and no message is whole'
                for file, storage in opened
                for line in storage.lost
            ),
            *self._lost,
        ]
        raise BagError(f'{folder / lost[0]}, {_ACCEPTED}')

    def _decompressed(self, file: Path) -> Path:
        """A copy that lives as long as the bag is open; of one that is cut off, what is there."""
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        copy = Path(folder) / file.stem
        room = shutil.disk_usage(folder).free // 2
        with open(file, 'rb') as source, open(copy, 'wb') as target:
            decompressor = zstd.ZstdDecompressor()
            while True:
                data = b''
                if decompressor.eof or decompressor.needs_input:
                    data = decompressor.unused_data or source.read(_PIECE)
                    if not data:
                        return copy
                if decompressor.eof:  # another frame begins
                    decompressor = zstd.ZstdDecompressor()
                target.write(decompressor.decompress(data, _PIECE))
                if target.tell() > room:
                    raise StorageError(
                        f'unpacked it is more than {room} bytes, half of what is free in {folder}'
                    )

    def _set_times(self, opened: list[tuple[Path, Storage]]) -> tuple[Jump, ...]:
        """Set times of the bag and its begin and end, and return the jumps of its clock."""
        jumps: list[Jump] = []
        clocks: dict[str, _Clock] = {}
        for file, storage in opened:
            # Files of one recording follow each other; others were recorded at the same time.
            clock = clocks.setdefault(_place_in_series(file)[0], _Clock())
            time_ns, back = clock.go_on(storage)
            self._files.append(_File(file.name, storage, time_ns))
            jumps += back
        times_ns = np.sort(
            np.concatenate([np.empty(0, np.int64), *(file.time_ns for file in self._files)])
        )
        self.begin_ns, self.end_ns = (
            (int(times_ns[0]), int(times_ns[-1])) if len(times_ns) else (0, 0)
        )
        steps_ns = np.diff(times_ns)
        quiet = np.flatnonzero(steps_ns > QUIET_NS)
        jumps += [Jump(*pair) for pair in zip(times_ns[quiet].tolist(), steps_ns[quiet].tolist())]
        return tuple(sorted(jumps))

    def _store(self, kind: str) -> Typestore:
        """One that knows a type as the bag defines it, or else our own."""
        for _, storage, _ in self._files:
            for channel in storage.channels.values():
                if channel.type == kind:
                    try:
                        store = get_typestore(Stores.EMPTY)
                        store.register(_types(channel))
                        store.get_msgdef(kind)
                        return store
                    except Exception:  # none, or in a dialect that rosbags does not know
                        continue
        return self._definitions


class _Clock:
    """Time of the bag of successive messages: it goes on where the recording's clock was set back.

    That is so where messages of one topic go back by more than BACK_NS: messages of different
    topics may be written one topic after the other.
    """

    def __init__(self) -> None:
        # Recorded time by topic; None: of all that no channel was declared for.
        self._latest: dict[_Key | None, int] = {}
        self._offset_ns = 0

    def go_on(self, storage: Storage) -> tuple[np.ndarray, list[Jump]]:
        """Of all rows of a storage file, int64; and where the clock was set back."""
        recorded_ns = storage.recorded_ns.tolist()
        topics = {number: channel[:2] for number, channel in storage.channels.items()}
        time_ns, jumps = storage.recorded_ns.copy(), []
        begin = 0  # of the rows since the clock was set back
        for row, (number, now_ns) in enumerate(zip(storage.channel.tolist(), recorded_ns)):
            topic = topics.get(number)
            before_ns = self._latest.get(topic, now_ns)
            if now_ns < before_ns - BACK_NS:
                latest_ns = max(self._latest.values())
                # Others may have come before it since then.
                first = row
                while first > begin and recorded_ns[first - 1] < latest_ns - BACK_NS:
                    first -= 1
                ahead_ns = min(recorded_ns[first : row + 1])
                time_ns[begin:first] += self._offset_ns
                jumps.append(Jump(latest_ns + self._offset_ns, ahead_ns - latest_ns))
                self._offset_ns += latest_ns - ahead_ns
                begin, self._latest = first, {}
                for each in range(first, row):
                    self._latest[topics.get(storage.channel[each])] = recorded_ns[each]
                before_ns = now_ns
            self._latest[topic] = max(before_ns, now_ns)
        time_ns[begin:] += self._offset_ns
        return time_ns, jumps


def _read(
    file: _File, wanted: set[_Key], begin_ns: int | None, end_ns: int | None
) -> Iterator[Recorded]:
    storage = file.storage
    numbers = [number for number, channel in storage.channels.items() if channel[:2] in wanted]
    chosen = np.isin(storage.channel, numbers)
    if begin_ns is not None:
        chosen &= file.time_ns >= begin_ns
    if end_ns is not None:
        chosen &= file.time_ns < end_ns
    rows = np.flatnonzero(chosen)
    rows = rows[np.argsort(file.time_ns[rows], kind='stable')]
    for row, data in storage.messages(rows.tolist()):
        channel = storage.channels[int(storage.channel[row])]
        yield Recorded(
            channel.topic, channel.type, int(storage.recorded_ns[row]), int(file.time_ns[row]), data
        )


def _types(channel: Channel) -> dict[str, Any]:
    """As rosbags has them. BagError for those of which its code would become too long."""
    if len(channel.definition) > _MAX_DEFINITION or '<<' in channel.definition:
        raise BagError('a definition that is too long, or computes')
    if channel.language == 'ros2msg':
        types = get_types_from_msg(channel.definition, channel.type)
    else:
        types = {
            name: fields
            for part in re.split(r'^=+\nIDL: .*\n', channel.definition, flags=re.MULTILINE)
            if part.strip()
            for name, fields in get_types_from_idl(part).items()
        }
    for name, (_, fields) in types.items():
        for field, kind in fields:
            # A line for each element.
            if kind[0] is Nodetype.ARRAY and kind[1][1] > _MAX_ELEMENTS:
                raise BagError(f'{name}.{field} is an array of {kind[1][1]}')
    return types


def recordings(path: Path) -> list[Path]:
    """A folder without a storage file that has folders with some stands for these, in order; any
    other path stands for itself."""
    inside = sorted(path.iterdir()) if path.is_dir() and not _is_recording(path) else []
    return [each for each in inside if each.is_dir() and _is_recording(each)] or [path]


def _is_recording(folder: Path) -> bool:
    return any(_storage_suffix(file) and file.is_file() for file in folder.iterdir())


def _storage_suffix(file: Path) -> str:
    """Of a storage file, without that of its compression; empty: it is none."""
    suffix = Path(file.stem).suffix if file.suffix == _COMPRESSED_SUFFIX else file.suffix
    return suffix if suffix in STORAGE_SUFFIXES else ''


def _place_in_series(file: Path) -> tuple[str, int]:
    """Of NAME_2.mcap, the third file of a recording, NAME and 2."""
    stem, suffix = file.name, _storage_suffix(file)
    stem = stem[: stem.rindex(suffix)] if suffix else stem
    name, _, number = stem.rpartition('_')
    return (name, int(number)) if name and number.isdecimal() else (stem, 0)


def _reason(error: object) -> str:
    return ' '.join(str(error).split()).rstrip('.') or type(error).__name__
