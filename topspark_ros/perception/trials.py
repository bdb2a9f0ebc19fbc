"""What other T are worth on this robot's frames: a few labelled ones are classified at them too.

A trial is paired: it counts frames that only one of the two T, the one tried and the one in force,
was mistaken in, so that what makes a frame hard for both does not count. Trials change no weights.

They take a small share of the energy that everything else takes, and save for one trial at a time.
Each T is to take the same, so a cheap one is tried often. One trial takes at most what all of them
get in SAVING_S at the present power: a T that takes more is not tried for as long. So trials take
at most twice their share in any SAVING_S, however low the power is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from topspark_ros.control.accuracy import Trial
from topspark_ros.perception.activity import FADING, forget_rarest

TRIED_TIMESTEPS = 1, 2, 4, 8, 16, 32, 64  # where no profile names others
SAVING_S = 30.0  # in which the energy for one trial has to come together
POWER_S = 3.0  # time constant of the present power


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
        self._power_w = 0.0  # of everything else, now
        self._now_s = -math.inf
        self._saved_j = 0.0
        self._spent_j = dict.fromkeys(settings.margins, 0.0)  # faded, as the trials are
        self._cost_j: dict[int, float] = {}  # of the last trial
        self._trials: dict[tuple[int, int], Trial] = {}  # by T tried, and in force

    def earn(self, energy_j: float, now_s: float) -> None:
        """Something else took so much energy, J, of which trials get their share."""
        passed_s = max(now_s - self._now_s, 0.0)  # the clock may have been set back
        self._now_s = now_s
        self._power_w = self._power_w * math.exp(-passed_s / POWER_S) + energy_j / POWER_S
        self._saved_j += self._settings.energy_share * energy_j

    def due(self, in_force: int, step_j: float) -> tuple[int, float] | None:
        """The T to be tried now, other than the one in force, and its margin; None: none.

        step_j: energy of a step at the T in force, J, by which the first trial of a T is estimated.
        """
        most_j = self._settings.energy_share * self._power_w * SAVING_S
        # What was saved while power was plenty is not to be spent when it is short.
        self._saved_j = min(self._saved_j, most_j)
        cost_j = {
            timesteps: self._cost_j.get(timesteps, step_j * timesteps)
            for timesteps in self._spent_j
            if timesteps != in_force
        }
        able = [timesteps for timesteps, each_j in cost_j.items() if each_j <= most_j]
        if not able or most_j == 0.0:
            return None
        timesteps = min(able, key=self._spent_j.__getitem__)
        if cost_j[timesteps] > self._saved_j:
            return None
        return timesteps, self._settings.margins[timesteps]

    def count(
        self, timesteps: int, in_force: int, energy_j: float, wrong: bool, wrong_in_force: bool
    ) -> None:
        """A labelled frame was classified at this T as well, for so much energy, J."""
        self._saved_j -= energy_j
        self._cost_j[timesteps] = energy_j
        self._spent_j = {each: FADING * spent_j for each, spent_j in self._spent_j.items()}
        self._spent_j[timesteps] += energy_j
        _, _, frames, worse, better = self._trials.get(
            (timesteps, in_force), Trial(timesteps, in_force)
        )
        self._trials[timesteps, in_force] = Trial(
            timesteps,
            in_force,
            FADING * frames + 1,
            FADING * worse + (wrong and not wrong_in_force),
            FADING * better + (wrong_in_force and not wrong),
        )
        forget_rarest(self._trials)

    def summary(self) -> tuple[Trial, ...]:
        """Of every two T that have been compared."""
        return tuple(self._trials.values())
