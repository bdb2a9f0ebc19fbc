"""What class the evidence speaks for."""

from __future__ import annotations

import numpy as np

from .compilation import kernel


@kernel
def strongest(evidence):
    """The class with most evidence, the first of equals; -1 if there is no evidence at all."""
    best = -1
    most = np.float32(0)
    for c in range(evidence.size):
        if evidence[c] > most:
            most = evidence[c]
            best = c
    return best


@kernel
def top2_margin(evidence):
    """How far the strongest class is ahead of the second, 0 without evidence."""
    first = second = np.float32(0)
    for value in evidence:
        if value > first:
            first, second = value, first
        elif value > second:
            second = value
    return first - second
