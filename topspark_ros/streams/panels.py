"""Panels with objects around a robot's path: where they are, and which one its camera sees."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import yaml

from topspark_ros.errors import TopsparkError
from topspark_ros.files import FileError, read_yaml

Part = TypeVar('Part')


class PanelsError(TopsparkError):
    """Panels were rejected: one line with the file, field, value and what is accepted."""


@dataclass(frozen=True)
class CircularPath:
    """A circle around the world's origin, driven counterclockwise. radius_m: above 0."""

    radius_m: float


@dataclass(frozen=True)
class CameraPose:
    """Where a camera is on the robot, and the heading in which it looks, horizontally.

    x_m, y_m, z_m: forward, left and up of the robot's origin on the floor.
    yaw_rad: counterclockwise of forward.
    """

    x_m: float
    y_m: float
    z_m: float
    yaw_rad: float


@dataclass(frozen=True)
class Panel:
    """An object on an upright panel.

    class_name: not empty.
    x_m, y_m, z_m: the object's centre in the world.
    yaw_rad: heading in which the panel's front looks.
    side_m: of the square that the object lies in, above 0.
    """

    class_name: str
    x_m: float
    y_m: float
    z_m: float
    yaw_rad: float
    side_m: float


@dataclass(frozen=True)
class Gallery:
    """All that a teacher who drives past the panels has to know."""

    path: CircularPath
    camera: CameraPose
    panels: tuple[Panel, ...]


class Pose(NamedTuple):
    """Of the robot in the world: m, m, rad counterclockwise of the x axis."""

    x_m: float
    y_m: float
    yaw_rad: float


class Optics(NamedTuple):
    """A pinhole camera without distortion; all in pixels."""

    width: int
    height: int
    focal_x: float
    focal_y: float
    centre_x: float
    centre_y: float


class PanelFinder:
    """Tells which panel of a gallery a camera shows."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._corners = np.array([_corners(panel) for panel in gallery.panels])  # (n, 4, 3), m

    def in_view(self, pose: Pose, optics: Optics) -> Panel | None:
        """The panel whose object is wholly in view, while no part of another one is."""
        pixels, depth = self._project(pose, optics)
        size = np.array([optics.width, optics.height])
        ahead = (depth > 0).all(axis=1)
        low, high = pixels.min(axis=1), pixels.max(axis=1)
        partly = ahead & (high > 0).all(axis=1) & (low < size).all(axis=1)
        wholly = ahead & (low >= 0).all(axis=1) & (high <= size).all(axis=1)
        seen = np.flatnonzero(partly)
        return self._gallery.panels[seen[0]] if len(seen) == 1 and wholly[seen[0]] else None

    def _project(self, pose: Pose, optics: Optics) -> tuple[np.ndarray, np.ndarray]:
        """The objects' corners in the image, (n, 4, 2) pixels, and their depth, (n, 4) m."""
        camera = self._gallery.camera
        forward = np.array([math.cos(pose.yaw_rad), math.sin(pose.yaw_rad)])
        left = np.array([-forward[1], forward[0]])
        eye = np.array([pose.x_m, pose.y_m]) + camera.x_m * forward + camera.y_m * left
        heading = pose.yaw_rad + camera.yaw_rad
        ahead = np.array([math.cos(heading), math.sin(heading)])
        flat = self._corners[..., :2] - eye
        depth = flat @ ahead
        right = flat @ np.array([ahead[1], -ahead[0]])
        down = camera.z_m - self._corners[..., 2]
        safe = np.where(depth > 0, depth, 1.0)  # what is behind is skipped by its depth
        return np.stack(
            (
                optics.centre_x + optics.focal_x * right / safe,
                optics.centre_y + optics.focal_y * down / safe,
            ),
            axis=-1,
        ), depth


def _corners(panel: Panel) -> list[tuple[float, float, float]]:
    """Of the object's square in the world, m."""
    half = panel.side_m / 2
    across = -math.sin(panel.yaw_rad), math.cos(panel.yaw_rad)
    return [
        (
            panel.x_m + side * half * across[0],
            panel.y_m + side * half * across[1],
            panel.z_m + up * half,
        )
        for side, up in ((-1, 1), (1, 1), (1, -1), (-1, -1))
    ]


_HEADER = """\
# What a teacher has to know: the robot's path, its camera and the panels, in the world's frame.
# Lengths in m, angles in rad counterclockwise; camera in the robot's frame.
"""


def save_gallery(gallery: Gallery, path: Path) -> None:
    """Write a gallery as YAML."""
    plain = asdict(gallery)
    plain['panels'] = list(plain['panels'])
    path.write_text(
        _HEADER + yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), encoding='utf-8'
    )


def load_gallery(path: str | Path) -> Gallery:
    """Read a gallery; PanelsError for a file that is not one."""
    try:
        content = read_yaml(path, 'a gallery in YAML')
    except FileError as error:
        raise PanelsError(str(error)) from None
    try:
        parts = _fields_of('the file', content, Gallery)
        panels = parts['panels']
        _require(isinstance(panels, list) and panels, 'panels', panels, 'a list of one or more')
        return Gallery(
            _part('path', parts['path'], CircularPath),
            _part('camera', parts['camera'], CameraPose),
            tuple(_part(f'panels[{index}]', panel, Panel) for index, panel in enumerate(panels)),
        )
    except PanelsError as error:
        raise PanelsError(f'{path}: {error}') from None


def _part(name: str, content: object, kind: type[Part]) -> Part:
    """One dataclass of numbers and names."""
    values = _fields_of(name, content, kind)
    for field, value in values.items():
        place = f'{name}.{field}'
        if field == 'class_name':
            _require(
                isinstance(value, str) and value.strip(), place, value, 'a name that is not empty'
            )
        else:
            _require(
                type(value) in (int, float) and math.isfinite(value),
                place,
                value,
                'a finite number',
            )
            _require(value > 0 or field not in ('radius_m', 'side_m'), place, value, 'above 0')
    return kind(**values)


def _fields_of(name: str, content: object, kind: type) -> dict[str, Any]:
    names = [field.name for field in fields(kind)]
    found = dict(content) if isinstance(content, Mapping) else {}
    _require(set(found) == set(names), name, content, f'the fields {", ".join(names)}')
    return found


def _require(holds: object, name: str, value: object, accepted: str) -> None:
    if not holds:
        raise PanelsError(f'{name} is {str(value)[:80]!r}, accepted is {accepted}')
