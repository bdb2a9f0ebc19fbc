"""Presentations to a network of leaky integrate-and-fire neurons that learns by STDP.

In each step, for every excitatory neuron j,

    v_j <- v_j exp(-1 / tau_m) + sum of w_ij over the inputs i that spike - inhibition
    spike if v_j >= g (13 + theta_j), then v_j = v_reset for the refractory period

Inference takes the mean theta for every theta_j: adaptive thresholds share out the learning, and
what neurons have learned then competes by its match alone.
With a synaptic time constant the sum first goes through a low-pass filter of the same charge.
Inhibition: WINNER, only the neuron furthest above its threshold spikes and resets every v;
LATERAL, a spike takes `inhibition` times the resting threshold from every other neuron at once;
LAYER, it makes the neuron's own inhibitory neuron spike, unless that one is refractory, which does
so a step later (Diehl and Cook 2015, whose synapse is strong enough for one spike to do).

Silent steps are skipped: potentials only decay in them, none can reach its threshold, and the
decay of several steps is one factor.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import encoding, membrane, plasticity
from .compilation import allocating, entry_point, kernel
from .encoding import CHUNK, CONSTANT_CURRENT, FULL_TIMESTEPS, GIVEN, RATE_BERNOULLI
from .plasticity import ADAPTIVE, TRIPLET
from .randomness import seed_from
from .readout import most_likely, strongest, top2_margin

WINNER, LATERAL, LAYER = range(3)

REST_THRESHOLD = 13.0  # added to theta, in units of the gain
# D spikes of the mean of 784 uniform weights reach the resting threshold K times.
INITIAL_GAIN = plasticity.WEIGHT_NORM * np.sqrt(0.75 / 784) / REST_THRESHOLD
# An untrained network starts with some five times the wanted output spikes of a digit where only
# one neuron spikes at a time, so that it learns sooner. Where many may, their thetas would soar.
EARLY_SPIKES = 5.0
INPUT_PER_OUTPUT = 70.0  # input spikes worth one output spike
STEPS_PER_OUTPUT = 4.0  # timesteps worth one output spike
GAIN_WINDOW = 250  # samples between two corrections of the gain
RESPONSE_RATE = 0.01  # of the running mean of a class's responses
SHORT_CHUNK = 2  # steps encoded at once where the presentation may end early
INHIBITORY_REFRACTORY = 2  # steps (Diehl and Cook 2015)


class StdpState(NamedTuple):
    """State of a network with STDP; its weights are scale_j times the stored ones."""

    weights: np.ndarray  # (inputs, neurons) float32 (int8 if quantised), >= 0
    scale: np.ndarray  # (neurons,) float64
    squares: np.ndarray  # (neurons,) float64, squared L2 norms of the stored weights
    responses: np.ndarray  # (neurons, classes) float32, mean share of a class's output spikes
    theta: np.ndarray  # (neurons,) float32, adaptive threshold
    learning_rate: np.ndarray  # (neurons,) float32, factor that falls with a neuron's spikes
    class_frames: np.ndarray  # (classes,) int64, labelled frames with output spikes
    gain: np.ndarray  # (1,) float64, see StdpNetwork
    window: np.ndarray  # (3,) float64: samples, output spikes and target since the correction
    generator: np.ndarray  # (1,) uint64, of the Bernoulli encoder while learning


class Model(NamedTuple):
    """What does not change in a presentation: the configuration as numbers.

    Kernels are handed it as one array, which costs a fraction of a tuple's conversion.
    """

    coding: int
    normalisation: int
    rule: int
    inhibition_kind: int
    inhibition: float  # fraction of the resting threshold
    membrane_decay: float  # a step
    synaptic_decay: float  # a step, 0 for an instantaneous current
    refractory_period: int  # steps
    reset_potential: float  # fraction of the resting threshold
    theta_step: float  # in a presentation with the wanted number of output spikes
    theta_decay: float  # a step
    output_spikes: float  # wanted, relative to the rule's own number
    inference_spikes: float  # output spikes aimed for in inference, relative to learning
    enhancement: bool  # whether the parameters follow T


@kernel
def model_of(numbers):
    """The model that an array of numbers stands for."""
    return Model(
        int(numbers[0]),
        int(numbers[1]),
        int(numbers[2]),
        int(numbers[3]),
        numbers[4],
        numbers[5],
        numbers[6],
        int(numbers[7]),
        numbers[8],
        numbers[9],
        numbers[10],
        numbers[11],
        numbers[12],
        numbers[13] > 0,
    )


@kernel
def target_spikes(expected, timesteps, neurons):
    """Output spikes a presentation that the gain is controlled for."""
    wanted = min(timesteps / STEPS_PER_OUTPUT, expected / INPUT_PER_OUTPUT)
    return min(max(wanted, 1.5), max(0.8 * np.sqrt(neurons), 1.5), 16.0)


class Dynamics(NamedTuple):
    """Excitatory and inhibitory neurons in one presentation, in units of the stored weights."""

    potential: np.ndarray  # (neurons,) float32
    current: np.ndarray  # (neurons,) float32, synaptic
    threshold: np.ndarray  # (neurons,) float32
    charge: np.ndarray  # (neurons,) float32, input of every step, CONSTANT_CURRENT
    sums: np.ndarray  # (neurons,) float32, memory of membrane.integrate
    held_until: np.ndarray  # (neurons,) int32, step in which the refractory period is over
    last_held: np.ndarray  # (1,) int32, the latest of them
    inhibiting: np.ndarray  # (neurons,) int32, inhibitory neurons that spike in the next step,
    inhibitors: np.ndarray  # (1,) int64, so many
    inhibitory_until: np.ndarray  # (neurons,) int32, refractory period of inhibitory neurons
    spiking: np.ndarray  # (neurons,) int32, excitatory neurons that spike in this step
    above: np.ndarray  # (neurons,) float32, memory of furthest_above and inhibit


class Memory(NamedTuple):
    """What presentations need, one after the other."""

    dynamics: Dynamics
    traces: plasticity.Traces
    firing: plasticity.Firing
    encoded: encoding.Encoded


class Presentation(NamedTuple):
    """How samples are presented, the same for all of a call; arguments as of `present_stdp`."""

    phases: np.ndarray
    start: np.ndarray
    source: np.ndarray
    rate: float
    expected: float
    timesteps: int
    learning: bool
    margin: float
    raster: np.ndarray


class Sample(NamedTuple):
    """One encoded sample, and what it is to cause."""

    coding: int
    count: int  # active inputs; GIVEN: spikes
    start: np.ndarray  # spikes of each step, see encoding.find_spikes
    source: np.ndarray
    generator: np.ndarray  # of the Bernoulli encoder
    target: float  # output spikes wanted
    gain: float  # of the thresholds
    window_steps: int  # from one update to the next under ADAPTIVE
    label: int


@allocating
def dynamics_of(neurons):
    """Memory for the dynamics, to be used for many samples."""
    return Dynamics(
        np.empty(neurons, np.float32),
        np.zeros(neurons, np.float32),
        np.empty(neurons, np.float32),
        np.empty(neurons, np.float32),
        np.empty(neurons, np.float32),
        np.empty(neurons, np.int32),
        np.empty(1, np.int32),
        np.empty(neurons, np.int32),
        np.empty(1, np.int64),
        np.empty(neurons, np.int32),
        np.empty(neurons, np.int32),
        np.empty(neurons, np.float32),
    )


@allocating
def memory_of(inputs, neurons):
    """Memory for presentations."""
    return Memory(
        dynamics_of(neurons),
        plasticity.traces_of(inputs),
        plasticity.firing_of(neurons),
        encoding.encoded_of(inputs),
    )


@kernel
def encode(model, state, encoded, presentation, pixels, label):
    """The sample, ready to be presented."""
    timesteps, learning = presentation.timesteps, presentation.learning
    generator = state.generator
    if not learning and model.coding == RATE_BERNOULLI:  # not even the generator's state changes
        generator = encoded.generator
        seed_from(generator, state.generator[0], pixels)
    coding, count = encoding.prepare(
        encoded,
        model.coding,
        model.normalisation,
        pixels,
        presentation.rate,
        timesteps,
        presentation.phases,
        True,
    )
    reference = timesteps if model.enhancement else FULL_TIMESTEPS
    expected = presentation.expected
    start, source = presentation.start, presentation.source
    if coding == GIVEN:
        count = source.size
        expected = count * reference / timesteps
    elif coding != CONSTANT_CURRENT:
        start, source = encoded.start, encoded.source
    target = model.output_spikes * target_spikes(expected, reference, state.scale.size)
    gain = state.gain[0] * expected / target
    if not learning:
        gain /= model.inference_spikes
    window_steps = plasticity.window_length(target, reference)
    return Sample(coding, count, start, source, generator, target, gain, window_steps, label)


@kernel
def rest_dynamics(model, dynamics):
    """All neurons at rest."""
    dynamics.potential[:] = 0
    dynamics.last_held[0] = 0
    dynamics.inhibitors[0] = 0
    if model.synaptic_decay > 0:
        dynamics.current[:] = 0
    if model.refractory_period > 0:
        dynamics.held_until[:] = 0
    if model.inhibition_kind == LAYER:
        dynamics.inhibitory_until[:] = 0
    if model.coding == CONSTANT_CURRENT:
        dynamics.charge[:] = 0


@kernel
def set_thresholds(threshold, theta, scale, gain, first, last):
    """Thresholds of neurons first to last - 1 from their theta and scale."""
    for j in range(first, last):
        threshold[j] = gain * (REST_THRESHOLD + theta[j]) / scale[j]


@kernel
def level_thresholds(threshold, theta, scale, gain):
    """Thresholds of all neurons from their mean theta."""
    level = gain * (REST_THRESHOLD + theta.sum() / theta.size)
    for j in range(threshold.size):
        threshold[j] = level / scale[j]


@kernel
def follow_weights(model, state, memory, sample, j, old_scale):
    """Let the dynamics of neuron j follow its changed weights and scale."""
    dynamics, encoded = memory.dynamics, memory.encoded
    ratio = np.float32(old_scale / state.scale[j])
    dynamics.potential[j] *= ratio
    dynamics.current[j] *= ratio
    set_thresholds(dynamics.threshold, state.theta, state.scale, sample.gain, j, j + 1)
    if sample.coding == CONSTANT_CURRENT:
        dynamics.charge[j] = membrane.charge_of(
            state.weights, j, encoded.active, encoded.probability, sample.count
        )


@kernel
def hold(model, state, dynamics, t, gain):
    """Keep refractory neurons at the reset potential."""
    for j in range(dynamics.potential.size):
        if t < dynamics.held_until[j]:
            dynamics.potential[j] = reset_value(model, state, j, gain)


@kernel
def reset_value(model, state, j, gain):
    """The potential of neuron j after a spike, in units of its stored weights."""
    return np.float32(model.reset_potential * gain * REST_THRESHOLD / state.scale[j])


@kernel
def inhibit(state, dynamics, sources, number, strength):
    """Every spike in sources[:number] takes `strength` from all neurons but its own."""
    for k in range(number):  # a neuron does not inhibit itself
        j = sources[k]
        dynamics.above[k] = dynamics.potential[j] - (number - 1) * strength / state.scale[j]
    for j in range(state.scale.size):
        dynamics.potential[j] -= number * strength / state.scale[j]
    for k in range(number):
        dynamics.potential[sources[k]] = dynamics.above[k]


@kernel
def furthest_above(potential, threshold, scale, above):
    """The neuron furthest above its threshold in real units, the first of equals.

    above: (neurons,) float32, memory. Floats that are not negative are ordered as the integers of
    their bits, and a maximum of integers is found many at a time.
    """
    for j in range(potential.size):
        above[j] = np.float32(scale[j]) * (potential[j] - threshold[j])
    bits = above.view(np.int32)
    most = np.int32(-1)
    for j in range(bits.size):
        most = max(most, bits[j])
    first = np.int32(bits.size)
    for j in range(bits.size):
        first = min(first, np.int32(j) if bits[j] == most else np.int32(bits.size))
    return first


@kernel
def spiking_neurons(dynamics, scale, winner_only):
    """Fill `spiking` with the neurons that spike, ascending; how many they are."""
    potential, threshold, spiking = dynamics.potential, dynamics.threshold, dynamics.spiking
    if membrane.reached(potential, threshold) == 0:
        return 0
    if winner_only:
        spiking[0] = furthest_above(potential, threshold, scale, dynamics.above)
        return 1
    count = 0
    for j in range(potential.size):
        if potential[j] >= threshold[j]:
            spiking[count] = j
            count += 1
    return count


@kernel
def reset(model, state, dynamics, count, t, gain):
    """Resets, refractory periods and inhibition after `count` output spikes in step t.

    Returns the synaptic operations that it takes.
    """
    if model.inhibition_kind == WINNER:
        dynamics.potential[:] = 0
        if model.reset_potential != 0:
            for j in range(dynamics.potential.size):
                dynamics.potential[j] = reset_value(model, state, j, gain)
        if model.refractory_period == 0:  # nothing else to do, at less cost
            return dynamics.potential.size - 1
    neurons = dynamics.potential.size
    for k in range(count):
        j = dynamics.spiking[k]
        dynamics.potential[j] = reset_value(model, state, j, gain)
    if model.refractory_period > 0:
        for k in range(count):
            dynamics.held_until[dynamics.spiking[k]] = t + 1 + model.refractory_period
        dynamics.last_held[0] = t + 1 + model.refractory_period
    if model.inhibition_kind == LATERAL:
        strength = model.inhibition * gain * REST_THRESHOLD
        inhibit(state, dynamics, dynamics.spiking, count, strength)
        if model.refractory_period > 0:
            hold(model, state, dynamics, t, gain)
    if model.inhibition_kind == LAYER:
        for k in range(count):
            j = dynamics.spiking[k]
            if t + 1 >= dynamics.inhibitory_until[j]:
                dynamics.inhibiting[dynamics.inhibitors[0]] = j
                dynamics.inhibitors[0] += 1
                dynamics.inhibitory_until[j] = t + 2 + INHIBITORY_REFRACTORY
        return count + dynamics.inhibitors[0] * (neurons - 1)
    return count * (neurons - 1)


@kernel
def leave_traces(model, state, memory, sample, first, t, stop):
    """The presynaptic side of learning for the input of steps t to stop - 1.

    first: the step that `sample.start` begins with.
    Returns what an output spike in the last of them divides the traces by, and the number of
    weights changed.
    """
    firing, encoded = memory.firing, memory.encoded
    constant = sample.coding == CONSTANT_CURRENT
    source, amounts = sample.source, encoded.probability[:0]
    if constant:
        source, amounts = encoded.active, encoded.probability
    changed = 0
    growth = 1.0
    for step in range(t, stop):
        growth = plasticity.trace_growth(model.rule, step)
        begin, end = 0, sample.count
        if not constant:
            begin, end = sample.start[step - first], sample.start[step - first + 1]
        plasticity.remember(memory.traces, source, begin, end, amounts, growth)
        if model.rule == TRIPLET:
            for k in range(begin, end):
                amount = amounts[k] if amounts.size > 0 else 1.0
                changed += plasticity.after_input_spike(state, firing, source[k], amount, step)
    if constant and model.rule == TRIPLET:
        for k in range(firing.number[0]):
            j = firing.neurons[k]
            follow_weights(model, state, memory, sample, j, state.scale[j])
    return growth, changed


@kernel
def close_window(model, state, memory, sample):
    """Update the leading neuron under ADAPTIVE; the number of weights changed."""
    j = plasticity.leading_neuron(memory.firing)
    old = state.scale[j]
    changed = plasticity.after_window(state, memory.traces, memory.firing, j, sample.target)
    follow_weights(model, state, memory, sample, j, old)
    return changed


@kernel
def gather_evidence(responses, j, scores):
    """The evidence of one output spike of neuron j: the classes' shares in its responses."""
    total = np.float32(0)
    for c in range(scores.size):
        total += responses[j, c]
    if total > 0:
        for c in range(scores.size):
            scores[c] += responses[j, c] / total


