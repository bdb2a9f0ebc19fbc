"""Panels files: what is rejected, and how; a view from a place of its own."""

from __future__ import annotations

import math

import pytest
import yaml

from topspark_ros.streams.circuit import Circuit
from topspark_ros.streams.panels import (
    CameraPose,
    CircularPath,
    Gallery,
    Optics,
    Panel,
    PanelFinder,
    PanelsError,
    Pose,
    load_gallery,
    save_gallery,
)

OPTICS = Optics(width=100, height=100, focal_x=50.0, focal_y=50.0, centre_x=50.0, centre_y=50.0)
FORWARD = CameraPose(x_m=0.1, y_m=0.0, z_m=0.5, yaw_rad=0.0)
AHEAD = Panel('cup', x_m=2.1, y_m=0.0, z_m=0.5, yaw_rad=math.pi, side_m=1.0)


def gallery(*panels: Panel) -> Gallery:
    return Gallery(CircularPath(1.0), FORWARD, panels)


@pytest.mark.parametrize(
    'pose, is_seen',
    [
        (Pose(0.0, 0.0, 0.0), True),  # 2 m before it: it takes 25 of 100 pixels
        (Pose(0.0, 1.4, 0.0), True),
        (Pose(0.0, 1.6, 0.0), False),  # its edge is 2.1 m aside, the view ends at 2.0 m
        (Pose(0.0, 0.0, math.pi), False),  # behind the camera
        (Pose(1.6, 0.0, 0.0), False),  # too near for all of it
        (Pose(0.0, 0.0, math.pi / 8), True),
        (Pose(0.0, 0.0, math.pi / 4), False),
    ],
)
def test_a_panel_is_in_view_while_all_of_it_is(pose, is_seen):
    assert PanelFinder(gallery(AHEAD)).in_view(pose, OPTICS) == (AHEAD if is_seen else None)


def test_a_second_one_counts_from_its_first_pixel():
    beside = Panel('pen', x_m=2.1, y_m=2.4, z_m=0.5, yaw_rad=math.pi, side_m=1.0)
    finder = PanelFinder(gallery(AHEAD, beside))
    assert finder.in_view(Pose(0.0, 0.0, 0.0), OPTICS) is None  # 1.9 to 2.9 m aside
    assert finder.in_view(Pose(0.0, -0.2, 0.0), OPTICS) == AHEAD  # 2.1 m
    assert finder.in_view(Pose(0.0, 3.9, 0.0), OPTICS) == beside


@pytest.mark.parametrize(
    'pose',
    [
        Pose(1.0, 0.0, math.pi / 2),
        Pose(0.2, -0.3, 0.0),
        Pose(-2.5, 1.0, 1.0),
        Pose(1.0, 0.0, -math.pi / 2),
    ],
)
def test_the_circuit_is_found_and_kept(pose):
    circuit = Circuit(1.0)
    for _ in range(1000):
        forward, turn = circuit.drive(pose, 0.3)
        assert 0.0 <= forward <= 0.3 and abs(turn) <= 1.5
        pose = Pose(
            pose.x_m + 0.02 * forward * math.cos(pose.yaw_rad),
            pose.y_m + 0.02 * forward * math.sin(pose.yaw_rad),
            pose.yaw_rad + 0.02 * turn,
        )
    assert abs(circuit.off_m) < 0.01
    assert 0.4 < circuit.laps < 1.2


PLAIN = {
    'path': {'radius_m': 1.0},
    'camera': {'x_m': 0.0, 'y_m': 0.0, 'z_m': 0.5, 'yaw_rad': 0.0},
    'panels': [
        {'class_name': 'cup', 'x_m': 2.0, 'y_m': 0.0, 'z_m': 0.5, 'yaw_rad': 0.0, 'side_m': 1.0}
    ],
}


def test_what_is_saved_is_read(tmp_path):
    save_gallery(gallery(AHEAD), tmp_path / 'panels.yaml')
    assert load_gallery(tmp_path / 'panels.yaml') == gallery(AHEAD)


@pytest.mark.parametrize(
    'change, complaint',
    [
        ({'path': {'radius_m': 0}}, "path.radius_m is '0', accepted is above 0"),
        ({'path': {'radius_m': 'wide'}}, "path.radius_m is 'wide', accepted is a finite number"),
        ({'camera': None}, "camera is 'None', accepted is the fields x_m, y_m, z_m, yaw_rad"),
        ({'panels': []}, r"panels is '\[\]', accepted is a list of one or more"),
        (
            {'panels': [PLAIN['panels'][0] | {'side_m': -1.0}]},
            r"panels\[0\].side_m is '-1.0', accepted is above 0",
        ),
        (
            {'panels': [PLAIN['panels'][0] | {'x_m': math.nan}]},
            r"panels\[0\].x_m is 'nan', accepted is a finite number",
        ),
        (
            {'panels': [PLAIN['panels'][0] | {'class_name': ' '}]},
            r"panels\[0\].class_name is ' ', accepted is a name that is not empty",
        ),
    ],
)
def test_nonsense_is_rejected_by_name(tmp_path, change, complaint):
    path = tmp_path / 'panels.yaml'
    path.write_text(yaml.safe_dump(PLAIN | change))
    with pytest.raises(PanelsError, match=f'^{path}: {complaint}$'):
        load_gallery(path)


@pytest.mark.parametrize('text', ['', '[', 'panels: 3'])
def test_what_is_no_gallery_is_rejected_in_one_line(tmp_path, text):
    path = tmp_path / 'panels.yaml'
    path.write_text(text)
    with pytest.raises(PanelsError) as rejection:
        load_gallery(path)
    assert str(path) in str(rejection.value) and '\n' not in str(rejection.value)
