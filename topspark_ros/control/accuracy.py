"""What each T is worth on this robot's objects: the profile, corrected by what the learner reports.

A profile is of other objects, which may be easier or harder. Prequential accuracy says what the T
in force is worth here. What another loses against it is at first what the profile says; trials,
in which the same frames were classified at both, correct that:

    loss(T) = (PRIOR_TRIALS * loss in the profile + more mistakes at T than in force)
              / (PRIOR_TRIALS + trials)

Where nothing is reported yet, all is as in the profile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from topspark_ros.methodology.profile import Profile
from topspark_ros.methodology.tradeoff import Candidates

PRIOR_FRAMES = 10.0  # labelled frames that the profile's accuracy counts for
PRIOR_TRIALS = 100.0  # trials that the profile's difference of two T counts for


class TrialReport(NamedTuple):
    """Labelled frames that were classified at one T, and at another that was in force.

    timesteps, in_force: the two T.
    frames: that were classified at both.
    errors, errors_in_force: mistakes at each of them.
    """

    timesteps: int
    in_force: int
    frames: float
    errors: float
    errors_in_force: float


@dataclass(frozen=True)
class AccuracyReport:
    """How right the learner was.

    accuracy: prequential, 0..1; NaN: unmeasured.
    frames: labelled frames behind it.
    trials: one for each two T that were compared.
    """

    accuracy: float = math.nan
    frames: int = 0
    trials: Sequence[TrialReport] = ()

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
    profiled = {point.timesteps: point.inference.accuracy for point in profile.points}
    here = profiled[in_force]
    here = (PRIOR_FRAMES * here + report.frames * report.accuracy) / (PRIOR_FRAMES + report.frames)
    gain = np.zeros(len(candidates))  # against what the profile says of both
    for timesteps in profile.timesteps:
        trials, mistakes = 0.0, 0.0  # more at this T than in force
        for trial in report.trials:
            more = trial.errors - trial.errors_in_force
            if (trial.timesteps, trial.in_force) == (timesteps, in_force):
                trials, mistakes = trials + trial.frames, mistakes + more
            elif (trial.timesteps, trial.in_force) == (in_force, timesteps):
                trials, mistakes = trials + trial.frames, mistakes - more
        expected = profiled[in_force] - profiled[timesteps]
        loss = (PRIOR_TRIALS * expected + mistakes) / (PRIOR_TRIALS + trials)
        gain[candidates.inference_timesteps == timesteps] = expected - loss
    return np.clip(candidates.accuracy + here - profiled[in_force] + gain, 0.0, 1.0)
