"""Who decides: our controller and what it is compared with, all called as a Controller is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from topspark_ros.control.battery import BatteryReading
from topspark_ros.control.budgets import Budget
from topspark_ros.control.closed_loop import LearnerReport
from topspark_ros.control.controller import Controller, ControlSettings
from topspark_ros.methodology.profile import Profile
from topspark_ros.methodology.tradeoff import enumerate_candidates, score_candidates

OURS = 'our controller'
BANG_BANG = 'bang-bang, T = 64 or 4'
STATIC = 'static score'
BANG_BANG_TIMESTEPS = {True: 64, False: 4}  # by whether the battery is above half
STATIC_WEIGHTS = 0.1, 0.1  # mu and epsilon

# Training T, inference T, learning and frame share, as of Decision.
Setting = tuple[int, int, bool, float]


class Deciding(Protocol):
    """What a mission needs of a controller."""

    plans: list[tuple[float, float]]

    def on_battery(self, now_s: float, reading: BatteryReading) -> None: ...
    def on_budget(self, now_s: float, source: str, budget: Budget) -> None: ...
    def on_report(self, now_s: float, report: LearnerReport) -> None: ...
    def choose(self, now_s: float) -> Setting | None: ...


class Ours:
    """The controller with its defaults.

    plans: (time, mean power that makes the mission's energy last) of each plan, s and W.
    """

    def __init__(self, profile: Profile) -> None:
        self._controller = Controller(profile, ControlSettings())
        self.on_battery = self._controller.on_battery
        self.on_budget = self._controller.on_budget
        self.plans: list[tuple[float, float]] = []
        self._setting: Setting | None = None

    def on_report(self, now_s: float, report: LearnerReport) -> None:
        self._controller.on_report(now_s, report)
        self._watch(now_s)

    def choose(self, now_s: float) -> Setting | None:
        decision = self._controller.decide(now_s)
        before, self._setting = self._setting, None if decision is None else decision.setting
        if self._setting != before:
            self._watch(now_s)
        return self._setting

    def _watch(self, now_s: float) -> None:
        mission_w = self._controller.status(now_s).limits.mission_power_w
        if not math.isnan(mission_w) and (not self.plans or mission_w != self.plans[-1][1]):
            self.plans.append((now_s, mission_w))


class Fixed:
    """One T for training and inference, whatever comes."""

    def __init__(self, timesteps: int) -> None:
        self.plans: list[tuple[float, float]] = []
        self._setting = timesteps, timesteps, True, 1.0

    def on_battery(self, now_s: float, reading: BatteryReading) -> None:
        pass

    def on_budget(self, now_s: float, source: str, budget: Budget) -> None:
        pass

    def on_report(self, now_s: float, report: LearnerReport) -> None:
        pass

    def choose(self, now_s: float) -> Setting:
        return self._setting


class BangBang(Fixed):
    """One of two T by what the battery says."""

    def __init__(self) -> None:
        super().__init__(BANG_BANG_TIMESTEPS[True])

    def on_battery(self, now_s: float, reading: BatteryReading) -> None:
        if not math.isnan(reading.percentage):
            super().__init__(BANG_BANG_TIMESTEPS[reading.percentage > 0.5])


def static_timesteps(profile: Profile) -> int:
    """The one T with the best score S of the paper."""
    candidates = enumerate_candidates(profile, 1.0)
    score = score_candidates(candidates, *STATIC_WEIGHTS)
    same = candidates.whole & (candidates.training_timesteps == candidates.inference_timesteps)
    return int(candidates.inference_timesteps[np.argmax(np.where(same, score, -math.inf))])


def policies(profile: Profile) -> dict[str, Callable[[Profile], Deciding]]:
    """How each is made from the profile that it is given, by name; the static score is a fixed T.

    profile: for the T that there are.
    """
    return {
        OURS: Ours,
        **{
            fixed_name(timesteps): lambda _, timesteps=timesteps: Fixed(timesteps)
            for timesteps in profile.timesteps
        },
        BANG_BANG: lambda _: BangBang(),
    }


def fixed_name(timesteps: int) -> str:
    return f'T = {timesteps}'
