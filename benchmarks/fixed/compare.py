"""Is a fixed setting better at no more cost? Paired by frame and seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from topspark_ros.replay.figures import mcnemar

from .play import Played, Setting, Step
from .streams import RATE_HZ

WINDOW_S = 5.0  # over which power is compared with its limit; the first SETTLING_S are left out
SETTLING_S = 5.0
KEPT = 0.05  # above the limit in the worst window, at most
EQUAL = 0.05  # more than the controller, that still counts as no more
NORMAL_95 = 1.96  # standard deviations on either side of the mean


class Difference(NamedTuple):
    """Of two accuracies on the same frames, points.

    low, high: of the 95 % interval of the mean. p_value: of McNemar's exact test.
    """

    mean: float
    low: float
    high: float
    p_value: float


class Comparison(NamedTuple):
    """cost: mean of the controller over the seeds. best: the most accurate fixed setting that costs
    no more, within EQUAL, and keeps the limits; None: none does. best_cost: its.
    ahead: the controller's accuracy less that of the best.
    better: the fixed settings that cost no more, keep the limits and are better by more than noise.
    """

    cost: float
    best: Setting | None
    best_cost: float
    ahead: Difference
    better: list[Setting]


def accuracy(runs: Sequence[Played]) -> float:
    """Right of all frames, mean over the seeds, 0..1."""
    return float(np.mean([run.right.mean() for run in runs]))


def accuracy_of_taken(runs: Sequence[Played]) -> float:
    """The same of the frames that were processed."""
    return float(np.mean([run.right[run.taken].mean() if run.taken.any() else 0.0 for run in runs]))


def difference(first: Sequence[Played], second: Sequence[Played]) -> Difference:
    """Pooled over the seeds; each pair of runs is of the same frames."""
    a, b = (np.concatenate([run.right for run in runs]) for runs in (first, second))
    gains = a.astype(float) - b
    mean, error = 100 * gains.mean(), 100 * gains.std() / math.sqrt(len(gains))
    return Difference(
        mean,
        mean - NORMAL_95 * error,
        mean + NORMAL_95 * error,
        mcnemar(int(np.sum(a & ~b)), int(np.sum(b & ~a))),
    )


def excess(run: Played, limits: Sequence[Step]) -> float:
    """Energy over what the limits allow less 1, in the worst window once settled; 0: none."""
    if not limits:
        return 0.0
    begins_s = np.arange(len(run.used_j)) / RATE_HZ
    index = np.searchsorted([step.begin_s for step in limits], begins_s, side='right') - 1
    allowed_j = np.cumsum(np.array([step.power_w for step in limits])[index]) / RATE_HZ
    window, settling = (round(length_s * RATE_HZ) for length_s in (WINDOW_S, SETTLING_S))
    used_j, allowed_j = (
        each[settling + window :] - each[settling:-window] for each in (run.used_j, allowed_j)
    )
    return max(0.0, float((used_j / allowed_j).max()) - 1.0)


def compare(
    controlled: Sequence[Played],
    fixed: dict[Setting, Sequence[Played]],
    limits: Sequence[Sequence[Step]],
    measured: bool,
) -> Comparison:
    """All runs and limits by seed. measured: by processor time, s; else by estimated energy, J."""
    cost = mean_cost(controlled, measured)
    able = [
        setting
        for setting, runs in fixed.items()
        if mean_cost(runs, measured) <= (1 + EQUAL) * cost and worst_excess(runs, limits) <= KEPT
    ]
    if not able:
        return Comparison(cost, None, math.nan, Difference(*[math.nan] * 4), [])
    best = max(able, key=lambda setting: accuracy(fixed[setting]))
    return Comparison(
        cost,
        best,
        mean_cost(fixed[best], measured),
        difference(controlled, fixed[best]),
        [each for each in able if difference(controlled, fixed[each]).high < 0.0],
    )


def worst_excess(runs: Sequence[Played], limits: Sequence[Sequence[Step]]) -> float:
    return max(map(excess, runs, limits))


def mean_cost(runs: Sequence[Played], measured: bool) -> float:
    return float(np.mean([run.processor_s if measured else run.used_j[-1] for run in runs]))
