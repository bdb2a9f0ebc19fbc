"""Many samples in one call are the same as one after the other."""

import math

import numpy as np
import pytest

from topspark_ros.engine import (
    CODINGS,
    RULES,
    NetworkConfig,
    OperationCounts,
    create_network,
)

from .conftest import same_responses, same_state

SAMPLES = 37  # no multiple of the threads
NO_LABELS = np.empty(0, int)


@pytest.fixture(scope='module', params=RULES)
def rule(request):
    return request.param


@pytest.fixture(scope='module', params=CODINGS)
def network(request, rule, digits):
    """A network of each rule and coding that has learned a few digits."""
    config = NetworkConfig(neurons=25, rule=rule, coding=request.param, seed=1)
    network = create_network(config)
    network.learn_many(digits.pixels[:60], 24, digits.labels[:60])
    return network


def mixed_samples(digits, start=60):
    """Digits, black images among them, at the ends too."""
    samples = digits.pixels[start : start + SAMPLES].copy()
    samples[[0, 10, 11, -1]] = 0
    return samples


@pytest.mark.parametrize('margin', [math.inf, 0.15])
@pytest.mark.parametrize('timesteps', [1, 40])
def test_infer_many_is_infer(network, digits, margin, timesteps):
    samples = mixed_samples(digits)
    singles = [network.infer(sample, timesteps, margin) for sample in samples]
    assert any(single.predicted is not None for single in singles) or timesteps == 1
    for threads in (1, 2, 5):
        many = network.infer_many(samples, timesteps, margin, threads)
        assert same_responses(many, singles)
    assert many.total_counts() == OperationCounts(*np.sum([s.counts for s in singles], axis=0))


@pytest.mark.parametrize('threads', [1, 2])
def test_no_samples(digits, threads):
    network = create_network(NetworkConfig(neurons=5))
    network.learn(digits.pixels[0], 16, 2)
    before = network.state()
    empty = digits.pixels[:0]
    inferred = network.infer_many(empty, 16, threads=threads)
    for many in (inferred, network.learn_many(empty, 16, NO_LABELS)):
        assert many.scores.shape == (0, 3)
        assert many.total_counts() == OperationCounts()
    assert same_state(network.state(), before)


def test_more_threads_than_samples(network, digits):
    samples = digits.pixels[60:62]
    singles = [network.infer(sample, 16) for sample in samples]
    assert same_responses(network.infer_many(samples, 16, threads=5), singles)


@pytest.mark.parametrize('margin', [math.inf, 0.15])
@pytest.mark.parametrize('dtype', [np.int64, np.uint8, list])
def test_learn_many_is_learn(network, digits, dtype, margin):
    twins = [create_network(network.config) for _ in range(2)]
    for twin in twins:
        twin.restore(network.state())
    samples = mixed_samples(digits)
    labels = np.array(digits.labels[60 : 60 + SAMPLES])
    labels[5] = 12  # a new class
    labels[10] = 20  # of a black image
    if dtype != np.uint8:
        labels[::4] = -1
    known = [None if label < 0 else int(label) for label in labels]
    singles = [twins[0].learn(sample, 24, label, margin) for sample, label in zip(samples, known)]
    labels = labels.tolist() if dtype is list else labels.astype(dtype)
    many = twins[1].learn_many(samples, 24, labels, margin)
    assert same_responses(many, singles)
    assert twins[1].classes == 13
    assert same_state(twins[1].state(), twins[0].state())


def test_learn_many_without_labels(network, digits):
    twins = [create_network(network.config) for _ in range(2)]
    samples = mixed_samples(digits, 0)
    singles = [twins[0].learn(sample, 24) for sample in samples]
    assert same_responses(twins[1].learn_many(samples, 24), singles)
    assert same_state(twins[1].state(), twins[0].state())
    assert twins[1].classes == 0
