"""Measuring a profile: train and test a network at each timestep, over several seeds."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from topspark_ros.engine import AnyConfig

from .calibration import (
    HeldBack,
    InferenceMargin,
    TrainingMargin,
    held_back_networks,
    inference_margins,
    training_margins,
)
from .early_exit import FOLDS
from .energy import EnergyTable
from .experiments import Data, ExperimentError, Pass, Setting
from .profile import Obtained, PhaseFigures, Profile, ProfilePoint, network_properties
from .running import Piece, Result, Work, run_pieces
from .sweep import Cell, work_on


def measure_profile(
    data: Data,
    config: AnyConfig,
    timesteps: Sequence[int],
    seeds: Sequence[int],
    energy_table: EnergyTable,
    store: Path,
    progress: Callable[[float, int], None] | None = None,
    *,
    encoder_j: float = 0.0,
    max_loss: float | None = None,
    jobs: int = 1,
    scheduler: str | None = None,
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
    store, progress, jobs, scheduler
        As of `run_pieces`. More jobs or workers than the cores free blur the latencies.
    encoder_j
        Energy of each sample before it is presented, J, of an encoder; that of inference, as a
        frame is classified before it is learned.
    max_loss
        Accuracy that ending presentations early may cost in training, and once more in inference,
        above 0, below 1: margins for each T are calibrated first, on as many folds of the training
        samples as there are seeds, up to five. None: all steps are always taken.

    Raises
    ------
    ExperimentError
        For no or repeated T or seeds and for what cannot be run.
    RunningError
        As `run_pieces`.
    """
    for field, values in (('timesteps', timesteps), ('seeds', seeds)):
        if len(values) == 0 or len(set(values)) != len(values):
            raise ExperimentError(f'{field} is {list(values)}, accepted is one or more, each once')
    timesteps = sorted(timesteps)
    reference = timesteps[-1]
    folds = min(len(seeds), FOLDS)
    total, before = (2 * len(timesteps) - 1) * len(seeds), 0
    if max_loss is not None:
        total += 2 * len(timesteps) + folds

    def results(
        work: Work[Piece, Result], pieces: Sequence[Piece], *shared: object
    ) -> list[Result]:
        nonlocal before

        def told(finished: float, of_these: int) -> None:
            if progress is not None:
                progress(before + finished, total)

        found = run_pieces(
            work, pieces, store, told, shared=[data, *shared], jobs=jobs, scheduler=scheduler
        )
        before += len(found)
        return list(found.values())

    in_training = in_inference = dict.fromkeys(timesteps, math.inf)
    if max_loss is not None:
        in_training, in_inference = _calibrate(data, config, timesteps, folds, max_loss, results)

    def tests(trained: int, tested: int) -> list[Cell]:
        setting = Setting(config, trained, tested, in_training[trained], in_inference[tested])
        return [Cell(setting, seed) for seed in seeds]

    by_training = {t: tests(t, reference) for t in timesteps}
    by_inference = {t: tests(reference, t) for t in timesteps}
    cells = [cell for each in (by_training, by_inference) for row in each.values() for cell in row]
    cells = list(dict.fromkeys(cells))  # the largest T is in both
    outcomes = dict(zip(cells, results(work_on(data), cells)))
    points = []
    for t in timesteps:
        tested = [outcomes[cell].inference for cell in by_inference[t]]
        trained = [outcomes[cell] for cell in by_training[t]]
        points.append(
            ProfilePoint(
                timesteps=t,
                inference=_figures(tested, tested, in_inference[t], energy_table, encoder_j),
                training=_figures(
                    [each.inference for each in trained],
                    [each.training for each in trained],
                    in_training[t],
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


def _calibrate(
    data: Data,
    config: AnyConfig,
    timesteps: Sequence[int],
    folds: int,
    max_loss: float,
    results: Callable[..., list],
) -> tuple[dict[int, float], dict[int, float]]:
    """Margins at each T, for training and for inference; the latter of networks trained so at
    the largest T, as in the profile."""
    pieces = [
        TrainingMargin(tuple(Setting(config, t, tested) for tested in timesteps), folds, max_loss)
        for t in timesteps
    ]
    training = dict(zip(timesteps, results(training_margins(data), pieces)))
    reference = timesteps[-1]
    stopped = Setting(config, reference, reference, training[reference])
    states = results(
        held_back_networks(data), [HeldBack(stopped, number) for number in range(folds)]
    )
    margins = results(
        inference_margins(data),
        [InferenceMargin(stopped, folds, t, max_loss) for t in timesteps],
        states,
    )
    return training, dict(zip(timesteps, margins))


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
