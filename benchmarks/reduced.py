"""Reduced timesteps pay: T = 16 against T = 350, then int8 weights and early exit."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from topspark_ros.engine import NetworkConfig, NeuronConfig, create_network
from topspark_ros.methodology.early_exit import calibrate_margin

from .timing import L2_RATE, TRAINING, Data, classic, fastest

SEEDS = range(3)
VALIDATION = 1000  # of the training images, for the choice of the margin
PROMISE = 0.01  # of accuracy that an early exit may lose there
SAMPLES = 300  # that are timed


class Settings(NamedTuple):
    """A rule at full T with the better of the codings at the paper's rate, and at reduced T."""

    full: NetworkConfig  # T = 350
    reduced: NetworkConfig  # T = 16
    least: NetworkConfig  # T = 12, with early exit


MANY_VOTES = NeuronConfig(inference_spikes=8.0)
SETTINGS = {
    rule: Settings(
        classic(rule=rule, coding='rate_bernoulli'),
        NetworkConfig(rule=rule, max_input_rate=3.0, neuron=MANY_VOTES),
        NetworkConfig(rule=rule, max_input_rate=4.0, neuron=MANY_VOTES),
    )
    for rule in ('pairwise', 'adaptive')
}
SETTINGS['recruiting'] = Settings(
    NetworkConfig(max_input_rate=L2_RATE),
    NetworkConfig(max_input_rate=1.5),
    NetworkConfig(max_input_rate=1.5),
)


def _accuracy(responses, labels: np.ndarray) -> float:
    return float((responses.predicted == labels).mean())


def _learned(config: NetworkConfig, data: Data, timesteps: int, samples: int):
    network = create_network(config)
    pixels, labels = data.training
    network.learn_many(pixels[:samples], timesteps, labels[:samples])
    return network


def compare(rule: str, advance=lambda: None) -> list[dict]:
    """Accuracy over seeds, and microseconds and spikes a sample, of each step down from T = 350.

    Every network learns the training images but the validation part, once, in the order of the
    seed. The margin is chosen on the validation part, for each seed anew.
    """
    settings = SETTINGS[rule]
    accuracies: dict[str, list[float]] = {}
    for seed in SEEDS:
        data = Data(seed)
        pixels, labels = data.test
        full, reduced, least = (
            _learned(replace(config, seed=seed), data, timesteps, TRAINING - VALIDATION)
            for config, timesteps in zip(settings, (350, 16, 12))
        )
        int8 = least.quantised()
        held_back = ([part[-VALIDATION:]] for part in data.training)
        margin = calibrate_margin([int8], *held_back, 12, PROMISE)
        runs = {
            'T = 350, float32': (full, 350, np.inf),
            'T = 16, float32': (reduced, 16, np.inf),
            'T = 12, float32': (least, 12, np.inf),
            'T = 12, int8': (int8, 12, np.inf),
            'T = 12, int8, early exit': (int8, 12, margin),
        }
        for name, (network, timesteps, limit) in runs.items():
            responses = network.infer_many(pixels, timesteps, limit)
            accuracies.setdefault(name, []).append(_accuracy(responses, labels))
        advance()
    timed_pixels, timed_labels = pixels[:SAMPLES], labels[:SAMPLES]
    infer = fastest(
        {
            name: lambda r=run: r[0].infer_many(timed_pixels, r[1], r[2])
            for name, run in runs.items()
        },
        SAMPLES,
    )
    learn = fastest(
        {
            name: lambda r=run: r[0].learn_many(timed_pixels, r[1], timed_labels)
            for name, run in runs.items()
            if name.endswith('float32')
        },
        SAMPLES,
    )
    rows = []
    for name, (network, timesteps, limit) in runs.items():
        responses = network.infer_many(pixels, timesteps, limit)
        rows.append(
            dict(
                rule=rule,
                setting=name,
                accuracy=float(np.mean(accuracies[name])),
                worst=min(accuracies[name]),
                learn=learn.get(name, np.nan),
                infer=infer[name],
                times_faster=infer['T = 350, float32'] / infer[name],
                steps=float(responses.timesteps.mean()),
                input_spikes=float(responses.counts[:, 0].mean()),
                margin=limit,
            )
        )
    return rows
