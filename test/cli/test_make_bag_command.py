"""`topspark make-bag`: a bag on disk, a table of it, and one line for what is rejected."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import yaml
from rosbags.rosbag2 import Reader

from topspark_ros.cli.main import main
from topspark_ros.replay.definitions import typestore

SMALL = ('--frames', '20', '--rate', '10', '--width', '48', '--height', '36')


@pytest.fixture
def make_bag(monkeypatch, capsys, tmp_path):
    """Run it; (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(
            sys, 'argv', ['topspark', 'make-bag', str(tmp_path / 'bag'), *map(str, arguments)]
        )
        return main(), *capsys.readouterr()

    monkeypatch.setenv('COLUMNS', '120')
    return run


def rows(printed: str) -> dict[str, list[str]]:
    cells = (
        [cell.strip() for cell in line.strip('│').split('│')]
        for line in printed.splitlines()
        if line.startswith('│')
    )
    return {name: rest for name, *rest in cells}


def settings(bag) -> dict[str, str]:
    """What the bag says of itself."""
    with open(bag / 'metadata.yaml', encoding='utf-8') as file:
        return yaml.safe_load(file)['rosbag2_bagfile_information']['custom_data']


def test_a_bag_and_what_it_holds(make_bag, tmp_path):
    code, printed, _ = make_bag(
        *SMALL,
        '--budget',
        '0:none,0.5:4e-5,1:nan',
        '--label-share',
        1,
        '--seed',
        7,
        '--battery',
        '0.5:0.25',
    )
    assert code == 0
    table = rows(printed)
    assert table['/image'][:2] == ['sensor_msgs/msg/Image', '20']
    assert table['/label'][:2] == ['topspark_ros/msg/Label', '20']
    assert table['/battery_state'][1] == '2' and table['/power_budget'][1] == '3'
    assert table['/image'][2] == '104.7 kB'  # 20 times 36 x 48 x 3 and a header
    assert f'Next: topspark evaluate {tmp_path / "bag"}' in printed

    with Reader(tmp_path / 'bag') as reader:
        assert {topic: info.msgcount for topic, info in reader.topics.items()} == {
            topic: int(cells[1]) for topic, cells in table.items()
        }
        budgets = [
            typestore().deserialize_cdr(data, connection.msgtype).power
            for connection, _, data in reader.messages()
            if connection.topic == '/power_budget'
        ]
    np.testing.assert_equal(budgets, [np.nan, 4e-5, np.nan])
    told = settings(tmp_path / 'bag')
    assert (told['seed'], told['battery_start'], told['battery_end']) == ('7', '0.5', '0.25')


def test_events_of_images_that_move(make_bag, tmp_path):
    code, printed, _ = make_bag(
        *SMALL, '--events', '--images', 'none', '--storage', 'sqlite3', '--compression', 'zstd'
    )
    assert code == 0
    assert rows(printed)['/events'][:2] == ['event_camera_msgs/msg/EventPacket', '20']
    assert '/image' not in rows(printed)
    assert settings(tmp_path / 'bag')['frames_per_image'] == '16'
    assert (tmp_path / 'bag' / 'bag.db3').is_file()


def test_events_of_images_that_jump(make_bag, tmp_path):
    assert make_bag(*SMALL, '--events', '--frames-per-image', 1)[0] == 0
    assert settings(tmp_path / 'bag')['frames_per_image'] == '1'


@pytest.mark.parametrize(
    'arguments, complaint',
    [
        (
            ('--dataset', 'letters'),
            "dataset is 'letters', accepted is one of digits, mnist, "
            'fashion_mnist, or a folder with a sub-folder of images or event bags for each class',
        ),
        (('--rate', 1000), 'rate_hz is 1000.0, accepted is 0.1 to 240'),
        (
            ('--budget', '0:1,1'),
            "--budget is '0:1,1', accepted are steps S:W, comma-separated, such as 0:none,20:2e-3",
        ),
        (
            ('--budget', '0:much'),
            "--budget is '0:much', accepted are steps S:W, comma-separated, such as 0:none,20:2e-3",
        ),
        (('--battery', '0.5'), "--battery is '0.5', accepted is START:END, such as 0.9:0.6"),
        (
            ('--images', 'none'),
            "images is 'none' and events is False, accepted is one of them, or both",
        ),
    ],
)
def test_what_is_rejected_is_one_line(make_bag, tmp_path, arguments, complaint):
    code, printed, error = make_bag(*SMALL, *arguments)
    assert (code, printed, error) == (2, '', f'topspark make-bag: {complaint}\n')
    assert not (tmp_path / 'bag').exists()


def test_a_bag_that_is_there_stays(make_bag, tmp_path):
    make_bag(*SMALL)
    before = {file.name: file.read_bytes() for file in (tmp_path / 'bag').iterdir()}
    code, _, error = make_bag(*SMALL)
    assert (code, error) == (
        2,
        f'topspark make-bag: {tmp_path / "bag"} exists, accepted is the name of a new bag\n',
    )
    assert {file.name: file.read_bytes() for file in (tmp_path / 'bag').iterdir()} == before
