"""When something is due that a node's timer does."""

from __future__ import annotations

import math


class Periods:
    """Whole periods since a beginning; times in s. period_s inf: never."""

    def __init__(self, begin_s: float, period_s: float):
        self._begin_s, self.period_s = begin_s, period_s
        self._number = 1

    @property
    def due_s(self) -> float:
        """When the next one is over."""
        return self._at(self._number)

    def go_on(self) -> None:
        """The next one was worked off."""
        self._number += 1

    def skip_to(self, time_s: float) -> None:
        """Those before the last one that is due by then are skipped."""
        if self.due_s <= time_s:
            number = math.floor((time_s - self._begin_s) / self.period_s)
            self._number = max(self._number, number - (self._at(number) > time_s))

    def _at(self, number: int) -> float:
        return self._begin_s + number * self.period_s
