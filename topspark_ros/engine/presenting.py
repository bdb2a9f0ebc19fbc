"""How samples reach a network: at the rates of pixels or of features, or as given spikes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from .configuration import NORMALISATIONS, FeaturesConfig, NetworkConfig, input_rate
from .errors import EngineError
from .filters import in_float32
from .kernels import encoding
from .kernels.seeing import Filters, see_pictures
from .values import OperationCounts

CODING_NUMBERS = dict(
    rate_regular=encoding.RATE_REGULAR,
    rate_bernoulli=encoding.RATE_BERNOULLI,
    constant_current=encoding.CONSTANT_CURRENT,
    latency=encoding.LATENCY,
)
NORMALISATION_NUMBERS = dict(l2=encoding.L2_NORM, full_scale=encoding.FULL_SCALE)
ACTIVE_SHARE = 0.19  # of the inputs: pixels of a digit that are not black
NO_SPIKES = np.empty(0, np.int32)


class Presenter(Protocol):
    """Presents samples to a network in some state, one after the other.

    state: of the network, a named tuple of arrays; changed where learning.
    pixels: (samples, inputs) float32.
    spikes: of the only sample, where each step's begin and the inputs that they come from, int32;
        None: of the pixels.
    rest: whether to learn, bool; labels, (samples,) int64, -1 for none; margin of early exit; and
        to be filled: scores, (samples, classes) float32; grounds, (samples, 2) float32, evidence
        and novelty of a Response; outcomes, (samples, 7) int64, predicted class or -1, timesteps,
        and OperationCounts; raster, (spikes, 2) int32, steps and neurons of the first output spikes
        of the only sample.
    """

    def __call__(
        self,
        state: Any,
        pixels: np.ndarray,
        spikes: tuple[np.ndarray, np.ndarray] | None,
        timesteps: int,
        *rest: Any,
    ) -> None: ...


class RatePresenter:
    """Presents pixels as spikes at their rates, or given spikes.

    kernel: of the rule. settings: of the rule, as its kernel's model takes them.
    """

    def __init__(self, config: NetworkConfig, kernel: Callable, settings: tuple) -> None:
        self._config = config
        self._kernel = kernel
        settings = (NORMALISATION_NUMBERS[config.normalisation], *settings)
        self._model = np.array((CODING_NUMBERS[config.coding], *settings), np.float64)
        self._model_given_spikes = np.array((encoding.GIVEN, *settings), np.float64)
        self._phases = encoding.spike_phases(config.input_neurons)
        self._input = 0, (math.nan, math.nan)  # timesteps, and what follows of them

    def __call__(
        self,
        state: Any,
        pixels: np.ndarray,
        spikes: tuple[np.ndarray, np.ndarray] | None,
        timesteps: int,
        *rest: Any,
    ) -> None:
        self._kernel(
            self._model if spikes is None else self._model_given_spikes,
            *state,
            self._phases,
            pixels,
            *(spikes or (NO_SPIKES, NO_SPIKES)),
            *self._input_of(timesteps),
            timesteps,
            *rest,
        )

    def _input_of(self, timesteps: int) -> tuple[float, float]:
        """Spikes a step, and in all, that are expected of a sample; known from the last call."""
        known, numbers = self._input
        if known != timesteps:
            numbers = expected_input(self._config, timesteps)
            self._input = timesteps, numbers
        return numbers


def expected_input(config: NetworkConfig, timesteps: int) -> tuple[float, float]:
    """Of pixels: the rate, in spikes a step of a sample of unit norm, and the spikes in all of a
    typical sample."""
    reference = timesteps if config.neuron.enhancement else encoding.FULL_TIMESTEPS
    rate = input_rate(reference, config.max_input_rate, config.normalisation)
    if config.coding == 'latency':
        return rate, ACTIVE_SHARE * config.input_neurons
    return rate, rate * reference * NORMALISATIONS[config.normalisation].spread


def input_spikes(config: NetworkConfig, pixels: np.ndarray, timesteps: int) -> np.ndarray:
    """The spikes that a sample is presented by, (timesteps, inputs) bool: for other simulators.

    Parameters
    ----------
    config
        With the coding 'rate_regular', of pixels or of an ONNX file's features.
    pixels
        (inputs,) uint8 or float32, as of `infer`.

    Raises
    ------
    EngineError
        For another coding.
    """
    phases, charge = _phases_and_charge(config, pixels, timesteps)
    gained = phases + np.outer(np.arange(timesteps + 1), charge)
    return np.diff(gained // encoding.PHASE_ONE, axis=0) > 0


def input_spike_counts(config: NetworkConfig, pixels: np.ndarray, timesteps: int) -> np.ndarray:
    """How many spikes each input sends, (inputs,) int64: the sums over the steps of `input_spikes`,
    with the same arguments and errors."""
    phases, charge = _phases_and_charge(config, pixels, timesteps)
    return (phases + timesteps * charge) // encoding.PHASE_ONE


def _phases_and_charge(
    config: NetworkConfig, pixels: np.ndarray, timesteps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Of regular spikes: where each input begins, and what it gains a step, both (inputs,) int64;
    a spike is PHASE_ONE."""
    if config.coding != 'rate_regular' or isinstance(config.encoder, FeaturesConfig):
        raise EngineError(
            f'coding is {config.coding} and encoder {config.encoder or "none"}, accepted are '
            'rate_regular and none, or an ONNX file'
        )
    rate, _ = expected_input(config, timesteps)
    shown = pixels.astype(np.float32)
    norm = encoding.WHITE
    if config.normalisation == 'l2':
        norm = float(np.linalg.norm(shown.astype(np.float64)))
    scale = rate / norm if norm > 0 else 0.0
    charge = (np.minimum(1.0, scale * shown) * encoding.PHASE_ONE + 0.5).astype(np.int64)
    return encoding.spike_phases(config.inputs)[: config.inputs].astype(np.int64), charge


class FeaturePresenter:
    """Presents pictures to a layer that sees their spiking features, both for the same T.

    To learn, it sees those of one T (kernels.seeing). The state: the filters, and then that of the
    layer.
    """

    def __init__(self, config: FeaturesConfig, layer: Presenter) -> None:
        self._config = config
        self._layer = layer

    def __call__(
        self,
        state: Any,
        pixels: np.ndarray,
        spikes: tuple[np.ndarray, np.ndarray] | None,
        timesteps: int,
        *rest: Any,
    ) -> None:
        learning, *_, outcomes, _ = rest
        config, filters = self._config, len(Filters._fields)
        seen = np.empty((len(pixels), config.features), np.float32)
        counts = np.empty((len(pixels), len(OperationCounts._fields)), np.int64)
        see_pictures(
            config.side,
            config.channels,
            config.cells,
            *in_float32(state[:filters]),
            pixels,
            timesteps,
            learning,
            seen,
            counts,
        )
        self._layer(state[filters:], seen, spikes, timesteps, *rest)
        outcomes[:, 2:] += counts
