"""The network that learns by spike-timing-dependent plasticity."""

from __future__ import annotations

import math

import numpy as np

from .configuration import NetworkConfig
from .errors import EngineError
from .kernels import plasticity, stdp
from .kernels.stdp import StdpState
from .network import Network

RULE_NUMBERS = dict(
    pairwise=plasticity.PAIRWISE,
    adaptive=plasticity.ADAPTIVE,
    triplet=plasticity.TRIPLET,
    modulated=plasticity.MODULATED,
)


class StdpNetwork(Network):
    """Leaky integrate-and-fire neurons that compete (after Diehl and Cook 2015).

    Dynamics: kernels.stdp. Learning rules: kernels.plasticity. A neuron's theta grows with its
    own output spikes, so that all of them take part.

    Parameter enhancement for a reduced timestep T (Putra and Shafique 2023, arXiv 2303.01826;
    here in closed form): with D the expected input spikes and K the wanted output spikes of a
    presentation, the thresholds' unit is g = gain D / K. `gain` does not depend on T and is
    corrected every 250 learned samples so that K spikes come out; theta and eta scale with 1 / K.
    So a change of T needs nothing but the new D and K.
    """

    _per_class = ('responses', 'class_frames')

    def __init__(self, config: NetworkConfig) -> None:
        neuron = config.neuron
        inhibition = stdp.WINNER
        if neuron.inhibition < math.inf:
            inhibition = stdp.LAYER if neuron.inhibitory_layer else stdp.LATERAL
        synaptic_decay = 0.0
        if neuron.synaptic_time_constant > 0:
            synaptic_decay = math.exp(-1 / neuron.synaptic_time_constant)
        super().__init__(
            config,
            stdp.present_stdp,
            (
                RULE_NUMBERS[config.rule],
                inhibition,
                neuron.inhibition,
                math.exp(-1 / neuron.membrane_time_constant),
                synaptic_decay,
                neuron.refractory_period,
                math.exp(-1 / neuron.theta_time_constant),
                neuron.inference_spikes,
            ),
        )

    @property
    def recruited_neurons(self) -> int:
        return self.config.neurons

    @property
    def labelled_neurons(self) -> int:
        return int(self._state.responses.any(axis=1).sum())

    def receptive_fields(self) -> np.ndarray:
        return (self._state.weights * self._state.scale.astype(np.float32)).T.copy()

    @staticmethod
    def _initial_state(config: NetworkConfig) -> StdpState:
        inputs, neurons = config.inputs, config.neurons
        weights = np.random.default_rng(config.seed).random((inputs, neurons))
        weights = (weights * (plasticity.WEIGHT_SUM / weights.sum(axis=0))).astype(np.float32)
        return StdpState(
            weights=weights,
            scale=np.ones(neurons),
            total=weights.sum(axis=0, dtype=np.float64),
            responses=np.zeros((neurons, 0), np.float32),
            theta=np.zeros(neurons, np.float32),
            learning_rate=np.ones(neurons, np.float32),
            class_frames=np.zeros(0, np.int64),
            gain=np.full(1, stdp.INITIAL_GAIN),
            window=np.zeros(3),
            generator=np.array([config.seed], np.uint64),
        )

    def _check_state(self, state: StdpState) -> None:
        low, high = plasticity.LEAST_SCALE, plasticity.MOST_SCALE
        if not ((low <= state.scale) & (state.scale <= high)).all():
            raise EngineError(f'state scale is out of range, accepted is {low} to {high}')
        if not np.allclose(state.weights.sum(axis=0), state.total, rtol=1e-3):
            raise EngineError('state total is not the sum of the weights')
        sums = state.scale * state.total
        most = plasticity.WEIGHT_SUM * (1 + 1e-3)
        if not ((sums > 0) & (sums < most)).all():
            raise EngineError(
                f'state weights are not normalised, accepted is a sum of {plasticity.WEIGHT_SUM}'
            )
        if not state.gain[0] > 0:
            raise EngineError(f'state gain is {state.gain[0]}, accepted is above 0')

    def _with_weights(self, weights: np.ndarray, parts: np.ndarray) -> StdpState:
        scale, total = self._state.scale * parts, weights.sum(axis=0, dtype=np.float64)
        return self._state._replace(weights=weights, scale=scale, total=total)
