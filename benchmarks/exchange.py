"""An exported network in other simulators: the same output spikes for the same input spikes.

    python -m benchmarks.exchange

A pair-wise network with lateral inhibition learns 5,000 digits of MNIST, and is exported as NIR.
Two readers, snnTorch and Norse, take the file as it is and get the input spikes of 1,000 test
digits. Prints for each how many samples have the same class as here (bound 99 %) and how many
have every output spike the same (the aim: all), and accuracies. The readers are in an environment
of their own (benchmarks/peers). Needs TOPSPARK_DATA and the extra `nir`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from topspark_ros.engine import (
    Checkpoint,
    Network,
    NetworkConfig,
    NeuronConfig,
    Time,
    create_network,
    export_nir,
    input_spikes,
)
from topspark_ros.streams.datasets import load_dataset

from . import peers
from .encoder import heading, row

TIMESTEPS, NEURONS, INHIBITION = 100, 100, 16.0
LEARNED, TESTED = 5000, 1000
SEEDS = range(3)
READERS = 'snntorch', 'norse'
BOUND = 0.99  # of the samples, with the same class
# snnTorch takes every step for 0.1 ms.
TIME = Time(step_s=1e-4, integration='euler')


def taught(seed: int) -> Network:
    """A network that has seen digits once, in the order of the seed."""
    data = load_dataset('mnist', 'train')
    order = np.random.default_rng(seed).permutation(len(data.labels))[:LEARNED]
    neuron = NeuronConfig(inhibition=INHIBITION)
    config = NetworkConfig(
        neurons=NEURONS, rule='pairwise', max_input_rate=4.0, seed=seed, neuron=neuron
    )
    network = create_network(config)
    pixels = data.images.reshape(len(data.labels), -1)
    network.learn_many(pixels[order], TIMESTEPS, data.labels[order])
    return network


def output_spikes(network: Network, pixels: np.ndarray) -> np.ndarray:
    """(timesteps, neurons) bool."""
    raster = np.zeros((TIMESTEPS, NEURONS), bool)
    raster[tuple(network.raster(pixels, TIMESTEPS))] = True
    return raster


def write_case(folder: Path, network: Network, pixels: np.ndarray) -> None:
    """The graph, and the input spikes of samples."""
    names = tuple(map(str, range(10)))
    export_nir(Checkpoint(network, names), folder / 'graph.nir', TIMESTEPS, TIME)
    spikes = np.array([input_spikes(network.config, each, TIMESTEPS) for each in pixels])
    np.save(folder / 'spikes.npy', spikes)


def main() -> int:
    parser = argparse.ArgumentParser(description='Exported networks in other simulators.')
    parser.parse_args()
    test = load_dataset('mnist', 'test')
    pixels = test.images[:TESTED].reshape(TESTED, -1)
    labels = test.labels[:TESTED]
    heading('seed', 'reader', 'same class, %', 'every spike the same, %', 'accuracy, %', 'ours, %')
    held = True
    for seed in SEEDS:
        network = taught(seed)
        ours = network.infer_many(pixels, TIMESTEPS).predicted
        rasters = np.array([output_spikes(network, each) for each in pixels])
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            write_case(folder, network, pixels)
            peers.read_nir(folder)
            for reader in READERS:
                with np.load(folder / f'{reader}.npz') as found:
                    silent = ~found['spikes'].any(axis=(1, 2))
                    classes = np.where(silent, -1, found['scores'].argmax(axis=1))
                    same = (found['spikes'] == rasters).all(axis=(1, 2))
                held &= (classes == ours).mean() >= BOUND
                row(
                    seed,
                    reader,
                    f'{100 * (classes == ours).mean():.1f}',
                    f'{100 * same.mean():.1f}',
                    f'{100 * (classes == labels).mean():.1f}',
                    f'{100 * (ours == labels).mean():.1f}',
                )
    print(
        f'\nBound of {BOUND:.0%} of the samples with the same class: {"held" if held else "MISSED"}'
    )
    return 0 if held else 1


if __name__ == '__main__':
    sys.exit(main())