@kernel
def settle(model, state, firing, target, output_spikes, timesteps, label):
    """What learning does after a presentation: homeostasis and the read-out.

    target: output spikes wanted in the `timesteps` that it took.
    """
    plasticity.after_presentation(model.rule, state, firing, timesteps)
    if label >= 0 and output_spikes > 0:
        state.class_frames[label] += 1
        rate = max(1.0 / state.class_frames[label], RESPONSE_RATE)
        for j in range(firing.count.size):
            share = firing.count[j] / output_spikes
            state.responses[j, label] += rate * (share - state.responses[j, label])
    if not model.enhancement:
        return
    state.window[0] += 1
    state.window[1] += output_spikes
    state.window[2] += target
    if state.window[0] == GAIN_WINDOW:
        ratio = (state.window[1] + 0.05 * GAIN_WINDOW) / state.window[2]
        state.gain[0] *= np.sqrt(min(max(ratio, 0.5), 2.0))
        state.window[:] = 0


@kernel
def rest(model, state, timesteps):
    """Theta decays with every step of a presentation while learning."""
    if model.theta_decay < 1:
        for j in range(state.theta.size):
            state.theta[j] *= model.theta_decay**timesteps


@kernel
def begin(model, state, memory, presentation, sample, new_thresholds):
    """All neurons and traces as they are before the first step."""
    dynamics, encoded = memory.dynamics, memory.encoded
    rest_dynamics(model, dynamics)
    if new_thresholds:
        if presentation.learning:
            neurons = state.scale.size
            set_thresholds(dynamics.threshold, state.theta, state.scale, sample.gain, 0, neurons)
        else:
            level_thresholds(dynamics.threshold, state.theta, state.scale, sample.gain)
    plasticity.forget(memory.traces, memory.firing)
    if sample.coding == CONSTANT_CURRENT:
        membrane.charge_by(
            dynamics.charge, state.weights, encoded.active, encoded.probability, sample.count
        )


