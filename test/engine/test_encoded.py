"""A discriminant that learns an encoder's features, against the plain reference."""

import math
from dataclasses import replace

import numpy as np
import pytest

from topspark_ros.engine import (
    CheckpointError,
    DiscriminantConfig,
    EncodedConfig,
    EngineError,
    OperationCounts,
    compilations,
    create_network,
    load_checkpoint,
    save_checkpoint,
    warm_up,
)

from . import reference_discriminant as reference
from .conftest import same_responses, same_state

CONFIG = EncodedConfig(inputs=40, encoder='tiny')  # and 8 features that are 0
KINDS = 5  # classes
SCORE = 2e-6  # of scores, of float32; measured 4e-7
ROUNDING = 1e-12  # of the largest value of an array, after some hundred samples; measured 2e-14


def features_of(inputs, timesteps):
    """What is read out of samples, (samples, 48)."""
    start = np.where(np.arange(CONFIG.inputs) % 2 == 0, 0.75, 0.25).astype(np.float32)
    spikes = np.floor(np.float32(timesteps) * inputs + start)
    return np.pad(spikes.astype(float) / timesteps, ((0, 0), (0, 8)))


def looks_of(inputs):
    """(samples, looks, 48)."""
    return np.stack([features_of(inputs, look) for look in reference.LOOKS], axis=1)


def sparse(count, seed):
    """As of an encoder: many features are small, some are 0 and a few are 1."""
    random = np.random.default_rng(seed)
    return np.clip(random.gamma(0.5, 0.5, (count, CONFIG.inputs)) - 0.02, 0, 1).astype(np.float32)


@pytest.fixture(scope='module')
def labels():
    return np.random.default_rng(1).integers(KINDS, size=240)


@pytest.fixture(scope='module')
def inputs(labels):
    return (sparse(KINDS, 2)[labels] + sparse(labels.size, 3)) / 2


@pytest.fixture(scope='module')
def solution(inputs, labels):
    return reference.solve(looks_of(inputs[:200]), labels[:200], KINDS)


@pytest.fixture
def trained(inputs, labels):
    network = create_network(CONFIG)
    network.learn_many(inputs[:200], 4, labels[:200])
    return network


def assert_learned(network, solution):
    state = network.state()
    state['precision'] = reference.mirrored(state['precision'])
    for name, expected in solution._asdict().items():
        bound = ROUNDING * np.abs(expected).max()
        np.testing.assert_allclose(state[name], expected, rtol=0, atol=bound)


def test_what_is_learned_is_the_batch_solution(trained, solution):
    assert_learned(trained, solution)


@pytest.mark.parametrize('timesteps, margin', [(1, math.inf), (64, math.inf), (100, 0.3)])
def test_neither_order_nor_steps_matter_to_what_is_learned(
    inputs, labels, solution, timesteps, margin
):
    by_class = np.argsort(labels[:200], kind='stable')
    network = create_network(CONFIG)
    network.learn_many(inputs[by_class], timesteps, labels[by_class], margin)
    assert_learned(network, solution)


@pytest.mark.parametrize('timesteps', [1, 2, 3, 4, 30, 64, 100])
def test_scores_are_those_of_the_reference(trained, inputs, labels, solution, timesteps):
    responses = trained.infer_many(inputs[200:], timesteps)
    seen = features_of(inputs[200:], timesteps)
    expected = np.array([reference.scores(solution, one, timesteps) for one in seen])
    np.testing.assert_allclose(responses.scores, expected, atol=SCORE)
    assert (responses.predicted == labels[200:]).mean() > 0.8


@pytest.mark.parametrize('timesteps', [1, 3, 64, 100])
def test_counts_of_an_inference(trained, inputs, timesteps):
    for one, counts in zip(inputs[200:], trained.infer_many(inputs[200:], timesteps).counts):
        seen = features_of(one[np.newaxis], timesteps)
        spikes, active = round(seen.sum() * timesteps), np.count_nonzero(seen)
        features = CONFIG.features
        read_out = OperationCounts(
            spikes, active, spikes + active + KINDS * features, timesteps * features + KINDS, 0
        )
        assert OperationCounts(*counts) == reference.plus(read_out, reference.judged(features))


@pytest.mark.parametrize('timesteps', [1, 3, 100])
def test_learning_counts_its_looks(trained, inputs, timesteps):
    sample, features = inputs[200], CONFIG.features
    stops = sorted({*reference.LOOKS, timesteps})
    spikes = [features_of(sample[np.newaxis], stop)[0] * stop for stop in stops]
    active = sum(np.count_nonzero(sent) for sent in spikes)
    now = spikes[stops.index(timesteps)]
    events = int(now.sum())
    for later in spikes[stops.index(timesteps) + 1 :]:
        events += np.count_nonzero(later > now)
        now = later
    graded = len(stops) - stops.index(timesteps) - 1
    frames = trained.state()['class_frames']
    expected = OperationCounts(
        events,
        active,
        events + active + KINDS * features,
        (timesteps + graded) * features + KINDS,
        reference.rewritten(features, frames, 2).synaptic_updates,
    )
    assert trained.learn(sample, timesteps, 2).counts == reference.plus(
        expected, reference.judged(features)
    )


