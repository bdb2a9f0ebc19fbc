"""Worlds: what is written, and that a camera that drives through one sees what can be learned."""

from __future__ import annotations

import itertools
import math
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from pinhole import ROBOT, View, mounted_camera, numbers

from topspark_ros.engine import NetworkConfig, create_network
from topspark_ros.methodology.energy import ENERGY_TABLES
from topspark_ros.perception.online import OnlineLearner, OnlineSettings, Timesteps
from topspark_ros.replay.worlds import make_world
from topspark_ros.streams.circuit import Circuit
from topspark_ros.streams.datasets import Dataset, DatasetError, load_dataset
from topspark_ros.streams.objects import centre_object
from topspark_ros.streams.panels import PanelFinder, Pose, load_gallery
from topspark_ros.streams.scenes import camera_views

MODELS = ROBOT.parents[1]
PANELS = 20
FRAME_S = 0.2  # at 0.4 m/s; the camera is four times as fast


@pytest.fixture(scope='module')
def digits():
    return load_dataset('digits', 'test')


@pytest.fixture(scope='module')
def world(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp('world')
    make_world(digits, PANELS, 0, folder)
    return folder


@pytest.fixture(scope='module')
def view(world):
    return View(world)


def facing(gallery, panel) -> Pose:
    """On the path, right before a panel."""
    angle = math.atan2(panel.y_m, panel.x_m)
    return Pose(
        gallery.path.radius_m * math.cos(angle),
        gallery.path.radius_m * math.sin(angle),
        angle + math.pi / 2,
    )


def seen(view: View, pose: Pose) -> np.ndarray:
    return centre_object(cv2.cvtColor(view.render(pose), cv2.COLOR_BGR2GRAY))


def drive(view: View, gallery):
    """Poses at every frame of the patrol, for ever, and laps."""
    circuit, pose = Circuit(gallery.path.radius_m), view.start
    while True:
        forward, turn = circuit.drive(pose, 0.4)
        pose = Pose(
            pose.x_m + forward * FRAME_S * math.cos(pose.yaw_rad + turn * FRAME_S / 2),
            pose.y_m + forward * FRAME_S * math.sin(pose.yaw_rad + turn * FRAME_S / 2),
            pose.yaw_rad + turn * FRAME_S,
        )
        yield pose, circuit.laps


# What is written -----------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }


def test_equal_seeds_make_equal_worlds(digits, world, tmp_path):
    make_world(digits, PANELS + 5, 1, tmp_path)
    assert contents(tmp_path) != contents(world)
    make_world(digits, PANELS, 0, tmp_path)  # over the other one
    assert contents(tmp_path) == contents(world)


def test_the_gallery_is_read_as_it_was_made(digits, tmp_path):
    assert make_world(digits, 11, 2, tmp_path) == load_gallery(tmp_path / 'panels.yaml')


def test_classes_come_equally_often(world):
    gallery = load_gallery(world / 'panels.yaml')
    counts = Counter(panel.class_name for panel in gallery.panels)
    assert counts == {str(digit): PANELS // 10 for digit in range(10)}


@pytest.mark.parametrize('panels', [7, 201])
def test_a_number_of_panels_that_does_not_fit_is_rejected(digits, tmp_path, panels):
    with pytest.raises(ValueError, match=f'panels is {panels}, accepted is 8 to 200'):
        make_world(digits, panels, 0, tmp_path)


def test_too_few_images_are_rejected(digits, tmp_path):
    few = Dataset(digits.images[:9], digits.labels[:9], digits.class_names)
    with pytest.raises(DatasetError, match='9 images, accepted is 10 or more'):
        make_world(few, 10, 0, tmp_path)


@pytest.mark.parametrize('panels', [8, PANELS])
def test_sdformat_accepts_world_and_robot(digits, tmp_path, panels):
    if shutil.which('ign') is None:
        pytest.skip("needs `ign sdf` (Debian's ignition-tools and libsdformat-dev)")
    make_world(digits, panels, 0, tmp_path)
    for file in (tmp_path / 'world.sdf', ROBOT):
        result = subprocess.run(
            ['ign', 'sdf', '-k', str(file)],
            capture_output=True,
            text=True,
            timeout=60,
            env=os.environ | {'SDF_PATH': str(MODELS)},
        )
        assert result.stdout.strip() == 'Valid.', result.stdout + result.stderr
        assert 'Warning' not in result.stderr and 'Error ' not in result.stderr, result.stderr


def test_every_file_that_is_named_is_there(world):
    root = ElementTree.parse(world / 'world.sdf').getroot()
    textures = [element.text for element in root.iter('albedo_map')]
    assert len(set(textures)) == PANELS
    for texture in textures:
        assert cv2.imread(str(world / texture)).shape == (440, 480, 3)
    for uri in root.iter('uri'):
        assert (MODELS / uri.text.removeprefix('model://') / 'model.sdf').is_file()


# What the camera sees ------------------------------------------------------------------------


def test_the_gallery_and_the_model_agree_about_the_camera(world):
    camera, mounted = load_gallery(world / 'panels.yaml').camera, mounted_camera()
    assert (camera.x_m, camera.y_m, camera.z_m) == pytest.approx(tuple(mounted.place))
    assert camera.yaw_rad == pytest.approx(mounted.yaw_rad, abs=1e-5)


def test_the_camera_has_noise_and_sees_what_gazebo_does_not_warn_of():
    sensor = ElementTree.parse(ROBOT).getroot().find('.//sensor')
    assert sensor.findtext('camera/visibility_mask') == str(2**30 - 1)
    assert 1 < mounted_camera().noise < 5


def test_panels_stand_where_the_gallery_says(world):
    root = ElementTree.parse(world / 'world.sdf').getroot().find('world')
    panels = [model for model in root.findall('model') if model.attrib['name'].startswith('panel_')]
    for model, panel in zip(panels, load_gallery(world / 'panels.yaml').panels, strict=True):
        thickness, _, _ = numbers(model, './/box/size')
        x, y, z, _, _, yaw = numbers(model, 'pose')
        front = x + thickness / 2 * math.cos(yaw), y + thickness / 2 * math.sin(yaw), z
        assert front == pytest.approx((panel.x_m, panel.y_m, panel.z_m), abs=1e-3)
        assert yaw == pytest.approx(panel.yaw_rad)


def test_nothing_but_panels_is_in_the_frame(world, view):
    """No sky above them, no floor below, no gap between them."""
    sky = np.array([204, 178, 153])  # BGR, of the scene
    poses = drive(view, load_gallery(world / 'panels.yaml'))
    for pose, _ in itertools.islice(poses, 100):
        frame = view.render(pose).astype(int)
        assert (np.abs(frame - sky).max(axis=2) < 3).mean() < 0.01


def test_light_and_background_change_midway(world, view):
    gallery = load_gallery(world / 'panels.yaml')
    colours = np.array(
        [np.median(view.render(facing(gallery, panel)), axis=(0, 1)) for panel in gallery.panels]
    )
    paper, board = colours[: PANELS // 2], colours[PANELS // 2 :]
    assert paper.min(axis=0).min() > 2 * board.max(axis=0).max()
    assert (paper[:, 2] > paper[:, 1]).all() and (board[:, 1] > board[:, 2]).all()  # hue


def test_an_object_fills_a_good_part_of_the_frame_and_only_one_is_in_view(world, view):
    gallery = load_gallery(world / 'panels.yaml')
    finder, optics = PanelFinder(gallery), view.camera.optics
    for panel in gallery.panels:
        pose = facing(gallery, panel)
        assert finder.in_view(pose, optics) == panel
        distance_m = math.hypot(panel.x_m - pose.x_m, panel.y_m - pose.y_m)
        assert 0.5 < optics.focal_y * panel.side_m / distance_m / optics.height < 0.7
    shown = [
        finder.in_view(pose, optics)
        for pose, _ in itertools.takewhile(lambda at: at[1] < 1, drive(view, gallery))
    ]
    runs = [panel for panel, _ in itertools.groupby(shown) if panel]
    assert [panel.class_name for panel in runs] == [panel.class_name for panel in gallery.panels]
    assert 0.25 < sum(map(bool, shown)) / len(shown) < 0.75


def test_who_knows_digits_before_a_camera_knows_those_on_the_panels(world, view):
    training = load_dataset('digits', 'train')
    network = create_network(NetworkConfig(neurons=400, max_input_rate=2.0))
    network.learn_many(camera_views(training.images[:600], seed=0), 16, training.labels[:600])
    gallery = load_gallery(world / 'panels.yaml')
    hits = sum(
        network.infer(seen(view, facing(gallery, panel)), 16).predicted
        == training.class_names.index(panel.class_name)
        for panel in gallery.panels
    )
    assert hits >= 0.9 * PANELS


def test_what_is_driven_past_is_learned(world, view):
    gallery = load_gallery(world / 'panels.yaml')
    finder = PanelFinder(gallery)
    learner = OnlineLearner(
        create_network(NetworkConfig(neurons=400, max_input_rate=2.0)),
        (),
        Timesteps(16, 16),
        OnlineSettings(),
        ENERGY_TABLES['loihi'],
    )
    halves = [[], [], [], []]  # hits in the half laps
    for number, (pose, laps) in enumerate(drive(view, gallery), start=1):
        if laps >= 2:
            break
        now_s = number * FRAME_S
        stamp_ns = round(now_s * 1e9)
        result = learner.classify(stamp_ns, seen(view, pose), now_s)
        panel = finder.in_view(pose, view.camera.optics)
        if panel is not None:
            learner.add_label(stamp_ns, panel.class_name)
            halves[int(2 * laps)].append(result.class_name == panel.class_name)
        learner.learn_due(now_s)
    accuracy = [np.mean(half) for half in halves]
    # All classes come in the first half, and then again under another light, on a chalkboard.
    assert accuracy[0] < accuracy[2] and min(accuracy[:2]) > 0.6 and min(accuracy[2:]) > 0.9
