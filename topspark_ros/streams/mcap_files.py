"""MCAP files, whole or damaged: what is whole of them is read, in any order, and the rest told.

The records are followed from the first one, by the lengths that they begin with (mcap.dev/spec);
the summary at the end is only needed to go on behind a record that is damaged.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np

from .storages import MAX_BYTES, Channel, StorageError, decompressed

_MAGIC = b'\x89MCAP0\r\n'
_RECORD = struct.Struct('<BQ')  # operation and length of a record
_FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _INDEX, _CHUNK_INDEX, _DATA_END = (
    0x02,
    0x03,
    0x04,
    0x05,
    0x06,
    0x07,
    0x08,
    0x0F,
)
_OWN = 0x80  # operations from here on are anybody's, to be passed over
_FOOTER_SIZE = _RECORD.size + 20 + len(_MAGIC)
_MESSAGE_HEADER = struct.Struct('<HIQQ')  # channel, sequence, times of recording and publishing
_CHUNK_HEADER = struct.Struct('<QQQI')  # first and last time, size, checksum
_ENTRY = np.dtype([('time', '<u8'), ('offset', '<u8')])  # of an index
_LATEST = np.iinfo(np.int64).max // 2  # later times are wrong anyway
_LOOSE = _LATEST  # in the place of a chunk's number: the message is in none

_Column = Sequence[int] | np.ndarray
_Columns = tuple[_Column, _Column, _Column]  # of some rows: channels, times, offsets
_Lists = tuple[list[int], list[int], list[int]]


class _Chunk(NamedTuple):
    """begin, packed: where its bytes are in the file, and how many. size, checksum: unpacked;
    checksum 0: unknown. cut: the file ends within it."""

    begin: int
    packed: int
    compression: str
    size: int
    checksum: int
    cut: bool


class McapFile:
    """A Storage. Raises StorageError if nothing can be made of the file, OSError as `open`."""

    def __init__(self, path: Path) -> None:
        self.channels: dict[int, Channel] = {}
        self.lost: list[str] = []
        self._schemas: dict[int, tuple[str, str, str]] = {}
        self._chunks: list[_Chunk] = []
        self._parts: list[tuple[_Columns, int]] = []  # of the rows, and the chunk that it is in
        self._loose: _Lists = [], [], []
        self._file = open(path, 'rb')
        try:
            self._size = self._file.seek(0, 2)
            if self._size == 0:
                raise StorageError('0 bytes')
            if self._bytes(0, len(_MAGIC)) != _MAGIC:
                raise StorageError('no MCAP file, which begins with other bytes')
            self._follow()
        except BaseException:
            self._file.close()
            raise
        self._keep_loose()
        self.channel, self.recorded_ns, self._offset = (
            np.concatenate(
                [np.empty(0, np.int64), *map(_int64, (part[i] for part, _ in self._parts))]
            )
            for i in range(3)
        )
        self._chunk = np.repeat(
            _int64([chunk for _, chunk in self._parts]), [len(part[0]) for part, _ in self._parts]
        )

    def messages(self, rows: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """As of Storage. A chunk is unpacked once, and kept until all rows of it were read."""
        wanted = np.asarray(rows, np.int64)
        chunks = self._chunk[wanted].tolist()
        left = Counter(chunks)
        unpacked: dict[int, bytes | None] = {}
        wrong = gone = 0
        for row, chunk in zip(wanted.tolist(), chunks):
            if chunk == _LOOSE:
                data = self._message(int(self._offset[row]))
                gone += data is None
            else:
                if chunk not in unpacked:
                    unpacked[chunk] = self._unpacked(chunk, left[chunk])
                inside = unpacked[chunk]
                left[chunk] -= 1
                if left[chunk] == 0:
                    del unpacked[chunk]
                data = None if inside is None else _message_in(inside, int(self._offset[row]))
                wrong += inside is not None and data is None
            if data is not None:
                yield row, data
        if wrong:
            self.lost.append(f'damaged (its index names other places): {wrong} messages are lost')
        if gone:
            self.lost.append(f'became shorter while it was read: {gone} messages are lost')

    def close(self) -> None:
        self._file.close()

    # ---------------------------------------------------------------------------------------

    def _bytes(self, begin: int, size: int) -> bytes:
        self._file.seek(begin)
        return self._file.read(max(0, min(size, self._size - begin)))

    def _header(self, position: int) -> tuple[int, int, int] | None:
        """Operation, and where the content begins and ends; None: no record begins there."""
        header = self._bytes(position, _RECORD.size)
        if len(header) < _RECORD.size:
            return None
        operation, length = _RECORD.unpack(header)
        if operation == 0 or _DATA_END < operation < _OWN:
            return None
        return operation, position + _RECORD.size, position + _RECORD.size + length

    def _follow(self) -> None:
        """Go through the records of the file."""
        position = len(_MAGIC)
        while True:
            record = self._header(position)
            if record is not None and record[0] in (_DATA_END, _FOOTER):
                break
            following = None if record is None else self._take(*record)
            if following is None:
                following = self._chunk_after(position)
                if following is None:
                    wrong = 'cut off' if record and record[2] > self._size else 'no MCAP'
                    self.lost.append(f'damaged ({wrong} behind byte {position} of {self._size})')
                    return
                self.lost.append(f'damaged (bytes {position} to {following}), the rest is read')
            position = following
        if self._bytes(self._size - len(_MAGIC), len(_MAGIC)) != _MAGIC:
            self.lost.append('damaged (cut off behind its messages), all of them are read')

    def _take(self, operation: int, begin: int, end: int) -> int | None:
        """Note what a record holds; where the next one begins, None if this one is not whole."""
        if operation == _CHUNK:
            return self._take_chunk(begin, end)
        if end > self._size:
            return None
        try:
            if operation == _MESSAGE:
                channel, _, time_ns, _ = _MESSAGE_HEADER.unpack(
                    self._bytes(begin, _MESSAGE_HEADER.size)
                )
                for column, value in zip(self._loose, (channel, time_ns, begin - _RECORD.size)):
                    column.append(value)
            elif operation in (_SCHEMA, _CHANNEL):
                self._declare(operation, self._bytes(begin, end - begin))
        except (struct.error, UnicodeDecodeError):
            return None
        return end

    def _declare(self, operation: int, content: bytes) -> None:
        """A schema or a channel."""
        (number,) = struct.unpack_from('<H', content)
        if operation == _SCHEMA:
            (name, language), rest = _texts(content, 2, 2)
            (size,) = struct.unpack_from('<I', content, rest)
            self._schemas[number] = name, language, content[rest + 4 : rest + 4 + size].decode()
        else:
            (schema,) = struct.unpack_from('<H', content, 2)
            (topic, encoding), _ = _texts(content, 4, 2)
            name, language, definition = self._schemas.get(schema, ('', '', ''))
            self.channels.setdefault(number, Channel(topic, name, encoding, language, definition))

    def _take_chunk(self, begin: int, end: int) -> int | None:
        """The rows of a chunk by the index behind it; where that does not do, by its content."""
        header = self._bytes(begin, _CHUNK_HEADER.size + 4)
        try:
            *_, size, checksum = _CHUNK_HEADER.unpack_from(header)
            (length,) = struct.unpack_from('<I', header, _CHUNK_HEADER.size)
            if length > 64 or size > MAX_BYTES:
                return None
            at = begin + len(header)
            compression = self._bytes(at, length).decode()
            (packed,) = struct.unpack('<Q', self._bytes(at + length, 8))
        except (struct.error, UnicodeDecodeError):
            return None
        begin = at + length + 8
        if begin + packed > end:
            return None
        cut = end > self._size
        self._keep_loose()
        number = len(self._chunks)
        self._chunks.append(_Chunk(begin, packed, compression, size, checksum, cut))
        index = None if cut else self._read_index(end)
        if (
            index is not None
            and set(index[0].tolist()) <= self.channels.keys()
            and (index[2] < size).all()
        ):
            self._parts.append((index, number))
            return end
        inside = self._unpacked(number, 0)
        if inside is not None:
            self._parts.append((self._scan(inside), number))
        return None if cut else end

    def _read_index(self, position: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Channel, time and offset of each message of the chunk before, in order; None: none."""
        channels, entries = [], []
        while (record := self._header(position)) and record[0] == _INDEX:
            _, begin, position = record
            content = self._bytes(begin, position - begin)
            if len(content) < position - begin or len(content) < 6:
                return None
            number, size = struct.unpack_from('<HI', content)
            if size % _ENTRY.itemsize or len(content) < 6 + size:
                return None
            entries.append(np.frombuffer(content, _ENTRY, size // _ENTRY.itemsize, 6))
            channels.append(np.full(len(entries[-1]), number, np.int64))
        if not entries:
            return None
        entry, channel = np.concatenate(entries), np.concatenate(channels)
        order = np.argsort(entry['offset'], kind='stable')
        return channel[order], entry['time'][order], entry['offset'][order]

    def _scan(self, inside: bytes) -> _Lists:
        """What `_read_index` returns, by the records of a chunk, which may also declare channels;
        as far as they are whole."""
        rows: _Lists = [], [], []
        position = 0
        while position + _RECORD.size <= len(inside):
            operation, length = _RECORD.unpack_from(inside, position)
            begin = position + _RECORD.size
            if operation == 0 or begin + length > len(inside):
                break
            try:
                if operation == _MESSAGE:
                    channel, _, time_ns, _ = _MESSAGE_HEADER.unpack_from(inside, begin)
                    for column, value in zip(rows, (channel, time_ns, position)):
                        column.append(value)
                elif operation in (_SCHEMA, _CHANNEL):
                    self._declare(operation, inside[begin : begin + length])
            except (struct.error, UnicodeDecodeError):
                break
            position = begin + length
        return rows

    def _unpacked(self, number: int, wanted: int) -> bytes | None:
        """The records of a chunk; of one that the file ends within, those that are whole.

        wanted: messages that are lost if it is damaged, which is told: then None.
        """
        chunk = self._chunks[number]
        try:
            inside = decompressed(
                self._bytes(chunk.begin, chunk.packed), chunk.compression, chunk.size
            )
            if not chunk.cut and len(inside) != chunk.size:
                raise StorageError(f'{len(inside)} bytes of {chunk.size}')
            if not chunk.cut and chunk.checksum not in (0, crc32(inside)):
                raise StorageError('its checksum is wrong')
        except StorageError as error:
            self.lost.append(
                f'damaged (chunk at byte {chunk.begin}: {error}), '
                + (f'{wanted} messages are lost' if wanted else 'it is lost')
            )
            return None
        return inside

    def _message(self, offset: int) -> bytes | None:
        """One that is in no chunk; None: the file has become shorter."""
        record = self._header(offset)
        if record is None:
            return None
        _, begin, end = record
        content = self._bytes(begin, end - begin)
        return content[_MESSAGE_HEADER.size :] if len(content) == end - begin else None

    def _keep_loose(self) -> None:
        if self._loose[0]:
            self._parts.append((self._loose, _LOOSE))
            self._loose = [], [], []

    def _chunk_after(self, position: int) -> int | None:
        """Where the next chunk begins, by the summary; None: there is none, or no summary."""
        footer = self._bytes(self._size - _FOOTER_SIZE, _FOOTER_SIZE)
        if len(footer) < _FOOTER_SIZE or not footer.endswith(_MAGIC) or footer[0] != _FOOTER:
            return None
        (at,) = struct.unpack_from('<Q', footer, _RECORD.size)
        chunks = []
        while at and (record := self._header(at)) and record[0] != _FOOTER:
            operation, begin, at = record
            if operation == _CHUNK_INDEX:
                content = self._bytes(begin, 24)
                if len(content) == 24:
                    chunks.append(struct.unpack('<QQQ', content)[2])
        return min((begin for begin in chunks if position < begin < self._size), default=None)


def _int64(values: _Column) -> np.ndarray:
    """Of unsigned ones; what is too large for a time stays so."""
    return np.minimum(np.asarray(values, np.uint64), _LATEST).astype(np.int64)


def _message_in(inside: bytes, offset: int) -> bytes | None:
    """Of a chunk; None: there is none at this place."""
    if offset + _RECORD.size > len(inside):
        return None
    operation, length = _RECORD.unpack_from(inside, offset)
    begin = offset + _RECORD.size
    if operation != _MESSAGE or begin + length > len(inside):
        return None
    return inside[begin + _MESSAGE_HEADER.size : begin + length]


def _texts(content: bytes, at: int, count: int) -> tuple[list[str], int]:
    """So many texts, each after its length, and where they end."""
    texts = []
    for _ in range(count):
        (size,) = struct.unpack_from('<I', content, at)
        if at + 4 + size > len(content):
            raise struct.error('a text that is longer than its record')
        texts.append(content[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return texts, at
