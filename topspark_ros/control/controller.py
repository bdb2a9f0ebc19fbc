"""The controller without ROS: battery, budgets and the learner's reports become decisions.

    battery ──▶ BatteryMonitor ─┐
    budgets ──▶ BudgetBook ─────┼──▶ TimestepPolicy ──▶ decision
    learner ──▶ ClosedLoop ─────┘

The profile predicts what a setting costs, the closed loop corrects the prediction by what the
learner reports, and the energy that the learner used is charged to the budgets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from topspark_ros.methodology.profile import Profile

from .accuracy import AccuracyReport
from .battery import BatteryMonitor, BatteryReading, BatterySettings, BatteryValidity
from .budgets import REPLAN_S, Budget, BudgetBook, Limits
from .closed_loop import ClosedLoop, LearnerReport
from .decision import Decision, Outlook
from .policy import Conditions, PolicyConfig, TimestepPolicy
from .ranges import ABOVE_ZERO, FRACTION, FROM_ZERO


@dataclass(frozen=True)
class ControlSettings:
    """Settings of a controller.

    Parameters
    ----------
    policy, battery
        See PolicyConfig and BatterySettings.
    learner_timeout_s
        The learner counts as silent when its last report is older, s, above 0.
    budget_timeout_s
        A budget without a lifetime is stale when it is older, s; 0: never.
    mission_duration_s
        How long the battery has to last, from the first decision on, s; 0: there is no mission.
    mission_battery_share
        Share of the battery's energy that perception may use, 0..1.
    budget_share
        Share of every budget's power and energy, the mission's included, that this controller may
        use, 0..1. The shares of controllers that share a budget should sum to 1.
    core_power_w
        Power of a busy core, W, above 0; see ClosedLoop.

    Raises
    ------
    RangeError
        For a value out of its range.
    """

    policy: PolicyConfig = PolicyConfig()
    battery: BatterySettings = field(default_factory=BatterySettings)
    learner_timeout_s: float = 3.0
    budget_timeout_s: float = 0.0
    mission_duration_s: float = 0.0
    mission_battery_share: float = 1.0
    budget_share: float = 1.0
    core_power_w: float = 10.0

    def __post_init__(self) -> None:
        for name, accepted in (
            ('learner_timeout_s', ABOVE_ZERO),
            ('budget_timeout_s', FROM_ZERO),
            ('mission_duration_s', FROM_ZERO),
            ('mission_battery_share', FRACTION),
            ('budget_share', FRACTION),
            ('core_power_w', ABOVE_ZERO),
        ):
            accepted.require(name, getattr(self, name))


@dataclass(frozen=True)
class ControlStatus:
    """What the controller knows and plans. NaN: unknown, or unlimited.

    Parameters
    ----------
    sources
        Names of the sources whose budgets are in force.
    battery_source
        Field that the state of charge was read from last; see BatteryMonitor.
    power_w
        Power of perception, W.
    frame_rate_hz
        Frames that arrive a second, Hz.
    energy_ratio
        Measured energy of a frame over the profile's, at the present setting.
    latency_ratio
        Measured time of the inferences of a frame over that of the profile's one.
    latency_overhead_s
        Latency of a frame without its inferences, s.
    outlook
        Of each T of the profile, as of the last decision; empty before the first.
    """

    limits: Limits
    sources: tuple[str, ...]
    budget_stale: bool
    battery: BatteryValidity
    battery_source: str
    state_of_charge: float
    learner_silent: bool
    power_w: float
    frame_rate_hz: float
    energy_ratio: float
    latency_ratio: float
    latency_overhead_s: float
    outlook: tuple[Outlook, ...]


class Controller:
    """Takes readings, budgets and reports as they arrive, and decides when `decide` is called.

    Deterministic: equal sequences of calls give equal decisions. All times `now_s` are of one
    clock, s. When the clock is set back, everything received and planned stays, as if no time had
    passed, and the battery's next reading is believed without comparing it with the last.
    """

    def __init__(self, profile: Profile, settings: ControlSettings = ControlSettings()) -> None:
        self._profile = profile
        self._settings = settings
        self._policy = TimestepPolicy(profile, settings.policy)
        self._battery = BatteryMonitor(settings.battery)
        self._book = BudgetBook()
        self._loop = ClosedLoop(profile, settings.core_power_w)
        self._decision: Decision | None = None
        self._now_s = -math.inf
        self._set_back_s = 0.0  # sum of the steps that the clock was set back by
        self._began_s = math.nan  # when `decide` was called first; NaN: not yet
        self._mission_j = math.nan  # left of the battery's energy at first; NaN: never known
        self._mission_planned_s = -math.inf
        self._budget_set_s: dict[str, float] = {}  # by source, of budgets without a lifetime
        self._reported_s = -math.inf

    def reconfigure(self, settings: ControlSettings) -> None:
        """Take other settings; `battery` and `core_power_w` stay as they were."""
        self._settings = settings
        self._policy.config = settings.policy

    # Input ---------------------------------------------------------------------------------

    def on_battery(self, now_s: float, reading: BatteryReading) -> tuple[str, ...]:
        """Take a reading; returns a line for each field that was rejected."""
        return self._battery.update(self._at(now_s), reading)

    def on_budget(self, now_s: float, source: str, budget: Budget, age_s: float = 0.0) -> None:
        """Take the budget of a source, which replaces the one that it set before.

        Parameters
        ----------
        age_s
            How long ago the source set it, s.

        Raises
        ------
        RangeError
            If too many sources have set a budget.
        """
        now_s, share = self._at(now_s), self._settings.budget_share
        own = replace(budget, power_w=budget.power_w * share, energy_j=budget.energy_j * share)
        self._book.set(now_s, source, own, age_s)
        self._budget_set_s.pop(source, None)
        if math.isnan(budget.lifetime_s):
            self._budget_set_s[source] = now_s - max(age_s, 0.0)

    def on_report(self, now_s: float, report: LearnerReport) -> None:
        """Take the learner's report."""
        now_s = self._at(now_s)
        if self._reported_s == -math.inf and report.decided:
            self._policy.resume(*report.setting)
        self._reported_s = now_s
        used_j = self._loop.update(report, self._book.limits(now_s).strictest_power_w)
        self._book.spend(used_j)
        self._book.know_totals(now_s, report.energy_j, report.active_s)
        self._mission_j -= used_j

    # Output --------------------------------------------------------------------------------

    def decide(self, now_s: float) -> Decision | None:
        """The decision to be in force from now on, the same object while it stays.

        None at first, until the learner has reported or been silent for its timeout: only it knows
        the setting that a controller before this one chose, and the number of that decision.
        """
        now_s = self._at(now_s)
        if math.isnan(self._began_s):
            self._began_s = now_s
        silent = self._learner_silent(now_s)
        if (
            self._decision is None
            and silent
            and now_s - self._began_s < self._settings.learner_timeout_s
        ):
            return None
        self._plan_mission(now_s)
        report = self._loop.last_report
        self._decision = self._policy.decide(
            now_s,
            self._limits(now_s),
            Conditions(
                state_of_charge=self._battery.state_of_charge(now_s),
                battery=self._battery.validity(now_s).name.lower(),
                budget_stale=self._budget_stale(now_s),
                learner_silent=silent,
                frame_rate_hz=self._loop.frame_rate_hz,
                learned_share=self._loop.learned_share,
                energy_ratios=self._loop.energy_ratios(),
                standing_power_w=self._loop.standing_power_w,
                metered=report is not None and report.metered,
                latency_ratio=self._loop.latency_ratio,
                latency_overhead_s=self._loop.latency_overhead_s,
                inference_timesteps=report.inference_timesteps if report else 0,
                accuracy=report.accuracy if report else AccuracyReport(),
            ),
        )
        return self._decision

    def status(self, now_s: float) -> ControlStatus:
        now_s = self._at(now_s)
        return ControlStatus(
            limits=self._limits(now_s),
            sources=self._book.sources(now_s),
            budget_stale=self._budget_stale(now_s),
            battery=self._battery.validity(now_s),
            battery_source=self._battery.source,
            state_of_charge=self._battery.state_of_charge(now_s),
            learner_silent=self._learner_silent(now_s),
            power_w=self._loop.power_w,
            frame_rate_hz=self._loop.frame_rate_hz,
            energy_ratio=(
                math.nan
                if self._decision is None
                else self._loop.energy_ratio(self._decision.setting)
            ),
            latency_ratio=self._loop.latency_ratio,
            latency_overhead_s=self._loop.latency_overhead_s,
            outlook=self._policy.outlook,
        )

    # ---------------------------------------------------------------------------------------

    def _at(self, now_s: float) -> float:
        """`now_s` on a clock that never goes back, s."""
        if now_s + self._set_back_s < self._now_s:
            self._set_back_s = self._now_s - now_s
            self._battery.expect_any()
        self._now_s = max(self._now_s, now_s + self._set_back_s)
        return self._now_s

    def _limits(self, now_s: float) -> Limits:
        limits = self._book.limits(now_s)
        limit_w = limits.strictest_power_w
        return replace(
            limits,
            overdraft_w=self._loop.overdraft_w(limit_w),
            credit_w=self._loop.credit_w(limit_w),
        )

    def _plan_mission(self, now_s: float) -> None:
        """Once a minute, set the budget with which the battery lasts to the mission's end.

        The battery's own figure can lower what is left by our account, but not raise it: a battery
        that is stuck, or jumps, must not make perception use more.
        """
        if self._settings.mission_duration_s == 0.0:
            return
        left_s = self._began_s + self._settings.mission_duration_s - now_s
        if left_s <= 0.0:
            self._book.drop(None)
        elif not 0.0 <= now_s - self._mission_planned_s < REPLAN_S:
            settings = self._settings
            battery_j = (
                self._battery.energy_j(now_s)
                * settings.mission_battery_share
                * settings.budget_share
            )
            if math.isnan(self._mission_j):
                self._mission_j = battery_j
            if not math.isnan(self._mission_j):
                energy_j = max(0.0, np.fmin(battery_j, self._mission_j))
                self._book.set(now_s, None, Budget(energy_j=energy_j, duration_s=left_s))
                self._mission_planned_s = now_s

    def _learner_silent(self, now_s: float) -> bool:
        return not 0.0 <= now_s - self._reported_s <= self._settings.learner_timeout_s

    def _budget_stale(self, now_s: float) -> bool:
        timeout_s = self._settings.budget_timeout_s
        return timeout_s > 0.0 and any(
            now_s - set_s > timeout_s for set_s in self._budget_set_s.values()
        )
