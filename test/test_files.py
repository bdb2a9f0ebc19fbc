"""Files of strangers: whatever is in them, a reader answers with one line, soon and without memory.

Checkpoints: engine/test_checkpoint.py.
"""

from __future__ import annotations

import gzip
import os
import struct
import subprocess
import sys
import tracemalloc

import pytest

from topspark_ros.errors import MAX_CHARACTERS, TopsparkError
from topspark_ros.files import MAX_YAML_BYTES, FileError, open_file, read_yaml
from topspark_ros.methodology.energy import load_energy_table
from topspark_ros.methodology.profile import load_profile
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.perception.parameters import read_parameters
from topspark_ros.replay.archive import read_runs
from topspark_ros.replay.labels import read_labels
from topspark_ros.streams.datasets import load_dataset
from topspark_ros.streams.panels import load_gallery

MAX_MEMORY = 64 * 2**20

LAUGHS = 'a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n' + ''.join(
    f'a{n}: &a{n} [{", ".join([f"*a{n - 1}"] * 10)}]\n' for n in range(1, 12)
)
HOSTILE_YAML = {
    'a billion laughs': LAUGHS,
    'an alias of itself': 'points: &a [*a]',
    'merged aliases': 'a: &a {x: 1}\nb: {<<: *a}',
    'deep sequences': '[' * 100_000,
    'deep mappings': '{a: ' * 100_000,
    'deep dashes': '- ' * 100_000,
    'deep keys': '? ' * 100_000,
    'endless integer': 'name: ' + '9' * 500_000,
    'endless hexadecimal': 'name: 0x' + 'f' * 500_000,
    'endless sexagesimal': 'name: ' + '1:' * 250_000 + '1',
    'Python': 'name: !!python/object/apply:os.system [touch executed]',
    'a tag': 'name: !robot x',
    'no date': 'name: 2001-99-99',
    'no time': '!!timestamp soon',
    'no truth': '!!bool maybe',
    'no integer': '!!int many',
    'no key': '? [1]\n: 2',
    'control characters': 'name: \x00',
    'much text': 'name: ' + 'x' * MAX_YAML_BYTES,
    'a long name': 'x' * (MAX_YAML_BYTES - 10) + ': 1',
    'a number': '1',
    'a list': '[1, 2]',
    'nothing': '',
}
YAML_READERS = {
    'profile': load_profile,
    'energy table': load_energy_table,
    'gallery': load_gallery,
    'parameters': lambda path: read_parameters(path, 'snn_learner', SnnLearnerParameters),
}


def rejection(read, path) -> str:
    """What the reader says, in one line, without having taken memory."""
    tracemalloc.start()
    try:
        with pytest.raises(TopsparkError) as caught:
            read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    line = str(caught.value)
    assert '\n' not in line and len(line) <= MAX_CHARACTERS + 10
    assert peak < MAX_MEMORY
    return line


