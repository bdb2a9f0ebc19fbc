"""Handwritten digits as the network sees them, and networks to try."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
from scipy.ndimage import zoom
from sklearn.datasets import load_digits

from topspark_ros.engine import Network, NetworkConfig, NeuronConfig, create_network

# Every rule, coding, normalisation and kind of inhibition at least once.
CONFIGS = {
    'recruiting': NetworkConfig(neurons=30, seed=3),
    'recruiting-bernoulli': NetworkConfig(neurons=30, seed=3, coding='rate_bernoulli'),
    'pairwise': NetworkConfig(neurons=30, seed=3, rule='pairwise'),
    'adaptive-current-lateral': NetworkConfig(
        neurons=30,
        seed=3,
        rule='adaptive',
        max_input_rate=0.57,
        coding='constant_current',
        neuron=NeuronConfig(
            inhibition=1.0,
            refractory_period=2,
            synaptic_time_constant=3,
            reset_potential=-0.5,
            theta_step=1.0,
        ),
    ),
    'triplet-bernoulli-layer': NetworkConfig(
        neurons=30,
        seed=3,
        rule='triplet',
        max_input_rate=0.57,
        coding='rate_bernoulli',
        neuron=NeuronConfig(
            synaptic_time_constant=5,
            inhibition=2.0,
            inhibitory_layer=True,
            theta_step=1.0,
            inference_spikes=1.5,
        ),
    ),
    'modulated-first-spike': NetworkConfig(
        neurons=30,
        seed=3,
        rule='modulated',
        coding='latency',
        normalisation='full_scale',
        max_input_rate=0.06375,
        neuron=NeuronConfig(
            theta_time_constant=1e4, theta_step=4.0, output_spikes=1.5, enhancement=False
        ),
    ),
}


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


@pytest.fixture(scope='session', params=list(CONFIGS))
def trained_for_all(request, digits) -> Network:
    """A network of each configuration that has learned a few digits; not to be changed."""
    network = create_network(CONFIGS[request.param])
    network.learn_many(digits.pixels[:60], 32, np.array(digits.labels[:60]))
    return network


@pytest.fixture
def trained(trained_for_all) -> Network:
    """A copy of one of them."""
    network = create_network(trained_for_all.config)
    network.restore(trained_for_all.state())
    return network


def same_state(one: dict, other: dict) -> bool:
    """Whether two states agree in every bit."""
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype
        and one[name].shape == other[name].shape
        and one[name].tobytes() == other[name].tobytes()
        for name in one
    )


def equal(one, other) -> bool:
    """Whether all arrays of Responses are equal; what is unknown in both is."""
    return all(map(partial(np.array_equal, equal_nan=True), one, other))


def same_responses(many, singles) -> bool:
    """Whether Responses agree with single responses in every bit."""
    classes = many.scores.shape[1]
    return len(many.predicted) == len(singles) and all(
        np.pad(single.scores, (0, classes - single.scores.size)).tobytes() == scores.tobytes()
        and (-1 if single.predicted is None else single.predicted) == predicted
        and np.array_equal((single.evidence, single.novelty), (evidence, novelty), equal_nan=True)
        and (single.timesteps, tuple(single.counts)) == (timesteps, tuple(counts))
        for single, scores, predicted, evidence, novelty, timesteps, counts in zip(singles, *many)
    )
