"""The controller's policy: which setting to use, as a state machine without ROS.

The limits are applied in the order of `filters.FILTERS`: energy, power (of the budgets and of the
mission's plan), deadline, accuracy floor; among what they leave, TopSpark's score decides, and
between scores that trials have not told apart, the cost. The energy weight of the score grows as
the battery drains. Of the frames so many are learned as there is something to learn from: more than
enough for those that are misclassified, which come first.

- No setting fits the power: fewer frames are learned, down to none; then fewer are processed, down
  to none; as power is allowed again, processing comes back before learning. Where learning takes
  little of a frame's energy it is not given up, and fewer frames are processed at once. If
  `min_frame_share` forbids to process fewer: INFEASIBLE.
- The deadline cannot be met: the quickest setting within the power, INFEASIBLE.
- The accuracy floor cannot be met: the most accurate setting within power and deadline, ACCURACY.
- The energy is used up: the fewest frames that are allowed, without learning, ENERGY.
- Battery unknown: an assumed state of charge, BATTERY_UNKNOWN, until it is known.
- Budget stale: its limits stay in force, BUDGET_STALE.
- Learner silent: the decision stays, LEARNER_SILENT, and is reconsidered when it is back.
  Before its first report: STARTUP.

Against flapping, a decision is left only for a score that is better by the deadband, and not before
the minimum dwell; power limit and deadline are entered with a margin. A violated limit breaks
deadband and dwell; the dwell is short when a budget was changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from topspark_ros.methodology.profile import Profile
from topspark_ros.methodology.tradeoff import (
    LEARNING_SHARES,
    Candidates,
    enumerate_candidates,
    score_candidates,
)

from .accuracy import AccuracyReport, expected_accuracy, standard_errors
from .budgets import Limits
from .decision import Decision, Outlook, Reason
from .explanation import explain_choice, explain_silence, name_fault
from .filters import SAVING, Assessment, choose
from .ranges import ABOVE_ZERO, FRACTION, FRACTION_BELOW_ONE, FROM_ZERO

DWELL_REQUESTED_S = 0.5  # whoever changes a budget waits for an answer
DOUBT = 2.0  # standard errors by which accuracies differ that are not told apart
LEARNED_PER_MISTAKE = 2.0  # frames that are worth learning for each that is misclassified
WORTHWHILE = 0.2  # of a frame's energy, that it has to save not to learn
BAND = 1.25  # times as much as it has to save to go on not learning


@dataclass(frozen=True)
class PolicyConfig:
    """How the policy weighs and how steady it is.

    Parameters
    ----------
    latency_weight
        Mu of the score, from 0.
    energy_weight_full
        Epsilon of the score at a full battery, from 0.
    energy_weight_empty
        Epsilon at an empty battery, linear between the two, from 0.
    assumed_state_of_charge
        Used while the battery is unknown, 0..1.
    assumed_frame_rate_hz
        Used until a frame rate was measured, Hz, above 0.
    min_dwell_s
        A decision stays at least this long while no limit is violated, s, from 0; at most
        DWELL_REQUESTED_S once a budget was changed.
    deadband
        A decision stays while no other scores better by more than this, from 0.
    limit_margin
        A setting is entered only if it leaves this share of the power limit and of the deadline
        free, but is kept up to the limit; 0 to below 1.
    min_frame_share
        Share of the frames that is processed at least, whatever the power limit, 0..1.
    max_training_loss
        No T is used for training that by the profile loses more accuracy against the best training
        T, 0..1. A frame classified badly is gone; what is learned badly stays, whichever T comes
        next.

    Raises
    ------
    RangeError
        For a value out of its range.
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
            ('latency_weight', FROM_ZERO),
            ('energy_weight_full', FROM_ZERO),
            ('energy_weight_empty', FROM_ZERO),
            ('assumed_state_of_charge', FRACTION),
            ('assumed_frame_rate_hz', ABOVE_ZERO),
            ('min_dwell_s', FROM_ZERO),
            ('deadband', FROM_ZERO),
            ('limit_margin', FRACTION_BELOW_ONE),
            ('min_frame_share', FRACTION),
            ('max_training_loss', FRACTION),
        ):
            accepted.require(name, getattr(self, name))


