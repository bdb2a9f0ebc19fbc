"""The weights of recruited neurons: each neuron is a prototype of the samples that it stands for.

A prototype w has unit L2 norm. It is scale_j times the stored weights, so that a change of all
weights is one of the few whose input spiked. `gram` holds w_a^T w_b of all pairs. It is kept
without ever comparing two prototypes: whatever changes w_j is a sum of w_j and the sample, whose
similarities with all other prototypes are the potentials of the presentation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .compilation import allocating, kernel
from .readout import strongest

REPULSION = 0.04  # step
INHERITANCE = 0.5  # of a neuron's first weights, from the one that it splits off
MIN_ATTRACTION = 0.02  # step of a neuron with much experience
# Outside, a scale is taken into the stored weights: float32 is finite.
MIN_SCALE, MAX_SCALE = 1e-6, 1e6


class RecruitingState(NamedTuple):
    """State of a network with the recruiting rule; M = recruited[0] neurons are in use."""

    weights: np.ndarray  # (inputs, neurons) float32 (int8 if quantised), >= 0, stored
    scale: np.ndarray  # (neurons,) float64, 1 / L2 norm of the stored weights, 0 if not in use
    gram: np.ndarray  # (neurons, neurons) float32, 0 to 1, symmetric, [:M, :M] in use
    label_counts: np.ndarray  # (neurons, classes) float32, labels that a neuron won for
    readout_weights: np.ndarray  # (neurons, classes) float32, running mean of the fast ones
    fast_readout_weights: np.ndarray  # (neurons, classes) float32, moved by every error
    readout_updates: np.ndarray  # (neurons,) int64, how often a neuron's were moved
    theta: np.ndarray  # (neurons,) float32, adaptive threshold as a fraction of the trace's norm
    attractions: np.ndarray  # (neurons,) int64, samples averaged in a neuron's weights
    class_frames: np.ndarray  # (classes,) int64, labelled frames seen
    recruited: np.ndarray  # (1,) int64
    frames: np.ndarray  # (1,) int64, learned
    similarity_mean: np.ndarray  # (1,) float64, running mean of the winner's similarity
    similarity_variance: np.ndarray  # (1,) float64
    error_rate: np.ndarray  # (1,) float64, running, over labelled frames
    last_label: np.ndarray  # (1,) int64, of the last labelled frame, plus 1; 0 before the first
    alternation: np.ndarray  # (1,) float64, running share of labels that differ from the last
    generator: np.ndarray  # (1,) uint64, draws whether neurons are merged, and spikes


class Sample(NamedTuple):
    """What learning knows of a presented sample."""

    active: np.ndarray  # int32, the `count` inputs whose trace is above 0
    count: int
    trace: np.ndarray  # (inputs,) float32, presynaptic traces x
    norm: float  # their L2 norm
    similarity: np.ndarray  # (M,) float32, w_j^T x / |x|
    lifted: np.ndarray  # (M,) float32, memory of move_weights


@kernel
def mirror_gram(gram, j, in_use):
    """Make column j what row j is."""
    gram[j, j] = 1
    for other in range(in_use):
        gram[other, j] = gram[j, other]


@kernel
def set_scale(state, j, squares):
    """The scale of neuron j, whose stored weights have this sum of squares; kept in bounds."""
    if not MIN_SCALE**2 <= squares <= MAX_SCALE**2:
        factor = np.float32(1.0 / np.sqrt(squares))
        squares = 0.0
        for i in range(state.weights.shape[0]):
            state.weights[i, j] *= factor
            squares += np.float64(state.weights[i, j]) ** 2
    state.scale[j] = 1.0 / np.sqrt(squares)


@kernel
def move_weights(state, j, sample, step):
    """w <- w + step (x/|x| - w), clipped at 0 and brought back to unit L2 norm (Oja 1982).

    A negative step repels. The similarity of j follows, but for clipping: repelling comes last.
    """
    in_use = sample.similarity.size
    length = 1.0 / state.scale[j]
    share = length * step / (1.0 - step)  # of x/|x| in the stored weights
    part = share / sample.norm
    squares = length**2
    lifted = sample.lifted  # drive of what clipping adds to the stored weights
    lifted[:] = 0
    for a in range(sample.count):
        i = sample.active[a]
        before = np.float64(state.weights[i, j])
        after = before + part * sample.trace[i]
        if after < 0:
            excess = np.float32(-after)
            for other in range(in_use):
                lifted[other] += excess * state.weights[i, other]
            after = 0.0
        state.weights[i, j] = after
        squares += np.float64(state.weights[i, j]) ** 2 - before**2
    norm = np.sqrt(squares)
    kept, added = np.float32(length / norm), np.float32(share / norm)
    row, similarity = state.gram[j], sample.similarity
    for other in range(in_use):
        drive = lifted[other] * np.float32(state.scale[other] / norm)
        overlap = kept * row[other] + added * similarity[other] + drive
        row[other] = min(max(overlap, np.float32(0)), np.float32(1))
    mirror_gram(state.gram, j, in_use)
    similarity[j] = kept * similarity[j] + added
    set_scale(state, j, squares)


@kernel
def attract(state, j, sample):
    """Take the sample into the running mean that the neuron's weights are."""
    step = max(1.0 / (1.0 + state.attractions[j]), MIN_ATTRACTION)
    state.attractions[j] += 1
    move_weights(state, j, sample, step)


