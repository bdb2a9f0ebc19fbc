"""The networks learn, fast enough for a robot, and keep what they know when T changes."""

import math
from dataclasses import replace

import numpy as np
import pytest

from topspark_ros.engine import CODINGS, RULES, NetworkConfig, NeuronConfig, create_network

from .conftest import same_state


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
    predicted = network.infer_many(digits.pixels[start:stop], timesteps).predicted
    return 100 * np.mean(predicted == digits.labels[start:stop])


def learn_labelled(network, digits, samples, timesteps):
    network.learn_many(digits.pixels[:samples], timesteps, np.array(digits.labels[:samples]))


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


@pytest.mark.parametrize('timesteps, bound', [(4, 91), (16, 95), (64, 96)])
def test_few_timesteps_at_a_limited_rate_keep_the_accuracy(digits, timesteps, bound):
    network = create_network(NetworkConfig(max_input_rate=0.57))
    prequential(network, digits, 1400, timesteps)
    assert accuracy(network, digits, timesteps) >= bound


def test_classes_one_after_the_other_are_not_forgotten(digits):
    network = create_network(NetworkConfig(neurons=100, max_input_rate=math.inf))
    for k in sorted(range(1400), key=lambda k: digits.labels[k]):
        network.learn(digits.pixels[k], 16, digits.labels[k])
    assert accuracy(network, digits, 16) >= 94


def test_classes_one_after_the_other_are_not_forgotten_without_guidance(digits):
    """Labels come last, for the read-out: what was learned before, nobody named."""
    network = create_network(NetworkConfig(neurons=100, max_input_rate=math.inf, supervised=False))
    in_blocks = np.argsort(digits.labels[:1400], kind='stable')
    network.learn_many(digits.pixels[in_blocks], 16)
    assert network.recruited_neurons == 100
    learn_labelled(network, digits, 300, 16)
    assert accuracy(network, digits, 16) >= 80


def test_labels_in_blocks_do_not_teach_corrections(digits):
    """They would say that it is always this class. Mixed labels do teach."""
    largest = []
    for order in (np.argsort(digits.labels[:1400], kind='stable'), np.arange(1400)):
        network = create_network(NetworkConfig(neurons=100, max_input_rate=math.inf))
        network.learn_many(digits.pixels[order], 16, np.array(digits.labels)[order])
        largest.append(np.abs(network.state()['readout_weights']).max())
    assert largest[0] < 0.1 * largest[1]
    network.reset()
    network.learn_many(digits.pixels[:100], 16, np.full(100, 3))
    assert not network.state()['readout_weights'].any()


def test_without_supervision_labels_never_change_weights(digits):
    states = []
    random = np.random.default_rng(0)
    for labels in (np.array(digits.labels), random.integers(-1, 10, 1797), np.full(1797, -1)):
        network = create_network(NetworkConfig(neurons=40, supervised=False))
        network.learn_many(digits.pixels, 16, labels)
        states.append(network.state())
        for name in (
            'label_counts',
            'readout_weights',
            'fast_readout_weights',
            'readout_updates',
            'class_frames',
            'last_label',
            'alternation',
        ):
            states[-1].pop(name)
    assert same_state(states[0], states[1]) and same_state(states[0], states[2])


@pytest.mark.parametrize('coding, error', [('constant_current', 1e-4), ('rate_regular', 2e-3)])
@pytest.mark.parametrize('supervised', [True, False])
@pytest.mark.parametrize('labelled', [1.0, 0.3])
def test_affinity_stays_the_gram_matrix(digits, coding, error, supervised, labelled):
    """It is kept by differences, in some thousands of updates, repulsions and mergers here.

    Spikes only say how well neurons match, graded currents are the traces that weights follow.
    """
    random = np.random.default_rng(0)
    network = create_network(NetworkConfig(neurons=40, coding=coding, supervised=supervised))
    labels = np.where(random.random(1797) < labelled, digits.labels, -1)
    for _ in range(5):
        network.learn_many(digits.pixels, 16, labels)
    weights = network.receptive_fields().astype(float)
    np.testing.assert_allclose(network.state()['gram'], weights @ weights.T, atol=error)


