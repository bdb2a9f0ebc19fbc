"""Margins of early exit and early stop whose price in accuracy is known beforehand.

A presentation may end as soon as one class leads by a margin. A smaller margin saves more and
costs more accuracy. Here the least margin of a fixed grid is found whose loss on validation
samples, which the networks have not learned, is small enough with confidence.

The margins are tried in falling order and the first rejected one ends the search (fixed sequence
testing), so that trying many does not make it likelier that one of them passes by luck. Only
LATENCY comes before them in training under STDP: what a presentation's later output spikes
teach may be worth less than none of it, so that margins in between lose more.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from topspark_ros.engine import (
    AnyConfig,
    DiscriminantConfig,
    EncodedConfig,
    InferenceNetwork,
)

from .experiments import Data, ExperimentError, Setting, train

# Falling, in what Network.infer takes: shares of all evidence (recruiting, discriminant),
# and output spikes.
SHARE_MARGINS = (0.98, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
STDP_MARGINS = (3.0, 2.5, 2.0, 1.5, 1.25, 1.0, 0.8, 0.6, 0.4, 0.3)
LATENCY = 0.5  # of STDP: reached with the first output spike of a neuron that is sure

FOLDS = 5
READ_OUTS = DiscriminantConfig, EncodedConfig  # which have no dynamics of T in learning


def fold(data: Data, number: int) -> Data:
    """The same without the test part: every fifth training sample, `number` (0 to 4) the first
    of them, takes its place."""
    held_back = np.arange(len(data.training_labels)) % FOLDS == number
    pixels, labels = data.training_pixels, data.training_labels
    return Data(
        f'{data.name}, fold {number}',
        pixels[~held_back],
        labels[~held_back],
        pixels[held_back],
        labels[held_back],
    )


def calibrate_margin(
    networks: Sequence[InferenceNetwork],
    pixels: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    timesteps: int,
    max_loss: float,
) -> float:
    """The least margin for inference at `timesteps` that loses at most `max_loss`; inf: none does.

    Parameters
    ----------
    networks
        One or more of one rule.
    pixels, labels
        (samples, inputs) and (samples,) for each network, which it has not learned. The loss is
        over all of them together.
    max_loss
        Of accuracy against no early exit, above 0, below 1. See `loss_bound` for how sure the
        promise is.
    """

    def attempt(margin: float) -> _Attempt:
        responses = [
            network.infer_many(samples, timesteps, margin)
            for network, samples in zip(networks, pixels)
        ]
        return _Attempt(
            np.concatenate([each.predicted for each in responses])[np.newaxis]
            == np.concatenate(labels),
            float(np.mean([each.timesteps.mean() for each in responses])),
        )

    return _min_margin(attempt, _falling(networks[0].config), max_loss)


def calibrate_training_margin(
    settings: Sequence[Setting], data: Data, folds: int, max_loss: float
) -> float:
    """The least margin for training that loses at most `max_loss` in each way of testing; inf:
    none does.

    For every margin tried, a network is trained on each of the first `folds` (1 to 5) folds of
    `data`, whose number is its seed.

    Parameters
    ----------
    settings
        One or more that train alike. What an early stop leaves untrained may show at one T and not
        at another, and a network in use is run at any of them.
    max_loss
        Of accuracy against training without early stop; as of `calibrate_margin`.
    """

    @functools.cache
    def attempt(margin: float) -> _Attempt:
        stopped = [replace(setting, training_margin=margin) for setting in settings]
        right, steps = zip(
            *(_train_and_test(stopped, fold(data, number), number) for number in range(folds))
        )
        return _Attempt(np.concatenate(right, axis=1), float(np.mean(steps)))

    config = settings[0].config
    margin = math.inf
    if isinstance(config, READ_OUTS):  # it looks at a frame for as long in any case
        return margin
    if config.rule != 'recruiting':
        margin = _min_margin(attempt, (LATENCY,), max_loss)
    if margin == math.inf:
        margin = _min_margin(attempt, _falling(config), max_loss)
    return margin


def loss_bound(without: np.ndarray, right: np.ndarray) -> float:
    """Accuracy that is lost at most, with a confidence of 95 % or a little more.

    without, right: (samples,) bool: which of the same samples were classified right without
        and with early exit.

    The mean of the paired differences plus two standard errors: most samples come out alike both
    ways, so that far fewer are needed than to compare two accuracies. One standard error was not
    enough: the margin is chosen by these samples, and a network that goes on learning becomes
    surer and ends earlier. One more sample is counted as lost, or a few samples without any
    difference would prove that there is none; so they bound the loss by 3 / samples, as the
    binomial distribution does, and fewer than 3 / loss samples never prove anything.
    """
    lost = np.append(without.astype(float) - right, 1.0)
    return float(lost.mean() + 2 * lost.std() / math.sqrt(lost.size))


class _Attempt(NamedTuple):
    """What a margin comes to.

    right: (ways of testing, samples) bool: which samples are classified right.
    steps: mean steps of the presentations that it may end.
    """

    right: np.ndarray
    steps: float


def _train_and_test(settings: Sequence[Setting], data: Data, seed: int) -> _Attempt:
    network, training = train(settings[0], data, seed)
    return _Attempt(
        np.array(
            [
                network.infer_many(
                    data.test_pixels, setting.inference_timesteps, setting.inference_margin
                ).predicted
                == data.test_labels
                for setting in settings
            ]
        ),
        training.timesteps,
    )


def _falling(config: AnyConfig) -> tuple[float, ...]:
    if isinstance(config, READ_OUTS) or config.rule == 'recruiting':
        return SHARE_MARGINS
    return STDP_MARGINS


def _min_margin(
    attempt: Callable[[float], _Attempt], margins: Sequence[float], max_loss: float
) -> float:
    if not 0 < max_loss < 1:
        raise ExperimentError(f'max_loss is {max_loss}, accepted is a fraction above 0, below 1')
    without, least = attempt(math.inf), math.inf
    for margin in margins:
        tried = attempt(margin)
        if max(map(loss_bound, without.right, tried.right)) > max_loss:
            break
        # To look for a lead costs time of its own, so one that is never reached is no gain.
        if tried.steps < without.steps:
            least = margin
    return least
