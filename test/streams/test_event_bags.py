"""Event bags: both storages, compressed or not, and one clear line for any broken one."""

import shutil

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from topspark_ros.streams import event_bags
from topspark_ros.streams.bags import BagError
from topspark_ros.streams.event_bags import EVENT_TYPES, event_topics, read_packets

FIELDS = ('evt3', 640, 480, 2**63)  # encoding, width, height, time base


def write_bag(
    path,
    payloads,
    *,
    topics=('/events',),
    type_name=EVENT_TYPES[0],
    storage=StoragePlugin.MCAP,
    compression=CompressionMode.NONE,
    seqs=None,
    encoding=FIELDS[0],
):
    """A bag with these payloads on each topic; `seq` counts from 0 unless given."""
    store = event_bags._typestore()
    _, width, height, time_base = FIELDS
    seqs = seqs or range(len(payloads))
    writer = Writer(path, version=9, storage_plugin=storage)
    if compression != CompressionMode.NONE:
        writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        for topic in topics:
            connection = writer.add_connection(topic, type_name, typestore=store)
            for index, (seq, payload) in enumerate(zip(seqs, payloads)):
                header = store.types['std_msgs/msg/Header'](
                    stamp=store.types['builtin_interfaces/msg/Time'](sec=1, nanosec=2),
                    frame_id='camera',
                )
                message = store.types[type_name](
                    header=header,
                    height=height,
                    width=width,
                    seq=seq,
                    time_base=time_base,
                    encoding=encoding,
                    is_bigendian=False,
                    events=np.frombuffer(payload, np.uint8),
                )
                writer.write(connection, 10 + index, store.serialize_cdr(message, type_name))
    return path


def write_text_bag(path):
    """A bag with something else."""
    store = get_typestore(Stores.ROS2_JAZZY)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/chat', 'std_msgs/msg/String', typestore=store)
        message = store.types['std_msgs/msg/String'](data='nothing to see')
        writer.write(connection, 1, store.serialize_cdr(message, 'std_msgs/msg/String'))
    return path


def rejection(path, topic=None):
    with pytest.raises(BagError) as error:
        list(read_packets(path, topic))
    assert '\n' not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    'storage, compression',
    [
        (StoragePlugin.SQLITE3, CompressionMode.NONE),
        (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
        (StoragePlugin.SQLITE3, CompressionMode.FILE),
        (StoragePlugin.MCAP, CompressionMode.NONE),
        (StoragePlugin.MCAP, CompressionMode.STORAGE),
    ],
)
@pytest.mark.parametrize('type_name', EVENT_TYPES)
def test_both_storages_and_types(tmp_path, storage, compression, type_name):
    payloads = [b'', b'abc', bytes(1000)]
    bag = write_bag(
        tmp_path / 'bag', payloads, type_name=type_name, storage=storage, compression=compression
    )
    packets = list(read_packets(bag))
    assert [packet.payload.tobytes() for packet in packets] == payloads
    assert [packet.seq for packet in packets] == [0, 1, 2]
    assert [packet.recorded for packet in packets] == [10, 11, 12]
    assert event_topics(bag) == {'/events': 3}
    assert packets[0][:3] == FIELDS[:3] and packets[0].time_base == FIELDS[3]


def test_a_storage_file_alone_and_metadata_of_no_use(tmp_path):
    bag = write_bag(tmp_path / 'bag', [b'abcd'])
    (file,) = bag.glob('*.mcap')
    (bag / 'metadata.yaml').write_text('rosbag2_bagfile_information: {version: 5}')
    for path in (file, bag, str(file)):
        assert event_topics(path) == {'/events': 1}
        assert [packet.payload.tobytes() for packet in read_packets(path)] == [b'abcd']


def test_topics(tmp_path):
    bag = write_bag(tmp_path / 'bag', [b'a', b'b'], topics=('/right', '/left'))
    assert len(list(read_packets(bag, '/right'))) == 2
    assert list(event_topics(bag).items()) == [('/left', 2), ('/right', 2)]
    assert event_topics(bag, '/right') == {'/right': 2}
    there = f'/left ({EVENT_TYPES[0]}), /right ({EVENT_TYPES[0]})'
    for topic in (None, '/middle'):
        assert rejection(bag, topic) == (
            f'{bag}: topic is {topic!r}, accepted is one with '
            f'{EVENT_TYPES[0]}; the bag holds {there}'
        )
    with pytest.raises(BagError) as error:
        event_topics(bag, '/middle')
    assert str(error.value) == rejection(bag, '/middle')


def test_a_bag_without_events(tmp_path):
    bag = write_text_bag(tmp_path / 'bag')
    for read in (event_topics, lambda path: list(read_packets(path))):
        with pytest.raises(BagError) as error:
            read(bag)
        assert str(error.value) == (
            f'{bag}: topic is None, accepted is one with '
            f'{EVENT_TYPES[0]}; the bag holds /chat (std_msgs/msg/String)'
        )


def test_broken_bags(tmp_path):
    accepted = ', accepted is a whole rosbag2 recording (its folder, or a .mcap or .db3 file)'
    missing = tmp_path / 'missing.mcap'
    assert rejection(missing) == f'{missing}: File does not exist{accepted}'
    for storage, suffix in ((StoragePlugin.MCAP, '.mcap'), (StoragePlugin.SQLITE3, '.db3')):
        bag = write_bag(tmp_path / f'bag{suffix}.d', [bytes(range(256)) * 40] * 5, storage=storage)
        whole = next(bag.glob(f'*{suffix}')).read_bytes()
        broken = tmp_path / f'broken{suffix}'
        for length in (0, 5, 100, len(whole) // 2, len(whole) - 40):
            broken.write_bytes(whole[:length])
            message = rejection(broken)
            assert message.startswith(f'{broken}: ')
            assert message.endswith((accepted, '; accepted is a whole recording'))
        shutil.rmtree(bag)
        bag.mkdir()
        assert rejection(bag).endswith(accepted)