def test_merging_keeps_the_weighted_mean_and_the_votes():
    """Two neurons for three directions: the two that are closest become one."""
    network = create_network(NetworkConfig(inputs=4, neurons=2, coding='constant_current', seed=1))
    sample = np.array([[9, 0, 0, 0], [8, 4, 0, 0], [0, 0, 7, 7]], np.float32)
    network.learn_many(sample[:2], 16, np.array([0, 0]))  # all of the first frames are novel
    before = network.receptive_fields()
    np.testing.assert_array_equal(network.state()['attractions'], [1, 1])
    np.testing.assert_array_equal(
        network.state()['label_counts'], [[2], [1]]
    )  # the first won again
    network.learn(sample[2], 16, 1)
    state = network.state()
    np.testing.assert_array_equal(state['attractions'], [1, 2])
    np.testing.assert_array_equal(state['label_counts'], [[0, 1], [3, 0]])
    mean = before.sum(axis=0)
    expected = [[0, 0, 0.5**0.5, 0.5**0.5], mean / np.linalg.norm(mean)]
    np.testing.assert_allclose(network.receptive_fields(), expected, atol=1e-6)


@pytest.mark.parametrize('neurons', [1, 2])
def test_more_classes_than_neurons(digits, neurons):
    """Where nothing can be merged, neurons are shared."""
    network = create_network(NetworkConfig(neurons=neurons))
    learn_labelled(network, digits, 300, 16)
    assert accuracy(network, digits, 16) >= 10
    assert (network.state()['label_counts'].sum(axis=1) > 0).all()


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize('coding', CODINGS)
def test_every_rule_learns_from_every_coding(digits, rule, coding):
    config = NetworkConfig(neurons=50, rule=rule, coding=coding, max_input_rate=math.inf, seed=1)
    network = create_network(config)
    learn_labelled(network, digits, 800, 32)
    assert accuracy(network, digits, 32) >= (75 if rule == 'recruiting' else 45)


@pytest.mark.parametrize(
    'neuron',
    [
        dict(inhibition=1.0),
        dict(inhibition=1.0, inhibitory_layer=True),
        dict(synaptic_time_constant=5),
        dict(refractory_period=5),
        dict(reset_potential=0.4),
        dict(theta_step=2),
        dict(enhancement=False),
        dict(membrane_time_constant=math.inf),
        dict(theta_time_constant=1e5),
        dict(inference_spikes=2),
    ],
    ids=str,
)
def test_neurons_of_every_kind_learn(digits, neuron):
    config = NetworkConfig(
        neurons=50, rule='pairwise', neuron=NeuronConfig(**neuron), max_input_rate=math.inf
    )
    network = create_network(config)
    learn_labelled(network, digits, 800, 100)
    assert accuracy(network, digits, 100) >= 60


@pytest.mark.parametrize('normalisation, limit', [('l2', 0.57), ('full_scale', 0.06375)])
@pytest.mark.parametrize('rule', RULES)
def test_every_rule_learns_at_a_limited_rate(digits, rule, normalisation, limit):
    config = NetworkConfig(
        neurons=50, rule=rule, normalisation=normalisation, max_input_rate=limit, seed=1
    )
    network = create_network(config)
    learn_labelled(network, digits, 800, 100)
    assert accuracy(network, digits, 100) >= (90 if rule == 'recruiting' else 45)


@pytest.mark.parametrize('rule', RULES)
def test_timestep_changes_on_the_live_network(digits, rule):
    config = NetworkConfig(neurons=100, rule=rule, max_input_rate=math.inf)
    network = create_network(config)
    learn_labelled(network, digits, 1400, 100)
    full = accuracy(network, digits, 100)
    assert full >= (95 if rule == 'recruiting' else 70)
    for timesteps in (350, 16, 4):
        assert accuracy(network, digits, timesteps) >= full - (1.5 if rule == 'recruiting' else 4)


