"""A Gazebo world (SDF 1.9, Gazebo Harmonic) with a ring of panels that show a dataset's images.

The robot drives on a circle inside the ring and looks outwards. Along the first half of the path
the panels are paper with dark ink under white light, along the second half boards with bright
chalk under a lower, warmer light. A world is a folder:

    world.sdf       refers to the robot, model://topspark_robot, and to the textures
    panels.yaml     what a teacher has to know, see streams/panels.py
    textures/       a picture for each panel
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from topspark_ros.streams.datasets import Dataset, DatasetError
from topspark_ros.streams.panels import (
    CameraPose,
    CircularPath,
    Gallery,
    Panel,
    PanelsError,
    save_gallery,
)

WORLD_FILE = 'world.sdf'
PANELS_FILE = 'panels.yaml'
TEXTURES = 'textures'
MIN_PANELS, MAX_PANELS = 8, 200  # fewer leave no room for the path

# The robot's camera, as in gazebo/models/topspark_robot/model.sdf.
CAMERA = CameraPose(x_m=0.0, y_m=0.0, z_m=0.55, yaw_rad=-math.pi / 2)

# A camera of 60 degrees sees 0.92 m of a wall at this distance: an object fills 60 % of the
# frame's height, and the next one is out of view while one is whole.
_DISTANCE_M = 0.8
_OBJECT_M = 0.42
_PANEL_WIDTH_M, _PANEL_HEIGHT_M = 1.2, 1.1
_THICKNESS_M = 0.02
_PIXELS_A_METRE = 400  # the camera has 350 there
_HEIGHT, _WIDTH, _SIDE = (
    round(length_m * _PIXELS_A_METRE) for length_m in (_PANEL_HEIGHT_M, _PANEL_WIDTH_M, _OBJECT_M)
)
_OBJECT_ROWS, _OBJECT_COLUMNS = (
    slice((whole - _SIDE) // 2, (whole - _SIDE) // 2 + _SIDE) for whole in (_HEIGHT, _WIDTH)
)
_STAINS = 7  # a side, of the cells that the tone of a panel varies by
_STAIN_DEPTH = 0.03  # standard deviation, share of its brightness


class Style(NamedTuple):
    """Colours as RGB in 0..1."""

    ground: tuple[float, float, float]
    object: tuple[float, float, float]


PAPER = Style(ground=(0.92, 0.89, 0.83), object=(0.15, 0.18, 0.38))
CHALKBOARD = Style(ground=(0.20, 0.29, 0.25), object=(0.93, 0.93, 0.90))


def make_world(dataset: Dataset, panels: int, seed: int, folder: Path) -> Gallery:
    """Write a world, and return what its panels.yaml says.

    The classes come equally often, each image once; all of it follows from the seed.

    panels: MIN_PANELS to MAX_PANELS.
    folder: made if it is not there; files of another world in it are replaced.

    Raises PanelsError for another number of panels, DatasetError if the dataset has too few images
    for so many.
    """
    if not MIN_PANELS <= panels <= MAX_PANELS:
        raise PanelsError(f'panels is {panels}, accepted is {MIN_PANELS} to {MAX_PANELS}')
    random = np.random.default_rng(seed)
    chosen = _choose(dataset.labels, panels, random)
    gallery = _arrange([dataset.class_names[label] for label in dataset.labels[chosen]])
    (folder / TEXTURES).mkdir(parents=True, exist_ok=True)
    for stale in (folder / TEXTURES).glob('panel_*.png'):
        stale.unlink()
    for number, index in enumerate(chosen):
        style = PAPER if 2 * number < panels else CHALKBOARD
        texture = _draw(dataset.images[index], style, random)
        cv2.imwrite(str(folder / texture_file(number)), texture)
    (folder / WORLD_FILE).write_text(_sdf(gallery), encoding='utf-8')
    save_gallery(gallery, folder / PANELS_FILE)
    return gallery


def _choose(labels: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Indices of images: all classes in random order, then all again."""
    classes = np.unique(labels)
    stock = {label: list(random.permutation(np.flatnonzero(labels == label))) for label in classes}
    chosen: list[np.intp] = []
    while len(chosen) < count:
        round_ = [label for label in random.permutation(classes) if stock[label]]
        if not round_:
            raise DatasetError(
                f'the dataset has {len(labels)} images, accepted is {count} or '
                'more: one for each panel'
            )
        chosen += [stock[label].pop() for label in round_]
    return np.array(chosen[:count])


def _arrange(class_names: list[str]) -> Gallery:
    """The panels edge to edge, in a ring around the origin; the path begins on the x axis."""
    sector = 2 * math.pi / len(class_names)
    wall_m = _PANEL_WIDTH_M / (2 * math.tan(sector / 2))
    panels = []
    for number, name in enumerate(class_names):
        angle = (number + 0.5) * sector
        panels.append(
            Panel(
                name,
                round(wall_m * math.cos(angle), 4),
                round(wall_m * math.sin(angle), 4),
                CAMERA.z_m,
                round(math.remainder(angle + math.pi, 2 * math.pi), 4),
                _OBJECT_M,
            )
        )
    return Gallery(CircularPath(round(wall_m - _DISTANCE_M, 4)), CAMERA, tuple(panels))


