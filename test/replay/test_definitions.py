"""The types in bags are those of the messages: by hash, on the wire, and where only Python is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from topspark_ros.replay.definitions import typestore

ROOT = Path(__file__).parents[2]
PACKAGES = {
    'topspark_ros': ROOT / 'msg',
    'event_camera_msgs': ROOT / 'interfaces' / 'event_camera_msgs' / 'msg',
}
TYPES = [
    f'{package}/msg/{path.stem}'
    for package, folder in PACKAGES.items()
    for path in sorted(folder.glob('*.msg'))
]


@pytest.mark.parametrize('name', TYPES)
def test_hashes_are_those_of_ros(name):
    index = pytest.importorskip('ament_index_python.packages')
    package, _, message = name.split('/')
    try:
        share = index.get_package_share_directory(package)
    except index.PackageNotFoundError:
        pytest.skip(f'{package} is not built')
    description = json.loads((Path(share) / 'msg' / f'{message}.json').read_text())
    hashes = {entry['type_name']: entry['hash_string'] for entry in description['type_hashes']}
    assert typestore().hash_rihs01(name) == hashes[name]


def test_ros_reads_what_is_written():
    serialization = pytest.importorskip('rclpy.serialization')
    from topspark_ros.msg import TimestepDecision

    store = typestore()
    header = store.types['std_msgs/msg/Header'](
        stamp=store.types['builtin_interfaces/msg/Time'](sec=3, nanosec=4), frame_id=''
    )
    kind = store.types['topspark_ros/msg/TimestepDecision']
    fields = dict(
        sequence=2**40,
        training_timesteps=64,
        inference_timesteps=16,
        learning_share=1.0,
        frame_share=0.25,
        reason=kind.MISSION,
        expected_accuracy=0.9,
        expected_latency=0.01,
        expected_energy=1e-6,
        expected_power=2e-5,
        detail='why',
    )
    data = store.serialize_cdr(kind(header=header, **fields), kind.__msgtype__)
    read = serialization.deserialize_message(bytes(data), TimestepDecision)
    assert {name: getattr(read, name) for name in fields} == fields
    assert (read.header.stamp.sec, read.header.stamp.nanosec) == (3, 4)
    assert read.reason == TimestepDecision.MISSION


def test_the_python_installation_has_the_definitions(tmp_path):
    subprocess.run(
        [
            sys.executable,
            'setup.py',
            '--quiet',
            'build',
            '--build-base',
            tmp_path,
            '--build-lib',
            tmp_path / 'lib',
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    found = subprocess.run(
        [
            sys.executable,
            '-c',
            'import topspark_ros; print(topspark_ros.__path__[0])\n'
            'from topspark_ros.replay.definitions import typestore\n'
            'print(*(name for name in typestore().types if name.startswith("topspark_ros/")))',
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, 'PYTHONPATH': str(tmp_path / 'lib')},
    ).stdout.splitlines()
    assert found[0] == str(tmp_path / 'lib' / 'topspark_ros')
    assert sorted(found[1].split()) == [name for name in TYPES if 'topspark_ros' in name]
