"""The figures of an evaluation, and of two of them frame by frame."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from topspark_ros.perception.online import OnlineSettings
from topspark_ros.replay.jumps import without_gaps
from topspark_ros.replay.results import NONE, Evaluation

ACCURACY_WINDOW = OnlineSettings.accuracy_window  # labelled frames
POWER_WINDOW_S = 30.0


@dataclass(frozen=True)
class PowerWindow:
    """The window of POWER_WINDOW_S in which power was highest against its limit.

    begin_s: of the bag's clock.
    power_w, limit_w: means over the window, W.
    excess: power over limit less 1; inf: above a limit of 0.
    """

    begin_s: float
    power_w: float
    limit_w: float
    excess: float


@dataclass(frozen=True)
class Figures:
    """What a run comes to. Energies and powers are estimated. NaN: unknown.

    frames: that came. classified: the rest was skipped by the frame share.
    labelled, right: of those classified.
    accuracy: of all labelled frames, each before it was learned, 0..1.
    late_accuracy: the same of the last ACCURACY_WINDOW of them.
    unknown_share: of the classified frames, called unknown, 0..1.
    inference_j: mean of an inference, J.
    frame_j: mean of a classified frame, its learning included, J.
    power_w: mean from the first status to the last, W.
    worst: None: there were no POWER_WINDOW_S with a limit.
    inference_timesteps, training_timesteps: T that were set, ascending, steps.
    mean_steps: taken by an inference; fewer than T after an early exit.
    changes: of T or of whether to learn, by the controller. None: there is none.
    neurons: in use at the end.
    """

    frames: int
    classified: int
    labelled: int
    right: int
    accuracy: float
    late_accuracy: float
    unknown_share: float
    inference_j: float
    frame_j: float
    power_w: float
    worst: PowerWindow | None
    inference_timesteps: tuple[int, ...]
    training_timesteps: tuple[int, ...]
    mean_steps: float
    changes: int | None
    neurons: int


def figures(run: Evaluation) -> Figures:
    """Gaps in the recorded time are no time."""
    run = without_gaps(run)
    frames, status = run.frames[run.frames['taken']], run.status
    _, right = outcomes(run)
    frame_j = power_w = math.nan
    if len(status):
        first, last = status[0], status[-1]
        frame_j = _ratio(last['energy_j'], np.sum(frames['time_s'] <= last['time_s']))
        power_w = _ratio(last['energy_j'] - first['energy_j'], last['time_s'] - first['time_s'])
    settings = [
        (each.training_timesteps, each.inference_timesteps, each.learning_share)
        for each in run.decisions
    ]
    return Figures(
        frames=len(run.frames),
        classified=len(frames),
        labelled=len(right),
        right=int(right.sum()),
        accuracy=_ratio(right.sum(), len(right)),
        late_accuracy=_ratio(right[-ACCURACY_WINDOW:].sum(), min(ACCURACY_WINDOW, len(right))),
        unknown_share=_ratio(frames['unknown'].sum(), len(frames)),
        inference_j=_ratio(frames['energy_j'].sum(), len(frames)),
        frame_j=frame_j,
        power_w=power_w,
        worst=worst_window(status),
        inference_timesteps=_distinct(status['inference_timesteps'][status['frame_share'] > 0]),
        training_timesteps=_distinct(
            status['training_timesteps'][
                (status['learning_share'] > 0) & (status['frame_share'] > 0)
            ]
        ),
        mean_steps=_ratio(frames['timesteps'].sum(), len(frames)),
        changes=(
            sum(before != after for before, after in zip(settings, settings[1:]))
            if settings
            else None
        ),
        neurons=int(status['recruited_neurons'][-1]) if len(status) else 0,
    )


def outcomes(run: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """Of the frames that were classified and are labelled: times, s, and whether right.

    Returns (frames,) float64 and (frames,) bool.
    """
    frames = run.frames[run.frames['taken'] & (run.frames['label'] != NONE)]
    return frames['time_s'], frames['predicted'] == frames['label']


def running_mean(right: np.ndarray, window: int) -> np.ndarray:
    """Mean of each value and those before it, `window` together, at first fewer, float64."""
    total = np.cumsum(right)
    before = np.concatenate((np.zeros(window, total.dtype), total))[: len(total)]
    return (total - before) / np.minimum(np.arange(1, len(total) + 1), window)


def worst_window(status: np.ndarray) -> PowerWindow | None:
    """Of the windows that end with a status and have a limit all through, nothing else excused."""
    times_s, limits_w = status['time_s'], status['power_limit_w']
    ends_s = times_s[times_s >= times_s[:1] + POWER_WINDOW_S]
    if not len(ends_s):
        return None

    def means(totals: np.ndarray) -> np.ndarray:
        """Rise a second over each window of what has added up by each status."""
        return (
            np.interp(ends_s, times_s, totals) - np.interp(ends_s - POWER_WINDOW_S, times_s, totals)
        ) / POWER_WINDOW_S

    lengths_s, free = np.diff(times_s), np.isnan(limits_w[:-1])
    powers_w = means(status['energy_j'])
    allowed_w, free_share = (
        means(np.concatenate(([0.0], np.cumsum(rates * lengths_s))))
        for rates in (np.where(free, 0.0, limits_w[:-1]), free)
    )
    windows = [
        PowerWindow(begin_s, power_w, limit_w, _excess(power_w, limit_w))
        for begin_s, power_w, limit_w, share in zip(
            (ends_s - POWER_WINDOW_S).tolist(),
            powers_w.tolist(),
            allowed_w.tolist(),
            free_share.tolist(),
        )
        if share == 0.0
    ]
    return max(windows, key=lambda window: window.excess, default=None)


@dataclass(frozen=True)
class Confusion:
    """labels: rows, names in order. predictions: columns; None: no class was predicted.

    counts: (labels, predictions) int64.
    """

    labels: tuple[str, ...]
    predictions: tuple[str | None, ...]
    counts: np.ndarray

    def recalls(self) -> dict[str, float]:
        """Share of each class's frames that was classified right, 0..1."""
        columns = {name: column for column, name in enumerate(self.predictions)}
        return {
            name: float(self.counts[row, columns[name]] / self.counts[row].sum())
            for row, name in enumerate(self.labels)
        }


