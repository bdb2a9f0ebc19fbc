"""Which candidates the limits leave, which of these is chosen, and which limit decided.

FILTERS is the order in which they are applied. Each gets the rows that those before it kept. One
that no row passes keeps the rows that come nearest, and says whether its limit is met all the same;
if it is not, the filters after it no longer count. Of the rows that are left the best score is
chosen, or the cheapest of those that trials have not told from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from topspark_ros.methodology.tradeoff import Candidates, non_dominated

from .budgets import Limits
from .decision import Reason

SAVING = 0.05  # of a frame's energy, below which two settings are about as cheap


@dataclass(frozen=True)
class Assessment:
    """What every candidate costs and scores at one moment, and the limits on it.

    All arrays have the shape (len(candidates),).

    limits: in force.
    margin: share of the power limit and of the deadline that a candidate has to leave free to be
        entered, 0 to below 1.
    present: row of the candidate in use, which needs no margin; -1: none.
    allowed: whether the configuration allows it, bool.
    score: TopSpark's S, float64.
    doubt: difference between the scores of each two that chance may have made, (len(candidates),
        len(candidates)), float64.
    energy_j: energy of a processed frame, J, float64.
    power_w: that energy times the rate of processed frames, W, float64.
    latency_s: from a frame to its classification, s, float64.
    frame_rate_hz: frames that arrive a second, Hz.
    state_of_charge: that the score was computed at, 0..1.
    battery_known: whether that was measured, not assumed.
    labelled_frames: behind the expected accuracy; 0: it is the profile's.
    """

    candidates: Candidates
    limits: Limits
    margin: float
    present: int
    allowed: np.ndarray
    score: np.ndarray
    doubt: np.ndarray
    energy_j: np.ndarray
    power_w: np.ndarray
    latency_s: np.ndarray
    frame_rate_hz: float
    state_of_charge: float
    battery_known: bool
    labelled_frames: int

    @property
    def cheapest(self) -> int:
        """The row that uses least energy of those allowed, without learning if that is as cheap."""
        cost = np.where(self.allowed, self.energy_j * self.candidates.frame_share, math.inf)
        return int(np.lexsort((self.candidates.learning, cost))[0])

    @property
    def energy_used_up(self) -> bool:
        """Whether less energy is left than the cheapest frame takes."""
        return bool(self.limits.energy_j <= self.energy_j[~self.candidates.learning].min())

    def violates(self, row: int, best: int) -> bool:
        """Whether `row` breaks a limit that `best` breaks less, or keeps."""
        limits = self.limits
        floor = 0.0 if math.isnan(limits.min_accuracy) else limits.min_accuracy
        allowed_w = limits.allowed_power_w + (limits.credit_w if row == self.present else 0.0)
        return any(
            cost[row] > limit and cost[best] < cost[row]
            for cost, limit in (
                (self.power_w, allowed_w),
                (self.latency_s, _or_unlimited(limits.deadline_s)),
                (-self.candidates.accuracy, -floor),
            )
        )


class Kept(NamedTuple):
    """rows: at least one. met: whether the limit is met by these rows."""

    rows: np.ndarray
    met: bool = True


@dataclass(frozen=True)
class Filter:
    """name: what it is called in reports.

    keep: (assessment, rows) -> Kept; rows: int64, of the candidates, at least one.
    """

    name: str
    keep: Callable[[Assessment, np.ndarray], Kept]


@dataclass(frozen=True)
class Limit(Filter):
    """reason: of a decision that this limit forces."""

    reason: Reason


class Step(NamedTuple):
    """One filter's report: the rows that it was given and those that it keeps, int64."""

    filter: Filter
    given: np.ndarray
    kept: np.ndarray

    @property
    def removed(self) -> np.ndarray:
        return self.given[~np.isin(self.given, self.kept)]

    @property
    def limit(self) -> Limit | None:
        """The filter if it is a limit, and makes a difference to the rows."""
        if isinstance(self.filter, Limit) and not np.array_equal(self.given, self.kept):
            return self.filter
        return None


class Selection(NamedTuple):
    """row: to be used, of those kept. met: whether every limit is met. steps: in order."""

    row: int
    met: bool
    steps: tuple[Step, ...]


def _within_power(assessment: Assessment, rows: np.ndarray, limit_w: float) -> Kept:
    limit_w = assessment.limits.less_overdraft(limit_w)
    fits = _enterable(
        assessment, assessment.power_w, limit_w, assessment.margin, assessment.limits.credit_w
    )
    kept = rows[fits[rows]]
    if len(kept):
        return Kept(kept)
    cheapest = assessment.cheapest
    return Kept(np.array([cheapest]), bool(assessment.power_w[cheapest] <= limit_w))


def _within_budget(assessment: Assessment, rows: np.ndarray) -> Kept:
    return _within_power(assessment, rows, assessment.limits.power_w)