@kernel
def integrate(model, state, dynamics, sample, first, t, stop):
    """Charge all neurons from step t on, until some may spike or `stop` is reached.

    first: the step that `sample.start` begins with.
    Returns the step after the last, and whether neurons may spike in the last (0: none).
    """
    inhibitors = dynamics.inhibitors[0]
    after, at_threshold = membrane.advance(
        dynamics.potential,
        dynamics.current,
        dynamics.threshold,
        state.weights,
        sample.start,
        sample.source,
        dynamics.charge,
        dynamics.sums,
        sample.coding == CONSTANT_CURRENT,
        np.float32(model.membrane_decay),
        np.float32(model.synaptic_decay),
        first,
        t,
        stop,
    )
    if inhibitors > 0:
        strength = model.inhibition * sample.gain * REST_THRESHOLD
        inhibit(state, dynamics, dynamics.inhibiting, inhibitors, strength)
        dynamics.inhibitors[0] = 0
        at_threshold = state.scale.size
    if t < dynamics.last_held[0]:
        hold(model, state, dynamics, t, sample.gain)
    return after, at_threshold


@kernel
def input_spikes_of(sample, first, t, stop):
    """Input spikes in steps t to stop - 1; first: the step that `sample.start` begins with."""
    if sample.coding == CONSTANT_CURRENT:
        return sample.count * (stop - t)
    return sample.start[stop - first] - sample.start[t - first]


