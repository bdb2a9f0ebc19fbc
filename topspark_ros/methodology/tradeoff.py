"""TopSpark's trade-off between accuracy, latency and energy, over pairs of timesteps.

S = A - (mu L / L0 + epsilon E / E0), Putra and Shafique 2023 (arXiv:2303.01826), where the paper
scores one T and here training and inference have a T each. L0 and E0 are those of the reference:
both phases at the profile's largest T.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .profile import Profile, ProfilePoint

# Steps of a quarter: finer than what a frame more or less makes of a power limit.
SHARES = tuple(0.8**step for step in range(1, 21)) + (0.0,)
LEARNING_SHARES = 0.5, 0.25, 0.125  # below, and besides, 1 and 0


@dataclass(frozen=True)
class Candidates:
    """Every setting that a profile offers, one a row: n * n pairs of T with every frame learned,
    then n without learning, then the smallest T without learning for fewer and fewer frames, then
    the pairs again for each of LEARNING_SHARES, then the smallest T of inference for fewer and
    fewer frames, all learned, at each training T. The last of the first pairs is the reference.

    All arrays have the shape
    (n * n * (1 + len(LEARNING_SHARES)) + n + len(SHARES) + n * (len(SHARES) - 1),).

    Parameters
    ----------
    training_timesteps
        Int64. Without learning it decides nothing and is the smallest.
    inference_timesteps
        Int64.
    learning_share
        Of the processed frames that is to be learned, 0..1, float64.
    frame_share
        Of the frames that is processed, 0..1, float64.
    accuracy
        Expected, of the frames that are processed, 0..1, float64.
    latency_s
        Processor time of an inference, s, float64.
    inference_j
        Energy of an inference, J, float64.
    training_loss
        Accuracy lost against the best training T, 0..1, float64; 0 without learning.
    training_s, training_j
        Processor time and energy of learning one frame, 0 without learning, s and J, float64.
    learned_share
        Of the frames that are to be learned, that is, 0..1.
    """

    training_timesteps: np.ndarray
    inference_timesteps: np.ndarray
    learning_share: np.ndarray
    frame_share: np.ndarray
    accuracy: np.ndarray
    training_loss: np.ndarray
    latency_s: np.ndarray
    inference_j: np.ndarray
    training_s: np.ndarray
    training_j: np.ndarray
    learned_share: float = field(kw_only=True)

    def __len__(self) -> int:
        return len(self.learning_share)

    @property
    def learning(self) -> np.ndarray:
        return self.learning_share > 0.0

    @property
    def whole(self) -> np.ndarray:
        """Whether every frame is processed and learned, bool."""
        return (self.learning_share == 1.0) & (self.frame_share == 1.0)

    @property
    def frame_time_s(self) -> np.ndarray:
        """Processor time a processed frame, the mean share of training included, s, float64."""
        return self.latency_s + self.learned_share * self.learning_share * self.training_s

    @property
    def energy_j(self) -> np.ndarray:
        """Energy a processed frame, the mean share of training included, J, float64."""
        return self.inference_j + self.learned_share * self.learning_share * self.training_j

    def row(
        self,
        training_timesteps: int,
        inference_timesteps: int,
        learning_share: float,
        frame_share: float,
    ) -> int | None:
        """The row of a setting; None if there is none. Training T counts only with learning."""
        rows = np.flatnonzero(
            (self.inference_timesteps == inference_timesteps)
            & (np.abs(self.learning_share - learning_share) < 1e-6)
            & ((self.training_timesteps == training_timesteps) | (learning_share == 0.0))
            & (np.abs(self.frame_share - frame_share) < 1e-6)
        )
        return int(rows[0]) if len(rows) else None


def enumerate_candidates(profile: Profile, learned_share: float) -> Candidates:
    """What each setting of `profile` comes to when `learned_share` (0..1) of frames is learned.

    A learned frame is first classified, so costs both phases.
    """
    smallest = profile.points[0]
    best = max(point.training.accuracy for point in profile.points)

    def pair(
        train: ProfilePoint, test: ProfilePoint, learning_share: float, frame_share: float = 1.0
    ) -> tuple:
        return (
            train.timesteps,
            test.timesteps,
            learning_share,
            frame_share,
            profile.expected_accuracy(train.timesteps, test.timesteps),
            best - train.training.accuracy,
            test.inference.latency_s,
            test.inference.energy_j,
            train.training.latency_s,
            train.training.energy_j,
        )

    def without_learning(test: ProfilePoint, frame_share: float) -> tuple:
        return (
            smallest.timesteps,
            test.timesteps,
            0.0,
            frame_share,
            test.inference.accuracy,
            0.0,
            test.inference.latency_s,
            test.inference.energy_j,
            0.0,
            0.0,
        )

    def pairs(learning_share: float) -> list[tuple]:
        return [
            pair(train, test, learning_share) for train in profile.points for test in profile.points
        ]

    rows = pairs(1.0)
    rows += [without_learning(test, 1.0) for test in profile.points]
    rows += [without_learning(smallest, share) for share in SHARES]
    for share in LEARNING_SHARES:
        rows += pairs(share)
    rows += [pair(train, smallest, 1.0, share) for train in profile.points for share in SHARES[:-1]]
    return Candidates(*map(np.array, zip(*rows)), learned_share=learned_share)


def score_candidates(
    candidates: Candidates, mu: float, epsilon: float, energy_j: np.ndarray | None = None
) -> np.ndarray:
    """The score S of every candidate, shape as theirs, float64.

    Parameters
    ----------
    mu
        Weight of the processor time a frame relative to the reference's.
    epsilon
        Weight of the energy a frame relative to the reference's.
    energy_j
        Energy of a processed frame of each, J; None: the profile's.
    """
    reference = np.flatnonzero(candidates.whole)[-1]
    return (
        candidates.accuracy
        - mu * _relative(candidates.frame_time_s, reference)
        - epsilon * _relative(candidates.energy_j if energy_j is None else energy_j, reference)
    )


def pareto_front(candidates: Candidates) -> np.ndarray:
    """Rows of the non-dominated pairs that learn every frame, those of less energy first, int64."""
    return non_dominated(np.flatnonzero(candidates.whole), candidates.energy_j, candidates.accuracy)


def non_dominated(rows: np.ndarray, cost: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Those of `rows` that no other dominates, the cheaper ones first.

    A row is dominated by one that costs no more and is more accurate, or is as accurate and costs
    less.
    """
    rows = rows[np.lexsort((-accuracy[rows], cost[rows]))]
    best_before = np.concatenate(([-np.inf], np.maximum.accumulate(accuracy[rows])[:-1]))
    return rows[accuracy[rows] > best_before]


def _relative(cost: np.ndarray, reference: int) -> np.ndarray:
    # A profile may hold no cost at all, which then cannot matter.
    return cost / cost[reference] if cost[reference] > 0 else np.zeros_like(cost)
