"""What each T is worth on this robot's objects: the profile, corrected by what the learner reports.

A profile is of other objects, which may be easier or harder. Prequential accuracy says what the T
in force is worth here. What others lose or gain against it is at first what the profile says;
trials, in which the same frames were classified at two T, correct that. The share of mistakes q of
each T is the least-squares solution of

    PRIOR_TRIALS (q_T - mistakes in the profile)^2, summed over T,
    + trials (q_T - q_S - (more mistakes at T than at S) / trials)^2, summed over pairs of T and S:

one scale for all, so that no three T can each seem better than the next. Where nothing is reported
yet, all is as in the profile. How far chance alone may have moved a solution is its standard error:
each trial counts +1, 0 or -1, whose variance is the share of trials in which one T alone was
mistaken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from topspark_ros.methodology.profile import Profile
from topspark_ros.methodology.tradeoff import Candidates

PRIOR_FRAMES = 10.0  # labelled frames that the profile's accuracy counts for
PRIOR_TRIALS = 200.0  # that what the profile says of each T counts for
PRIOR_DIFFERENCE = 0.1  # share of trials in which one T alone is mistaken, until some were made
PRIOR_DIFFERENCE_TRIALS = 10.0  # that this counts for


class Trial(NamedTuple):
    """How labelled frames were classified at one T, as compared with another that was in force.

    Parameters
    ----------
    timesteps
        T that was tried, simulation steps.
    in_force
        T that was in force, simulation steps.
    frames
        Counted, the latest most.
    worse
        Of these, mistaken at the T tried alone.
    better
        Of these, mistaken at the T in force alone.
    """

    timesteps: int
    in_force: int
    frames: float = 0.0
    worse: float = 0.0
    better: float = 0.0


@dataclass(frozen=True)
class AccuracyReport:
    """How right the learner was.

    Parameters
    ----------
    accuracy
        Prequential, 0..1; NaN: unmeasured.
    frames
        Labelled frames behind it.
    trials
        One for each two T that were compared.
    """

    accuracy: float = math.nan
    frames: int = 0
    trials: Sequence[Trial] = ()

    @property
    def measured(self) -> bool:
        return self.frames > 0 and not math.isnan(self.accuracy)


def expected_accuracy(
    profile: Profile, candidates: Candidates, in_force: int, report: AccuracyReport
) -> np.ndarray:
    """The accuracy to expect of every candidate, shape (len(candidates),), float64, 0..1.

    in_force: T of inference.
    """
    if not report.measured or in_force not in profile.timesteps:
        return candidates.accuracy
    profiled = np.array([1.0 - point.inference.accuracy for point in profile.points])
    row = _rows(profile)
    left, right = _equations(row, report.trials)
    mistakes = np.linalg.solve(left, right + PRIOR_TRIALS * profiled)
    here = (PRIOR_FRAMES * profiled[row[in_force]] + report.frames * (1.0 - report.accuracy)) / (
        PRIOR_FRAMES + report.frames
    )
    change = (mistakes - profiled) + (here - mistakes[row[in_force]])
    rows = [row[timesteps] for timesteps in candidates.inference_timesteps.tolist()]
    return np.clip(candidates.accuracy - change[rows], 0.0, 1.0)


def standard_errors(profile: Profile, trials: Sequence[Trial]) -> np.ndarray:
    """By how much chance in the trials may have moved the difference between the accuracies at each
    two T of the profile, standard deviation, shape (T, T), float64, 0..1.
    """
    left, _ = _equations(_rows(profile), trials)
    made = sum(trial.frames for trial in trials)
    different = sum(trial.worse + trial.better for trial in trials)
    variance = (different + PRIOR_DIFFERENCE * PRIOR_DIFFERENCE_TRIALS) / (
        made + PRIOR_DIFFERENCE_TRIALS
    )
    inverse = np.linalg.inv(left)
    covariance = variance * inverse @ (left - PRIOR_TRIALS * np.eye(len(left))) @ inverse
    own = covariance.diagonal()
    # Rounding may leave a little less than 0.
    return np.sqrt(np.maximum(own[:, np.newaxis] + own - 2.0 * covariance, 0.0))


def _rows(profile: Profile) -> dict[int, int]:
    return {timesteps: row for row, timesteps in enumerate(profile.timesteps)}


def _equations(row: Mapping[int, int], trials: Sequence[Trial]) -> tuple[np.ndarray, np.ndarray]:
    """The normal equations of the shares of mistakes, prior on the left side alone."""
    left, right = PRIOR_TRIALS * np.eye(len(row)), np.zeros(len(row))
    for trial in trials:
        if trial.timesteps in row and trial.in_force in row:
            pair = [row[trial.timesteps], row[trial.in_force]]
            left[np.ix_(pair, pair)] += trial.frames * np.array([[1.0, -1.0], [-1.0, 1.0]])
            right[pair] += (trial.worse - trial.better) * np.array([1.0, -1.0])
    return left, right
