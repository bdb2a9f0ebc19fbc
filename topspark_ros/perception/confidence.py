"""How likely a prediction is right, learned on the job from frames that get a label.

Every labelled frame was classified before it was learned, so what became of it is an honest sample.
Two things tell whether a prediction is right: its evidence against the other classes, and its
novelty, how unlike the predicted class the frame is. Of frames of a class that was never taught
only the second one tells. Such frames are rare among those that get a label, so they are made: a
frame that is learned is judged once more as if its own class had never been taught.

1. Familiarity is the log-odds of a logistic regression on both, whose samples are labelled frames,
   right or wrong, and those made ones, wrong, which count PRETENDED each.
2. Confidence is the probability that a second logistic regression, on familiarity alone, gives to
   the prediction (Platt 1999). Its samples are the real ones, and the latest count most.

Both are followed sample by sample, by one step of Newton each (Spiegelhalter and Lauritzen 1990),
from what holds of digits and of photographs of objects before the first label.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from topspark_ros.errors import TopsparkError

PRETENDED = 0.1  # labelled frames
MEMORY = 0.98  # of the second regression, what a sample counts after another one
MAX_EVIDENCE = 7.0  # log-odds; more of it only says that other classes are very unlike it
MIN_NOVELTY, MAX_NOVELTY = 1e-6, 1e6
MAX_DEVIATIONS = 8.0  # of novelty
USUAL_FRAMES = 200  # that the usual novelty is the mean of
VARIANCE_AT_FIRST, FRAMES_AT_FIRST = 0.1, 4  # of its logarithm, and what that counts

# Before the first label: means, and variances, of coefficients for 1, evidence and novelty; and for
# 1 and familiarity.
FAMILIARITY = (0.0, 0.3, -1.0), (0.5, 0.1, 0.1)
CONFIDENCE = (0.0, 1.0), (1.0, 0.3)
MIN_SLOPE = 0.2  # confidence rises with familiarity, whatever was seen


class ConfidenceError(TopsparkError):
    """Numbers that are no confidence's."""


class Logistic:
    """A logistic regression that is learned sample by sample.

    means, variances: of the coefficients before the first sample; they never become less certain.
    memory: what a sample counts after another one; 1: as much as that.
    """

    def __init__(self, means: tuple[float, ...], variances: tuple[float, ...], memory: float = 1.0):
        self.coefficients = np.array(means)
        self._variances = np.array(variances)
        self.covariance = np.diag(self._variances)
        self._memory = memory

    def log_odds(self, inputs: np.ndarray) -> float:
        """inputs: (coefficients,)."""
        return float(self.coefficients @ inputs)

    def learn(self, inputs: np.ndarray, right: bool, weight: float = 1.0) -> None:
        if self._memory < 1.0:
            faded = self.covariance / self._memory
            self.covariance = faded * min(1.0, (self._variances / faded.diagonal()).min())
        share = probability(self.log_odds(inputs))
        curvature = weight * share * (1.0 - share)
        spread = self.covariance @ inputs
        self.covariance = self.covariance - np.outer(spread, spread) * (
            curvature / (1.0 + curvature * (inputs @ spread))
        )
        self.coefficients = self.coefficients + self.covariance @ inputs * (
            weight * (right - share)
        )


class Usual:
    """How much novelty is usual: mean and variance of its logarithm, of the latest frames.

    numbers: (3,) float64, frames, mean, variance.
    """

    def __init__(self) -> None:
        self.numbers = np.array([0.0, 0.0, VARIANCE_AT_FIRST])

    def add(self, novelty: float) -> None:
        if math.isnan(novelty):
            return
        frames, mean, variance = self.numbers
        frames += 1
        difference = _logarithm(novelty) - mean
        if frames > 1:
            share = 1.0 / min(frames + FRAMES_AT_FIRST, USUAL_FRAMES)
            variance = (1.0 - share) * (variance + share * difference**2)
        mean += difference / min(frames, USUAL_FRAMES)
        self.numbers[:] = frames, mean, variance

    def deviations(self, novelty: float) -> float:
        """How many standard deviations above the mean; 0 where that is not known."""
        frames, mean, variance = self.numbers
        if frames == 0 or math.isnan(novelty):
            return 0.0
        deviations = (_logarithm(novelty) - mean) / math.sqrt(variance)
        return min(max(deviations, -MAX_DEVIATIONS), MAX_DEVIATIONS)


class Confidence:
    """What is known of how often predictions are right.

    numbers: of one that was kept; none: nothing is known yet. ConfidenceError if they are of none.
    """

    def __init__(self, numbers: Sequence[float] = ()) -> None:
        self._familiarity = Logistic(*FAMILIARITY)
        self._confidence = Logistic(*CONFIDENCE, MEMORY)
        self._usual = Usual()  # of frames that were predicted right
        if numbers:
            self._take(np.array(numbers))

    def numbers(self) -> tuple[float, ...]:
        """All of it, to be kept."""
        return tuple(np.concatenate([part.ravel() for part in self._parts()]).tolist())

    def _parts(self) -> tuple[np.ndarray, ...]:
        familiarity, confidence = self._familiarity, self._confidence
        return (
            familiarity.coefficients,
            familiarity.covariance,
            confidence.coefficients,
            confidence.covariance,
            self._usual.numbers,
        )

    def _take(self, numbers: np.ndarray) -> None:
        parts = self._parts()
        size = sum(part.size for part in parts)
        if numbers.shape != (size,) or not np.isfinite(numbers).all() or numbers[-1] <= 0:
            raise ConfidenceError(
                f'confidence is {numbers.size} numbers, accepted are {size} that are finite, the '
                'last above 0'
            )
        begin = 0
        for part in parts:
            part[...] = numbers[begin : begin + part.size].reshape(part.shape)
            begin += part.size

    def of(self, evidence: float, novelty: float) -> float:
        """Probability that a prediction is right, 0..1; NaN where there is none.

        evidence, novelty: as of a Response.
        """
        if math.isnan(evidence):
            return math.nan
        return probability(self._confidence.log_odds(self._judged(evidence, novelty)))

    def learn(self, evidence: float, novelty: float, right: bool) -> None:
        """A prediction that has turned out right or wrong."""
        if math.isnan(evidence):
            return
        self._confidence.learn(self._judged(evidence, novelty), right)
        slope = self._confidence.coefficients
        slope[1] = max(slope[1], MIN_SLOPE)
        self._familiarity.learn(self._inputs(evidence, novelty), right)
        if right:
            self._usual.add(novelty)

    def pretend(self, evidence: float, novelty: float) -> None:
        """A frame that was judged as if its class had never been taught."""
        if not math.isnan(evidence):
            self._familiarity.learn(self._inputs(evidence, novelty), False, PRETENDED)

    def _judged(self, evidence: float, novelty: float) -> np.ndarray:
        return np.array([1.0, self._familiarity.log_odds(self._inputs(evidence, novelty))])

    def _inputs(self, evidence: float, novelty: float) -> np.ndarray:
        clipped = min(max(evidence, -MAX_EVIDENCE), MAX_EVIDENCE)
        return np.array([1.0, clipped, self._usual.deviations(novelty)])


def _logarithm(novelty: float) -> float:
    return math.log(min(max(novelty, MIN_NOVELTY), MAX_NOVELTY))


def probability(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(log_odds, -700.0), 700.0)))
