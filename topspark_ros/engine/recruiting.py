"""The network of the recruiting rule."""

from __future__ import annotations

import numpy as np

from . import kernels
from .errors import EngineError
from .kernels import RecruitingState
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

    @property
    def recruited_neurons(self) -> int:
        return int(self._state.recruited[0])

    @property
    def labelled_neurons(self) -> int:
        return int(self._state.votes.any(axis=1).sum())

    def receptive_fields(self) -> np.ndarray:
        return self._state.weights[:, : self.recruited_neurons].T.copy()

    def _initial_state(self) -> RecruitingState:
        inputs, neurons = self.config.inputs, self.config.neurons
        return RecruitingState(
            weights=np.zeros((inputs, neurons), np.float32),
            votes=np.zeros((neurons, 0), np.float32),
            theta=np.zeros(neurons, np.float32),
            attractions=np.zeros(neurons, np.int64),
            class_frames=np.zeros(0, np.int64),
            recruited=np.zeros(1, np.int64),
            frames=np.zeros(1, np.int64),
            match_mean=np.zeros(1),
            match_variance=np.zeros(1),
            error_rate=np.ones(1),
            generator=np.array([self.config.seed], np.uint64),
        )

    def _check_state(self, state: RecruitingState) -> None:
        recruited = state.recruited[0]
        if not recruited <= min(self.config.neurons, state.frames[0]):
            raise EngineError(
                f'state recruited is {recruited}, accepted is at most the {self.config.neurons} '
                f'neurons and the {state.frames[0]} frames learned'
            )
        norms = np.linalg.norm(state.weights[:, :recruited], axis=0)
        if not np.allclose(norms, 1.0, atol=1e-3):
            raise EngineError('state weights are not normalised, accepted is unit L2 norm')

    def _present(self, *arguments) -> kernels.Presentation:
        return kernels.present_recruiting(*arguments)
