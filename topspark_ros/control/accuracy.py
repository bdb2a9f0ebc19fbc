"""What each T is worth on this robot's objects: the profile, corrected by what the learner reports.

A profile is of other objects, which may be easier or harder. Prequential accuracy says what the T
in force is worth here. What another loses against it is at first what the profile says; trials,
in which the same frames were classified at both, correct that:

    loss(T) = loss in the profile + (d -+ STANDARD_ERRORS * sqrt(discordant)) / trials,

d the mistakes at T that were more, or fewer, than in force and than the profile expects. The root
of the discordant trials, those in which one T alone was mistaken, is the standard error of d
(McNemar 1947); it brings d nearer to 0, at most to 0, so that chance does not move T.
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
STANDARD_ERRORS = 2.0  # that trials have to differ from the profile before they count


class TrialReport(NamedTuple):
    """Labelled frames that were classified at one T, and at another that was in force.

    timesteps, in_force: the two T.
    frames: that were classified at both.
    worse: mistaken at the T tried alone.
    better: mistaken at the T in force alone.
    """

    timesteps: int
    in_force: int
    frames: float
    worse: float
    better: float


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
    here = (PRIOR_FRAMES * profiled[in_force] + report.frames * report.accuracy) / (
        PRIOR_FRAMES + report.frames)
    accuracy = candidates.accuracy + here - profiled[in_force]
    for timesteps in profile.timesteps:
        loss = _unexpected_loss(
            report.trials, timesteps, in_force, profiled[in_force] - profiled[timesteps])
        accuracy[candidates.inference_timesteps == timesteps] -= loss
    return np.clip(accuracy, 0.0, 1.0)


def _unexpected_loss(
    trials: Sequence[TrialReport], timesteps: int, in_force: int, expected: float
) -> float:
    """Accuracy that T loses against the one in force, beyond what is expected of it."""
    frames = worse = better = 0.0
    for trial in trials:
        if (trial.timesteps, trial.in_force) == (timesteps, in_force):
            frames, worse, better = (
                frames + trial.frames, worse + trial.worse, better + trial.better)
        elif (trial.timesteps, trial.in_force) == (in_force, timesteps):
            frames, worse, better = (
                frames + trial.frames, worse + trial.better, better + trial.worse)
    more = worse - better - frames * expected
    sure = max(abs(more) - STANDARD_ERRORS * math.sqrt(worse + better), 0.0)
    return math.copysign(sure, more) / frames if frames > 0.0 else 0.0
