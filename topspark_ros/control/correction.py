"""Estimators of the closed loop, one for each quantity.

A profile was measured on another machine, with other frames. The learner's reports correct it at
run time: energy, time of an inference, overhead, frame rate, and energy overspent.
"""

from __future__ import annotations

import math

import numpy as np


class EnergyCorrection:
    """Ratio of the measured energy of a frame to the predicted one, for each setting.

    The logarithm of the ratio is the sum of two normally distributed parts: one that all settings
    share (other frames, another machine) and one of each setting (another curve over T). A Kalman
    filter estimates them together: a measurement at one setting also corrects settings that were
    never used, and a setting that is used again starts from what was known of it. Both parts are
    random walks, so that old measurements lose weight.

    settings: number of settings.
    bound: ratios are kept within 1 / bound and bound.
    """

    PRIOR_SHARED = math.log(2.0)  # standard deviations of natural logarithms
    PRIOR_OWN = 0.15
    WANDER_SHARED = 0.03  # standard deviation of the walk after 1 s; grows with the root of time
    WANDER_OWN = 0.003
    NOISE_FRAME = 0.3  # standard deviation of one frame's measurement
    MIN_NOISE = 0.02  # of the mean of however many frames

    def __init__(self, settings: int, bound: float) -> None:
        self._bound = math.log(bound)
        self._mean = np.zeros(1 + settings)
        self._covariance = np.diag([self.PRIOR_SHARED**2] + settings * [self.PRIOR_OWN**2])

    def measure(self, setting: int, ratio: float, frames: int, elapsed_s: float) -> None:
        """Take one measurement.

        ratio: measured over predicted energy of a frame; ignored unless finite and above 0.
        frames: number of frames that the ratio is the mean of; 0: it is ignored.
        elapsed_s: time since the measurement before, s.
        """
        if not (0.0 < ratio < math.inf and frames > 0):
            return
        diagonal = np.einsum('ii->i', self._covariance)  # a view
        wandered_s = min(elapsed_s, 60.0) if elapsed_s > 0.0 else 0.0
        diagonal[0] += self.WANDER_SHARED**2 * wandered_s
        diagonal[1:] += self.WANDER_OWN**2 * wandered_s
        np.minimum(diagonal[1:], self.PRIOR_OWN**2, out=diagonal[1:])
        seen = self._covariance[:, 0] + self._covariance[:, 1 + setting]
        noise = self.NOISE_FRAME**2 / frames + self.MIN_NOISE**2
        gain = seen / (seen[0] + seen[1 + setting] + noise)
        logarithm = min(max(math.log(ratio), -self._bound), self._bound)
        self._mean += gain * (logarithm - self._mean[0] - self._mean[1 + setting])
        self._covariance -= np.outer(gain, seen)

    @property
    def ratios(self) -> np.ndarray:
        """Measured over predicted, shape (settings,), float64; 1 before any measurement."""
        return np.exp(np.clip(self._mean[0] + self._mean[1:], -self._bound, self._bound))


class Smoothed:
    """A quantity behind a first-order low-pass filter, which starts as the mean of all values.

    time_constant: of the filter, in the unit of the weights: s, or a number of frames.
    low, high: bounds that each value is clipped to.
    """

    def __init__(self, time_constant: float, low: float, high: float) -> None:
        self._time_constant = time_constant
        self._low, self._high = low, high
        self._weight = 0.0
        self.value = math.nan

    def measure(self, value: float, weight: float) -> None:
        """Take one value; ignored unless finite.

        weight: time, or number of frames, that the value is the mean of.
        """
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
    """The camera's frame rate from counts of frames, Hz.

    Counts pass a low-pass filter. Two counts in a row that are off to the same side are taken as a
    new rate at once. Frames that were missing may arrive late: that many frames more than expected
    are not taken as a higher rate. While no frame arrives, the rate stays.

    known_hz: rate that is known before any count; NaN: none.
    """

    TIME_CONSTANT_S = 5.0
    OFF_FRAMES = 1.5  # a count is off if it differs from the expected one by more frames than this
    OFF_SHARE = 0.15  # and by a larger share of it
    STILL_FRAMES = 3.0  # missing frames from which the camera has paused
    LATE_S = 3.0  # frames missing of this time may arrive late; more than these are lost

    def __init__(self, known_hz: float = math.nan) -> None:
        self._smoothed = self._starting_at(known_hz)
        self._off: tuple[float, float, int] | None = None  # frames, s and side of a last count off
        self._empty_s = 0.0  # time of the counts without a frame since the last frame
        self._late = 0.0  # frames that were missing and may still arrive

    @property
    def value_hz(self) -> float:
        """Hz; NaN until it is known or a frame was counted."""
        return self._smoothed.value

    def count(self, frames: int, elapsed_s: float) -> None:
        """Take the number of frames that arrived in the last `elapsed_s`, s."""
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
        on_time = frames - came_late
        self._late = self._late - came_late if came_late else 0.0
        if abs(on_time - expected) <= max(self.OFF_FRAMES, self.OFF_SHARE * expected):
            self._off = None
            self._smoothed.measure(on_time / elapsed_s, elapsed_s)
            return
        side = 1 if on_time > expected else -1
        self._expect_late(expected - on_time)
        if self._off is None or self._off[2] != side:
            self._off = on_time, elapsed_s, side
            return
        count, time_s, _ = self._off
        self._smoothed = self._starting_at((count + on_time) / (time_s + elapsed_s))
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
    """Energy overspent above a power limit, which is repaid over the next seconds.

    Energy that was left unused in the last seconds is credited against a later excess, but never
    raises the limit.
    """

    CREDIT_S = 3.0  # unused energy is credited up to the limit times this
    DEBT_S = 10.0  # energy is repaid up to the limit times this; the rest is written off
    REPAY_S = 5.0  # time constant of repaying
    MAX_SHARE = 0.5  # of the limit, that is held back at most

    def __init__(self) -> None:
        self._debt_j = 0.0

    def use(self, energy_j: float, elapsed_s: float, limit_w: float) -> None:
        """Take the energy used in the last `elapsed_s`, s.

        limit_w: power limit of that time, W; NaN: none, which clears debt and credit.
        """
        if math.isnan(limit_w):
            self._debt_j = 0.0
            return
        debt_j = self._debt_j + energy_j - limit_w * elapsed_s
        self._debt_j = min(max(debt_j, -self.CREDIT_S * limit_w), self.DEBT_S * limit_w)

    def repayment_w(self, limit_w: float) -> float:
        """Power by which to stay below the limit, W; 0 if there is no limit (NaN)."""
        if math.isnan(limit_w):
            return 0.0
        return min(max(self._debt_j, 0.0) / self.REPAY_S, self.MAX_SHARE * limit_w)