def _draw(image: np.ndarray, style: Style, random: np.random.Generator) -> np.ndarray:
    """The front of a panel, (height, width, 3) uint8, BGR.

    image: (side, side) uint8, the object bright on 0.
    """
    stains = cv2.resize(
        random.normal(1, _STAIN_DEPTH, (_STAINS, _STAINS)),
        (_WIDTH, _HEIGHT),
        interpolation=cv2.INTER_CUBIC,
    )[..., None]
    margined = cv2.copyMakeBorder(image, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(0.0,))
    coverage = np.zeros((_HEIGHT, _WIDTH, 1))
    object_of(coverage)[..., 0] = np.clip(
        cv2.resize(margined / 255, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC), 0, 1
    )
    ground, ink = (np.array(colour[::-1]) for colour in style)
    panel = ground * stains * (1 - coverage) + ink * coverage
    return np.rint(255 * np.clip(panel, 0, 1)).astype(np.uint8)


def texture_file(number: int) -> str:
    """Of a panel, within the folder of its world."""
    return f'{TEXTURES}/panel_{number:03d}.png'


def object_of(texture: np.ndarray) -> np.ndarray:
    """The part of a panel's front that its object lies in, (side, side, 3)."""
    return texture[_OBJECT_ROWS, _OBJECT_COLUMNS]


def _sdf(gallery: Gallery) -> str:
    wall_m = gallery.path.radius_m + _DISTANCE_M
    return _WORLD.format(
        radius=gallery.path.radius_m,
        heading=math.pi / 2,
        floor=4 * wall_m,
        white=_LIGHT.format(
            name='white',
            y=wall_m / 2,
            z=2.5,
            colour='0.7 0.7 0.7 1',
            slope=1.4 / wall_m,
            reach=2 * wall_m,
        ),
        warm=_LIGHT.format(
            name='warm',
            y=-wall_m / 2,
            z=1.5,
            colour='0.55 0.45 0.32 1',
            slope=1.4 / wall_m,
            reach=2 * wall_m,
        ),
        panels=''.join(_panel(number, panel) for number, panel in enumerate(gallery.panels)),
    )


def _panel(number: int, panel: Panel) -> str:
    # The front of a box is its face towards +x; half of the thickness lies behind the object.
    x_m = panel.x_m - math.cos(panel.yaw_rad) * _THICKNESS_M / 2
    y_m = panel.y_m - math.sin(panel.yaw_rad) * _THICKNESS_M / 2
    return _PANEL.format(
        number=number,
        x=x_m,
        y=y_m,
        z=panel.z_m,
        yaw=panel.yaw_rad,
        thickness=_THICKNESS_M,
        width=_PANEL_WIDTH_M,
        height=_PANEL_HEIGHT_M,
        texture=texture_file(number),
    )


_WORLD = """\
<?xml version="1.0"?>
<!-- Written by topspark make-world: a ring of panels, and a robot that drives inside. -->
<sdf version="1.9">
  <world name="topspark_gallery">
    <physics name="4ms" type="ignored">
      <max_step_size>0.004</max_step_size>
      <real_time_factor>1.0</real_time_factor>
    </physics>
    <plugin filename="gz-sim-physics-system" name="gz::sim::systems::Physics"/>
    <plugin filename="gz-sim-user-commands-system" name="gz::sim::systems::UserCommands"/>
    <plugin filename="gz-sim-scene-broadcaster-system" name="gz::sim::systems::SceneBroadcaster"/>
    <plugin filename="gz-sim-sensors-system" name="gz::sim::systems::Sensors">
      <render_engine>ogre2</render_engine>
    </plugin>
    <scene>
      <ambient>0.35 0.35 0.35 1</ambient>
      <background>0.6 0.7 0.8 1</background>
      <shadows>false</shadows>
    </scene>
{white}{warm}    <model name="floor">
      <static>true</static>
      <link name="link">
        <collision name="collision">
          <geometry>
            <plane><normal>0 0 1</normal><size>{floor:.4f} {floor:.4f}</size></plane>
          </geometry>
        </collision>
        <visual name="visual">
          <geometry>
            <plane><normal>0 0 1</normal><size>{floor:.4f} {floor:.4f}</size></plane>
          </geometry>
          <material>
            <ambient>0.45 0.42 0.38 1</ambient>
            <diffuse>0.45 0.42 0.38 1</diffuse>
          </material>
        </visual>
      </link>
    </model>
    <include>
      <uri>model://topspark_robot</uri>
      <pose>{radius:.4f} 0 0 0 0 {heading:.6f}</pose>
    </include>
{panels}  </world>
</sdf>
"""

_LIGHT = """\
    <light name="{name}" type="point">
      <pose>0 {y:.4f} {z:.4f} 0 0 0</pose>
      <cast_shadows>false</cast_shadows>
      <diffuse>{colour}</diffuse>
      <specular>0 0 0 1</specular>
      <attenuation>
        <constant>0.3</constant>
        <linear>{slope:.4f}</linear>
        <quadratic>0</quadratic>
        <range>{reach:.4f}</range>
      </attenuation>
    </light>
"""

_PANEL = """\
    <model name="panel_{number:03d}">
      <static>true</static>
      <pose>{x:.4f} {y:.4f} {z:.4f} 0 0 {yaw:.4f}</pose>
      <link name="link">
        <visual name="visual">
          <geometry><box><size>{thickness} {width} {height}</size></box></geometry>
          <material>
            <ambient>1 1 1 1</ambient>
            <diffuse>1 1 1 1</diffuse>
            <specular>0 0 0 1</specular>
            <pbr>
              <metal>
                <albedo_map>{texture}</albedo_map>
                <metalness>0</metalness>
                <roughness>1</roughness>
              </metal>
            </pbr>
          </material>
        </visual>
      </link>
    </model>
"""
