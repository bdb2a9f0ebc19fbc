"""What the learner reports, turned into corrections of what the profile predicts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from topspark_ros.methodology.profile import Profile
from topspark_ros.methodology.tradeoff import Candidates, enumerate_candidates

from .accuracy import AccuracyReport
from .correction import EnergyCorrection, FrameRate, Overdraft, Smoothed
from .metered import MeteredEnergy

# Of estimated energies and measured times over the profile's, which may be of another network; the
# least is its inverse.
MAX_RATIO = 1e4
TIME_CONSTANT_S = 5.0
UNSEEN = 0.1  # of the pace at which objects are forgotten that were seen to go
LEARNED_FRAMES = 200.0  # over which the share of learned frames, and their energy, is averaged


@dataclass(frozen=True)
class LearnerReport:
    """What the learner did. Frames and energy are counted since its activation.

    Parameters
    ----------
    time_s
        Time of the report, s, of any clock.
    training_timesteps, inference_timesteps, learning_share, frame_share
        Its setting.
    classified, skipped, learned
        Numbers of frames.
    further_objects
        That were classified besides one in each frame.
    energy_j
        Energy that these frames took, J.
    learning_energy_j, trial_energy_j
        Of that, in learning and in trials, J; not told apart where it was measured.
    frame_rate_hz
        Frames classified a second, lately, Hz; NaN: unmeasured. It is used for the first report
        alone, and only if that counts a second's worth of frames.
    metered
        Whether energy_j was measured, not estimated.
    decided
        Whether the setting is a controller's, not the learner's own.
    latency_s
        From a frame to its classification, 95th percentile, s; NaN: unmeasured.
    inference_s
        Mean time of the inference alone, s; NaN: unmeasured.
    active_s
        Time since activation, s; 0: unknown.
    accuracy
        How right it was.
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
    learning_energy_j: float = 0.0
    trial_energy_j: float = 0.0
    further_objects: int = 0
    frame_rate_hz: float = math.nan
    metered: bool = False
    decided: bool = True
    latency_s: float = math.nan
    inference_s: float = math.nan
    active_s: float = 0.0
    accuracy: AccuracyReport = AccuracyReport()

    @property
    def setting(self) -> tuple[int, int, float, float]:
        """As Decision.setting."""
        return (
            self.training_timesteps,
            self.inference_timesteps,
            self.learning_share,
            self.frame_share,
        )


