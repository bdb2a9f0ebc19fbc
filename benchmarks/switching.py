"""What it costs a network that its T changes while it learns.

    python -m benchmarks.switching

Prints, for each dataset and each T, the accuracy of networks that learned at that T alone, and how
much less one has that learned at another T, or whose T was switched at random all the time. Objects
are those of TOPSPARK_DATA.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from topspark_ros.engine import Network, NetworkConfig, create_network
from topspark_ros.methodology.energy import ENERGY_TABLES
from topspark_ros.methodology.experiments import Data, measure

from .photographs import photograph_files
from .reproduce.common import full, load

TIMESTEPS = (1, 2, 3, 4, 8, 16, 64)
SWITCHES = 13  # of T in one pass, or every 500 samples
SWITCH_EVERY = 500
SEEDS = range(5)
OBJECTS = ('eth80', 'coil100')
TABLE = ENERGY_TABLES['loihi']


class Losses(NamedTuple):
    """accuracy: (T,) of a network that learned at each T alone, 0..1.
    other: (T, T) lost at each T (column) by having learned at another (row).
    switched: (T,) lost by having learned at T that were switched at random.
    """

    accuracy: np.ndarray
    other: np.ndarray
    switched: np.ndarray


def losses(
    config: NetworkConfig, data: Data, seed: int, timesteps: tuple[int, ...] = TIMESTEPS
) -> Losses:
    """One pass over the training samples in the order of the seed for each network."""
    config = replace(config, seed=seed)
    order = np.random.default_rng(seed).permutation(len(data.training_labels))
    pixels, labels = data.training_pixels[order], data.training_labels[order]

    def accuracies(network: Network) -> list[float]:
        return [
            measure(network, data.test_pixels, data.test_labels, each).accuracy
            for each in timesteps
        ]

    table = []
    for each in timesteps:
        constant = create_network(config)
        constant.learn_many(pixels, each, labels)
        table.append(accuracies(constant))
    table = np.array(table)
    switched = create_network(config)
    draw = np.random.default_rng(seed)
    length = min(SWITCH_EVERY, -(-len(order) // SWITCHES))
    for start in range(0, len(order), length):
        part = slice(start, start + length)
        switched.learn_many(pixels[part], int(draw.choice(timesteps)), labels[part])
    own = table.diagonal()
    return Losses(own, own - table, own - np.array(accuracies(switched)))


def object_data(name: str) -> Data:
    """Photographs in a folder for each class: all of each, grey, in 28 x 28 pixels."""
    parts = []
    for part in ('train', 'test'):
        pixels, labels = [], []
        for label, path in photograph_files(name, part):
            grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            small = cv2.resize(grey, (28, 28), interpolation=cv2.INTER_AREA)
            pixels.append(small.reshape(-1))
            labels.append(label)
        parts += np.array(pixels), np.array(labels)
    return Data(name, *parts)


def energy_ratio(config: NetworkConfig, data: Data) -> float:
    """Estimated energy of an inference at the largest T over that at the smallest."""
    network = create_network(config)
    network.learn_many(data.training_pixels, TIMESTEPS[-1], data.training_labels)
    most, least = (
        measure(network, data.test_pixels, data.test_labels, each).energy_j(TABLE)
        for each in (TIMESTEPS[-1], TIMESTEPS[0])
    )
    return most / least


def points(values: np.ndarray) -> str:
    """Shares of accuracy, (seeds, T), in points: mean and worst seed at each T."""
    return ' | '.join(f'{100 * column.mean():.1f}, {100 * column.max():.1f}' for column in values.T)


def main() -> None:
    plan = full()
    datasets = [load(name, plan.samples) for name in ('digits', *plan.datasets)]
    datasets += [object_data(name) for name in OBJECTS]
    print('Lost: points, mean and worst seed.\n')
    print('| | ' + ' | '.join(f'T = {each}' for each in TIMESTEPS))
    print('|---' * (1 + len(TIMESTEPS)) + '|', flush=True)
    for data in datasets:
        results = [
            losses(NetworkConfig(), data, seed)
            for seed in track(SEEDS, data.name, console=Console(stderr=True))
        ]
        own, other, switched = (np.array(values) for values in zip(*results))
        worst = other.mean(axis=0).argmax(axis=0)  # training T, for each T of inference
        print(
            f'| **{data.name}**, learned at this T | '
            + ' | '.join(f'{100 * mean:.1f} %' for mean in own.mean(axis=0))
        )
        print(f'| lost, T switched | {points(switched)}')
        print(
            '| lost, learned at the worst T | '
            + points(np.stack([other[:, row, column] for column, row in enumerate(worst)], 1))
        )
        print(
            f'| energy of T = {TIMESTEPS[-1]} over T = {TIMESTEPS[0]} | '
            f'{energy_ratio(NetworkConfig(), data):.1f}',
            flush=True,
        )


if __name__ == '__main__':
    main()
