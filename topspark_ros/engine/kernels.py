"""Every compiled kernel of the engine.

One presentation is one call: encoding, the timesteps, read-out and, when learning, plasticity.
All kernels live in this file because Numba renews its cache on disk by the file that holds a
kernel; a helper in another file could change and the old machine code would still run.

A network's state is a named tuple of arrays (scalars are arrays of one element), which kernels
change in place. Weights are stored (inputs, neurons): the row that an input spike adds to the
membrane potentials is contiguous.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np


def kernel(function):
    """Compile `function` without the interpreter lock, cached on disk where that is possible."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # neither the package's nor the user's cache directory is writable
        return numba.njit(nogil=True)(function)


class Presentation(NamedTuple):
    """What a kernel reports of one presentation; predicted is -1 if there is no evidence."""

    predicted: int
    input_spikes: int
    output_spikes: int
    synaptic_operations: int
    neuron_updates: int
    synaptic_updates: int


# --- Random numbers: SplitMix64 (Steele, Lea and Flood 2014), its state one uint64 -------------

GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
SHIFT_1, SHIFT_2, SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)


@kernel
def uniform(generator):
    """The next random number in [0, 1)."""
    generator[0] += GOLDEN_GAMMA
    z = generator[0]
    z = (z ^ (z >> SHIFT_1)) * MIX_1
    z = (z ^ (z >> SHIFT_2)) * MIX_2
    return ((z ^ (z >> SHIFT_3)) >> FIXED_POINT) / SPIKE


# --- Stratified rate encoding -------------------------------------------------------------------

FIXED_POINT = np.uint64(32)  # bits after the binary point of phases and increments
SPIKE = 4294967296.0  # 2**32, one spike


def spike_phases(inputs):
    """The phase of each input, (inputs,) uint64 below 2**32: multiples of the golden ratio.

    Neighbouring inputs of one rate thus spike at evenly spread times, and of neighbours too
    faint to spike in every presentation an even share does. The phases stay from sample to
    sample, so that equal samples give equal spikes: fresh random phases are noise, which at few
    spikes costs most of the accuracy.
    """
    return (np.arange(1, inputs + 1, dtype=np.uint64) * GOLDEN_GAMMA) >> FIXED_POINT


@kernel
def encode(pixels, rate, active, increments):
    """Evenly spaced spikes, rate x_i / ||x||_2 a step (at most 1).

    In 32-bit fixed point, input i has spiked (phase + t increment) >> 32 times after t steps:
    exact integers, so that spike counts and spike times agree whichever is asked for.
    Fills `active` (indices of non-zero pixels, ascending) and their `increments`; returns how
    many are active.
    """
    squares = 0.0
    for i in range(pixels.size):
        squares += np.float64(pixels[i]) * np.float64(pixels[i])
    scale = rate / np.sqrt(squares) if squares > 0.0 else 0.0
    count = 0
    for i in range(pixels.size):
        if pixels[i] > 0:
            active[count] = i
            increments[count] = np.uint64(min(1.0, scale * pixels[i]) * SPIKE)
            count += 1
    return count


@kernel
def spike_count(phase, increment, timesteps):
    """Spikes of one input in a presentation."""
    return np.int64((phase + np.uint64(timesteps) * increment) >> FIXED_POINT)


# --- Read-out ----------------------------------------------------------------------------------


@kernel
def strongest(scores):
    """The class with most evidence, the first of equals; -1 if there is no evidence at all."""
    best = -1
    most = np.float32(0)
    for c in range(scores.size):
        if scores[c] > most:
            most = scores[c]
            best = c
    return best


# --- Recruiting rule ---------------------------------------------------------------------------