def _within_mission(assessment: Assessment, rows: np.ndarray) -> Kept:
    return _within_power(assessment, rows, assessment.limits.mission_power_w)


def _max_frames(assessment: Assessment, rows: np.ndarray) -> Kept:
    """Those that process most frames, and of these those that learn most."""
    for share in (assessment.candidates.frame_share, assessment.candidates.learning_share):
        rows = rows[share[rows] == share[rows].max()]
    return Kept(rows)


def _within_deadline(assessment: Assessment, rows: np.ndarray) -> Kept:
    latency_s, deadline_s = assessment.latency_s, _or_unlimited(assessment.limits.deadline_s)
    for margin in (assessment.margin, 0.0):
        kept = rows[_enterable(assessment, latency_s, deadline_s, margin)[rows]]
        if len(kept):
            return Kept(kept)
    return Kept(rows[latency_s[rows] == latency_s[rows].min()], met=False)


def _accurate(assessment: Assessment, rows: np.ndarray) -> Kept:
    """A floor that no row reaches is no reason to break power or deadline: it counts as met."""
    accuracy, floor = assessment.candidates.accuracy, assessment.limits.min_accuracy
    if math.isnan(floor):
        return Kept(rows)
    kept = rows[accuracy[rows] >= floor]
    return Kept(kept if len(kept) else rows[[np.argmax(accuracy[rows])]])


def _worth_their_power(assessment: Assessment, rows: np.ndarray) -> Kept:
    """Without those that take more power for less accuracy, whatever they score: a raised power
    limit never makes perception worse."""
    return Kept(non_dominated(rows, assessment.power_w, assessment.candidates.accuracy))


def _enterable(
    assessment: Assessment, cost: np.ndarray, limit: float, margin: float, credit: float = 0.0
) -> np.ndarray:
    """Whether each candidate's cost leaves the margin free; the present one needs none, and may
    exceed the limit by the credit."""
    fits = cost <= limit * (1 - margin)
    if assessment.present >= 0:
        fits[assessment.present] = cost[assessment.present] <= limit + credit
    return fits


def _or_unlimited(limit: float) -> float:
    return math.inf if math.isnan(limit) else limit


FILTERS = (
    Limit('power limit', _within_budget, Reason.POWER),
    Limit('mission', _within_mission, Reason.MISSION),
    Filter('most frames', _max_frames),
    Limit('deadline', _within_deadline, Reason.DEADLINE),
    Limit('accuracy floor', _accurate, Reason.ACCURACY),
    Filter('non-dominated', _worth_their_power),
)


LIMITS = tuple(each for each in FILTERS if isinstance(each, Limit))


def select(assessment: Assessment, ignored: Collection[Filter] = ()) -> Selection:
    """The best score among what the filters keep of all candidates that are allowed.

    Those `ignored` report what they would keep, but remove nothing.
    """
    rows, met, steps = np.flatnonzero(assessment.allowed), True, []
    for each in FILTERS:
        kept = each.keep(assessment, rows)
        steps.append(Step(each, rows, kept.rows))
        if each not in ignored:
            rows, met = kept
        if not met:
            break
    return Selection(_preferred(assessment, rows), met, tuple(steps))


def _preferred(assessment: Assessment, rows: np.ndarray) -> int:
    """Of those that are not told from the best score the cheapest, or the best of about as cheap
    ones."""
    score, energy_j = assessment.score, assessment.energy_j
    best = rows[np.argmax(score[rows])]
    alike = rows[score[best] - score[rows] <= assessment.doubt[best, rows]]
    cheap = alike[energy_j[alike] <= (1.0 + SAVING) * energy_j[alike].min()]
    return int(cheap[np.argmax(score[cheap])])


def choose(assessment: Assessment) -> tuple[int, Reason]:
    """The row to use, and what decided."""
    if assessment.energy_used_up:
        return assessment.cheapest, Reason.ENERGY
    selection = select(assessment)
    if not selection.met:
        return selection.row, Reason.INFEASIBLE
    return selection.row, _decisive(assessment, selection)


def _decisive(assessment: Assessment, selection: Selection) -> Reason:
    """The first limit without which another row would be chosen; SCORE: no limit decided.

    Only limits that removed something are asked.
    """
    limiting = _limiting(selection)
    for limit in limiting:
        if select(assessment, ignored=(limit,)).row != selection.row:
            return limit.reason
    if limiting:
        # Two limits that forbid the same: the first that would decide if it were the only one.
        unlimited = select(assessment, ignored=LIMITS)
        for limit in _limiting(unlimited):
            others = [other for other in LIMITS if other is not limit]
            if select(assessment, ignored=others).row != unlimited.row:
                return limit.reason
    return Reason.SCORE


def _limiting(selection: Selection) -> list[Limit]:
    return [limit for step in selection.steps if (limit := step.limit)]
