"""What the storage files of bags have in common, and how what is compressed becomes bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import lz4.frame
import numpy as np
from rosbags.rosbag2.reader import zstd  # Python's own, or its backport

from topspark_ros.errors import TopsparkError

MAX_METADATA = 1 << 24  # bytes of YAML: a bag of thousands of files or topics
MAX_BYTES = 1 << 30  # of a chunk or a message: a wrong length takes no memory beyond
ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'  # a message begins with 0


class StorageError(TopsparkError):
    """A storage file, or a part of it, of which nothing can be made."""


class Channel(NamedTuple):
    """Where messages are from. encoding: of the messages. definition: of the type; empty: none.

    language: of the definition, ros2msg or ros2idl.
    """

    topic: str
    type: str
    encoding: str
    language: str
    definition: str


class Storage(Protocol):
    """An open file. Rows are its messages in the order in which they were written.

    channels: by number. channel: of each row, (rows,) int64. recorded_ns: time of each row, of the
    recording's clock, (rows,) int64.
    lost: what of the file cannot be read, one line each; more may come while messages are read.
    """

    channels: dict[int, Channel]
    channel: np.ndarray
    recorded_ns: np.ndarray
    lost: list[str]

    def messages(self, rows: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Each row with the bytes of its message, in the order that is asked for; rows that cannot
        be read are skipped."""

    def close(self) -> None:
        """To be called once."""


def decompressed(data: bytes, compression: str, most: int = MAX_BYTES) -> bytes:
    """The bytes of zstd, lz4 or '': none; of what is cut off, those that are whole.

    most: bytes that come of it. StorageError for what is no such data, or becomes more.
    """
    if compression == '':
        return data
    try:
        make = {'zstd': zstd.ZstdDecompressor, 'lz4': lz4.frame.LZ4FrameDecompressor}[compression]
    except KeyError:
        raise StorageError(f'compression {compression!r}, accepted is zstd, lz4 or none') from None
    parts, size = [], 0
    try:
        while data:  # frame by frame
            decompressor = make()
            parts.append(decompressor.decompress(data, most + 1 - size))
            size += len(parts[-1])
            if size > most:
                raise StorageError(f'more than {most} bytes in {compression}')
            data = decompressor.unused_data if decompressor.eof else b''
    except (zstd.ZstdError, RuntimeError) as error:
        raise StorageError(' '.join(str(error).split())) from None
    return b''.join(parts)