@kernel
def fire(model, state, memory, presentation, sample, spikes, earlier, t, growth, scores):
    """What the output spikes of step t leave: evidence, raster and, while learning, weights.

    spikes, earlier: how many they are, and how many there were before.
    growth: what `leave_traces` gave. Returns the number of weights changed.
    """
    raster = presentation.raster
    changed = 0
    for k in range(spikes):
        j = memory.dynamics.spiking[k]
        gather_evidence(state.responses, j, scores)
        plasticity.count_output_spike(memory.firing, j)
        if earlier + k < raster.shape[0]:
            raster[earlier + k, 0] = t
            raster[earlier + k, 1] = j
        if presentation.learning:
            state.theta[j] += model.theta_step / sample.target
            old = state.scale[j]
            changed += plasticity.after_output_spike(
                model.rule,
                state,
                memory.traces,
                memory.firing,
                j,
                growth,
                t,
                sample.target,
                sample.label,
            )
            follow_weights(model, state, memory, sample, j, old)
    return changed


@kernel
def present(model, state, memory, presentation, pixels, label, scores, new_thresholds):
    """Present one sample, fill `scores` and the raster.

    Returns what `present_stdp` reports after `predicted`.
    """
    dynamics, firing = memory.dynamics, memory.firing
    timesteps, learning = presentation.timesteps, presentation.learning
    neurons = state.scale.size
    updated = neurons * (2 if model.inhibition_kind == LAYER else 1)  # neurons a step
    sample = encode(model, state, memory.encoded, presentation, pixels, label)
    scores[:] = 0
    if sample.count == 0:
        if learning:
            rest(model, state, timesteps)
        return timesteps, 0, 0, 0, updated * timesteps, 0

    begin(model, state, memory, presentation, sample, new_thresholds)
    adaptive = learning and model.rule == ADAPTIVE
    window_spikes = 0  # output spikes since the last update under ADAPTIVE
    input_spikes = output_spikes = synaptic_operations = synaptic_updates = 0
    first = t = 0  # steps
    last = timesteps if sample.coding == GIVEN or sample.coding == CONSTANT_CURRENT else 0
    while t < timesteps:
        if t == last:
            chunk = CHUNK if presentation.margin == np.inf else SHORT_CHUNK
            first, last = t, min(t + chunk, timesteps)
            encoding.find_spikes(
                sample.coding, memory.encoded, sample.count, t, last, sample.generator
            )
        stop = last
        if adaptive:
            if t % sample.window_steps == 0 and window_spikes > 0:
                synaptic_updates += close_window(model, state, memory, sample)
                window_spikes = 0
            stop = min(stop, t - t % sample.window_steps + sample.window_steps)
        one_by_one = learning and model.rule == TRIPLET and firing.number[0] > 0
        if dynamics.inhibitors[0] > 0 or t < dynamics.last_held[0] or one_by_one:
            stop = t + 1

        since = t
        t, at_threshold = integrate(model, state, dynamics, sample, first, since, stop)
        input_spikes += input_spikes_of(sample, first, since, t)
        growth = 1.0
        if learning:
            growth, changed = leave_traces(model, state, memory, sample, first, since, t)
            synaptic_updates += changed
        if at_threshold == 0:
            continue
        spikes = spiking_neurons(dynamics, state.scale, model.inhibition_kind == WINNER)
        if spikes == 0:
            continue
        synaptic_operations += reset(model, state, dynamics, spikes, t - 1, sample.gain)
        synaptic_updates += fire(
            model,
            state,
            memory,
            presentation,
            sample,
            spikes,
            output_spikes,
            t - 1,
            growth,
            scores,
        )
        output_spikes += spikes
        window_spikes += spikes
        if presentation.margin < np.inf and top2_margin(scores) >= presentation.margin:
            break

    if output_spikes > 0:
        scores /= np.float32(output_spikes)
    if learning:
        if adaptive and window_spikes > 0:
            synaptic_updates += close_window(model, state, memory, sample)
        if input_spikes > 0:
            target = sample.target * t / timesteps
            settle(model, state, firing, target, output_spikes, t, label)
        rest(model, state, t)
    synaptic_operations += input_spikes * neurons
    return t, input_spikes, output_spikes, synaptic_operations, updated * t, synaptic_updates


