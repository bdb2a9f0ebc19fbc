"""A class is forgotten by every kind of network, and all others are known as before."""

from __future__ import annotations

import math

import numpy as np
import pytest

from topspark_ros.engine import (
    DiscriminantConfig,
    EncodedConfig,
    EngineError,
    FeaturesConfig,
    NetworkConfig,
    create_network,
    load_checkpoint,
    save_checkpoint,
)

from .conftest import CONFIGS, same_state

TIMESTEPS = 16
FORGOTTEN = 3
NETWORKS = {
    'recruiting': CONFIGS['recruiting'],
    'recruiting, many neurons': NetworkConfig(neurons=200),
    'recruiting, all neurons in use': NetworkConfig(neurons=15),
    'recruiting, on features': NetworkConfig(
        neurons=60, encoder=FeaturesConfig(28, channels=1, edge_filters=16, surface_filters=16)
    ),
    'pairwise': CONFIGS['pairwise'],
    'discriminant': DiscriminantConfig(
        28, channels=1, edge_filters=16, surface_filters=16, cells=2
    ),
    'encoded': EncodedConfig(inputs=784, encoder='pixels'),
}


@pytest.fixture(params=NETWORKS)
def config(request):
    return NETWORKS[request.param]


def learn(network, digits, samples):
    network.learn_many(
        digits.pixels[samples], TIMESTEPS, np.asarray(digits.labels, np.int64)[samples]
    )


def answers(network, digits, samples):
    return network.infer_many(digits.pixels[samples], TIMESTEPS)


def samples_of(digits, *, forgotten, begin=0, end=300):
    labels = np.asarray(digits.labels[begin:end])
    return begin + np.flatnonzero((labels == FORGOTTEN) == forgotten)


@pytest.fixture
def taught(config, digits):
    network = create_network(config)
    learn(network, digits, np.arange(300))
    return network


def test_a_class_that_was_forgotten_is_never_predicted(taught, digits):
    frames = taught.class_frames
    taught.forget_class(FORGOTTEN)
    assert taught.class_frames.tolist() == np.delete(frames, FORGOTTEN).tolist()
    responses = answers(taught, digits, np.arange(300))
    assert responses.scores.shape[1] == taught.classes == 9
    assert responses.predicted.max() <= 8


def test_the_others_are_told_apart_no_worse(taught, digits):
    samples = samples_of(digits, forgotten=False, begin=1000, end=1700)
    labels = np.asarray(digits.labels)[samples]
    before = (answers(taught, digits, samples).predicted == labels).mean()
    taught.forget_class(FORGOTTEN)
    labels -= labels > FORGOTTEN
    after = (answers(taught, digits, samples).predicted == labels).mean()
    assert after >= before - 0.01


def test_of_the_only_class_nothing_is_left(config, digits):
    alone = create_network(config)
    alone.learn_many(digits.pixels[:50], TIMESTEPS, np.zeros(50, int))
    alone.forget_class(0)
    assert (alone.classes, alone.labelled_neurons, len(alone.class_frames)) == (0, 0, 0)
    response = alone.infer(digits.pixels[0], TIMESTEPS)
    assert response.predicted is None and response.scores.size == 0


def test_a_class_that_is_taught_again_begins_from_nothing(taught, digits):
    taught.forget_class(FORGOTTEN)
    samples = samples_of(digits, forgotten=True)
    new = taught.classes
    taught.learn(digits.pixels[samples[0]], TIMESTEPS, new)
    assert taught.class_frames[new] == 1
    labels = np.asarray(digits.labels[:300])
    labels = np.where(labels == FORGOTTEN, new, labels - (labels > FORGOTTEN))
    taught.learn_many(digits.pixels[:300], TIMESTEPS, labels)
    assert (answers(taught, digits, samples).predicted == new).mean() > 0.5


def test_what_is_left_is_a_network_like_any_other(taught, digits, tmp_path):
    """It is restored and saved, and goes on to learn as its copy does."""
    taught.forget_class(FORGOTTEN)
    twin = create_network(taught.config)
    twin.restore(taught.state())
    save_checkpoint(tmp_path / 'weights', taught, 'abcdefghi')
    loaded = load_checkpoint(tmp_path / 'weights', taught.config)
    assert loaded.class_names == tuple('abcdefghi')
    for network in (taught, twin, loaded.network):
        learn(network, digits, np.arange(300, 400))
    assert same_state(twin.state(), taught.state())
    assert same_state(loaded.network.state(), taught.state())


@pytest.mark.parametrize('index', [-1, 10, 1000, 1.0, None])
def test_a_class_that_there_is_not_is_rejected(taught, index):
    before = taught.state()
    with pytest.raises(EngineError, match='^index is '):
        taught.forget_class(index)
    assert same_state(taught.state(), before)


def test_the_discriminant_keeps_the_answers_of_the_others_and_what_all_have_in_common(digits):
    network = create_network(NETWORKS['discriminant'])
    learn(network, digits, np.arange(300))
    before = network.state()
    samples = np.arange(1000, 1200)
    scores = answers(network, digits, samples).scores.astype(float)
    network.forget_class(FORGOTTEN)
    after = network.state()
    for name in ('means', 'weights', 'overlaps'):
        assert np.array_equal(after[name], np.delete(before[name], FORGOTTEN, 1))
    assert np.array_equal(after['precision'], before['precision'])
    # Scores are a softmax: in whatever order two classes came, they still do.
    others = np.delete(scores, FORGOTTEN, 1).argmax(axis=1)
    assert np.array_equal(answers(network, digits, samples).predicted, others)


def test_neurons_that_stood_for_it_are_free_again(digits):
    network = create_network(NETWORKS['recruiting, many neurons'])
    learn(network, digits, np.arange(300))
    before = network.state()
    owners = before['label_counts'].argmax(axis=1)
    voted = before['label_counts'].any(axis=1)
    stood = int((voted & (owners == FORGOTTEN)).sum())
    network.forget_class(FORGOTTEN)
    after, in_use = network.state(), network.recruited_neurons
    assert stood > 1 and in_use == before['recruited'][0] - stood
    for name, array in after.items():
        if name in ('theta', 'attractions', 'scale', 'label_counts', 'gram'):
            assert not array[in_use:].any(), name
    kept = np.flatnonzero(~(voted & (owners == FORGOTTEN)))[:in_use]
    assert np.array_equal(after['gram'][:in_use, :in_use], before['gram'][np.ix_(kept, kept)])
    assert np.array_equal(after['weights'][:, :in_use], before['weights'][:, kept])
    assert np.array_equal(after['attractions'][:in_use], before['attractions'][kept])


@pytest.mark.parametrize('last, moved', [(FORGOTTEN - 1, FORGOTTEN - 1), (FORGOTTEN, None), (9, 8)])
def test_the_last_label_is_still_that_of_its_class(digits, last, moved):
    network = create_network(NETWORKS['recruiting'])
    learn(network, digits, np.arange(100))
    network.learn(digits.pixels[digits.labels.index(last)], TIMESTEPS, last)
    network.forget_class(FORGOTTEN)
    assert network.state()['last_label'] == (0 if moved is None else moved + 1)


def test_under_stdp_weights_stay_and_votes_go(digits):
    network = create_network(NETWORKS['pairwise'])
    learn(network, digits, np.arange(300))
    before = network.state()
    network.forget_class(FORGOTTEN)
    after = network.state()
    assert np.array_equal(after['responses'], np.delete(before['responses'], FORGOTTEN, 1))
    assert np.array_equal(after['weights'], before['weights'])
    assert math.isclose(after['gain'].item(), before['gain'].item())