OUTPUT_SPIKES = 3
SPIKE_WEIGHTS = np.array([1.0, 0.45, 0.2])  # of the first, second and third output spike
DOUBT = 2.0  # votes that a neuron must outweigh before its evidence counts in full
NOVEL_AT_FIRST = 10  # frames, before there is a mean match to compare with
MATCH_RATE = 0.005  # of the running mean and variance
ERROR_RATE = 1.0 / 30.0  # of the running error rate
# Standard deviations from the mean match below which a frame is novel: (empty pool, full pool).
NOVELTY_LABELLED = (1.0, -2.0)
NOVELTY_BETWEEN_LABELS = (-1.0, -4.0)
NOVELTY_WITHOUT_LABELS = (3.0, 0.0)
FAIR_SHARE = 0.6  # of neurons / classes, below which a class may always take a neuron over
REPULSION = 0.04  # step
LEAST_ATTRACTION = 0.02  # step of a neuron with much experience
HOMEOSTASIS = 3e-4  # threshold increment per attraction in a stream without labels
GUESSED_VOTE = 0.3  # weight of the network's own opinion when it labels a recruit


class RecruitingState(NamedTuple):
    """State of a network with the recruiting rule; M = recruited[0] neurons are in use."""

    weights: np.ndarray  # (inputs, neurons) float32, columns of unit L2 norm
    votes: np.ndarray  # (neurons, classes) float32
    theta: np.ndarray  # (neurons,) float32, adaptive threshold as a fraction of the trace's norm
    attractions: np.ndarray  # (neurons,) int64, samples averaged in a neuron's weights
    class_frames: np.ndarray  # (classes,) int64, labelled frames seen
    recruited: np.ndarray  # (1,) int64
    frames: np.ndarray  # (1,) int64, learned
    match_mean: np.ndarray  # (1,) float64, running mean of the first spiker's match
    match_variance: np.ndarray  # (1,) float64
    error_rate: np.ndarray  # (1,) float64, running, over labelled frames
    generator: np.ndarray  # (1,) uint64, draws whether a neuron is taken over


@kernel
def move_weights(weights, neuron, trace, norm, step):
    """w += step (n/|n| - w), clipped at 0 and brought back to unit L2 norm (Oja 1982).

    step 1 imprints the presynaptic trace n, a negative one repels.
    """
    squares = 0.0
    for i in range(trace.size):
        w = (1.0 - step) * weights[i, neuron] + step * trace[i] / norm
        if w < 0.0:
            w = 0.0
        weights[i, neuron] = w
        squares += w * w
    scale = 1.0 / np.sqrt(squares)
    for i in range(trace.size):
        weights[i, neuron] *= scale


@kernel
def majority(votes, neuron):
    """The class that most of a neuron's votes are for, -1 if it holds none."""
    return strongest(votes[neuron])


@kernel
def reuse_victim(state, label):
    """The neuron to take over for `label`, -1 if none should be.

    A class with less than its share of neurons may always take one, any class with the square
    of the running error rate as probability. The victim is, among the neurons of the largest
    class and those without votes, the one with the least experience and purity.
    """
    neurons, classes = state.votes.shape
    owned = np.zeros(classes, np.int64)
    for j in range(neurons):
        c = majority(state.votes, j)
        if c >= 0:
            owned[c] += 1
    seen = 0
    for c in range(classes):
        if state.class_frames[c] > 0:
            seen += 1
    chance = uniform(state.generator)
    if owned[label] >= FAIR_SHARE * neurons / seen and chance >= state.error_rate[0] ** 2:
        return -1
    largest = np.argmax(owned)
    victim = -1
    least = np.inf
    for j in range(neurons):
        c = majority(state.votes, j)
        if c >= 0 and c != largest:
            continue
        worth = 0.0
        if c >= 0:
            worth = (state.attractions[j] + 1) * state.votes[j, c] / state.votes[j].sum()
        if worth < least:
            least = worth
            victim = j
    return victim


@kernel
def best_of_class(state, potential, label):
    """The neuron of a class with the highest potential; -1 if the class has none."""
    best = -1
    for j in range(potential.size):
        if majority(state.votes, j) == label and (best < 0 or potential[j] > potential[best]):
            best = j
    return best


@kernel
def imprint(state, neuron, trace, norm, label, scores):
    """Make `neuron` stand for this very sample."""
    move_weights(state.weights, neuron, trace, norm, 1.0)
    state.attractions[neuron] = 1
    in_use = state.recruited[0]
    state.theta[neuron] = state.theta[:in_use].sum() / max(in_use, 1)
    state.votes[neuron, :] = 0
    if label >= 0:
        state.votes[neuron, label] = 1
    else:
        total = scores.sum()
        if total > 0:
            for c in range(scores.size):
                state.votes[neuron, c] = GUESSED_VOTE * scores[c] / total


