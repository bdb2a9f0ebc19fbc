"""The network of pair-wise STDP."""

from __future__ import annotations

import numpy as np

from . import kernels
from .errors import EngineError
from .kernels import PairwiseState
from .network import Network


class PairwiseNetwork(Network):
    """Leaky integrate-and-fire neurons, one winner at a time (after Diehl and Cook 2015).

    Every step the potentials decay, v <- v exp(-1 / 100), and gain the weights of the inputs
    that spike. If any reaches its threshold, g (13 + theta_j), the one furthest above it spikes
    and all potentials are reset to 0: direct lateral inhibition in its strongest form. The
    winner's theta grows, and its weights follow the presynaptic traces x (time constant 100
    steps): w += eta (78.4 x / sum(x) - w), pair-wise STDP in which depression is proportional
    to the weight and the sum of the weights stays. eta falls per neuron with its own spikes.

    Parameter enhancement for a reduced timestep T (Putra and Shafique 2023, arXiv 2303.01826;
    here in closed form): with D = rate T the expected input and K the wanted output spikes of a
    presentation, g = gain D / K. `gain` does not depend on T and is corrected every 250 learned
    samples so that K spikes come out; theta and eta scale with 1 / K. So a change of T needs
    nothing but the new D and K.
    """

    _per_class = ('responses', 'class_frames')

    @property
    def recruited_neurons(self) -> int:
        return self.config.neurons

    @property
    def labelled_neurons(self) -> int:
        return int(self._state.responses.any(axis=1).sum())

    def receptive_fields(self) -> np.ndarray:
        return self._state.weights.T.copy()

    def _initial_state(self) -> PairwiseState:
        inputs, neurons = self.config.inputs, self.config.neurons
        weights = np.random.default_rng(self.config.seed).random((inputs, neurons))
        weights *= kernels.WEIGHT_SUM / weights.sum(axis=0)
        return PairwiseState(
            weights=weights.astype(np.float32),
            responses=np.zeros((neurons, 0), np.float32),
            theta=np.zeros(neurons, np.float32),
            learning_rate=np.ones(neurons, np.float32),
            class_frames=np.zeros(0, np.int64),
            gain=np.full(1, kernels.INITIAL_GAIN),
            window=np.zeros(3),
        )

    def _check_state(self, state: PairwiseState) -> None:
        if not np.allclose(state.weights.sum(axis=0), kernels.WEIGHT_SUM, rtol=1e-3):
            raise EngineError(
                f'state weights are not normalised, accepted is a sum of {kernels.WEIGHT_SUM}'
            )
        if not state.gain[0] > 0:
            raise EngineError(f'state gain is {state.gain[0]}, accepted is above 0')

    def _present(self, *arguments) -> kernels.Presentation:
        return kernels.present_pairwise(*arguments)
