"""Event bags: both storages, compressed or not, and one clear line for any broken one."""

import shutil

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from topspark_ros.streams import event_bags
from topspark_ros.streams.event_bags import EVENT_TYPES, EventBagError, read_packets

FIELDS = ('evt3', 640, 480, 2**63)  # encoding, width, height, time base


def write_bag(path, payloads, *, topics=('/events',), type_name=EVENT_TYPES[0],
              storage=StoragePlugin.MCAP, compression=CompressionMode.NONE, seqs=None,
              encoding=FIELDS[0]):
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
                    frame_id='camera')
                message = store.types[type_name](
                    header=header, height=height, width=width, seq=seq, time_base=time_base,
                    encoding=encoding, is_bigendian=False,
                    events=np.frombuffer(payload, np.uint8))
                writer.write(connection, 10 + index, store.serialize_cdr(message, type_name))
    return path


def refusal(path, topic=None):
    with pytest.raises(EventBagError) as error:
        list(read_packets(path, topic))
    assert '\n' not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize('storage, compression', [
    (StoragePlugin.SQLITE3, CompressionMode.NONE),
    (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
    (StoragePlugin.SQLITE3, CompressionMode.FILE),
    (StoragePlugin.MCAP, CompressionMode.NONE),
    (StoragePlugin.MCAP, CompressionMode.STORAGE),
])
@pytest.mark.parametrize('type_name', EVENT_TYPES)
def test_both_storages_and_types(tmp_path, storage, compression, type_name):
    payloads = [b'', b'abc', bytes(1000)]
    bag = write_bag(tmp_path / 'bag', payloads, type_name=type_name, storage=storage,
                    compression=compression)
    packets = list(read_packets(bag))
    assert [packet.payload.tobytes() for packet in packets] == payloads
    assert [packet.seq for packet in packets] == [0, 1, 2]
    assert packets[0][:3] == FIELDS[:3] and packets[0].time_base == FIELDS[3]


def test_a_storage_file_alone_and_metadata_of_no_use(tmp_path):
    bag = write_bag(tmp_path / 'bag', [b'abcd'])
    (file,) = bag.glob('*.mcap')
    (bag / 'metadata.yaml').write_text('rosbag2_bagfile_information: {version: 5}')
    for path in (file, bag, str(file)):
        assert [packet.payload.tobytes() for packet in read_packets(path)] == [b'abcd']


def test_topics(tmp_path):
    bag = write_bag(tmp_path / 'bag', [b'a', b'b'], topics=('/left', '/right'))
    assert len(list(read_packets(bag, '/right'))) == 2
    there = f'/left ({EVENT_TYPES[0]}), /right ({EVENT_TYPES[0]})'
    for topic in (None, '/middle'):
        assert refusal(bag, topic) == (f'{bag}: topic is {topic!r}, accepted is one with '
                                       f'{EVENT_TYPES[0]}; the bag holds {there}')


def test_broken_bags(tmp_path):
    accepted = ', accepted is a whole rosbag2 recording (its folder, or a .mcap or .db3 file)'
    missing = tmp_path / 'missing.mcap'
    assert refusal(missing) == f"{missing}: File '{missing}' does not exist{accepted}"
    for storage, suffix in ((StoragePlugin.MCAP, '.mcap'), (StoragePlugin.SQLITE3, '.db3')):
        bag = write_bag(tmp_path / f'bag{suffix}.d', [bytes(range(256)) * 40] * 5, storage=storage)
        whole = next(bag.glob(f'*{suffix}')).read_bytes()
        broken = tmp_path / f'broken{suffix}'
        for length in (0, 5, 100, len(whole) // 2, len(whole) - 40):
            broken.write_bytes(whole[:length])
            message = refusal(broken)
            assert message.startswith(f'{broken}: ') and (
                message.endswith(accepted) or 'the bag holds' in message)
        shutil.rmtree(bag)
        bag.mkdir()
        assert refusal(bag).endswith(accepted)
