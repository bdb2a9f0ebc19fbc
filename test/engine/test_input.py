"""Bad input changes nothing; extreme input breaks nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.engine import EngineError, NetworkConfig, create_network

from .conftest import same_state

GOOD = np.full(784, 7, np.uint8)


def pixels_with(value):
    pixels = np.ones(784, np.float32)
    pixels[5] = value
    return pixels


@pytest.mark.parametrize('call', ['infer', 'learn'])
@pytest.mark.parametrize(
    'field, pixels, timesteps',
    [
        ('pixels', pixels_with(np.nan), 16),
        ('pixels', pixels_with(np.inf), 16),
        ('pixels', pixels_with(-1), 16),
        ('pixels', np.ones(783, np.uint8), 16),
        ('pixels', np.ones((28, 28), np.uint8), 16),
        ('pixels', np.ones(0, np.uint8), 16),
        ('pixels', np.ones(784, np.float64), 16),
        ('pixels', np.ones(784, np.int8), 16),
        ('pixels', [1] * 784, 16),
        ('pixels', None, 16),
        ('timesteps', GOOD, 0),
        ('timesteps', GOOD, -1),
        ('timesteps', GOOD, 10_001),
        ('timesteps', GOOD, 16.0),
        ('timesteps', GOOD, True),
        ('timesteps', GOOD, None),
    ],
)
def test_refused(trained, call, field, pixels, timesteps):
    before = trained.state()
    with pytest.raises(EngineError, match=f'^{field} .*accepted is'):
        getattr(trained, call)(pixels, timesteps)
    assert same_state(trained.state(), before)


@pytest.mark.parametrize('label', [-1, 1000, 2**70, 1.0, '1', True])
def test_label_refused(trained, label):
    before = trained.state()
    with pytest.raises(EngineError, match='^label is .*accepted is an integer from 0 to 999'):
        trained.learn(GOOD, 16, label)
    assert same_state(trained.state(), before)


@pytest.mark.parametrize('label', [None, 3, 12])
def test_black_image_teaches_nothing(trained, label):
    before = trained.state()
    black = np.zeros(784, np.uint8)
    for response in (trained.infer(black, 16), trained.learn(black, 16, label)):
        assert response.predicted is None
        assert not response.scores.any()
        counts = response.counts
        assert (counts.input_spikes, counts.output_spikes, counts.synaptic_updates) == (0, 0, 0)
    assert same_state(trained.state(), before)


def test_arrays_that_kernels_must_not_see_as_they_are(trained):
    pixels = np.arange(784).astype(np.float32)
    read_only = pixels.copy()
    read_only.flags.writeable = False
    strided = np.zeros(1568, np.float32)[::2]
    strided[:] = pixels
    scores = trained.infer(pixels, 16).scores
    for same in (read_only, strided, np.frombuffer(pixels.tobytes(), np.float32)):
        np.testing.assert_array_equal(trained.infer(same, 16).scores, scores)


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(['recruiting', 'pairwise']),
    st.lists(
        st.tuples(
            st.lists(st.floats(0, 2.0**127, width=32), min_size=6, max_size=6),
            st.integers(1, 40),
            st.none() | st.integers(0, 5),
        ),
        max_size=12,
    ),
)
def test_any_finite_input_leaves_a_sound_network(rule, presentations):
    network = create_network(NetworkConfig(inputs=6, neurons=4, rule=rule))
    for values, timesteps, label in presentations:
        classes = network.classes
        response = network.learn(np.array(values, np.float32), timesteps, label)
        assert response.scores.shape == (classes,)
        assert (response.scores >= 0).all() and response.scores.sum() <= 1 + 1e-5
        assert response.predicted is None or response.predicted < classes
        assert min(response.counts) >= 0
    network.restore(network.state())  # refuses what is not finite, negative or not normalised
    assert 0 <= network.labelled_neurons <= network.recruited_neurons <= 4
    assert network.receptive_fields().shape == (network.recruited_neurons, 6)
