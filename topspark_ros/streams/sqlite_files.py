"""Bags' sqlite3 files, whole, damaged, or left by a recorder that was killed.

A recorder that was killed leaves messages in a file beside the database, -wal or -journal, which
sqlite takes in when it opens the database. It does so on a copy here: a recording is never written.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import numpy as np

from topspark_ros.files import FileError, parse_yaml

from .storages import MAX_METADATA, Channel, StorageError

# Number, topic and time, as they are stored: whatever a damaged file has there.
_Row = tuple[int, object, object]

_BESIDE = ('-wal', '-journal')
_WAL_HEADER, _FRAME_HEADER = 32, 24  # bytes
_FARTHEST = 1 << 62  # a row's number
_ROWS = 'SELECT id, topic_id, timestamp FROM messages NOT INDEXED'


class SqliteFile:
    """A Storage. Raises StorageError if nothing can be made of the file, OSError as `open`."""

    def __init__(self, path: Path) -> None:
        self.lost: list[str] = []
        with open(path, 'rb') as file:
            if not file.read(1):
                raise StorageError('0 bytes')
        self._stack = ExitStack()
        try:
            self._database = self._connect(path)
            self._execute('PRAGMA writable_schema=ON')  # else a file that is cut off is rejected
            self.channels = self._read_channels()
            self._read_rows()
            if not (path.with_name('metadata.yaml').exists() or self._was_closed()):
                self.lost.append(
                    'not closed by its recorder: what was recorded last may be missing'
                )
        except sqlite3.Error as error:
            self._stack.close()
            raise StorageError('; '.join((*self.lost, _reason(error)))) from None
        except BaseException:
            self._stack.close()
            raise

    def messages(self, rows: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """As of Storage."""
        wrong = 0
        for row in rows:
            data = self._message(int(self._number[row]))
            if data is None:
                wrong += 1
            else:
                yield row, data
        if wrong:
            self.lost.append(f'damaged: {wrong} messages are not whole and lost')

    def close(self) -> None:
        self._stack.close()

    # ---------------------------------------------------------------------------------------

    def _connect(self, path: Path) -> sqlite3.Connection:
        beside = [
            file
            for suffix in _BESIDE
            if (file := path.with_name(path.name + suffix)).is_file() and file.stat().st_size
        ]
        whole, pages = _size(path)
        cut = not beside and pages < whole
        if cut:
            self.lost.append(f'damaged (cut off at byte {path.stat().st_size} of {whole})')
        if beside or cut and pages < path.stat().st_size:
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
            for file in (path, *beside):
                shutil.copyfile(file, folder / file.name)
            if cut:  # sqlite would take half a page, with zeros for the rest
                os.truncate(folder / path.name, pages)
            path = folder / path.name
        options = '' if beside else '?immutable=1'
        database = sqlite3.connect(
            f'{path.resolve().as_uri()}{options}', uri=True, check_same_thread=False
        )
        self._stack.callback(database.close)
        for log in beside:
            if log.name.endswith('-wal'):
                self._tell_of_log(log, database)
        return database

    def _tell_of_log(self, log: Path, database: sqlite3.Connection) -> None:
        """What of a -wal file sqlite could not take in."""
        _, pages, _ = database.execute('PRAGMA wal_checkpoint').fetchone()
        content = log.read_bytes()
        if pages < 1:
            self.lost.append(f'{log.name}: nothing of its {len(content)} bytes can be taken in')
            return
        (page_size,) = struct.unpack_from('>I', content, 8)
        at = _WAL_HEADER + pages * (_FRAME_HEADER + page_size)
        # Frames of an earlier round, which sqlite has taken in before, have another salt.
        if content[at + 8 : at + 16] == content[16:24]:
            self.lost.append(
                f'{log.name}: a change that was not finished is lost, {len(content) - at} bytes'
            )

    def _execute(self, query: str, *values: object) -> sqlite3.Cursor:
        return self._database.execute(query, values)

    def _read_channels(self) -> dict[int, Channel]:
        tables = {
            name for (name,) in self._execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        # Computed when they are read, which may take for ever: no recorder has such.
        if any(
            column[-1]
            for table in tables
            for column in self._execute('SELECT * FROM pragma_table_xinfo(?)', table)
        ):
            raise StorageError('a table whose columns are computed')
        if not {'messages', 'topics'} <= tables:
            raise StorageError(
                '; '.join(self.lost)
                or (
                    'no table of messages in it; where the recorder was killed, they are in the '
                    'file '
                    'of the same name with -wal behind it, which has to lie beside it'
                )
            )
        try:
            definitions = {
                kind: (language, text)
                for kind, language, text in self._execute(
                    'SELECT topic_type, encoding, encoded_message_definition '
                    'FROM message_definitions'
                )
            }
        except sqlite3.DatabaseError:
            definitions = {}  # an old one has none
        return {
            number: Channel(
                str(topic), str(kind), str(encoding), *map(str, definitions.get(kind, ('', '')))
            )
            for number, topic, kind, encoding in self._execute(
                'SELECT id, name, type, serialization_format FROM topics ORDER BY id'
            )
        }

    def _read_rows(self) -> None:
        rows: list[_Row] = []
        reason = ''
        while True:
            try:
                for row in self._execute(
                    f'{_ROWS} WHERE id > ? ORDER BY id', rows[-1][0] if rows else -_FARTHEST
                ):
                    rows.append(row)
                break
            except sqlite3.DatabaseError as error:
                reason = _reason(error)
            following = self._readable_after(rows[-1][0] if rows else 0)
            if following is None:
                break
            rows.append(following)
        if reason:
            self.lost.append(f'damaged ({reason}), {len(rows)} of its messages are found')
        sound = [row for row in rows if row[1] in self.channels and isinstance(row[2], int)]
        if len(sound) < len(rows):
            self.lost.append(f'damaged: {len(rows) - len(sound)} messages have no topic or no time')
        self._number, self.channel, self.recorded_ns = np.array(sound, np.int64).reshape(-1, 3).T

    def _readable_after(self, number: int) -> _Row | None:
        """The first row behind one after which the table is damaged; None: there is none."""

        def from_there(first: int) -> _Row | None | Literal[False]:
            """The first row from there on; None: there is none, False: it cannot be read."""
            try:
                return self._execute(f'{_ROWS} WHERE id >= ? ORDER BY id LIMIT 1', first).fetchone()
            except sqlite3.DatabaseError:
                return False

        low, step = number, 1
        while (found := from_there(number + step)) is False:
            low, step = number + step, 2 * step
            if step > _FARTHEST:
                return None
        high = number + step
        while high - low > 1:
            middle = (low + high) // 2
            if (there := from_there(middle)) is False:
                low = middle
            else:
                high, found = middle, there
        return found

    def _was_closed(self) -> bool:
        """Whether the recorder came to its end, as far as the file tells: of schema 4 it does."""
        try:
            (schema,) = self._execute('SELECT schema_version FROM schema').fetchone()
            row = self._execute('SELECT metadata FROM metadata ORDER BY id DESC LIMIT 1').fetchone()
            metadata = parse_yaml(row[0][:MAX_METADATA], 'metadata', 'YAML') if row else None
        except (sqlite3.DatabaseError, TypeError, FileError):
            return True
        count = metadata.get('message_count', 0) if isinstance(metadata, dict) else 0
        return (
            schema < 4
            or row is not None
            and (not isinstance(count, int) or count >= len(self._number))
        )

    def _message(self, number: int) -> bytes | None:
        try:
            row = self._execute('SELECT data FROM messages WHERE id = ?', number).fetchone()
        except sqlite3.DatabaseError:
            return None
        return row[0] if row and isinstance(row[0], bytes) else None


def _size(path: Path) -> tuple[int, int]:
    """Bytes that the file has by its header, and those of the pages that are whole."""
    with open(path, 'rb') as file:
        header = file.read(32).ljust(32, b'\0')
    (page,), (pages,) = struct.unpack_from('>H', header, 16), struct.unpack_from('>I', header, 28)
    page = 1 << 16 if page == 1 else page or 1
    return page * pages, path.stat().st_size // page * page


def _reason(error: Exception) -> str:
    return ' '.join(str(error).split()).rstrip('.')
