"""Photographs of objects, learned on the features of a frozen encoder.

    python -m benchmarks.encoder lite0.onnx

The file is any that the learner's parameter `encoder` takes; benchmarks/encoder_file.py says how
the one of the documentation is made. One pass, each picture once. Settings were chosen on parts of
the training pictures. Prints tables: accuracy by T beside the package's own features, and beside
what a user would do with the encoder's features, once, without spikes; processor time of one
thread, the best of several runs; energy, estimated. Needs TOPSPARK_DATA.
"""

from __future__ import annotations

import argparse
import os
import sys

os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')  # before NumPy is loaded

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.svm import SVC

from topspark_ros.engine import (
    AnyConfig,
    DiscriminantConfig,
    EncodedConfig,
)
from topspark_ros.methodology.energy import ENERGY_TABLES, estimate_energy_j
from topspark_ros.perception.encoder import Encoder

from .photographs import OBJECTS, Photographs, load_photographs, taught
from .timing import fastest

TIMESTEPS = (1, 2, 4, 64)
LEARNED_AT = 4
SEED = 0  # of the order of training pictures
TIMED = 50  # pictures
TABLE = ENERGY_TABLES['loihi']
PEERS: dict[str, Callable] = {
    '1-NN': partial(KNeighborsClassifier, 1),
    'class mean': NearestCentroid,
    'RBF-SVM, all at once': partial(SVC, C=10),
}


def encoded(encoder: Encoder, pictures: np.ndarray) -> np.ndarray:
    """The features of pictures, (number, side * side * 3) uint8: (number, features) float32."""
    return np.array([encoder(each * np.float32(1 / 255)) for each in pictures])


def percent(predicted: np.ndarray, data: Photographs) -> str:
    return f'{100 * np.mean(predicted == data.test_labels):.1f}'


def accuracies(config: AnyConfig, data: Photographs) -> list[str]:
    """By T, and learned class by class at the T that is learned at."""
    network = taught(config, data, LEARNED_AT, SEED)
    ordered = taught(config, data, LEARNED_AT, SEED, by_class=True)
    return [percent(network.infer_many(data.test, each).predicted, data) for each in TIMESTEPS] + [
        percent(ordered.infer_many(data.test, LEARNED_AT).predicted, data)
    ]


def row(*cells: object) -> None:
    print('|', ' | '.join(map(str, cells)), '|', flush=True)


def heading(*cells: object) -> None:
    print()
    row(*cells)
    row(*['---'] * len(cells))


def time_and_energy(encoder: Encoder, config: EncodedConfig, data: Photographs) -> None:
    """Print what a frame takes, of a set that has been learned; data: pictures."""
    pictures = data.test[:TIMED] * np.float32(1 / 255)
    features = np.array([encoder(each) for each in pictures])
    seen = replace(data, training=encoded(encoder, data.training))
    network = taught(config, seen, LEARNED_AT, SEED)
    labels = data.test_labels[:TIMED]
    took_us = fastest(
        {'encoder': lambda: [encoder(each) for each in pictures]}
        | {
            f'read-out, T = {each}': partial(network.infer_many, features, each)
            for each in TIMESTEPS
        }
        | {
            f'learning, T = {LEARNED_AT}': lambda: network.learn_many(features, LEARNED_AT, labels),
        },
        TIMED,
    )
    energies_j = {'encoder': encoder.energy_j(TABLE)}
    for each in TIMESTEPS:
        counts = network.infer_many(features, each).total_counts()
        energies_j[f'read-out, T = {each}'] = estimate_energy_j(counts, TABLE) / TIMED
    counts = network.learn_many(features, LEARNED_AT, labels).total_counts()
    energies_j[f'learning, T = {LEARNED_AT}'] = estimate_energy_j(counts, TABLE) / TIMED
    heading('of a frame', 'processor time, us', 'energy, estimated, uJ')
    for what, each_us in took_us.items():
        row(what, f'{each_us:.0f}', f'{1e6 * energies_j[what]:.1f}')


def main() -> int:
    parser = argparse.ArgumentParser(description='Photographs, learned on an encoder.')
    parser.add_argument('path', help='of the ONNX file')
    encoder = Encoder(parser.parse_args().path)
    cv2.setNumThreads(1)  # as the nodes have it
    config = EncodedConfig(encoder.features, encoder.digest)
    print(
        f'{encoder.features} features of pictures of {encoder.side} x {encoder.side}, '
        f'{encoder.multiply_accumulates / 1e6:.1f} million multiply-accumulates'
    )
    heading('%', 'seen by', *(f'T = {each}' for each in TIMESTEPS), 'class by class, T = 4')
    for name in OBJECTS:
        own = load_photographs(name)
        row(name, 'own filters', *accuracies(DiscriminantConfig(own.side), own))
        seen = load_photographs(name, encoder.side)
        data = replace(
            seen, training=encoded(encoder, seen.training), test=encoded(encoder, seen.test)
        )
        row(name, 'encoder', *accuracies(config, data))
        for what, peer in PEERS.items():
            fitted = peer().fit(data.training, data.training_labels)
            row(name, f'encoder, {what}', percent(fitted.predict(data.test), data), *4 * ['-'])
    time_and_energy(encoder, config, load_photographs('grocery', encoder.side))
    return 0


if __name__ == '__main__':
    sys.exit(main())