@entry_point
def present_stdp(
    numbers,
    weights,
    scale,
    squares,
    responses,
    theta,
    learning_rate,
    class_frames,
    gain,
    window,
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
    """Present samples one after the other.

    numbers: a Model. weights ... generator: a StdpState.
    pixels: (samples, inputs) float32; if GIVEN, one black sample, whose spikes are in start and
        source (as of encoding.find_spikes).
    rate, expected: spikes a step of unit drive, spikes a presentation of a typical sample.
    margin: lead of a class, in output spikes, that ends a presentation early; inf for never.
    Filled: scores (samples, classes) float32, grounds as of a Presenter, and outcomes (samples, 7)
    int64: predicted (-1 if there is no evidence), steps, input spikes, output spikes, synaptic
    operations, neuron updates, synaptic updates. Of the last sample also raster (spikes, 2) int32,
    step and neuron of its output spikes, as many as it has room for.
    """
    model = model_of(numbers)
    state = StdpState(
        weights,
        scale,
        squares,
        responses,
        theta,
        learning_rate,
        class_frames,
        gain,
        window,
        generator,
    )
    memory = memory_of(weights.shape[0], weights.shape[1])
    presentation = Presentation(
        phases, start, source, rate, expected, timesteps, learning, margin, raster
    )
    ready = False  # whether the thresholds are set, which only learning changes
    for sample in range(pixels.shape[0]):
        outcomes[sample, 1:] = present(
            model,
            state,
            memory,
            presentation,
            pixels[sample],
            labels[sample],
            scores[sample],
            learning or not ready,
        )
        ready = ready or outcomes[sample, 2] > 0
        outcomes[sample, 0] = strongest(scores[sample])
        taken_out = labels[sample] if learning else -1
        _, grounds[sample, 0] = most_likely(scores[sample], class_frames, taken_out)
        grounds[sample, 1] = np.nan  # spikes tell classes apart, not what is like none of them
