"""The metrics of NeuroBench, under their names there, of a network that is presented with samples.

Definitions: Yik et al. 2025, Nature Communications 16, 1545, and the package neurobench. Of the
static ones, footprint and connection sparsity; of those of a workload, activation sparsity and
synaptic operations (effective MACs and ACs, dense), which are means a sample. The labels that a
single layer's neurons vote for are looked up, and no connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from topspark_ros.engine import (
    DiscriminantConfig,
    Network,
    NetworkConfig,
    OperationCounts,
    input_spike_counts,
)
from topspark_ros.errors import TopsparkError


class NeuroBenchError(TopsparkError):
    """A network or samples without metrics: one line with what is accepted."""


class NeuroBenchMetrics(NamedTuple):
    """What NeuroBench tells of a network and a workload.

    Parameters
    ----------
    footprint
        Memory of all that the network holds, bytes: what it needs to go on learning, too.
    connection_sparsity
        Share of the connections whose weight is 0, 0..1.
    activation_sparsity
        Share of the neurons' outputs, one a step, that are no spike, 0..1.
    Effective_MACs
        Synaptic operations of a sample, all of its steps: multiplications with an addition, where
        neither weight nor activation is 0. A spike takes none.
    Effective_ACs
        The same: additions of a weight that is not 0, by spikes.
    Dense
        The same if every connection were used in every step.
    """

    footprint: float
    connection_sparsity: float
    activation_sparsity: float
    Effective_MACs: float
    Effective_ACs: float
    Dense: float

    @staticmethod
    def mean(metrics: Sequence[NeuroBenchMetrics | None]) -> NeuroBenchMetrics | None:
        """Of those that are known; None: none is."""
        known = [each for each in metrics if each is not None]
        return NeuroBenchMetrics(*np.mean(known, axis=0).tolist()) if known else None

    def shown(self) -> dict[str, str]:
        """For a report: text by NeuroBench's names."""
        return {
            'footprint': f'{self.footprint:,.0f} bytes',
            'connection_sparsity': f'{self.connection_sparsity:.4f}',
            'activation_sparsity': f'{self.activation_sparsity:.4f}',
            **{
                f'synaptic_operations, {name}': f'{getattr(self, name):,.1f}'
                for name in ('Effective_MACs', 'Effective_ACs', 'Dense')
            },
        }


def measure_neurobench(network: Network, pixels: np.ndarray, timesteps: int) -> NeuroBenchMetrics:
    """Of an inference of these samples.

    Parameters
    ----------
    network
        A single layer on pixels, with the coding 'rate_regular', or a discriminant that sees
        pictures.
    pixels
        (samples, inputs) uint8 or float32, as of `infer_many`.
    timesteps
        T.

    Raises
    ------
    NeuroBenchError
        For no samples, and another network.
    EngineError
        For another coding, and samples that are none.
    """
    if len(pixels) == 0:
        raise NeuroBenchError('samples are none, accepted is one or more')
    counts = network.infer_many(pixels, timesteps).counts.mean(axis=0)
    return neurobench_of(network, pixels, timesteps, OperationCounts(*counts.tolist()))


def neurobench_of(
    network: Network, pixels: np.ndarray, timesteps: int, counts: OperationCounts
) -> NeuroBenchMetrics:
    """Of an inference that is over; counts: its operations, mean a sample. All else is as of
    `measure_neurobench`."""
    config = network.config
    if isinstance(config, DiscriminantConfig):
        return _of_discriminant(network, config, counts, timesteps)
    if not isinstance(config, NetworkConfig) or config.encoder:
        raise NeuroBenchError(
            f'the network is of {config}, accepted by NeuroBench metrics is a single layer on '
            'pixels, or a discriminant that sees pictures'
        )
    in_use = network.recruited_neurons
    weights = network.state()['weights'][:, :in_use]
    sent = sum(input_spike_counts(config, each, timesteps) for each in pixels)
    added = float(np.dot(sent, np.count_nonzero(weights, axis=1)) / len(pixels))
    lateral = 0
    if config.rule != 'recruiting' and config.neuron.inhibition > 0:
        lateral = in_use * (in_use - 1)
        added += counts.synaptic_operations - counts.input_spikes * in_use
    return NeuroBenchMetrics(
        network.memory_bytes,
        _share_of_zeros(weights),
        1 - counts.output_spikes / max(1, counts.neuron_updates),
        0.0,
        added,
        float(timesteps * (weights.size + lateral)),
    )


def _of_discriminant(
    network: Network,
    config: DiscriminantConfig,
    counts: OperationCounts,
    timesteps: int,
) -> NeuroBenchMetrics:
    """Filters are neurons at each place, which fire a current or none after the last step; the
    classes multiply features, all of which count as not 0."""
    state = network.state()
    filters = [state['edge_filters'], state['surface_filters']]
    places = [(side - width + 1) ** 2 for side, width in ((config.side, 5), (config.side // 2, 3))]
    neurons = sum(each * bank.shape[1] for each, bank in zip(places, filters))
    connections = sum(each * bank.size for each, bank in zip(places, filters))
    read = config.features * network.recruited_neurons
    return NeuroBenchMetrics(
        network.memory_bytes,
        _share_of_zeros(np.concatenate([bank.reshape(-1) for bank in filters])),
        1 - counts.output_spikes / neurons,
        float(read),
        counts.synaptic_operations - read,
        float(timesteps * connections + read),
    )


def _share_of_zeros(weights: np.ndarray) -> float:
    return float(np.mean(weights == 0)) if weights.size else 0.0
