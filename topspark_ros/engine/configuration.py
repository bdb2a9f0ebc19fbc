"""The configuration of a network: scalars only, checked when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real

from .errors import EngineError

RULES = ('recruiting', 'pairwise')
MAX_CLASSES = 1000
MAX_TIMESTEPS = 10_000
MAX_WEIGHTS = 2**28  # one gibibyte of float32


@dataclass(frozen=True)
class NetworkConfig:
    """What a network is made of.

    inputs: input neurons, one per pixel.
    neurons: excitatory neurons, the most that can ever be in use.
    rule: how the network learns.
        'recruiting': non-leaky neurons, one-shot recruitment of fresh neurons for what is novel
        or was misclassified, weights of unit L2 norm. Learns from the first frame.
        'pairwise': leaky integrate-and-fire neurons with adaptive thresholds and direct lateral
        inhibition, pair-wise weight-dependent STDP (after Diehl and Cook 2015).
    max_input_rate: the rate limit of the input, in spikes a step of a sample x whose pixels are
        scaled to unit L2 norm: pixel i spikes min(1, rate x_i / ||x||_2) times a step. The rate
        is the count-preserving one, which has the spikes of 350 steps in however many there are
        (see `input_rate`), or this limit if that is lower: then fewer timesteps mean fewer
        spikes, less energy and less accuracy. The default, 0.57, is what 63.75 Hz for a full
        pixel (Diehl and Cook 2015) comes to on handwritten digits, some 6.5 spikes a step of
        all pixels together; math.inf does not limit.
    seed: of the initial weights (pairwise) and of the chance that a neuron is taken over
        (recruiting), 0 to 2**63 - 1.

    Raises EngineError naming the field, its value and what is accepted.
    """

    inputs: int = 784
    neurons: int = 400
    rule: str = 'recruiting'
    max_input_rate: float = 0.57
    seed: int = 0

    def __post_init__(self) -> None:
        # NumPy scalars become Python ones, which compare, print and are stored alike everywhere.
        for name, low, high in (
            ('inputs', 1, MAX_WEIGHTS),
            ('neurons', 1, MAX_WEIGHTS),
            ('seed', 0, 2**63 - 1),
        ):
            object.__setattr__(self, name, _require_integer(name, getattr(self, name), low, high))
        if self.inputs * self.neurons > MAX_WEIGHTS:
            raise EngineError(
                f'inputs x neurons is {self.inputs} x {self.neurons}, '
                f'accepted is a product of at most {MAX_WEIGHTS}'
            )
        if self.rule not in RULES:
            raise EngineError(f'rule is {self.rule!r}, accepted is one of {", ".join(RULES)}')
        rate = self.max_input_rate
        if isinstance(rate, bool) or not isinstance(rate, Real) or not rate > 0:
            raise EngineError(
                f'max_input_rate is {rate!r}, accepted is a number above 0 (inf: unlimited)'
            )
        object.__setattr__(self, 'max_input_rate', float(rate))


# Spikes that a unit-norm sample may expect in one presentation: 350 steps at 63.75 Hz.
PRESERVED_SPIKES = 200.0
# Above this rate most pixels of a digit or a garment already spike at every step.
SATURATED_RATE = 9.0


def input_rate(timesteps: int, max_input_rate: float = math.inf) -> float:
    """Expected spikes a step of a unit-norm sample presented for `timesteps` steps.

    The rate rises as the timestep shrinks, so that the number of spikes is preserved, until it
    meets the limit: of the sample itself (a pixel spikes at most once a step) or of the
    configuration.
    """
    return min(float(max_input_rate), SATURATED_RATE, PRESERVED_SPIKES / timesteps)


def _require_integer(name: str, value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or not low <= value <= high:
        raise EngineError(f'{name} is {value!r}, accepted is an integer from {low} to {high}')
    return int(value)


def require_timesteps(value: object) -> int:
    """`value` as a number of steps; EngineError if it is none."""
    return _require_integer('timesteps', value, 1, MAX_TIMESTEPS)


def require_label(value: object) -> int:
    """`value` as a class index, -1 for no label; EngineError if it is neither."""
    return -1 if value is None else _require_integer('label', value, 0, MAX_CLASSES - 1)
