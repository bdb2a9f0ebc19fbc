"""Evaluation of a bag: what the learner, and the controller if wanted, would have done.

The clock is that of the recording, so a run is repeatable to the last digit: each message is heard
at its time, in between frames are learned when they have waited for their label for long enough,
and status and looks of the controller come in their periods. No frame is lost to a slow machine.
What becomes of messages is decided by `perception`, as it is in the nodes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import joblib

from topspark_ros.replay.definitions import typestore
from topspark_ros.replay.results import Evaluation
from topspark_ros.replay.run import Progress, Run
from topspark_ros.replay.settings import EvaluationError, EvaluationSettings
from topspark_ros.streams.bags import Bag


def evaluate(
    path: Path, settings: EvaluationSettings, progress: Progress = lambda messages, bag_s: None
) -> Evaluation:
    """Run over a bag.

    path: as of Bag.
    progress: called with the messages of the input topic so far and the time of the bag that they
        took, s.

    Raises BagError, LabelError, EvaluationError, and what files of weights or profiles raise.
    """
    with Bag(path, typestore()) as bag:
        run = Run(bag, settings, progress)
        began_s = time.perf_counter()
        return replace(run.run(), took_s=time.perf_counter() - began_s)


def evaluate_all(
    path: Path,
    runs: Sequence[EvaluationSettings],
    jobs: int = 1,
    progress: Callable[[int, int, float], object] = lambda run, messages, bag_s: None,
) -> list[Evaluation]:
    """One evaluation each.

    jobs: processes; -1: one for each core.
    progress: as of `evaluate`, with the number of the run before; in other processes it is only
        called when a run is finished.
    """
    if jobs < 1 and jobs != -1:
        raise EvaluationError(f'jobs is {jobs}, accepted is 1 or more, or -1')
    if jobs == 1 or len(runs) == 1:
        return [
            evaluate(path, settings, lambda *done, run=run: progress(run, *done))
            for run, settings in enumerate(runs)
        ]
    evaluations = []
    for run, each in enumerate(
        joblib.Parallel(n_jobs=jobs, return_as='generator')(
            joblib.delayed(evaluate)(path, settings) for settings in runs
        )
    ):
        evaluations.append(each)
        progress(run, each.counts['messages'], each.bag_s)
    return evaluations
