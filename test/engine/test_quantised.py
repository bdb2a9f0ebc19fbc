"""An int8 copy answers like its network."""

import numpy as np
import pytest

from topspark_ros.engine import (
    InferenceNetwork,
    Network,
    NetworkConfig,
    SpikeTrain,
    create_network,
)

from .conftest import same_responses, same_state


@pytest.mark.parametrize('rule, agreement', [('recruiting', 0.98), ('pairwise', 0.95)])
@pytest.mark.parametrize('coding', ['rate_regular', 'constant_current'])
def test_same_answers_in_a_quarter_of_the_memory(digits, rule, agreement, coding):
    network = create_network(NetworkConfig(neurons=80, rule=rule, coding=coding))
    network.learn_many(digits.pixels[:800], 32, np.array(digits.labels[:800]))
    copy = network.quantised()
    assert isinstance(copy, InferenceNetwork) and not isinstance(copy, Network)
    assert not hasattr(copy, 'learn') and not hasattr(copy, 'learn_many')
    assert (copy.config, copy.classes) == (network.config, network.classes)
    saved = network.memory_bytes - copy.memory_bytes
    learning = 4 * 80 * 80 if rule == 'recruiting' else 0  # affinities, which inference needs not
    assert saved == 3 * 784 * 80 + learning  # three bytes of four of each weight
    assert copy.memory_bytes < 0.35 * network.memory_bytes

    test = digits.pixels[800:1300]
    answers, expected = copy.infer_many(test, 32), network.infer_many(test, 32)
    assert (answers.predicted == expected.predicted).mean() >= agreement
    assert not (answers.scores == expected.scores).all()
    assert same_responses(answers, [copy.infer(pixels, 32) for pixels in test])


def test_copy_takes_what_its_network_takes(trained, digits):
    before = trained.state()
    copy = trained.quantised()
    pixels = digits.pixels[61]
    spikes = SpikeTrain(np.sort(np.arange(300) % 16), np.flatnonzero(pixels)[np.arange(300) % 90])
    for sample in (pixels, spikes):
        for margin in (np.inf, 0.3):
            response = copy.infer(sample, 16, margin)
            assert response.counts.input_spikes > 0 and np.isfinite(response.scores).all()
        assert len(copy.raster(sample, 16).steps) == copy.infer(sample, 16).counts.output_spikes
    black = copy.infer(np.zeros(784, np.uint8), 16)
    assert (black.predicted, black.counts.output_spikes) == (None, 0)
    assert same_state(trained.state(), before)


def test_copy_does_not_follow_its_network(trained, digits):
    copy = trained.quantised()
    test = digits.pixels[60:100]
    before = copy.infer_many(test, 32)
    trained.learn_many(digits.pixels[100:400], 32, np.array(digits.labels[100:400]))
    after = copy.infer_many(test, 32)
    np.testing.assert_array_equal(after.scores, before.scores)
    np.testing.assert_array_equal(after.counts, before.counts)


@pytest.mark.parametrize('rule', ['recruiting', 'pairwise'])
def test_copy_of_an_untrained_network(rule, digits):
    copy = create_network(NetworkConfig(neurons=5, rule=rule)).quantised()
    response = copy.infer(digits.pixels[0], 16)
    assert (response.predicted, response.scores.shape) == (None, (0,))
