"""The command as it is installed: a demo of two seconds with every process of the long one."""
from __future__ import annotations

import json
import subprocess

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 and the built package: run `make test`')

import yaml
from ament_index_python.packages import get_package_share_directory

FRAMES = 40


def topspark(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(['topspark', *map(str, arguments)], capture_output=True, text=True,
                          timeout=120)


def test_a_short_demo_reports_every_frame_and_says_what_it_did_not_reach(tmp_path):
    shipped = get_package_share_directory('topspark_ros') + '/config/demo.yaml'
    with open(shipped, encoding='utf-8') as file:
        parameters = yaml.safe_load(file)
    parameters['/**/dataset_camera']['ros__parameters']['frames'] = FRAMES
    short = tmp_path / 'short.yaml'
    short.write_text(yaml.safe_dump(parameters))

    ended = topspark('demo', '--parameters', short, '--results', tmp_path)

    figures = json.loads((tmp_path / 'demo.json').read_text())
    assert figures['summary']['frames published'] == FRAMES
    assert len(figures['series']['frames']) == FRAMES
    verdict = figures['verdict']
    assert verdict['frames were learned'] and verdict['no frame was lost']
    # Two seconds are too short to learn ten digits.
    assert not verdict['accuracy reached 90%'] and ended.returncode == 1
    assert (tmp_path / 'demo.png').read_bytes().startswith(b'\x89PNG')
    assert not [log for log in tmp_path.glob('*.log') if 'Traceback' in log.read_text()]


def test_a_wrong_argument_is_one_line(tmp_path):
    ended = topspark('profile', '--timesteps', '4,x', '--output', tmp_path / 'none.yaml')
    assert ended.returncode == 2
    assert ended.stderr == ("topspark profile: --timesteps is '4,x', accepted are whole numbers, "
                            'comma-separated\n')
