"""The encoder: how many spikes, how they are spread."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.engine import NetworkConfig, create_network, input_rate
from topspark_ros.engine.kernels import encode, spike_count, spike_lists, spike_phases

from .reference import input_spikes


def counts_of(pixels, rate, timesteps):
    """Spikes of every input by the closed form."""
    active = np.empty(pixels.size, np.int64)
    increments = np.empty(pixels.size, np.uint64)
    phases = spike_phases(pixels.size)
    counts = np.zeros(pixels.size, int)
    number = encode(pixels, rate, active, increments)
    for i, increment in zip(active[:number], increments):
        counts[i] = spike_count(phases[i], increment, timesteps)
    return counts, (phases, active, increments, number, timesteps)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(0, 2.0**100, width=32), min_size=1, max_size=20),
    st.sampled_from([0.01, 0.57, 2.0, 9.0]),
    st.integers(1, 60),
)
def test_lists_counts_and_accumulators_agree(values, rate, timesteps):
    pixels = np.array(values, np.float32)
    counts, encoded = counts_of(pixels, rate, timesteps)
    first, following, source = spike_lists(*encoded)
    listed = np.zeros((timesteps, pixels.size), bool)
    for t in range(timesteps):
        spike, previous = first[t], -1
        while spike >= 0:
            assert source[spike] > previous
            previous = source[spike]
            listed[t, previous] = True
            spike = following[spike]
    np.testing.assert_array_equal(listed.sum(axis=0), counts)
    np.testing.assert_array_equal(listed, input_spikes(pixels, rate, timesteps))


def test_every_input_has_its_expected_spikes_to_within_one(digits):
    pixels = digits.pixels[0].astype(np.float32)
    for timesteps in (1, 4, 30, 350):
        rate = input_rate(timesteps)
        expected = timesteps * np.minimum(1, rate * pixels / np.linalg.norm(pixels))
        counts, _ = counts_of(pixels, rate, timesteps)
        assert (np.abs(counts - expected) <= 1).all()
        assert counts.sum() == pytest.approx(expected.sum(), rel=0.15)


def test_faint_neighbours_share_their_spikes_evenly():
    pixels = np.ones(1000, np.float32)
    counts, _ = counts_of(pixels, 0.1 * np.sqrt(1000), 1)
    assert counts.sum() == pytest.approx(100, abs=2)
    assert np.diff(np.flatnonzero(counts)).max() <= 21


def test_phases_are_spread_evenly():
    phases = np.sort(spike_phases(784) / 2**32)
    assert (0 <= phases).all() and (phases < 1).all()
    assert np.diff(phases).max() < 3 / 784


def test_scale_of_the_intensity_does_not_matter(digits):
    network = create_network(NetworkConfig(max_input_rate=math.inf))
    for pixels, label in zip(digits.pixels[:20], digits.labels):
        network.learn(pixels, 16, label)
    pixels = digits.pixels[30]
    scores = network.infer(pixels, 16).scores
    fraction = pixels.astype(np.float32) / np.float32(256)  # exact in binary
    np.testing.assert_array_equal(network.infer(fraction, 16).scores, scores)