@kernel
def attract(state, neuron, trace, norm):
    """Take the sample into the running mean that the neuron's weights are."""
    step = max(1.0 / (1.0 + state.attractions[neuron]), LEAST_ATTRACTION)
    state.attractions[neuron] += 1
    move_weights(state.weights, neuron, trace, norm, step)


@kernel
def learn_recruiting(state, trace, norm, potential, winner, label, predicted, scores):
    """Plasticity after one presentation; returns the number of neurons whose weights changed."""
    neurons = state.votes.shape[0]
    in_use = state.recruited[0]
    labelled = label >= 0
    labelled_stream = labelled or state.class_frames.sum() > 0
    if labelled:
        state.class_frames[label] += 1

    novel = state.frames[0] < NOVEL_AT_FIRST
    if winner >= 0:
        match = potential[winner] / norm
        high, low = NOVELTY_WITHOUT_LABELS
        if labelled:
            high, low = NOVELTY_LABELLED
        elif labelled_stream:
            high, low = NOVELTY_BETWEEN_LABELS
        z = high + (low - high) * in_use / neurons
        if match < state.match_mean[0] + z * np.sqrt(state.match_variance[0]):
            novel = True
        rate = max(1.0 / state.frames[0], MATCH_RATE)
        difference = match - state.match_mean[0]
        state.match_mean[0] += rate * difference
        state.match_variance[0] += rate * ((1.0 - rate) * difference**2 - state.match_variance[0])
    state.frames[0] += 1

    wrong = False
    if labelled:
        wrong = predicted != label or majority(state.votes, winner) != label
        error = 1.0 if predicted != label else 0.0
        state.error_rate[0] += ERROR_RATE * (error - state.error_rate[0])

    imprinted = -1
    changed = 0
    if (wrong or novel) and in_use < neurons:
        imprinted = in_use
        imprint(state, imprinted, trace, norm, label, scores)
        state.recruited[0] += 1
        changed = 1
    elif wrong:
        imprinted = reuse_victim(state, label)
        if imprinted >= 0:
            imprint(state, imprinted, trace, norm, label, scores)
            changed = 1
        else:  # the class has its share of neurons, so one of them is the best
            right = best_of_class(state, potential, label)
            attract(state, right, trace, norm)
            changed = 1
            if right != winner:
                state.votes[right, label] += 1
                move_weights(state.weights, winner, trace, norm, -REPULSION)
                changed = 2
    elif labelled or not novel:
        attract(state, winner, trace, norm)
        changed = 1
        if not labelled_stream:
            state.theta[winner] += HOMEOSTASIS

    if labelled and winner >= 0 and winner != imprinted:
        state.votes[winner, label] += 1
    return changed


