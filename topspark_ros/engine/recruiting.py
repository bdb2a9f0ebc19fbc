"""The network of the recruiting rule."""

from __future__ import annotations

import numpy as np

from .configuration import NetworkConfig
from .errors import EngineError
from .filters import WEIGHTS
from .kernels.prototypes import RecruitingState
from .kernels.recruiting import present_recruiting
from .single_layer import SingleLayer


class RecruitingNetwork(SingleLayer[RecruitingState]):
    """Neurons are recruited one sample at a time.

    The neurons are the limit of leaky integrate-and-fire neurons whose membrane time constant is
    long against a presentation. Because weights have unit L2 norm (synaptic scaling on squares,
    Oja 1982), the potential v = W^T n at the end is the cosine similarity with the spike counts n,
    times |n|. Thresholds are adaptive (theta) and ramp down together; inhibition is direct: the
    twelfth spike ends the presentation.

    Weights learn from the presynaptic traces, which are the rates of the inputs whatever T is, and
    of the neurons that spiked the one most similar to them is the winner. A labelled sample that
    is misclassified, and any sample that is unusually unlike the winner (the vigilance of Carpenter
    and Grossberg 1987, here in running standard deviations), recruits a fresh neuron. It splits off
    the most similar neuron of the sample's class, or the winner where no label guides, halfway
    between that one and the traces. Any other sample attracts the winner: a running mean, with a
    floor for drifting scenes. When all neurons are in use, a new one is made by merging the two
    that it costs least (Ward 1963), which forgets nothing; or the right neuron is attracted and the
    wrong one repelled (as in learning vector quantisation, Kohonen 1990). Samples without spikes do
    none of this.

    Each neuron counts the labels that it won for, which are its evidence; a linear read-out that
    learns by the delta rule is added. Unless the network is `supervised`, labels do nothing else.
    """

    _per_class = dict(label_counts=1, readout_weights=1, fast_readout_weights=1, class_frames=0)
    _per_neuron = dict(
        weights=1,
        scale=0,
        label_counts=0,
        readout_weights=0,
        fast_readout_weights=0,
        readout_updates=0,
        theta=0,
        attractions=0,
    )  # state arrays with an axis of the neurons, and which it is; and `gram`, which has two
    _signed = ('readout_weights', 'fast_readout_weights', *WEIGHTS)

    def __init__(self, config: NetworkConfig) -> None:
        settings = config.supervised, config.highest_rate
        super().__init__(config, present_recruiting, settings)

    @property
    def recruited_neurons(self) -> int:
        return int(self._state.recruited[0])

    @property
    def labelled_neurons(self) -> int:
        return int(self._state.label_counts.any(axis=1).sum())

    def receptive_fields(self) -> np.ndarray:
        recruited = self.recruited_neurons
        scale = self._state.scale[:recruited].astype(np.float32)
        return (self._state.weights[:, :recruited] * scale).T.copy()

    def experience(self) -> np.ndarray:
        """Samples that a neuron's weights are the mean of."""
        return self._state.attractions[: self.recruited_neurons].copy()

    @staticmethod
    def _untaught(config: NetworkConfig) -> RecruitingState:
        inputs, neurons = config.input_neurons, config.neurons
        return RecruitingState(
            weights=np.zeros((inputs, neurons), np.float32),
            scale=np.zeros(neurons),
            gram=np.zeros((neurons, neurons), np.float32),
            label_counts=np.zeros((neurons, 0), np.float32),
            readout_weights=np.zeros((neurons, 0), np.float32),
            fast_readout_weights=np.zeros((neurons, 0), np.float32),
            readout_updates=np.zeros(neurons, np.int64),
            theta=np.zeros(neurons, np.float32),
            attractions=np.zeros(neurons, np.int64),
            class_frames=np.zeros(0, np.int64),
            recruited=np.zeros(1, np.int64),
            frames=np.zeros(1, np.int64),
            similarity_mean=np.zeros(1),
            similarity_variance=np.zeros(1),
            error_rate=np.ones(1),
            last_label=np.zeros(1, np.int64),
            alternation=np.zeros(1),
            generator=np.array([config.seed], np.uint64),
        )

    def _check_state(self, state: RecruitingState) -> None:
        super()._check_state(state)
        recruited = state.recruited[0]
        if not recruited <= min(self.config.neurons, state.frames[0]):
            raise EngineError(
                f'state recruited is {recruited}, accepted is at most the {self.config.neurons} '
                f'neurons and the {state.frames[0]} frames learned'
            )
        norms = np.linalg.norm(state.weights[:, :recruited].astype(np.float64), axis=0)
        if not np.allclose(norms * state.scale[:recruited], 1, rtol=1e-3):
            raise EngineError('state weights are not normalised, accepted is an L2 norm of 1')
        if (state.attractions[:recruited] == 0).any():
            raise EngineError('state attractions is 0, accepted of a neuron in use is at least 1')
        if state.label_counts[:, state.class_frames == 0].any():
            raise EngineError('state label_counts are for classes that were never seen')

    def _without_class(self, index: int) -> RecruitingState:
        """The neurons that spoke for it most are free again: those that stay close the gaps."""
        counts = self._state.label_counts
        free = counts.any(axis=1) & (counts.argmax(axis=1) == index)
        kept = np.flatnonzero(~free)
        state = super()._without_class(index)
        arrays = {
            name: _packed(getattr(state, name), kept, axis)
            for name, axis in self._per_neuron.items()
        }
        last = state.last_label.item() - 1
        return state._replace(
            **arrays,
            gram=_packed(_packed(state.gram, kept, 0), kept, 1),
            recruited=state.recruited - free.sum(),
            last_label=np.array([0 if last == index else last + 1 - (last > index)]),
        )

    def _with_weights(self, weights: np.ndarray, parts: np.ndarray) -> RecruitingState:
        norms = np.linalg.norm(weights.astype(np.float64), axis=0)
        scale = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
        return self._state._replace(  # inference does without affinities
            weights=weights, scale=scale, gram=np.zeros((0, 0), np.float32)
        )


def _packed(array: np.ndarray, kept: np.ndarray, axis: int) -> np.ndarray:
    """The kept ones along an axis, in their order, and zeros behind them."""
    packed = np.zeros_like(array)
    np.moveaxis(packed, axis, 0)[: kept.size] = np.moveaxis(array, axis, 0)[kept]
    return packed