@pytest.mark.parametrize('margin', [0.1, 0.6])
def test_an_early_end_is_the_answer_of_as_many_steps(trained, inputs, margin):
    early = trained.infer_many(inputs[200:], 100, margin)
    assert early.timesteps.min() < 64
    for sample, scores, steps in zip(inputs[200:], early.scores, early.timesteps):
        assert scores.tobytes() == trained.infer(sample, int(steps)).scores.tobytes()


def test_many_are_singles(trained, inputs, labels):
    twin = create_network(CONFIG)
    twin.restore(trained.state())
    singles = [twin.learn(one, 3, int(label)) for one, label in zip(inputs[200:], labels[200:])]
    assert same_responses(trained.learn_many(inputs[200:], 3, labels[200:]), singles)
    assert same_state(trained.state(), twin.state())


def test_nothing_is_seen_in_features_of_0(trained):
    before = trained.state()
    response = trained.learn(np.zeros(CONFIG.inputs, np.float32), 4, KINDS)
    assert response.predicted is None and not response.scores.any()
    assert same_state(trained.state(), before)


def test_bytes_are_shares_of_255(trained, inputs):
    stored = np.rint(255 * inputs[200:]).astype(np.uint8)
    floats = trained.infer_many(stored.astype(np.float32) * np.float32(1 / 255), 7)
    assert all(map(np.array_equal, trained.infer_many(stored, 7), floats))


def test_pictures_and_features_are_of_one_kernel(inputs):
    """So that the second kind of network compiles nothing."""
    warm_up(create_network(DiscriminantConfig()))
    before = compilations()
    warm_up(create_network(CONFIG))
    create_network(CONFIG).learn_many(inputs[:3], 3, np.arange(3))
    assert compilations() == before


def test_an_encoder_has_the_filters(trained):
    assert trained.receptive_fields().shape == (0, CONFIG.inputs)
    assert trained.experience().shape == (0,)


# Checkpoints.


@pytest.fixture
def saved(trained, tmp_path):
    path = tmp_path / 'encoded.topspark'
    save_checkpoint(path, trained, ['a', 'b'])
    return path


def test_a_loaded_network_continues_to_the_last_bit(trained, saved, inputs, labels):
    loaded = load_checkpoint(saved, CONFIG)
    assert loaded.class_names == ('a', 'b')
    for network in (trained, loaded.network):
        network.learn_many(inputs[200:], 5, labels[200:])
    assert same_state(loaded.network.state(), trained.state())
    assert load_checkpoint(saved).network.config == CONFIG


@pytest.mark.parametrize(
    'expected, message',
    [
        (replace(CONFIG, encoder='other'), 'its encoder is tiny, accepted is other'),
        (replace(CONFIG, inputs=41), 'its inputs is 40, accepted is 41'),
        (
            DiscriminantConfig(),
            "it holds a discriminant of an encoder's features, accepted is a discriminant",
        ),
    ],
)
def test_what_was_learned_on_something_else_is_rejected(saved, expected, message):
    with pytest.raises(CheckpointError, match=f'{message}$'):
        load_checkpoint(saved, expected)


@pytest.mark.parametrize(
    'damage, message',
    [
        (dict(usual=np.ones(2, np.float32)), r'usual is float32 of shape \(2,\), accepted is'),
        (dict(edge_filters=np.ones((50, 16), np.float32)), 'edge_filters is float32 of shape'),
        (dict(means=np.zeros((4, KINDS, 40))), r'means is float64 of shape \(4, 5, 40\)'),
        (dict(precision=np.zeros((48, 48))), 'precision has a diagonal of 0 or less'),
    ],
)
def test_restore_says_what_contradicts(trained, damage, message):
    before = trained.state()
    with pytest.raises(EngineError, match=message):
        trained.restore(before | damage)
    assert same_state(trained.state(), before)


@pytest.mark.parametrize(
    'values, message',
    [
        (dict(inputs=0), 'inputs is 0, accepted is an integer from 1 to 4096'),
        (dict(inputs=4097), 'inputs is 4097'),
        (dict(encoder=None), 'encoder is None, accepted is text'),
    ],
)
def test_configurations_out_of_range_are_rejected(values, message):
    with pytest.raises(EngineError, match=message):
        EncodedConfig(**values)
