"""Learning rules of the STDP network: what output spikes, and input spikes after them, change.

Behind one small interface: `after_output_spike` and `after_input_spike` at the spikes,
`after_presentation` at the end. Presynaptic traces x accumulate, x_i <- x_i + 1 at a spike of
input i (+ p_i a step of constant current), and decay with the rule's time constant. |.| is the L2
norm, S is WEIGHT_NORM, eta = min(0.5, 0.8 / K) f_j the learning rate, K the wanted output spikes
of a presentation, f_j a factor that halves with every 12 K spikes of neuron j.

Synaptic scaling keeps |w| = S, as in Oja's rule (1982), whose weights keep their squares: so the
drive of a neuron tells how well its weights match the direction of the input. (Diehl and Cook
2015 keep the sum, with which neurons of few large weights match everything that covers them.)

PAIRWISE: w <- w + eta (S x / |x| - w) at an output spike, then w <- S w / |w|. Pair-wise STDP
    that depends on the weight as in Diehl and Cook (2015): depression is proportional to it.
ADAPTIVE: after SpikeDyn (Putra and Shafique 2021): one update in each of K windows of the
    presentation instead of one at each spike (reduction of spurious updates), only for the
    neuron that leads in spikes, the PAIRWISE one with min(1, k eta) for eta and the adaptive
    factor k = ceil(n / (K / 2)) of its n spikes; and all weights decay by the factor
    exp(-T / 350 WEIGHT_DECAY) a presentation, so |w| < S until the neuron's next update.
TRIPLET: triplets of spikes, two of them output spikes (Pfister and Gerstner 2006), with the
    weight dependence of Diehl and Cook (2015). At an output spike
    w_i += POTENTIATION x_i (1 + o2) (1 - w_i) f_j, at an input spike w_i -= DEPRESSION o1 w_i f_j;
    o1 and o2 are fast and slow traces of the neuron's spikes, o2 taken before the spike. |w| is
    brought back to S after the presentation.
MODULATED: PAIRWISE on frames without a label. A label acts as reward (Izhikevich 2007, Mozafari
    et al. 2018): where the neuron's strongest class is another one, eta becomes -PUNISHMENT eta
    and weights are clipped at 0 before they are scaled.

A neuron's weights are scale_j times the stored ones, so that all of them decay or are scaled in
one multiplication and only those of inputs with a trace are touched one by one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .compilation import allocating, kernel
from .readout import strongest

PAIRWISE, ADAPTIVE, TRIPLET, MODULATED = range(4)

WEIGHT_NORM = 8.0  # L2, of each neuron's weights
MIN_LEARNING_RATE = 0.02  # factor of a neuron with many spikes
TRACE_TIME_CONSTANT = 100.0  # steps
WEIGHT_DECAY = 1e-4  # ADAPTIVE, in 350 steps
PUNISHMENT = 0.3  # MODULATED
POTENTIATION = 0.01  # TRIPLET
DEPRESSION = 0.001
TRIPLET_TIME_CONSTANTS = (16.8, 33.7, 114.0)  # steps, of x, o1, o2 (Pfister and Gerstner 2006)
# Outside, a scale is taken into the stored weights and their squares are summed anew: float32 is
# finite, and of a sum that shrinks by 1e12 float64 keeps four digits.
MIN_SCALE, MAX_SCALE = 1e-3, 1e3


class Traces(NamedTuple):
    """Presynaptic traces of one presentation.

    They grow instead of decaying: stored is x_i exp(t / time constant), so that a step without a
    spike changes nothing.
    """

    x: np.ndarray  # (inputs,) float64
    squares: np.ndarray  # (1,) float64, sum of x**2 (inf under TRIPLET, which does without)
    inputs: np.ndarray  # (inputs + 1,) int32, those with a trace, `number` of them
    number: np.ndarray  # (1,) int64


class Firing(NamedTuple):
    """The output spikes of one presentation."""

    count: np.ndarray  # (neurons,) int32
    neurons: np.ndarray  # (neurons,) int32, those that spiked, `number` of them
    number: np.ndarray  # (1,) int64
    fast: np.ndarray  # (neurons,) float64, TRIPLET: trace o1 at the neuron's last spike
    slow: np.ndarray  # (neurons,) float64, o2
    last: np.ndarray  # (neurons,) int32, step of the neuron's last spike


@allocating
def traces_of(inputs):
    """Traces before the first spike, to be used for many samples."""
    return Traces(
        np.zeros(inputs), np.zeros(1), np.empty(inputs + 1, np.int32), np.zeros(1, np.int64)
    )


@allocating
def firing_of(neurons):
    """Neurons before the first spike, to be used for many samples."""
    return Firing(
        np.zeros(neurons, np.int32),
        np.empty(neurons, np.int32),
        np.zeros(1, np.int64),
        np.zeros(neurons),
        np.zeros(neurons),
        np.zeros(neurons, np.int32),
    )


@kernel
def forget(traces, firing):
    """Back to before the first spike."""
    for k in range(traces.number[0]):
        traces.x[traces.inputs[k]] = 0
    traces.number[0] = 0
    traces.squares[0] = 0
    for k in range(firing.number[0]):
        j = firing.neurons[k]
        firing.count[j] = 0
        firing.fast[j] = firing.slow[j] = 0
        firing.last[j] = 0
    firing.number[0] = 0


@kernel
def count_output_spike(firing, j):
    """Note an output spike of neuron j."""
    if firing.count[j] == 0:
        firing.neurons[firing.number[0]] = j
        firing.number[0] += 1
    firing.count[j] += 1


@kernel
def trace_growth(rule, t):
    """What a spike in step t adds to a growing trace."""
    return np.exp(t / (TRIPLET_TIME_CONSTANTS[0] if rule == TRIPLET else TRACE_TIME_CONSTANT))


@kernel
def remember(traces, sources, begin, end, amounts, growth):
    """Let sources[begin:end] leave their amounts (none given: 1) in the traces."""
    x, inputs, known = traces.x, traces.inputs, traces.number[0]
    added = 0.0
    for k in range(begin, end):
        i = sources[k]
        before = x[i]
        inputs[known] = i
        known += before == 0
        amount = growth * amounts[k] if amounts.size > 0 else growth
        added += amount * (2.0 * before + amount)
        x[i] = before + amount
    traces.squares[0] += added
    traces.number[0] = known


@kernel
def bound_scale(state, j):
    """Bring the stored weights of neuron j to their real size if its scale has drifted far."""
    if MIN_SCALE <= state.scale[j] <= MAX_SCALE:
        return
    squares = 0.0
    for i in range(state.weights.shape[0]):
        state.weights[i, j] *= state.scale[j]
        squares += np.float64(state.weights[i, j]) ** 2
    state.scale[j] = 1.0
    state.squares[j] = squares


@kernel
def normalise(state, j):
    """Bring the weights of neuron j to their norm S."""
    state.scale[j] = WEIGHT_NORM / np.sqrt(state.squares[j])
    bound_scale(state, j)


@kernel
def add_trace(weights, j, inputs, number, x, share):
    """w_i <- max(0, w_i + share x_i) for stored weights; what that adds to their squares."""
    added = 0.0
    for k in range(number):
        i = inputs[k]
        before = weights[i, j]
        after = max(np.float32(before + share * x[i]), np.float32(0))
        weights[i, j] = after
        added += np.float64(after) ** 2 - np.float64(before) ** 2
    return added


@kernel
def approach_trace(state, traces, j, step):
    """w <- w + step (S x / |x| - w), clipped at 0 and scaled to S; a negative step moves away."""
    state.scale[j] *= 1.0 - step
    bound_scale(state, j)  # a step of 1 leaves nothing
    share = step * WEIGHT_NORM / (np.sqrt(traces.squares[0]) * state.scale[j])
    state.squares[j] += add_trace(
        state.weights, j, traces.inputs, traces.number[0], traces.x, share
    )
    normalise(state, j)


@kernel
def potentiate_triplet(state, traces, firing, j, growth, t):
    """An output spike of neuron j in step t under TRIPLET."""
    fast_constant, slow_constant = TRIPLET_TIME_CONSTANTS[1], TRIPLET_TIME_CONSTANTS[2]
    silence = t - firing.last[j]
    slow = firing.slow[j] * np.exp(-silence / slow_constant)
    rate = POTENTIATION * (1.0 + slow) * state.learning_rate[j] / growth
    added = 0.0
    for k in range(traces.number[0]):
        i = traces.inputs[k]
        before = state.weights[i, j]
        w = state.scale[j] * before
        step = min(rate * traces.x[i], 1.0)
        after = np.float32((w + step * (1.0 - w)) / state.scale[j])
        state.weights[i, j] = after
        added += np.float64(after) ** 2 - np.float64(before) ** 2
    state.squares[j] += added
    firing.fast[j] = firing.fast[j] * np.exp(-silence / fast_constant) + 1.0
    firing.slow[j] = slow + 1.0
    firing.last[j] = t


@kernel
def after_input_spike(state, firing, i, amount, t):
    """A spike of input i, or `amount` of one, in step t under TRIPLET; weights changed."""
    for k in range(firing.number[0]):
        j = firing.neurons[k]
        trace = firing.fast[j] * np.exp((firing.last[j] - t) / TRIPLET_TIME_CONSTANTS[1])
        step = min(DEPRESSION * amount * trace * state.learning_rate[j], 1.0)
        before = state.weights[i, j]
        after = np.float32(before * (1.0 - step))
        state.weights[i, j] = after
        state.squares[j] += np.float64(after) ** 2 - np.float64(before) ** 2
    return firing.number[0]


@kernel
def learning_step(target):
    """eta of a neuron that has not spiked yet."""
    return min(0.5, 0.8 / target)


@kernel
def tire(state, j, target):
    """Let neuron j learn less after an output spike or update."""
    factor = state.learning_rate[j] * 0.5 ** (1.0 / (12.0 * target))
    state.learning_rate[j] = max(factor, MIN_LEARNING_RATE)


@kernel
def after_output_spike(rule, state, traces, firing, j, growth, t, target, label):
    """An output spike of neuron j in step t; the number of weights changed."""
    if rule == TRIPLET:
        potentiate_triplet(state, traces, firing, j, growth, t)
    elif rule == PAIRWISE or rule == MODULATED:
        step = learning_step(target) * state.learning_rate[j]
        if rule == MODULATED and label >= 0:
            preferred = strongest(state.responses[j])
            if preferred >= 0 and preferred != label:
                step *= -PUNISHMENT
        approach_trace(state, traces, j, step)
    else:
        return 0
    tire(state, j, target)
    return state.weights.shape[0]


@kernel
def window_length(target, timesteps):
    """Steps from one update to the next under ADAPTIVE."""
    return max(1, int(timesteps / target))


@kernel
def leading_neuron(firing):
    """The neuron with most output spikes so far, the first of equals to have spiked."""
    leader = firing.neurons[0]
    for k in range(1, firing.number[0]):
        if firing.count[firing.neurons[k]] > firing.count[leader]:
            leader = firing.neurons[k]
    return leader


@kernel
def after_window(state, traces, firing, j, target):
    """A window with output spikes is over under ADAPTIVE, neuron j leads.

    Returns the number of weights changed.
    """
    factor = math.ceil(firing.count[j] / (0.5 * target))
    step = min(1.0, factor * learning_step(target) * state.learning_rate[j])
    approach_trace(state, traces, j, step)
    tire(state, j, target)
    return state.weights.shape[0]


@kernel
def after_presentation(rule, state, firing, timesteps):
    """Weight decay under ADAPTIVE, synaptic scaling under TRIPLET; others scale at each update."""
    if rule == ADAPTIVE:
        decay = np.exp(-timesteps / 350.0 * WEIGHT_DECAY)
        scale = state.scale
        for j in range(scale.size):
            scale[j] *= decay
            bound_scale(state, j)
    elif rule == TRIPLET:
        for k in range(firing.number[0]):
            normalise(state, firing.neurons[k])
