"""Presentations to a network that recruits its neurons one sample at a time.

Neurons do not leak and are compared with their thresholds once, after the last step: a common
threshold ramps down and they spike in the order of v_j - theta_j |n| until OUTPUT_SPIKES have.
Nothing happens between two steps then, so the spikes of an input are added at once, v = W^T n;
the order of float32 additions is the only difference.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import encoding, membrane
from .compilation import entry_point, kernel
from .encoding import BERNOULLI, GIVEN
from .randomness import seed_from, uniform
from .readout import lead, strongest

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
EARLY_CHUNK = 2  # steps between two looks at the evidence, where it may end early
MOST_SQUARES = 1e12  # above, stored weights are scaled down: float32 is finite


class RecruitingState(NamedTuple):
    """State of a network with the recruiting rule; M = recruited[0] neurons are in use.

    A neuron's weights are the stored ones over their L2 norm: so a change of all of them is one
    of the few whose input spiked.
    """

    weights: np.ndarray  # (inputs, neurons) float32 (int8 if quantised), >= 0
    squares: np.ndarray  # (neurons,) float64, squared L2 norms of the stored weights
    votes: np.ndarray  # (neurons, classes) float32
    theta: np.ndarray  # (neurons,) float32, adaptive threshold as a fraction of the trace's norm
    attractions: np.ndarray  # (neurons,) int64, samples averaged in a neuron's weights
    class_frames: np.ndarray  # (classes,) int64, labelled frames seen
    recruited: np.ndarray  # (1,) int64
    frames: np.ndarray  # (1,) int64, learned
    match_mean: np.ndarray  # (1,) float64, running mean of the first spiker's match
    match_variance: np.ndarray  # (1,) float64
    error_rate: np.ndarray  # (1,) float64, running, over labelled frames
    generator: np.ndarray  # (1,) uint64, draws whether a neuron is taken over, and spikes


class Model(NamedTuple):
    """The configuration as numbers."""

    coding: int
    normalisation: int


class Sample(NamedTuple):
    """What learning knows of a presented sample."""

    active: np.ndarray  # int32, the `count` inputs that have spiked
    count: int
    trace: np.ndarray  # (inputs,) float32, presynaptic trace n: spikes of each input
    norm: float  # its L2 norm


@kernel
def move_weights(state, j, sample, step):
    """w <- w + step (n/|n| - w), clipped at 0 and brought back to unit L2 norm (Oja 1982).

    A negative step repels.
    """
    if state.squares[j] > MOST_SQUARES:
        factor = np.float32(1.0 / np.sqrt(state.squares[j]))
        state.squares[j] = 0
        for i in range(state.weights.shape[0]):
            state.weights[i, j] *= factor
            state.squares[j] += np.float64(state.weights[i, j]) ** 2
    share = step / (1.0 - step) * np.sqrt(state.squares[j]) / sample.norm
    added = 0.0
    for a in range(sample.count):
        i = sample.active[a]
        before = state.weights[i, j]
        after = max(np.float32(before + share * sample.trace[i]), np.float32(0))
        state.weights[i, j] = after
        added += np.float64(after) ** 2 - np.float64(before) ** 2
    state.squares[j] += added


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
        c = strongest(state.votes[j])
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
        c = strongest(state.votes[j])
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
        if strongest(state.votes[j]) == label and (best < 0 or potential[j] > potential[best]):
            best = j
    return best


@kernel
def best_of_class(state, match, label):
    """The neuron of a class with the highest match; -1 if the class has none."""
    best = -1
    for j in range(match.size):
        if strongest(state.votes[j]) == label and (best < 0 or match[j] > match[best]):
            best = j
    return best


@kernel
def imprint(state, j, sample, label, scores):
    """Make neuron j stand for this very sample."""
    state.weights[:, j] = 0
    state.squares[j] = 0
    for a in range(sample.count):
        i = sample.active[a]
        state.weights[i, j] = sample.trace[i] / sample.norm
        state.squares[j] += np.float64(state.weights[i, j]) ** 2
    state.attractions[j] = 1
    in_use = state.recruited[0]
    state.theta[j] = state.theta[:in_use].sum() / max(in_use, 1)
    state.votes[j, :] = 0
    if label >= 0:
        state.votes[j, label] = 1
    else:
        total = scores.sum()
        if total > 0:
            for c in range(scores.size):
                state.votes[j, c] = GUESSED_VOTE * scores[c] / total


@kernel
def attract(state, j, sample):
    """Take the sample into the running mean that the neuron's weights are."""
    step = max(1.0 / (1.0 + state.attractions[j]), LEAST_ATTRACTION)
    state.attractions[j] += 1
    move_weights(state, j, sample, step)


