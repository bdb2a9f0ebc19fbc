"""Measuring a profile: train and test a network at each timestep, over several seeds."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import joblib
import numpy as np

from topspark_ros.engine import AnyConfig, Network

from .early_exit import FOLDS, calibrate_margin, calibrate_training_margin, fold
from .energy import EnergyTable
from .experiments import Config, Data, ExperimentError, Pass, Setting, run_experiments, train
from .profile import Obtained, PhaseFigures, Profile, ProfilePoint, network_properties


def measure_profile(
    data: Data,
    config: AnyConfig,
    timesteps: Sequence[int],
    seeds: Sequence[int],
    energy_table: EnergyTable,
    progress: Callable[[int, int], None] | None = None,
    *,
    encoder_j: float = 0.0,
    max_loss: float | None = None,
    jobs: int = 1,
) -> Profile:
    """Measure what `config` costs and achieves at each T.

    For every seed and T an untrained network learns all training samples once, each with its
    label, in an order shuffled by the seed, and is tested at the largest T. The network trained
    at the largest T is tested at every T.

    Parameters
    ----------
    config
        Its seed, if it has one, is replaced by each of `seeds`.
    timesteps
        T to measure, in any order.
    energy_table
        The model for the energy figures.
    progress
        Called with (finished, all) pieces of work after each of them.
    encoder_j
        Energy of each sample before it is presented, J, of an encoder; that of inference, as a
        frame is classified before it is learned.
    max_loss
        Accuracy that ending presentations early may cost in training, and once more in inference,
        above 0, below 1: margins for each T are calibrated first, on as many folds of the training
        samples as there are seeds, up to five. None: all steps are always taken.
    jobs
        Threads to run in. More than the cores free blur the latencies.

    Raises
    ------
    ExperimentError
        For no or repeated T or seeds and for what cannot be run.
    """
    for field, values in (('timesteps', timesteps), ('seeds', seeds)):
        if len(values) == 0 or len(set(values)) != len(values):
            raise ExperimentError(f'{field} is {list(values)}, accepted is one or more, each once')
    timesteps = sorted(timesteps)
    reference = timesteps[-1]
    folds = min(len(seeds), FOLDS)
    work = _Work(len(timesteps) * len(seeds), progress, jobs)
    training_margins = inference_margins = dict.fromkeys(timesteps, math.inf)
    if max_loss is not None:
        work.total += 2 * len(timesteps) + folds
        training_margins, inference_margins = _calibrate(
            data, config, timesteps, folds, max_loss, work
        )

    def settings(t: int) -> list[Setting]:
        """How the network that is trained at T is tested, at last at the largest T."""
        return [
            Setting(config, t, tested, training_margins[t], inference_margins[tested])
            for tested in (timesteps if t == reference else [reference])
        ]

    outcomes = dict(
        zip(
            timesteps,
            _rows(
                len(seeds),
                work.run(
                    joblib.delayed(run_experiments)(settings(t), data, seed)
                    for t in timesteps
                    for seed in seeds
                ),
            ),
        )
    )
    points = []
    for index, t in enumerate(timesteps):
        tested = [of_seed[index].inference for of_seed in outcomes[reference]]
        trained = [of_seed[-1] for of_seed in outcomes[t]]
        points.append(
            ProfilePoint(
                timesteps=t,
                inference=_figures(tested, tested, inference_margins[t], energy_table, encoder_j),
                training=_figures(
                    [each.inference for each in trained],
                    [each.training for each in trained],
                    training_margins[t],
                    energy_table,
                ),
            )
        )
    return Profile(
        name=data.name,
        network=network_properties(config),
        energy_model=energy_table.name,
        obtained=Obtained(
            accuracy=f'tested: {len(data.test_labels)} samples after one pass over '
            f'{len(data.training_labels)} labelled ones, seeds '
            f'{", ".join(map(str, seeds))}: mean, standard deviation, worst',
            latency='measured: processor time of one core '
            f'({platform.machine()}, {platform.system()}), mean of a pass, median of '
            'the seeds',
            operations='counted: mean of all samples and seeds',
            energy=f'estimated: operations times the energy of each, {energy_table.source}'
            + (f'; in inference {encoder_j:.3g} J of the encoder besides' if encoder_j else ''),
            margin='none: every presentation takes T steps'
            if max_loss is None
            else f'calibrated: at most {max_loss:g} of accuracy lost in each phase, with 95 % '
            f'confidence, on {folds} of {FOLDS} parts of the training '
            'samples, each held back from a network',
        ),
        points=tuple(points),
    )


class _Work:
    """Runs pieces of work in threads, because kernels release the interpreter lock, and counts
    them."""

    def __init__(self, total: int, progress: Callable[[int, int], None] | None, jobs: int) -> None:
        self.total = total
        self._finished = 0
        self._progress = progress
        self._jobs = jobs

    def run(self, pieces: Iterable[Any]) -> list[Any]:
        results = []
        parallel = joblib.Parallel(self._jobs, prefer='threads', return_as='generator')
        for result in parallel(pieces):
            results.append(result)
            self._finished += 1
            if self._progress is not None:
                self._progress(self._finished, self.total)
        return results


def _calibrate(
    data: Data,
    config: Config,
    timesteps: Sequence[int],
    folds: int,
    max_loss: float,
    work: _Work,
) -> tuple[dict[int, float], dict[int, float]]:
    """Margins at each T, for training and for inference; the latter of networks trained so at
    the largest T, as in the profile."""
    training = dict(
        zip(
            timesteps,
            work.run(
                joblib.delayed(calibrate_training_margin)(
                    [Setting(config, t, tested) for tested in timesteps], data, folds, max_loss
                )
                for t in timesteps
            ),
        )
    )
    reference = timesteps[-1]
    stopped = Setting(config, reference, reference, training[reference])
    held_back = work.run(
        joblib.delayed(_train_fold)(stopped, data, number) for number in range(folds)
    )
    inference = dict(
        zip(
            timesteps,
            work.run(
                joblib.delayed(calibrate_margin)(*zip(*held_back), t, max_loss) for t in timesteps
            ),
        )
    )
    return training, inference


def _train_fold(
    setting: Setting, data: Data, number: int
) -> tuple[Network, np.ndarray, np.ndarray]:
    """A network and the samples that were held back from it."""
    part = fold(data, number)
    return train(setting, part, number)[0], part.test_pixels, part.test_labels


def _rows(length: int, flat: list) -> list[list]:
    return [flat[start : start + length] for start in range(0, len(flat), length)]


def _figures(
    tested: Sequence[Pass],
    passes: Sequence[Pass],
    margin: float,
    table: EnergyTable,
    encoder_j: float = 0.0,
) -> PhaseFigures:
    """Accuracies of `tested`, everything else of `passes`; both one a seed."""
    accuracies = [each.accuracy for each in tested]
    mean = Pass.mean(passes)
    return PhaseFigures(
        accuracy=float(np.mean(accuracies)),
        accuracy_std=float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else math.nan,
        accuracy_worst=min(accuracies),
        margin=margin,
        steps=mean.timesteps,
        latency_s=mean.processor_time_s,
        energy_j=encoder_j + mean.energy_j(table),
        **mean.counts._asdict(),
    )
