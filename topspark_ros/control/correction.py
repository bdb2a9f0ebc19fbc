"""What measurement makes of a prediction: the closed loop's estimators, each of one quantity.

A profile was measured on another machine, with other frames. What the learner reports corrects it
while it runs: energy, time of an inference, overhead, frame rate, and power that was overdrawn.
"""

from __future__ import annotations

import math

import numpy as np


class EnergyCorrection:
    """Energy of a frame at each setting, as measured over as predicted.

    The logarithm of the ratio is taken as the sum of two normally distributed parts: one that all
    settings share (the profile is of other frames or another machine) and one of each setting's
    own (its curve over T is another). Every measurement corrects all by Bayes' rule (a Kalman
    filter), so that a setting that was never used is corrected by what was learned at others, and
    one that is come back to is known. Both parts wander, so that old measurements fade.

    settings: how many there are.
    bound: ratios are kept within 1 / bound and bound.
    """

    PRIOR_SHARED = math.log(2.0)  # standard deviations of natural logarithms
    PRIOR_OWN = 0.15
    WANDER_SHARED = 0.03  # a square root of a second
    WANDER_OWN = 0.003
    NOISE_FRAME = 0.3  # of a single frame
    NOISE_LEAST = 0.02  # of however many

    def __init__(self, settings: int, bound: float) -> None:
        self._bound = math.log(bound)
        self._mean = np.zeros(1 + settings)
        self._covariance = np.diag([self.PRIOR_SHARED ** 2] + settings * [self.PRIOR_OWN ** 2])

    def measure(self, setting: int, ratio: float, frames: int, elapsed_s: float) -> None:
        """One measurement.

        ratio: measured over predicted energy of a frame.
        frames: that it is a mean of.
        elapsed_s: since the measurement before, s.

        A ratio that is not finite or not above 0 measures nothing, nor do no frames.
        """
        if not (0.0 < ratio < math.inf and frames > 0):
            return
        diagonal = np.einsum('ii->i', self._covariance)  # a view
        wandered_s = min(elapsed_s, 60.0) if elapsed_s > 0.0 else 0.0
        diagonal[0] += self.WANDER_SHARED ** 2 * wandered_s
        diagonal[1:] += self.WANDER_OWN ** 2 * wandered_s
        np.minimum(diagonal[1:], self.PRIOR_OWN ** 2, out=diagonal[1:])
        seen = self._covariance[:, 0] + self._covariance[:, 1 + setting]
        noise = self.NOISE_FRAME ** 2 / frames + self.NOISE_LEAST ** 2
        gain = seen / (seen[0] + seen[1 + setting] + noise)
        logarithm = min(max(math.log(ratio), -self._bound), self._bound)
        self._mean += gain * (logarithm - self._mean[0] - self._mean[1 + setting])
        self._covariance -= np.outer(gain, seen)

    @property
    def ratios(self) -> np.ndarray:
        """Measured over predicted, shape (settings,), float64; 1 before any measurement."""
        return np.exp(np.clip(self._mean[0] + self._mean[1:], -self._bound, self._bound))


class Smoothed:
    """A quantity as its low-pass filter sees it: at first the mean of all that was measured.

    time_constant: of the filter, in s or whatever the weights of the values are in.
    low, high: values are kept within these.
    """

    def __init__(self, time_constant: float, low: float, high: float) -> None:
        self._time_constant = time_constant
        self._low, self._high = low, high
        self._weight = 0.0
        self.value = math.nan

    def measure(self, value: float, weight: float) -> None:
        """weight: time, or whatever, that the value is of. What is not finite measures nothing."""
        if not math.isfinite(value):
            return
        value = min(max(value, self._low), self._high)
        weight = weight if weight > 0.0 else 0.0
        self._weight += weight
        if math.isnan(self.value):
            self.value = value
        elif weight > 0.0:
            gain = max(-math.expm1(-weight / self._time_constant), weight / self._weight)
            self.value += (value - self.value) * gain

    def get(self, unmeasured: float) -> float:
        return unmeasured if math.isnan(self.value) else self.value


