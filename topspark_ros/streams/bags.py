"""Messages out of rosbag2 recordings, without ROS: sqlite3 and mcap, split, compressed, or damaged.

What the storage files hold is what counts; metadata.yaml is only held against them. Of a damaged
file that is read which is whole, and what is lost is told.
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

import yaml
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from topspark_ros.errors import TopsparkError

from .damaged_bags import DamagedSqlite, UnindexedMcap

STORAGE_SUFFIXES = ('.mcap', '.db3')

_COMPRESSED_SUFFIX = '.zstd'
_COMPRESSED_MAGIC = b'\x28\xb5\x2f\xfd'  # of zstd; a message begins with 0
_ACCEPTED = (f'accepted is a whole rosbag2 recording (its folder, or a '
             f'{" or ".join(STORAGE_SUFFIXES)} file)')


class BagError(TopsparkError):
    """A bag that cannot be read, or lacks what is asked for: one line that says what is there."""


class Topic(NamedTuple):
    """A topic of a bag with its type, such as std_msgs/msg/String, and number of messages."""

    name: str
    type: str
    messages: int


class Recorded(NamedTuple):
    """A message as it was recorded. recorded_ns: of the recording's clock."""

    topic: str
    type: str
    recorded_ns: int
    data: bytes


class Bag:
    """An open recording; a context manager.

    path: a bag's folder, or one storage file of it (.mcap or .db3, or compressed, .zstd).
    definitions: of types that the bag does not define itself, as old ones do not.

    topics: with their types, in order.
    begin_ns, end_ns: times of the first and of the last message, of the recording's clock; both 0
        in an empty bag.
    lost: what of the bag cannot be read, one line each; more may come while messages are read.

    Raises BagError if nothing of it can be read.
    """

    def __init__(self, path: str | Path, definitions: Typestore) -> None:
        self.path = Path(path)
        self.lost: list[str] = []
        self._definitions = definitions
        self._stores: dict[str, Typestore] = {}
        self._stack = ExitStack()
        self._storages: dict[str, Reader | DamagedSqlite | UnindexedMcap] = {}    # by file
        try:
            files, told = self._look()
            for file in files:
                self._open(file)
            if not self._storages:
                folder = self.path if self.path.is_dir() else self.path.parent
                raise BagError(f'{folder / self.lost[0]}, {_ACCEPTED}')
        except BaseException:
            self._stack.close()
            raise
        counts = Counter()
        for storage in self._storages.values():
            for connection in storage.connections:
                counts[connection.topic, connection.msgtype] += connection.msgcount
        self.topics = tuple(Topic(*key, count) for key, count in sorted(counts.items()))
        filled = [storage for storage in self._storages.values() if storage.message_count]
        self.begin_ns = min((storage.start_time for storage in filled), default=0)
        self.end_ns = max((storage.end_time - 1 for storage in filled), default=0)
        if told not in (None, counts.total()):
            self.lost.append(f'metadata.yaml tells of {told} messages, the files hold '
                             f'{counts.total()}')

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def there(self) -> str:
        """The topics with their types, for the end of a complaint."""
        return 'the bag holds ' + (', '.join(f'{topic.name} ({topic.type})'
                                             for topic in self.topics) or 'no topic at all')

    def messages(self, topics: Collection[Topic], begin_ns: int | None = None,
                 end_ns: int | None = None) -> Iterator[Recorded]:
        """The messages of topics in recorded order.

        begin_ns, end_ns: only those from begin to before end, of the recording's clock.
        """
        wanted = {topic[:2] for topic in topics}
        yield from heapq.merge(
            *(self._read(file, storage, wanted, begin_ns, end_ns)
              for file, storage in self._storages.items()),
            key=lambda message: message.recorded_ns)

    def deserialize(self, recorded: Recorded) -> Any:
        """The message, with the fields of its type; BagError for bytes that are none."""
        data, kind = recorded.data, recorded.type
        try:
            if kind not in self._stores:
                self._stores[kind] = self._store(kind)
            if data[:4] == _COMPRESSED_MAGIC:
                data = _zstd().decompress(data)
            return self._stores[kind].deserialize_cdr(data, kind)
        except Exception as error:  # broken bytes break it in many ways
            raise BagError(f'data is {len(data)} bytes that are no {kind}: {_reason(error)}'
                           ) from None

    # ---------------------------------------------------------------------------------------

    def _look(self) -> tuple[list[Path], int | None]:
        """The storage files, and how many messages metadata.yaml tells of, None if it does not."""
        if not self.path.is_dir():
            if not self.path.exists():
                raise BagError(f'{self.path}: File does not exist, {_ACCEPTED}')
            return [self.path], None
        files = sorted(file for file in self.path.iterdir() if _storage_suffix(file))
        if not files:
            raise BagError(f'{self.path}: no storage file in it, {_ACCEPTED}')
        try:
            told = yaml.safe_load((self.path / 'metadata.yaml').read_text(encoding='utf-8'))
            told = dict(told['rosbag2_bagfile_information'])
            listed = {Path(name).name for name in told.get('relative_file_paths') or ()}
        except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
            return files, None    # of no use, but the files tell the same
        compression = told.get('compression_format') or 'zstd'
        if compression != 'zstd':
            raise BagError(f'{self.path}: compression_format is {compression!r}, accepted is zstd, '
                           'or none')
        self.lost += [f'{name}: missing, metadata.yaml tells of it'
                      for name in sorted(listed - {file.name for file in files})]
        count = told.get('message_count')
        return files, count if isinstance(count, int) else None

    def _open(self, file: Path) -> None:
        """A storage file, or what is whole of it."""
        name = file.name
        try:
            if file.suffix == _COMPRESSED_SUFFIX:
                file = self._decompressed(file)
            suffix = _storage_suffix(file)
            if not suffix:
                raise BagError('no storage file')
            try:
                storage = self._stack.enter_context(Reader(file))
                if suffix == '.mcap' and not storage.storage.chunks:
                    storage = self._stack.enter_context(UnindexedMcap(file))
            except Exception as error:
                damaged = UnindexedMcap if suffix == '.mcap' else DamagedSqlite
                try:
                    storage = self._stack.enter_context(damaged(file))
                except Exception:
                    raise error from None
                self.lost.append(f'{name}: damaged ({_reason(error)}), what is whole of it is read')
            encodings = {connection.ext.serialization_format for connection in storage.connections}
            if not encodings <= {'cdr'}:
                raise BagError(f'serialization format {", ".join(sorted(encodings))} is not cdr')
        except Exception as error:  # broken bytes break the reader in many ways
            self.lost.append(f'{name}: {_reason(error)}')
            return
        self._storages[name] = storage
        log = file.with_name(f'{file.name}-wal')
        if log.exists() and log.stat().st_size:
            self.lost.append(f'{log.name}: not read; any write to the bag by sqlite3 takes it in')

    def _decompressed(self, file: Path) -> Path:
        """A copy that lives as long as the bag is open; of one that is cut off, what is there."""
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        copy = Path(folder) / file.stem
        with open(copy, 'wb') as target, _zstd().open(file, 'rb') as source:
            try:
                shutil.copyfileobj(source, target)
            except EOFError:
                pass    # the copy is cut off then
        return copy

    def _read(self, file: str, storage: Reader | DamagedSqlite | UnindexedMcap,
              wanted: set[tuple[str, str]], begin_ns: int | None,
              end_ns: int | None) -> Iterator[Recorded]:
        connections = [connection for connection in storage.connections
                       if (connection.topic, connection.msgtype) in wanted]
        if not connections:
            return
        recorded_ns = self.begin_ns
        try:
            for connection, recorded_ns, data in storage.messages(connections, begin_ns, end_ns):
                yield Recorded(connection.topic, connection.msgtype, recorded_ns, data)
        except Exception as error:  # broken bytes break the reader in many ways
            self.lost.append(f'{file}: {_reason(error)}; nothing is read after '
                             f'{(recorded_ns - self.begin_ns) * 1e-9:.3f} s')

    def _store(self, kind: str) -> Typestore:
        """One that knows a type as the bag defines it, or else our own."""
        for storage in self._storages.values():
            for connection in storage.connections:
                if connection.msgtype == kind:
                    try:
                        store = get_typestore(Stores.EMPTY)
                        store.register(_types(kind, connection.msgdef))
                        store.get_msgdef(kind)
                        return store
                    except Exception:  # none, or in a dialect that rosbags does not know
                        continue
        return self._definitions


def _types(kind: str, definition: MessageDefinition) -> dict[str, Any]:
    if definition.format == MessageDefinitionFormat.MSG:
        return get_types_from_msg(definition.data, kind)
    return {name: fields
            for part in re.split(r'^=+\nIDL: .*\n', definition.data, flags=re.MULTILINE)
            if part.strip() for name, fields in get_types_from_idl(part).items()}


def _storage_suffix(file: Path) -> str:
    """Of a storage file, without that of its compression; empty: it is none."""
    suffix = Path(file.stem).suffix if file.suffix == _COMPRESSED_SUFFIX else file.suffix
    return suffix if suffix in STORAGE_SUFFIXES else ''


def _reason(error: Exception) -> str:
    return ' '.join(str(error).split()).rstrip('.') or type(error).__name__


def _zstd():
    """The module that rosbags has chosen: Python's own, or its backport."""
    from rosbags.rosbag2 import reader
    return reader.zstd