@kernel
def present_recruiting(state, phases, pixels, rate, timesteps, learning, label, scores):
    """Present one sample to a recruiting network, fill `scores` (classes,) float32.

    Neurons do not leak and are compared with their thresholds once, after the last step: a
    common threshold ramps down and they spike in the order of v_j - theta_j |n| until
    OUTPUT_SPIKES have. Nothing happens between two steps then, so the spikes of an input are
    added at once, v = W^T n; the order of float32 additions is the only difference.
    """
    inputs = pixels.size
    in_use = state.recruited[0]
    active = np.empty(inputs, np.int64)
    increments = np.empty(inputs, np.uint64)
    count = encode(pixels, rate, active, increments)

    trace = np.zeros(inputs, np.float32)
    potential = np.zeros(in_use, np.float32)
    input_spikes = 0
    squares = 0
    for a in range(count):
        i = active[a]
        n = spike_count(phases[i], increments[a], timesteps)
        if n > 0:
            input_spikes += n
            squares += n * n
            trace[i] = n
            spikes = trace[i]
            row = state.weights[i]
            for j in range(in_use):
                potential[j] += spikes * row[j]
    neuron_updates = in_use * timesteps
    scores[:] = 0
    if input_spikes == 0:
        return Presentation(-1, 0, 0, 0, neuron_updates, 0)
    norm = np.sqrt(np.float64(squares))

    drive = np.empty(in_use, np.float32)
    for j in range(in_use):
        drive[j] = potential[j] - state.theta[j] * norm
    output_spikes = min(OUTPUT_SPIKES, in_use)
    spiking = np.full(OUTPUT_SPIKES, -1, np.int64)
    for spike in range(output_spikes):
        neuron = np.argmax(drive)
        drive[neuron] = -np.inf
        spiking[spike] = neuron
        evidence = SPIKE_WEIGHTS[spike] / (
            SPIKE_WEIGHTS.sum() * (state.votes[neuron].sum() + DOUBT)
        )
        for c in range(scores.size):
            scores[c] += evidence * state.votes[neuron, c]
    predicted = strongest(scores)

    changed = 0
    if learning:
        changed = learn_recruiting(
            state, trace, norm, potential, spiking[0], label, predicted, scores
        )
    return Presentation(
        predicted,
        input_spikes,
        output_spikes,
        input_spikes * in_use,
        neuron_updates,
        changed * inputs,
    )


# --- Pair-wise STDP ----------------------------------------------------------------------------

TIME_CONSTANT = 100.0  # steps, of the membrane and of the presynaptic trace
REST_THRESHOLD = 13.0  # added to theta, in units of the gain
WEIGHT_SUM = 78.4  # of each neuron (Diehl and Cook 2015)
INITIAL_GAIN = 1150.0 / 130.0 / 200.0  # of thresholds, per unit of drive and target spikes
THETA_STEP = 8.0  # theta gained in a presentation with the target number of output spikes
PIXEL_SPREAD = 11.4  # L1 norm of a unit-norm digit: its input spikes per unit of drive
INPUT_PER_OUTPUT = 70.0  # input spikes worth one output spike
LEAST_LEARNING = 0.02  # factor of a neuron with many spikes
GAIN_WINDOW = 250  # samples between two corrections of the gain
RESPONSE_RATE = 0.01  # of the running mean of a class's responses


class PairwiseState(NamedTuple):
    """State of a network with pair-wise STDP."""

    weights: np.ndarray  # (inputs, neurons) float32, columns sum to WEIGHT_SUM
    responses: np.ndarray  # (neurons, classes) float32, mean share of a class's output spikes
    theta: np.ndarray  # (neurons,) float32, adaptive threshold
    learning_rate: np.ndarray  # (neurons,) float32, factor that falls with a neuron's spikes
    class_frames: np.ndarray  # (classes,) int64, labelled frames with output spikes
    gain: np.ndarray  # (1,) float64, see PairwiseNetwork
    window: np.ndarray  # (3,) float64: samples, output spikes and target since the correction


@kernel
def target_spikes(rate, timesteps, neurons):
    """Output spikes a sample that the gain is controlled for."""
    wanted = min(timesteps / 4.0, rate * timesteps * PIXEL_SPREAD / INPUT_PER_OUTPUT)
    return min(max(wanted, 1.5), max(0.8 * np.sqrt(neurons), 1.5), 16.0)


