"""The controller without ROS: what is heard of battery, budgets and learner becomes decisions.

    battery ──▶ BatteryMonitor ─┐
    budgets ──▶ BudgetBook ─────┼──▶ TimestepPolicy ──▶ decision
    learner ──▶ ClosedLoop ─────┘

The profile predicts what a setting costs, the loop corrects the prediction, and what was used is
charged to the budgets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from topspark_ros.methodology.profile import Profile

from .battery import BatteryMonitor, BatteryReading, BatterySettings, BatteryState
from .budgets import REPLAN_S, Budget, BudgetBook, Limits
from .closed_loop import ClosedLoop, LearnerReport
from .decision import Decision
from .policy import Conditions, PolicyConfig, TimestepPolicy
from .ranges import ABOVE_ZERO, FRACTION, FROM_ZERO


@dataclass(frozen=True)
class ControlSettings:
    """What the controller is told once.

    policy, battery: see there.
    learner_timeout_s: a learner silent for longer is not there, s, above 0.
    budget_timeout_s: a budget without a lifetime that is older is stale, s; 0: never.
    mission_duration_s: time from the first decision on that the battery has to last, s; 0: no
        mission.
    mission_battery_share: of the battery's energy that perception may use, 0..1.
    budget_share: of the power and the energy of all budgets, the mission's among them, that is for
        this controller, 0..1: where several share a budget, their shares are to add up to 1.
    core_power_w: power of a busy core, W, above 0, as of ClosedLoop.

    Raises RangeError for a value out of its range.
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
            ('learner_timeout_s', ABOVE_ZERO), ('budget_timeout_s', FROM_ZERO),
            ('mission_duration_s', FROM_ZERO), ('mission_battery_share', FRACTION),
            ('budget_share', FRACTION), ('core_power_w', ABOVE_ZERO),
        ):
            accepted.require(name, getattr(self, name))


@dataclass(frozen=True)
class ControlStatus:
    """What the controller knows, plans and corrects. NaN: unknown, or unlimited.

    sources: whose budgets are in force.
    battery_source: what the state of charge was read from last, as of BatteryMonitor.
    power_w: drawn by perception, W.
    frame_rate_hz: of frames that come, Hz.
    energy_ratio: energy of a frame as measured over the profile's, at the present setting.
    latency_ratio: the same of the time of an inference.
    latency_overhead_s: latency of a frame beyond its inference, s.
    """

    limits: Limits
    sources: tuple[str, ...]
    budget_stale: bool
    battery: BatteryState
    battery_source: str
    state_of_charge: float
    learner_silent: bool
    power_w: float
    frame_rate_hz: float
    energy_ratio: float
    latency_ratio: float
    latency_overhead_s: float