@kernel
def repel(state, j, sample):
    """Move the neuron's weights away from the sample."""
    move_weights(state, j, sample, -REPULSION)


@kernel
def imprint(state, j, sample, parent):
    """Make neuron j, which has no labels, stand for a sample.

    It splits off another neuron, its parent (-1: none): what the few spikes of one presentation
    miss, it inherits, and the read-out weights.
    """
    in_use = sample.similarity.size
    inherited = INHERITANCE if parent >= 0 else 0.0
    part = (1.0 - inherited) / sample.norm
    source = parent if parent >= 0 else j
    kept = np.float32(inherited * state.scale[source])
    squares = 0.0
    for i in range(state.weights.shape[0]):
        weight = kept * state.weights[i, source] + np.float32(part) * sample.trace[i]
        state.weights[i, j] = weight
        squares += np.float64(weight) ** 2
    norm = np.sqrt(squares)
    for other in range(in_use):
        overlap = (1.0 - inherited) * sample.similarity[other]
        overlap += inherited * state.gram[source, other]
        state.gram[j, other] = min(np.float32(overlap / norm), np.float32(1))
    set_scale(state, j, squares)
    mirror_gram(state.gram, j, in_use)
    for weights in (state.readout_weights, state.fast_readout_weights):
        for c in range(state.label_counts.shape[1]):
            weights[j, c] = weights[parent, c] if parent >= 0 else 0
    state.readout_updates[j] = 0
    state.attractions[j] = 1
    state.theta[j] = state.theta[:in_use].sum() / max(in_use, 1)


@kernel
def cheapest_pair(state, eligible):
    """The two of some neurons whose merging costs least; (-1, -1) if there are no two.

    By the increase of the summed squared distances of samples to their prototypes (Ward 1963),
    k_a k_b / (k_a + k_b) |w_a - w_b|^2, k the samples that a neuron stands for.

    eligible: int64, neurons in ascending order.
    """
    least = np.inf
    first = second = -1
    for x in range(1, eligible.size):
        a = eligible[x]
        ka = np.float64(state.attractions[a])
        for y in range(x):
            b = eligible[y]
            kb = np.float64(state.attractions[b])
            cost = ka * kb * (1.0 - np.float64(state.gram[a, b]))
            if cost < least * (ka + kb):
                least = cost / (ka + kb)
                first, second = a, b
    return first, second


@kernel
def merge(state, a, b, sample):
    """Let neuron a stand for what both stood for; b is free then. The similarity of a follows."""
    in_use = sample.similarity.size
    ka, kb = np.float64(state.attractions[a]), np.float64(state.attractions[b])
    part_a, part_b = ka / (ka + kb), kb / (ka + kb)
    stored_a, stored_b = part_a * state.scale[a], part_b * state.scale[b]
    squares = 0.0
    for i in range(state.weights.shape[0]):
        state.weights[i, a] = stored_a * state.weights[i, a] + stored_b * state.weights[i, b]
        squares += np.float64(state.weights[i, a]) ** 2
    norm = np.sqrt(squares)
    row, other_row = state.gram[a], state.gram[b]
    for other in range(in_use):
        row[other] = min((part_a * row[other] + part_b * other_row[other]) / norm, 1.0)
    mirror_gram(state.gram, a, in_use)
    sample.similarity[a] = (part_a * sample.similarity[a] + part_b * sample.similarity[b]) / norm
    set_scale(state, a, squares)
    state.theta[a] = part_a * state.theta[a] + part_b * state.theta[b]
    state.attractions[a] += state.attractions[b]
    for c in range(state.label_counts.shape[1]):
        state.label_counts[a, c] += state.label_counts[b, c]
        for weights in (state.readout_weights, state.fast_readout_weights):
            weights[a, c] = part_a * weights[a, c] + part_b * weights[b, c]
    state.readout_updates[a] += state.readout_updates[b]
    state.label_counts[b] = 0


@allocating
def owners(label_counts):
    """The class that each neuron has most labels of, (neurons,) int64; -1 for none."""
    owner = np.empty(label_counts.shape[0], np.int64)
    for j in range(label_counts.shape[0]):
        owner[j] = strongest(label_counts[j])
    return owner
