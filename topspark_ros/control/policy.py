"""The controller's policy: which setting to use, as a state machine without ROS.

Limits are applied in a stated order: energy, power (of the budgets and of the mission's plan),
deadline, accuracy floor; among what they leave, TopSpark's score decides. The energy weight of the
score grows as the battery drains.

- No setting fits the power: fewer frames are learned, down to none; then fewer are processed, down
  to none; it comes back the other way. If `min_frame_share` forbids that: INFEASIBLE.
- The deadline cannot be met: the quickest setting within the power, INFEASIBLE.
- The accuracy floor cannot be met: the most accurate setting within power and deadline, ACCURACY.
- The energy is used up: the fewest frames that are allowed, without learning, ENERGY.
- Battery unknown: an assumed state of charge, BATTERY_UNKNOWN, until it is known.
- Budget stale: its limits stay in force, BUDGET_STALE.
- Learner silent: the decision stays, LEARNER_SILENT, and is reconsidered when it is back.
  Before it was ever heard: STARTUP.

Against flapping, a decision is left only for a score better by the deadband and not before the
minimum dwell, and power limit and deadline are entered with a margin. A violated limit breaks
both; when a budget was changed, the dwell is short.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from topspark_ros.methodology.profile import Profile
from topspark_ros.methodology.tradeoff import (
    LEARNING_SHARES, Candidates, enumerate_candidates, score_candidates, unbeaten,
)

from .budgets import Limits
from .ranges import ABOVE_ZERO, FRACTION, FRACTION_BELOW_ONE, FROM_ZERO


DWELL_ASKED_S = 0.5  # who changes a budget waits for an answer


@dataclass(frozen=True)
class PolicyConfig:
    """How the policy weighs and how steady it is.

    latency_weight: mu of the score, from 0.
    energy_weight_full: epsilon of the score at a full battery, from 0.
    energy_weight_empty: epsilon at an empty battery, linear between the two, from 0.
    assumed_state_of_charge: used while the battery is unknown, 0..1.
    assumed_frame_rate_hz: used until a frame rate was measured, Hz, above 0.
    min_dwell_s: a decision stays at least this long while no limit is violated, s, from 0; half a
        second if a budget was changed since.
    deadband: a decision stays while no other scores better by more than this, from 0.
    limit_margin: a setting is entered only if it leaves this share of the power limit and of the
        deadline free, but is kept up to the limit; 0 to below 1.
    min_frame_share: no less is processed, whatever the power limit, 0..1.
    max_training_loss: no T is trained at that loses more accuracy by the profile, 0..1. A frame
        that is classified badly is gone; what is learned badly stays, at whatever T comes next.

    Raises RangeError for a value out of its range.
    """

    latency_weight: float = 0.02
    energy_weight_full: float = 0.02
    energy_weight_empty: float = 0.5
    assumed_state_of_charge: float = 0.5
    assumed_frame_rate_hz: float = 30.0
    min_dwell_s: float = 2.0
    deadband: float = 0.005
    limit_margin: float = 0.05
    min_frame_share: float = 0.0
    max_training_loss: float = 0.01

    def __post_init__(self) -> None:
        for name, accepted in (
            ('latency_weight', FROM_ZERO), ('energy_weight_full', FROM_ZERO),
            ('energy_weight_empty', FROM_ZERO), ('assumed_state_of_charge', FRACTION),
            ('assumed_frame_rate_hz', ABOVE_ZERO), ('min_dwell_s', FROM_ZERO),
            ('deadband', FROM_ZERO), ('limit_margin', FRACTION_BELOW_ONE),
            ('min_frame_share', FRACTION), ('max_training_loss', FRACTION),
        ):
            accepted.require(name, getattr(self, name))


@dataclass(frozen=True)
class Conditions:
    """What is known at the time of a decision. Any float is accepted anywhere.

    state_of_charge: 0..1; NaN or out of range: unknown.
    battery: what it is then, in a word.
    budget_stale: a budget has come, but none for too long.
    learner_silent: no status of the learner has come for too long, or ever.
    frame_rate_hz: frames that come a second; 0, negative or not finite: unmeasured, and the last
        measured one counts.
    learned_share: of the frames that were to be learned, that was, clipped to 0..1; NaN:
        unmeasured. While learning is off, or unmeasured, the last one counts, at first 1.
    energy_ratios: energy of a frame as measured over the profile's, an entry for each row of
        Candidates; None: as in the profile.
    latency_ratio: the same of the time of an inference.
    latency_overhead_s: from receipt of a frame to its classification without the inference, s.
    """

    state_of_charge: float = math.nan
    battery: str = 'unknown'
    budget_stale: bool = False
    learner_silent: bool = False
    frame_rate_hz: float = math.nan
    learned_share: float = math.nan
    energy_ratios: Sequence[float] | None = None
    latency_ratio: float = 1.0
    latency_overhead_s: float = 0.0


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
    MISSION = 10


@dataclass(frozen=True)
class Decision:
    """The setting to use, and what is promised for it at the time of the decision.

    training_timesteps, inference_timesteps: T, both of the profile.
    learning_share: of the processed frames that is learned, 0..1; 0: none.
    frame_share: of the frames that is processed, 0..1; 0: paused.
    reason: what decided.
    detail: one sentence with the numbers that decided.
    expected_accuracy: of the processed frames, 0..1.
    expected_latency_s: from a frame to its classification, s.
    expected_energy_j: a processed frame, the mean share of training included, J.
    expected_power_w: energy a frame times the rate of processed frames, W.
    """

    training_timesteps: int
    inference_timesteps: int
    learning_share: float
    frame_share: float
    reason: Reason
    detail: str
    expected_accuracy: float
    expected_latency_s: float
    expected_energy_j: float
    expected_power_w: float

    @property
    def setting(self) -> tuple[int, int, float, float]:
        """What the learner does: training T, inference T, learning share, frame share."""
        return (self.training_timesteps, self.inference_timesteps, self.learning_share,
                self.frame_share)

    @property
    def learning(self) -> bool:
        return self.learning_share > 0.0


class TimestepPolicy:
    """Chooses T for training and inference from a profile, under limits, over time.

    Deterministic: equal sequences of calls give equal decisions.

    config: may be replaced at any time.
    """

    def __init__(self, profile: Profile, config: PolicyConfig = PolicyConfig()) -> None:
        self._candidates = enumerate_candidates(profile, learned_share=1.0)
        self.config = config
        self._decision: Decision | None = None
        self._row = -1  # of the present decision among the candidates
        self._cause = Reason.STARTUP  # why it was chosen, whatever fault came since
        self._grounds = ''  # the same as a sentence
        self._assumed = False  # the charge that it was chosen at
        self._changed_s = -math.inf
        self._asked: tuple[float, ...] = ()  # by the budgets, when that was
        self._heard = False  # the learner, ever
        self._frame_rate_hz = config.assumed_frame_rate_hz

    def resume(self, training_timesteps: int, inference_timesteps: int, learning_share: float,
               frame_share: float) -> None:
        """Take a setting, of a controller before this one, as the present one.

        One that the profile does not have is passed over, as is any after the first decision.
        """
        if self._row < 0:
            row = self._candidates.row(
                training_timesteps, inference_timesteps, learning_share, frame_share)
            self._row = -1 if row is None else row

    def decide(self, now_s: float, limits: Limits, conditions: Conditions) -> Decision:
        """The decision at time `now_s`, s, of any clock; one that jumps back restarts the dwell.

        Returns the same object as before while setting and reason stay.
        """
        if conditions.learner_silent and self._heard:
            return self._hold_silent()
        self._heard = not conditions.learner_silent

        situation = self._assess(limits, conditions)
        row, cause = _choose(situation, limits, self._row)
        self._changed_s = min(self._changed_s, now_s)
        if row != self._row and self._within_deadband(situation, limits, row, cause):
            row = self._row
        if row == self._row or not self._dwells(now_s, situation, limits, row, cause):
            if row != self._row:
                self._changed_s, self._asked = now_s, _asked(limits)
            self._row, self._cause = row, cause
            self._assumed = not situation.battery_known
            self._grounds = _explain(cause, situation, limits, row)
        return self._publish(
            situation, _visible_reason(self._cause, situation, conditions), conditions)

    def _publish(self, situation: _Situation, reason: Reason, conditions: Conditions) -> Decision:
        """The present decision, a new one if setting or reason differ from the last."""
        row, candidates = self._row, situation.candidates
        new = Decision(
            training_timesteps=int(candidates.training_timesteps[row]),
            inference_timesteps=int(candidates.inference_timesteps[row]),
            learning_share=float(candidates.learning_share[row]),
            frame_share=float(candidates.frame_share[row]),
            reason=reason,
            detail=_FAULTS.get(reason, '').format(battery=conditions.battery) + self._grounds,
            expected_accuracy=float(candidates.accuracy[row]),
            expected_latency_s=float(situation.latency_s[row]),
            expected_energy_j=float(situation.energy_j[row]),
            expected_power_w=float(situation.power_w[row]),
        )
        last = self._decision
        if last is None or (new.setting, new.reason) != (last.setting, last.reason):
            self._decision = new
        return self._decision

    def _hold_silent(self) -> Decision:
        if self._decision.reason != Reason.LEARNER_SILENT:
            self._decision = replace(
                self._decision, reason=Reason.LEARNER_SILENT,
                detail=f'the learner is silent: {_words(self._decision)} stays until it is back',
            )
        return self._decision

    def _assess(self, limits: Limits, conditions: Conditions) -> _Situation:
        config = self.config
        rate = conditions.frame_rate_hz
        if math.isfinite(rate) and rate > 0:
            self._frame_rate_hz = rate
        # Without learning the measured share is 0, which says nothing about learning again.
        learning = self._decision is None or self._decision.learning
        if learning and not math.isnan(conditions.learned_share):
            self._candidates = replace(
                self._candidates, learned_share=min(max(conditions.learned_share, 0.0), 1.0))
        charge = conditions.state_of_charge
        battery_known = 0 <= charge <= 1
        if not battery_known:
            charge = config.assumed_state_of_charge
        epsilon = config.energy_weight_empty + charge * (
            config.energy_weight_full - config.energy_weight_empty)

        candidates = self._candidates
        energy_j = candidates.energy_j
        # What is near the largest float overflows to inf, which fits no limit: as it should.
        with np.errstate(over='ignore', invalid='ignore'):
            if conditions.energy_ratios is not None:
                energy_j = energy_j * _usable(conditions.energy_ratios)
            power_w = energy_j * self._frame_rate_hz * candidates.frame_share
            latency_s = (candidates.latency_s * _usable(conditions.latency_ratio)
                         + np.nan_to_num(max(conditions.latency_overhead_s, 0.0)))
        # Nothing that is processed takes nothing, whatever it would take.
        power_w[candidates.frame_share == 0] = 0.0
        return _Situation(
            candidates=candidates,
            # Of the profile alone: a measurement that wavers is not to move the choice.
            score=score_candidates(candidates, config.latency_weight, epsilon),
            energy_j=energy_j,
            power_w=power_w,
            latency_s=latency_s,
            margin=config.limit_margin,
            allowed=((candidates.frame_share >= config.min_frame_share)
                     & (candidates.training_loss <= config.max_training_loss)),
            frame_rate_hz=self._frame_rate_hz,
            state_of_charge=charge,
            battery_known=battery_known,
        )

    def _within_deadband(
        self, situation: _Situation, limits: Limits, best: int, cause: Reason,
    ) -> bool:
        """Whether the present row is about as good as the best."""
        row, candidates = self._row, situation.candidates
        if (row < 0 or cause in _AT_ONCE
                or candidates.learning_share[row] != candidates.learning_share[best]
                or candidates.frame_share[row] != candidates.frame_share[best]):
            return False
        gain = situation.score[best] - situation.score[row]
        return gain <= self.config.deadband and not _violates(situation, limits, row, best)

    def _dwells(
        self, now_s: float, situation: _Situation, limits: Limits, best: int, cause: Reason,
    ) -> bool:
        """Whether the present row, though not the best, is too young to be left.

        What was chosen at an assumed charge is left as soon as the charge is known.
        """
        guessed = self._assumed and situation.battery_known
        if self._row < 0 or cause in _AT_ONCE or guessed:
            return False
        dwell_s = self.config.min_dwell_s
        if _asked(limits) != self._asked:
            dwell_s = min(dwell_s, DWELL_ASKED_S)
        young = now_s - self._changed_s < dwell_s
        return young and not _violates(situation, limits, self._row, best)


@dataclass(frozen=True)
class _Situation:
    """All candidates as they stand now, and what that was computed from."""

    candidates: Candidates
    score: np.ndarray
    energy_j: np.ndarray
    power_w: np.ndarray
    latency_s: np.ndarray
    margin: float
    allowed: np.ndarray
    frame_rate_hz: float
    state_of_charge: float
    battery_known: bool

    @property
    def least(self) -> int:
        """The row that spends least."""
        cost = self.energy_j * self.candidates.frame_share
        return int(np.argmin(np.where(self.allowed & ~self.candidates.learning, cost, math.inf)))


def _choose(situation: _Situation, limits: Limits, present: int) -> tuple[int, Reason]:
    """The best candidate under the limits and the one that made it so."""
    frame_j = situation.energy_j[~situation.candidates.learning].min()
    if limits.energy_j <= frame_j:
        return situation.least, Reason.ENERGY

    row, met = _best(situation, limits, present)
    if not met:
        return row, Reason.INFEASIBLE
    # The limit without which the choice would be another; the first where several are.
    for reason, field in _LIMITS:
        if _best(situation, replace(limits, **{field: math.nan}), present)[0] != row:
            return row, reason
    # Or, where two limits forbid the same, the first that alone would change the choice.
    free = Limits(overdraft_w=limits.overdraft_w)
    for reason, field in _LIMITS:
        alone = replace(free, **{field: getattr(limits, field)})
        if _best(situation, alone, present)[0] != _best(situation, free, present)[0]:
            return row, reason
    return row, Reason.SCORE


_LIMITS = (
    (Reason.POWER, 'power_w'),
    (Reason.MISSION, 'mission_power_w'),
    (Reason.DEADLINE, 'deadline_s'),
    (Reason.ACCURACY, 'min_accuracy'),
)


def _best(situation: _Situation, limits: Limits, present: int) -> tuple[int, bool]:
    """The best score within power, deadline and floor, and whether power and deadline are met."""
    candidates = situation.candidates
    enterable = situation.allowed & _fits(
        situation.power_w, limits.allowed_power_w, situation.margin, present)
    for learning_share in (1.0, *LEARNING_SHARES, 0.0):
        rows = (enterable & (candidates.learning_share == learning_share)
                & (candidates.frame_share == 1.0))
        if rows.any():
            break
    else:
        fewer = np.flatnonzero(enterable)
        if not len(fewer):
            least = situation.least
            return least, (situation.power_w[least] <= limits.allowed_power_w
                           and situation.latency_s[least] <= _limit(limits.deadline_s))
        rows = np.zeros_like(enterable)
        rows[fewer[0]] = True  # most frames

    deadline_s = _limit(limits.deadline_s)
    for margin in (situation.margin, 0.0):
        in_time = rows & _fits(situation.latency_s, deadline_s, margin, present)
        if in_time.any():
            break
    else:
        quickest = rows & (situation.latency_s == situation.latency_s[rows].min())
        return int(np.argmax(np.where(quickest, situation.score, -math.inf))), False
    if not math.isnan(limits.min_accuracy):
        accurate = in_time & (candidates.accuracy >= limits.min_accuracy)
        if not accurate.any():
            return int(np.argmax(np.where(in_time, candidates.accuracy, -math.inf))), True
        in_time = accurate
    # Without those that spend more for less accuracy, whatever their score: more power is never to
    # make perception worse.
    rows = unbeaten(np.flatnonzero(in_time), situation.power_w, candidates.accuracy)
    return int(rows[np.argmax(situation.score[rows])]), True


def _asked(limits: Limits) -> tuple[float, ...]:
    """What the budgets themselves say; equal if they do."""
    return tuple(map(_limit, (limits.power_w, limits.deadline_s, limits.min_accuracy)))


def _fits(cost: np.ndarray, limit: float, margin: float, present: int) -> np.ndarray:
    """The rows that may be entered; the present one needs no margin."""
    fits = cost <= limit * (1 - margin)
    if present >= 0:
        fits[present] = cost[present] <= limit
    return fits


def _violates(situation: _Situation, limits: Limits, row: int, best: int) -> bool:
    """Whether `row` breaks a limit that is not lost anyway, which it is if `best` breaks it."""
    accuracy = situation.candidates.accuracy
    excess = (
        (situation.power_w, limits.allowed_power_w),
        (situation.latency_s, _limit(limits.deadline_s)),
        (-accuracy, -(0.0 if math.isnan(limits.min_accuracy) else limits.min_accuracy)),
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


def _explain(cause: Reason, situation: _Situation, limits: Limits, row: int) -> str:
    candidates = situation.candidates
    share = candidates.frame_share[row]
    power = f'{situation.power_w[row]:.3g} W at {situation.frame_rate_hz:.3g} frames/s'
    if share == 0:
        power = 'paused'
    elif share < 1:
        power += f', {share:.0%} of them, without learning'
    elif not candidates.learning[row]:
        power += ' without learning'
    elif candidates.learning_share[row] < 1:
        power += f', {candidates.learning_share[row]:.3g} of them learned'
    latency = f'latency {situation.latency_s[row]:.3g} s'
    accuracy = f'accuracy {candidates.accuracy[row]:.3f}'
    save = f' less {limits.overdraft_w:.3g} W overdrawn' if limits.overdraft_w > 0 else ''
    if cause == Reason.SCORE:
        return (f'best score {situation.score[row]:.3f} at state of charge '
                f'{situation.state_of_charge:.2f}: {accuracy}, {power}')
    if cause == Reason.POWER:
        return f'power limit {limits.power_w:.3g} W{save}: {power}, {accuracy}'
    if cause == Reason.MISSION:
        return (f'{limits.mission_power_w:.3g} W{save} lasts to the end of the mission: {power}, '
                f'{accuracy}')
    if cause == Reason.DEADLINE:
        return f'deadline {limits.deadline_s:.3g} s: {latency}, {accuracy}'
    if cause == Reason.ACCURACY:
        return f'least accuracy {limits.min_accuracy:.3f}: {accuracy}, {power}'
    if cause == Reason.ENERGY:
        return f'energy left {limits.energy_j:.3g} J is used up: {power}'
    named = [f'{name} {value:.3g} {unit}' for name, value, unit in (
        ('power limit', limits.strictest_power_w, 'W'), ('deadline', limits.deadline_s, 's'),
    ) if not math.isnan(value)]
    return f'no setting meets {" and ".join(named)}: at best {power}, {latency}'


_FAULTS = {
    Reason.STARTUP: 'no learner heard yet: ',
    Reason.BUDGET_STALE: 'the budget is stale, its limits stay: ',
    Reason.BATTERY_UNKNOWN: 'the battery is {battery}: ',
}


def _words(decision: Decision) -> str:
    if decision.frame_share == 0:
        return 'the pause'
    share = f', {decision.frame_share:.0%} of the frames' if decision.frame_share < 1 else ''
    learning = f'training T {decision.training_timesteps}' if decision.learning else 'no learning'
    if 0 < decision.learning_share < 1:
        learning += f' of {decision.learning_share:.3g} of the frames'
    return f'inference T {decision.inference_timesteps}, {learning}{share}'


def _limit(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _usable(ratios: float | Sequence[float]) -> np.ndarray:
    """Ratios, 1 where they are not finite and above 0."""
    ratios = np.asarray(ratios, float)
    return np.where(np.isfinite(ratios) & (ratios > 0), ratios, 1.0)
