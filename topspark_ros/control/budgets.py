"""Budgets of several sources, and the limits that follow: of each kind the strictest.

An energy that has to last for a duration is turned into a power: the energy left over the time
left. This is planned anew each minute, from what was really used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .ranges import ABOVE_ZERO, FRACTION, FROM_ZERO, RangeError

REPLAN_S = 60.0
MAX_SOURCES = 50  # whose budgets are in force at a time
BATTERY = 'battery'  # name of the mission's budget among the sources


@dataclass(frozen=True)
class Budget:
    """What one source allows perception to use. NaN in a field: no limit.

    Parameters
    ----------
    power_w
        Mean power, W, from 0.
    energy_j
        Energy that may still be used, J, from 0.
    duration_s
        Time that energy_j has to last, s, above 0.
    deadline_s
        Time from a frame to its classification, s, above 0.
    min_accuracy
        Minimum of the expected accuracy, 0..1.
    lifetime_s
        Time after which this budget lapses, s, above 0.

    Raises
    ------
    RangeError
        For a value that is neither NaN nor in its range.
    """

    power_w: float = math.nan
    energy_j: float = math.nan
    duration_s: float = math.nan
    deadline_s: float = math.nan
    min_accuracy: float = math.nan
    lifetime_s: float = math.nan

    def __post_init__(self) -> None:
        for name, accepted in (
            ('power_w', FROM_ZERO),
            ('energy_j', FROM_ZERO),
            ('duration_s', ABOVE_ZERO),
            ('deadline_s', ABOVE_ZERO),
            ('min_accuracy', FRACTION),
            ('lifetime_s', ABOVE_ZERO),
        ):
            accepted.require_or_nan(name, getattr(self, name), 'no limit')


@dataclass(frozen=True)
class Limits:
    """The limits in force at a moment. NaN in a field: no limit.

    Parameters
    ----------
    power_w
        Mean power that the budgets allow, W.
    mission_power_w
        Mean power with which the energy lasts to the end, W.
    overdraft_w
        Power by which perception stays below both to repay energy overspent, W.
    credit_w
        Power by which the setting in use may exceed both, as less was used in the last seconds, W.
    energy_j
        Energy that may still be used, J.
    time_left_s
        Time to the end that mission_power_w was planned for, s.
    deadline_s
        Time from a frame to its classification, s.
    min_accuracy
        Minimum of the expected accuracy, 0..1.
    """

    power_w: float = math.nan
    mission_power_w: float = math.nan
    overdraft_w: float = 0.0
    credit_w: float = 0.0
    energy_j: float = math.nan
    time_left_s: float = math.nan
    deadline_s: float = math.nan
    min_accuracy: float = math.nan

    @property
    def strictest_power_w(self) -> float:
        """The lower of power_w and mission_power_w, W; NaN without a limit."""
        return _min(self.power_w, self.mission_power_w)

    @property
    def allowed_power_w(self) -> float:
        """The same less the overdraft, W, not below 0; inf without a limit."""
        return self.less_overdraft(self.strictest_power_w)

    def less_overdraft(self, limit_w: float) -> float:
        """A power limit less the overdraft, W, not below 0; inf for NaN, which is no limit."""
        return math.inf if math.isnan(limit_w) else max(0.0, limit_w - self.overdraft_w)


@dataclass
class _Entry:
    """The budget of one source, its energy left and its plan."""

    budget: Budget
    set_s: float
    received_s: float
    energy_j: float = math.nan  # left
    planned_w: float = math.nan
    planned_s: float = -math.inf

    def lapsed(self, now_s: float) -> bool:
        return now_s - self.set_s >= self.budget.lifetime_s

    def time_left_s(self, now_s: float) -> float:
        return self.set_s + self.budget.duration_s - now_s

    def plan(self, now_s: float) -> None:
        """Spread the energy over the time left, unless that was done within the last minute.

        When the time is over, the energy left may be used at any power.
        """
        left_s = self.time_left_s(now_s)
        if not left_s > 0.0:
            self.planned_w = math.nan
        elif now_s - self.planned_s >= REPLAN_S:
            self.planned_w, self.planned_s = self.energy_j / left_s, now_s

    def count_past(self, totals: _Totals) -> None:
        """Charge the energy that was used from the budget's setting to the time of the totals.

        Within the time that the totals cover, their mean power was used. What was used before that
        time, and before the budget was received, is unknown: if the energy has to last, the share
        that was due counts as used, else nothing.
        """
        totalled_s = min(totals.now_s - self.set_s, totals.active_s)
        unknown_s = min(self.received_s, totals.now_s - totals.active_s) - self.set_s
        budget = self.budget
        used_j = totals.energy_j * totalled_s / totals.active_s if totalled_s > 0.0 else 0.0
        if unknown_s > 0.0 and budget.duration_s > 0.0:
            used_j += budget.energy_j * min(unknown_s / budget.duration_s, 1.0)
        self.energy_j = budget.energy_j
        self.spend(used_j)

    def spend(self, energy_j: float) -> None:
        if self.energy_j > 0.0:
            self.energy_j = max(0.0, self.energy_j - energy_j)


@dataclass(frozen=True)
class _Totals:
    """Energy used in the `active_s` seconds before `now_s`, J."""

    now_s: float
    energy_j: float = 0.0
    active_s: float = 0.0


class BudgetBook:
    """The latest budget of every source; each is used up and lapses on its own.

    All times `now_s` are of one clock that never goes back, s.
    """

    def __init__(self) -> None:
        self._entries: dict[str | None, _Entry] = {}
        self._totals: _Totals | None = None  # reported last

    def set(self, now_s: float, source: str | None, budget: Budget, age_s: float = 0.0) -> None:
        """Replace the budget of `source`.

        Parameters
        ----------
        source
            Its name; None: the mission of the battery, whose budget no named source replaces.
        age_s
            How long ago the source set it, s. Energy used since then is charged to it; where the
            totals do not cover that time, the share that was due, if the energy has to last.

        Raises
        ------
        RangeError
            If MAX_SOURCES others have budgets in force.
        """
        self._advance(now_s)
        others = self._entries.keys() - {None, source}
        if source is not None and len(others) >= MAX_SOURCES:
            raise RangeError(
                f'source: {source!r}; accepted: one of the {MAX_SOURCES} that have '
                'set a budget, until one of those lapses'
            )
        entry = _Entry(budget, now_s - max(age_s, 0.0), now_s)
        entry.count_past(self._totals or _Totals(now_s))
        self._entries[source] = entry

    def drop(self, source: str | None) -> None:
        """Remove the budget of `source`, if there is one."""
        self._entries.pop(source, None)

    def spend(self, energy_j: float) -> None:
        """Charge every budget with energy that was used, J."""
        for entry in self._entries.values():
            entry.spend(energy_j)

    def know_totals(self, now_s: float, energy_j: float, active_s: float) -> None:
        """Take the energy used in the last `active_s` seconds, J.

        At the first call, budgets that are already there are charged with their part of it.
        """
        first, self._totals = self._totals is None, _Totals(now_s, energy_j, active_s)
        if first:
            for entry in self._entries.values():
                entry.count_past(self._totals)

    def sources(self, now_s: float) -> tuple[str, ...]:
        """Names of the sources whose budgets are in force, in alphabetical order."""
        self._advance(now_s)
        return tuple(sorted(BATTERY if source is None else source for source in self._entries))

    def limits(self, now_s: float) -> Limits:
        """The strictest limit of each kind."""
        self._advance(now_s)
        entries = list(self._entries.values())
        budgets = [entry.budget for entry in entries]
        mission_power_w = _min(*(entry.planned_w for entry in entries))
        return Limits(
            power_w=_min(*(budget.power_w for budget in budgets)),
            mission_power_w=mission_power_w,
            energy_j=_min(*(entry.energy_j for entry in entries)),
            time_left_s=_min(
                *(
                    entry.time_left_s(now_s)
                    for entry in entries
                    if entry.planned_w == mission_power_w
                )
            ),
            deadline_s=_min(*(budget.deadline_s for budget in budgets)),
            min_accuracy=-_min(*(-budget.min_accuracy for budget in budgets)),
        )

    def _advance(self, now_s: float) -> None:
        for entry in self._entries.values():
            entry.plan(now_s)
        self._entries = {
            source: entry for source, entry in self._entries.items() if not entry.lapsed(now_s)
        }


def _min(*values: float) -> float:
    """The minimum of the values that are not NaN; NaN if there is none."""
    return min((value for value in values if not math.isnan(value)), default=math.nan)
