"""What the robot's camera sees of a made world, without Gazebo: a pinhole, and Lambert's light.

Everything is read from world.sdf, model.sdf and the textures, as Gazebo reads them.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import cv2
import numpy as np

from topspark_ros.streams.panels import Optics, Pose

ROBOT = Path(__file__).parents[2] / 'gazebo' / 'models' / 'topspark_robot' / 'model.sdf'
TEXTURE_SHARE = 0.5  # of the textures' resolution is enough


def numbers(element: ElementTree.Element, path: str) -> np.ndarray:
    return np.array([float(word) for word in element.findtext(path).split()])


OGRE2_NOISE = 0.2  # deviation seen over the one asked for: 0.9 to 4.3 grey levels at 0.05


class Mounted(NamedTuple):
    """The camera of model.sdf: place in the robot's frame, optics, noise."""

    place: np.ndarray  # x, y, z, m
    yaw_rad: float
    optics: Optics
    noise: float  # standard deviation, grey levels


def mounted_camera() -> Mounted:
    model = ElementTree.parse(ROBOT).getroot().find('model')
    link = next(link for link in model.iter('link') if link.find('sensor') is not None)
    sensor = link.find('sensor')
    pose = numbers(sensor, 'pose')
    width, height = (int(sensor.findtext(f'camera/image/{side}')) for side in ('width', 'height'))
    focal = width / 2 / math.tan(float(sensor.findtext('camera/horizontal_fov')) / 2)
    return Mounted(
        numbers(link, 'pose')[:3] + pose[:3],
        pose[5],
        Optics(width, height, focal, focal, width / 2, height / 2),
        OGRE2_NOISE * 255 * float(sensor.findtext('camera/noise/stddev')),
    )


class Light(NamedTuple):
    place: np.ndarray  # m
    colour: np.ndarray  # BGR
    fading: np.ndarray  # constant, linear, quadratic
    range_m: float


class Board(NamedTuple):
    corners: np.ndarray  # of its front: top left, top right, bottom right, bottom left; (4, 3), m
    picture: np.ndarray  # the same corners, lit: (height, width, 3) uint8, BGR


class View:
    """Renders what the camera sees."""

    def __init__(self, world: Path, seed: int = 0):
        root = ElementTree.parse(world / 'world.sdf').getroot().find('world')
        self.camera = mounted_camera()
        self.start = Pose(*numbers(root.find('include'), 'pose')[[0, 1, 5]])
        self._ambient = numbers(root, 'scene/ambient')[2::-1]
        self._sky = 255 * numbers(root, 'scene/background')[2::-1]
        self._lights = [
            Light(
                numbers(light, 'pose')[:3],
                numbers(light, 'diffuse')[2::-1],
                np.array(
                    [
                        float(light.findtext(f'attenuation/{term}'))
                        for term in ('constant', 'linear', 'quadratic')
                    ]
                ),
                float(light.findtext('attenuation/range')),
            )
            for light in root.findall('light')
        ]
        self._boards = [
            self._board(world, model)
            for model in root.findall('model')
            if model.attrib['name'].startswith('panel_')
        ]
        self._random = np.random.default_rng(seed)

    def render(self, pose: Pose) -> np.ndarray:
        """A frame, (height, width, 3) uint8, BGR."""
        optics = self.camera.optics
        frame = np.empty((optics.height, optics.width, 3), np.uint8)
        frame[:] = self._sky
        place, turned = self._eye(pose)
        for board in self._boards:
            seen = (board.corners - place) @ turned  # right, down, ahead
            if (seen[:, 2] < 0.05).any():
                continue
            pixels = np.stack(
                (
                    optics.centre_x + optics.focal_x * seen[:, 0] / seen[:, 2],
                    optics.centre_y + optics.focal_y * seen[:, 1] / seen[:, 2],
                ),
                axis=1,
            )
            if (pixels.max(axis=0) < 0).any() or pixels[:, 0].min() > optics.width:
                continue
            height, width, _ = board.picture.shape
            edges = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - 0.5
            warp = cv2.getPerspectiveTransform(edges, (pixels - 0.5).astype(np.float32))
            cv2.warpPerspective(
                board.picture,
                warp,
                (optics.width, optics.height),
                dst=frame,
                borderMode=cv2.BORDER_TRANSPARENT,
            )
        noise = self._random.normal(0, self.camera.noise, frame.shape)
        return np.clip(np.rint(frame + noise), 0, 255).astype(np.uint8)

    def _eye(self, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """Where the camera is, and its axes right, down, ahead as columns."""
        x, y, z = self.camera.place
        cos, sin = math.cos(pose.yaw_rad), math.sin(pose.yaw_rad)
        place = np.array([pose.x_m + cos * x - sin * y, pose.y_m + sin * x + cos * y, z])
        cos, sin = (f(pose.yaw_rad + self.camera.yaw_rad) for f in (math.cos, math.sin))
        return place, np.array([[sin, 0, cos], [-cos, 0, sin], [0, -1, 0]])

    def _board(self, world: Path, model: ElementTree.Element) -> Board:
        x, y, z, roll, pitch, yaw = numbers(model, 'pose')
        assert roll == pitch == 0
        thickness, width, height = numbers(model, './/box/size')
        front = np.array([math.cos(yaw), math.sin(yaw), 0])
        across = np.array([-front[1], front[0], 0])  # to the right, seen from the front
        centre = np.array([x, y, z]) + front * thickness / 2
        corners = np.array(
            [
                centre + side * across * width / 2 + [0, 0, up * height / 2]
                for side, up in ((-1, 1), (1, 1), (1, -1), (-1, -1))
            ]
        )
        texture = cv2.imread(str(world / model.findtext('.//albedo_map')))
        texture = cv2.resize(
            texture, None, fx=TEXTURE_SHARE, fy=TEXTURE_SHARE, interpolation=cv2.INTER_AREA
        )
        return Board(corners, self._lit(texture, corners, front))

    def _lit(self, texture: np.ndarray, corners: np.ndarray, front: np.ndarray) -> np.ndarray:
        rows, columns = (np.linspace(0, 1, count) for count in texture.shape[:2])
        points = (
            corners[0]
            + rows[:, None, None] * (corners[3] - corners[0])
            + columns[None, :, None] * (corners[1] - corners[0])
        )
        light = np.broadcast_to(self._ambient, texture.shape).copy()
        for source in self._lights:
            way = source.place - points
            distance = np.linalg.norm(way, axis=2)
            fading = sum(term * distance**power for power, term in enumerate(source.fading))
            strength = np.maximum(0, way @ front / distance) / fading
            light += np.where(distance < source.range_m, strength, 0)[..., None] * source.colour
        return np.clip(np.rint(texture * light), 0, 255).astype(np.uint8)