@kernel
def learn(state, sample, match, winner, label, predicted, scores):
    """Plasticity after one presentation; returns the number of neurons whose weights changed."""
    neurons = state.votes.shape[0]
    in_use = state.recruited[0]
    labelled = label >= 0
    labelled_stream = labelled or state.class_frames.sum() > 0
    if labelled:
        state.class_frames[label] += 1

    novel = state.frames[0] < NOVEL_AT_FIRST
    if winner >= 0:
        high, low = NOVELTY_WITHOUT_LABELS
        if labelled:
            high, low = NOVELTY_LABELLED
        elif labelled_stream:
            high, low = NOVELTY_BETWEEN_LABELS
        z = high + (low - high) * in_use / neurons
        if match[winner] < state.match_mean[0] + z * np.sqrt(state.match_variance[0]):
            novel = True
        rate = max(1.0 / state.frames[0], MATCH_RATE)
        difference = match[winner] - state.match_mean[0]
        state.match_mean[0] += rate * difference
        state.match_variance[0] += rate * ((1.0 - rate) * difference**2 - state.match_variance[0])
    state.frames[0] += 1

    wrong = False
    if labelled:
        wrong = predicted != label or strongest(state.votes[winner]) != label
        error = 1.0 if predicted != label else 0.0
        state.error_rate[0] += ERROR_RATE * (error - state.error_rate[0])

    imprinted = -1
    changed = 0
    if (wrong or novel) and in_use < neurons:
        imprinted = in_use
        imprint(state, imprinted, sample, label, scores)
        state.recruited[0] += 1
        changed = 1
    elif wrong:
        imprinted = reuse_victim(state, label)
        if imprinted >= 0:
            imprint(state, imprinted, sample, label, scores)
            changed = 1
        else:  # the class has its share of neurons, so one of them is the best
            right = best_of_class(state, match, label)
            attract(state, right, sample)
            changed = 1
            if right != winner:
                state.votes[right, label] += 1
                move_weights(state, winner, sample, -REPULSION)
                changed = 2
    elif labelled or not novel:
        attract(state, winner, sample)
        changed = 1
        if not labelled_stream:
            state.theta[winner] += HOMEOSTASIS

    if labelled and winner >= 0 and winner != imprinted:
        state.votes[winner, label] += 1
    return changed


@kernel
def find_matches(potential, squares, norm, match):
    """Matches m_j = w_j^T n / |n|."""
    for j in range(match.size):
        match[j] = potential[j] / (np.sqrt(squares[j]) * norm)


@kernel
def spike_in_order(match, theta, spiking):
    """Fill `spiking` with the neurons that spike as the threshold ramps down; their number."""
    strongest_drives = np.full(OUTPUT_SPIKES, -np.inf)
    for j in range(match.size):
        drive = np.float64(match[j]) - np.float64(theta[j])
        place = OUTPUT_SPIKES
        while place > 0 and drive > strongest_drives[place - 1]:
            place -= 1
            if place + 1 < OUTPUT_SPIKES:
                strongest_drives[place + 1] = strongest_drives[place]
                spiking[place + 1] = spiking[place]
        if place < OUTPUT_SPIKES:
            strongest_drives[place] = drive
            spiking[place] = j
    return min(OUTPUT_SPIKES, match.size)


