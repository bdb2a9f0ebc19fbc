"""The networks learn, fast enough for a robot, and keep what they know when T changes."""

import math

import numpy as np
import pytest

from topspark_ros.engine import NetworkConfig, create_network


def prequential(network, digits, frames, timesteps=16, labelled=1.0, seed=0):
    """Which frames of a random order are right, each classified before it is learned, bool."""
    random = np.random.default_rng(seed)
    order = random.permutation(1400)[:frames]
    has_label = random.random(frames) < labelled
    right = np.zeros(frames, bool)
    for k, sample in enumerate(order):
        label = digits.labels[sample]
        response = network.learn(digits.pixels[sample], timesteps, label if has_label[k] else None)
        right[k] = response.predicted == label
    return right


def mean_prequential(digits, windows, labelled=1.0, **config):
    """Percent right in each window of frames, mean of three orders."""
    rights = []
    for seed in range(3):
        network = create_network(NetworkConfig(seed=seed, **config))
        rights.append(prequential(network, digits, 1400, labelled=labelled, seed=seed))
    return [100 * np.mean([right[start:stop] for right in rights]) for start, stop in windows]


def accuracy(network, digits, timesteps, start=1400, stop=1797):
    right = [
        network.infer(digits.pixels[k], timesteps).predicted == digits.labels[k]
        for k in range(start, stop)
    ]
    return 100 * np.mean(right)


def test_recruiting_learns_from_nothing_in_a_few_hundred_frames(digits):
    windows = [(0, 200), (400, 600), (1200, 1400)]
    first, soon, last = mean_prequential(digits, windows, max_input_rate=math.inf)
    assert first >= 77
    assert soon >= 95
    assert last >= 97


@pytest.mark.parametrize('labelled, bound', [(0.5, 95), (0.1, 90)])
def test_recruiting_learns_from_few_labels(digits, labelled, bound):
    windows = [(1000, 1400)]
    assert mean_prequential(digits, windows, labelled, max_input_rate=math.inf)[0] >= bound


def test_recruiting_keeps_learning_when_all_neurons_are_in_use(digits):
    network = create_network(NetworkConfig(neurons=50))
    right = prequential(network, digits, 1400, timesteps=64)
    assert network.recruited_neurons == 50
    assert right[1000:].mean() >= 0.95


@pytest.mark.parametrize('timesteps, bound', [(4, 93), (16, 95), (64, 96)])
def test_few_timesteps_at_a_limited_rate_keep_the_accuracy(digits, timesteps, bound):
    network = create_network(NetworkConfig(max_input_rate=0.57))
    prequential(network, digits, 1400, timesteps)
    assert accuracy(network, digits, timesteps) >= bound


def test_classes_one_after_the_other_are_not_forgotten(digits):
    network = create_network(NetworkConfig(neurons=100, max_input_rate=math.inf))
    for k in sorted(range(1400), key=lambda k: digits.labels[k]):
        network.learn(digits.pixels[k], 16, digits.labels[k])
    assert accuracy(network, digits, 16) >= 94


@pytest.mark.parametrize('rule, loss', [('recruiting', 1.5), ('pairwise', 2.5)])
def test_timestep_changes_on_the_live_network(digits, rule, loss):
    config = NetworkConfig(neurons=100, rule=rule, max_input_rate=math.inf)
    network = create_network(config)
    prequential(network, digits, 1400, timesteps=100)
    full = accuracy(network, digits, 100)
    assert full >= (80 if rule == 'pairwise' else 95)
    for timesteps in (350, 16, 4):
        assert accuracy(network, digits, timesteps) >= full - loss


def test_pairwise_controls_its_output_spikes(digits):
    network = create_network(NetworkConfig(neurons=100, rule='pairwise', max_input_rate=math.inf))
    for k in range(1250):
        network.learn(digits.pixels[k], 64, digits.labels[k])
    spikes = [network.infer(digits.pixels[k], 64).counts.output_spikes for k in range(1250, 1350)]
    assert np.mean(spikes) == pytest.approx(8, abs=2)
