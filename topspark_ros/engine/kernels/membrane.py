"""The membrane potentials of one timestep.

Potentials and thresholds are in the units of the stored weights, which each neuron's `scale`
turns into its real weights: so integration never multiplies by it.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from .compilation import kernel


MOST_ROWS = 256  # of int8 whose sum surely fits 16 bits


def integrate(potential, decay, weights, source, begin, end, sums):
    """v <- decay v + the weights of the inputs source[begin:end].

    potential: (neurons,) float32. weights: (inputs, neurons) float32 or int8. sums: (neurons,)
    int16, for int8. Several rows at a time: adding them then costs little more than reading them.
    """


@overload(integrate, jit_options={'error_model': 'numpy'})
def _integrate(potential, decay, weights, source, begin, end, sums):
    return integrate_int8 if weights.dtype is types.int8 else integrate_float32


def integrate_float32(potential, decay, weights, source, begin, end, sums):
    while end - begin >= 8:
        a, b = np.uint64(source[begin]), np.uint64(source[begin + 1])
        c, d = np.uint64(source[begin + 2]), np.uint64(source[begin + 3])
        e, f = np.uint64(source[begin + 4]), np.uint64(source[begin + 5])
        g, h = np.uint64(source[begin + 6]), np.uint64(source[begin + 7])
        for j in range(potential.size):
            rows = (weights[a, j] + weights[b, j]) + (weights[c, j] + weights[d, j])
            more = (weights[e, j] + weights[f, j]) + (weights[g, j] + weights[h, j])
            potential[j] = decay * potential[j] + (rows + more)
        decay = np.float32(1)
        begin += 8
    while end - begin >= 4:
        a, b = np.uint64(source[begin]), np.uint64(source[begin + 1])
        c, d = np.uint64(source[begin + 2]), np.uint64(source[begin + 3])
        for j in range(potential.size):
            rows = (weights[a, j] + weights[b, j]) + (weights[c, j] + weights[d, j])
            potential[j] = decay * potential[j] + rows
        decay = np.float32(1)
        begin += 4
    while begin < end:
        a = np.uint64(source[begin])
        for j in range(potential.size):
            potential[j] = decay * potential[j] + weights[a, j]
        decay = np.float32(1)
        begin += 1


def integrate_int8(potential, decay, weights, source, begin, end, sums):
    # Rows are added in 16 bits first: twice as many of them fit a register.
    while begin < end:
        stop = min(begin + MOST_ROWS, end)
        sums[:] = 0
        while stop - begin >= 4:
            a, b = np.uint64(source[begin]), np.uint64(source[begin + 1])
            c, d = np.uint64(source[begin + 2]), np.uint64(source[begin + 3])
            for j in range(sums.size):
                first = np.int16(weights[a, j] + weights[b, j])
                second = np.int16(weights[c, j] + weights[d, j])
                sums[j] = np.int16(sums[j] + np.int16(first + second))
            begin += 4
        while begin < stop:
            a = np.uint64(source[begin])
            for j in range(sums.size):
                sums[j] = np.int16(sums[j] + weights[a, j])
            begin += 1
        for j in range(potential.size):
            potential[j] = decay * potential[j] + np.float32(sums[j])
        decay = np.float32(1)


@kernel
def leak(potential, decay, charge, share):
    """v <- decay v + share times charge."""
    part = np.float32(share)
    for j in range(potential.size):
        potential[j] = decay * potential[j] + part * charge[j]


@kernel
def charge_by(potential, weights, sources, amounts, count):
    """v <- v + amounts[k] times the weights of input sources[k], k < count."""
    k = 0
    while count - k >= 4:
        a, b = np.uint64(sources[k]), np.uint64(sources[k + 1])
        c, d = np.uint64(sources[k + 2]), np.uint64(sources[k + 3])
        n, o = np.float32(amounts[k]), np.float32(amounts[k + 1])
        p, q = np.float32(amounts[k + 2]), np.float32(amounts[k + 3])
        for j in range(potential.size):
            first = n * weights[a, j] + o * weights[b, j]
            second = p * weights[c, j] + q * weights[d, j]
            potential[j] += first + second
        k += 4
    while k < count:
        a, n = np.uint64(sources[k]), np.float32(amounts[k])
        for j in range(potential.size):
            potential[j] += n * weights[a, j]
        k += 1


@kernel
def charge_of(weights, j, sources, amounts, count):
    """What input sources[:count] of these amounts adds to neuron j."""
    total = np.float32(0)
    for k in range(count):
        total += np.float32(amounts[k]) * weights[sources[k], j]
    return total


@kernel
def reached(potential, threshold):
    """How many neurons are at their threshold or above."""
    count = np.int32(0)
    for j in range(potential.size):
        count += np.int32(potential[j] >= threshold[j])
    return count


@kernel
def advance(
    potential, current, threshold, weights, start, source, charge, sums, graded,
    membrane_decay, synaptic_decay, first, t, stop,
):
    """Timesteps from t on, until one in which neurons reach their threshold, at most to stop.

    Input of step first + k are the spikes source[start[k]:start[k + 1]], or `charge` if `graded`.
    Returns the step after the last one, and how many neurons reached their threshold in that.
    """
    filtered = synaptic_decay > 0
    share = 1 - synaptic_decay
    decay = np.float32(1)
    while t < stop:
        begin, end = 0, 0
        if not graded:
            begin, end = start[t - first], start[t - first + 1]
        t += 1
        decay *= membrane_decay
        if filtered:
            if graded:
                leak(current, synaptic_decay, charge, 1.0)
            else:
                for j in range(current.size):
                    current[j] *= synaptic_decay
                integrate(current, np.float32(1), weights, source, begin, end, sums)
            leak(potential, decay, current, share)
        elif graded:
            leak(potential, decay, charge, 1.0)
        elif begin < end:
            integrate(potential, decay, weights, source, begin, end, sums)
        else:
            continue  # a silent step: potentials only decay, none can reach its threshold
        decay = np.float32(1)
        count = reached(potential, threshold)
        if count > 0:
            return t, count
    if decay != 1:
        for j in range(potential.size):
            potential[j] *= decay
    return t, 0
