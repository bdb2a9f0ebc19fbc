"""Estimators of the closed loop, one for each quantity.

A profile was measured on another machine, with other frames. The learner's reports correct it at
run time: energy, time of an inference, overhead, frame rate, and energy overspent.

Energy that is estimated is counted apart for inference and learning, and corrected by a ratio for
each T of either. A meter sees the whole process, of which the network may be a small part: what it
shows is split into parts.
"""

from __future__ import annotations

import math

import numpy as np


class EnergyCorrection:
    """Ratio of the measured energy of a presentation to the predicted one, for each phase and T.

    The logarithm of the ratio is the sum of three normally distributed parts: one that all share
    (other frames, another machine), one of each phase (an encoder, which learning does not use
    again) and one of each T of a phase (another curve over T). A Kalman filter estimates them
    together: a measurement at one T also corrects those that were never used, and a T that is used
    again starts from what was known of it. All parts are random walks, so that old measurements
    lose weight.

    timesteps: number of T.
    bound: ratios are kept within 1 / bound and bound.
    """

    PHASES = INFERENCE, TRAINING = range(2)
    PRIOR_SHARED = math.log(4.0)  # standard deviations of natural logarithms
    PRIOR_PHASE = 0.5
    PRIOR_OWN = 0.15
    WANDER_SHARED = 0.01  # standard deviation of the walk after 1 s; grows with the root of time
    WANDER_PHASE = 0.03
    WANDER_OWN = 0.003
    NOISE_FRAME = 0.3  # standard deviation of one presentation's measurement
    MIN_NOISE = 0.02  # of the mean of however many

    def __init__(self, timesteps: int, bound: float) -> None:
        self._bound = math.log(bound)
        phases = len(self.PHASES)
        parts = [(1, self.PRIOR_SHARED, self.WANDER_SHARED)]
        parts += [(phases, self.PRIOR_PHASE, self.WANDER_PHASE)]
        parts += [(phases * timesteps, self.PRIOR_OWN, self.WANDER_OWN)]
        counts, priors, wanders = zip(*parts)
        self._prior = np.repeat(np.square(priors), counts)
        self._wander = np.repeat(np.square(wanders), counts)
        self._mean = np.zeros(sum(counts))
        self._covariance = np.diag(self._prior)
        # The parts of each ratio, (phases, timesteps, 3).
        self._parts = np.stack(
            np.broadcast_arrays(
                0,
                1 + np.arange(phases)[:, np.newaxis],
                1 + phases + np.arange(phases * timesteps).reshape(phases, timesteps),
            ),
            axis=-1,
        )

    def measure(
        self, phase: int, index: int, ratio: float, presentations: int, elapsed_s: float
    ) -> None:
        """Take one measurement.

        phase: INFERENCE or TRAINING.
        index: of T.
        ratio: measured over predicted energy of one; ignored unless finite and above 0.
        presentations: that the ratio is the mean of; 0: it is ignored.
        elapsed_s: time since the measurement before, s.
        """
        if not (0.0 < ratio < math.inf and presentations > 0):
            return
        diagonal = np.einsum('ii->i', self._covariance)  # a view
        diagonal += self._wander * (min(elapsed_s, 60.0) if elapsed_s > 0.0 else 0.0)
        np.minimum(diagonal[1:], self._prior[1:], out=diagonal[1:])
        parts = self._parts[phase, index]
        seen = self._covariance[:, parts].sum(axis=1)
        noise = self.NOISE_FRAME**2 / presentations + self.MIN_NOISE**2
        gain = seen / (seen[parts].sum() + noise)
        logarithm = min(max(math.log(ratio), -self._bound), self._bound)
        self._mean += gain * (logarithm - self._mean[parts].sum())
        self._covariance -= np.outer(gain, seen)

    @property
    def ratios(self) -> np.ndarray:
        """Measured over predicted, (phases, timesteps), float64; 1 before any measurement."""
        return np.exp(np.clip(self._mean[self._parts].sum(axis=-1), -self._bound, self._bound))


