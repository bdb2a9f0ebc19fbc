"""What every network has in common: the interface, checked inputs, state that can be kept."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from numbers import Real
from typing import Generic, Protocol, TypeVar

import numpy as np

from .configuration import (
    MAX_CLASSES,
    MAX_TIMESTEPS,
    require_integer,
)
from .errors import EngineError
from .kernels import encoding
from .presenting import Presenter
from .values import OperationCounts, Response, Responses, SpikeTrain

Layout = dict[str, tuple[np.dtype, tuple[int, ...]]]  # type and shape of arrays by name
CACHE_LINE = 64  # bytes
NO_RASTER = np.empty((0, 2), np.int32)
NO_LABEL = np.full(1, -1)
FLOAT32 = np.dtype(np.float32)
PIXEL_TYPES = np.dtype(np.uint8), FLOAT32


class State(Protocol):
    """A named tuple of arrays: all that a network learns."""

    @property
    def weights(self) -> np.ndarray:
        """(inputs, neurons)."""

    @property
    def class_frames(self) -> np.ndarray:
        """(classes,) int64: labelled frames of each class."""

    @property
    def _fields(self) -> tuple[str, ...]: ...

    def __iter__(self) -> Iterator[np.ndarray]: ...

    def _asdict(self) -> dict[str, np.ndarray]: ...

    def _replace(self: S, *, weights: np.ndarray = ..., class_frames: np.ndarray = ...) -> S: ...


class Config(Protocol):
    """A frozen dataclass of scalars."""

    @property
    def inputs(self) -> int:
        """Values of a sample."""


S = TypeVar('S', bound=State)
C = TypeVar('C', bound=Config)


class InferenceNetwork(Generic[C, S]):
    """A spiking network that classifies. Nothing of its state changes.

    The timestep may change from one presentation to the next: thresholds follow in closed form
    and nothing is relabelled. Same network, sample and timestep give the same result to the last
    bit. Kernels release the interpreter lock.
    """

    def __init__(self, config: C, present: Presenter, state: S) -> None:
        self._config = config
        self._present = present
        self._hold(state)

    def _hold(self, state: S) -> None:
        """Continue from this state, with a copy of its weights that is fast to read."""
        self._state = state._replace(weights=aligned(state.weights))

    @property
    def config(self) -> C:
        """The configuration, frozen."""
        return self._config

    @property
    def classes(self) -> int:
        """Classes that the read-out tells apart, which is the highest label seen plus one."""
        return self._state.class_frames.size

    @property
    def class_frames(self) -> np.ndarray:
        """Labelled frames that were learned of each class, (classes,) int64; a copy."""
        return self._state.class_frames.copy()

    @property
    def memory_bytes(self) -> int:
        """Memory of everything that the network has learned."""
        return sum(array.nbytes for array in self._state)

    def infer(
        self, sample: np.ndarray | SpikeTrain, timesteps: int, margin: float = math.inf
    ) -> Response:
        """Classify one sample.

        Parameters
        ----------
        sample
            (inputs,) uint8 or float32, intensities >= 0: of any scale with 'l2' normalisation, 0 to
            255 with 'full_scale'. Or a SpikeTrain. A sample without any intensity or spike gives no
            output spike and no prediction.
        timesteps
            Steps of 1 ms of network time, 1 to 10000.
        margin
            The presentation ends as soon as the strongest class leads by this much: under STDP
            output spikes, with the recruiting rule the difference of scores. inf: never.

        Raises
        ------
        EngineError
            For any other input.
        """
        steps = require_integer('timesteps', timesteps, 1, MAX_TIMESTEPS)
        return self._present_one(
            *self._require_sample(sample, steps), steps, False, -1, require_margin(margin)
        )

    def infer_many(
        self,
        samples: np.ndarray,
        timesteps: int,
        margin: float = math.inf,
        threads: int = 1,
    ) -> Responses:
        """Classify samples, each as `infer` does, in one call.

        Parameters
        ----------
        samples
            (samples, inputs) uint8 or float32, each as of `infer`.
        timesteps, margin
            As of `infer`.
        threads
            Threads that share the samples; results do not depend on it.

        Raises
        ------
        EngineError
            For any other input.
        """
        pixels = self._require_pixels(samples, 2)
        steps = require_integer('timesteps', timesteps, 1, MAX_TIMESTEPS)
        threads = require_integer('threads', threads, 1, 1024)
        margin = require_margin(margin)
        labels = np.full(len(pixels), -1)
        if threads == 1 or len(pixels) == 0:
            return self._present_many(pixels, steps, False, labels, margin)
        shares = [share for share in np.array_split(pixels, threads) if len(share)]
        with ThreadPoolExecutor(threads) as pool:
            parts = list(
                pool.map(
                    lambda share: self._present_many(share, steps, False, labels, margin), shares
                )
            )
        return Responses(*map(np.concatenate, zip(*parts)))

    def raster(self, sample: np.ndarray | SpikeTrain, timesteps: int) -> SpikeTrain:
        """The output spikes of a presentation as `infer` makes it: their steps and neurons."""
        steps = require_integer('timesteps', timesteps, 1, MAX_TIMESTEPS)
        pixels, spikes = self._require_sample(sample, steps)
        count = self._present_one(pixels, spikes, steps, False, -1, math.inf).counts.output_spikes
        raster = np.full((count, 2), -1, np.int32)
        self._present_many(pixels[np.newaxis], steps, False, NO_LABEL, math.inf, spikes, raster)
        return SpikeTrain(*raster[raster[:, 0] >= 0].T)  # filters' currents count, and have no step

    def _present_many(
        self,
        pixels: np.ndarray,
        timesteps: int,
        learning: bool,
        labels: np.ndarray,
        margin: float,
        spikes: tuple | None = None,
        raster: np.ndarray = NO_RASTER,
    ) -> Responses:
        """Call the kernel. spikes: (start, source) of the one sample that is given in spikes."""
        scores, grounds, outcomes = self._call(
            pixels, timesteps, learning, labels, margin, spikes, raster
        )
        evidence, novelty = grounds.T
        return Responses(scores, outcomes[:, 0], evidence, novelty, outcomes[:, 1], outcomes[:, 2:])

    def _present_one(
        self,
        pixels: np.ndarray,
        spikes: tuple | None,
        timesteps: int,
        learning: bool,
        label: int,
        margin: float,
    ) -> Response:
        labels = NO_LABEL if label < 0 else np.array([label])
        scores, grounds, outcomes = self._call(
            pixels.reshape(1, -1), timesteps, learning, labels, margin, spikes
        )
        predicted, steps, *counts = outcomes[0].tolist()
        evidence, novelty = grounds[0].tolist()
        return Response(
            scores[0],
            None if predicted < 0 else predicted,
            evidence,
            novelty,
            steps,
            OperationCounts._make(counts),
        )

    def _call(
        self,
        pixels: np.ndarray,
        timesteps: int,
        learning: bool,
        labels: np.ndarray,
        margin: float,
        spikes: tuple | None,
        raster: np.ndarray = NO_RASTER,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Call the kernel; scores, grounds, and all the rest that it tells of each sample."""
        scores = np.empty((len(pixels), self._state.class_frames.size), FLOAT32)
        grounds = np.empty((len(pixels), 2), FLOAT32)
        outcomes = np.empty((len(pixels), 7), np.int64)
        self._present(
            self._state,
            pixels,
            spikes,
            timesteps,
            learning,
            labels,
            margin,
            scores,
            grounds,
            outcomes,
            raster,
        )
        return scores, grounds, outcomes

    def _require_sample(self, sample: object, timesteps: int) -> tuple[np.ndarray, tuple | None]:
        """Pixels, and spikes if the sample is a SpikeTrain; the pixels are black then."""
        if isinstance(sample, SpikeTrain):
            black = np.zeros(self._config.inputs, np.float32)
            return black, self._require_spikes(sample, timesteps)
        return self._require_pixels(sample, 1), None

    def _require_pixels(self, pixels: object, dimensions: int) -> np.ndarray:
        """A float32 copy, so that kernels see one type only (never a read-only buffer)."""
        shape = (self._config.inputs,)
        if (
            not isinstance(pixels, np.ndarray)
            or pixels.ndim != dimensions
            or pixels.shape[-1:] != shape
            or pixels.dtype not in PIXEL_TYPES
        ):
            got = type(pixels).__name__
            if isinstance(pixels, np.ndarray):
                got = f'{pixels.dtype} of shape {pixels.shape}'
            accepted = shape if dimensions == 1 else f'(samples, {shape[0]})'
            raise EngineError(f'pixels is {got}, accepted is uint8 or float32 of shape {accepted}')
        copy = pixels.astype(FLOAT32, order='C')
        if pixels.dtype == FLOAT32 and not encoding.acceptable(copy.reshape(-1)):
            raise EngineError('pixels has a negative or non-finite value, accepted is finite >= 0')
        return copy

    def _require_spikes(self, train: SpikeTrain, timesteps: int) -> tuple[np.ndarray, np.ndarray]:
        """The train as kernels take it: where each step's spikes start, and the inputs."""
        arrays = [np.asarray(array) for array in train]
        for name, array, limit in zip(SpikeTrain._fields, arrays, (timesteps, self._config.inputs)):
            if array.ndim != 1 or array.dtype.kind not in 'iu':
                raise EngineError(
                    f'spikes {name} is {array.dtype} of shape {array.shape}, '
                    'accepted are integers of one dimension'
                )
            if array.size and not (array.min() >= 0 and array.max() < limit):
                raise EngineError(f'spikes {name} is out of range, accepted is 0 to {limit - 1}')
        steps, neurons = arrays
        if steps.size != neurons.size:
            raise EngineError(
                f'spikes are {steps.size} steps and {neurons.size} neurons, accepted is as many '
                'of each'
            )
        if (np.diff(steps.astype(np.int64)) < 0).any():
            raise EngineError('spikes steps go back, accepted is ascending')
        start = np.searchsorted(steps, np.arange(timesteps + 1))
        return start.astype(np.int32), neurons.astype(np.int32)


