"""Checkpoints continue exactly, survive a killed writer, and reject every other file."""

import hashlib
import json
import math
import os
import signal
import struct
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from topspark_ros.engine import (
    CheckpointError,
    EngineError,
    NetworkConfig,
    NeuronConfig,
    create_network,
    load_checkpoint,
    save_checkpoint,
)
from topspark_ros.engine.checkpoint import MAGIC, READABLE, VERSION, _open_temporary

from .conftest import same_state
from .test_network import learn


@pytest.fixture
def saved(trained, tmp_path):
    path = tmp_path / 'digits.topspark'
    save_checkpoint(path, trained, ['zero', 'один'])
    return path


def test_loaded_network_continues_to_the_last_bit(trained, saved, digits):
    loaded = load_checkpoint(saved)
    assert loaded.class_names == ('zero', 'один')
    assert loaded.network.config == trained.config
    assert same_state(loaded.network.state(), trained.state())
    assert learn(loaded.network, digits, 60, 200) == learn(trained, digits, 60, 200)
    assert same_state(loaded.network.state(), trained.state())


def test_same_network_same_file(trained, saved, tmp_path):
    save_checkpoint(tmp_path / 'again', load_checkpoint(saved).network, ['zero', 'один'])
    assert (tmp_path / 'again').read_bytes() == saved.read_bytes()


def test_untrained_unlimited_network(tmp_path):
    neuron = NeuronConfig(membrane_time_constant=math.inf, inhibition=0.5, inhibitory_layer=True)
    for config in (
        NetworkConfig(inputs=3, neurons=2, max_input_rate=math.inf),
        NetworkConfig(
            inputs=3, neurons=2, rule='triplet', coding='constant_current', neuron=neuron
        ),
    ):
        save_checkpoint(tmp_path / 'new', create_network(config))
        assert load_checkpoint(tmp_path / 'new').network.config == config


def test_expected_configuration(trained, saved):
    wanted = replace(trained.config, max_input_rate=5.0, seed=9)
    assert load_checkpoint(saved, wanted).network.config == wanted
    other = 'triplet' if trained.config.rule == 'pairwise' else 'pairwise'
    for field, value in (('inputs', 10), ('neurons', 31), ('rule', other)):
        with pytest.raises(CheckpointError, match=f'digits.*its {field} is .*accepted is {value}'):
            load_checkpoint(saved, replace(trained.config, **{field: value}))


def test_truncated_or_altered_files_are_rejected(saved):
    content = saved.read_bytes()
    for size in (0, 1, len(MAGIC), len(MAGIC) + 8, 100, len(content) // 2, len(content) - 1):
        saved.write_bytes(content[:size])
        with pytest.raises(CheckpointError, match='digits.topspark is rejected'):
            load_checkpoint(saved)
    random = np.random.default_rng(0)
    for at in [*range(30), *random.integers(30, len(content), 40)]:
        altered = bytearray(content)
        altered[at] ^= 1 << int(random.integers(8))
        saved.write_bytes(altered)
        with pytest.raises(CheckpointError, match='digits.topspark is rejected'):
            load_checkpoint(saved)
    saved.write_bytes(content + b'\0')
    with pytest.raises(CheckpointError, match='checksum'):
        load_checkpoint(saved)


def test_foreign_files_are_rejected(tmp_path):
    path = tmp_path / 'foreign'
    np.savez(tmp_path / 'arrays.npz', weights=np.zeros(3))
    arrays = (tmp_path / 'arrays.npz').read_bytes()
    for content in (b'', b'hello', b'\x80\x04K\x01.' * 99, arrays):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match='foreign is rejected: it is no topspark'):
            load_checkpoint(path)
    with pytest.raises(CheckpointError, match='missing: No such file or directory, accepted'):
        load_checkpoint(tmp_path / 'missing')
    with pytest.raises(CheckpointError, match='a folder, accepted is a checkpoint'):
        load_checkpoint(tmp_path)


def forge(path, change, version=VERSION):
    """Change a checkpoint's header and give it a right checksum again."""
    content = path.read_bytes()[:-32]
    start = len(MAGIC) + 8
    size = struct.unpack_from('<II', content, len(MAGIC))[1]
    header = json.loads(content[start : start + size])
    change(header)
    text = json.dumps(header).encode()
    forged = MAGIC + struct.pack('<II', version, len(text)) + text + content[start + size :]
    path.write_bytes(forged + hashlib.sha256(forged).digest())


