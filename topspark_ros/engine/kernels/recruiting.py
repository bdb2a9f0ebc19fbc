"""Presentations to a network that recruits its neurons one sample at a time.

Neurons do not leak and are compared with their thresholds once, after the last step: a common
threshold ramps down and they spike in the order of v_j - theta_j |n| until OUTPUT_SPIKES have.
Nothing happens between two steps then, so the spikes of an input are added at once, v = W^T n;
the order of float32 additions is the only difference.

What is learned does not depend on T. Spikes decide what is predicted, and which neurons may learn:
those that spiked. Each input then sends them one graded event, its presynaptic trace x: the rate
that it is driven at, or how often it spiked where a sample has no rates. Weights follow the traces,
and of the neurons that spiked the one with the highest cosine similarity m_j = w_j^T x / |x| is the
winner. Few spikes say little of a sample, and what they say depends on when they come: weights made
of them would fit their own T alone.

The read-out adds two things, s_c = sum_r omega_r n_rc / (sum_c n_rc + DOUBT) + sum_r a_r U_rc,
r the output spikes in their order:

- evidence, the counts n_rc of the labels that neuron r won for. The first three neurons with any
  count, with omega = 1, 0.45, 0.2 over their sum.
- a linear read-out of the currents a_r. Its weights learn by the delta rule (Widrow and Hoff 1960)
  at a rate so high that one pass over the samples is enough, and U is their running mean (Polyak
  and Juditsky 1992). a_r is the current that spike r has brought by the time that the ramp ends,
  when the next neuron would have spiked: its lead over that one, with |a| = 1.

Scores are the softmax of SHARPNESS s over the classes seen.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import encoding, membrane, prototypes
from .compilation import allocating, entry_point, kernel
from .encoding import GIVEN, LATENCY, RATE_BERNOULLI
from .prototypes import RecruitingState, Sample
from .randomness import seed_from, uniform
from .readout import most_likely, softmax, strongest, top2_margin

OUTPUT_SPIKES = 12
EVIDENCE = np.array([1.0, 0.45, 0.2]) / 1.65  # weight of the first spikes' labels
DOUBT = 2.0  # labels that a neuron must have before its evidence counts in full
SHARPNESS = 4.0  # of the softmax
READOUT_RATE = 0.4
MIN_AVERAGING_RATE = 0.01  # rate of the read-out weights' running mean, after many updates
ALTERNATION_RATE = 0.01  # of the running share of labels that differ from the last one
NOVEL_AT_FIRST = 10  # frames, before there is a mean similarity to compare with
SIMILARITY_RATE = 0.005  # of the running mean and variance
ERROR_RATE = 1.0 / 30.0  # of the running error rate
# Standard deviations below the mean similarity at which a frame is novel: (empty, full pool).
NOVELTY_LABELLED = (1.0, -2.0)
NOVELTY_UNLABELLED = (3.0, 0.0)
# The same of an unlabelled frame where only merging makes room: among labelled ones, without any.
NOVELTY_FULL = (-2.0, -1.5)
FAIR_SHARE = 0.6  # of neurons / classes, below which a class may always have one more
HOMEOSTASIS = 1e-3  # threshold increment per attraction without guidance
GUESSED_LABEL = 0.15  # weight of the network's own evidence when it labels a recruit
EARLY_CHUNK = 2  # steps between two looks at the evidence, where it may end early


class Model(NamedTuple):
    """The configuration as numbers."""

    coding: int
    normalisation: int
    supervised: bool  # whether labels guide the learning, not the read-out alone
    highest_rate: float  # of the input, which the traces are at, spikes a step of unit norm


class Response(NamedTuple):
    """The output spikes of one presentation, in their order."""

    spiking: np.ndarray  # (OUTPUT_SPIKES + 1,) int64, neurons; the last did not spike any more
    drive: np.ndarray  # (OUTPUT_SPIKES + 1,) float64, v_j / |n| - theta_j of each
    current: np.ndarray  # (OUTPUT_SPIKES,) float64, a_r
    similarity: np.ndarray  # (OUTPUT_SPIKES,) float64, m_j of each


class Memory(NamedTuple):
    """What presentations need, one after the other."""

    encoded: encoding.Encoded
    tally: encoding.Tally
    trace: np.ndarray  # (inputs,) float32, presynaptic traces
    potential: np.ndarray  # (neurons,) float32, v_j
    similarity: np.ndarray  # (neurons,) float32, v_j / |n|; m_j while learning
    drive: np.ndarray  # (neurons,) float32, v_j / |n| - theta_j
    response: Response
    lifted: np.ndarray  # (neurons,) float32, see Sample
    evidence: np.ndarray  # (classes,) float32
    fast_scores: np.ndarray  # (classes,) float32, memory of correct


@allocating
def memory_of(inputs, neurons, classes):
    """Memory for presentations."""
    return Memory(
        encoding.encoded_of(inputs),
        encoding.tally_of(inputs),
        np.empty(inputs, np.float32),
        np.empty(neurons, np.float32),
        np.empty(neurons, np.float32),
        np.empty(neurons, np.float32),
        Response(
            np.empty(OUTPUT_SPIKES + 1, np.int64),
            np.empty(OUTPUT_SPIKES + 1),
            np.empty(OUTPUT_SPIKES),
            np.empty(OUTPUT_SPIKES),
        ),
        np.empty(neurons, np.float32),
        np.empty(classes, np.float32),
        np.empty(classes, np.float32),
    )


@kernel
def spike_in_order(drive, response):
    """Let the threshold ramp down; the number of output spikes."""
    spiking, drives, current = response.spiking, response.drive, response.current
    drives[:] = -np.inf
    least = np.float32(-np.inf)
    for j in range(drive.size):
        if drive[j] <= least:
            continue
        place = OUTPUT_SPIKES
        while place > 0 and drive[j] > drives[place - 1]:
            drives[place] = drives[place - 1]
            spiking[place] = spiking[place - 1]
            place -= 1
        drives[place] = drive[j]
        spiking[place] = j
        least = np.float32(drives[OUTPUT_SPIKES])
    spikes = min(OUTPUT_SPIKES, drive.size)
    # Where all neurons spike, the ramp ends when it has come down to 0, or at the last of them.
    end = drives[OUTPUT_SPIKES] if drive.size > OUTPUT_SPIKES else min(0.0, drives[spikes - 1])
    squares = 0.0
    for r in range(spikes):
        current[r] = drives[r] - end
        squares += current[r] ** 2
    for r in range(spikes):
        current[r] = current[r] / np.sqrt(squares) if squares > 0 else 1.0 / np.sqrt(spikes)
    return spikes


@kernel
def read_out(state, response, spikes, evidence, scores):
    """Fill `evidence` and `scores`; zeros if no neuron that spiked speaks for any class."""
    evidence[:] = 0
    scores[:] = 0
    speaking = 0
    for r in range(spikes):
        counts = state.label_counts[response.spiking[r]]
        total = np.float64(0)
        for c in range(counts.size):
            total += counts[c]
        if total > 0:
            for c in range(counts.size):
                evidence[c] += EVIDENCE[speaking] / (total + DOUBT) * counts[c]
            speaking += 1
            if speaking == EVIDENCE.size:
                break
    if speaking > 0:
        find_scores(state, state.readout_weights, response, spikes, evidence, scores)


@kernel
def find_scores(state, weights, response, spikes, evidence, scores):
    """Scores from the evidence and the linear read-out with these weights."""
    scores[:] = 0
    for r in range(spikes):
        j = response.spiking[r]
        for c in range(scores.size):
            scores[c] += response.current[r] * weights[j, c]
    most = np.float32(-np.inf)
    for c in range(scores.size):
        if state.class_frames[c] > 0:
            scores[c] += evidence[c]
            most = max(most, scores[c])
    softmax(scores, state.class_frames, SHARPNESS, most)


@kernel
def correct(state, response, spikes, label, evidence, scores):
    """The delta rule on the read-out; the number of its weights changed.

    Labels that come in blocks, one class after the other, say nothing of how a class differs from
    the earlier ones: by them the read-out would forget. The rate is therefore the share of labels
    that differ from the one before.

    scores: memory. Left with the scores by the fast read-out weights.
    """
    last = state.last_label[0] - 1
    differs = 1.0 if last >= 0 and last != label else 0.0
    rate = READOUT_RATE * state.alternation[0]
    state.alternation[0] += ALTERNATION_RATE * (differs - state.alternation[0])
    state.last_label[0] = label + 1
    if rate == 0 or strongest(evidence) < 0:
        return 0
    fast, mean = state.fast_readout_weights, state.readout_weights
    find_scores(state, fast, response, spikes, evidence, scores)
    changed = 0
    for r in range(spikes):
        j = response.spiking[r]
        state.readout_updates[j] += 1
        # Twice the plain mean's rate: the first updates were of a network that knew little.
        share = max(2.0 / (2.0 + state.readout_updates[j]), MIN_AVERAGING_RATE)
        for c in range(scores.size):
            if state.class_frames[c] > 0:
                error = (1.0 if c == label else 0.0) - scores[c]
                fast[j, c] += rate * response.current[r] * error
                mean[j, c] += share * (fast[j, c] - mean[j, c])
                changed += 2
    return changed


@kernel
def is_novel(model, state, similarity, winner, guided):
    """Whether the winner is unusually dissimilar; keeps what is usual up to date."""
    if winner < 0:
        return True
    share = state.recruited[0] / state.label_counts.shape[0]
    high, low = NOVELTY_LABELLED if guided else NOVELTY_UNLABELLED
    z = high + (low - high) * share
    if share == 1 and not guided:
        among_labelled, without_any = NOVELTY_FULL
        z = among_labelled if model.supervised else without_any
    difference = similarity[winner] - state.similarity_mean[0]
    novel = difference < z * np.sqrt(state.similarity_variance[0])
    rate = max(1.0 / state.frames[0], SIMILARITY_RATE)
    state.similarity_mean[0] += rate * difference
    state.similarity_variance[0] += rate * (
        (1.0 - rate) * difference**2 - state.similarity_variance[0]
    )
    return novel or state.frames[0] < NOVEL_AT_FIRST


@allocating
def make_room(state, sample, label):
    """Free a neuron of a full pool by merging two; the free one, -1 if there is none.

    Without a label (-1) the two neurons that it costs least. A class with less than its share of
    neurons may always have one, any class with the square of the running error rate as
    probability: from the class with the most.
    """
    neurons, classes = state.label_counts.shape
    eligible = np.arange(neurons)
    if label >= 0:
        owner = prototypes.owners(state.label_counts)
        owned = np.zeros(classes, np.int64)
        for j in range(neurons):
            if owner[j] >= 0:
                owned[owner[j]] += 1
        seen = 0
        for c in range(classes):
            seen += state.class_frames[c] > 0
        chance = uniform(state.generator)
        if owned[label] >= FAIR_SHARE * neurons / seen and chance >= state.error_rate[0] ** 2:
            return -1
        eligible = eligible[(owner == np.argmax(owned)) | (owner < 0)]
    a, b = prototypes.cheapest_pair(state, eligible)
    if b >= 0:
        prototypes.merge(state, a, b, sample)
    return b


@kernel
def best_of_class(state, similarity, label):
    """The neuron of a class with the highest similarity; -1 if the class has none."""
    best = -1
    for j in range(similarity.size):
        better = best < 0 or similarity[j] > similarity[best]
        if better and strongest(state.label_counts[j]) == label:
            best = j
    return best


@kernel
def assign_labels(label_counts, label, evidence):
    """Let a neuron that is to stand for a sample speak for its label, or for a guess at it.

    Evidence, other than scores, says how little there is of it, so a guess at a guess fades.
    """
    if label >= 0:
        label_counts[label] = 1
    else:
        for c in range(evidence.size):
            label_counts[c] = GUESSED_LABEL * evidence[c]


@kernel
def learn(model, state, sample, memory, spikes, label, predicted):
    """Plasticity after one presentation; returns the number of weights changed."""
    neurons = state.label_counts.shape[0]
    inputs = state.weights.shape[0]
    response, evidence = memory.response, memory.evidence
    winner = nearest(state, sample, response, spikes)
    guided = model.supervised and label >= 0
    changed = 0
    if label >= 0:
        state.class_frames[label] += 1
        changed += correct(state, response, spikes, label, evidence, memory.fast_scores)
    novel = is_novel(model, state, sample.similarity, winner, guided)
    state.frames[0] += 1
    wrong = False
    if guided:
        wrong = predicted != label or strongest(state.label_counts[winner]) != label
        error = 1.0 if predicted != label else 0.0
        state.error_rate[0] += ERROR_RATE * (error - state.error_rate[0])

    in_use = state.recruited[0]
    rewritten = inputs + in_use  # weights and affinities of a neuron
    imprinted = -1
    if in_use < neurons:
        if wrong or novel:
            imprinted = in_use
    elif wrong or (novel and not guided):
        imprinted = make_room(state, sample, label if guided else -1)
        if imprinted >= 0:
            changed += rewritten  # of the neuron that was merged
    if imprinted >= 0:
        parent = best_of_class(state, sample.similarity, label) if guided else winner
        prototypes.imprint(state, imprinted, sample, parent if parent != imprinted else -1)
        assign_labels(state.label_counts[imprinted], label, evidence)
        state.recruited[0] = max(in_use, imprinted + 1)
        changed += rewritten
    else:
        right = best_of_class(state, sample.similarity, label) if wrong else winner
        if right < 0:  # no neuron is left for the class
            right = winner
        prototypes.attract(state, right, sample)
        changed += rewritten
        if right != winner:
            state.label_counts[right, label] += 1
            prototypes.repel(state, winner, sample)
            changed += rewritten
        if not guided:
            state.theta[winner] += HOMEOSTASIS
    if label >= 0 and winner >= 0 and winner != imprinted:
        state.label_counts[winner, label] += 1
    return changed


@kernel
def find_similarities(potential, scale, norm, theta, similarity, drive):
    """Matches with the spikes, v_j / |n|, and drives, v_j / |n| - theta_j."""
    unit = 1.0 / norm
    for j in range(similarity.size):
        similarity[j] = potential[j] * scale[j] * unit
        drive[j] = similarity[j] - theta[j]


@kernel
def novelty_of(state, response, spikes, similarity, c):
    """1 less the similarity of the neuron of class c that spiked first; NaN if none of it did."""
    for r in range(spikes):
        j = response.spiking[r]
        if strongest(state.label_counts[j]) == c:
            return 1.0 - similarity[j]
    return np.nan


@kernel
def has_rates(coding):
    """Whether inputs are driven at rates; else their traces are the spikes themselves."""
    return coding != GIVEN and coding != LATENCY


@kernel
def trace_sample(model, state, memory, pixels):
    """The presented sample as learning takes it; its similarities are still those of the spikes."""
    trace = memory.trace
    if has_rates(model.coding):
        encoding.trace_pixels(trace, pixels, model.normalisation, model.highest_rate)
    else:
        for i in range(trace.size):
            trace[i] = memory.tally.trace[i]
    in_use = state.recruited[0]
    return Sample(
        memory.encoded.active,
        encoding.find_active(memory.encoded, trace),
        trace,
        encoding.norm(trace),
        memory.similarity[:in_use],
        memory.lifted[:in_use],
    )


@kernel
def compare_traces(state, sample, response, spikes):
    """Turn similarities with the spikes into similarities with the traces.

    Those of the neurons that spiked are computed. Those of all others would cost as much again as
    a presentation, and hardly matter: they are taken to be off by the same factor.
    """
    similarity, exact = sample.similarity, response.similarity
    exact[:spikes] = 0
    for a in range(sample.count):
        i = sample.active[a]
        for r in range(spikes):
            exact[r] += sample.trace[i] * state.weights[i, response.spiking[r]]
    estimated = computed = 0.0
    for r in range(spikes):
        j = response.spiking[r]
        exact[r] *= state.scale[j] / sample.norm
        estimated += similarity[j]
        computed += exact[r]
    factor = np.float32(computed / estimated) if estimated > 0 else np.float32(1)
    for j in range(similarity.size):
        similarity[j] = min(similarity[j] * factor, np.float32(1))
    for r in range(spikes):
        similarity[response.spiking[r]] = exact[r]


@kernel
def nearest(state, sample, response, spikes):
    """Of those that spiked, the neuron with the most similarity above its threshold; -1: none."""
    best = -1
    most = -np.inf
    for r in range(spikes):
        j = response.spiking[r]
        drive = np.float64(sample.similarity[j]) - state.theta[j]
        if drive > most:
            most = drive
            best = j
    return best


@kernel
def present(
    model,
    state,
    memory,
    phases,
    pixels,
    start,
    source,
    rate,
    timesteps,
    learning,
    label,
    margin,
    scores,
    grounds,
    raster,
):
    """Present one sample; returns what `present_recruiting` reports."""
    in_use = state.recruited[0]
    generator = state.generator
    if not learning and model.coding == RATE_BERNOULLI:  # not even the generator's state changes
        generator = memory.encoded.generator
        seed_from(generator, state.generator[0], pixels)
    encoded, tally = memory.encoded, memory.tally
    response, evidence = memory.response, memory.evidence
    potential, similarity = memory.potential[:in_use], memory.similarity[:in_use]
    drive = memory.drive[:in_use]
    coding, count = encoding.prepare(
        encoded, model.coding, model.normalisation, pixels, rate, timesteps, phases, False
    )
    potential[:] = 0
    scores[:] = 0
    norm = squares = 0.0
    input_spikes = output_spikes = steps = 0
    chunk = timesteps if margin == np.inf else EARLY_CHUNK
    while steps < timesteps:
        first, steps = steps, min(steps + chunk, timesteps)
        listed, spikes = encoding.count_spikes(
            coding, encoded, count, first, steps, generator, start, source, tally
        )
        input_spikes += spikes
        membrane.charge_by(potential, state.weights, tally.inputs, tally.amounts, listed)
        for k in range(listed):
            now = np.float64(tally.trace[tally.inputs[k]])
            before = now - tally.amounts[k]
            squares += now**2 - before**2
        norm = np.sqrt(squares)
        if norm > 0:
            find_similarities(potential, state.scale, norm, state.theta, similarity, drive)
            output_spikes = spike_in_order(drive, response)
            read_out(state, response, output_spikes, evidence, scores)
            if top2_margin(scores) >= margin:
                break
    predicted = strongest(scores)
    taken_out = label if learning else -1
    nearest, grounds[0] = most_likely(scores, state.class_frames, taken_out)
    grounds[1] = np.nan
    if nearest >= 0:
        grounds[1] = novelty_of(state, response, output_spikes, similarity, nearest)
    for spike in range(min(output_spikes, raster.shape[0])):
        raster[spike, 0] = steps - 1
        raster[spike, 1] = response.spiking[spike]

    operations = input_spikes * in_use
    changed = 0
    if learning and norm > 0:
        sample = trace_sample(model, state, memory, pixels)
        if has_rates(model.coding):
            compare_traces(state, sample, response, output_spikes)
            input_spikes += sample.count
            operations += sample.count * output_spikes
        changed = learn(model, state, sample, memory, output_spikes, label, predicted)
    tally.trace[:] = 0
    return (
        predicted,
        steps,
        input_spikes,
        output_spikes,
        operations,
        in_use * steps,
        changed,
    )


@entry_point
def present_recruiting(
    numbers,
    weights,
    scale,
    gram,
    label_counts,
    readout_weights,
    fast_readout_weights,
    readout_updates,
    theta,
    attractions,
    class_frames,
    recruited,
    frames,
    similarity_mean,
    similarity_variance,
    error_rate,
    last_label,
    alternation,
    generator,
    phases,
    pixels,
    start,
    source,
    rate,
    expected,
    timesteps,
    learning,
    labels,
    margin,
    scores,
    grounds,
    outcomes,
    raster,
):
    """Present samples one after the other; arguments and results as of stdp.present_stdp.

    numbers: a Model. weights ... generator: a RecruitingState. margin: lead of a class's score
    that ends a presentation early.
    """
    model = Model(int(numbers[0]), int(numbers[1]), numbers[2] > 0, numbers[3])
    state = RecruitingState(
        weights,
        scale,
        gram,
        label_counts,
        readout_weights,
        fast_readout_weights,
        readout_updates,
        theta,
        attractions,
        class_frames,
        recruited,
        frames,
        similarity_mean,
        similarity_variance,
        error_rate,
        last_label,
        alternation,
        generator,
    )
    memory = memory_of(weights.shape[0], weights.shape[1], scores.shape[1])
    for sample in range(pixels.shape[0]):
        outcomes[sample] = present(
            model,
            state,
            memory,
            phases,
            pixels[sample],
            start,
            source,
            rate,
            timesteps,
            learning,
            labels[sample],
            margin,
            scores[sample],
            grounds[sample],
            raster,
        )
