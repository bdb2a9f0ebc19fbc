"""The compiled kernels against the plain reference, spike for spike."""

import math

import numpy as np
import pytest

from topspark_ros.engine import NetworkConfig, create_network

from . import reference

INPUTS = 30


def samples(seed, count, kinds=4):
    """Noisy versions of a few patterns, now and then a black one, labels for two in three."""
    random = np.random.default_rng(seed)
    patterns = random.random((kinds, INPUTS)) ** 3
    for _ in range(count):
        kind = int(random.integers(kinds))
        pixels = patterns[kind] * random.random(INPUTS) * 200
        pixels[random.random(INPUTS) < 0.2] = 0
        if random.random() < 0.05:
            pixels[:] = 0
        label = kind if random.random() < 0.67 else None
        yield pixels.astype(np.uint8), int(random.choice([1, 2, 5, 16, 50])), label


@pytest.mark.parametrize('limit', [0.57, math.inf])
@pytest.mark.parametrize('neurons, unlabelled', [(1, False), (9, False), (40, False), (60, True)])
def test_recruiting(neurons, unlabelled, limit):
    seed = neurons
    config = NetworkConfig(inputs=INPUTS, neurons=neurons, max_input_rate=limit, seed=seed)
    network = create_network(config)
    slow = reference.Recruiting(INPUTS, neurons, limit, seed)
    for k, (pixels, timesteps, label) in enumerate(samples(seed, 150)):
        if unlabelled and k < 75:
            label = None
        response = network.learn(pixels, timesteps, label)
        predicted, counts = slow.learn(pixels, timesteps, label)
        assert (response.predicted, list(response.counts)) == (predicted, counts), k
    state = network.state()
    assert state['recruited'] == slow.recruited
    assert state['generator'] == slow.generator
    np.testing.assert_array_equal(state['attractions'], slow.attractions)
    np.testing.assert_array_equal(state['class_frames'], slow.class_frames)
    np.testing.assert_allclose(state['votes'], slow.votes, rtol=1e-5)
    np.testing.assert_allclose(state['theta'], slow.theta, rtol=1e-5)
    np.testing.assert_allclose(state['weights'].T, slow.weights, atol=1e-5)
    np.testing.assert_allclose(state['match_mean'], slow.mean, rtol=1e-5)
    np.testing.assert_allclose(state['match_variance'], slow.variance, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize('limit', [0.57, math.inf])
@pytest.mark.parametrize('neurons', [1, 7, 40])
def test_pairwise(neurons, limit):
    config = NetworkConfig(
        inputs=INPUTS, neurons=neurons, rule='pairwise', max_input_rate=limit, seed=neurons
    )
    network = create_network(config)
    slow = reference.Pairwise(network.state()['weights'], limit)
    output_spikes = 0
    for k, (pixels, timesteps, label) in enumerate(samples(neurons, 300)):
        response = network.learn(pixels, timesteps, label)
        predicted, counts = slow.learn(pixels, timesteps, label)
        assert (response.predicted, list(response.counts)) == (predicted, counts), k
        # Only a neuron's own spikes move its theta: the same neurons have spiked.
        np.testing.assert_allclose(network.state()['theta'], slow.theta, rtol=1e-4)
        output_spikes += counts[1]
    assert output_spikes > 40
    state = network.state()
    np.testing.assert_allclose(state['weights'].T, slow.weights, atol=1e-3)
    np.testing.assert_allclose(state['weights'].sum(axis=0), 78.4, rtol=1e-5)
    np.testing.assert_allclose(state['responses'], slow.responses, atol=1e-5)
    np.testing.assert_allclose(state['learning_rate'], slow.learning_rate, rtol=1e-5)
    np.testing.assert_allclose(state['gain'], slow.gain, rtol=1e-5)
    assert state['gain'] != create_network(config).state()['gain']
