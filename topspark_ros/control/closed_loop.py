"""What the learner reports, turned into corrections of what the profile predicts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from topspark_ros.methodology.profile import Profile, ProfilePoint
from topspark_ros.methodology.tradeoff import (
    LEARNING_SHARES, SHARES, Candidates, enumerate_candidates,
)

from .correction import EnergyCorrection, FrameRate, Overdraft, Smoothed

MOST_WRONG = 10.0  # energies and times of a profile, times or divided by this
MOST_WRONG_METERED = 1e4  # the power of a core is a guess, and knows nothing of the rest
TIME_CONSTANT_S = 5.0
LEARNED_FRAMES = 200.0  # that the share of learned frames is of: few may be


@dataclass(frozen=True)
class LearnerReport:
    """What the learner did; all counts and the energy since it was activated.

    time_s: when it said so, s, of any clock.
    training_timesteps, inference_timesteps, learning_share, frame_share: its setting.
    classified, skipped, learned: frames.
    energy_j: that they took, J.
    frame_rate_hz: frames classified a second, lately, Hz; NaN: unmeasured. Counts only where there
        is no report before to compare with, and a second's worth of frames has come.
    metered: whether energy_j was measured, not estimated.
    decided: whether the setting is a controller's, not the learner's own.
    latency_s: from a frame to its classification, 95th percentile, s; NaN: unmeasured.
    inference_s: of that the inference alone, mean, s; NaN: unmeasured.
    active_s: time that the counts and the energy are of, s; 0: unknown.
    """

    time_s: float
    training_timesteps: int
    inference_timesteps: int
    learning_share: float
    frame_share: float
    classified: int
    skipped: int
    learned: int
    energy_j: float
    frame_rate_hz: float = math.nan
    metered: bool = False
    decided: bool = True
    latency_s: float = math.nan
    inference_s: float = math.nan
    active_s: float = 0.0

    @property
    def setting(self) -> tuple[int, int, float, float]:
        """As Decision.setting."""
        return (self.training_timesteps, self.inference_timesteps, self.learning_share,
                self.frame_share)


class ClosedLoop:
    """Energy, latency, frame rate and power as the learner's reports tell them.

    core_power_w: power of a busy core, W: metered energies are predicted as processor time times
        this, since the profile's are estimates for other hardware.
    """

    def __init__(self, profile: Profile, core_power_w: float) -> None:
        self._points = {point.timesteps: point for point in profile.points}
        self._profiled = enumerate_candidates(profile, learned_share=1.0)
        self._core_power_w = core_power_w
        self._last: LearnerReport | None = None
        self._limit_then_w = math.nan  # in force at the last report
        self._begin(metered=False, known_hz=math.nan)

    def _begin(self, metered: bool, known_hz: float) -> None:
        """Nothing else is known yet."""
        self._metered = metered
        self._energy = EnergyCorrection(len(self._points) * (len(self._points) + 1),
                                        MOST_WRONG_METERED if metered else MOST_WRONG)
        self._latency_ratio = Smoothed(TIME_CONSTANT_S, 1 / MOST_WRONG, MOST_WRONG)
        self._overhead_s = Smoothed(TIME_CONSTANT_S, 0.0, math.inf)
        self._power_w = Smoothed(TIME_CONSTANT_S, 0.0, math.inf)
        # Few at a time, it may be more than 1 now and then, so that the mean is right.
        self._learned_share = Smoothed(LEARNED_FRAMES, 0.0, math.inf)
        self._rate = FrameRate(known_hz)
        self._overdraft = Overdraft()

    # What is known; NaN: unmeasured --------------------------------------------------------

    @property
    def frame_rate_hz(self) -> float:
        """Frames that come a second, Hz."""
        return self._rate.value_hz

    @property
    def learned_share(self) -> float:
        """Of the frames that are to be learned, 0..1."""
        return min(self._learned_share.value, 1.0)

    @property
    def power_w(self) -> float:
        """Drawn by perception, W."""
        return self._power_w.value

    @property
    def latency_ratio(self) -> float:
        """Time of an inference over the profile's; 1: unmeasured."""
        return self._latency_ratio.get(1.0)

    @property
    def latency_overhead_s(self) -> float:
        """Latency of a frame beyond its inference, s; 0: unmeasured."""
        return self._overhead_s.get(0.0)

    def overdraft_w(self, limit_w: float) -> float:
        """Power to stay below a limit by, W, because more was used before."""
        return self._overdraft.save_w(limit_w)

    def energy_ratios(self) -> np.ndarray:
        """Energy of a frame over the profile's, shape (len(Candidates),), float64."""
        candidates = self._candidates()
        full = self._energy.ratios
        ratios = np.empty(len(candidates))
        pairs = len(self._points) ** 2
        shared = len(full) + len(SHARES)
        ratios[:len(full)] = full
        ratios[len(full):shared] = full[pairs]  # one of fewer frames costs as much
        ratios[shared:] = np.tile(full[:pairs], len(LEARNING_SHARES))
        if self._metered:
            known = candidates.energy_j > 0
            ratios[known] *= (candidates.frame_time_s * self._core_power_w)[known] \
                / candidates.energy_j[known]
        return ratios

    def energy_ratio(self, setting: tuple[int, int, float, float]) -> float:
        """The same of one setting of the profile, as of Decision.setting."""
        return float(self.energy_ratios()[self._candidates().row(*setting)])

    # What is heard -------------------------------------------------------------------------

    def hear(self, report: LearnerReport, limit_w: float) -> float:
        """Learn from a report; returns the energy used since the last one, J.

        limit_w: power limit in force, W; NaN: none.
        """
        last, self._last = self._last, report
        # The time of a step belongs to the limit before it.
        limit_w, self._limit_then_w = _greater(limit_w, self._limit_then_w), limit_w
        if last is None or last.metered != report.metered:
            share = report.frame_share
            rate_hz = report.frame_rate_hz / share if share > 0.0 else math.nan
            # The first few may have waited for the learner, and come together.
            enough = report.classified + report.skipped >= rate_hz
            self._begin(report.metered, rate_hz if enough else math.nan)
            return 0.0
        if _restarted(last, report):
            return report.energy_j
        energy_j = report.energy_j - last.energy_j
        elapsed_s = report.time_s - last.time_s
        if elapsed_s > 0.0:
            self._measure(last, report, energy_j, elapsed_s)
            self._overdraft.use(energy_j, elapsed_s, limit_w)
        return energy_j

    def _measure(self, last: LearnerReport, report: LearnerReport, energy_j: float,
                 elapsed_s: float) -> None:
        classified = report.classified - last.classified
        learned = report.learned - last.learned
        self._rate.count(classified + report.skipped - last.skipped, elapsed_s)
        self._power_w.measure(energy_j / elapsed_s, elapsed_s)
        if classified == 0 or report.setting[:3] != last.setting[:3]:
            return
        learning = report.learning_share > 0.0
        if learning:
            due = classified * report.learning_share
            self._learned_share.measure(learned / due, due)
        training = self._points.get(report.training_timesteps)
        inference = self._points.get(report.inference_timesteps)
        if inference is None or (training is None and learning):
            return    # T of the learner's own, before any decision
        predicted_j = classified * self._predicted_j(inference, False)
        if training is not None:
            predicted_j += learned * self._predicted_j(training, True)
        row = self._profiled.row(report.training_timesteps, report.inference_timesteps,
                                 float(learning), 1.0)
        if predicted_j > 0.0:
            self._energy.measure(row, energy_j / predicted_j, classified, elapsed_s)
        self._latency_ratio.measure(report.inference_s / inference.inference.latency_s
                                    if inference.inference.latency_s > 0.0 else math.nan,
                                    elapsed_s)
        self._overhead_s.measure(report.latency_s - report.inference_s, elapsed_s)

    def _predicted_j(self, point: ProfilePoint, training: bool) -> float:
        phase = point.training if training else point.inference
        return phase.latency_s * self._core_power_w if self._metered else phase.energy_j

    def _candidates(self) -> Candidates:
        learned_share = min(self._learned_share.get(1.0), 1.0)
        return replace(self._profiled, learned_share=learned_share)


def _restarted(last: LearnerReport, report: LearnerReport) -> bool:
    """Whether the learner counts anew."""
    return (report.energy_j < last.energy_j or report.classified < last.classified
            or report.skipped < last.skipped or report.learned < last.learned)


def _greater(a: float, b: float) -> float:
    """The greater of two limits; NaN: none."""
    return math.nan if math.isnan(a) or math.isnan(b) else max(a, b)
