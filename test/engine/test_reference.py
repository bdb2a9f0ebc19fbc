"""The compiled kernels against the plain reference, spike for spike and weight for weight."""

import math
from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.engine import (
    CODINGS,
    NORMALISATIONS,
    NetworkConfig,
    NeuronConfig,
    SpikeTrain,
    create_network,
)

from .reference import Recruiting, Stdp

KINDS = 4  # of patterns

# State of a network: attribute of its reference.
RECRUITING_STATE = dict(
    gram='gram',
    label_counts='readout',
    readout_weights='readout_weights',
    fast_readout_weights='fast_readout_weights',
    readout_updates='readout_updates',
    theta='theta',
    attractions='attractions',
    class_frames='class_frames',
    recruited='recruited',
    frames='frames',
    similarity_mean='mean',
    similarity_variance='variance',
    error_rate='error_rate',
    alternation='alternation',
    generator='generator',
)
STDP_STATE = dict(
    responses='readout',
    theta='theta',
    learning_rate='learning_rate',
    class_frames='class_frames',
    gain='gain',
    window='window',
)


class Presentation(NamedTuple):
    what: str
    timesteps: int
    label: bool | None  # None: infer
    margin: float


timesteps = st.sampled_from([*range(1, 33), 45, 64, 65, 100, 128, 200, 350])
presentations = st.lists(
    st.builds(
        Presentation,
        what=st.sampled_from(['bytes', 'bytes', 'floats', 'spikes', 'black']),
        timesteps=timesteps,
        label=st.sampled_from([True, True, True, False, None, None]),
        margin=st.sampled_from([math.inf, math.inf, 0.0613, 0.291, 0.713, 1.87]),
    ),
    min_size=3,
    max_size=12,
)
sizes = dict(
    inputs=st.integers(4, 30),
    neurons=st.integers(1, 20),
    max_input_rate=st.sampled_from([0.1, 0.57, 2.0, math.inf]),
    seed=st.integers(0, 2**63 - 1),
    coding=st.sampled_from(CODINGS),
    normalisation=st.sampled_from(tuple(NORMALISATIONS)),
)


@st.composite
def neurons(draw):
    inhibition = draw(st.sampled_from([math.inf, math.inf, 0.0, 0.1, 0.5, 2.0]))
    return NeuronConfig(
        membrane_time_constant=draw(st.sampled_from([math.inf, 100.0, 20.0, 1.5])),
        synaptic_time_constant=draw(st.sampled_from([0.0, 0.0, 2.0, 15.0])),
        refractory_period=draw(st.sampled_from([0, 1, 3])),
        reset_potential=draw(st.sampled_from([0.0, 0.0, 0.4, 0.9, -0.7])),
        theta_step=draw(st.sampled_from([8.0, 8.0, 0.0, 50.0])),
        theta_time_constant=draw(st.sampled_from([math.inf, 1e4, 200.0])),
        inhibition=inhibition,
        output_spikes=draw(st.sampled_from([1.0, 1.0, 0.4, 2.5])),
        inference_spikes=draw(st.sampled_from([1.0, 1.0, 2.5])),
        inhibitory_layer=inhibition < math.inf and draw(st.booleans()),
        enhancement=draw(st.sampled_from([True, True, True, False])),
    )


def sample_of(config, presentation, random):
    """A noisy version of one of a few patterns, and which one it is."""
    inputs = config.inputs
    kind = int(random.integers(KINDS))
    pixels = np.random.default_rng(kind).random(inputs) ** 3 * random.random(inputs) * 255
    pixels[random.random(inputs) < 0.2] = 0
    if presentation.what == 'black':
        pixels[:] = 0
    if presentation.what == 'spikes':
        count = int(random.integers(3 * presentation.timesteps))
        steps = np.sort(random.integers(presentation.timesteps, size=count))
        likely = (pixels + 1) / (pixels + 1).sum()
        return SpikeTrain(steps, random.choice(inputs, count, p=likely)), kind
    return pixels.astype(np.float32 if presentation.what == 'floats' else np.uint8), kind