class ClosedLoop:
    """Energy, latency, frame rate and power, estimated from the learner's reports.

    Parameters
    ----------
    core_power_w
        Power of a busy core, W; see MeteredEnergy. The profile's energies are estimates for other
        hardware: of what a meter sees they say nothing.
    """

    def __init__(self, profile: Profile, core_power_w: float) -> None:
        self._profile = profile
        self._points = {point.timesteps: point for point in profile.points}
        self._profiled = enumerate_candidates(profile, learned_share=1.0)
        self._index = {timesteps: index for index, timesteps in enumerate(profile.timesteps)}
        self._rows = tuple(
            np.searchsorted(profile.timesteps, timesteps)
            for timesteps in (self._profiled.inference_timesteps, self._profiled.training_timesteps)
        )
        self._core_power_w = core_power_w
        self._last: LearnerReport | None = None
        self._last_limit_w = math.nan  # in force at the last report
        self._begin(metered=False, known_hz=math.nan)

    def _begin(self, metered: bool, known_hz: float) -> None:
        """Start every estimate anew."""
        self._metered = MeteredEnergy(self._profile, self._core_power_w) if metered else None
        self._energy = EnergyCorrection(len(self._points), MAX_RATIO)
        self._learning_ratio = Smoothed(LEARNED_FRAMES, 0.0, MAX_RATIO)
        self._latency_ratio = Smoothed(TIME_CONSTANT_S, 1 / MAX_RATIO, MAX_RATIO)
        self._objects = Smoothed(TIME_CONSTANT_S, 1.0, math.inf)  # classified, a frame
        self._overhead_s = Smoothed(TIME_CONSTANT_S, 0.0, math.inf)
        self._power_w = Smoothed(TIME_CONSTANT_S, 0.0, math.inf)
        # Not clipped at 1: of few frames more may be learned than were due, and the mean is right.
        self._learned_share = Smoothed(LEARNED_FRAMES, 0.0, math.inf)
        self._rate = FrameRate(known_hz)
        self._overdraft = Overdraft()

    # Estimates; NaN: unmeasured ------------------------------------------------------------

    @property
    def frame_rate_hz(self) -> float:
        """Frames that arrive a second, Hz."""
        return self._rate.value_hz

    @property
    def learned_share(self) -> float:
        """Share of the frames due for learning that was learned, 0..1."""
        return min(self._learned_share.value, 1.0)

    @property
    def power_w(self) -> float:
        """Power of perception, W."""
        return self._power_w.value

    @property
    def latency_ratio(self) -> float:
        """Measured time of the inferences of a frame over that of the profile's one; 1 if it is
        unmeasured."""
        return self._objects.get(1.0) * self._latency_ratio.get(1.0)

    @property
    def latency_overhead_s(self) -> float:
        """Latency of a frame without its inferences, s; 0 if it is unmeasured."""
        return self._overhead_s.get(0.0)

    def overdraft_w(self, limit_w: float) -> float:
        """Power by which perception stays below a limit to repay energy overspent, W."""
        return self._overdraft.repayment_w(limit_w)

    def credit_w(self, limit_w: float) -> float:
        """Power by which what is in use may exceed a limit after less was used, W."""
        return self._overdraft.credit_w(limit_w)

    @property
    def standing_power_w(self) -> float:
        """Power without any frame, W. Of that the estimate, which is the network's, has none."""
        return 0.0 if self._metered is None else self._metered.standing_w

    def energy_ratios(self) -> np.ndarray:
        """Measured energy of a frame over the profile's, shape (len(Candidates),), float64."""
        candidates, objects = self._candidates(), self._objects.get(1.0)
        if self._metered is not None:
            frame_j = self._metered.frame_j(candidates, objects)
        else:
            inference, training = (
                ratios[rows] for ratios, rows in zip(self._energy.ratios, self._rows)
            )
            frame_j = objects * inference * candidates.inference_j + training * (
                candidates.energy_j - candidates.inference_j
            )
        known, ratios = candidates.energy_j > 0, np.ones(len(candidates))
        ratios[known] = frame_j[known] / candidates.energy_j[known]
        return ratios

    def energy_ratio(self, setting: tuple[int, int, float, float]) -> float:
        """The same for one setting, as Decision.setting."""
        return float(self.energy_ratios()[self._candidates().row(*setting)])

    @property
    def last_report(self) -> LearnerReport | None:
        """None before the first one."""
        return self._last

    # Reports -------------------------------------------------------------------------------

    def update(self, report: LearnerReport, limit_w: float) -> float:
        """Take a report; returns the energy used since the last one, J.

        Parameters
        ----------
        limit_w
            Power limit in force, W; NaN: none.
        """
        last, self._last = self._last, report
        # The interval is charged to the limit in force when it began, or to the present one if
        # that allows more.
        limit_w, self._last_limit_w = _greater(limit_w, self._last_limit_w), limit_w
        if last is None or last.metered != report.metered:
            share = report.frame_share
            rate_hz = report.frame_rate_hz / share if share > 0.0 else math.nan
            # The first few frames may have waited for the learner and arrive together.
            enough = report.classified + report.skipped >= rate_hz
            self._begin(report.metered, rate_hz if enough else math.nan)
            return 0.0
        if _restarted(last, report):
            return report.energy_j
        energy_j = report.energy_j - last.energy_j
        elapsed_s = report.time_s - last.time_s
        if elapsed_s > 0.0:
            self._measure(last, report, elapsed_s)
            self._power_w.measure(energy_j / elapsed_s, elapsed_s)
            self._overdraft.use(energy_j, elapsed_s, limit_w)
        return energy_j

    def _measure(self, last: LearnerReport, report: LearnerReport, elapsed_s: float) -> None:
        energy_j = report.energy_j - last.energy_j
        classified = report.classified - last.classified
        received = classified + report.skipped - last.skipped
        learned = report.learned - last.learned
        further = report.further_objects - last.further_objects
        self._rate.count(received, elapsed_s)
        if classified > 0:
            self._count_objects(1.0 + further / classified, elapsed_s)
        elif report.frame_share == 0.0:  # what is in view may have gone unseen
            self._objects.measure(1.0, UNSEEN * elapsed_s)
        if self._metered is not None and report.setting == last.setting:
            self._metered.measure(
                report.setting, received, classified, learned, further, energy_j, elapsed_s
            )
        if classified == 0 or report.setting[:3] != last.setting[:3]:
            return
        if report.learning_share > 0.0:
            due = classified * report.learning_share
            self._learned_share.measure(learned / due, due)
        inference = self._points.get(report.inference_timesteps)
        if inference is None:
            return  # the learner's own T, which the profile does not have
        if self._metered is None:
            self._correct_energy(last, report, elapsed_s)
        self._latency_ratio.measure(
            report.inference_s / inference.inference.latency_s
            if inference.inference.latency_s > 0.0
            else math.nan,
            elapsed_s,
        )
        self._overhead_s.measure(
            report.latency_s - self._objects.value * report.inference_s, elapsed_s
        )

    def _count_objects(self, objects: float, elapsed_s: float) -> None:
        """Objects of a frame come and go at once, and each costs an inference. So what an inference
        takes is measured apart, and more objects than before count at once: a limit is to be kept
        in the very next frames."""
        if objects > self._objects.get(1.0):
            self._objects = Smoothed(TIME_CONSTANT_S, 1.0, math.inf)
        self._objects.measure(objects, elapsed_s)

    def _correct_energy(self, last: LearnerReport, report: LearnerReport, elapsed_s: float) -> None:
        """Compare what both phases took, each with the share of trials that is usual.

        Trials are few, and one at a large T takes as much as many frames: no reason for another
        setting, for the next seconds take less. Frames without a label are learned for next to
        nothing, so of learning the mean over many counts.
        """
        frames_j = report.energy_j - report.trial_energy_j
        trials = 1.0 + report.trial_energy_j / frames_j if frames_j > 0.0 else 1.0
        learning_j = report.learning_energy_j - last.learning_energy_j
        inference_j = report.energy_j - last.energy_j - learning_j
        inference_j -= report.trial_energy_j - last.trial_energy_j
        learned = report.learned - last.learned
        objects = report.classified - last.classified
        objects += report.further_objects - last.further_objects
        inference = report.inference_timesteps
        expected_j = objects * self._points[inference].inference.energy_j
        if expected_j > 0.0:
            self._energy.measure(
                self._energy.INFERENCE,
                self._index[inference],
                trials * inference_j / expected_j,
                objects,
                elapsed_s,
            )
        training = report.training_timesteps
        if training not in self._points or learned == 0:
            return
        expected_j = learned * self._points[training].training.energy_j
        if expected_j > 0.0:
            self._learning_ratio.measure(trials * learning_j / expected_j, learned)
            self._energy.measure(
                self._energy.TRAINING,
                self._index[training],
                self._learning_ratio.value,
                learned,
                elapsed_s=0.0,
            )

    def _candidates(self) -> Candidates:
        learned_share = min(self._learned_share.get(1.0), 1.0)
        return replace(self._profiled, learned_share=learned_share)


def _restarted(last: LearnerReport, report: LearnerReport) -> bool:
    """Whether the learner has begun to count from 0 again."""
    return (
        report.energy_j < last.energy_j
        or report.classified < last.classified
        or report.skipped < last.skipped
        or report.learned < last.learned
        or report.further_objects < last.further_objects
        or report.learning_energy_j < last.learning_energy_j
    )


def _greater(a: float, b: float) -> float:
    """The greater of two limits; NaN: none."""
    return math.nan if math.isnan(a) or math.isnan(b) else max(a, b)
