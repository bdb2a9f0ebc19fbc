"""What perception may use: the budgets of several sources, and of them the strictest limits.

A budget of energy that has to last is turned into power, so that it lasts: what is left over the
time that is left, planned anew each minute, because less was used than planned, or the battery
told something else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .ranges import ABOVE_ZERO, FRACTION, FROM_ZERO, RangeError

REPLAN_S = 60.0
MOST_SOURCES = 50  # that set budgets at a time
BATTERY = 'battery'  # what its own budget is called among the sources


@dataclass(frozen=True)
class Budget:
    """What perception may use, as one source says. NaN in any field: no limit, or unknown.

    power_w: mean power, W, from 0.
    energy_j: energy left to use, J, from 0.
    duration_s: time that energy_j has to last, s, above 0.
    deadline_s: from a frame to its classification, s, above 0.
    min_accuracy: least expected accuracy, 0..1.
    lifetime_s: after this time the source sets no limit any more, s, above 0.

    Raises RangeError for a value that is neither NaN nor in its range.
    """

    power_w: float = math.nan
    energy_j: float = math.nan
    duration_s: float = math.nan
    deadline_s: float = math.nan
    min_accuracy: float = math.nan
    lifetime_s: float = math.nan

    def __post_init__(self) -> None:
        for name, accepted in (
            ('power_w', FROM_ZERO), ('energy_j', FROM_ZERO), ('duration_s', ABOVE_ZERO),
            ('deadline_s', ABOVE_ZERO), ('min_accuracy', FRACTION), ('lifetime_s', ABOVE_ZERO),
        ):
            accepted.require_or_nan(name, getattr(self, name), 'no limit')


@dataclass(frozen=True)
class Limits:
    """What is in force at a moment. NaN in any field: no limit.

    power_w: mean power that the budgets allow, W.
    mission_power_w: mean power with which the energy lasts to the end, W.
    overdraft_w: power to save below both, to make up for what was used above them, W.
    energy_j: energy left to use, J.
    time_left_s: to the end that mission_power_w was planned for, s.
    deadline_s: from a frame to its classification, s.
    min_accuracy: least expected accuracy, 0..1.
    """

    power_w: float = math.nan
    mission_power_w: float = math.nan
    overdraft_w: float = 0.0
    energy_j: float = math.nan
    time_left_s: float = math.nan
    deadline_s: float = math.nan
    min_accuracy: float = math.nan

    @property
    def strictest_power_w(self) -> float:
        """The lesser of budget and mission, W; NaN: no limit."""
        return _least(self.power_w, self.mission_power_w)

    @property
    def allowed_power_w(self) -> float:
        """The same less the overdraft, W, not below 0; inf: no limit."""
        return self.less_overdraft(self.strictest_power_w)

    def less_overdraft(self, limit_w: float) -> float:
        """A power limit less the overdraft, W, not below 0; inf for NaN, which is no limit."""
        return math.inf if math.isnan(limit_w) else max(0.0, limit_w - self.overdraft_w)


@dataclass
class _Entry:
    """The budget of one source, and what became of it."""

    budget: Budget
    set_s: float
    heard_s: float
    energy_j: float = math.nan  # left
    planned_w: float = math.nan
    planned_s: float = -math.inf

    def lapsed(self, now_s: float) -> bool:
        return now_s - self.set_s >= self.budget.lifetime_s

    def time_left_s(self, now_s: float) -> float:
        return self.set_s + self.budget.duration_s - now_s

    def plan(self, now_s: float) -> None:
        """Spread the energy over the time left, unless that was done within the last minute.

        When the time is over, what is left may be used at any rate.
        """
        left_s = self.time_left_s(now_s)
        if not left_s > 0.0:
            self.planned_w = math.nan
        elif now_s - self.planned_s >= REPLAN_S:
            self.planned_w, self.planned_s = self.energy_j / left_s, now_s

    def count_past(self, totals: _Totals) -> None:
        """Charge it with what was used between its setting and the totals.

        Of the time that the totals are of, that is their mean power. Of the time before them, as
        far as it had passed when the budget was heard, nothing is known: what was due then counts
        as used if the energy has to last, and else nothing.
        """
        totalled_s = min(totals.now_s - self.set_s, totals.active_s)
        unknown_s = min(self.heard_s, totals.now_s - totals.active_s) - self.set_s
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
    """What was used in the last `active_s` seconds before `now_s`: J."""

    now_s: float
    energy_j: float = 0.0
    active_s: float = 0.0


class BudgetBook:
    """The latest budget of every source; each is used up, and lapses, by itself.

    All times `now_s` are of one clock that never goes back, s.
    """

    def __init__(self) -> None:
        self._entries: dict[str | None, _Entry] = {}
        self._totals: _Totals | None = None  # as reported last

    def set(self, now_s: float, source: str | None, budget: Budget, age_s: float = 0.0) -> None:
        """Replace the budget of `source`.

        source: its name; None: the battery's own, which nobody else can set.
        age_s: how long ago the source set it, s. What was used in that time counts, as far as the
            totals tell it; of the rest what was due, if the energy has to last.

        Raises RangeError for a source beyond the first MOST_SOURCES.
        """
        self._advance(now_s)
        others = self._entries.keys() - {None, source}
        if source is not None and len(others) >= MOST_SOURCES:
            raise RangeError(f'source: {source!r}; accepted: one of the {MOST_SOURCES} that have '
                             'set a budget, until one of those lapses')
        entry = _Entry(budget, now_s - max(age_s, 0.0), now_s)
        entry.count_past(self._totals or _Totals(now_s))
        self._entries[source] = entry

    def drop(self, source: str | None) -> None:
        """A source that sets no limit any more, if it ever did."""
        self._entries.pop(source, None)

    def spend(self, energy_j: float) -> None:
        """Charge every budget with what was used, J."""
        for entry in self._entries.values():
            entry.spend(energy_j)

    def know_totals(self, now_s: float, energy_j: float, active_s: float) -> None:
        """What was used in the last `active_s` seconds, J.

        The first time, that is all that is known of what budgets set before then have lost.
        """
        first, self._totals = self._totals is None, _Totals(now_s, energy_j, active_s)
        if first:
            for entry in self._entries.values():
                entry.count_past(self._totals)

    def sources(self, now_s: float) -> tuple[str, ...]:
        """Those whose budgets are in force, in alphabetical order."""
        self._advance(now_s)
        return tuple(sorted(BATTERY if source is None else source for source in self._entries))

    def limits(self, now_s: float) -> Limits:
        """The strictest of each limit."""
        self._advance(now_s)
        entries = list(self._entries.values())
        budgets = [entry.budget for entry in entries]
        mission_power_w = _least(*(entry.planned_w for entry in entries))
        return Limits(
            power_w=_least(*(budget.power_w for budget in budgets)),
            mission_power_w=mission_power_w,
            energy_j=_least(*(entry.energy_j for entry in entries)),
            time_left_s=_least(*(entry.time_left_s(now_s) for entry in entries
                                 if entry.planned_w == mission_power_w)),
            deadline_s=_least(*(budget.deadline_s for budget in budgets)),
            min_accuracy=-_least(*(-budget.min_accuracy for budget in budgets)),
        )

    def _advance(self, now_s: float) -> None:
        for entry in self._entries.values():
            entry.plan(now_s)
        self._entries = {source: entry for source, entry in self._entries.items()
                         if not entry.lapsed(now_s)}


def _least(*values: float) -> float:
    """The least of those that are not NaN; NaN if there is none."""
    return min((value for value in values if not math.isnan(value)), default=math.nan)
