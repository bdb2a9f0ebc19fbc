"""The command as it is installed: a demo of two seconds with every process of the long one."""

from __future__ import annotations

import json
import subprocess

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 and the built package: run `make test`')

import yaml
from ament_index_python.packages import get_package_share_directory
from html_reports import self_contained
from plates import write_plates


def topspark(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        ['topspark', *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def short_demo(folder, name: str, frames: int, *arguments) -> tuple[dict, int]:
    """The demo of a shipped parameter file with fewer frames: its figures and its exit code."""
    shipped = f'{get_package_share_directory("topspark_ros")}/config/{name}.yaml'
    with open(shipped, encoding='utf-8') as file:
        parameters = yaml.safe_load(file)
    parameters['/**/dataset_camera']['ros__parameters']['frames'] = frames
    short = folder / 'short.yaml'
    short.write_text(yaml.safe_dump(parameters))

    ended = topspark('demo', *arguments, '--parameters', short, '--results', folder)

    assert (folder / 'demo.png').read_bytes().startswith(b'\x89PNG')
    assert ended.stdout.splitlines()[-1].startswith(f'{folder}/report.html written')
    report = self_contained(folder / 'report.html')
    assert report.pictures() == ['T, accuracy, power and charge over time']
    assert 'Decisions of the controller' in report.texts
    assert not [log for log in folder.glob('*.log') if 'Traceback' in log.read_text()]
    return json.loads((folder / 'demo.json').read_text()), ended.returncode


def test_a_short_demo_reports_every_frame_and_says_what_it_did_not_reach(tmp_path):
    figures, code = short_demo(tmp_path, 'demo', 40)
    assert figures['summary']['frames published'] == 40
    assert len(figures['series']['frames']) == 40
    verdict = figures['verdict']
    assert verdict['frames were learned'] and verdict['no frame was lost']
    # Two seconds are too short to learn ten digits.
    assert not verdict['accuracy reached 90%'] and code == 1


def test_a_short_demo_with_events_reports_every_window(tmp_path):
    figures, code = short_demo(tmp_path, 'demo_events', 160, '--events')
    summary, verdict = figures['summary'], figures['verdict']
    assert summary['frames published'] == 160
    # Of four frames each, but the last one is still open at the end.
    assert 30 <= summary['windows classified'] == len(figures['series']['windows'])
    assert summary['windows labelled'] > 5
    assert verdict['windows were learned'] and verdict['no window was lost']
    assert not verdict['accuracy reached 80%'] and code == 1


def test_a_demo_of_photographs_sees_them_in_colour(tmp_path):
    photographs = tmp_path / 'plates'
    write_plates(photographs, 40)
    figures, _ = short_demo(tmp_path, 'demo', 60, '--dataset', photographs)
    summary, verdict = figures['summary'], figures['verdict']
    assert summary['frames published'] == 60 and verdict['no frame was lost']
    assert summary['neurons in use'] == 2  # of the discriminant, one a class
    assert summary['accuracy, whole run'] > 0.8


def test_a_demo_of_what_is_no_dataset_is_one_line(tmp_path):
    (tmp_path / 'empty').mkdir()
    for dataset, reason in (('letters', "dataset is 'letters', "), (tmp_path, f'{tmp_path}/empty')):
        ended = topspark('demo', '--dataset', dataset, '--results', tmp_path / 'results')
        assert ended.returncode == 2 and ended.stderr.count('\n') == 1
        assert ended.stderr.startswith(f'topspark demo: {reason}')
    assert not (tmp_path / 'results').exists()


def test_a_wrong_argument_is_one_line(tmp_path):
    ended = topspark('profile', '--timesteps', '4,x', '--output', tmp_path / 'none.yaml')
    assert ended.returncode == 2
    assert ended.stderr == (
        "topspark profile: --timesteps is '4,x', accepted are whole numbers, comma-separated\n"
    )
