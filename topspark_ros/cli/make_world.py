"""`topspark make-world`: a Gazebo world with panels that show a dataset's images."""

from __future__ import annotations

import argparse
from pathlib import Path

from topspark_ros.cli.arguments import UsageError, writing
from topspark_ros.replay.world_picture import draw_world
from topspark_ros.replay.worlds import (
    MAX_PANELS,
    MIN_PANELS,
    PANELS_FILE,
    WORLD_FILE,
    make_world,
)
from topspark_ros.streams.datasets import DATASET_NAMES, load_dataset

PICTURE_FILE = 'world.png'
SUMMARY = (
    'Write a Gazebo world in which a robot drives past panels that show the images of a dataset.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'output',
        type=Path,
        metavar='OUTPUT',
        help='folder for the world, its textures and what a teacher has to know',
    )
    parser.add_argument(
        '--dataset',
        default='digits',
        metavar='NAME_OR_FOLDER',
        help=f'one of {", ".join(DATASET_NAMES)}, or a folder with a sub-folder '
        'of images for each class',
    )
    parser.add_argument('--panels', type=int, default=40, help=f'{MIN_PANELS} to {MAX_PANELS}')
    parser.add_argument('--seed', type=int, default=0, help='of the choice of images')


def run(arguments: argparse.Namespace) -> int:
    if arguments.seed < 0:
        raise UsageError(f'--seed is {arguments.seed}, accepted is 0 or more')
    dataset = load_dataset(arguments.dataset)
    with writing('OUTPUT', arguments.output, 'folder'):
        gallery = make_world(dataset, arguments.panels, arguments.seed, arguments.output)
        draw_world(arguments.output / PICTURE_FILE, arguments.output, gallery)
    classes = len({panel.class_name for panel in gallery.panels})
    print(
        f'{arguments.output} written: {WORLD_FILE}, {PANELS_FILE} and {PICTURE_FILE}, '
        f'{arguments.panels} panels of {classes} classes around a path of radius '
        f'{gallery.path.radius_m:.2f} m'
    )
    return 0