def test_a_prototype_does_not_depend_on_the_timestep(digits):
    """The first sample of a class is imprinted as it is, however few spikes were shown of it."""
    samples = [digits.pixels[digits.labels.index(digit)] for digit in range(10)]
    fields = []
    for timesteps in (1, 3, 16, 64, 350):
        network = create_network(NetworkConfig())
        network.learn_many(np.array(samples), timesteps, np.arange(10))
        fields.append(network.receptive_fields())
        np.testing.assert_array_equal(fields[-1], fields[0])
    rates = samples[3] / np.linalg.norm(samples[3].astype(float))
    expected = np.minimum(1, 9 * rates)
    np.testing.assert_allclose(fields[0][3], expected / np.linalg.norm(expected), atol=1e-6)


@pytest.mark.parametrize('filled', [False, True])
def test_any_timestep_may_follow_any_other(digits, filled):
    """Switched at random while it learns, a network does at each T what one of that T does.

    filled: dark strokes on white, where hardly a spike of a single step is of the stroke.
    """
    timesteps = 1, 2, 4, 8, 16, 64
    pixels, labels = digits.pixels ^ np.uint8(255 * filled), np.array(digits.labels)
    test = slice(1300, None)

    def accuracy_of(network, steps):
        return (network.infer_many(pixels[test], steps).predicted == labels[test]).mean()

    switched = create_network(NetworkConfig())
    random = np.random.default_rng(0)
    for start in range(0, 1300, 100):
        part = slice(start, start + 100)
        switched.learn_many(pixels[part], int(random.choice(timesteps)), labels[part])
    for steps in timesteps:
        constant = create_network(NetworkConfig())
        constant.learn_many(pixels[:1300], steps, labels[:1300])
        assert accuracy_of(switched, steps) >= accuracy_of(constant, steps) - 0.015


@pytest.mark.parametrize('spikes', [1.0, 0.5])
@pytest.mark.parametrize('rule', ['pairwise', 'adaptive', 'triplet', 'modulated'])
def test_output_spikes_are_controlled(digits, rule, spikes):
    neuron = NeuronConfig(output_spikes=spikes)
    network = create_network(
        NetworkConfig(neurons=100, rule=rule, max_input_rate=math.inf, neuron=neuron)
    )
    learned = network.learn_many(np.concatenate([digits.pixels] * 2), 64)
    assert learned.counts[:250, 1].mean() > 12 * spikes
    assert learned.counts[-250:, 1].mean() == pytest.approx(8 * spikes, rel=0.2)


def test_output_spikes_are_controlled_in_the_steps_taken(digits):
    """Of a presentation that ends early, as many are wanted as fit its steps."""
    config = NetworkConfig(neurons=100, rule='pairwise', max_input_rate=math.inf)
    network = create_network(config)
    samples, labels = np.concatenate([digits.pixels] * 2), np.array(digits.labels * 2)
    learned = network.learn_many(samples, 64, labels, margin=1.5)
    steps, spikes = learned.timesteps[-500:].mean(), learned.counts[-500:, 1].mean()
    assert steps < 40
    assert spikes / steps == pytest.approx(8 / 64, rel=0.2)


def test_inference_may_aim_for_more_output_spikes(digits):
    config = NetworkConfig(neurons=100, rule='pairwise', max_input_rate=math.inf)
    doubled = replace(config, neuron=NeuronConfig(inference_spikes=2.0))
    networks = [create_network(config), create_network(doubled)]
    for network in networks:
        learn_labelled(network, digits, 800, 100)
    assert same_state(networks[0].state(), networks[1].state())
    counts = [network.infer_many(digits.pixels[800:900], 100).counts[:, 1] for network in networks]
    assert counts[1].mean() / counts[0].mean() == pytest.approx(2, rel=0.3)