def confusion(run: Evaluation) -> Confusion:
    """Of the classes that occur."""
    frames = run.frames[run.frames['taken'] & (run.frames['label'] != NONE)]
    pairs, counts = np.unique(
        np.stack([frames['label'], frames['predicted']]), axis=1, return_counts=True
    )
    order = sorted(
        set(pairs.ravel().tolist()) - {NONE}, key=lambda index: _natural(run.class_names[index])
    )
    rows = [index for index in order if index in pairs[0]]
    columns = order + ([NONE] if NONE in pairs[1] else [])
    table = np.zeros((len(rows), len(columns)), np.int64)
    for label, predicted, count in zip(*pairs.tolist(), counts.tolist()):
        table[rows.index(label), columns.index(predicted)] = count
    return Confusion(
        tuple(run.class_names[index] for index in rows),
        tuple(None if index == NONE else run.class_names[index] for index in columns),
        table,
    )


@dataclass(frozen=True)
class Paired:
    """Two runs on the frames that both classified, matched by stamp.

    frames: that both classified.
    same: frames with the same prediction in both runs.
    labelled: frames with the same label in both runs.
    both_right, only_first, only_second: labelled frames that both runs, or only one of them,
        classified correctly.
    p_value: of McNemar's exact test, two-sided: probability of a difference at least as large if
        the runs are equally accurate; 1 where no run alone was right.
    """

    frames: int
    same: int
    labelled: int
    both_right: int
    only_first: int
    only_second: int
    p_value: float


def paired(first: Evaluation, second: Evaluation) -> Paired:
    """Compare two runs frame by frame. A stamp of 0, or one that a run has twice, is skipped."""
    a, b = _by_stamp(first), _by_stamp(second)
    shared, rows_a, rows_b = np.intersect1d(
        a['stamp_ns'], b['stamp_ns'], assume_unique=True, return_indices=True
    )
    # The same class may have another index.
    numbers = {
        name: number for number, name in enumerate((*first.class_names, *second.class_names))
    }
    (label_a, predicted_a), (label_b, predicted_b) = (
        [_renumbered(frames[column], run.class_names, numbers) for column in ('label', 'predicted')]
        for run, frames in ((first, a[rows_a]), (second, b[rows_b]))
    )
    labelled = (label_a == label_b) & (label_a != NONE)
    right_a, right_b = (predicted_a == label_a)[labelled], (predicted_b == label_b)[labelled]
    only_first, only_second = int(np.sum(right_a & ~right_b)), int(np.sum(right_b & ~right_a))
    return Paired(
        frames=len(shared),
        same=int(np.sum(predicted_a == predicted_b)),
        labelled=int(labelled.sum()),
        both_right=int(np.sum(right_a & right_b)),
        only_first=only_first,
        only_second=only_second,
        p_value=mcnemar(only_first, only_second),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p of the exact test: under its hypothesis each difference falls to either run with
    the same chance."""
    from scipy.stats import binomtest  # slow to import, and only needed to compare two runs

    differences = only_first + only_second
    return float(binomtest(only_first, differences).pvalue) if differences else 1.0


def _by_stamp(run: Evaluation) -> np.ndarray:
    stamps, rows, counts = np.unique(run.frames['stamp_ns'], return_index=True, return_counts=True)
    frames = run.frames[rows[(counts == 1) & (stamps != 0)]]
    return frames[frames['taken']]


def _renumbered(indices: np.ndarray, names: tuple[str, ...], numbers: dict[str, int]) -> np.ndarray:
    return np.array([*(numbers[name] for name in names), NONE])[indices]  # NONE is the last


def _natural(name: str) -> list[str | int]:
    """Numbers in it count as such: 9 is before 10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r'(\d+)', name)]


def _excess(power_w: float, limit_w: float) -> float:
    if limit_w > 0.0:
        return power_w / limit_w - 1
    return math.inf if power_w > 0.0 else 0.0


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


def _distinct(values: np.ndarray) -> tuple[int, ...]:
    return tuple(np.unique(values).tolist())
