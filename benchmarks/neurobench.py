"""The package's NeuroBench metrics beside those of the package neurobench, of one exported network.

    python -m benchmarks.neurobench

A pair-wise network without inhibition learns 1,000 digits of MNIST; the smaller half of each
neuron's weights is set to 0, and it is exported as NIR, without the read-out. Prints each metric by
both, for the same 200 test digits. The footprint differs: ours is of all that learning needs,
theirs of snnTorch's weights and neurons. neurobench is in an environment of its own
(benchmarks/peers). Needs TOPSPARK_DATA and the extra `nir`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path

import nir
import numpy as np

from topspark_ros.engine import (
    Checkpoint,
    Network,
    NetworkConfig,
    NeuronConfig,
    Time,
    create_network,
    input_spikes,
)
from topspark_ros.engine.exchange import nir_graph
from topspark_ros.methodology.neurobench import measure_neurobench
from topspark_ros.streams.datasets import load_dataset

from . import peers
from .encoder import heading, row

TIMESTEPS, NEURONS = 50, 100
LEARNED, TESTED = 1000, 200
ALONE = NeuronConfig(inhibition=0.0, theta_step=1.0, inference_spikes=2.0)
TIME = Time(step_s=1e-4)  # that snnTorch takes for a step
TOLERANCE = 1e-4  # theirs are rounded to four decimals, and summed in float32
COMPARED = 'connection_sparsity', 'activation_sparsity', 'Effective_MACs', 'Effective_ACs', 'Dense'


def prune(network: Network) -> None:
    """Set the smaller half of each neuron's weights to 0."""
    weights = network.state()['weights']
    weights[weights < np.median(weights, axis=0)] = 0
    squares = (weights.astype(np.float64) ** 2).sum(axis=0)
    network.restore(network.state() | dict(weights=weights, squares=squares))


def main() -> int:
    argparse.ArgumentParser(description='NeuroBench metrics, ours and theirs.').parse_args()
    data, test = (load_dataset('mnist', part) for part in ('train', 'test'))
    network = create_network(NetworkConfig(neurons=NEURONS, rule='pairwise', neuron=ALONE))
    network.learn_many(data.images[:LEARNED].reshape(LEARNED, -1), TIMESTEPS, data.labels[:LEARNED])
    prune(network)
    shown = test.images[:TESTED].reshape(TESTED, -1)
    ours = measure_neurobench(network, shown, TIMESTEPS)._asdict()
    graph, _ = nir_graph(Checkpoint(network, tuple('0123456789')), TIMESTEPS, TIME)
    del graph.nodes['readout']
    nodes = graph.nodes | {'output': nir.Output({'output': np.array([NEURONS])})}
    names = 'input', 'synapses', 'excitatory.lif', 'output'
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        nir.write(folder / 'graph.nir', nir.NIRGraph(nodes, [*zip(names, names[1:])], metadata={}))
        spikes = [input_spikes(network.config, each, TIMESTEPS) for each in shown]
        np.save(folder / 'spikes.npy', spikes)
        peers.measure_neurobench(folder)
        found = json.loads((folder / 'metrics.json').read_text())
    theirs = {
        'footprint': found['Footprint'],
        'connection_sparsity': found['ConnectionSparsity'],
        'activation_sparsity': found['ActivationSparsity'],
        **found['SynapticOperations'],
    }
    heading('metric', 'topspark_ros', 'neurobench')
    for name, value in ours.items():
        row(name, f'{value:.6g}', f'{theirs[name]:.6g}')
    same = all(
        math.isclose(ours[name], theirs[name], rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        for name in COMPARED
    )
    print(f'\nAll but the footprint are the same: {"yes" if same else "NO"}')
    return 0 if same else 1


if __name__ == '__main__':
    sys.exit(main())