@dataclass(frozen=True)
class Conditions:
    """What is known at the time of a decision. Every float is accepted in every field.

    Parameters
    ----------
    state_of_charge
        0..1; NaN or out of range: unknown.
    battery
        Why it is unknown, in a word.
    budget_stale
        A budget has not been renewed for longer than its timeout.
    learner_silent
        No status of the learner has come for longer than its timeout, or ever.
    frame_rate_hz
        Frames that arrive a second, Hz; 0, negative or not finite: unmeasured, and the last
        measured one counts.
    learned_share
        Share of the frames due for learning that was learned, clipped to 0..1; NaN: unmeasured.
        While learning is off, or unmeasured, the last one counts, at first 1.
    energy_ratios
        Measured energy of a frame over the profile's, an entry for each row of Candidates; None: as
        in the profile.
    standing_power_w
        Power without any frame, W, from 0.
    metered
        Whether energies are of a meter, and not the profile's, corrected.
    latency_ratio
        Measured time of an inference over the profile's.
    latency_overhead_s
        Time from receipt of a frame to its classification without the inference, s.
    inference_timesteps
        T of inference that the learner has in force; 0: unknown.
    accuracy
        How right it was.
    """

    state_of_charge: float = math.nan
    battery: str = 'unknown'
    budget_stale: bool = False
    learner_silent: bool = False
    frame_rate_hz: float = math.nan
    learned_share: float = math.nan
    energy_ratios: ArrayLike | None = None
    standing_power_w: float = 0.0
    metered: bool = False
    latency_ratio: float = 1.0
    latency_overhead_s: float = 0.0
    inference_timesteps: int = 0
    accuracy: AccuracyReport = AccuracyReport()


