"""Handwritten digits as the network sees them, and networks to try."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from scipy.ndimage import zoom
from sklearn.datasets import load_digits

from topspark_ros.engine import NetworkConfig, create_network


class Digits(NamedTuple):
    pixels: np.ndarray  # (samples, 784) uint8
    labels: list[int]


@pytest.fixture(scope='session')
def digits() -> Digits:
    """scikit-learn's 1797 digits, 28x28, in a random but fixed order."""
    data = load_digits()
    order = np.random.default_rng(2023).permutation(len(data.target))
    images = np.clip(zoom(data.images[order], (1, 3.5, 3.5), order=1), 0, 16)
    pixels = (images.reshape(len(images), -1) * 255 / 16).astype(np.uint8)
    return Digits(pixels, data.target[order].tolist())


@pytest.fixture(params=['recruiting', 'pairwise'])
def trained(request, digits):
    """A network of each rule that has learned a few digits."""
    network = create_network(NetworkConfig(neurons=30, rule=request.param, seed=3))
    for pixels, label in zip(digits.pixels[:60], digits.labels):
        network.learn(pixels, 32, label)
    return network


def same_state(one: dict, other: dict) -> bool:
    """Whether two states agree in every bit."""
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype
        and one[name].shape == other[name].shape
        and one[name].tobytes() == other[name].tobytes()
        for name in one
    )
