"""Which frames to ask a teacher about: few, those that a label would help most.

A frame is asked about where it is less familiar than a threshold: evidence makes it familiar, and
novelty that is more than usual of all frames does not. What the confidence has learned is left
aside: where only answers teach, it is of the frames that were asked about. The threshold falls with
every question, so that the next frame has to be less familiar, and rises with time, the faster the
more questions are left (as in Zliobaite, Bifet, Pfahringer and Holmes 2014). So the rate of
questions follows from the time, whatever the camera's rate is and whatever it sees. A frame that
looks like one that was asked about lately is not: the answer will tell of both.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from topspark_ros.engine import SpikeTrain

from .confidence import Usual

HOUR_NS = 3_600_000_000_000
EVIDENCE, MAX_EVIDENCE = 0.1, 40.0  # deviations of novelty that log-odds of 1 count as; log-odds
HASTE = 5.5  # rate of questions, over an even spread of those that are left
STEP = 0.3  # of the threshold, deviations, with a question
MAX_FAMILIARITY = 3.0  # of a frame that is asked about; the threshold before the first question
ALIKE = 0.95  # correlation of two frames from which they look the same
LATELY = 16  # questions


class Questions:
    """When to ask.

    per_hour: questions within any hour of stamps, at most; 0: none.
    """

    def __init__(self, per_hour: int):
        self._per_hour = per_hour
        self._asked_ns: deque[int] = deque()  # stamps within the last hour
        self._looks: deque[np.ndarray] = deque(maxlen=LATELY)
        self._usual = Usual()
        self._threshold = MAX_FAMILIARITY
        self._last_ns = 0

    def ask(
        self,
        stamp_ns: int,
        evidence: float,
        novelty: float,
        shown: np.ndarray | SpikeTrain,
        inputs: int,
    ) -> bool:
        """Whether to ask about a frame, which counts then as asked.

        evidence, novelty: as of a Response. shown: to the network, of so many inputs.
        """
        if self._per_hour == 0 or stamp_ns == 0:  # a label could not name it
            return False
        self._advance(stamp_ns)
        self._usual.add(novelty)
        familiarity = -math.inf  # without a prediction
        if not math.isnan(evidence):
            familiarity = EVIDENCE * min(evidence, MAX_EVIDENCE) - self._usual.deviations(novelty)
        if len(self._asked_ns) >= self._per_hour or familiarity > self._threshold:
            return False
        look = _look(shown, inputs)
        if any(look @ other > ALIKE for other in self._looks):
            return False
        self._asked_ns.append(stamp_ns)
        self._looks.append(look)
        self._threshold -= STEP
        return True

    def _advance(self, stamp_ns: int) -> None:
        """Let time pass."""
        if stamp_ns < self._last_ns:  # stamps were set back: nothing is known of the last hour
            self._asked_ns.clear()
        elif self._last_ns:
            left = self._per_hour - len(self._asked_ns)
            risen = STEP * HASTE * left * (stamp_ns - self._last_ns) / HOUR_NS
            self._threshold = min(self._threshold + risen, MAX_FAMILIARITY)
        self._last_ns = stamp_ns
        while self._asked_ns and stamp_ns - self._asked_ns[0] >= HOUR_NS:
            self._asked_ns.popleft()


def _look(shown: np.ndarray | SpikeTrain, inputs: int) -> np.ndarray:
    """Of unit length, so that the product of two is their correlation."""
    if isinstance(shown, SpikeTrain):
        shown = np.bincount(shown.neurons, minlength=inputs)
    look = shown - shown.mean(dtype=np.float64)
    return look / max(np.linalg.norm(look), 1e-9)
