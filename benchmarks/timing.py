"""Measuring on a machine that others use too: in turns, and the fastest turn counts."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from topspark_ros.engine import Network, NetworkConfig, create_network
from topspark_ros.engine.kernels.compilation import entry_point
from topspark_ros.engine.network import aligned
from topspark_ros.streams.datasets import load_dataset

ROUNDS = 10
RATE = 0.06375  # spikes a step of a full pixel: 63.75 Hz
L2_RATE = 0.57  # of a digit of unit L2 norm: what that comes to
TRAINING, TEST = 6500, 1500


class Data:
    """The MNIST images of TOPSPARK_DATA in an order shuffled by the seed."""

    def __init__(self, seed: int = 0, name: str = 'mnist') -> None:
        dataset = load_dataset(name)
        order = np.random.default_rng(seed).permutation(len(dataset.labels))
        self.pixels = dataset.images.reshape(len(order), -1)[order]
        self.labels = dataset.labels[order]

    @property
    def training(self) -> tuple[np.ndarray, np.ndarray]:
        return self.pixels[:TRAINING], self.labels[:TRAINING]

    @property
    def test(self) -> tuple[np.ndarray, np.ndarray]:
        return self.pixels[TRAINING:][:TEST], self.labels[TRAINING:][:TEST]


def classic(neurons: int = 400, rule: str = 'pairwise', **options) -> NetworkConfig:
    """The network of Diehl and Cook at their rate."""
    return NetworkConfig(
        neurons=neurons, rule=rule, normalisation='full_scale', max_input_rate=RATE, **options
    )


def trained(config: NetworkConfig, data: Data, timesteps: int, samples: int = 2000) -> Network:
    """A network past its first samples, whose thresholds have found their level."""
    network = create_network(config)
    pixels, labels = data.training
    network.learn_many(pixels[:samples], timesteps, labels[:samples])
    return network


def fastest(
    tasks: dict[str, Callable[[], object]], samples: int, rounds: int = ROUNDS
) -> dict[str, float]:
    """Microseconds of processor time a sample of each task, the least of several turns.

    Tasks take turns, so that whatever slows the machine down slows all of them.
    """
    best = dict.fromkeys(tasks, np.inf)
    for _ in range(rounds):
        for name, task in tasks.items():
            start = time.process_time()
            task()
            best[name] = min(best[name], time.process_time() - start)
    return {name: seconds / samples * 1e6 for name, seconds in best.items()}


@entry_point
def add_active_rows(weights, source, bounds, potential):
    """The floor of simulation spike by spike: one row of weights added for an input spike."""
    for sample in range(bounds.size - 1):
        potential[:] = 0
        for spike in range(bounds[sample], bounds[sample + 1]):
            row = weights[source[spike]]
            for j in range(potential.size):
                potential[j] += row[j]


def floor_task(pixels: np.ndarray, neurons: int, timesteps: int) -> Callable[[], None]:
    """`add_active_rows` with Bernoulli spikes of `pixels` at 63.75 Hz; nothing else is timed."""
    rng = np.random.default_rng(0)
    spikes = [
        np.nonzero(rng.random((timesteps, image.size)) < RATE / 255 * image)[1] for image in pixels
    ]
    bounds = np.cumsum([0, *(len(one) for one in spikes)])
    source = np.concatenate(spikes).astype(np.int32)
    weights = aligned(rng.random((pixels.shape[1], neurons), np.float32))
    potential = np.zeros(neurons, np.float32)
    return lambda: add_active_rows(weights, source, bounds, potential)
