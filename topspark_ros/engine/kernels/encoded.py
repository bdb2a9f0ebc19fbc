"""An encoder's features as spikes: what a frozen network sees, in the place of filters of ours.

One input neuron a feature integrates the feature, 0 to 1, without a leak and fires at 1. They start
from 1/4 and 3/4 in turns, as in kernels.features: a run of T steps is the beginning of any longer
one. What is read out is the number of spikes over T.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .compilation import allocating, kernel


class Inputs(NamedTuple):
    """What input neurons are driven with, spikes a step, and have sent; (inputs,) float32 each."""

    drives: np.ndarray
    sent: np.ndarray


@allocating
def inputs_of(number):
    """Memory for so many input neurons."""
    return Inputs(np.empty(number, np.float32), np.empty(number, np.float32))


@kernel
def begin(inputs, drives):
    """Drive the inputs, at rest, with these features."""
    for i in range(drives.size):
        inputs.drives[i] = drives[i]
        inputs.sent[i] = 0


@kernel
def integrate(inputs, timesteps, graded, features):
    """Present the steps up to `timesteps`, and fill the features, which are at least as many as the
    inputs; returns events sent, and how many features are not 0.

    graded: as of `features.integrate`.
    """
    events = seen = 0
    features[:] = 0
    for i in range(inputs.drives.size):
        phase = np.float32(0.25) if i % 2 else np.float32(0.75)
        now = np.float32(np.floor(np.float32(timesteps) * inputs.drives[i] + phase))
        amount = now - inputs.sent[i]
        if amount > 0:
            events += 1 if graded else int(amount)
        inputs.sent[i] = now
        features[i] = now / timesteps
        if now > 0:
            seen += 1
    return events, seen