def compare(network, reference, sequence, tally):
    """Present a sequence to both, until they may part."""
    random = np.random.default_rng(network.config.seed)
    for presentation in sequence:
        sample, label = sample_of(network.config, presentation, random)
        T = presentation.timesteps
        tally['presentations'] += 1
        if presentation.label is None:
            expected = reference.infer(sample, T, presentation.margin)
        else:
            label = label if presentation.label else None
            expected = reference.learn(sample, T, label, presentation.margin)
        if reference.closest < 1:
            tally['undecidable'] += 1
            return
        if presentation.label is None:
            response = network.infer(sample, T, presentation.margin)
            if presentation.margin == math.inf:
                assert list(zip(*network.raster(sample, T))) == expected.raster
        else:
            response = network.learn(sample, T, label, presentation.margin)
        assert response.predicted == expected.predicted
        assert response.counts == expected.counts
        assert response.timesteps == expected.timesteps
        np.testing.assert_allclose(response.scores, expected.scores, atol=1e-5)
        if not np.isclose(np.diff(np.sort(expected.scores)[-3:]), 0, atol=1e-4).any():
            # Of the least of scores in float32 the logarithm resolves little.
            np.testing.assert_allclose(
                min(response.evidence, 8), min(expected.evidence, 8), atol=0.05
            )
            np.testing.assert_allclose(response.novelty, expected.novelty, atol=1e-4)
        tally['early'] += expected.timesteps < T
        tally['output spikes'] += expected.counts[1]
        weights = network.receptive_fields()
        largest = reference.weights.max(initial=0)
        expected_weights = reference.weights[: len(weights)]
        np.testing.assert_allclose(weights, expected_weights, atol=1e-5 * largest)
        error = np.abs(weights - expected_weights).max(initial=0) / largest if largest else 0
        tally['error'] = max(tally['error'], error)


def compare_state(network, reference, names):
    state = network.state()
    for name, own in names.items():
        expected = np.asarray(getattr(reference, own))
        # Of all places, those in use.
        held = state[name][tuple(map(slice, expected.shape))]
        np.testing.assert_allclose(held, expected, rtol=1e-4, atol=1e-5, err_msg=name)


def test_recruiting():
    tally = Counter()

    @settings(derandomize=True, deadline=None, max_examples=200)
    @given(st.builds(NetworkConfig, **sizes, supervised=st.booleans()), presentations)
    def check(config, sequence):
        network, reference = create_network(config), Recruiting(config)
        compare(network, reference, 4 * sequence, tally)
        tally['merged'] += reference.merged
        if reference.closest >= 1:
            compare_state(network, reference, RECRUITING_STATE)

    check()
    print(tally)
    assert tally['presentations'] > 3000
    assert tally['undecidable'] < 0.02 * tally['presentations']
    assert tally['early'] > 100
    assert tally['merged'] > 100


def age(network, reference, gain, is_old):
    """Start with another gain, and in the state of a network that has learned for long."""
    state = network.state()
    np.testing.assert_allclose(state['gain'], reference.gain, rtol=1e-6)
    state['gain'] *= gain
    if is_old:
        random = np.random.default_rng(network.config.seed)
        size = network.config.neurons
        state['theta'] = (20 * random.random(size)).astype(np.float32)
        state['learning_rate'] = (0.02 + 0.02 * random.random(size)).astype(np.float32)
        state['responses'] = random.random((size, 3)).astype(np.float32)
        state['class_frames'] = np.array([99, 0, 300])
        state['window'] = np.array([247, 247 * random.choice([1, 4, 30]), 247 * 4.0])
    network.restore(state)
    for name, own in STDP_STATE.items():
        setattr(reference, own, state[name].astype(float))


@pytest.mark.parametrize('rule', ['pairwise', 'adaptive', 'triplet', 'modulated'])
def test_stdp(rule):
    tally = Counter()

    @settings(derandomize=True, deadline=None, max_examples=100)
    @given(
        st.builds(NetworkConfig, **sizes, rule=st.just(rule), neuron=neurons()),
        presentations,
        st.sampled_from([0.1, 0.3, 1.0, 3.0]),
        st.booleans(),
    )
    def check(config, sequence, gain, is_old):
        network = create_network(config)
        reference = Stdp(config, network.receptive_fields())
        age(network, reference, gain, is_old)
        compare(network, reference, sequence, tally)
        if reference.closest >= 1:
            compare_state(network, reference, STDP_STATE)

    check()
    print(tally)
    assert tally['presentations'] > 500
    assert tally['undecidable'] < 0.05 * tally['presentations']
    assert tally['output spikes'] > 5 * tally['presentations']
    assert tally['early'] > 10
