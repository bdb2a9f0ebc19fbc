"""Margins: the promise that they make, and how they are searched for."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_digits

from topspark_ros.engine import NetworkConfig
from topspark_ros.methodology.early_exit import (
    FOLDS,
    LATENCY,
    SHARE_MARGINS,
    STDP_MARGINS,
    calibrate_margin,
    calibrate_training_margin,
    fold,
    loss_bound,
)
from topspark_ros.methodology.experiments import (
    Data,
    ExperimentError,
    Setting,
    measure,
    run_experiments,
    train,
)

MAX_LOSS = 0.01
CONFIGS = {
    'recruiting': NetworkConfig(inputs=64, neurons=100, max_input_rate=2.0),
    'pairwise': NetworkConfig(inputs=64, neurons=100, rule='pairwise'),
}


def split(seed):
    """Digits to learn and validate with, and 497 that nothing is chosen by."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    pixels, labels = pixels.astype(np.uint8)[order], labels[order]
    return Data('digits', pixels[:1300], labels[:1300], pixels[1300:], labels[1300:])


@pytest.fixture(scope='module')
def parts():
    return split(0)


# The bound.


def test_the_bound_is_mean_and_two_standard_errors_with_one_more_loss():
    without = np.array([True] * 90 + [False] * 9)
    right = without.copy()
    right[:4] = False  # lost
    right[-1] = True  # won
    mean = (4 - 1 + 1) / 100
    deviation = math.sqrt((4 + 1 + 1) / 100 - mean**2)
    assert loss_bound(without, right) == pytest.approx(mean + 2 * deviation / 10)


def test_no_difference_proves_little():
    same = np.ones(99, bool)
    assert loss_bound(same, same) == pytest.approx(3 / 100, rel=0.01)


@pytest.mark.parametrize('samples', [100, 300, 1300])
@pytest.mark.parametrize('lost, won', [(0.01, 0.0), (0.02, 0.01), (0.03, 0.03), (0.1, 0.05)])
def test_the_bound_holds_as_often_as_it_says(samples, lost, won):
    random = np.random.default_rng(1)
    draws = random.random((1500, samples))
    without = draws >= won
    right = draws < 1 - lost
    held = np.mean([loss_bound(*pair) >= lost - won for pair in zip(without, right)])
    assert held > 0.94


# The search.


class Scripted:
    """A network that is right about so many of 1000 samples and takes so many steps, by margin."""

    config = SimpleNamespace(rule='pairwise')

    def __init__(self, script):
        self._script = {math.inf: (900, 16)} | script
        self.asked = []

    def infer_many(self, pixels, timesteps, margin):
        self.asked.append(margin)
        right, steps = self._script[margin]
        return SimpleNamespace(
            predicted=(np.arange(1000) >= right).astype(int), timesteps=np.full(1000, steps)
        )


PIXELS, LABELS = np.zeros((1000, 4), np.uint8), np.zeros(1000, int)


def calibrate(script, max_loss=MAX_LOSS):
    network = Scripted(script)
    return calibrate_margin([network], [PIXELS], [LABELS], 16, max_loss), network.asked


def test_the_search_ends_with_the_first_rejected_margin():
    margin, asked = calibrate({3.0: (900, 12), 2.5: (897, 9), 2.0: (890, 7), 1.5: (900, 5)})
    assert margin == 2.5 and asked == [math.inf, 3.0, 2.5, 2.0]


def test_learning_until_the_first_spike_is_found_where_margins_in_between_lose_more(parts):
    setting = Setting(replace(CONFIGS['pairwise'], max_input_rate=6.0), 16, 16)
    assert calibrate_training_margin([setting], parts, FOLDS, 0.03) == LATENCY


def test_a_margin_that_ends_no_presentation_is_of_no_use():
    script = dict.fromkeys(STDP_MARGINS, (900, 16))
    assert calibrate(script)[0] == math.inf
    assert calibrate(script | {1.5: (899, 15)})[0] == 1.5