@pytest.mark.parametrize('reader', YAML_READERS)
@pytest.mark.parametrize('case', HOSTILE_YAML)
def test_hostile_yaml_is_rejected(reader, case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'stranger.yaml'
    path.write_text(HOSTILE_YAML[case], encoding='utf-8')
    assert str(path) in rejection(YAML_READERS[reader], path)
    assert list(tmp_path.iterdir()) == [path]  # nothing was executed


READERS = YAML_READERS | {'labels': read_labels, 'report': lambda path: read_runs(path.parent)}


@pytest.mark.parametrize('reader', READERS)
def test_what_is_no_file_or_a_huge_one_is_rejected_unread(reader, tmp_path):
    path = tmp_path / 'report.json'
    path.mkdir()
    assert f'{path}: a folder, accepted' in rejection(READERS[reader], path)
    path.rmdir()
    os.mkfifo(path)  # nobody will ever write to it
    assert f'{path}: a pipe or a device, accepted' in rejection(READERS[reader], path)
    path.unlink()
    path.symlink_to('/dev/zero')
    assert f'{path}: a pipe or a device, accepted' in rejection(READERS[reader], path)
    path.unlink()
    path.touch()
    os.truncate(path, 2**40)  # takes no room on the disk
    assert f'{path}: {2**40} bytes, accepted' in rejection(READERS[reader], path)


def test_yaml_as_robots_have_it(tmp_path):
    path = tmp_path / 'robot.yaml'
    path.write_text(
        '\ufeff# comment\n/**:\n  ros__parameters:\n    a: [1, 0x1F, 2.5, .nan]\n'
        '    b: {c: on, d: "é", e: 1_000, f: null}\n',
        encoding='utf-8',
    )
    values = read_yaml(path, 'YAML')['/**']['ros__parameters']
    assert values['a'][:3] == [1, 31, 2.5]
    assert values['b'] == {'c': True, 'd': 'é', 'e': 1000, 'f': None}


def test_a_path_that_is_none():
    with pytest.raises(FileError, match='no path, accepted is YAML'):
        open_file('a\0b', 1, 'YAML')


@pytest.mark.parametrize(
    'stamp',
    ['1.0e999999999', '1.e-999999999', '-1.0', '9' * 5000, '1' * 50, 'nan', 'Infinity', '0x10'],
)
def test_stamps_that_are_none(stamp, tmp_path):
    path = tmp_path / 'labels.csv'
    path.write_text(f'stamp,class_id\n{stamp},cup\n')
    assert f'{path}: line 2: stamp is ' in rejection(read_labels, path)


def test_json_that_is_deep(tmp_path):
    (tmp_path / 'report.json').write_text('[' * 100_000)
    assert 'report.json: no report' in rejection(read_runs, tmp_path)


def test_a_gzip_bomb(tmp_path, monkeypatch):
    monkeypatch.setenv('TOPSPARK_DATA', str(tmp_path))
    (tmp_path / 'mnist').mkdir()
    path = tmp_path / 'mnist' / 'train-images-idx3-ubyte.gz'
    with gzip.open(path, 'wb') as file:
        file.write(bytes((0, 0, 8, 3)) + struct.pack('>III', 1, 28, 28))
        for _ in range(64):
            file.write(bytes(2**20))
    assert f'{path}: data is more than 784 bytes' in rejection(
        lambda path: load_dataset('mnist', 'train'), path
    )


# A picture of 300 megabytes in each, if it were decoded.
BOMBS = """
import os, resource, sys
import topspark_ros
import cv2
import numpy as np
from topspark_ros.streams.compressed import CompressedImage
from topspark_ros.streams.images import MAX_PIXELS, ImageError
assert int(os.environ['OPENCV_IO_MAX_IMAGE_PIXELS']) == MAX_PIXELS
pixels = np.zeros((10_000, 10_000), np.uint8)
bombs = {}
for ending in sys.argv[1:]:
    try:
        bombs[ending] = cv2.imencode(ending, pixels)[1]
    except cv2.error:     # this OpenCV has no such encoder, and no decoder
        print(ending, 'not there')
CompressedImage('', cv2.imencode('.jpg', pixels[:8, :8])[1]).gray()     # all is loaded
del pixels
used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**27,) * 2)
for ending, data in bombs.items():
    try:
        print(ending, CompressedImage('', data).gray().shape)
    except ImageError as error:
        print(ending, 'rejected')
"""


def test_picture_bombs():
    endings = ['.jpg', '.png', '.webp', '.tiff', '.jp2']
    done = subprocess.run(
        [sys.executable, '-c', BOMBS, *endings],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith('OPENCV')},
    )
    assert done.returncode == 0, done.stderr
    answers = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert set(answers) == set(endings)
    assert set(answers.values()) <= {'rejected', 'not there'}
    assert answers['.jpg'] == answers['.png'] == 'rejected'
