"""Measuring a profile: train and test a network at each timestep, over several seeds."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import joblib
import numpy as np

from topspark_ros.engine import Network, NetworkConfig, OperationCounts, create_network, warm_up

from .energy import EnergyTable, estimate_energy_j
from .profile import PhaseFigures, Profile, ProfileError, ProfilePoint


def measure_profile(
    train_images: np.ndarray,
    train_labels: np.ndarray,
    test_images: np.ndarray,
    test_labels: np.ndarray,
    config: NetworkConfig,
    timesteps: Sequence[int],
    seeds: Sequence[int],
    energy_table: EnergyTable,
    progress: Callable[[int, int], None] | None = None,
    *,
    name: str,
    jobs: int = 1,
) -> Profile:
    """Measure what `config` costs and achieves at each T.

    For every seed and T an untrained network learns all training images once, each with its
    label, in an order shuffled by the seed, and is tested at the largest T. The network trained
    at the largest T is tested at every T. Accuracy is the mean over seeds; latency the median
    over samples of the processor time of the presenting thread, which other load hardly changes,
    as a median over seeds; energy the mean over samples and seeds, estimated from the counts.

    train_images, test_images: (n, inputs) uint8 or float32, as Network.learn takes them.
    train_labels, test_labels: (n,) integers from 0.
    config: its seed is replaced by each of `seeds`.
    timesteps: T to measure, in any order.
    energy_table: the model for the energy figures.
    progress: called with (finished, all) runs after each run of one seed at one T.
    name: of the profile.
    jobs: processes to run in. More than the cores free blur the latencies.

    Raises ProfileError for empty data, lengths that differ, no or repeated T or seeds.
    """
    for kind, images, labels in (('train', train_images, train_labels),
                                 ('test', test_images, test_labels)):
        if len(images) == 0 or len(images) != len(labels):
            raise ProfileError(f'{kind} set is {len(images)} images and {len(labels)} labels, '
                               'accepted is one or more, as many of each')
    for field, values in (('timesteps', timesteps), ('seeds', seeds)):
        if len(values) == 0 or len(set(values)) != len(values):
            raise ProfileError(f'{field} is {list(values)}, accepted is one or more, each once')

    timesteps = sorted(timesteps)
    cells = [(seed, training) for training in timesteps for seed in seeds]
    runs = joblib.Parallel(n_jobs=jobs, return_as='generator')(
        joblib.delayed(_run_cell)(
            train_images, train_labels, test_images, test_labels, replace(config, seed=seed),
            training, timesteps if training == timesteps[-1] else timesteps[-1:],
        )
        for seed, training in cells
    )
    results = {}
    for finished, (cell, run) in enumerate(zip(cells, runs), 1):
        results[cell] = run
        if progress is not None:
            progress(finished, len(cells))

    reference = timesteps[-1]
    points = tuple(
        ProfilePoint(
            timesteps=t,
            inference=_summarise(
                [results[seed, reference].tested[t].accuracy for seed in seeds],
                [results[seed, reference].tested[t] for seed in seeds], energy_table),
            training=_summarise(
                [results[seed, t].tested[reference].accuracy for seed in seeds],
                [results[seed, t].trained for seed in seeds], energy_table),
        )
        for t in timesteps
    )
    return Profile(
        name=name, rule=config.rule, neurons=config.neurons,
        max_input_rate=float(config.max_input_rate),
        energy_model=f'{energy_table.name}: estimated from operation counts, '
                     f'{energy_table.source}',
        obtained=f'measured: one pass over {len(train_labels)} labelled training samples, '
                 f'{len(test_labels)} test samples, seeds {", ".join(map(str, seeds))}; latency is '
                 f'processor time of one core ({platform.machine()}, {platform.system()})',
        points=points,
    )


@dataclass(frozen=True)
class _Pass:
    """One pass over a set: accuracy, median processor time a sample (s), counts of all samples."""

    accuracy: float
    latency_s: float
    counts: OperationCounts
    samples: int


@dataclass(frozen=True)
class _Run:
    """One network: its training pass (accuracy prequential) and a test pass for each T."""

    trained: _Pass
    tested: dict[int, _Pass]


def _run_cell(
    train_images: np.ndarray, train_labels: np.ndarray,
    test_images: np.ndarray, test_labels: np.ndarray,
    config: NetworkConfig, training_timesteps: int, inference_timesteps: Sequence[int],
) -> _Run:
    network = create_network(config)
    warm_up(network)
    order = np.random.default_rng(config.seed).permutation(len(train_labels))
    trained = _present_all(network, train_images[order], train_labels[order],
                           training_timesteps, learning=True)
    return _Run(trained, {
        t: _present_all(network, test_images, test_labels, t, learning=False)
        for t in inference_timesteps
    })


def _present_all(
    network: Network, images: np.ndarray, labels: np.ndarray, timesteps: int, learning: bool,
) -> _Pass:
    right = 0
    times = np.empty(len(labels))
    counts = OperationCounts()
    for index, (image, label) in enumerate(zip(images, labels.tolist())):
        start = time.thread_time()
        response = (network.learn(image, timesteps, label=label) if learning
                    else network.infer(image, timesteps))
        times[index] = time.thread_time() - start
        right += response.predicted == label
        counts = counts.plus(response.counts)
    return _Pass(right / len(labels), float(np.median(times)), counts, len(labels))


def _summarise(
    accuracies: Sequence[float], passes: Sequence[_Pass], table: EnergyTable,
) -> PhaseFigures:
    return PhaseFigures(
        accuracy=float(np.mean(accuracies)),
        latency_s=float(np.median([run.latency_s for run in passes])),
        energy_j=float(np.mean([estimate_energy_j(run.counts, table) / run.samples
                                for run in passes])),
        accuracy_std=float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else float('nan'),
    )
