"""What every network has in common: the interface, checked inputs, state that can be kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from .configuration import (
    MAX_CLASSES,
    NetworkConfig,
    input_rate,
    require_label,
    require_timesteps,
)
from .errors import EngineError
from .kernels import spike_phases


class OperationCounts(NamedTuple):
    """What presentations made the network do, in exact numbers.

    Energy is the sum of each count times the energy of one such operation on the hardware that
    is estimated for.

    input_spikes: spikes of the encoded sample.
    output_spikes: spikes of excitatory neurons.
    synaptic_operations: weights added to a membrane potential, one for every neuron in use and
        every input spike.
    neuron_updates: neurons in use times timesteps. Clocked hardware updates (leaks, compares)
        every neuron at every step; that this engine skips silent steps changes its own running
        time, not what the network would cost there.
    synaptic_updates: weights rewritten by learning, all of a neuron's at a time.
    """

    input_spikes: int = 0
    output_spikes: int = 0
    synaptic_operations: int = 0
    neuron_updates: int = 0
    synaptic_updates: int = 0

    def plus(self, other: OperationCounts) -> OperationCounts:
        """Both counts together (`+` would concatenate the tuples)."""
        return OperationCounts(*(a + b for a, b in zip(self, other)))


class Response(NamedTuple):
    """What the network answers to one presentation.

    scores: (classes,) float32, evidence for each class, each >= 0, their sum at most 1.
    predicted: the class with most evidence, None if there is no evidence for any.
    timesteps: steps that the sample was presented for.
    counts: what it took.
    """

    scores: np.ndarray
    predicted: int | None
    timesteps: int
    counts: OperationCounts


class Network(ABC):
    """A spiking network that learns online, one sample at a time.

    The timestep may change from one presentation to the next: thresholds follow in closed form
    and nothing is relabelled. Same configuration and same calls give the same results to the
    last bit. Not for use by two threads at once; kernels release the interpreter lock.
    """

    def __init__(self, config: NetworkConfig) -> None:
        self._config = config
        self._phases = spike_phases(config.inputs)
        self.reset()

    @property
    def config(self) -> NetworkConfig:
        """The configuration, frozen."""
        return self._config

    @property
    def classes(self) -> int:
        """Classes that the read-out tells apart: the highest label seen plus one."""
        return self._state.class_frames.size

    @property
    @abstractmethod
    def recruited_neurons(self) -> int:
        """Neurons in use: only these integrate, compete and cost anything."""

    @property
    @abstractmethod
    def labelled_neurons(self) -> int:
        """Neurons that hold votes for some class."""

    def infer(self, pixels: np.ndarray, timesteps: int) -> Response:
        """Classify one sample; nothing of the network's state changes.

        pixels: (inputs,) uint8 or float32, intensities >= 0 of any scale: the encoder divides by
            the sample's L2 norm. A sample without any intensity gives no spike and no prediction.
        timesteps: steps of 1 ms of network time, 1 to 10000.

        Raises EngineError, with nothing changed, for any other input.
        """
        sample, steps = self._require_pixels(pixels), require_timesteps(timesteps)
        return self._run(sample, steps, learning=False, label=-1)

    def learn(self, pixels: np.ndarray, timesteps: int, label: int | None = None) -> Response:
        """Present one sample with learning on; pixels and timesteps as in `infer`.

        label: class index 0 to 999, None if unknown. A label >= classes grows the read-out.

        The response is a prediction made before the label was used. With the recruiting rule it
        is made before this sample changed anything; with pair-wise STDP weights change at every
        output spike, so earlier ones of the same presentation have had their effect. Its scores
        are over the classes known before. A sample without input spikes teaches nothing.

        Raises EngineError, with nothing changed, for any other input.
        """
        sample, steps = self._require_pixels(pixels), require_timesteps(timesteps)
        label = require_label(label)
        known = self.classes
        if label >= known and sample.any():
            self._grow_readout(label + 1)
        response = self._run(sample, steps, learning=True, label=label)
        return response._replace(scores=response.scores[:known])

    def reset(self) -> None:
        """Back to the untrained network of the configured seed."""
        self._state = self._initial_state()

    @abstractmethod
    def receptive_fields(self) -> np.ndarray:
        """A copy of the input weights of the neurons in use, (neurons in use, inputs) float32."""

    def state(self) -> dict[str, np.ndarray]:
        """A copy of everything that `learn` changes, by name."""
        return {name: array.copy() for name, array in self._state._asdict().items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continue from what `state()` returned, to the last bit; the arrays are copied.

        Raises EngineError, with nothing changed, if an array is missing, unknown, of another
        shape or type, or holds values that no network of this configuration can reach.
        """
        expected = self._state
        if set(state) != set(expected._fields):
            raise EngineError(
                f'state holds {sorted(state)}, accepted is {sorted(expected._fields)}'
            )
        restored = {}
        for name, array in expected._asdict().items():
            given = np.asarray(state[name])
            shape = array.shape
            if name in self._per_class:
                given_classes = given.shape[-1] if given.ndim else 0
                shape = (*shape[:-1], min(given_classes, MAX_CLASSES))
            if given.dtype != array.dtype or given.shape != shape:
                raise EngineError(
                    f'state {name} is {given.dtype} of shape {given.shape}, '
                    f'accepted is {array.dtype} of shape {shape}'
                )
            if given.dtype.kind != 'u' and not (np.isfinite(given).all() and (given >= 0).all()):
                raise EngineError(f'state {name} is negative or not finite, accepted is >= 0')
            restored[name] = given.copy()
        if len({restored[name].shape[-1] for name in self._per_class}) != 1:
            raise EngineError(f'state {" and ".join(self._per_class)} differ in their classes')
        candidate = type(expected)(**restored)
        self._check_state(candidate)
        self._state = candidate

    # What the rules differ in.

    _per_class: tuple[str, ...]  # state arrays whose last axis is the classes

    @abstractmethod
    def _initial_state(self) -> NamedTuple:
        """The untrained state, a named tuple of arrays."""

    @abstractmethod
    def _check_state(self, state: NamedTuple) -> None:
        """Raise EngineError if a state with the right shapes contradicts itself."""

    @abstractmethod
    def _present(self, *arguments) -> NamedTuple:
        """Call the rule's kernel with what `_run` passes it."""

    def _run(self, sample: np.ndarray, timesteps: int, learning: bool, label: int) -> Response:
        scores = np.empty(self.classes, np.float32)
        rate = input_rate(timesteps, self._config.max_input_rate)
        predicted, *counts = self._present(
            self._state, self._phases, sample, rate, timesteps, learning, label, scores
        )
        return Response(
            scores, None if predicted < 0 else predicted, timesteps, OperationCounts(*counts)
        )

    def _require_pixels(self, pixels: object) -> np.ndarray:
        """A float32 copy, so that kernels see one type only (never a read-only buffer)."""
        shape = (self._config.inputs,)
        if (
            not isinstance(pixels, np.ndarray)
            or pixels.shape != shape
            or pixels.dtype not in (np.uint8, np.float32)
        ):
            got = type(pixels).__name__
            if isinstance(pixels, np.ndarray):
                got = f'{pixels.dtype} of shape {pixels.shape}'
            raise EngineError(f'pixels is {got}, accepted is uint8 or float32 of shape {shape}')
        if pixels.dtype == np.float32 and not (
            np.isfinite(pixels.sum(dtype=np.float64)) and pixels.min() >= 0
        ):
            raise EngineError('pixels has a negative or non-finite value, accepted is finite >= 0')
        return pixels.astype(np.float32)

    def _grow_readout(self, classes: int) -> None:
        grown = {}
        for name in self._per_class:
            array = getattr(self._state, name)
            grown[name] = np.zeros((*array.shape[:-1], classes), array.dtype)
            grown[name][..., : array.shape[-1]] = array
        self._state = self._state._replace(**grown)
