"""What several robots have learned apart, merged, beside one robot that saw everything.

    python -m benchmarks.merge
    python -m benchmarks.merge --validation

One pass, each training picture once, T = 4. Four robots: each knows a quarter of the classes, and
is merged with the others. Two robots: each has seen half of the pictures of all classes. A merged
network is as large as those that it is made of. Prints, for each set, accuracies on test pictures,
mean over five seeds of the division and of the orders, and of the differences mean and worst; and
whether the bounds hold: four robots at most 2 points below one that saw everything, aim 0.5; two
never below the better one. With --validation a fifth of the training pictures takes the place of
the test pictures; by that it was chosen how the recruiting rule's networks are merged. Needs
TOPSPARK_DATA.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from topspark_ros.engine import Checkpoint, create_network, merge_networks

from .composition import RECRUITING, Seen, discriminant, features, pixels
from .encoder import heading, row
from .photographs import Photographs

SETS = ('mnist', 'fashion_mnist', 'coil100', 'eth80')
NETWORKS = {
    'discriminant': discriminant,
    'recruiting on features': features(RECRUITING),
    'recruiting on pixels': pixels(RECRUITING),
}
SEEDS = range(5)
SHOWN = 4  # T
ROBOTS = 4
BOUND = 2.0  # points below one robot that saw everything


def validation(data: Photographs) -> Photographs:
    """The same without the test part: a fifth of the training pictures takes its place."""
    order = np.random.default_rng(123).permutation(len(data.training_labels))
    kept, held = np.split(order, [round(0.8 * len(order))])
    return replace(
        data,
        training=data.training[kept],
        training_labels=data.training_labels[kept],
        test=data.training[held],
        test_labels=data.training_labels[held],
    )


def robot(seen: Seen, chosen: np.ndarray, classes: Sequence[int]) -> Checkpoint:
    """One that has learned these training pictures, in this order, and knows these classes."""
    config, data = seen
    numbers = np.zeros(max(classes) + 1, np.int64)
    numbers[list(classes)] = np.arange(len(classes))
    network = create_network(config)
    network.learn_many(data.training[chosen], SHOWN, numbers[data.training_labels[chosen]])
    return Checkpoint(network, tuple(map(str, classes)))


def accuracy(known: Checkpoint, data: Photographs) -> float:
    """Percent."""
    numbers = np.array([*map(int, known.class_names), -1])  # the last: no class
    predicted = numbers[known.network.infer_many(data.test, SHOWN).predicted]
    return 100 * float(np.mean(predicted == data.test_labels))


def merged(robots: Sequence[Checkpoint]) -> Checkpoint:
    return merge_networks({f'robot {number}': each for number, each in enumerate(robots)})


def compare(seen: Seen, seed: int) -> tuple[float, ...]:
    """Accuracies of one seed: of one robot that saw everything, of four merged; of the better of
    two, of these merged."""
    data = seen[1]
    random = np.random.default_rng(seed)
    order = random.permutation(len(data.training_labels))
    classes = random.permutation(data.training_labels.max() + 1).tolist()
    everything = robot(seen, order, classes)
    apart = [
        robot(seen, order[np.isin(data.training_labels[order], part)], part.tolist())
        for part in np.array_split(classes, ROBOTS)
    ]
    halves = [robot(seen, order[half::2], classes) for half in range(2)]
    return (
        accuracy(everything, data),
        accuracy(merged(apart), data),
        max(accuracy(half, data) for half in halves),
        accuracy(merged(halves), data),
    )


def differences(values: np.ndarray) -> str:
    return f'{values.mean():+.2f} ({values.min():+.2f})'


def main() -> int:
    parser = argparse.ArgumentParser(description='Networks that learned apart, merged.')
    parser.add_argument('--validation', action='store_true', help='without the test pictures')
    held_back = parser.parse_args().validation
    heading(
        'network',
        'set',
        'saw everything, %',
        'four merged, %',
        'difference (worst)',
        'bound',
        'better of two, %',
        'two merged, %',
        'difference (worst)',
        'bound',
    )
    for network, see in NETWORKS.items():
        for name in SETS:
            config, data = see(name)
            if held_back:
                data = validation(data)
            found = np.array([compare((config, data), seed) for seed in SEEDS])
            everything, four, better, two = found.T
            row(
                network,
                name,
                f'{everything.mean():.2f}',
                f'{four.mean():.2f}',
                differences(four - everything),
                'held' if (four - everything).mean() >= -BOUND else 'MISSED',
                f'{better.mean():.2f}',
                f'{two.mean():.2f}',
                differences(two - better),
                'held' if (two - better).min() >= 0 else 'MISSED',
            )
    return 0


if __name__ == '__main__':
    sys.exit(main())
