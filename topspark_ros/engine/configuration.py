"""The configuration of a network: scalars only, checked when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import NamedTuple

from .errors import EngineError

RULES = ('recruiting', 'pairwise', 'adaptive', 'triplet', 'modulated')
CODINGS = ('rate_regular', 'rate_bernoulli', 'constant_current', 'latency')
MAX_CLASSES = 1000
MAX_TIMESTEPS = 10_000
MAX_ENCODED = 4096  # features of an encoder
MAX_WEIGHTS = 2**28  # one gibibyte of float32


class Normalisation(NamedTuple):
    """How the rate of an input follows from its pixel.

    preserved_spikes: that a sample of unit norm may expect in one presentation: 350 steps at
        63.75 Hz for a full pixel (Diehl and Cook 2015).
    saturated_rate: spikes a step of a sample of unit norm above which most pixels of a digit
        already spike at every step.
    spread: input spikes of a digit for each spike of a sample of unit norm.
    """

    preserved_spikes: float
    saturated_rate: float
    spread: float


NORMALISATIONS = {
    'l2': Normalisation(preserved_spikes=200.0, saturated_rate=9.0, spread=11.4),
    'full_scale': Normalisation(preserved_spikes=22.3125, saturated_rate=1.0, spread=102.0),
}


@dataclass(frozen=True)
class NeuronConfig:
    """Leaky integrate-and-fire neurons with adaptive threshold and how they inhibit each other.

    Parameters
    ----------
    membrane_time_constant
        Of the potential's decay, steps; inf does not leak.
    synaptic_time_constant
        Of the synaptic current's, steps; 0 charges at once. The charge of an input spike does not
        depend on it.
    refractory_period
        Steps after an output spike in which the neuron stays at rest.
    reset_potential
        After an output spike, as a fraction of the resting threshold; below 1.
    theta_step
        What the adaptive thresholds theta of all neurons together gain in a presentation with the
        wanted number of output spikes; the resting threshold is 13. Each neuron has its own theta
        while learning; in inference all have the mean.
    theta_time_constant
        Of the adaptive threshold's decay while learning, steps; inf keeps it.
    inhibition
        What an output spike takes from the potential of every other neuron, as a fraction of the
        resting threshold; inf: the neuron furthest above its threshold is the only one to spike and
        resets all.
    output_spikes
        Wanted while learning, relative to the rule's own number, by the level of all thresholds.
    inference_spikes
        How many times as many output spikes inference aims for as learning does, by thresholds as
        many times lower: more votes from the same input.
    inhibitory_layer
        False: directly; True: by an inhibitory neuron for each excitatory one, a step later (Diehl
        and Cook 2015). Takes a finite inhibition.
    enhancement
        True: thresholds, input rate and the steps of theta and of learning follow T in closed form,
        and the thresholds' gain follows the output spikes while learning. False: all of them stay
        what they are at T = 350 (and the gain what it is at first), as where T is cut and nothing
        else.

    Raises
    ------
    EngineError
        Naming the field, its value and what is accepted.
    """

    membrane_time_constant: float = 100.0
    synaptic_time_constant: float = 0.0
    refractory_period: int = 0
    reset_potential: float = 0.0
    theta_step: float = 8.0
    theta_time_constant: float = math.inf
    inhibition: float = math.inf
    output_spikes: float = 1.0
    inference_spikes: float = 1.0
    inhibitory_layer: bool = False
    enhancement: bool = True

    def __post_init__(self) -> None:
        for name, accepted, holds in (
            ('membrane_time_constant', 'above 0', lambda v: v > 0),
            ('synaptic_time_constant', 'of 0 or more, finite', lambda v: 0 <= v < math.inf),
            ('reset_potential', 'of -1e6 to below 1', lambda v: -1e6 <= v < 1),
            ('theta_step', 'of 0 to 1e6', lambda v: 0 <= v <= 1e6),
            ('theta_time_constant', 'above 0', lambda v: v > 0),
            ('inhibition', 'of 0 to 1e6, or inf', lambda v: 0 <= v <= 1e6 or v == math.inf),
            ('output_spikes', 'above 0, finite', lambda v: 0 < v < math.inf),
            ('inference_spikes', 'above 0, finite', lambda v: 0 < v < math.inf),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real) or not holds(value):
                raise EngineError(f'{name} is {value!r}, accepted is a number {accepted}')
            object.__setattr__(self, name, float(value))
        period = require_integer('refractory_period', self.refractory_period, 0, MAX_TIMESTEPS)
        object.__setattr__(self, 'refractory_period', period)
        for name in ('inhibitory_layer', 'enhancement'):
            if not isinstance(getattr(self, name), bool):
                raise EngineError(f'{name} is {getattr(self, name)!r}, accepted is True or False')
        if self.inhibitory_layer and self.inhibition == math.inf:
            raise EngineError(
                'inhibition is inf, accepted with an inhibitory layer is a finite number'
            )


@dataclass(frozen=True)
class NetworkConfig:
    """What a network is made of.

    Parameters
    ----------
    inputs
        Values of a sample: pixels, or features of an encoder.
    neurons
        Excitatory neurons, the most that can ever be in use.
    rule
        How the network learns. 'recruiting': non-leaky neurons, one-shot recruitment of fresh
        neurons for what is novel or was misclassified, weights of unit L2 norm. Learns from the
        first frame. 'pairwise', 'adaptive', 'triplet', 'modulated': leaky integrate-and-fire
        neurons and STDP that depends on the weight (after Diehl and Cook 2015), of SpikeDyn (Putra
        and Shafique 2021), of triplets of spikes (Pfister and Gerstner 2006), with labels as
        reward.
    max_input_rate
        The rate limit of the input, in spikes a step of a sample of unit norm: pixel i spikes
        min(1, rate x_i / norm) times a step. The rate is the count-preserving one, which has the
        spikes of 350 steps in however many there are (see `input_rate`), or this limit if that is
        lower: then fewer timesteps mean fewer spikes, less energy and less accuracy. 0.57 is what
        63.75 Hz for a full pixel (Diehl and Cook 2015) comes to on handwritten digits, some 6.5
        spikes a step of all pixels together. The default, 9, is where most pixels of a digit spike
        at every step: a single step then says most of what there is to see, so that any T may
        follow any other. math.inf: the same. A higher one, up to 25, levels what is bright: it
        suits filled shapes, and takes shading from blurred strokes.
    seed
        Of the initial weights (STDP), of the chance that neurons are merged (recruiting) and of
        Bernoulli spikes, 0 to 2**63 - 1.
    coding
        How pixels become spikes. 'rate_regular': evenly spaced spikes. 'rate_bernoulli': a trial a
        step (a Poisson process in discrete time). 'constant_current': the expected current instead
        of spikes. 'latency': one spike a pixel (time to first spike), the brighter the earlier,
        whatever the rate.
    normalisation
        Norm of a sample. 'l2': its L2 norm, so that contrast does not matter.
        'full_scale': 255, with max_input_rate in spikes a step of a full pixel (0.06375).
    supervised
        Whether labels guide the learning of the recruiting rule, or the read-out alone. They always
        guide 'modulated', and no other rule.
    neuron
        The dynamics under STDP. The recruiting rule has its own and takes the default only.
    encoder
        What turns pictures into features that are learned in the place of pixels. A FeaturesConfig:
        samples are pictures, whose spiking features the network sees after as many steps as it is
        itself presented with; to learn them, after 64 at least. A text: samples are features of
        another network, frozen, which it tells from others: what was learned on one means nothing
        to another. Empty: none. Features take the normalisation 'l2'.

    Raises
    ------
    EngineError
        Naming the field, its value and what is accepted.
    """

    inputs: int = 784
    neurons: int = 400
    rule: str = 'recruiting'
    max_input_rate: float = 9.0
    seed: int = 0
    coding: str = 'rate_regular'
    normalisation: str = 'l2'
    supervised: bool = True
    neuron: NeuronConfig = field(default_factory=NeuronConfig)
    encoder: FeaturesConfig | str = ''

    def __post_init__(self) -> None:
        # NumPy scalars become Python ones, which compare, print and are stored alike everywhere.
        for name, low, high in (
            ('inputs', 1, MAX_WEIGHTS),
            ('neurons', 1, MAX_WEIGHTS),
            ('seed', 0, 2**63 - 1),
        ):
            object.__setattr__(self, name, require_integer(name, getattr(self, name), low, high))
        # A DiscriminantConfig has features as well, but is a network of its own.
        if type(self.encoder) is not FeaturesConfig and not isinstance(self.encoder, str):
            raise EngineError(f'encoder is {self.encoder!r}, accepted is text or a FeaturesConfig')
        if isinstance(self.encoder, FeaturesConfig) and self.inputs != self.encoder.inputs:
            raise EngineError(
                f'inputs is {self.inputs}, accepted with {self.encoder} is {self.encoder.inputs}'
            )
        if self.input_neurons * self.neurons > MAX_WEIGHTS:
            raise EngineError(
                f'inputs x neurons is {self.input_neurons} x {self.neurons}, '
                f'accepted is a product of at most {MAX_WEIGHTS}'
            )
        for name, choices in (
            ('rule', RULES),
            ('coding', CODINGS),
            ('normalisation', tuple(NORMALISATIONS)),
        ):
            if getattr(self, name) not in choices:
                raise EngineError(
                    f'{name} is {getattr(self, name)!r}, accepted is one of {", ".join(choices)}'
                )
        if self.encoder and self.normalisation != 'l2':
            raise EngineError(
                f'normalisation is {self.normalisation!r}, accepted with an encoder is l2'
            )
        rate = self.max_input_rate
        if isinstance(rate, bool) or not isinstance(rate, Real) or not rate > 0:
            raise EngineError(
                f'max_input_rate is {rate!r}, accepted is a number above 0 (inf: unlimited)'
            )
        object.__setattr__(self, 'max_input_rate', float(rate))
        if not isinstance(self.supervised, bool):
            raise EngineError(f'supervised is {self.supervised!r}, accepted is True or False')
        if not isinstance(self.neuron, NeuronConfig):
            raise EngineError(f'neuron is {self.neuron!r}, accepted is a NeuronConfig')
        if self.rule == 'recruiting' and self.neuron != NeuronConfig():
            raise EngineError(
                f'neuron is {self.neuron}, accepted with the recruiting rule is the default'
            )

    # Fields that say what is learned in which arrays.
    SHAPING = 'encoder', 'inputs', 'neurons', 'rule'

    @property
    def input_neurons(self) -> int:
        """One for each pixel, or for each feature of an encoder."""
        return self.encoder.features if isinstance(self.encoder, FeaturesConfig) else self.inputs

    @property
    def largest_array(self) -> tuple[str, tuple[int, ...]]:
        """Name and shape, of what a network learns."""
        return 'weights', (self.input_neurons, self.neurons)

    @property
    def highest_rate(self) -> float:
        """Of the input at T = 1, spikes a step of a sample of unit norm."""
        return input_rate(1, self.max_input_rate, self.normalisation)


@dataclass(frozen=True)
class FeaturesConfig:
    """A layer of spiking features of pictures.

    Parameters
    ----------
    side
        Of the picture, pixels, an even number.
    channels
        1: grey. 3: red, green, blue.
    edge_filters, surface_filters
        Filters of 5 x 5 pixels that see contrast, and of 3 x 3 at half the resolution that see
        light and colour; multiples of 16.
    cells
        A side of the grid that what they see is pooled in.

    Raises
    ------
    EngineError
        Naming the field, its value and what is accepted.
    """

    side: int = 48
    channels: int = 3
    edge_filters: int = 64
    surface_filters: int = 32
    cells: int = 3

    def __post_init__(self) -> None:
        for name, accepted in (
            ('side', range(28, 65, 2)),
            ('channels', range(1, 4, 2)),
            ('edge_filters', range(16, 65, 16)),
            ('surface_filters', range(16, 33, 16)),
            ('cells', range(1, 9)),
        ):
            value = require_integer(name, getattr(self, name), accepted[0], accepted[-1])
            if value not in accepted:
                raise EngineError(f'{name} is {value}, accepted is {_named(accepted)}')
            object.__setattr__(self, name, value)

    SHAPING = 'side', 'channels', 'edge_filters', 'surface_filters', 'cells'

    @property
    def inputs(self) -> int:
        """Values of a picture."""
        return self.side**2 * self.channels

    @property
    def features(self) -> int:
        """How many features a picture has."""
        return self.cells**2 * (self.edge_filters + self.surface_filters)


@dataclass(frozen=True)
class DiscriminantConfig(FeaturesConfig):
    """A layer of spiking features and a linear discriminant that reads them out.

    Parameters
    ----------
    clutter
        How much made-up backgrounds count while learning, as a share of what is learned, 0 to 1.
        The more, the better are objects known before backgrounds that were never seen; a little
        is lost where the background is always the same. 0: none.

    The others are those of the features.

    Raises
    ------
    EngineError
        Naming the field, its value and what is accepted.
    """

    clutter: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        clutter = self.clutter
        if isinstance(clutter, bool) or not isinstance(clutter, Real) or not 0 <= clutter <= 1:
            raise EngineError(f'clutter is {clutter!r}, accepted is a number from 0 to 1')
        object.__setattr__(self, 'clutter', float(clutter))

    @property
    def largest_array(self) -> tuple[str, tuple[int, ...]]:
        """As of NetworkConfig."""
        return 'precision', (self.features, self.features)


@dataclass(frozen=True)
class EncodedConfig:
    """A linear discriminant that reads out the features of an encoder: another network, frozen.

    Parameters
    ----------
    inputs
        Features of the encoder.
    encoder
        What tells this encoder from others: what was learned on one means nothing to another.

    Raises
    ------
    EngineError
        Naming the field, its value and what is accepted.
    """

    inputs: int = 1280
    encoder: str = ''

    def __post_init__(self) -> None:
        inputs = require_integer('inputs', self.inputs, 1, MAX_ENCODED)
        object.__setattr__(self, 'inputs', inputs)
        if not isinstance(self.encoder, str):
            raise EngineError(f'encoder is {self.encoder!r}, accepted is text')

    SHAPING = 'inputs', 'encoder'

    @property
    def largest_array(self) -> tuple[str, tuple[int, ...]]:
        """As of NetworkConfig."""
        return 'precision', (self.features, self.features)

    @property
    def features(self) -> int:
        """That are read out: those of the encoder, and up to a multiple of 16 some that are 0."""
        return -(-self.inputs // 16) * 16


AnyConfig = NetworkConfig | DiscriminantConfig | EncodedConfig


def input_rate(
    timesteps: int, max_input_rate: float = math.inf, normalisation: str = 'l2'
) -> float:
    """Expected spikes a step of a unit-norm sample presented for `timesteps` steps.

    The rate rises as the timestep shrinks, so that the number of spikes is preserved, until it
    meets the limit: of the configuration, or without one the saturated rate.
    """
    norm = NORMALISATIONS[normalisation]
    limit = norm.saturated_rate if max_input_rate == math.inf else float(max_input_rate)
    return min(limit, norm.preserved_spikes / timesteps)


def require_integer(name: str, value: object, low: int, high: int) -> int:
    """`value` as an int; EngineError if it is none from `low` to `high`."""
    if type(value) is int and low <= value <= high:  # the usual case, told at once
        return value
    if isinstance(value, bool) or not isinstance(value, Integral) or not low <= int(value) <= high:
        raise EngineError(f'{name} is {value!r}, accepted is an integer from {low} to {high}')
    return int(value)


def _named(accepted: range) -> str:
    """`one of 16, 32, 48 and 64`."""
    *first, last = map(str, accepted)
    return f'one of {", ".join(first)} and {last}'