class Network(InferenceNetwork[C, S], ABC):
    """A spiking network that learns online, one sample at a time.

    Same configuration and same calls give the same results to the last bit. Not for use by two
    threads at once.
    """

    def __init__(self, config: C, present: Presenter) -> None:
        super().__init__(config, present, self._initial_state(config))

    @property
    @abstractmethod
    def recruited_neurons(self) -> int:
        """Neurons in use. Only these integrate, compete and cost anything."""

    @property
    @abstractmethod
    def labelled_neurons(self) -> int:
        """Neurons that hold votes for some class."""

    def learn(
        self,
        sample: np.ndarray | SpikeTrain,
        timesteps: int,
        label: int | None = None,
        margin: float = math.inf,
    ) -> Response:
        """Present one sample with learning on.

        The response is a prediction made before the label was used. With the recruiting rule and
        the discriminant it is made before this sample changed anything; under STDP weights change
        at output spikes, so earlier ones of the same presentation have had their effect. A layer on
        spiking features makes it of those that it learns, of 64 steps or more. Its scores
        are over the classes known before. Its evidence and novelty are those of the most likely
        class other than the label: what they would be if the label's class had never been taught. A
        sample without input spikes teaches nothing.

        Parameters
        ----------
        sample, timesteps, margin
            As of `infer`.
        label
            Class index 0 to 999, None if unknown. A label >= classes grows the read-out.

        Raises
        ------
        EngineError
            With nothing changed, for any other input.
        """
        steps = require_integer('timesteps', timesteps, 1, MAX_TIMESTEPS)
        label = -1 if label is None else require_integer('label', label, 0, MAX_CLASSES - 1)
        margin = require_margin(margin)
        pixels, spikes = self._require_sample(sample, steps)
        known = self.classes
        if label >= known and (spikes[1].size if spikes else self._shows(pixels).item()):
            self._grow_readout(label + 1)
        response = self._present_one(pixels, spikes, steps, True, label, margin)
        return response._replace(scores=response.scores[:known])

    def learn_many(
        self,
        samples: np.ndarray,
        timesteps: int,
        labels: np.ndarray | None = None,
        margin: float = math.inf,
    ) -> Responses:
        """Learn samples one after the other, as `learn` does, in one call.

        Scores are over all classes known at the end.

        Parameters
        ----------
        samples
            (samples, inputs) uint8 or float32, each as of `infer`.
        timesteps, margin
            As of `infer`.
        labels
            (samples,) integers, -1 for no label; None for no labels at all.

        Raises
        ------
        EngineError
            With nothing changed, for any other input.
        """
        pixels = self._require_pixels(samples, 2)
        steps = require_integer('timesteps', timesteps, 1, MAX_TIMESTEPS)
        margin = require_margin(margin)
        labels = np.full(len(pixels), -1) if labels is None else np.asarray(labels)
        if labels.shape != (len(pixels),) or labels.dtype.kind not in 'iu':
            raise EngineError(
                f'labels is {labels.dtype} of shape {labels.shape}, accepted are integers of '
                f'shape ({len(pixels)},)'
            )
        if labels.size and not (labels.min() >= -1 and labels.max() < MAX_CLASSES):
            raise EngineError(
                f'labels are {labels.min()} to {labels.max()}, accepted is -1 (none) to '
                f'{MAX_CLASSES - 1}'
            )
        labels = labels.astype(np.int64)
        classes = int(labels.max(initial=-1, where=self._shows(pixels))) + 1
        if classes > self.classes:
            self._grow_readout(classes)
        return self._present_many(pixels, steps, True, labels, margin)

    def forget_class(self, index: int) -> None:
        """Be as if nothing had ever been labelled with this class; those behind it move up by one.

        It is never predicted again, and what is taught under its name later starts from nothing.
        What was learned of all samples alike stays, whatever their labels: the filters, the scatter
        that classes of the discriminant have in common, weights and thresholds under STDP. None of
        it speaks for a class.

        Parameters
        ----------
        index
            0 to classes - 1.

        Raises
        ------
        EngineError
            With nothing changed, for a class that there is not.
        """
        index = require_integer('index', index, 0, MAX_CLASSES - 1)
        if index >= self.classes:
            raise EngineError(f'index is {index}, accepted is below the {self.classes} classes')
        self._hold(self._without_class(index))

    def reset(self) -> None:
        """Back to the untrained network of the configured seed."""
        self._hold(self._initial_state(self._config))

    def quantised(self) -> InferenceNetwork[C, S]:
        """A copy for inference with int8 weights: a quarter of the memory to hold and to read.

        Each neuron's weights are rounded to 127 parts of its largest one.
        """
        stored = self._state.weights
        parts = stored.max(axis=0) / np.float32(127)
        rounded = np.rint(stored / np.where(parts > 0, parts, 1)).astype(np.int8)
        state = self._with_weights(rounded, parts)
        state = state._replace(**{name: a.copy() for name, a in state._asdict().items()})
        return InferenceNetwork(self._config, self._present, state)

    @abstractmethod
    def receptive_fields(self) -> np.ndarray:
        """A copy of the input weights of the neurons in use, (neurons in use, inputs) float32."""

    @abstractmethod
    def experience(self) -> np.ndarray:
        """How much each neuron in use has stood for, (neurons in use,), in units of the rule."""

    def state(self) -> dict[str, np.ndarray]:
        """A copy of everything that `learn` changes, by name."""
        return {name: array.copy() for name, array in self._state._asdict().items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continue from what `state()` returned, to the last bit; the arrays are copied.

        Raises
        ------
        EngineError
            With nothing changed, if an array is missing, unknown, of another shape or type, or
            holds values that no network of this configuration can reach.
        """
        given = {name: np.asarray(array) for name, array in state.items()}
        self.check_layout({name: (array.dtype, array.shape) for name, array in given.items()})
        for name, array in given.items():
            if array.dtype.kind == 'f' and not np.isfinite(array).all():
                raise EngineError(f'state {name} is not finite')
            if array.dtype.kind != 'u' and name not in self._signed and (array < 0).any():
                raise EngineError(f'state {name} is negative, accepted is >= 0')
        candidate = self._state._replace(**{name: a.copy() for name, a in given.items()})
        self._check_state(candidate)
        self._hold(candidate)

    def check_layout(self, layout: Layout) -> None:
        """EngineError unless `restore` takes arrays of these types and shapes."""
        expected = self._state
        if set(layout) != set(expected._fields):
            raise EngineError(
                f'state holds {sorted(layout)}, accepted is {sorted(expected._fields)}'
            )
        for name, array in expected._asdict().items():
            given_dtype, given_shape = layout[name]
            shape = array.shape
            if name in self._per_class:
                axis = self._per_class[name]
                given_classes = given_shape[axis] if len(given_shape) == array.ndim else 0
                shape = _with_axis(shape, axis, min(given_classes, MAX_CLASSES))
            types = self._types.get(name, (array.dtype,))
            if given_dtype not in types or given_shape != shape:
                raise EngineError(
                    f'state {name} is {given_dtype} of shape {given_shape}, '
                    f'accepted is {" or ".join(map(str, types))} of shape {shape}'
                )
        if len({layout[name][1][axis] for name, axis in self._per_class.items()}) != 1:
            raise EngineError(f'state {" and ".join(self._per_class)} differ in their classes')

    # What the rules differ in.

    _per_class: Mapping[str, int]  # state arrays with an axis of the classes, and which it is
    _signed: tuple[str, ...] = ()  # state arrays that may be negative
    _types: Mapping[str, tuple[np.dtype, ...]] = {}  # of state arrays that may be of several

    @staticmethod
    @abstractmethod
    def _initial_state(config: C) -> S:
        """The untrained state, a named tuple of arrays."""

    @abstractmethod
    def _check_state(self, state: S) -> None:
        """Raise EngineError if a state with the right shapes contradicts itself."""

    @abstractmethod
    def _with_weights(self, weights: np.ndarray, parts: np.ndarray) -> S:
        """The state with other stored weights, which are the present ones over `parts`."""

    def _shows(self, pixels: np.ndarray) -> np.ndarray:
        """Whether there is anything in a sample to learn, bool, for each of `pixels`."""
        return np.asarray(pixels.any(axis=-1))

    def _without_class(self, index: int) -> S:
        """The state without what a class has of its own."""
        return self._state._replace(
            **{
                name: np.delete(getattr(self._state, name), index, axis)
                for name, axis in self._per_class.items()
            }
        )

    def _grow_readout(self, classes: int) -> None:
        grown = {}
        for name, axis in self._per_class.items():
            array = getattr(self._state, name)
            more = _with_axis(array.shape, axis, classes - array.shape[axis])
            grown[name] = np.concatenate((array, np.zeros(more, array.dtype)), axis)
        self._state = self._state._replace(**grown)


def _with_axis(shape: tuple[int, ...], axis: int, length: int) -> tuple[int, ...]:
    """The shape with another length of one axis."""
    lengths = list(shape)
    lengths[axis] = length
    return tuple(lengths)


def aligned(array: np.ndarray) -> np.ndarray:
    """A copy that starts at a cache line: else every vector read from it may touch two of them."""
    memory = np.empty(array.nbytes + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[:] = array
    return copy


def require_margin(value: object) -> float:
    """`value` as a margin of early exit; EngineError if it is none."""
    if type(value) is float and value > 0:  # the usual case, told at once
        return value
    if isinstance(value, bool) or not isinstance(value, Real) or not float(value) > 0:
        raise EngineError(f'margin is {value!r}, accepted is a number above 0 (inf: never)')
    return float(value)
