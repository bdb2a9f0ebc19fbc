"""The network of the recruiting rule."""

from __future__ import annotations

import numpy as np

from .configuration import NetworkConfig
from .errors import EngineError
from .kernels.recruiting import RecruitingState, present_recruiting
from .network import Network


class RecruitingNetwork(Network):
    """Neurons are recruited one sample at a time.

    The neurons are the limit of leaky integrate-and-fire neurons whose membrane time constant is
    long against a presentation. Because weights have unit L2 norm (synaptic scaling on squares,
    Oja 1982), the potential v = W^T n at the end is the cosine match with the presynaptic trace
    n, times |n|. Thresholds are adaptive (theta) and ramp down together; inhibition is direct:
    the third spike ends the presentation.

    A labelled sample that is misclassified, and any sample that matches the first spiker unusually
    badly (the vigilance of Carpenter and Grossberg 1987, here in running standard deviations),
    recruits a fresh neuron, whose weights become the trace. Any other sample attracts the first
    spiker: a running mean, with a floor for drifting scenes. When all neurons are in use, an
    error takes the least useful one over, or attracts the right neuron and repels the wrong one
    (as in learning vector quantisation, Kohonen 1990). Samples without spikes do none of this.

    Each neuron counts the labels that it won for; the evidence of the three spikes is the share
    of each class in those votes, weighted 1, 0.45 and 0.2.
    """

    _per_class = ('votes', 'class_frames')

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config, present_recruiting)

    @property
    def recruited_neurons(self) -> int:
        return int(self._state.recruited[0])

    @property
    def labelled_neurons(self) -> int:
        return int(self._state.votes.any(axis=1).sum())

    def receptive_fields(self) -> np.ndarray:
        recruited = self.recruited_neurons
        norms = np.sqrt(self._state.squares[:recruited]).astype(np.float32)
        return (self._state.weights[:, :recruited] / norms).T.copy()

    @staticmethod
    def _initial_state(config: NetworkConfig) -> RecruitingState:
        inputs, neurons = config.inputs, config.neurons
        return RecruitingState(
            weights=np.zeros((inputs, neurons), np.float32),
            squares=np.zeros(neurons),
            votes=np.zeros((neurons, 0), np.float32),
            theta=np.zeros(neurons, np.float32),
            attractions=np.zeros(neurons, np.int64),
            class_frames=np.zeros(0, np.int64),
            recruited=np.zeros(1, np.int64),
            frames=np.zeros(1, np.int64),
            match_mean=np.zeros(1),
            match_variance=np.zeros(1),
            error_rate=np.ones(1),
            generator=np.array([config.seed], np.uint64),
        )

    def _check_state(self, state: RecruitingState) -> None:
        recruited = state.recruited[0]
        if not recruited <= min(self.config.neurons, state.frames[0]):
            raise EngineError(
                f'state recruited is {recruited}, accepted is at most the {self.config.neurons} '
                f'neurons and the {state.frames[0]} frames learned'
            )
        weights = state.weights[:, :recruited].astype(np.float64)
        squares = state.squares[:recruited]
        if not ((squares > 0).all() and np.allclose((weights**2).sum(axis=0), squares, rtol=1e-3)):
            raise EngineError('state squares are not those of the weights, or 0')

    def _with_weights(self, weights: np.ndarray, parts: np.ndarray) -> RecruitingState:
        squares = (weights.astype(np.float64) ** 2).sum(axis=0)
        return self._state._replace(weights=weights, squares=squares)
