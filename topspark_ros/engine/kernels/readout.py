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
def most_likely(scores, class_frames, taken_out):
    """The class with the highest score, and its log-odds against all others seen, 0 if there are
    none; as if there were no class `taken_out`. -1 and NaN without any score."""
    best = -1
    total = 0.0
    rivals = 0
    for c in range(scores.size):
        if c == taken_out:
            continue
        total += scores[c]
        rivals += class_frames[c] > 0
        if scores[c] > 0 and (best < 0 or scores[c] > scores[best]):
            best = c
    if best < 0:
        return best, np.nan
    if rivals == 1:
        return best, 0.0
    return best, np.log(scores[best] / max(total - scores[best], 1e-30))


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


@kernel
def softmax(scores, class_frames, sharpness, most):
    """Turn scores into their softmax over the classes seen, in place; 0 for all others.

    most: the highest score of a class seen.
    """
    total = 0.0
    for c in range(scores.size):
        seen = class_frames[c] > 0
        scores[c] = np.exp(sharpness * (scores[c] - most)) if seen else 0.0
        total += scores[c]
    for c in range(scores.size):
        scores[c] /= max(total, 1.0)
