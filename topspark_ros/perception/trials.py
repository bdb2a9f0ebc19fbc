"""What other T are worth on this robot's frames: a few labelled ones are classified at them too.

A trial is paired: it counts frames that only one of the two T, the one tried and the one in force,
was mistaken in, so that what makes a frame hard for both does not count. Trials change no weights,
and take a small share of the energy that everything takes, each T the same: a cheap T is tried
often.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from topspark_ros.control.accuracy import Trial

TRIED_TIMESTEPS = 1, 2, 4, 8, 16, 32, 64  # where no profile names others
MAX_TRIALS = 100  # pairs of T that are remembered
FADING = 1 - 1 / 500  # of what was counted, with each further trial: frames change


@dataclass(frozen=True)
class TrialSettings:
    """margins: the T to be tried, each with the lead of a class that ends a presentation.
    energy_share: that trials may take of the energy of everything else, 0..1; 0: none.
    """

    margins: Mapping[int, float] = field(
        default_factory=lambda: dict.fromkeys(TRIED_TIMESTEPS, math.inf)
    )
    energy_share: float = 0.05


class Trials:
    """Which T is to be tried next, and what trials have shown."""

    def __init__(self, settings: TrialSettings):
        self._settings = settings
        self._earned_j = 0.0  # for each T
        self._spent_j = dict.fromkeys(settings.margins, 0.0)
        self._cost_j = dict.fromkeys(settings.margins, math.inf)  # of the last trial
        self._trials: dict[tuple[int, int], Trial] = {}  # by T tried, and in force

    def earn(self, energy_j: float) -> None:
        """Energy was used, J, of which trials get their share."""
        if self._spent_j:
            self._earned_j += self._settings.energy_share * energy_j / len(self._spent_j)

    def due(self, in_force: int) -> tuple[int, float] | None:
        """The T that has been tried least of those that can pay for a trial, other than the one in
        force, and its margin; None: none can."""
        able = [
            timesteps
            for timesteps in self._spent_j
            if timesteps != in_force and self._gone_j(timesteps) < self._earned_j
        ]
        if not able:
            return None
        timesteps = min(able, key=lambda each: self._of(each, in_force).frames)
        return timesteps, self._settings.margins[timesteps]

    def count(
        self, timesteps: int, in_force: int, energy_j: float, wrong: bool, wrong_in_force: bool
    ) -> None:
        """A labelled frame was classified at this T as well, for so much energy, J."""
        self._spent_j[timesteps] = self._gone_j(timesteps) + energy_j
        self._cost_j[timesteps] = energy_j
        _, _, frames, worse, better = self._of(timesteps, in_force)
        self._trials[timesteps, in_force] = Trial(
            timesteps,
            in_force,
            FADING * frames + 1,
            FADING * worse + (wrong and not wrong_in_force),
            FADING * better + (wrong_in_force and not wrong),
        )
        if len(self._trials) > MAX_TRIALS:  # T that decisions name are any
            del self._trials[min(self._trials, key=lambda pair: self._trials[pair].frames)]

    def summary(self) -> tuple[Trial, ...]:
        """Of every two T that have been compared."""
        return tuple(self._trials.values())

    def _gone_j(self, timesteps: int) -> float:
        """Of what a T has earned, what it has spent or forgone, J.

        It saves for one trial at most: what was earned while power was plenty is not to be spent
        all at once when it is short.
        """
        return max(self._spent_j[timesteps], self._earned_j - self._cost_j[timesteps])

    def _of(self, timesteps: int, in_force: int) -> Trial:
        return self._trials.get((timesteps, in_force), Trial(timesteps, in_force))
