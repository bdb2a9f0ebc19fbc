"""The network that learns by spike-timing-dependent plasticity."""

from __future__ import annotations

import math

import numpy as np

from .configuration import NetworkConfig
from .errors import EngineError
from .filters import WEIGHTS
from .kernels import encoding, plasticity, stdp
from .kernels.stdp import StdpState
from .presenting import expected_input
from .single_layer import SingleLayer

RULE_NUMBERS = dict(
    pairwise=plasticity.PAIRWISE,
    adaptive=plasticity.ADAPTIVE,
    triplet=plasticity.TRIPLET,
    modulated=plasticity.MODULATED,
)


class StdpNetwork(SingleLayer[StdpState]):
    """Leaky integrate-and-fire neurons that compete (after Diehl and Cook 2015).

    Dynamics: kernels.stdp. Learning rules: kernels.plasticity. A neuron's theta grows with its
    own output spikes, so that all of them take part in learning; in inference, where the best
    match shall win, all have the mean theta.

    Parameter enhancement for a reduced timestep T (Putra and Shafique 2023, arXiv 2303.01826;
    here in closed form): with D the expected input spikes and K the wanted output spikes of a
    presentation, the thresholds' unit is g = gain D / K. `gain` does not depend on T and is
    corrected every 250 learned samples so that K spikes come out; theta and eta scale with 1 / K.
    So a change of T needs nothing but the new D and K.
    """

    _per_class = dict(responses=1, class_frames=0)
    _signed = WEIGHTS

    def __init__(self, config: NetworkConfig) -> None:
        neuron = config.neuron
        inhibition = stdp.WINNER
        if neuron.inhibition < math.inf:
            inhibition = stdp.LAYER if neuron.inhibitory_layer else stdp.LATERAL
        synaptic_decay = 0.0
        if neuron.synaptic_time_constant > 0:
            synaptic_decay = math.exp(-1 / neuron.synaptic_time_constant)
        settings = (
            RULE_NUMBERS[config.rule],
            inhibition,
            neuron.inhibition,
            math.exp(-1 / neuron.membrane_time_constant),
            synaptic_decay,
            neuron.refractory_period,
            neuron.reset_potential,
            neuron.theta_step,
            math.exp(-1 / neuron.theta_time_constant),
            neuron.output_spikes,
            neuron.inference_spikes,
            neuron.enhancement,
        )
        super().__init__(config, stdp.present_stdp, settings)

    @property
    def recruited_neurons(self) -> int:
        return self.config.neurons

    @property
    def labelled_neurons(self) -> int:
        return int(self._state.responses.any(axis=1).sum())

    def receptive_fields(self) -> np.ndarray:
        return (self._state.weights * self._state.scale.astype(np.float32)).T.copy()

    def experience(self) -> np.ndarray:
        """Shares of the output spikes of each class, summed."""
        return self._state.responses.sum(axis=1)

    def threshold_unit(self, timesteps: int) -> float:
        """g of kernels.stdp in an inference of pixels that takes so many steps: what thresholds,
        resets and inhibition are multiples of."""
        config, neuron = self.config, self.config.neuron
        _, expected = expected_input(config, timesteps)
        reference = timesteps if neuron.enhancement else encoding.FULL_TIMESTEPS
        target = stdp.target_spikes(expected, reference, config.neurons) * neuron.output_spikes
        return float(self._state.gain[0] * expected / target / neuron.inference_spikes)

    @staticmethod
    def _untaught(config: NetworkConfig) -> StdpState:
        inputs, neurons = config.input_neurons, config.neurons
        weights = np.random.default_rng(config.seed).random((inputs, neurons))
        weights *= plasticity.WEIGHT_NORM / np.linalg.norm(weights, axis=0)
        weights = weights.astype(np.float32)
        early = stdp.EARLY_SPIKES if config.neuron.inhibition == math.inf else 1.0
        return StdpState(
            weights=weights,
            scale=np.ones(neurons),
            squares=squared_norms(weights),
            responses=np.zeros((neurons, 0), np.float32),
            theta=np.zeros(neurons, np.float32),
            learning_rate=np.ones(neurons, np.float32),
            class_frames=np.zeros(0, np.int64),
            gain=np.full(1, stdp.INITIAL_GAIN / early),
            window=np.zeros(3),
            generator=np.array([config.seed], np.uint64),
        )

    def _check_state(self, state: StdpState) -> None:
        super()._check_state(state)
        low, high = plasticity.MIN_SCALE, plasticity.MAX_SCALE
        if not ((low <= state.scale) & (state.scale <= high)).all():
            raise EngineError(f'state scale is out of range, accepted is {low} to {high}')
        if not np.allclose(squared_norms(state.weights), state.squares, rtol=1e-3):
            raise EngineError('state squares are not those of the weights')
        norms = state.scale * np.sqrt(state.squares)
        if not (norms < plasticity.WEIGHT_NORM * (1 + 1e-3)).all():
            raise EngineError(
                'state weights are not normalised, accepted is an L2 norm of '
                f'{plasticity.WEIGHT_NORM}'
            )
        if not state.gain[0] > 0:
            raise EngineError(f'state gain is {state.gain[0]}, accepted is above 0')

    def _with_weights(self, weights: np.ndarray, parts: np.ndarray) -> StdpState:
        return self._state._replace(
            weights=weights, scale=self._state.scale * parts, squares=squared_norms(weights)
        )


def squared_norms(weights: np.ndarray) -> np.ndarray:
    """Of the columns, float64."""
    return (weights.astype(np.float64) ** 2).sum(axis=0)
