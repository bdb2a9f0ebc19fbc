"""The membrane potentials of one timestep.

Potentials and thresholds are in the units of the stored weights, which each neuron's `scale`
turns into its real weights: so integration never multiplies by it.
"""

from __future__ import annotations

import numpy as np

from .compilation import kernel
from .vectors import MAX_ROWS, sum_rows


@kernel
def integrate(potential, decay, weights, source, begin, end, sums):
    """v <- decay v + the weights of the inputs source[begin:end].

    potential: (neurons,) float32. weights: (inputs, neurons) float32 or int8. sums: (neurons,)
    float32, memory.
    """
    while begin < end:
        stop = min(begin + MAX_ROWS, end)
        sum_rows(weights, source, begin, stop, sums)
        for j in range(potential.size):
            potential[j] = decay * potential[j] + sums[j]
        decay = np.float32(1)
        begin = stop


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
    potential,
    current,
    threshold,
    weights,
    start,
    source,
    charge,
    sums,
    constant,
    membrane_decay,
    synaptic_decay,
    first,
    t,
    stop,
):
    """Timesteps from t on, until one in which neurons reach their threshold, at most to stop.

    Input of step first + k are the spikes source[start[k]:start[k + 1]], or `charge` if `constant`.
    Returns the step after the last one, and how many neurons reached their threshold in that.
    """
    filtered = synaptic_decay > 0
    share = 1 - synaptic_decay
    decay = np.float32(1)
    while t < stop:
        begin, end = 0, 0
        if not constant:
            begin, end = start[t - first], start[t - first + 1]
        t += 1
        decay *= membrane_decay
        if filtered:
            if constant:
                leak(current, synaptic_decay, charge, 1.0)
            else:
                for j in range(current.size):
                    current[j] *= synaptic_decay
                integrate(current, np.float32(1), weights, source, begin, end, sums)
            leak(potential, decay, current, share)
        elif constant:
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
