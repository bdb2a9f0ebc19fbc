"""The controller's policy: which timesteps to use, as a state machine without ROS.

Limits are applied in a stated order: energy, power, deadline, accuracy floor; among what they
leave, TopSpark's score decides. The energy weight of the score grows as the battery drains.

- No setting fits the power: learning is switched off; still none: the cheapest inference,
  INFEASIBLE.
- The deadline cannot be met: the quickest setting within the power, INFEASIBLE.
- The accuracy floor cannot be met: the most accurate setting within power and deadline, ACCURACY.
- The energy is used up: learning off and the cheapest inference, ENERGY.
- Battery unknown or stale: an assumed state of charge, BATTERY_UNKNOWN.
- Budget stale: its limits stay in force, BUDGET_STALE.
- Learner silent: the decision stays, LEARNER_SILENT, and is reconsidered when it is back.
  Before it was ever heard: STARTUP.

Against flapping, a decision is left only for a score better by the deadband and not before the
minimum dwell, and the power limit is entered with a margin. A violated limit breaks both.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from numbers import Real

import numpy as np

from .profile import Profile
from .tradeoff import Candidates, enumerate_candidates, score_candidates


class PolicyError(ValueError):
    """A budget or configuration was refused: one line with field, value and what is accepted."""


@dataclass(frozen=True)
class _Range:
    """A set of numbers in words and as a test."""

    words: str
    holds: Callable[[float], bool]

    def require(self, name: str, value: object, suffix: str = '') -> None:
        if isinstance(value, bool) or not isinstance(value, Real) or not self.holds(value):
            raise PolicyError(f'{name} is {value}, accepted is {self.words}{suffix}')


_FROM_ZERO = _Range('a finite number from 0', lambda value: 0 <= value < math.inf)
_ABOVE_ZERO = _Range('a finite number above 0', lambda value: 0 < value < math.inf)
_FRACTION = _Range('a fraction from 0 to 1', lambda value: 0 <= value <= 1)
_FRACTION_BELOW_ONE = _Range('a fraction from 0 to below 1', lambda value: 0 <= value < 1)


@dataclass(frozen=True)
class Budget:
    """What perception may use. NaN in any field: no limit.

    power_w: mean power, W, from 0.
    energy_j: energy left to use, J, from 0.
    deadline_s: from a frame to its classification, s, above 0.
    min_accuracy: least expected accuracy, 0..1.

    Raises PolicyError for a value that is neither NaN nor in its range.
    """

    power_w: float = math.nan
    energy_j: float = math.nan
    deadline_s: float = math.nan
    min_accuracy: float = math.nan

    def __post_init__(self) -> None:
        for name, accepted in (('power_w', _FROM_ZERO), ('energy_j', _FROM_ZERO),
                               ('deadline_s', _ABOVE_ZERO), ('min_accuracy', _FRACTION)):
            if not _is_nan(getattr(self, name)):
                accepted.require(name, getattr(self, name), suffix=', or NaN for no limit')


@dataclass(frozen=True)
class PolicyConfig:
    """How the policy weighs and how steady it is.

    latency_weight: mu of the score, from 0.
    energy_weight_full: epsilon of the score at a full battery, from 0.
    energy_weight_empty: epsilon at an empty battery, linear between the two, from 0.
    assumed_state_of_charge: used while the battery is unknown, 0..1.
    assumed_frame_rate_hz: used until a frame rate was measured, Hz, above 0.
    min_dwell_s: a decision stays at least this long while no limit is violated, s, from 0.
    deadband: a decision stays while no other scores better by more than this, from 0.
    power_margin: a setting is entered only if it leaves this share of the power limit free, but
        is kept up to the limit; 0 to below 1.

    Raises PolicyError for a value out of its range.
    """

    latency_weight: float = 0.02
    energy_weight_full: float = 0.02
    energy_weight_empty: float = 0.5
    assumed_state_of_charge: float = 0.5
    assumed_frame_rate_hz: float = 30.0
    min_dwell_s: float = 2.0
    deadband: float = 0.005
    power_margin: float = 0.05

    def __post_init__(self) -> None:
        for name, accepted in (
            ('latency_weight', _FROM_ZERO), ('energy_weight_full', _FROM_ZERO),
            ('energy_weight_empty', _FROM_ZERO), ('assumed_state_of_charge', _FRACTION),
            ('assumed_frame_rate_hz', _ABOVE_ZERO), ('min_dwell_s', _FROM_ZERO),
            ('deadband', _FROM_ZERO), ('power_margin', _FRACTION_BELOW_ONE),
        ):
            accepted.require(name, getattr(self, name))


@dataclass(frozen=True)
class Conditions:
    """What is known at the time of a decision. Any float is accepted anywhere.

    state_of_charge: 0..1; NaN or out of range: unknown.
    battery_stale: no battery state has come for too long, or ever.
    budget_stale: a budget has come, but none for too long.
    learner_silent: no status of the learner has come for too long, or ever.
    frame_rate_hz: frames processed a second; 0, negative or not finite: unmeasured, and the last
        measured one counts.
    learned_share: share of the frames that is learned, clipped to 0..1; NaN: unmeasured. While
        learning is off, or unmeasured, the last one counts, at first 1.
    """

    state_of_charge: float = math.nan
    battery_stale: bool = False
    budget_stale: bool = False
    learner_silent: bool = False
    frame_rate_hz: float = math.nan
    learned_share: float = math.nan


class Reason(IntEnum):
    """Why a decision is what it is."""

    STARTUP = 0
    SCORE = 1
    POWER = 2
    DEADLINE = 3
    ACCURACY = 4
    INFEASIBLE = 5
    BATTERY_UNKNOWN = 6
    BUDGET_STALE = 7
    LEARNER_SILENT = 8
    ENERGY = 9


@dataclass(frozen=True)
class Decision:
    """The setting to use, and what the profile promises for it at the time of the decision.

    training_timesteps, inference_timesteps: T, both of the profile.
    learning: whether frames are learned.
    reason: what decided.
    detail: one sentence with the numbers that decided.
    expected_accuracy: 0..1.
    expected_latency_s: from a frame to its classification, s.
    expected_energy_j: a frame, the mean share of training included, J.
    expected_power_w: energy a frame times the frame rate, W.
    """

    training_timesteps: int
    inference_timesteps: int
    learning: bool
    reason: Reason
    detail: str
    expected_accuracy: float
    expected_latency_s: float
    expected_energy_j: float
    expected_power_w: float


class TimestepPolicy:
    """Chooses T for training and inference from a profile, under a budget, over time.

    Deterministic: equal sequences of calls give equal decisions.
    """

    def __init__(self, profile: Profile, config: PolicyConfig = PolicyConfig()) -> None:
        self._profile = profile
        self._config = config
        self._decision: Decision | None = None
        self._row = -1  # of the present decision among the candidates
        self._cause = Reason.STARTUP  # why it was chosen, whatever fault came since
        self._grounds = ''  # the same as a sentence
        self._changed_s = -math.inf
        self._frame_rate_hz = config.assumed_frame_rate_hz
        self._learned_share = 1.0  # until it was measured: the most it can be

    def decide(self, now_s: float, budget: Budget, conditions: Conditions) -> Decision:
        """The decision at time `now_s`, s, of any clock; one that jumps back restarts the dwell.

        Returns the same object as before while T, learning and reason stay.
        """
        heard_before = self._decision is not None and self._decision.reason != Reason.STARTUP
        if conditions.learner_silent and heard_before:
            return self._hold_silent()

        situation = self._assess(budget, conditions)
        row, cause = _choose(situation, budget, self._row)
        self._changed_s = min(self._changed_s, now_s)
        if row != self._row and self._within_deadband(situation, budget, row, cause):
            row = self._row
        if row == self._row or not self._dwells(now_s, situation, budget, row, cause):
            if row != self._row:
                self._changed_s = now_s
            self._row, self._cause = row, cause
            self._grounds = _explain(cause, situation, budget, row)
        return self._publish(situation, _visible_reason(self._cause, situation, conditions))

    def _publish(self, situation: _Situation, reason: Reason) -> Decision:
        """The present decision, a new one if T, learning or reason differ from the last."""
        row, candidates = self._row, situation.candidates
        new = Decision(
            training_timesteps=int(candidates.training_timesteps[row]),
            inference_timesteps=int(candidates.inference_timesteps[row]),
            learning=bool(candidates.learning[row]),
            reason=reason,
            detail=_FAULTS.get(reason, '') + self._grounds,
            expected_accuracy=float(candidates.accuracy[row]),
            expected_latency_s=float(candidates.latency_s[row]),
            expected_energy_j=float(candidates.energy_j[row]),
            expected_power_w=float(situation.power_w[row]),
        )
        if self._decision is None or _essence(new) != _essence(self._decision):
            self._decision = new
        return self._decision

    def _hold_silent(self) -> Decision:
        if self._decision.reason != Reason.LEARNER_SILENT:
            self._decision = replace(
                self._decision, reason=Reason.LEARNER_SILENT,
                detail=f'the learner is silent: {_setting(self._decision)} stays until it is back',
            )
        return self._decision

    def _assess(self, budget: Budget, conditions: Conditions) -> _Situation:
        config = self._config
        rate = conditions.frame_rate_hz
        if math.isfinite(rate) and rate > 0:
            self._frame_rate_hz = rate
        # Without learning the measured share is 0, which says nothing about learning again.
        learning = self._decision is None or self._decision.learning
        if learning and not math.isnan(conditions.learned_share):
            self._learned_share = min(max(conditions.learned_share, 0.0), 1.0)
        charge = conditions.state_of_charge
        battery_known = not conditions.battery_stale and 0 <= charge <= 1
        if not battery_known:
            charge = config.assumed_state_of_charge
        epsilon = config.energy_weight_empty + charge * (
            config.energy_weight_full - config.energy_weight_empty)

        candidates = enumerate_candidates(self._profile, self._learned_share)
        # A rate near the largest float overflows to inf, which fits no limit: as it should.
        with np.errstate(over='ignore'):
            power_w = candidates.energy_j * self._frame_rate_hz
        return _Situation(
            candidates=candidates,
            score=score_candidates(candidates, config.latency_weight, epsilon),
            power_w=power_w,
            enterable_power_w=_limit(budget.power_w) * (1 - config.power_margin),
            frame_rate_hz=self._frame_rate_hz,
            state_of_charge=charge,
            battery_known=battery_known,
        )

    def _within_deadband(
        self, situation: _Situation, budget: Budget, best: int, cause: Reason,
    ) -> bool:
        """Whether the present row is about as good as the best."""
        row, learning = self._row, situation.candidates.learning
        if row < 0 or learning[row] != learning[best] or cause in _AT_ONCE:
            return False
        gain = situation.score[best] - situation.score[row]
        return gain <= self._config.deadband and not _violates(situation, budget, row, best)

    def _dwells(
        self, now_s: float, situation: _Situation, budget: Budget, best: int, cause: Reason,
    ) -> bool:
        """Whether the present row, though not the best, is too young to be left."""
        if self._row < 0 or cause in _AT_ONCE:
            return False
        young = now_s - self._changed_s < self._config.min_dwell_s
        return young and not _violates(situation, budget, self._row, best)


@dataclass(frozen=True)
class _Situation:
    """All candidates as they stand now, and what that was computed from."""

    candidates: Candidates
    score: np.ndarray
    power_w: np.ndarray
    enterable_power_w: float
    frame_rate_hz: float
    state_of_charge: float
    battery_known: bool


def _choose(situation: _Situation, budget: Budget, present: int) -> tuple[int, Reason]:
    """The best candidate under the budget and the limit that made it so."""
    energy_j = situation.candidates.energy_j
    cheapest = int(np.argmin(np.where(situation.candidates.learning, math.inf, energy_j)))
    if budget.energy_j <= energy_j[cheapest]:
        return cheapest, Reason.ENERGY

    row, met = _best(situation, budget, present)
    if not met:
        return row, Reason.INFEASIBLE
    # The limit without which the choice would be another; the first where several are.
    for reason, field in _LIMITS:
        if _best(situation, replace(budget, **{field: math.nan}), present)[0] != row:
            return row, reason
    # Or, where two limits forbid the same, the first that alone would change the choice.
    free = Budget()
    for reason, field in _LIMITS:
        alone = replace(free, **{field: getattr(budget, field)})
        if _best(situation, alone, present)[0] != _best(situation, free, present)[0]:
            return row, reason
    return row, Reason.SCORE


_LIMITS = (
    (Reason.POWER, 'power_w'),
    (Reason.DEADLINE, 'deadline_s'),
    (Reason.ACCURACY, 'min_accuracy'),
)


def _best(situation: _Situation, budget: Budget, present: int) -> tuple[int, bool]:
    """The best score within power, deadline and floor, and whether power and deadline are met."""
    candidates, power_w = situation.candidates, situation.power_w
    learning = candidates.learning
    fits = power_w <= _limit(budget.power_w)
    enterable = fits
    if not math.isnan(budget.power_w):
        enterable = power_w <= situation.enterable_power_w
        if present >= 0:
            enterable[present] = fits[present]
    for rows in (learning & enterable, learning & fits, ~learning & fits):
        if rows.any():
            break
    else:
        return int(np.argmin(np.where(learning, math.inf, candidates.energy_j))), False

    in_time = rows & (candidates.latency_s <= _limit(budget.deadline_s))
    if not in_time.any():
        quickest = rows & (candidates.latency_s == candidates.latency_s[rows].min())
        return int(np.argmax(np.where(quickest, situation.score, -math.inf))), False
    if not math.isnan(budget.min_accuracy):
        accurate = in_time & (candidates.accuracy >= budget.min_accuracy)
        if not accurate.any():
            return int(np.argmax(np.where(in_time, candidates.accuracy, -math.inf))), True
        in_time = accurate
    return int(np.argmax(np.where(in_time, situation.score, -math.inf))), True


def _violates(situation: _Situation, budget: Budget, row: int, best: int) -> bool:
    """Whether `row` breaks a limit that is not lost anyway, which it is if `best` breaks it."""
    candidates = situation.candidates
    excess = (
        (situation.power_w, _limit(budget.power_w)),
        (candidates.latency_s, _limit(budget.deadline_s)),
        (-candidates.accuracy, -(0.0 if math.isnan(budget.min_accuracy)
                                 else budget.min_accuracy)),
    )
    return any(cost[row] > limit and cost[best] < cost[row] for cost, limit in excess)


# Causes that neither deadband nor dwell delays.
_AT_ONCE = (Reason.INFEASIBLE, Reason.ENERGY)


def _visible_reason(cause: Reason, situation: _Situation, conditions: Conditions) -> Reason:
    """The cause, unless a fault weighs more."""
    if conditions.learner_silent:
        return Reason.STARTUP
    if cause in _AT_ONCE:
        return cause
    if conditions.budget_stale:
        return Reason.BUDGET_STALE
    if cause == Reason.SCORE and not situation.battery_known:
        return Reason.BATTERY_UNKNOWN
    return cause


def _explain(cause: Reason, situation: _Situation, budget: Budget, row: int) -> str:
    candidates = situation.candidates
    power = f'{situation.power_w[row]:.3g} W at {situation.frame_rate_hz:.3g} frames/s'
    latency = f'latency {candidates.latency_s[row]:.3g} s'
    accuracy = f'accuracy {candidates.accuracy[row]:.3f}'
    if not candidates.learning[row]:
        power += ' without learning'
    if cause == Reason.SCORE:
        return (f'best score {situation.score[row]:.3f} at state of charge '
                f'{situation.state_of_charge:.2f}: {accuracy}, {power}')
    if cause == Reason.POWER:
        return f'power limit {budget.power_w:.3g} W: {power}, {accuracy}'
    if cause == Reason.DEADLINE:
        return f'deadline {budget.deadline_s:.3g} s: {latency}, {accuracy}'
    if cause == Reason.ACCURACY:
        return f'least accuracy {budget.min_accuracy:.3f}: {accuracy}, {power}'
    if cause == Reason.ENERGY:
        return f'energy left {budget.energy_j:.3g} J is used up: {power}'
    limits = [f'{name} {value:.3g} {unit}' for name, value, unit in (
        ('power limit', budget.power_w, 'W'), ('deadline', budget.deadline_s, 's'),
    ) if not math.isnan(value)]
    return f'no setting meets {" and ".join(limits)}: at best {power}, {latency}'


_FAULTS = {
    Reason.STARTUP: 'no learner heard yet: ',
    Reason.BUDGET_STALE: 'the budget is stale, its limits stay: ',
    Reason.BATTERY_UNKNOWN: 'the battery is unknown: ',
}


def _essence(decision: Decision) -> tuple:
    """What makes a decision another one."""
    return (decision.training_timesteps, decision.inference_timesteps, decision.learning,
            decision.reason)


def _setting(decision: Decision) -> str:
    learning = f'training T {decision.training_timesteps}' if decision.learning else 'no learning'
    return f'inference T {decision.inference_timesteps}, {learning}'


def _limit(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _is_nan(value: object) -> bool:
    return isinstance(value, Real) and math.isnan(value)