@kernel
def spike_lists(phases, active, increments, count, timesteps):
    """The spikes of a presentation as one linked list a step.

    Returns (first (timesteps,), following (spikes,), source (spikes,)), int64, -1 ends a list.
    """
    total = 0
    for a in range(count):
        total += spike_count(phases[active[a]], increments[a], timesteps)
    first = np.full(timesteps, -1, np.int64)
    following = np.empty(total, np.int64)
    source = np.empty(total, np.int64)
    spike = 0
    # From the last input to the first: each list is then in ascending order of the inputs.
    for a in range(count - 1, -1, -1):
        phase = phases[active[a]]
        increment = increments[a]
        for k in range(spike_count(phase, increment, timesteps)):
            # Its step is the least t with phase + t increment >= (k + 1) 2**32.
            due = (np.uint64(k + 1) << FIXED_POINT) - phase
            t = np.int64((due + increment - np.uint64(1)) // increment) - 1
            source[spike] = active[a]
            following[spike] = first[t]
            first[t] = spike
            spike += 1
    return first, following, source


@kernel
def present_pairwise(state, phases, pixels, rate, timesteps, learning, label, scores):
    """Present one sample to a network with pair-wise STDP, fill `scores` (classes,) float32.

    Steps without input spikes are skipped: potentials only decay in them, none can reach its
    threshold, and the decay of several steps is one factor.
    """
    inputs, neurons = state.weights.shape
    active = np.empty(inputs, np.int64)
    increments = np.empty(inputs, np.uint64)
    count = encode(pixels, rate, active, increments)
    first, following, source = spike_lists(phases, active, increments, count, timesteps)
    input_spikes = source.size

    target = target_spikes(rate, timesteps, neurons)
    gain = state.gain[0] * rate * timesteps / target
    eta = min(0.5, 0.8 / target)
    theta_step = THETA_STEP / target
    tiredness = 0.5 ** (1.0 / (12.0 * target))
    threshold = np.empty(neurons, np.float32)
    for j in range(neurons):
        threshold[j] = gain * (REST_THRESHOLD + state.theta[j])

    potential = np.zeros(neurons, np.float32)
    output = np.zeros(neurons, np.int64)
    # The trace grows instead of decaying: only its shape matters, x / sum(x).
    trace = np.zeros(inputs, np.float64)
    trace_sum = 0.0
    output_spikes = 0
    last = 0
    for t in range(timesteps):
        spike = first[t]
        if spike < 0:
            continue
        decay = np.float32(np.exp((last - t) / TIME_CONSTANT))
        growth = np.exp(t / TIME_CONSTANT)
        last = t
        for j in range(neurons):
            potential[j] *= decay
        while spike >= 0:
            i = source[spike]
            spike = following[spike]
            trace[i] += growth
            trace_sum += growth
            row = state.weights[i]
            for j in range(neurons):
                potential[j] += row[j]
        reached = 0
        for j in range(neurons):
            reached += potential[j] >= threshold[j]
        if reached == 0:
            continue

        winner = np.argmax(potential - threshold)
        output[winner] += 1
        output_spikes += 1
        potential[:] = 0  # direct lateral inhibition: the winner resets everybody
        if learning:
            state.theta[winner] += theta_step
            threshold[winner] = gain * (REST_THRESHOLD + state.theta[winner])
            step = eta * state.learning_rate[winner]
            share = step * WEIGHT_SUM / trace_sum
            # Both terms sum to their part of WEIGHT_SUM: the sum stays and rounding dies out.
            for i in range(inputs):
                kept = (1.0 - step) * state.weights[i, winner]
                state.weights[i, winner] = kept + share * trace[i]
            state.learning_rate[winner] = max(
                LEAST_LEARNING, state.learning_rate[winner] * tiredness
            )

    scores[:] = 0
    for j in range(neurons):
        if output[j] > 0:
            total = state.responses[j].sum()
            if total > 0:
                for c in range(scores.size):
                    scores[c] += output[j] * state.responses[j, c] / (total * output_spikes)
    predicted = strongest(scores)

    if learning and input_spikes > 0:
        if label >= 0 and output_spikes > 0:
            state.class_frames[label] += 1
            rate_of_change = max(1.0 / state.class_frames[label], RESPONSE_RATE)
            for j in range(neurons):
                share = output[j] / output_spikes
                state.responses[j, label] += rate_of_change * (share - state.responses[j, label])
        state.window[0] += 1
        state.window[1] += output_spikes
        state.window[2] += target
        if state.window[0] == GAIN_WINDOW:
            ratio = (state.window[1] + 0.05 * GAIN_WINDOW) / state.window[2]
            state.gain[0] *= np.sqrt(min(max(ratio, 0.5), 2.0))
            state.window[:] = 0
    return Presentation(
        predicted,
        input_spikes,
        output_spikes,
        input_spikes * neurons,
        neurons * timesteps,
        output_spikes * inputs if learning else 0,
    )
