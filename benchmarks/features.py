"""Processor time of spiking features and their discriminant, over a matrix product of the same.

    python -m benchmarks.features

The product is what a user of NumPy would write: every patch of both banks as a row (im2col), times
the filters, by BLAS on one thread. Pictures are dead leaves, in colour, without texture, which
would be taken for noise of the camera and filtered. Prints a table; each figure is the best of
several runs.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')  # before NumPy is loaded

from functools import partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from topspark_ros.engine import DiscriminantConfig, create_network

from .filters import dead_leaves
from .timing import fastest

SIDE = 32  # pixels
PICTURES = 300
CLASSES = 8
TIMESTEPS = (1, 2, 4, 16, 64)
LEARNED_AT = 4


def multiply_filters() -> None:
    """Both banks on random inputs, picture by picture."""
    random = np.random.default_rng(0)
    banks = [
        (random.random((side, side, channels), np.float32), random.random((inputs, k), np.float32))
        for side, channels, inputs, k in ((SIDE, 2, 50, 64), (SIDE // 2, 6, 54, 32))
    ]
    for _ in range(PICTURES):
        for inputs, filters in banks:
            size = round((len(filters) / inputs.shape[2]) ** 0.5)
            views = sliding_window_view(inputs, (size, size), (0, 1))
            views.reshape(-1, len(filters)) @ filters


def main() -> int:
    random = np.random.default_rng(0)
    pictures = np.stack([dead_leaves(random, 0.0).reshape(-1) for _ in range(PICTURES)])
    pictures = np.clip(pictures, 0, 1).astype(np.float32)
    labels = random.integers(CLASSES, size=PICTURES)

    network = create_network(DiscriminantConfig(SIDE))
    network.learn_many(pictures[:20], LEARNED_AT, labels[:20])
    product = 'the filters as a matrix product'
    took_us = fastest(
        {product: multiply_filters}
        | {
            f'classified, T = {timesteps}': partial(network.infer_many, pictures, timesteps)
            for timesteps in TIMESTEPS
        }
        # Goes on with the same network: each frame costs as much as the one before.
        | {f'learned, T = {LEARNED_AT}': partial(network.learn_many, pictures, LEARNED_AT, labels)},
        PICTURES,
    )
    print('| what | us a picture | over the product |\n|---|---|---|')
    for what, each_us in took_us.items():
        print(f'| {what} | {each_us:.0f} | {each_us / took_us[product]:.2f} |')
    return 0


if __name__ == '__main__':
    sys.exit(main())