def test_no_margin_where_none_is_good_enough():
    assert calibrate({3.0: (800, 12)})[0] == math.inf


@pytest.mark.parametrize('max_loss', [0, 1, -0.1, math.nan])
def test_rejected_loss(max_loss):
    with pytest.raises(
        ExperimentError, match=f'^max_loss is {max_loss}, accepted is a fraction above 0, below 1$'
    ):
        calibrate({}, max_loss)


def test_folds_are_a_partition(parts):
    folds = [fold(parts, number) for number in range(FOLDS)]
    assert sum(len(part.test_labels) for part in folds) == 1300
    rows = {pixels.tobytes() for part in folds for pixels in part.test_pixels}
    assert rows == {pixels.tobytes() for pixels in parts.training_pixels}
    for part in folds:
        assert len(part.training_labels) + len(part.test_labels) == 1300
        assert not {p.tobytes() for p in part.test_pixels} & {
            p.tobytes() for p in part.training_pixels
        }


# The promise.


def validated(data, setting, folds=3):
    """Networks, each with the samples and labels that were held back from it."""
    parts = [fold(data, number) for number in range(folds)]
    networks = [train(setting, part, seed)[0] for seed, part in enumerate(parts)]
    return (networks, [part.test_pixels for part in parts], [part.test_labels for part in parts])


@pytest.mark.parametrize('rule, timesteps', [('recruiting', 32), ('pairwise', 64)])
def test_inference_keeps_what_is_promised_on_samples_never_seen(rule, timesteps):
    setting = Setting(CONFIGS[rule], timesteps, timesteps)
    losses, steps = [], []
    for seed in range(8):  # of one split alone, the test part tells a loss to a point or so
        data = split(seed)
        margin = calibrate_margin(*validated(data, setting), timesteps, MAX_LOSS)
        network, _ = train(setting, data, seed)
        full, early = (
            measure(network, data.test_pixels, data.test_labels, timesteps, each)
            for each in (math.inf, margin)
        )
        losses.append(full.accuracy - early.accuracy)
        steps.append(early.timesteps)
    assert np.mean(losses) <= MAX_LOSS and max(losses) <= 3 * MAX_LOSS
    assert np.mean(steps) < 0.5 * timesteps


def test_the_margin_is_the_least_that_can_be_promised(parts):
    networks, pixels, labels = validated(parts, Setting(CONFIGS['recruiting'], 32, 32))
    margin = calibrate_margin(networks, pixels, labels, 32, 0.03)

    def bound(margin):
        return loss_bound(
            *(
                np.concatenate(
                    [
                        network.infer_many(samples, 32, each).predicted == right
                        for network, samples, right in zip(networks, pixels, labels)
                    ]
                )
                for each in (math.inf, margin)
            )
        )

    following = SHARE_MARGINS[SHARE_MARGINS.index(margin) + 1]
    assert bound(margin) <= 0.03 < bound(following)


@pytest.mark.parametrize('rule, timesteps', [('recruiting', 32), ('pairwise', 64)])
def test_training_keeps_what_is_promised_on_samples_never_seen(parts, rule, timesteps):
    max_loss = 0.03
    settings = [Setting(CONFIGS[rule], timesteps, tested) for tested in (timesteps, 32)]
    margin = calibrate_training_margin(settings, parts, FOLDS, max_loss)
    stopped = [replace(setting, training_margin=margin) for setting in settings]
    full, early = (
        np.array(
            [
                [outcome.inference.accuracy for outcome in run_experiments(each, parts, seed)]
                for seed in range(3)
            ]
        )
        for each in (settings, stopped)
    )
    assert ((full - early).mean(axis=0) <= max_loss).all()
    assert run_experiments(stopped, parts, 0)[0].training.timesteps < 0.9 * timesteps


def test_equal_calibrations_are_equal(parts):
    settings = [Setting(CONFIGS['pairwise'], 16, 16)]
    assert len({calibrate_training_margin(settings, parts, 1, 0.05) for _ in range(2)}) == 1