@kernel
def weigh_evidence(votes, spiking, spikes, scores):
    """Fill `scores` with the evidence of the output spikes in their order."""
    scores[:] = 0
    for spike in range(spikes):
        j = spiking[spike]
        total = DOUBT
        for c in range(scores.size):
            total += votes[j, c]
        evidence = SPIKE_WEIGHTS[spike] / (SPIKE_WEIGHTS.sum() * total)
        for c in range(scores.size):
            scores[c] += evidence * votes[j, c]


@kernel
def present(
    model, state, phases, pixels, start, source, rate, timesteps, learning, label, margin, scores,
    raster,
):
    """Present one sample; returns what `present_recruiting` reports."""
    inputs = state.weights.shape[0]
    in_use = state.recruited[0]
    generator = state.generator
    if not learning and model.coding == BERNOULLI:  # not even the generator's state changes
        generator = np.empty(1, np.uint64)
        seed_from(generator, state.generator[0], pixels)
    encoded = encoding.encoded_of(inputs)
    count = encoding.prepare(
        encoded, model.coding, model.normalisation, pixels, rate, timesteps, phases
    )
    tally = encoding.tally_of(inputs)
    potential = np.zeros(in_use, np.float32)
    match = np.zeros(in_use, np.float32)
    spiking = np.full(OUTPUT_SPIKES, -1, np.int64)
    active = np.empty(inputs, np.int32)
    active_count = 0
    scores[:] = 0
    norm = squares = 0.0
    input_spikes = output_spikes = steps = 0
    chunk = timesteps if margin == np.inf else EARLY_CHUNK
    while steps < timesteps:
        first, steps = steps, min(steps + chunk, timesteps)
        listed, spikes = encoding.count_spikes(
            model.coding, encoded, count, first, steps, generator, start, source, tally
        )
        input_spikes += spikes
        membrane.charge_by(potential, state.weights, tally.inputs, tally.amounts, listed)
        for k in range(listed):
            now = np.float64(tally.trace[tally.inputs[k]])
            before = now - tally.amounts[k]
            squares += now**2 - before**2
            if before == 0 < now:  # a faint graded current may round to none
                active[active_count] = tally.inputs[k]
                active_count += 1
        norm = np.sqrt(squares)
        if norm > 0:
            find_matches(potential, state.squares, norm, match)
            output_spikes = spike_in_order(match, state.theta, spiking)
            weigh_evidence(state.votes, spiking, output_spikes, scores)
            if lead(scores) >= margin:
                break
    predicted = strongest(scores)
    for spike in range(min(output_spikes, raster.shape[0])):
        raster[spike, 0] = steps - 1
        raster[spike, 1] = spiking[spike]

    changed = 0
    if learning and norm > 0:
        sample = Sample(active, active_count, tally.trace, norm)
        changed = learn(state, sample, match, spiking[0], label, predicted, scores)
    return (
        predicted, steps, input_spikes, output_spikes, input_spikes * in_use, in_use * steps,
        changed * inputs,
    )


@entry_point
def present_recruiting(
    numbers, weights, squares, votes, theta, attractions, class_frames, recruited, frames,
    match_mean, match_variance, error_rate, generator, phases, pixels, start, source,
    rate, expected, timesteps, learning, labels, margin, scores, outcomes, raster,
):
    """Present samples one after the other; arguments and results as of stdp.present_stdp.

    numbers: a Model. weights ... generator: a RecruitingState. margin: lead of a class, as a
    share of all evidence, that ends a presentation early.
    """
    model = Model(int(numbers[0]), int(numbers[1]))
    state = RecruitingState(
        weights, squares, votes, theta, attractions, class_frames, recruited, frames, match_mean,
        match_variance, error_rate, generator,
    )
    for sample in range(pixels.shape[0]):
        outcomes[sample] = present(
            model, state, phases, pixels[sample], start, source, rate, timesteps,
            learning, labels[sample], margin, scores[sample], raster,
        )
