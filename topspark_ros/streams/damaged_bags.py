"""Storage files without their index, read as far as they are whole.

They have what `rosbags.rosbag2.Reader` has, as far as `Bag` needs it.
"""

from __future__ import annotations

import io
import os
import sqlite3
import struct
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from rosbags.interfaces import (
    Connection, ConnectionExtRosbag2, MessageDefinition, MessageDefinitionFormat,
)
from rosbags.rosbag2 import Reader, ReaderError

Message = tuple[Connection, int, bytes]     # with its time of the recording's clock, ns

_MAGIC = b'\x89MCAP0\r\n'
_CHUNK = 6
_RECORD = struct.Struct('<BQ')     # operation and length of a record
_CHUNK_HEADER = struct.Struct('<QQQII')    # times, size and checksum, length of the compression
_FOOTER = _RECORD.pack(2, 20) + bytes(20) + _MAGIC    # of a file without an index
_SQLITE_FORMATS = {'ros2msg': MessageDefinitionFormat.MSG, 'ros2idl': MessageDefinitionFormat.IDL}


class UnindexedMcap:
    """An MCAP file without an index, mostly because it was cut off; a context manager.

    Its whole records, those of a chunk that is not compressed too, are handed to rosbags as a
    file that ends behind them. Raises ReaderError if nothing can be made of it.
    """

    def __init__(self, path: Path) -> None:
        self._reader = Reader(_Ended(path))

    def __enter__(self) -> UnindexedMcap:
        self._reader.open()
        self.connections = self._reader.connections
        self.message_count = self._reader.message_count
        self.start_time, self.end_time = self._reader.start_time, self._reader.end_time
        return self

    def __exit__(self, *exception: object) -> None:
        self._reader.close()

    def messages(self, connections: Collection[Connection], start: int | None = None,
                 stop: int | None = None) -> Iterator[Message]:
        """In order of time, which is not quite the order in the file: it is read twice."""
        def scan() -> Iterator[Message]:
            return self._reader.storage.messages_scan(connections, start, stop)

        times = np.array([time_ns for _, time_ns, _ in scan()], np.int64)
        ranks = np.empty(len(times), np.intp)
        ranks[np.argsort(times, kind='stable')] = np.arange(len(times))
        early, due = {}, 0
        for rank, message in zip(ranks.tolist(), scan()):
            early[rank] = message
            while due in early:
                yield early.pop(due)
                due += 1


class _Ended:
    """A path to the whole records of a file, as rosbags takes it."""

    suffix = '.mcap'

    def __init__(self, path: Path) -> None:
        self._path = path

    def exists(self) -> bool:
        return self._path.exists()

    def is_dir(self) -> bool:
        return False

    def open(self, mode: str = 'rb') -> io.BufferedReader:
        size = self._path.stat().st_size
        with open(self._path, 'rb') as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ReaderError('File magic is invalid.')
            end = _whole_records(file, len(_MAGIC), size)
            parts = [(0, end)]
            if (begin := _records_of_chunk(file, end)) is not None:
                parts.append((begin, _whole_records(file, begin, size)))
        return io.BufferedReader(_Parts(self._path, parts, _FOOTER))


def _whole_records(file: io.BufferedIOBase, begin: int, end: int) -> int:
    """Where the records that begin at `begin` end, the last one of them at or before `end`."""
    while True:
        file.seek(begin)
        header = file.read(_RECORD.size)
        if len(header) < _RECORD.size:
            return begin
        operation, length = _RECORD.unpack(header)
        following = begin + _RECORD.size + length
        is_end = operation in (0, 2)     # zeros where nothing was written, or the footer
        if is_end or following > end:
            return begin
        inner = _records_of_chunk(file, begin)
        if inner is not None and _whole_records(file, inner, following) < following:
            return begin
        begin = following


def _records_of_chunk(file: io.BufferedIOBase, begin: int) -> int | None:
    """Where the records begin of a chunk that begins there; None: it is none, or compressed."""
    file.seek(begin)
    header = file.read(_RECORD.size + _CHUNK_HEADER.size)
    if len(header) < _RECORD.size + _CHUNK_HEADER.size or header[0] != _CHUNK or \
            _CHUNK_HEADER.unpack_from(header, _RECORD.size)[-1] > 0:
        return None
    return begin + len(header) + 8     # after their length


class _Parts(io.RawIOBase):
    """Parts (begin, end) of a file, one after the other, and then an end."""

    def __init__(self, path: Path, parts: list[tuple[int, int]], end: bytes) -> None:
        self._file = open(path, 'rb', buffering=0)
        self._parts, self._end = parts, end
        self._size = sum(end - begin for begin, end in parts) + len(end)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:
        position = self._position
        for begin, end in self._parts:
            if position < end - begin:
                self._file.seek(begin + position)
                data = self._file.read(min(len(buffer), end - begin - position))
                break
            position -= end - begin
        else:
            data = self._end[position:position + len(buffer)]
        buffer[:len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


class DamagedSqlite:
    """A sqlite3 file that lacks pages, read row by row; a context manager.

    Raises sqlite3.Error if not even its topics can be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> DamagedSqlite:
        self._database = sqlite3.connect(f'{self._path.resolve().as_uri()}?immutable=1', uri=True)
        try:
            self._database.execute('PRAGMA writable_schema=ON')    # else a short file is refused
            self._rows = self._whole_rows()
            self.connections = self._read_connections()
        except BaseException:
            self._database.close()
            raise
        times = [time_ns for time_ns, *_ in self._rows]
        self.message_count = len(times)
        self.start_time, self.end_time = min(times, default=0), max(times, default=-1) + 1
        return self

    def __exit__(self, *exception: object) -> None:
        self._database.close()

    def messages(self, connections: Collection[Connection], start: int | None = None,
                 stop: int | None = None) -> Iterator[Message]:
        """In order of time. Raises sqlite3.Error where a message is not whole."""
        wanted = {connection.id: connection for connection in connections}
        for time_ns, row, topic in sorted(self._rows):
            if topic in wanted and (start is None or start <= time_ns) and (
                    stop is None or time_ns < stop):
                (data,), = self._database.execute('SELECT data FROM messages WHERE id = ?', (row,))
                yield wanted[topic], time_ns, data

    def _whole_rows(self) -> list[tuple[int, int, int]]:
        """(time, row, topic) of each, as far as the table can be followed."""
        rows = []
        try:
            for row in self._database.execute('SELECT timestamp, id, topic_id FROM messages '
                                              'NOT INDEXED ORDER BY id'):
                rows.append(row)
        except sqlite3.DatabaseError:
            pass    # a page is missing
        return rows

    def _read_connections(self) -> list[Connection]:
        counts = Counter(topic for *_, topic in self._rows)
        try:
            definitions = {
                name: MessageDefinition(_SQLITE_FORMATS[encoding], text)
                for name, encoding, text in self._database.execute(
                    'SELECT topic_type, encoding, encoded_message_definition '
                    'FROM message_definitions')}
        except (sqlite3.DatabaseError, KeyError):
            definitions = {}    # an old one has none
        none = MessageDefinition(MessageDefinitionFormat.NONE, '')
        return [
            Connection(number, name, kind, definitions.get(kind, none), '', counts[number],
                       ConnectionExtRosbag2(encoding, []), self)
            for number, name, kind, encoding in self._database.execute(
                'SELECT id, name, type, serialization_format FROM topics ORDER BY id')]
