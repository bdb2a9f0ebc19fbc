"""The encoders as their definitions read, one spike at a time."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from topspark_ros.engine import NetworkConfig, SpikeTrain
from topspark_ros.engine.kernels import encoding

from .compiled import compiled

bernoulli_trials = compiled(encoding.bernoulli_trials)

ROUNDING = 1e-5  # what two ways to compute the same gain may differ by

# Input spikes of a presentation, at most in a step, of a digit for each spike of unit norm.
RATES = {'l2': (200.0, 9.0, 11.4), 'full_scale': (22.3125, 1.0, 102.0)}


class Input(NamedTuple):
    """One encoded sample."""

    charge: np.ndarray  # (timesteps, inputs), spikes of each input a step, or its current
    spikes: np.ndarray  # (timesteps,), spikes in each step; constant current: values
    expected: float  # spikes of a typical sample, D
    black: bool
    trace: np.ndarray | None  # (inputs,), rates of a single step; None: what has spiked
    closest: float = math.inf  # of a gain to another one, see reference.py
    generators: list[int] = []  # states of the generator, one after each 64 steps, if it is used


def encode(
    config: NetworkConfig, sample: np.ndarray | SpikeTrain, timesteps: int, generator: np.ndarray
) -> Input:
    charge = np.zeros((timesteps, config.inputs))
    full = timesteps if config.neuron.enhancement else 350  # steps that the parameters are for
    if isinstance(sample, SpikeTrain):
        np.add.at(charge, (sample.steps, sample.neurons), 1)
        expected = charge.sum() * full / timesteps
        return Input(charge, charge.sum(axis=1), expected, not charge.any(), None)
    x = sample.astype(float)
    preserved, most, spread = RATES[config.normalisation]
    limit = most if config.max_input_rate == np.inf else config.max_input_rate
    rate = min(limit, preserved / full)
    expected = rate * full * spread
    if config.coding == 'latency':
        expected = 0.19 * config.inputs
    if not x.any():
        return Input(charge, charge.sum(axis=1), expected, True, x)
    norm = 255 if config.normalisation == 'full_scale' else np.linalg.norm(x)
    p = np.minimum(1, rate / norm * x)
    trace = np.minimum(1, min(limit, preserved) / norm * x)
    closest, generators = math.inf, []
    if config.coding == 'constant_current':
        spikes = np.full(timesteps, np.count_nonzero(x))
        return Input(charge + p, spikes, expected, False, trace)
    if config.coding == 'rate_regular':
        closest = rate_regular(charge, p)
    elif config.coding == 'rate_bernoulli':
        generators = rate_bernoulli(charge, p, generator)
    else:
        latency(charge, x)
        trace = None
    return Input(charge, charge.sum(axis=1), expected, False, trace, closest, generators)


def rate_regular(charge: np.ndarray, p: np.ndarray) -> float:
    """Every input gains p a step, in multiples of 2**-30, and spikes whenever it is full."""
    gain = np.rint(p * 2**30).astype(int)
    phase = encoding.spike_phases(len(p))[: len(p)].astype(int)
    for step in range(len(charge)):
        phase += gain
        charge[step] = phase >= 2**30
        phase -= 2**30 * (phase >= 2**30)
    rounded_away = np.abs(p * 2**30 - gain)
    return (0.5 - rounded_away).min() / ROUNDING


def rate_bernoulli(charge: np.ndarray, p: np.ndarray, generator: np.ndarray) -> list[int]:
    """A trial in every step, drawn for 64 steps of all active inputs at a time."""
    active = np.flatnonzero(p)
    digits = (p[active] * 2.0**32).astype(np.uint64)
    trials = np.empty(len(active), np.uint64)
    generators = []
    for t in range(len(charge)):
        if t % 64 == 0:
            bernoulli_trials(digits, len(active), trials, trials.copy(), generator)
            generators.append(generator[0])
        charge[t, active] = trials >> np.uint64(t % 64) & np.uint64(1)
    return generators


def latency(charge: np.ndarray, x: np.ndarray) -> None:
    """One spike, the brighter the earlier."""
    timesteps = len(charge)
    for i in np.flatnonzero(x):
        delay = (1 - x[i] / x.max()) * timesteps
        charge[int(min(delay, timesteps - 1)), i] = 1
