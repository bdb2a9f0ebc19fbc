"""Bags: what was written is read, in order; of what is damaged all that is whole, and one line."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest
import yaml
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from topspark_ros.streams.bags import Bag, BagError, Topic

STORE = get_typestore(Stores.ROS2_JAZZY)
STORE.register(get_types_from_msg('uint32 number\nuint8[] bytes', 'ours/msg/Number'))
TEXT, NUMBER = Topic('/text', 'std_msgs/msg/String', 0), Topic('/number', 'ours/msg/Number', 0)
STEP_NS = 100_000_000
ACCEPTED = ', accepted is a whole rosbag2 recording (its folder, or a .mcap or .db3 file)'
KINDS = [
    (StoragePlugin.SQLITE3, CompressionMode.NONE),
    (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
    (StoragePlugin.SQLITE3, CompressionMode.FILE),
    (StoragePlugin.MCAP, CompressionMode.NONE),
    (StoragePlugin.MCAP, CompressionMode.STORAGE),
    (StoragePlugin.MCAP, CompressionMode.FILE),
]


def write_bag(path, numbers, storage=StoragePlugin.MCAP, compression=CompressionMode.NONE, size=0):
    """Numbers, each at its number of steps, with so many random bytes, and a text after each."""
    random = np.random.default_rng(0)
    writer = Writer(path, version=9, storage_plugin=storage)
    if compression != CompressionMode.NONE:
        writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        connections = {
            topic: writer.add_connection(topic.name, topic.type, typestore=STORE)
            for topic in (NUMBER, TEXT)
        }
        for number in numbers:
            for topic, offset, fields in (
                (NUMBER, 0, (number, random.integers(0, 256, size, np.uint8))),
                (TEXT, 1, (f'text {number}',)),
            ):
                message = STORE.types[topic.type](*fields)
                writer.write(
                    connections[topic],
                    number * STEP_NS + offset,
                    STORE.serialize_cdr(message, topic.type),
                )
    return path


def storage_file(bag):
    (file,) = (file for file in bag.iterdir() if file.name != 'metadata.yaml')
    return file


def read(path, topics=(NUMBER,), **limits):
    """What is told, the numbers or texts, and what is lost."""
    with Bag(path, get_typestore(Stores.ROS2_JAZZY)) as bag:
        messages = [
            (recorded.recorded_ns, bag.deserialize(recorded))
            for recorded in bag.messages(topics, **limits)
        ]
        values = [
            message.number if hasattr(message, 'number') else message.data
            for _, message in messages
        ]
        assert [time_ns for time_ns, _ in messages] == sorted(time_ns for time_ns, _ in messages)
        return values, bag.lost


def rejection(path):
    with pytest.raises(BagError) as error:
        read(path)
    assert '\n' not in str(error.value)
    return str(error.value)


def edit_metadata(bag, **fields):
    path = bag / 'metadata.yaml'
    content = yaml.safe_load(path.read_text())
    content['rosbag2_bagfile_information'].update(fields)
    path.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize('storage, compression', KINDS)
def test_what_was_written_is_read(tmp_path, storage, compression):
    bag = write_bag(tmp_path / 'bag', range(5), storage, compression)
    for path in (bag, str(bag), storage_file(bag)):
        with Bag(path, get_typestore(Stores.EMPTY)) as opened:
            assert opened.topics == (NUMBER._replace(messages=5), TEXT._replace(messages=5))
            assert (opened.begin_ns, opened.end_ns) == (0, 4 * STEP_NS + 1)
        assert read(path) == (list(range(5)), [])
        both = [value for number in range(5) for value in (number, f'text {number}')]
        assert read(path, (TEXT, NUMBER)) == (both, [])
        assert read(path, begin_ns=STEP_NS, end_ns=3 * STEP_NS) == ([1, 2], [])


def test_an_empty_bag_has_topics_and_no_time(tmp_path):
    for storage in (StoragePlugin.MCAP, StoragePlugin.SQLITE3):
        with Bag(write_bag(tmp_path / storage.name, (), storage), STORE) as bag:
            assert bag.topics == (NUMBER, TEXT) and (bag.begin_ns, bag.end_ns) == (0, 0)
            assert list(bag.messages(bag.topics)) == [] and bag.lost == []


def split_bag(path, parts, storage):
    """One bag of several files, as `ros2 bag record --max-bag-duration` makes them."""
    path.mkdir()
    for number, numbers in enumerate(parts):
        file = storage_file(write_bag(path.with_name(f'part_{number}'), numbers, storage))
        file.rename(path / f'{path.name}_{number}{file.suffix}')
    metadata = path.with_name('part_0') / 'metadata.yaml'
    metadata.rename(path / 'metadata.yaml')
    edit_metadata(
        path,
        message_count=2 * sum(map(len, parts)),
        relative_file_paths=sorted(
            file.name for file in path.iterdir() if file.name != 'metadata.yaml'
        ),
    )
    return path


@pytest.mark.parametrize('storage', StoragePlugin)
def test_files_of_a_split_bag_are_one(tmp_path, storage):
    parts = [range(start, start + 3) for start in range(0, 36, 3)]  # 12: _10 sorts before _2
    bag = split_bag(tmp_path / 'bag', parts, storage)
    assert read(bag) == (list(range(36)), [])

    missing = next(bag.glob('bag_4.*'))
    missing.unlink()
    assert read(bag) == (
        [number for number in range(36) if number not in parts[4]],
        [
            f'{missing.name}: missing, metadata.yaml tells of it',
            'metadata.yaml tells of 72 messages, the files hold 66',
        ],
    )
    cut = next(bag.glob('bag_5.*'))
    cut.write_bytes(b'')
    values, lost = read(bag)
    assert values == [number for number in range(36) if number not in (*parts[4], *parts[5])]
    assert any(line.startswith(f'{cut.name}: ') for line in lost)


@pytest.mark.parametrize('storage, compression', KINDS)
@pytest.mark.parametrize('identifier', ['', 'something'])
def test_the_files_tell_their_storage(tmp_path, storage, compression, identifier):
    bag = write_bag(tmp_path / 'bag', range(5), storage, compression)
    edit_metadata(bag, storage_identifier=identifier)
    assert read(bag) == (list(range(5)), [])
    (bag / 'metadata.yaml').write_text('no metadata: [')
    assert read(bag) == (list(range(5)), [])
    (bag / 'metadata.yaml').unlink()
    assert read(bag) == (list(range(5)), [])


def test_metadata_that_does_not_fit_is_told(tmp_path):
    bag = write_bag(tmp_path / 'bag', range(5))
    edit_metadata(bag, message_count=12, topics_with_message_count=[])
    assert read(bag) == (list(range(5)), ['metadata.yaml tells of 12 messages, the files hold 10'])


def test_a_compression_that_nobody_knows_is_rejected(tmp_path):
    bag = write_bag(tmp_path / 'bag', range(5), compression=CompressionMode.FILE)
    edit_metadata(bag, compression_format='fake')
    assert rejection(bag) == f"{bag}: compression_format is 'fake', accepted is zstd, or none"

    bag = write_bag(tmp_path / 'chunks', range(5), compression=CompressionMode.STORAGE)
    file = storage_file(bag)
    file.write_bytes(file.read_bytes().replace(b'zstd', b'zst9'))
    message = rejection(bag)
    assert message.startswith(f'{file}: damaged (chunk at byte ') and 'zst9' in message


# Cut off.


@pytest.mark.parametrize('size', [40, 3_000])  # of messages: in one page or chunk, or in many
@pytest.mark.parametrize('storage, compression', KINDS)
def test_of_a_file_that_was_cut_off_the_whole_messages_are_read(
    tmp_path, storage, compression, size
):
    bag = write_bag(tmp_path / 'bag', range(1000), storage, compression, size)
    file = storage_file(bag)
    whole = file.read_bytes()
    most = 0
    for share in (0.2, 0.5, 0.9, 0.999):
        file.write_bytes(whole[: int(share * len(whole))])
        try:
            values, lost = read(bag)
        except BagError as error:
            assert str(error).startswith(f'{file}: ') and str(error).endswith(ACCEPTED)
            continue
        assert values == sorted(set(values)) and set(values) <= set(range(1000))
        if storage == StoragePlugin.MCAP:  # others keep their pages in any order
            assert values == list(range(len(values)))
        assert len(values) >= most
        assert any(line.startswith(f'{file.name}: ') for line in lost)
        most = max(most, len(values))
    if compression == CompressionMode.NONE:
        assert most > 800


def test_uncompressed_messages_of_a_cut_chunk_are_read(tmp_path):
    bag = write_bag(tmp_path / 'bag', range(50), size=10_000)
    file = storage_file(bag)
    file.write_bytes(file.read_bytes()[:200_000])  # within the first chunk of 1 MB
    values, lost = read(bag)
    assert values == list(range(len(values))) and 15 < len(values) < 20
    assert lost[0].startswith(f'{file.name}: damaged (')


def test_zeros_at_the_end_are_no_messages(tmp_path):
    """What some file systems leave after the power was lost."""
    bag = write_bag(tmp_path / 'bag', range(50), size=10_000)
    file = storage_file(bag)
    whole = file.read_bytes()
    file.write_bytes(whole[:200_000] + bytes(len(whole)))
    values, _ = read(bag)
    assert values == list(range(len(values))) and 15 < len(values) <= 50


def test_messages_of_an_unindexed_file_are_put_in_order(tmp_path):
    bag = write_bag(tmp_path / 'bag', [3, 1, 2, 0, 7, 5, 6, 4], size=10)
    assert read(bag)[0] == list(range(8))
    file = storage_file(bag)
    file.write_bytes(file.read_bytes()[:-30])
    values, lost = read(bag)
    assert values == list(range(8)) and len(lost) == 1


def test_what_is_behind_a_damaged_page_is_read(tmp_path):
    bag = write_bag(tmp_path / 'bag', range(200), StoragePlugin.SQLITE3, size=3_000)
    file = storage_file(bag)
    whole = bytearray(file.read_bytes())
    middle = len(whole) // 2 // 4096 * 4096
    whole[middle : middle + 4096 * 8] = b'\xff' * 4096 * 8
    file.write_bytes(whole)
    values, lost = read(bag)
    assert lost and set(values) <= set(range(200)) and 180 < len(values) < 200
    assert {0, 199} <= set(values)


def test_what_sqlite_has_not_taken_in_is_told(tmp_path):
    bag = write_bag(tmp_path / 'bag', range(3), StoragePlugin.SQLITE3)
    file = storage_file(bag)
    file.with_name(f'{file.name}-wal').write_bytes(b'pages')
    assert read(bag) == (
        [0, 1, 2],
        [f'{file.name}: {file.name}-wal: nothing of its 5 bytes can be taken in'],
    )


@pytest.mark.parametrize(
    'name, content',
    [
        ('bag.mcap', b''),
        ('bag.mcap', b'nothing of the kind'),
        ('bag.db3', b''),
        ('bag.db3', b'SQLite format 3\x00' + bytes(200)),
        ('bag.db3.zstd', b'x' * 100),
        ('bag.txt', b'text'),
    ],
)
def test_what_is_no_bag_is_rejected(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    message = rejection(tmp_path / name)
    assert message.startswith(f'{tmp_path / name}: ') and message.endswith(ACCEPTED)


def test_a_path_without_a_bag_is_rejected(tmp_path):
    assert rejection(tmp_path) == f'{tmp_path}: no storage file in it{ACCEPTED}'
    assert rejection(tmp_path / 'none') == f'{tmp_path / "none"}: File does not exist{ACCEPTED}'


# Types.


def test_old_bags_have_the_types_of_ros(tmp_path):
    bag = write_bag(tmp_path / 'bag', range(3), StoragePlugin.SQLITE3)
    with sqlite3.connect(storage_file(bag)) as database:
        database.execute('DELETE FROM message_definitions')
    assert read(bag, (TEXT,)) == (['text 0', 'text 1', 'text 2'], [])
    with pytest.raises(BagError, match='ours/msg/Number'):
        read(bag)


def test_bytes_that_are_no_message_are_rejected(tmp_path):
    bag = write_bag(tmp_path / 'bag', range(1))
    with Bag(bag, STORE) as opened:
        (recorded,) = opened.messages([NUMBER])
        for data in (b'', recorded.data[:6], b'\x28\xb5\x2f\xfd' + recorded.data):
            with pytest.raises(BagError) as error:
                opened.deserialize(recorded._replace(data=data))
            assert str(error.value).startswith(
                f'data is {len(data)} bytes that are no ours/msg/Number: '
            )