@pytest.mark.parametrize(
    'change',
    [
        lambda header: header.pop('config'),
        lambda header: header['config'].update(neurons=0),
        lambda header: header['config'].update(neurons=31),
        lambda header: header['config'].update(layers=2),
        lambda header: header['config'].update(neuron=None),
        lambda header: header['config'].update(neuron=[1.0]),
        lambda header: header['config']['neuron'].update(inhibition=-1.0),
        lambda header: header['config']['neuron'].update(dendrites=3),
        lambda header: header.update(class_names=5),
        lambda header: header['arrays'].pop(),
        lambda header: header['arrays'].clear(),
        lambda header: header['arrays'][0].__setitem__(1, '|O'),
        lambda header: header['arrays'][0].__setitem__(1, 'nonsense'),
        lambda header: header['arrays'][0].__setitem__(2, [10**30]),
        lambda header: header['arrays'][0].__setitem__(2, [-1]),
        lambda header: header['arrays'][0].__setitem__(2, [[1]]),
        lambda header: header['arrays'][0].__setitem__(2, [1.5]),
        lambda header: header['arrays'][0].__setitem__(2, [1] * 1000),
        lambda header: header.update(class_names=['a'] * 1001),
        lambda header: header.update(class_names='ab'),
        lambda header: header.update(confidence=0.5),
        lambda header: header.update(confidence=[0.5, 'high']),
        lambda header: header.update(confidence=[math.nan]),
        lambda header: header.update(confidence=[0.5] * 1001),
        lambda header: header['config'].update(inputs=2**14, neurons=2**14),
        lambda header: header['arrays'][0].__setitem__(0, 'synapses'),
    ],
)
def test_headers_that_make_no_sense_are_rejected(saved, change):
    forge(saved, change)
    with pytest.raises(CheckpointError, match='digits.topspark is rejected'):
        load_checkpoint(saved)


def test_numbers_of_its_confidence_are_kept_to_the_last_bit(trained, saved, tmp_path):
    assert load_checkpoint(saved).confidence == ()
    numbers = (0.1, -1 / 3, 1e-300)
    save_checkpoint(tmp_path / 'with', trained, (), numbers)
    assert load_checkpoint(tmp_path / 'with').confidence == numbers
    forge(tmp_path / 'with', lambda header: header.pop('confidence'))  # of an earlier program
    assert load_checkpoint(tmp_path / 'with').confidence == ()


def test_another_version_is_rejected(saved):
    for version in (min(READABLE) - 1, VERSION + 1):
        forge(saved, lambda header: None, version)
        message = f'format version is {version}, accepted is 5 or 6 or 7 or {VERSION}'
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(saved)


def test_what_cannot_be_written_leaves_the_old_file(trained, saved, tmp_path, monkeypatch):
    before = saved.read_bytes()
    with pytest.raises(CheckpointError, match='nowhere.* cannot be written'):
        save_checkpoint(tmp_path / 'nowhere' / 'file', trained)
    with pytest.raises(CheckpointError, match='class_names is'):
        save_checkpoint(saved, trained, [1])

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(CheckpointError, match='No space left'):
        save_checkpoint(saved, trained)
    assert saved.read_bytes() == before
    assert list(tmp_path.iterdir()) == [saved]


def test_a_checkpoint_error_is_an_engine_error():
    assert issubclass(CheckpointError, EngineError) and issubclass(EngineError, ValueError)


WRITER = """
import sys
from topspark_ros.engine import NetworkConfig, create_network, save_checkpoint
network = create_network(NetworkConfig(neurons=600, rule='pairwise'))
print('ready', flush=True)
while True:
    save_checkpoint(sys.argv[1], network)
"""


def test_a_killed_writer_leaves_a_file_that_loads(tmp_path):
    path = tmp_path / 'digits.topspark'
    random = np.random.default_rng(4)
    for _ in range(6):
        writer = subprocess.Popen(
            [sys.executable, '-c', WRITER, path], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout.readline() == 'ready\n'
        while not path.exists():
            time.sleep(0.001)
        time.sleep(random.random() * 0.05)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        assert load_checkpoint(path).network.config.neurons == 600

    save_checkpoint(path, load_checkpoint(path).network)
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_that_another_writer_has_in_work_stays(trained, tmp_path):
    path = tmp_path / 'digits.topspark'
    temporary, file = _open_temporary(path)
    with file:
        save_checkpoint(path, trained)
        assert temporary.exists()
    save_checkpoint(path, trained)
    assert not temporary.exists()


def test_what_would_take_memory_is_rejected_before_it_does(saved, tmp_path):
    """Files that claim much more than they are, beside a limit of the memory itself."""

    def claim(header):
        header['config'].update(inputs=1, neurons=2**27)
        header['arrays'][0][2] = [1, 2**27]

    forge(saved, claim)
    with open(tmp_path / 'sparse.topspark', 'wb') as file:
        file.write(saved.read_bytes()[:100])
        file.truncate(2**37)
    nested = MAGIC + struct.pack('<II', VERSION, 2**20) + b'[' * 2**20
    (tmp_path / 'nested.topspark').write_bytes(nested + hashlib.sha256(nested).digest())
    os.mkfifo(tmp_path / 'pipe.topspark')
    (tmp_path / 'zero.topspark').symlink_to('/dev/zero')
    files = sorted(tmp_path.iterdir())
    code = """
import resource, sys
from topspark_ros.engine import CheckpointError, NetworkConfig, load_checkpoint
load_checkpoint  # all is imported
used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**26,) * 2)
for path in sys.argv[1:]:
    for expected in (None, NetworkConfig()):
        try:
            load_checkpoint(path, expected)
        except CheckpointError as error:
            print(error)
"""
    done = subprocess.run(
        [sys.executable, '-c', code, *files], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2 * len(files)
    assert all(str(file) in line for file, line in zip(files, lines[::2]))
    assert all(len(line) < 1100 for line in lines)
