"""Damaged recordings: wherever a file is cut off, what is whole is read, and the loss told."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from pathlib import Path
from zlib import crc32

import lz4.frame
import numpy as np
import pytest
from rosbags.rosbag2 import CompressionMode, StoragePlugin, Writer
from test_bags import (
    ACCEPTED,
    NUMBER,
    STORE,
    read,
    rejection,
    storage_file,
    write_bag,
)

from topspark_ros.streams.bags import Bag, BagError
from topspark_ros.streams.storages import decompressed

KINDS = ['mcap', 'zstd chunks', 'lz4 chunks', 'zstd file', 'sqlite3', 'zstd messages']
COUNT = 12


def records(content: bytes):
    """(operation, content) of each record of an MCAP file."""
    at = 8
    while at < len(content) - 8:
        operation, length = struct.unpack_from('<BQ', content, at)
        yield operation, content[at + 9 : at + 9 + length]
        at += 9 + length


def record(operation: int, content: bytes) -> bytes:
    return struct.pack('<BQ', operation, len(content)) + content


def with_lz4_chunks(content: bytes) -> bytes:
    """A file of rosbags, which writes no lz4, whose chunks are in lz4; without its summary."""
    parts = [content[:8]]
    for operation, inside in records(content):
        if operation == 6:
            head, (length,) = inside[:28], struct.unpack_from('<I', inside, 28)
            compression = inside[32 : 32 + length].decode()
            packed = lz4.frame.compress(decompressed(inside[40 + length :], compression))
            inside = head + struct.pack('<I', 3) + b'lz4' + struct.pack('<Q', len(packed)) + packed
        parts.append(record(operation, inside))
        if operation == 0x0F:
            break
    return b''.join((*parts, record(2, bytes(20)), content[:8]))


def write(path: Path, kind: str, size: int = 40, count: int = COUNT) -> Path:
    """The storage file of a bag of numbers."""
    storage = StoragePlugin.SQLITE3 if kind in ('sqlite3', 'zstd messages') else StoragePlugin.MCAP
    compression = {
        'zstd chunks': CompressionMode.STORAGE,
        'lz4 chunks': CompressionMode.STORAGE,
        'zstd file': CompressionMode.FILE,
        'zstd messages': CompressionMode.MESSAGE,
    }.get(kind, CompressionMode.NONE)
    file = storage_file(write_bag(path, range(count), storage, compression, size))
    if kind == 'lz4 chunks':
        file.write_bytes(with_lz4_chunks(file.read_bytes()))
    return file


@pytest.mark.parametrize('kind', KINDS)
def test_wherever_it_is_cut_off_there_is_a_rest_or_one_line(tmp_path, kind):
    file = write(tmp_path / 'bag', kind)
    (tmp_path / 'bag' / 'metadata.yaml').unlink()  # a recorder that was killed writes none
    assert read(file) == (list(range(COUNT)), [])
    whole = file.read_bytes()
    most = rejected = 0
    for length in {*range(0, len(whole), max(1, len(whole) // 150)), len(whole) - 1}:
        file.write_bytes(whole[:length])
        for path in (file, file.parent):
            try:
                values, lost = read(path)
            except BagError as error:
                assert str(error).startswith(f'{file}: ') and str(error).endswith(ACCEPTED)
                assert '\n' not in str(error)
                rejected += 1
                continue
            assert values == sorted(set(values)) and set(values) <= set(range(COUNT))
            assert lost and all(line.startswith(f'{file.name}: ') for line in lost)
            most = max(most, len(values))
    assert rejected and most >= (0 if kind == 'zstd file' else COUNT - 1)  # that is one block


@pytest.mark.parametrize('kind', ['zstd chunks', 'lz4 chunks'])
def test_what_can_be_unpacked_of_a_cut_chunk_is_read(tmp_path, kind):
    """Of chunks of 1 MB that hold all there is: blocks of 64 or 128 kB are unpacked one by one."""
    file = write(tmp_path / 'bag', kind, size=10_000, count=50)
    whole = file.read_bytes()
    file.write_bytes(whole[:300_000])
    values, lost = read(file)
    assert values == list(range(len(values))) and 20 <= len(values) <= 30
    assert lost == [f'{file.name}: damaged (cut off behind byte {lost_at(whole)} of 300000)']


def lost_at(whole: bytes) -> int:
    """Where the chunk begins: behind the header of the file."""
    return 8 + 9 + struct.unpack_from('<Q', whole, 9)[0]


def spoil(file: Path, at: int, content: bytes) -> None:
    with open(file, 'r+b') as spoiled:
        spoiled.seek(at)
        spoiled.write(content)


def chunks(whole: bytes) -> list[int]:
    """Where the chunk records begin."""
    at, begins = 8, []
    while at < len(whole) - 8:
        operation, length = struct.unpack_from('<BQ', whole, at)
        if operation == 6:
            begins.append(at)
        at += 9 + length
    return begins


def with_checksums(file: Path) -> None:
    """Of the chunks, as rosbag2 writes them and rosbags does not."""
    whole = file.read_bytes()
    for begin in chunks(whole):
        (length,) = struct.unpack_from('<I', whole, begin + 9 + 28)
        (packed,) = struct.unpack_from('<Q', whole, begin + 9 + 32 + length)
        inside = whole[begin + 9 + 40 + length :][:packed]
        spoil(file, begin + 9 + 24, struct.pack('<I', crc32(decompressed(inside, 'zstd'))))


@pytest.mark.parametrize(
    'at, content',
    [
        (500, b'spoiled'),  # its data
        (0, b'\x00'),  # what it is
        (1, b'\xff' * 8),  # its length, which what it holds tells too
    ],
)
def test_a_damaged_chunk_is_left_out_and_what_is_behind_it_read(tmp_path, at, content):
    file = write(tmp_path / 'bag', 'zstd chunks', size=10_000, count=350)
    begins = chunks(file.read_bytes())
    assert len(begins) > 3
    with_checksums(file)
    assert read(file) == (list(range(350)), [])
    spoil(file, begins[1] + at, content)
    values, lost = read(file)
    assert values == sorted(set(values)) and values[0] == 0 and values[-1] == 349
    # A chunk of 1 MB holds a hundred of 10 kB.
    assert 80 < 350 - len(values) < 120 or at == 1
    assert lost[0].startswith(f'{file.name}: damaged (')


def test_a_chunk_that_becomes_more_than_it_says_is_lost(tmp_path):
    """And takes no memory for it."""
    file = write(tmp_path / 'bag', 'zstd chunks', size=10_000, count=20)
    (begin, *_) = chunks(file.read_bytes())
    spoil(file, begin + 9 + 16, struct.pack('<Q', 5_000))  # the size that it becomes
    message = rejection(file)
    assert 'more than 5000 bytes in zstd' in message
    spoil(file, begin + 9 + 16, struct.pack('<Q', 1 << 50))
    assert 'damaged (' in rejection(file)


RECORDER = """
import os, signal, sys
sys.path.insert(0, {folder!r})
from test_bags import NUMBER, STEP_NS, STORE
from rosbags.rosbag2 import StoragePlugin, Writer
import numpy as np
writer = Writer({path!r}, version=9, storage_plugin=StoragePlugin.{storage})
writer.open()
connection = writer.add_connection(NUMBER.name, NUMBER.type, typestore=STORE)
database = getattr(writer.storage, 'conn', None)
if database:
    database.commit()
    database.execute('PRAGMA journal_mode=WAL')
    database.execute('PRAGMA wal_autocheckpoint=0')
