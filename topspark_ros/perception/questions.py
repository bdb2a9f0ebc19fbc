"""Which frames to ask a teacher about: few, those that a label would help most.

A frame is asked about where its need, 1 less the confidence in its class, reaches a threshold. That
rises with every question, so that the next one has to be needed more, and falls with time, the
sooner the more questions are left (as in Zliobaite, Bifet, Pfahringer and Holmes 2014). So the rate
follows from the time alone, whatever a camera's rate is and whatever it sees. A frame that looks
like one that was asked about lately is not: the answer will tell of both.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from topspark_ros.engine import SpikeTrain

HOUR_NS = 3_600_000_000_000
HASTE = 4.0  # rate of questions, over an even spread of those that are left
STEP = 0.2  # of the logarithm of the threshold, with a question
MIN_NEED = 0.02
FIRST_NEED = 0.02  # threshold before the first question
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
        self._threshold = math.log(FIRST_NEED)
        self._last_ns = 0

    def ask(
        self, stamp_ns: int, confidence: float, shown: np.ndarray | SpikeTrain, inputs: int
    ) -> bool:
        """Whether to ask about a frame, which counts then as asked.

        confidence: 0..1 in its class; NaN: it has none. shown: to the network, of so many inputs.
        """
        if self._per_hour == 0 or stamp_ns == 0:  # a label could not name it
            return False
        self._advance(stamp_ns)
        need = 1.0 if math.isnan(confidence) else 1.0 - confidence
        if (
            len(self._asked_ns) == self._per_hour
            or need < MIN_NEED
            or math.log(need) < self._threshold
        ):
            return False
        look = _look(shown, inputs)
        if any(look @ other > ALIKE for other in self._looks):
            return False
        self._asked_ns.append(stamp_ns)
        self._looks.append(look)
        self._threshold += STEP
        return True

    def _advance(self, stamp_ns: int) -> None:
        """Let time pass."""
        if stamp_ns < self._last_ns:  # stamps were set back: nothing is known of the last hour
            self._asked_ns.clear()
        elif self._last_ns:
            left = self._per_hour - len(self._asked_ns)
            self._threshold -= STEP * HASTE * left * (stamp_ns - self._last_ns) / HOUR_NS
            self._threshold = max(self._threshold, math.log(MIN_NEED))
        self._last_ns = stamp_ns
        while self._asked_ns and stamp_ns - self._asked_ns[0] >= HOUR_NS:
            self._asked_ns.popleft()


def _look(shown: np.ndarray | SpikeTrain, inputs: int) -> np.ndarray:
    """Of unit length, so that the product of two is their correlation."""
    if isinstance(shown, SpikeTrain):
        shown = np.bincount(shown.neurons, minlength=inputs)
    look = shown - shown.mean(dtype=np.float64)
    return look / max(np.linalg.norm(look), 1e-9)