class FrameRate:
    """The camera's rate from counts of frames, Hz.

    A low-pass filter; two counts one after the other that both are off to the same side are a new
    rate, which counts at once. Frames that were missing are expected to come late: as many more,
    for as long as more come, are no new rate. A camera that stands still keeps its rate: it will be
    back.

    known_hz: what it is known to be before any count; NaN: nothing.
    """

    TIME_CONSTANT_S = 5.0
    OFF_FRAMES = 1.5  # a count this far off could be chance
    OFF_SHARE = 0.15
    STILL_FRAMES = 3.0  # missing: it stands still
    LATE_S = 3.0  # frames of so much time may come late; more are lost

    def __init__(self, known_hz: float = math.nan) -> None:
        self._smoothed = self._starting_at(known_hz)
        self._off: tuple[int, float, int] | None = None  # count, time and side, if the last was
        self._empty_s = 0.0  # since the last frame, in whole counts
        self._late = 0.0  # frames that were missing and may still come

    @property
    def value_hz(self) -> float:
        """NaN until it is known or a frame was counted."""
        return self._smoothed.value

    def count(self, frames: int, elapsed_s: float) -> None:
        """frames: that came in the last `elapsed_s`, s."""
        if not elapsed_s > 0.0:
            return
        if frames == 0:
            self._empty_s += elapsed_s
            return
        known_hz = self._smoothed.get(math.inf)
        if math.isinf(known_hz):
            self._empty_s = 0.0
            self._smoothed.measure(frames / elapsed_s, elapsed_s)
            return
        if self._empty_s * known_hz <= self.STILL_FRAMES:
            elapsed_s += self._empty_s
        else:
            self._expect_late(self._empty_s * known_hz)
        self._empty_s = 0.0
        expected = known_hz * elapsed_s
        came_late = min(self._late, max(0.0, frames - expected))
        frames -= came_late
        self._late = self._late - came_late if came_late else 0.0
        if abs(frames - expected) <= max(self.OFF_FRAMES, self.OFF_SHARE * expected):
            self._off = None
            self._smoothed.measure(frames / elapsed_s, elapsed_s)
            return
        side = 1 if frames > expected else -1
        self._expect_late(expected - frames)
        if self._off is None or self._off[2] != side:
            self._off = frames, elapsed_s, side
            return
        count, time_s, _ = self._off
        self._smoothed = self._starting_at((count + frames) / (time_s + elapsed_s))
        self._off = None
        self._late = 0.0

    def _expect_late(self, missing: float) -> None:
        self._late = min(max(self._late + missing, 0.0), self.LATE_S * self._smoothed.value)

    def _starting_at(self, rate_hz: float) -> Smoothed:
        smoothed = Smoothed(self.TIME_CONSTANT_S, 0.0, math.inf)
        if rate_hz > 0.0:
            smoothed.measure(rate_hz, 0.0)
        return smoothed


class Overdraft:
    """Energy used above a power limit, which is saved again.

    What was left unused balances a later excess, but only that of the last seconds, and never
    allows more than the limit.
    """

    BALANCE_S = 3.0  # of the limit, what may have been left unused before
    OWED_S = 10.0  # of the limit, what is saved again; more is written off
    REPAY_S = 5.0
    MOST = 0.5  # of the limit: a share that is saved at most

    def __init__(self) -> None:
        self._energy_j = 0.0

    def use(self, energy_j: float, elapsed_s: float, limit_w: float) -> None:
        """energy_j: used in the last `elapsed_s`, s.

        limit_w: of that time, W; NaN: none, and everything is settled.
        """
        if math.isnan(limit_w):
            self._energy_j = 0.0
            return
        owed_j = self._energy_j + energy_j - limit_w * elapsed_s
        self._energy_j = min(max(owed_j, -self.BALANCE_S * limit_w), self.OWED_S * limit_w)

    def save_w(self, limit_w: float) -> float:
        """Power to stay below the limit by, W; 0 if there is no limit (NaN)."""
        if math.isnan(limit_w):
            return 0.0
        return min(max(self._energy_j, 0.0) / self.REPAY_S, self.MOST * limit_w)
