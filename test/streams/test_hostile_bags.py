"""Recordings of strangers execute nothing, end, and take no memory beyond what is said."""

from __future__ import annotations

import os
import sqlite3
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.reader import zstd
from rosbags.typesys import Stores, get_typestore

from topspark_ros.streams.bags import Bag, BagError

STORE = get_typestore(Stores.ROS2_JAZZY)
KIND = 'std_msgs/msg/String'
MAX_MEMORY = 2**25


def write_bag(path, definition=None, language=None, storage=StoragePlugin.MCAP):
    """One text."""
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connection = (
            writer.add_connection('/text', KIND, typestore=STORE)
            if definition is None
            else writer.add_connection(
                '/text', KIND, msgdef=definition, rihs01='RIHS01_' + '0' * 64
            )
        )
        writer.write(connection, 1, STORE.serialize_cdr(STORE.types[KIND]('hello'), KIND))
    return path


def read(path) -> list[str]:
    """The texts that are read, with little memory."""
    tracemalloc.start()
    try:
        with Bag(path, STORE) as bag:
            texts = [bag.deserialize(recorded).data for recorded in bag.messages(bag.topics)]
        assert tracemalloc.get_traced_memory()[1] < MAX_MEMORY
    finally:
        tracemalloc.stop()
    return texts


DEFINITIONS = {
    'code in a name': "string data\nuint8 x\nimport os; os.mkdir('executed')\n",
    'code in a constant': "string data\nstring C=\"'''+str(__import__('os').mkdir('executed'))\"\n",
    'code in a type': "string data\n__import__('os').mkdir('executed') x\n",
    'code in a default': "string data \"'+str(__import__('os').mkdir('executed'))+'\"\n",
    'an array of a billion texts': 'string data\nstring[1000000000] more\n',
    'arrays of arrays': 'string data\nA[100000] a\n'
    + '=' * 80
    + '\nMSG: std_msgs/A\nstring[100000] b\n',
    'itself': 'string data\nString[2] more\n',
    'endless': 'string data\n' + 'uint8 x\n' * 200_000,
}


@pytest.mark.parametrize('case', DEFINITIONS)
def test_what_a_definition_says_is_not_executed_and_ends(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    bag = write_bag(tmp_path / 'bag', DEFINITIONS[case])
    try:
        assert read(bag) == ['hello']  # as our own definition has it
    except BagError as error:
        assert '\n' not in str(error)
    assert not (tmp_path / 'executed').exists()


@pytest.mark.parametrize(
    'metadata',
    [
        'rosbag2_bagfile_information: &a {relative_file_paths: [*a]}',
        '[' * 100_000,
        'rosbag2_bagfile_information: !!python/object/apply:os.mkdir [executed]',
        'rosbag2_bagfile_information: {message_count: 0x' + 'f' * 100_000 + '}',
    ],
)
def test_metadata_is_not_needed(tmp_path, monkeypatch, metadata):
    monkeypatch.chdir(tmp_path)
    bag = write_bag(tmp_path / 'bag')
    (bag / 'metadata.yaml').write_text(metadata)
    assert read(bag) == ['hello']
    assert not (tmp_path / 'executed').exists()


def test_pipes_are_not_waited_for(tmp_path):
    bag = write_bag(tmp_path / 'bag')
    (bag / 'metadata.yaml').unlink()
    os.mkfifo(bag / 'metadata.yaml')
    os.mkfifo(bag / 'pipe.mcap')
    assert read(bag) == ['hello']
    with pytest.raises(BagError, match='pipe.mcap: a pipe or a device'):
        Bag(bag / 'pipe.mcap', STORE)


@pytest.mark.parametrize(
    'statements',
    [
        # For ever, if it were asked for its rows.
        'DROP TABLE messages; CREATE VIEW messages AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL '
        "SELECT id + 1 FROM n) SELECT id, 1 AS topic_id, id AS timestamp, x'00' AS data FROM n",
        'DROP TABLE messages; CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, '
        'timestamp INTEGER, data BLOB GENERATED ALWAYS AS (zeroblob(900000000)) VIRTUAL); '
        'INSERT INTO messages(id, topic_id, timestamp) VALUES (1, 1, 1)',
    ],
)
def test_a_database_computes_nothing(tmp_path, statements):
    bag = write_bag(tmp_path / 'bag', storage=StoragePlugin.SQLITE3)
    (file,) = bag.glob('*.db3')
    with sqlite3.connect(file) as database:
        database.executescript(statements)
    database.close()
    with pytest.raises(BagError, match=str(file)):
        read(bag)


@pytest.mark.parametrize('disk_bytes', [2**22, 2**40])
def test_a_compressed_file_leaves_room_on_the_disk(tmp_path, monkeypatch, disk_bytes):
    """A hundred kilobytes of zeros that become a gigabyte, or so it looks."""
    path = tmp_path / 'zeros.mcap.zstd'
    compressor = zstd.ZstdCompressor()
    with open(path, 'wb') as file:
        for _ in range(64):
            file.write(compressor.compress(bytes(2**20)))
        file.write(compressor.flush())
    assert path.stat().st_size < 2**14
    monkeypatch.setattr('shutil.disk_usage', lambda folder: SimpleNamespace(free=disk_bytes))
    complaint = 'half of what is free' if disk_bytes < 2**30 else 'no MCAP file'
    with pytest.raises(BagError, match=complaint):
        read(path)


def test_lengths_that_lie_take_no_memory(tmp_path):
    """Each of a few thousand lengths in a file set to the greatest that there is."""
    bag = write_bag(tmp_path / 'bag')
    (file,) = bag.glob('*.mcap')
    whole = file.read_bytes()
    for at in np.random.default_rng(0).choice(len(whole) - 8, 200, replace=False).tolist():
        file.write_bytes(whole[:at] + b'\xff' * 8 + whole[at + 8 :])
        try:
            read(bag)
        except BagError as error:
            assert '\n' not in str(error)