number = 0
while True:
    for _ in range(10):
        message = STORE.types[NUMBER.type](number, np.zeros(3_000, np.uint8))
        writer.write(connection, number * STEP_NS, STORE.serialize_cdr(message, NUMBER.type))
        number += 1
    if database and number % 100 < 50:
        database.commit()
    if number == {messages}:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_recorder(path: Path, storage: str, messages: int) -> None:
    """A process that records, and is killed after so many messages, a multiple of ten."""
    recorder = subprocess.run(
        [
            sys.executable,
            '-c',
            RECORDER.format(
                folder=str(Path(__file__).parent),
                path=str(path),
                storage=storage,
                messages=messages,
            ),
        ]
    )
    assert recorder.returncode == -signal.SIGKILL and not (path / 'metadata.yaml').exists()


def test_what_a_killed_recorder_left_in_its_log_is_read(tmp_path):
    """Of sqlite3 all of it lies in the -wal file; the recording itself is not touched."""
    bag = tmp_path / 'bag'
    killed_recorder(bag, 'SQLITE3', 340)
    before = {file.name: file.read_bytes() for file in bag.iterdir()}
    assert before['bag.db3-wal']
    values, lost = read(bag)
    assert len(values) >= 340 and values == list(range(len(values)))
    assert 'bag.db3: not closed by its recorder: what was recorded last may be missing' in lost
    assert {file.name: file.read_bytes() for file in bag.iterdir()} == before

    # The log cut off: its whole changes are read.
    log = bag / 'bag.db3-wal'
    log.write_bytes(before['bag.db3-wal'][: len(before['bag.db3-wal']) // 2])
    fewer, lost = read(bag)
    assert 0 < len(fewer) < len(values) and fewer == list(range(len(fewer)))
    assert any('bag.db3-wal: a change that was not finished is lost' in line for line in lost)

    # The log lost: nothing is left but a line that says where it would be.
    log.unlink()
    assert '-wal behind it' in rejection(bag) or 'not closed' in rejection(bag)


def test_what_a_killed_recorder_has_written_of_mcap_is_read(tmp_path):
    killed_recorder(tmp_path / 'bag', 'MCAP', 1_200)
    values, lost = read(tmp_path / 'bag')
    assert 300 < len(values) <= 1_200 and values == list(range(len(values)))
    assert lost and lost[0].startswith('bag.mcap: damaged (')


def test_messages_of_a_file_that_becomes_shorter_are_lost(tmp_path):
    """They are in no chunk, and are read where they were found when the file was opened."""
    file = write(tmp_path / 'bag', 'mcap', size=10_000)
    whole = file.read_bytes()
    loose = b''.join(
        inside[40:] if operation == 6 else record(operation, inside)
        for operation, inside in records(whole)
        if operation != 7
    )
    file.write_bytes(whole[:8] + loose + whole[:8])
    assert read(file) == (list(range(COUNT)), [])
    with Bag(file, STORE) as bag:
        os.truncate(file, file.stat().st_size // 2)
        values = [bag.deserialize(recorded).number for recorded in bag.messages([NUMBER])]
        assert values == list(range(len(values))) and 0 < len(values) < COUNT
        missing = COUNT - len(values)
        assert bag.lost == [
            f'{file.name}: became shorter while it was read: {missing} messages are lost'
        ]


def test_a_change_that_was_rolled_back_is_none(tmp_path):
    """A -journal holds pages as they were: sqlite puts them back, in a copy."""
    file = write(tmp_path / 'bag', 'sqlite3')
    script = (
        f'import os, sqlite3; d = sqlite3.connect({str(file)!r}); '
        "d.execute('PRAGMA cache_size=1'); d.execute('PRAGMA synchronous=FULL'); "
        "d.execute('DELETE FROM messages'); d.execute('PRAGMA cache_spill=1'); "
        "d.executemany('INSERT INTO messages(topic_id, timestamp, data) VALUES (1, ?, ?)', "
        '((n, bytes(5_000)) for n in range(100))); os.kill(os.getpid(), 9)'
    )
    subprocess.run([sys.executable, '-c', script])
    assert file.with_name(file.name + '-journal').stat().st_size
    assert read(file) == (list(range(COUNT)), [])


def test_files_that_hold_nothing_are_one_line(tmp_path):
    (tmp_path / 'none.db3').write_bytes(b'')
    assert rejection(tmp_path / 'none.db3') == f'{tmp_path / "none.db3"}: 0 bytes{ACCEPTED}'
    assert rejection(tmp_path) == f'{tmp_path / "none.db3"}: 0 bytes{ACCEPTED}'


def test_what_is_no_file_is_one_line(tmp_path):
    os.mkfifo(tmp_path / 'pipe.mcap')
    assert rejection(tmp_path / 'pipe.mcap') == (
        f'{tmp_path / "pipe.mcap"}: a pipe or a device{ACCEPTED}'
    )
    (tmp_path / 'folder' / 'bag.db3').mkdir(parents=True)
    assert (
        rejection(tmp_path / 'folder') == f'{tmp_path / "folder"}: no storage file in it{ACCEPTED}'
    )


# Clocks.


def write_times(path, *topics, storage=StoragePlugin.MCAP):
    """Numbers of each topic in turn, at their times in s, in this order in the file."""
    with Writer(path, version=9, storage_plugin=storage) as writer:
        for name, times_s in topics:
            connection = writer.add_connection(name, NUMBER.type, typestore=STORE)
            for number, time_s in enumerate(times_s):
                message = STORE.types[NUMBER.type](number, np.empty(0, np.uint8))
                writer.write(
                    connection, round(time_s * 1e9), STORE.serialize_cdr(message, NUMBER.type)
                )
    return path


def jumps_and_times(path):
    """(where, how far) in s of each jump; and (number, recorded, time of the bag) in s."""
    with Bag(path, STORE) as bag:
        return (
            [(at_ns / 1e9, step_ns / 1e9) for at_ns, step_ns in bag.jumps],
            [
                (bag.deserialize(each).number, each.recorded_ns / 1e9, each.time_ns / 1e9)
                for each in bag.messages(bag.topics)
            ],
        )


@pytest.mark.parametrize('storage', StoragePlugin)
def test_a_clock_that_was_set_back_goes_on(tmp_path, storage):
    bag = write_times(tmp_path / 'bag', ('/a', [100, 101, 102, 40, 41, 101]), storage=storage)
    jumps, times = jumps_and_times(bag)
    assert jumps == [(102, -62)]
    assert times == [
        (0, 100, 100),
        (1, 101, 101),
        (2, 102, 102),
        (3, 40, 102),
        (4, 41, 103),
        (5, 101, 163),
    ]
    with Bag(bag, STORE) as opened:
        assert (opened.begin_ns, opened.end_ns) == (100 * 10**9, 163 * 10**9)
        part = opened.messages(opened.topics, 102 * 10**9 + 1, 104 * 10**9)
        assert [each.recorded_ns for each in part] == [41 * 10**9]


def test_topics_that_are_written_one_after_the_other_are_one_time(tmp_path):
    bag = write_times(tmp_path / 'bag', ('/a', range(0, 100, 10)), ('/b', range(5, 105, 10)))
    jumps, times = jumps_and_times(bag)
    assert jumps == [] and [time_s for *_, time_s in times] == list(range(0, 100, 5))


def test_a_clock_that_jumps_ahead_is_told(tmp_path):
    jumps, times = jumps_and_times(
        write_times(tmp_path / 'bag', ('/a', [0, 1_735_689_600, 1_735_689_601, 1_735_689_661.5]))
    )
    assert jumps == [(0, 1_735_689_600), (1_735_689_601, 60.5)] and len(times) == 4


def test_files_of_a_series_share_a_clock(tmp_path):
    for number, times_s in enumerate(([100, 101], [102, 50], [51, 52])):
        part = write_times(tmp_path / f'{number}', ('/a', times_s))
        storage_file(part).rename(tmp_path / f'bag_{number}.mcap')
    jumps, times = jumps_and_times(tmp_path)
    assert jumps == [(102, -52)]
    assert [time_s for *_, time_s in times] == [100, 101, 102, 102, 103, 104]


def test_files_that_are_no_series_were_recorded_at_the_same_time(tmp_path):
    for name in 'ab':
        part = write_times(tmp_path / name, (f'/{name}', range(3)))
        storage_file(part).rename(tmp_path / f'{name}.mcap')
    assert jumps_and_times(tmp_path)[0] == []
    assert [recorded_s for _, recorded_s, _ in jumps_and_times(tmp_path)[1]] == [0, 0, 1, 1, 2, 2]
