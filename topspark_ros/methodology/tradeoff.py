"""TopSpark's trade-off between accuracy, latency and energy, over pairs of timesteps.

S = A - (mu L / L0 + epsilon E / E0), Putra and Shafique 2023 (arXiv:2303.01826), where the paper
scores one T and here training and inference have a T each. L0 and E0 are those of the reference:
both phases at the profile's largest T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .profile import Profile


@dataclass(frozen=True)
class Candidates:
    """Every setting that a profile offers, one a row: n * n pairs of T with learning on, then
    n without learning. The last of the pairs is the reference.

    All arrays have the shape (n * n + n,).

    training_timesteps: int64. Without learning it decides nothing and is the smallest.
    inference_timesteps: int64.
    learning: bool.
    accuracy: expected, 0..1, float64.
    latency_s: from a frame to its classification, s, float64.
    frame_time_s: processor time a frame, the mean share of training included, s, float64.
    energy_j: energy a frame, the mean share of training included, J, float64.
    """

    training_timesteps: np.ndarray
    inference_timesteps: np.ndarray
    learning: np.ndarray
    accuracy: np.ndarray
    latency_s: np.ndarray
    frame_time_s: np.ndarray
    energy_j: np.ndarray


def enumerate_candidates(profile: Profile, learned_share: float) -> Candidates:
    """What each setting of `profile` comes to when `learned_share` (0..1) of frames is learned.

    A learned frame is first classified, so costs both phases.
    """
    smallest = profile.timesteps[0]
    rows = [
        (
            train.timesteps, test.timesteps, True,
            profile.expected_accuracy(train.timesteps, test.timesteps),
            test.inference.latency_s,
            test.inference.latency_s + learned_share * train.training.latency_s,
            test.inference.energy_j + learned_share * train.training.energy_j,
        )
        for train in profile.points for test in profile.points
    ] + [
        (
            smallest, test.timesteps, False, test.inference.accuracy,
            test.inference.latency_s, test.inference.latency_s, test.inference.energy_j,
        )
        for test in profile.points
    ]
    return Candidates(*map(np.array, zip(*rows)))


def score_candidates(candidates: Candidates, mu: float, epsilon: float) -> np.ndarray:
    """The score S of every candidate, shape as theirs, float64.

    mu: weight of the processor time a frame relative to the reference's.
    epsilon: weight of the energy a frame relative to the reference's.
    """
    reference = np.flatnonzero(candidates.learning)[-1]
    return (
        candidates.accuracy
        - mu * _relative(candidates.frame_time_s, reference)
        - epsilon * _relative(candidates.energy_j, reference)
    )


def pareto_front(candidates: Candidates) -> np.ndarray:
    """The pairs with learning on that no other beats, those of less energy first, as rows.

    A pair is beaten by one that needs no more energy and is more accurate, or is as accurate
    and needs less.
    """
    rows = np.flatnonzero(candidates.learning)
    rows = rows[np.lexsort((-candidates.accuracy[rows], candidates.energy_j[rows]))]
    accuracy = candidates.accuracy[rows]
    best_before = np.concatenate(([-np.inf], np.maximum.accumulate(accuracy)[:-1]))
    return rows[accuracy > best_before]


def _relative(cost: np.ndarray, reference: int) -> np.ndarray:
    # A profile may hold no cost at all, which then cannot matter.
    return cost / cost[reference] if cost[reference] > 0 else np.zeros_like(cost)
