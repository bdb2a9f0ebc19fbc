"""The encoders: how many spikes, when, and how they are spread."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.engine import NetworkConfig, SpikeTrain, create_network, input_rate
from topspark_ros.engine.kernels import encoding
from topspark_ros.engine.presenting import CODING_NUMBERS

from .compiled import compiled
from .reference import seed_from
from .reference_encoding import bernoulli_trials, encode

prepare = compiled(encoding.prepare)
find_spikes = compiled(encoding.find_spikes)
count_spikes = compiled(encoding.count_spikes)


def prepared(coding, pixels, rate, timesteps, listing):
    encoded = encoding.encoded_of(pixels.size)
    phases = encoding.spike_phases(pixels.size)
    number, count = prepare(
        encoded, CODING_NUMBERS[coding], encoding.L2_NORM, pixels, rate, timesteps, phases, listing
    )
    return number, encoded, count


def listed(coding, pixels, rate, timesteps, pieces, seed=5):
    """Spikes of each input in each step, encoded in several pieces, (timesteps, inputs)."""
    number, encoded, count = prepared(coding, pixels, rate, timesteps, True)
    generator = np.array([seed], np.uint64)
    table = np.zeros((timesteps, pixels.size), int)
    for first, last in zip(pieces, pieces[1:]):
        find_spikes(number, encoded, count, first, last, generator)
        assert encoded.start[0] == 0
        for k in range(last - first):
            inputs = encoded.source[encoded.start[k] : encoded.start[k + 1]]
            assert len(set(inputs.tolist())) == len(inputs)
            table[first + k, inputs] += 1
    return table


def counted(coding, pixels, rate, timesteps, pieces, seed=5):
    """Spikes of each input in several pieces, (pieces, inputs), and how many they are."""
    number, encoded, count = prepared(coding, pixels, rate, timesteps, False)
    generator = np.array([seed], np.uint64)
    start, source = np.zeros(1, np.int32), np.zeros(0, np.int32)
    tally = encoding.tally_of(pixels.size)
    table = np.zeros((len(pieces) - 1, pixels.size), np.float32)
    total = 0
    for k, (first, last) in enumerate(zip(pieces, pieces[1:])):
        number_listed, spikes = count_spikes(
            number, encoded, count, first, last, generator, start, source, tally
        )
        inputs = tally.inputs[:number_listed]
        assert len(set(inputs.tolist())) == number_listed
        table[k, inputs] = tally.amounts[:number_listed]
        total += spikes
    np.testing.assert_allclose(tally.trace, table.sum(axis=0), rtol=1e-5)
    return table, total


samples = st.lists(st.floats(0, 2.0**100, width=32), min_size=1, max_size=20).map(
    lambda values: np.array(values, np.float32)
)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    st.sampled_from(['rate_regular', 'rate_bernoulli', 'latency']),
    samples,
    st.sampled_from([0.01, 0.57, 2.0, 9.0]),
    st.integers(1, 200),
    st.sets(st.integers(1, 199)),
)
def test_lists_counts_and_definition_agree_in_any_pieces(coding, pixels, rate, timesteps, cuts):
    words = sorted({*range(0, timesteps, encoding.CHUNK), timesteps})
    cuts = sorted({*words, *(cut for cut in cuts if cut < timesteps)})
    table = listed(coding, pixels, rate, timesteps, words)
    np.testing.assert_array_equal(listed(coding, pixels, rate, timesteps, cuts), table)
    for pieces in ([0, timesteps], cuts):
        counts, total = counted(coding, pixels, rate, timesteps, pieces)
        assert total == table.sum()
        for k, (first, last) in enumerate(zip(pieces, pieces[1:])):
            np.testing.assert_array_equal(counts[k], table[first:last].sum(axis=0))
    config = NetworkConfig(inputs=pixels.size, coding=coding, max_input_rate=rate)
    if rate == input_rate(timesteps, rate):
        generator = np.array([5], np.uint64)
        reference = encode(config, pixels, timesteps, generator)
        if reference.closest > 1:
            np.testing.assert_array_equal(table, reference.charge)


def test_graded_current_is_the_expected_number_of_spikes(digits):
    pixels = digits.pixels[0].astype(np.float32)
    p = np.minimum(1, 0.57 * pixels / np.linalg.norm(pixels))
    counts, values = counted('constant_current', pixels, 0.57, 50, [0, 20, 50])
    np.testing.assert_allclose(counts, [20 * p, 30 * p], rtol=1e-6)
    assert values == 50 * np.count_nonzero(pixels)


def test_every_input_has_its_expected_spikes_to_within_one(digits):
    pixels = digits.pixels[0].astype(np.float32)
    for timesteps in (1, 4, 30, 350):
        rate = input_rate(timesteps)
        expected = timesteps * np.minimum(1, rate * pixels / np.linalg.norm(pixels))
        (counts,), _ = counted('rate_regular', pixels, rate, timesteps, [0, timesteps])
        assert (np.abs(counts - expected) <= 1).all()
        assert counts.sum() == pytest.approx(expected.sum(), rel=0.15)


def test_faint_neighbours_share_their_spikes_evenly():
    pixels = np.ones(1000, np.float32)
    (counts,), _ = counted('rate_regular', pixels, 0.1 * np.sqrt(1000), 1, [0, 1])
    assert counts.sum() == pytest.approx(100, abs=2)
    assert np.diff(np.flatnonzero(counts)).max() <= 21


def test_phases_are_spread_evenly():
    phases = np.sort(encoding.spike_phases(784)[:784]) / 2**30
    assert (0 < phases).all() and (phases < 1).all()
    assert np.diff(phases).max() < 3 / 784


def trials(p, words, seed=11):
    """Bernoulli trials of one probability, (words, 64)."""
    bits = np.empty(words, np.uint64)
    generator = np.array([seed], np.uint64)
    digits = np.full(words, round(p * 2**32), np.uint64)
    bernoulli_trials(digits, words, bits, bits.copy(), generator)
    return (bits[:, np.newaxis] >> np.arange(64, dtype=np.uint64) & np.uint64(1)).astype(int)


@pytest.mark.parametrize('p', [2**-12, 0.01, 0.1, 0.25, 0.5, 2 / 3, 0.999])
def test_bernoulli_trials_are_independent_and_of_their_probability(p):
    words = 20_000
    bits = trials(p, words)
    variance = p * (1 - p)
    assert bits.mean() == pytest.approx(p, abs=5 * np.sqrt(variance / bits.size))
    # The spikes of each input in 64 steps have a binomial distribution, those of a step too.
    for axis, number, trials_each in ((1, words, 64), (0, 64, words)):
        counts = bits.sum(axis=axis)
        spread = np.sqrt(2 / number) + np.sqrt(1 / (variance * trials_each * number))
        assert counts.var() == pytest.approx(variance * trials_each, rel=5 * spread)
    # Neither neighbouring steps nor neighbouring inputs know of each other.
    centred = bits - p
    for one, other in ((centred[:, 1:], centred[:, :-1]), (centred[1:], centred[:-1])):
        assert abs((one * other).mean()) < 5 * variance / np.sqrt(one.size)


def test_bernoulli_trials_go_on_from_word_to_word():
    assert (trials(1.0, 3) == 1).all()
    assert not trials(0.0, 3).any()
    np.testing.assert_array_equal(trials(0.3, 3), trials(0.3, 3))
    assert (trials(0.3, 3) != trials(0.3, 3, seed=12)).any()
    table = listed(
        'rate_bernoulli', np.ones(300, np.float32), 0.5 * np.sqrt(300), 128, [0, 64, 128]
    )
    agree = (table[:64] == table[64:]).mean()
    assert agree == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(table.size / 2))


def test_bernoulli_counts_have_the_expected_mean_and_variance(digits):
    pixels = digits.pixels[0].astype(np.float32)
    p = np.minimum(1, 2.0 * pixels / np.linalg.norm(pixels))
    counts = np.array(
        [counted('rate_bernoulli', pixels, 2.0, 100, [0, 100], seed)[0][0] for seed in range(300)]
    )
    deviation = np.sqrt(100 * p * (1 - p))
    assert (np.abs(counts.mean(axis=0) - 100 * p) <= 5 * deviation / np.sqrt(300)).all()
    total = counts.sum(axis=1)
    assert total.var() == pytest.approx((deviation**2).sum(), rel=5 * np.sqrt(2 / 300))


def test_bernoulli_spikes_of_a_sample_are_the_same_every_time(digits):
    config = NetworkConfig(neurons=5, rule='pairwise', coding='rate_bernoulli', seed=1)
    network = create_network(config)
    one, other = network.infer(digits.pixels[0], 50), network.infer(digits.pixels[0], 50)
    assert one.counts == other.counts
    counts = {network.learn(digits.pixels[0], 50).counts.input_spikes for _ in range(10)}
    assert len(counts) > 5  # while learning they are fresh


def test_first_spikes_come_in_the_order_of_brightness():
    pixels = np.array([0, 10, 255, 128, 1, 255, 0, 200], np.float32)
    table = listed('latency', pixels, 0.01, 100, [0, 64, 100])
    assert (table.sum(axis=0) == (pixels > 0)).all()
    steps = table.argmax(axis=0)
    assert steps[2] == steps[5] == 0
    assert list(np.argsort(steps[[2, 7, 3, 1, 4]])) == [0, 1, 2, 3, 4]
    assert steps[3] == math.floor((1 - 128 / 255) * 100)
    assert steps[4] == 99
    assert listed('latency', pixels, 0.01, 1, [0, 1]).sum() == 6


@pytest.mark.parametrize('coding', ['rate_regular', 'rate_bernoulli', 'latency'])
@pytest.mark.parametrize('timesteps', [1, 16, 100])
def test_given_spikes_do_what_encoded_ones_do(digits, coding, timesteps):
    network = create_network(NetworkConfig(neurons=60, coding=coding, max_input_rate=math.inf))
    twin = create_network(NetworkConfig(neurons=60, max_input_rate=math.inf))
    for pixels, label in zip(digits.pixels[:40], digits.labels):
        generator = network.state()['generator']
        if coding == 'rate_bernoulli':
            seed_from(generator, generator[0], pixels.astype(np.float32))
        spikes = encode(network.config, pixels, timesteps, generator).charge
        same = twin.infer(SpikeTrain(*np.nonzero(spikes)), timesteps)
        response = network.infer(pixels, timesteps)
        assert (same.predicted, same.counts) == (response.predicted, response.counts)
        # Spikes are added up in another order.
        np.testing.assert_allclose(same.scores, response.scores, rtol=1e-4)
        network.learn(pixels, timesteps, label)
        twin.restore(network.state())


def test_scale_of_the_intensity_does_not_matter(digits):
    network = create_network(NetworkConfig(max_input_rate=math.inf))
    for pixels, label in zip(digits.pixels[:20], digits.labels):
        network.learn(pixels, 16, label)
    pixels = digits.pixels[30]
    scores = network.infer(pixels, 16).scores
    fraction = pixels.astype(np.float32) / np.float32(256)  # exact in binary
    np.testing.assert_array_equal(network.infer(fraction, 16).scores, scores)


def test_intensity_matters_on_a_full_scale(digits):
    config = NetworkConfig(normalisation='full_scale', max_input_rate=0.06375)
    network = create_network(config)
    spikes = [
        network.infer(digits.pixels[0] // divisor, 350).counts.input_spikes for divisor in (1, 2, 4)
    ]
    assert spikes[0] == pytest.approx(350 * 0.06375 * digits.pixels[0].sum() / 255, rel=0.02)
    assert spikes[1:] == pytest.approx([spikes[0] / 2, spikes[0] / 4], rel=0.05)