class Controller:
    """Decides by what it is told, when it is asked.

    Deterministic: equal sequences of calls give equal decisions. All times `now_s` are of one
    clock, s. When that is set back, all that was heard and planned stays, as if no time had passed,
    and the battery's next reading is believed whatever it tells.
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
        self._set_back_s = 0.0  # that the clock was set back by, in all
        self._began_s: float | None = None
        self._mission_j = math.nan  # left of what the battery told at first; NaN: not told
        self._mission_planned_s = -math.inf
        self._budget_set_s: dict[str, float] = {}  # of those without a lifetime
        self._learner_heard_s = -math.inf

    def reconfigure(self, settings: ControlSettings) -> None:
        """Go on with other settings; those of the battery and of the core stay as they were."""
        self._settings = settings
        self._policy.config = settings.policy

    # Input ---------------------------------------------------------------------------------

    def hear_battery(self, now_s: float, reading: BatteryReading) -> tuple[str, ...]:
        """What was refused of it, a line for each field; what was known before stays."""
        return self._battery.hear(self._at(now_s), reading)

    def hear_budget(self, now_s: float, source: str, budget: Budget, age_s: float = 0.0) -> None:
        """age_s: how long ago the source set it, s. RangeError for one source too many."""
        now_s, share = self._at(now_s), self._settings.budget_share
        own = replace(budget, power_w=budget.power_w * share, energy_j=budget.energy_j * share)
        self._book.set(now_s, source, own, age_s)
        self._budget_set_s.pop(source, None)
        if math.isnan(budget.lifetime_s):
            self._budget_set_s[source] = now_s - max(age_s, 0.0)

    def hear_learner(self, now_s: float, report: LearnerReport) -> None:
        now_s = self._at(now_s)
        if self._learner_heard_s == -math.inf and report.decided:
            self._policy.resume(*report.setting)
        self._learner_heard_s = now_s
        used_j = self._loop.hear(report, self._book.limits(now_s).strictest_power_w)
        self._book.spend(used_j)
        self._book.know_totals(now_s, report.energy_j, report.active_s)
        self._mission_j -= used_j

    # Output --------------------------------------------------------------------------------

    def decide(self, now_s: float) -> Decision | None:
        """The decision to be in force from now on, the same object while it stays.

        None at first, until the learner was heard or has been silent for its timeout: what it does,
        and how the decision before is numbered, only it knows.
        """
        now_s = self._at(now_s)
        if self._began_s is None:
            self._began_s = now_s
        silent = self._learner_silent(now_s)
        if (self._decision is None and silent
                and now_s - self._began_s < self._settings.learner_timeout_s):
            return None
        self._plan_mission(now_s)
        self._decision = self._policy.decide(now_s, self._limits(now_s), Conditions(
            state_of_charge=self._battery.state_of_charge(now_s),
            battery=self._battery.state(now_s).name.lower(),
            budget_stale=self._budget_stale(now_s),
            learner_silent=silent,
            frame_rate_hz=self._loop.frame_rate_hz,
            learned_share=self._loop.learned_share,
            energy_ratios=self._loop.energy_ratios(),
            latency_ratio=self._loop.latency_ratio,
            latency_overhead_s=self._loop.latency_overhead_s,
        ))
        return self._decision

    def status(self, now_s: float) -> ControlStatus:
        now_s = self._at(now_s)
        return ControlStatus(
            limits=self._limits(now_s),
            sources=self._book.sources(now_s),
            budget_stale=self._budget_stale(now_s),
            battery=self._battery.state(now_s),
            battery_source=self._battery.source,
            state_of_charge=self._battery.state_of_charge(now_s),
            learner_silent=self._learner_silent(now_s),
            power_w=self._loop.power_w,
            frame_rate_hz=self._loop.frame_rate_hz,
            energy_ratio=(math.nan if self._decision is None
                          else self._loop.energy_ratio(self._decision.setting)),
            latency_ratio=self._loop.latency_ratio,
            latency_overhead_s=self._loop.latency_overhead_s,
        )

    # ---------------------------------------------------------------------------------------

    def _at(self, now_s: float) -> float:
        """The time of a clock that never goes back, s."""
        if now_s + self._set_back_s < self._now_s:
            self._set_back_s = self._now_s - now_s
            self._battery.expect_any()
        self._now_s = max(self._now_s, now_s + self._set_back_s)
        return self._now_s

    def _limits(self, now_s: float) -> Limits:
        limits = self._book.limits(now_s)
        return replace(limits, overdraft_w=self._loop.overdraft_w(limits.strictest_power_w))

    def _plan_mission(self, now_s: float) -> None:
        """Set anew, each minute, the budget that makes the battery last; none after the end.

        What the battery tells may demand less, but not allow more, than what is left by our own
        account: one that is stuck, or jumps, must not make us spend more.
        """
        if self._settings.mission_duration_s == 0.0:
            return
        left_s = self._began_s + self._settings.mission_duration_s - now_s
        if left_s <= 0.0:
            self._book.drop(None)
        elif not 0.0 <= now_s - self._mission_planned_s < REPLAN_S:
            settings = self._settings
            told_j = (self._battery.energy_j(now_s) * settings.mission_battery_share
                      * settings.budget_share)
            if math.isnan(self._mission_j):
                self._mission_j = told_j
            if not math.isnan(self._mission_j):
                energy_j = max(0.0, np.fmin(told_j, self._mission_j))
                self._book.set(now_s, None, Budget(energy_j=energy_j, duration_s=left_s))
                self._mission_planned_s = now_s

    def _learner_silent(self, now_s: float) -> bool:
        return not 0.0 <= now_s - self._learner_heard_s <= self._settings.learner_timeout_s

    def _budget_stale(self, now_s: float) -> bool:
        timeout_s = self._settings.budget_timeout_s
        return timeout_s > 0.0 and any(
            now_s - set_s > timeout_s for set_s in self._budget_set_s.values())