class SplitEnergy:
    """What a meter sees of a process, split into what it is drawn for.

    The energy of an interval is the sum of parts: each a count of that interval times the energy
    of one. A Kalman filter estimates these energies together. At first they have the proportions
    that are usual, and the scale of the first measurement. Later all of them wander together (the
    processor's clock, other load), and each a little by itself. So a part that was seen to change
    nothing is known to be small, whatever the others are. Measurements
    that are far off are not believed until some in a row are, to the same side.

    usual: energies of one that are usual, (parts,), J; only their proportions count once something
        was measured.
    covariance: of these, (parts, parts), J^2.
    bound: a measurement is kept within 1 / bound and bound of what is usual.
    """

    OFF = 4.0  # standard deviations from which a measurement is far off
    OFF_IN_A_ROW = 3  # to one side, which are believed
    NOISE = 0.1  # standard deviation of an interval's measurement, of what is expected
    WANDER_SHARED = 0.007  # standard deviation of the walk after 1 s; grows with the root of time
    WANDER_OWN = 0.002

    def __init__(self, usual: np.ndarray, covariance: np.ndarray, bound: float) -> None:
        self._usual, self._usual_covariance, self._bound = usual, covariance, bound
        self._mean, self._covariance = usual.copy(), covariance.copy()
        self._scaled = False
        self._off = 0  # measurements that were far off at last, below 0: to that side

    def measure(
        self, counts: np.ndarray, edge: np.ndarray, energy_j: float, elapsed_s: float
    ) -> None:
        """Take one interval.

        counts: of each part, (parts,).
        edge: counts that may as well belong to the interval before or after, (parts,).
        energy_j: measured; ignored unless finite and above 0.
        elapsed_s: length of the interval, s, above 0.
        """
        if not 0.0 < energy_j < math.inf:
            return
        usual_j = float(counts @ self._usual)
        energy_j = min(max(energy_j, usual_j / self._bound), usual_j * self._bound)
        if not self._scaled:
            scale = energy_j / usual_j
            self._mean *= scale
            self._covariance *= scale**2
            self._scaled = True
        wandered_s = min(elapsed_s, 60.0)
        self._covariance += self.WANDER_SHARED**2 * wandered_s * np.outer(self._mean, self._mean)
        diagonal = np.einsum('ii->i', self._covariance)  # a view
        diagonal += self.WANDER_OWN**2 * wandered_s * self._mean**2
        expected_j = max(float(counts @ self._mean), usual_j / self._bound)
        noise_j2 = (self.NOISE * expected_j) ** 2 + float(edge @ self._mean) ** 2
        excess_j = energy_j - expected_j
        seen = self._covariance @ counts
        if excess_j**2 > self.OFF**2 * (float(counts @ seen) + noise_j2):
            side = int(math.copysign(1, excess_j))
            self._off = self._off + side if self._off * side > 0 else side
            if abs(self._off) < self.OFF_IN_A_ROW:
                return
            self._covariance = self._usual_covariance * (energy_j / usual_j) ** 2
            seen = self._covariance @ counts
        self._off = 0
        gain = seen / (float(counts @ seen) + noise_j2)
        self._mean += gain * excess_j
        self._covariance -= np.outer(gain, seen)
        self._keep_from_zero()

    def _keep_from_zero(self) -> None:
        """Parts that came out below 0 are 0, and the others are what is likely then."""
        for _ in self._mean:
            part = int(np.argmin(self._mean))
            below = self._mean[part]
            if below >= 0.0:
                break
            self._mean -= self._covariance[part] * (below / self._covariance[part, part])

    @property
    def energies_j(self) -> np.ndarray:
        """Of one of each part, (parts,), J, float64, from 0."""
        return np.maximum(self._mean, 0.0)


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

    Energy that was left unused in the last seconds is credited against a later excess. It raises
    the limit for what is in use alone: frames that take more for a moment are no reason to leave a
    setting which is within the limit on the whole.
    """

    CREDIT_S = 1.0  # unused energy is credited up to the limit times this
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

    def credit_w(self, limit_w: float) -> float:
        """Power by which what is in use may exceed the limit, W; 0 if there is no limit (NaN)."""
        if math.isnan(limit_w):
            return 0.0
        return min(max(-self._debt_j, 0.0), self.CREDIT_S * limit_w) / self.REPAY_S