class TimestepPolicy:
    """Chooses T for training and inference from a profile, under limits, over time.

    Deterministic: equal sequences of calls give equal decisions.

    Parameters
    ----------
    config
        May be replaced at any time.

    Attributes
    ----------
    outlook
        Of each T, as of the last decision; empty before the first.
    """

    def __init__(self, profile: Profile, config: PolicyConfig = PolicyConfig()) -> None:
        self._profile = profile
        self._candidates = enumerate_candidates(profile, learned_share=1.0)
        self.config = config
        self.outlook: tuple[Outlook, ...] = ()
        self._decision: Decision | None = None
        self._row = -1  # of the present decision among the candidates; -1: none
        self._cause = Reason.STARTUP  # what decided it, whatever fault has come since
        self._grounds = ''  # the same as a sentence
        self._charge_assumed = False  # when it was chosen
        self._changed_s = -math.inf
        self._requested: tuple[float, ...] = ()  # by the budgets, when it was chosen
        self._frame_rate_hz = config.assumed_frame_rate_hz
        self._worth = 1.0  # share of the frames that is worth learning
        self._gives_up = True  # learning, before frames are left out
        self._holds_back = False  # learning, where few frames are mistaken

    def resume(
        self,
        training_timesteps: int,
        inference_timesteps: int,
        learning_share: float,
        frame_share: float,
    ) -> None:
        """Take the setting of a controller that ran before this one as the present one.

        A setting that the profile does not have is ignored, as is any after the first decision.
        """
        if self._row < 0:
            row = self._candidates.row(
                training_timesteps, inference_timesteps, learning_share, frame_share
            )
            self._row = -1 if row is None else row

    def decide(self, now_s: float, limits: Limits, conditions: Conditions) -> Decision:
        """The decision at time `now_s`, s, of any clock; one that jumps back restarts the dwell.

        Returns the same object as before while setting and reason stay.
        """
        last = self._decision
        if conditions.learner_silent and last is not None and last.reason != Reason.STARTUP:
            return self._hold(last)

        assessment = self._assess(limits, conditions)
        self.outlook = _outlook(assessment)
        row, cause = choose(assessment)
        self._changed_s = min(self._changed_s, now_s)
        if row != self._row:
            row = self._steadied(assessment, row, cause)
        if row == self._row or not self._dwells(now_s, assessment, row, cause):
            if row != self._row:
                self._changed_s, self._requested = now_s, _requests(limits)
            self._row, self._cause = row, cause
            self._charge_assumed = not assessment.battery_known
            self._grounds = explain_choice(cause, assessment, row)
        return self._publish(
            assessment, _visible_reason(self._cause, assessment, conditions), conditions
        )

    def _publish(self, assessment: Assessment, reason: Reason, conditions: Conditions) -> Decision:
        """The present decision, a new one if setting or reason differ from the last."""
        row, candidates = self._row, assessment.candidates
        new = Decision(
            training_timesteps=int(candidates.training_timesteps[row]),
            inference_timesteps=int(candidates.inference_timesteps[row]),
            learning_share=float(candidates.learning_share[row]),
            frame_share=float(candidates.frame_share[row]),
            reason=reason,
            detail=name_fault(reason, conditions.battery) + self._grounds,
            expected_accuracy=float(candidates.accuracy[row]),
            expected_latency_s=float(assessment.latency_s[row]),
            expected_energy_j=float(assessment.energy_j[row]),
            expected_power_w=float(assessment.power_w[row]),
        )
        last = self._decision
        if last is not None and (new.setting, new.reason) == (last.setting, last.reason):
            return last
        self._decision = new
        return new

    def _hold(self, last: Decision) -> Decision:
        """The present decision, `last`, while the learner is silent."""
        if last.reason == Reason.LEARNER_SILENT:
            return last
        self._decision = replace(last, reason=Reason.LEARNER_SILENT, detail=explain_silence(last))
        return self._decision

    def _assess(self, limits: Limits, conditions: Conditions) -> Assessment:
        config = self.config
        rate = conditions.frame_rate_hz
        if math.isfinite(rate) and rate > 0:
            self._frame_rate_hz = rate
        # Without learning the measured share is 0, which says nothing about learning again.
        learning = self._decision is None or self._decision.learning
        if learning and not math.isnan(conditions.learned_share):
            self._candidates = replace(
                self._candidates, learned_share=min(max(conditions.learned_share, 0.0), 1.0)
            )
        charge = conditions.state_of_charge
        battery_known = 0 <= charge <= 1
        if not battery_known:
            charge = config.assumed_state_of_charge
        epsilon = config.energy_weight_empty + charge * (
            config.energy_weight_full - config.energy_weight_empty
        )

        candidates = replace(
            self._candidates,
            accuracy=expected_accuracy(
                self._profile, self._candidates, conditions.inference_timesteps, conditions.accuracy
            ),
        )
        energy_j = candidates.energy_j
        # A product beyond the largest float is inf, which fits no limit.
        with np.errstate(over='ignore', invalid='ignore'):
            if conditions.energy_ratios is not None:
                energy_j = energy_j * _usable(conditions.energy_ratios)
            power_w = energy_j * self._frame_rate_hz * candidates.frame_share
            latency_s = candidates.latency_s * _usable(conditions.latency_ratio) + np.nan_to_num(
                max(conditions.latency_overhead_s, 0.0)
            )
        power_w[candidates.frame_share == 0] = 0.0  # not inf * 0
        power_w += max(conditions.standing_power_w, 0.0)
        return Assessment(
            candidates=candidates,
            limits=limits,
            margin=config.limit_margin,
            present=self._row,
            allowed=(
                (candidates.frame_share >= config.min_frame_share)
                & (candidates.training_loss <= config.max_training_loss)
                & self._may_learn(candidates, conditions.accuracy, energy_j)
            ),
            # Estimates by the profile alone, so that noise of the measurements does not move T.
            # What a meter sees may hardly depend on T, whatever the profile says.
            score=score_candidates(
                candidates,
                config.latency_weight,
                epsilon,
                energy_j if conditions.metered else None,
            ),
            doubt=self._doubt(conditions.accuracy),
            energy_j=energy_j,
            power_w=power_w,
            latency_s=latency_s,
            frame_rate_hz=self._frame_rate_hz,
            state_of_charge=charge,
            battery_known=battery_known,
            labelled_frames=conditions.accuracy.frames if conditions.accuracy.measured else 0,
        )

    def _doubt(self, report: AccuracyReport) -> np.ndarray:
        """As of Assessment, by what trials showed of inference and the profile's seeds of training.

        The profile is taken at its word until something is measured.
        """
        candidates, profile = self._candidates, self._profile
        if not report.measured:
            return np.zeros((len(candidates), len(candidates)))
        inference, training = (
            np.searchsorted(profile.timesteps, timesteps)
            for timesteps in (candidates.inference_timesteps, candidates.training_timesteps)
        )
        seeds = np.nan_to_num([point.training.accuracy_std for point in profile.points])[training]
        unlike = training[:, np.newaxis] != training
        trained = np.where(unlike, np.hypot(seeds[:, np.newaxis], seeds), 0.0)
        tried = standard_errors(profile, report.trials)[np.ix_(inference, inference)]
        return DOUBT * np.hypot(tried, trained)

    def _may_learn(
        self, candidates: Candidates, report: AccuracyReport, energy_j: np.ndarray
    ) -> np.ndarray:
        """Whether a candidate learns neither more nor fewer frames than it should, bool.

        No more than are worth it, if learning fewer saves something at the present T. Where even
        at the smallest T it saves little, no fewer either: then fewer frames are processed, all of
        them learned, and none is learned only where no fewer may be processed. Elsewhere none is
        learned while others are left out.

        energy_j: of a frame, of each candidate.
        """
        row = self._row if self._row >= 0 else np.flatnonzero(candidates.whole)[-1]
        smallest = self._profile.points[0].timesteps
        training, inference = candidates.training_timesteps, candidates.inference_timesteps
        trainable = candidates.training_loss <= self.config.max_training_loss
        share, every_frame = candidates.learning_share, candidates.frame_share == 1.0
        worth = self._worth_learning(report)
        without_j = energy_j[every_frame & ~candidates.learning]  # by T
        of_present = candidates.whole & (training == training[row]) & (inference == inference[row])
        present = np.searchsorted(self._profile.timesteps, inference[row])
        self._holds_back = _saves(
            energy_j[of_present].max(), without_j[present], 1.0 - worth, self._holds_back
        )
        if not self._holds_back:
            worth = 1.0
        learning_j = energy_j[candidates.whole & trainable & (inference == smallest)].min()
        self._gives_up = _saves(learning_j, without_j[0], 1.0, self._gives_up)
        if self._gives_up:
            return (share <= worth) & (every_frame | (share == 0.0))
        frame_share = candidates.frame_share
        fewest = frame_share == frame_share[frame_share >= self.config.min_frame_share].min()
        as_worth = np.where(every_frame, share == worth, share == 1.0)
        return as_worth | fewest & (share == 0.0)

    def _worth_learning(self, report: AccuracyReport) -> float:
        """Share of the frames that is to be learned at most, 0..1.

        A frame that is classified right teaches little. The share changes only where chance in the
        mistakes that were counted is no explanation.
        """
        if not report.measured:
            return 1.0
        # Adjusted, for few frames (Agresti and Coull 1998).
        frames = report.frames + 4.0
        mistakes = (report.frames * (1.0 - report.accuracy) + 2.0) / frames
        chance = DOUBT * math.sqrt(mistakes * (1.0 - mistakes) / frames)
        least, most = (
            min(
                (share for share in LEARNING_SHARES if share >= LEARNED_PER_MISTAKE * rate),
                default=1.0,
            )
            for rate in (mistakes - chance, mistakes + chance)
        )
        self._worth = min(max(self._worth, least), most)
        return self._worth

    def _steadied(self, assessment: Assessment, best: int, cause: Reason) -> int:
        """The row with the shares of the best and the present T, if it scores about as well."""
        candidates = assessment.candidates
        if self._row < 0 or cause in _AT_ONCE:
            return best
        row = candidates.row(
            candidates.training_timesteps[self._row],
            candidates.inference_timesteps[self._row],
            candidates.learning_share[best],
            candidates.frame_share[best],
        )
        if row is None or row != self._row and not assessment.allowed[row]:
            return best
        gain = assessment.score[best] - assessment.score[row]
        doubt = assessment.doubt[best, row]
        dearer = assessment.energy_j[row] > (1.0 + SAVING) * assessment.energy_j[best]
        # What is entered must fit the limits as the best does.
        kept = not dearer or row == self._row and doubt == 0.0
        if kept and gain <= self.config.deadband + doubt and not assessment.violates(row, best):
            return row
        return best

    def _dwells(self, now_s: float, assessment: Assessment, best: int, cause: Reason) -> bool:
        """Whether the present row, though not the best, is too young to be left.

        What was chosen at an assumed charge is left as soon as the charge is known.
        """
        guessed = self._charge_assumed and assessment.battery_known
        if self._row < 0 or cause in _AT_ONCE or guessed:
            return False
        dwell_s = self.config.min_dwell_s
        if _requests(assessment.limits) != self._requested:
            dwell_s = min(dwell_s, DWELL_REQUESTED_S)
        young = now_s - self._changed_s < dwell_s
        return young and not assessment.violates(self._row, best)


