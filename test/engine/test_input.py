"""Bad input changes nothing; extreme input breaks nothing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.engine import (
    CODINGS,
    NORMALISATIONS,
    RULES,
    EngineError,
    NetworkConfig,
    NeuronConfig,
    SpikeTrain,
    create_network,
)

from .conftest import same_state

GOOD = np.full(784, 7, np.uint8)
BATCH = np.tile(GOOD, (3, 1))


def pixels_with(value):
    pixels = np.ones(784, np.float32)
    pixels[5] = value
    return pixels


def train(steps, inputs, dtype=np.int64):
    return SpikeTrain(np.array(steps, dtype), np.array(inputs, dtype))


BAD_PIXELS = [
    pixels_with(np.nan),
    pixels_with(np.inf),
    pixels_with(-1),
    np.ones(783, np.uint8),
    np.ones((28, 28), np.uint8),
    np.ones(0, np.uint8),
    np.ones(784, np.float64),
    np.ones(784, np.int8),
    [1] * 784,
    None,
]
BAD_SPIKES = [
    train([0, 16], [0, 0]),
    train([-1, 3], [0, 0]),
    train([0, 3], [0, 784]),
    train([0, 3], [-1, 0]),
    train([3, 2], [0, 0]),
    train([3, 2], [0, 0], np.uint8),
    train([1, 2, 3], [0, 0]),
    train([1.0], [0.0], float),
    train([True], [False], bool),
    train([[1]], [[0]]),
    train(2, 3),
    train([2**64 - 1], [0], np.uint64),
    train([0], [2**32], np.int64),
    SpikeTrain(None, None),
]
BAD_TIMESTEPS = [0, -1, 10_001, 16.0, True, None, '16', math.nan]


@pytest.mark.parametrize('call', ['infer', 'learn', 'raster'])
def test_rejected(trained, call):
    before = trained.state()
    call = getattr(trained, call)
    for pixels in BAD_PIXELS:
        with pytest.raises(EngineError, match='^pixels .*accepted is'):
            call(pixels, 16)
    for spikes in BAD_SPIKES:
        with pytest.raises(EngineError, match='^spikes .*accepted'):
            call(spikes, 16)
    for timesteps in BAD_TIMESTEPS:
        with pytest.raises(EngineError, match='^timesteps is .*accepted is'):
            call(GOOD, timesteps)
    assert same_state(trained.state(), before)


@pytest.mark.parametrize('call', ['infer_many', 'learn_many'])
def test_many_rejected(trained, call):
    before = trained.state()
    call = getattr(trained, call)
    last_is_bad = [np.stack([GOOD.astype(np.float32), pixels]) for pixels in BAD_PIXELS[:3]]
    for pixels in (*last_is_bad, GOOD, BATCH[:, :-1], BATCH[np.newaxis], BATCH.astype(int), None):
        with pytest.raises(EngineError, match='^pixels .*accepted is'):
            call(pixels, 16)
    for timesteps in BAD_TIMESTEPS:
        with pytest.raises(EngineError, match='^timesteps is .*accepted is'):
            call(BATCH, timesteps)
    assert same_state(trained.state(), before)


@pytest.mark.parametrize('label', [-1, 1000, 2**70, 1.0, '1', True])
def test_label_rejected(trained, label):
    before = trained.state()
    with pytest.raises(EngineError, match='^label is .*accepted is an integer from 0 to 999'):
        trained.learn(GOOD, 16, label)
    assert same_state(trained.state(), before)


BAD_LABELS = [
    [1, 2],
    [1, 2, 3, 4],
    [1, 2, 1000],
    [1, 2, -2],
    [1, 2, 2**62],
    np.array([1, 2, 2**64 - 1], np.uint64),
    [1.0, 2.0, 3.0],
    ['1', '2', '3'],
    [True, False, True],
    [[1], [2], [3]],
    [1, 2, None],
    7,
]


def test_labels_rejected(trained):
    before = trained.state()
    for labels in BAD_LABELS:
        with pytest.raises(EngineError, match='^labels (is|are) .*accepted (is|are) '):
            trained.learn_many(BATCH, 16, labels)
    assert same_state(trained.state(), before)


def test_margin_and_threads_rejected(trained):
    before = trained.state()
    for margin in (0.0, -1.0, math.nan, None, '1', True, 1j):
        for call in (trained.infer, trained.infer_many, trained.learn, trained.learn_many):
            sample = BATCH if call.__name__.endswith('many') else GOOD
            with pytest.raises(EngineError, match='^margin is .*accepted is a number above 0'):
                call(sample, 16, margin=margin)
    for threads in (0, -1, 1025, 2.0, None, True):
        with pytest.raises(EngineError, match='^threads is .*accepted is an integer from 1'):
            trained.infer_many(BATCH, 16, threads=threads)
    assert same_state(trained.state(), before)


@pytest.mark.parametrize('label', [None, 3, 12])
@pytest.mark.parametrize('sample', ['pixels', 'spikes'])
def test_black_image_teaches_nothing(trained, label, sample):
    before = trained.state()
    black = np.zeros(784, np.uint8) if sample == 'pixels' else train([], [])
    for response in (trained.infer(black, 16), trained.learn(black, 16, label)):
        assert response.predicted is None
        assert not response.scores.any()
        counts = response.counts
        assert (counts.input_spikes, counts.output_spikes, counts.synaptic_updates) == (0, 0, 0)
        layers = 2 if trained.config.neuron.inhibitory_layer else 1
        assert counts.neuron_updates == layers * trained.recruited_neurons * 16
    after = trained.state()
    tau = trained.config.neuron.theta_time_constant
    if tau < math.inf:
        assert before['theta'].any()
        np.testing.assert_allclose(
            after.pop('theta'), before.pop('theta') * math.exp(-16 / tau), rtol=1e-6
        )
    assert same_state(after, before)


def test_theta_decays_while_learning_only(digits):
    config = NetworkConfig(
        neurons=5, rule='pairwise', neuron=NeuronConfig(theta_time_constant=100.0)
    )
    network = create_network(config)
    network.learn(digits.pixels[0], 100, 0)
    theta = network.state()['theta']
    assert theta.any()
    network.infer(digits.pixels[0], 100)
    network.infer_many(digits.pixels[:5], 100)
    np.testing.assert_array_equal(network.state()['theta'], theta)
    network.learn_many(np.zeros((3, 784), np.uint8), 50)
    np.testing.assert_allclose(network.state()['theta'], theta * math.exp(-1.5), rtol=1e-6)


def test_arrays_that_kernels_must_not_see_as_they_are(trained):
    pixels = np.arange(784).astype(np.float32)
    read_only = pixels.copy()
    read_only.flags.writeable = False
    strided = np.zeros(1568, np.float32)[::2]
    strided[:] = pixels
    scores = trained.infer(pixels, 16).scores
    for same in (read_only, strided, np.frombuffer(pixels.tobytes(), np.float32)):
        np.testing.assert_array_equal(trained.infer(same, 16).scores, scores)
    columns = np.asfortranarray([pixels, pixels])
    for row in trained.infer_many(columns, 16).scores:
        np.testing.assert_array_equal(row, scores)


@pytest.mark.parametrize('dtype', [np.uint8, np.int16, np.uint64])
def test_spikes_of_any_integer_type(trained, dtype):
    spikes = train([0, 3, 3, 3, 15], [5, 0, 200, 200, 7])
    response = trained.infer(spikes, 16)
    same = trained.infer(SpikeTrain(*(array.astype(dtype) for array in spikes)), 16)
    assert response.counts.input_spikes == 5
    assert same.counts == response.counts
    np.testing.assert_array_equal(same.scores, response.scores)


extreme = st.floats(0, 2.0**128 - 2.0**104, width=32) | st.sampled_from(
    [0.0, 2.0**-149, 2.0**-127, 2.0**-126, 1.0, 255.0, 2.0**128 - 2.0**104]
)
any_neuron = st.builds(
    NeuronConfig,
    membrane_time_constant=st.sampled_from([1e-3, 100.0, math.inf]),
    synaptic_time_constant=st.sampled_from([0.0, 5.0]),
    refractory_period=st.sampled_from([0, 3]),
    reset_potential=st.sampled_from([0.0, -1e6, 1 - 1e-12]),
    theta_step=st.sampled_from([8.0, 0.0, 1e6]),
    theta_time_constant=st.sampled_from([0.1, math.inf]),
    inhibition=st.sampled_from([0.0, 2.0]),
    output_spikes=st.sampled_from([1.0, 1e-9, 1e9]),
    inhibitory_layer=st.booleans(),
    enhancement=st.booleans(),
) | st.just(NeuronConfig())


@st.composite
def configs(draw):
    rule = draw(st.sampled_from(RULES))
    return NetworkConfig(
        inputs=6,
        neurons=4,
        rule=rule,
        coding=draw(st.sampled_from(CODINGS)),
        normalisation=draw(st.sampled_from(tuple(NORMALISATIONS))),
        max_input_rate=draw(st.sampled_from([0.57, math.inf])),
        neuron=NeuronConfig() if rule == 'recruiting' else draw(any_neuron),
    )


def check_weights(network):
    """Weights are not negative and have the norm that they should have."""
    rule = network.config.rule
    weights = network.receptive_fields().astype(float)
    assert (weights >= 0).all() and np.isfinite(weights).all()
    norms = np.linalg.norm(weights, axis=1)
    if rule == 'adaptive':  # they decay
        assert (norms <= 8 * (1 + 1e-5)).all() and (norms > 0).all()
    else:
        np.testing.assert_allclose(norms, 1 if rule == 'recruiting' else 8, rtol=1e-5)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(
    configs(),
    st.lists(
        st.tuples(
            st.lists(extreme, min_size=6, max_size=6),
            st.integers(1, 40),
            st.none() | st.integers(0, 5),
        ),
        max_size=12,
    ),
)
def test_any_finite_input_leaves_a_sound_network(config, presentations):
    network = create_network(config)
    for values, timesteps, label in presentations:
        classes = network.classes
        pixels = np.array(values, np.float32)
        response = network.learn(pixels, timesteps, label)
        assert response.scores.shape == (classes,)
        for scores in (response.scores, network.infer(pixels, timesteps, 0.5).scores):
            assert (scores >= 0).all() and scores.sum() <= 1 + 1e-5
            if config.rule == 'recruiting' and scores.any():
                assert scores.sum() == pytest.approx(1, abs=1e-5)
        assert response.predicted is None or response.predicted < classes
        assert min(response.counts) >= 0
        check_weights(network)
    network.restore(network.state())  # rejects what is not finite, negative or not normalised
    assert 0 <= network.labelled_neurons <= network.recruited_neurons <= 4
    assert network.receptive_fields().shape == (network.recruited_neurons, 6)


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize('inputs', [4, 200])
def test_weights_stay_in_bounds_in_a_long_life(rule, inputs):
    """Labels are random, so that all kinds of updates go on for ever."""
    random = np.random.default_rng(1)
    network = create_network(
        NetworkConfig(inputs=inputs, neurons=3, rule=rule, max_input_rate=math.inf)
    )
    for _ in range(3):
        pixels = random.random((700, inputs)).astype(np.float32)
        network.learn_many(pixels, 60, random.integers(4, size=700))
        check_weights(network)
    network.restore(network.state())


@pytest.mark.parametrize('rule', ['pairwise', 'adaptive', 'triplet', 'modulated'])
def test_squares_stay_those_of_the_weights(rule):
    """They are kept up to date by differences, in some 1e5 updates of each neuron here."""
    random = np.random.default_rng(2)
    neuron = NeuronConfig(output_spikes=4)
    network = create_network(
        NetworkConfig(inputs=20, neurons=2, rule=rule, max_input_rate=math.inf, neuron=neuron)
    )
    pixels = (random.random((50_000, 20)) ** 4).astype(np.float32)
    learned = network.learn_many(pixels, 100, random.integers(3, size=len(pixels)))
    assert learned.total_counts().synaptic_updates / 20 > 2e5
    state = network.state()
    squares = (state['weights'].astype(float) ** 2).sum(axis=0)
    np.testing.assert_allclose(state['squares'], squares, rtol=1e-9)
    check_weights(network)


@pytest.mark.parametrize('rule', ['pairwise', 'adaptive', 'triplet', 'modulated'])
@pytest.mark.parametrize('inputs, factor', [(4, 9e2), (200, 1.1e-3)])
def test_weights_stay_in_bounds_however_they_are_stored(rule, inputs, factor):
    """A neuron's scale drifts over a long life; float32 has its limits."""
    random = np.random.default_rng(1)
    network = create_network(
        NetworkConfig(inputs=inputs, neurons=2, rule=rule, max_input_rate=math.inf)
    )
    state = network.state()
    state['scale'] *= factor
    state['weights'] = (state['weights'] / factor).astype(np.float32)
    state['squares'] = (state['weights'].astype(float) ** 2).sum(axis=0)
    network.restore(state)
    pixels = random.random((500, inputs)).astype(np.float32)
    network.learn_many(pixels, 100, random.integers(4, size=500))
    check_weights(network)
    network.restore(network.state())
