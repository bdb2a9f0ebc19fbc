"""Photographs of objects in TOPSPARK_DATA, in colour, as sets that are learned and tested."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from topspark_ros.engine import AnyConfig, Filters, Network, create_network
from topspark_ros.streams.colours import resized

SIDE = 48  # of a picture, pixels
OBJECTS = ('eth80', 'eth80_instance', 'grocery', 'coil100')


@dataclass(frozen=True)
class Photographs:
    """Pictures, (number, side * side * channels) uint8, red, green, blue, and their classes, int64.

    `side` and `channels` are those of a network that sees them.
    """

    name: str
    side: int
    channels: int
    training: np.ndarray
    training_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


def load_photographs(name: str, side: int = SIDE) -> Photographs:
    """One of OBJECTS.

    eth80: 8 categories; the objects of the test part are never learned. eth80_instance: each of
    these 64 objects is a class; every third view is for testing. grocery: 31 classes of fruit,
    vegetables and cartons in shops. coil100: 50 objects on a turntable.
    """
    source = 'eth80' if name == 'eth80_instance' else name
    pictures, labels, objects = zip(*(_read(source, part, side) for part in ('train', 'test')))
    if name != 'eth80_instance':
        return Photographs(name, side, 3, pictures[0], labels[0], pictures[1], labels[1])
    every, names = np.concatenate(pictures), np.concatenate(objects)
    _, instance = np.unique(names, return_inverse=True)
    tested = np.zeros(len(every), bool)
    for each in range(instance.max() + 1):
        tested[np.flatnonzero(instance == each)[::3]] = True
    return Photographs(
        name, side, 3, every[~tested], instance[~tested], every[tested], instance[tested]
    )


def taught(
    config: AnyConfig,
    data: Photographs,
    timesteps: int,
    seed: int,
    by_class: bool = False,
    filters: Filters | None = None,
) -> Network:
    """A network that has seen each training picture once, in the order of the seed, by class or
    not. filters: as of `create_network`."""
    order = np.random.default_rng(seed).permutation(len(data.training_labels))
    if by_class:
        order = order[np.argsort(data.training_labels[order], kind='stable')]
    network = create_network(config, filters)
    network.learn_many(data.training[order], timesteps, data.training_labels[order])
    return network


def photograph_files(name: str, part: str) -> Iterator[tuple[int, Path]]:
    """Class and path of each photograph of a part, 'train' or 'test', in order."""
    folder = Path(os.environ['TOPSPARK_DATA']) / 'objects' / name / part
    for label, kind in enumerate(sorted(folder.iterdir())):
        for path in sorted(kind.iterdir()):
            yield label, path


def _read(name: str, part: str, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures, labels, and the name of the object on each."""
    pictures, labels, objects = [], [], []
    for label, path in photograph_files(name, part):
        picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        pictures.append(resized(picture, side, side).reshape(-1))
        labels.append(label)
        objects.append(path.name.partition('-')[0])
    return np.array(pictures), np.array(labels, np.int64), np.array(objects)