# Causes that neither deadband nor dwell delays.
_AT_ONCE = (Reason.INFEASIBLE, Reason.ENERGY)


def _visible_reason(cause: Reason, assessment: Assessment, conditions: Conditions) -> Reason:
    """The cause, unless a fault weighs more."""
    if conditions.learner_silent:
        return Reason.STARTUP
    if cause in _AT_ONCE:
        return cause
    if conditions.budget_stale:
        return Reason.BUDGET_STALE
    if cause == Reason.SCORE and not assessment.battery_known:
        return Reason.BATTERY_UNKNOWN
    return cause


def _saves(learning_j: float, without_j: float, share: float, saved: bool) -> bool:
    """Whether to learn less by this share of the frames is WORTHWHILE; energies of a frame, J.

    saved: whether it was; there is a band, so that the way of saving does not flap.
    """
    worthwhile = WORTHWHILE / (BAND if saved else 1.0)
    return bool(share * (learning_j - without_j) >= worthwhile * learning_j)


def _outlook(assessment: Assessment) -> tuple[Outlook, ...]:
    candidates = assessment.candidates
    rows = np.flatnonzero((candidates.frame_share == 1.0) & ~candidates.learning)
    columns = (
        candidates.inference_timesteps,
        candidates.accuracy,
        assessment.energy_j,
        assessment.latency_s,
    )
    return tuple(Outlook(*row) for row in zip(*(column[rows].tolist() for column in columns)))


def _requests(limits: Limits) -> tuple[float, ...]:
    """What the budgets themselves demand; equal tuples mean that no budget was changed."""
    return tuple(
        math.inf if math.isnan(limit) else limit
        for limit in (limits.power_w, limits.deadline_s, limits.min_accuracy)
    )


def _usable(ratios: ArrayLike) -> np.ndarray:
    """Ratios, 1 where they are not finite and above 0."""
    given = np.asarray(ratios, float)
    return np.where(np.isfinite(given) & (given > 0), given, 1.0)
