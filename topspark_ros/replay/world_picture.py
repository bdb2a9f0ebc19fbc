"""A made world from above: its panels around the path, and the light that they stand in."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
from matplotlib.patches import Circle, FancyArrow

from topspark_ros.plotting import BLUE, ORANGE, picture
from topspark_ros.replay.worlds import CAMERA, object_of, texture_file
from topspark_ros.streams.panels import Gallery

SIDE = 9.0  # inches
OBJECT_M = 0.95  # of an object, lying flat behind its panel: as large as its neighbours let it
MARGIN_M = 1.0


def draw_world(path: Path, folder: Path, gallery: Gallery) -> None:
    """Draw the world in a folder, of which `gallery` is the panels.yaml."""
    radius_m = gallery.path.radius_m
    wall_m = max(math.hypot(panel.x_m, panel.y_m) for panel in gallery.panels)
    reach_m = wall_m + OBJECT_M + MARGIN_M
    with picture(path, size=(SIDE, SIDE)) as (axis,):
        for number, panel in enumerate(gallery.panels):
            texture = cv2.cvtColor(
                cv2.imread(str(folder / texture_file(number))), cv2.COLOR_BGR2RGB
            )
            out = (wall_m + OBJECT_M * 0.7) / math.hypot(panel.x_m, panel.y_m)
            x_m, y_m, half_m = out * panel.x_m, out * panel.y_m, OBJECT_M / 2
            axis.imshow(
                object_of(texture),
                zorder=2,
                extent=(x_m - half_m, x_m + half_m, y_m - half_m, y_m + half_m),
            )
        axis.add_patch(Circle((0, 0), wall_m, fill=False, color='0.6'))
        axis.add_patch(Circle((0, 0), radius_m, fill=False, color=BLUE, linewidth=2))
        view_m = 0.7 * (wall_m - radius_m)
        for heading_rad, length_m, colour in (
            (math.pi / 2, 2 * view_m, BLUE),
            (math.pi / 2 + CAMERA.yaw_rad, view_m, ORANGE),
        ):
            axis.add_patch(
                FancyArrow(
                    radius_m,
                    0,
                    length_m * math.cos(heading_rad),
                    length_m * math.sin(heading_rad),
                    width=0.06,
                    head_width=0.25,
                    length_includes_head=True,
                    color=colour,
                    zorder=3,
                )
            )
        classes = len({panel.class_name for panel in gallery.panels})
        axis.text(
            0,
            0,
            f'{len(gallery.panels)} panels, {classes} classes\n\n'
            'the robot starts at the arrows:\nblue, its way; orange, its view',
            ha='center',
            va='center',
            fontsize=12,
        )
        for sign, text in ((1, 'white light, paper'), (-1, 'lower, warmer light, boards')):
            axis.text(
                0, sign * 0.7 * radius_m, text, ha='center', va='center', fontsize=11, color='0.35'
            )
        axis.set(
            xlim=(-reach_m, reach_m),
            ylim=(-reach_m, reach_m),
            xlabel='x [m]',
            ylabel='y [m]',
            aspect='equal',
        )
