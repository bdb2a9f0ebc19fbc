"""Encoders: from the intensities of one sample to spikes, or to a constant current.

Every encoder but LATENCY expects of input i the same number of spikes a step,

    p_i = min(1, rate x_i / norm),    norm = ||x||_2 or the full scale, 255.

They share one small interface: `prepare` makes the sample ready, `find_spikes` lists the spikes in
some steps, step by step, and `count_spikes` gives the number of each input's alone.

A RATE_REGULAR input is an integrator: it starts from a charge of its own, gains p_i a step, and at
1 spikes and keeps the rest. Charges are multiples of 2**-PHASE_BITS, so that their sums are exact
and the two ways to find the spikes agree: where many are due, all inputs are charged step by step,
many at a time; where few are, the steps in between are skipped by a calendar.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import vectors
from .compilation import allocating, entry_point, kernel
from .randomness import GOLDEN_GAMMA, mixed
from .vectors import LANES, PHASE_BITS, PHASE_ONE, SQUARES

RATE_REGULAR, RATE_BERNOULLI, CONSTANT_CURRENT, LATENCY, GIVEN = range(5)
STEP_BY_STEP = 5  # RATE_REGULAR, of a sample with many spikes
L2_NORM, FULL_SCALE = range(2)

FULL_TIMESTEPS = 350  # T0: of Diehl and Cook (2015), and of the parameters without enhancement
WHITE = 255.0  # full scale
BLOCK = 8  # pixels that are passed over together if they are black

# Times are 32.32 fixed-point numbers of steps: their sums are exact.
FIXED_POINT = np.uint64(32)
STEP = 2.0**32
NEVER = np.uint64(2**20 << 32)  # steps, more than any presentation has

FEW = 32  # inputs to a spike a step: with fewer spikes, a calendar is the faster way to find them

SPARE = 8  # spikes that are listed at a time, whether there are so many or not

CHUNK = 64  # steps that are encoded at once, at most: the bits of a word of Bernoulli trials
ALL = np.uint64(2**64 - 1)
ONE, ZERO = np.uint64(1), np.uint64(0)
LAST_DAY = np.uint64(CHUNK - 1)


@entry_point
def acceptable(pixels):
    """Whether all intensities, (n,) float32, are finite and not negative."""
    rejected = np.int32(0)
    for value in pixels:
        rejected |= np.int32(not (value >= 0 and value < np.inf))
    return rejected == 0


class Encoded(NamedTuple):
    """One sample and its spikes in some steps.

    Entries are one for every active input, (inputs + 1,) or (inputs,); phase and increment, of
    RATE_REGULAR, one for every input and zeros up to a multiple of LANES.
    """

    phase: np.ndarray  # int32, what an input has gained since its last spike
    increment: np.ndarray  # int32, what it gains a step
    active: np.ndarray  # (inputs + 1,) int32, the inputs that may spike, ascending
    probability: np.ndarray  # (inputs + 1,) float64, expected spikes a step; not of RATE_REGULAR
    interval: np.ndarray  # (inputs,) uint64, 2**-32 steps; of RATE_BERNOULLI digits of probability
    pending: np.ndarray  # (inputs,) uint64, time of the next spike; RATE_BERNOULLI: trials to come
    undecided: np.ndarray  # (inputs,) uint64, RATE_BERNOULLI: trials whose outcome is still open
    generator: np.ndarray  # (1,) uint64, RATE_BERNOULLI: of a sample that is not learned
    head: np.ndarray  # (CHUNK,) int32, calendar: the first entry of each day,
    following: np.ndarray  # (inputs,) int32, and the one after each; -1 for none
    start: np.ndarray  # (CHUNK + 1,) int32, where the spikes of each step start,
    source: np.ndarray  # (inputs * CHUNK + SPARE,) int32, and the inputs that they come from


def spike_phases(inputs):
    """The phase that each input of a sample starts with, int32, zeros up to a multiple of LANES.

    Multiples of the golden ratio: neighbouring inputs of one rate spike at evenly spread times,
    and of neighbours too faint to spike in every presentation an even share does. The phases
    stay from sample to sample, so that equal samples give equal spikes: fresh random phases are
    noise, which at few spikes costs most of the accuracy.
    """
    multiples = np.arange(1, inputs + 1, dtype=np.uint64) * GOLDEN_GAMMA
    phases = (multiples >> np.uint64(64 - PHASE_BITS)).astype(np.int32)
    return np.pad(phases, (0, -inputs % LANES))


@kernel
def find_active(encoded, values):
    """List the inputs of non-zero value; how many they are.

    An index is unsigned, for signed ones may be negative and count from the end.
    """
    active = encoded.active
    count = ZERO
    whole = values.size - values.size % BLOCK
    for first in range(0, whole, BLOCK):
        total = values[first]
        for i in range(first + 1, first + BLOCK):
            total += values[i]
        if total > 0:
            for i in range(first, first + BLOCK):
                active[count] = i
                count += np.uint64(values[i] > 0)
    for i in range(whole, values.size):
        active[count] = i
        count += np.uint64(values[i] > 0)
    return np.int64(count)


@kernel
def norm(pixels):
    """L2."""
    whole = pixels.size - pixels.size % SQUARES
    squares = vectors.sum_of_squares(pixels, whole)
    for i in range(whole, pixels.size):
        squares += np.float64(pixels[i]) ** 2
    return np.sqrt(squares)


@allocating
def encoded_of(inputs):
    """Memory for encoded samples."""
    padded = inputs + -inputs % LANES
    return Encoded(
        np.zeros(padded, np.int32),
        np.zeros(padded, np.int32),
        np.empty(inputs + 1, np.int32),
        np.empty(inputs + 1),
        np.empty(inputs, np.uint64),
        np.empty(inputs, np.uint64),
        np.empty(inputs, np.uint64),
        np.empty(1, np.uint64),
        np.empty(CHUNK, np.int32),
        np.empty(inputs, np.int32),
        np.empty(CHUNK + 1, np.int32),
        np.empty(inputs * CHUNK + SPARE, np.int32),
    )


@kernel
def prepare(encoded, coding, normalisation, pixels, rate, timesteps, phases, listing):
    """Encode a sample, pixels (inputs,) float32, whose spikes are to be listed or only counted.

    Returns the coding that the other two functions are to be called with, and the number of
    entries, 0 if there is no input.
    """
    length = WHITE
    if normalisation == L2_NORM:
        length = norm(pixels)
        if length == 0:
            return coding, 0
    scale = rate / length
    if coding == RATE_REGULAR:
        return prepare_phases(encoded, pixels, scale, phases, listing)
    count = find_active(encoded, pixels)
    brightest = 0.0
    for a in range(count):
        x = np.float64(pixels[encoded.active[a]])
        encoded.probability[a] = min(1.0, scale * x)
        brightest = max(brightest, x)
    if coding == LATENCY:  # one spike, the brighter the earlier (Thorpe et al. 2001)
        for a in range(count):
            delay = (1.0 - pixels[encoded.active[a]] / brightest) * timesteps
            encoded.interval[a] = NEVER
            encoded.pending[a] = np.uint64(min(delay, timesteps - 1.0) * STEP)
    elif coding == RATE_BERNOULLI:
        for a in range(count):
            encoded.interval[a] = np.uint64(encoded.probability[a] * STEP)
    return coding, count


@kernel
def prepare_phases(encoded, pixels, scale, phases, listing):
    """`prepare` for RATE_REGULAR."""
    inputs = pixels.size
    increment = encoded.increment
    a_step = 0
    for i in range(inputs):
        increment[i] = np.int32(min(1.0, scale * pixels[i]) * PHASE_ONE + 0.5)
        a_step += increment[i]
    if a_step == 0:
        return RATE_REGULAR, 0
    if not listing or a_step * FEW > inputs * PHASE_ONE:
        for i in range(phases.size):  # (a slice would count references)
            encoded.phase[i] = phases[i]
        return STEP_BY_STEP, inputs
    count = find_active(encoded, increment[:inputs])
    for a in range(count):
        i = encoded.active[a]
        interval = STEP * PHASE_ONE / increment[i]
        first = PHASE_ONE - 0.5 - phases[i]  # half a unit off every phase: never a tie
        encoded.interval[a] = np.int64(interval)  # signed: vectors convert to no other
        encoded.pending[a] = np.int64(first / PHASE_ONE * interval)
    return RATE_REGULAR, count


@kernel
def bernoulli_trials(digits, count, trials, undecided, generator):
    """Fill trials[:count] with 64 independent bits each, 1 with probability digits / 2**32.

    Every bit compares its probability with a random number, binary digit by digit and all of
    them at once, until none is undecided: exact to 2**-32, after some 15 random words an input.
    """
    for a in range(count):
        certain = digits[a] >> FIXED_POINT > ZERO
        trials[a] = ALL if certain else ZERO
        undecided[a] = ZERO if certain else ALL
    place = FIXED_POINT
    left = ALL
    while left and place:
        place -= ONE
        left = ZERO
        counter = generator[0]
        for a in range(count):
            word = mixed(counter + np.uint64(a + 1) * GOLDEN_GAMMA)
            digit = ZERO - (digits[a] >> place & ONE)  # 64 times
            trials[a] |= undecided[a] & digit & ~word
            undecided[a] &= ~(word ^ digit)
            left |= undecided[a]
        generator[0] = counter + np.uint64(count) * GOLDEN_GAMMA


@kernel
def enter(encoded, coding, a):
    """Enter the next spike of entry a, uint64, into the calendar, if there is any."""
    due = encoded.pending[a]
    if coding == RATE_BERNOULLI:
        if due == ZERO:
            return
        day = vectors.lowest_bit(due)
    else:
        day = due >> FIXED_POINT & LAST_DAY
    encoded.following[a] = encoded.head[day]
    encoded.head[day] = a


@kernel
def find_spikes(coding, encoded, count, first, last, generator):
    """Fill `start` and `source` with the spikes of steps first to last - 1, at most CHUNK.

    The inputs that spike in step first + k are source[start[k]:start[k + 1]], each once for every
    spike. To be called for adjoining ranges of steps from 0 on, which end at each multiple of
    CHUNK; their order does not depend on where else they end.
    """
    if coding == STEP_BY_STEP:
        charge_inputs(encoded, last - first)
    else:
        keep_calendar(coding, encoded, count, first, last, generator)


@kernel
def charge_inputs(encoded, steps):
    """`find_spikes` for STEP_BY_STEP."""
    start, source = encoded.start, encoded.source
    spikes = ZERO
    for step in range(steps):
        start[step] = spikes
        for first in range(0, encoded.phase.size, LANES):
            due = vectors.accumulate(encoded.phase, encoded.increment, first)
            end = spikes + vectors.set_bits(due)
            while spikes < end:
                for k in range(SPARE):  # to guess wrongly at the last one would take longer
                    source[spikes + np.uint64(k)] = np.uint64(first) + vectors.lowest_bit(due)
                    due &= due - ONE
                spikes += np.uint64(SPARE)
            spikes = end
    start[steps] = spikes


@kernel
def keep_calendar(coding, encoded, count, first, last, generator):
    """`find_spikes` by a calendar queue (Brown 1988): an entry waits in the list of the day, a
    step modulo CHUNK, on which it spikes next."""
    active, pending, interval = encoded.active, encoded.pending, encoded.interval
    head, following, start, source = (
        encoded.head,
        encoded.following,
        encoded.start,
        encoded.source,
    )
    if first == 0 or (coding == RATE_BERNOULLI and first % CHUNK == 0):
        if coding == RATE_BERNOULLI:
            bernoulli_trials(interval, count, pending, encoded.undecided, generator)
        head[:] = -1
        for a in range(count - 1, -1, -1):
            enter(encoded, coding, np.uint64(a))
    spikes = ZERO
    for step in range(first, last):
        start[step - first] = spikes
        day = np.uint64(step) & LAST_DAY
        waiting, head[day] = head[day], -1
        while waiting >= 0:
            a = np.uint64(waiting)
            waiting = following[a]
            if coding == RATE_BERNOULLI:
                source[spikes] = active[a]
                spikes += ONE
                pending[a] &= pending[a] - ONE  # without its lowest bit
            elif pending[a] >> FIXED_POINT == np.uint64(step):  # not in a later round
                source[spikes] = active[a]
                spikes += ONE
                pending[a] += interval[a]
            enter(encoded, coding, a)
    start[last - first] = spikes


class Tally(NamedTuple):
    """Spike counts, (inputs,) or, of entries, (inputs + 1,)."""

    trace: np.ndarray  # float32, spikes of each input so far (CONSTANT_CURRENT: its charge)
    inputs: np.ndarray  # int32, the inputs that spiked in the latest steps, each once
    amounts: np.ndarray  # float32, how often each of them did
    latest: np.ndarray  # float32, zeros between two calls


@allocating
def tally_of(inputs):
    """Memory for the counts of a presentation."""
    return Tally(
        np.zeros(inputs, np.float32),
        np.empty(inputs + 1, np.int32),
        np.empty(inputs + 1, np.float32),
        np.zeros(inputs, np.float32),
    )


@kernel
def trace_pixels(trace, pixels, normalisation, highest_rate):
    """Fill the presynaptic traces of a sample, (inputs,) float32: the spikes that are expected of
    each input in a single step."""
    length = norm(pixels) if normalisation == L2_NORM else WHITE
    scale = highest_rate / length
    for i in range(pixels.size):
        trace[i] = min(1.0, scale * pixels[i])


@kernel
def tally_listed(tally, listed, source):
    """List the inputs of some spikes, each once, after the first `listed`; how many there are."""
    for i in source:
        if tally.latest[i] == 0:
            tally.inputs[listed] = i
            listed += 1
        tally.latest[i] += 1
    return listed


@kernel
def count_spikes(coding, encoded, count, first, last, generator, start, source, tally):
    """Count the spikes of steps first to last - 1 without listing them one by one.

    To be called for adjoining ranges of steps from 0 on. start, source: the spikes if GIVEN.
    Returns how many inputs are listed in the tally, and the number of spikes.
    """
    listed = spikes = 0
    if coding == CONSTANT_CURRENT:
        for a in range(count):
            tally.inputs[a] = encoded.active[a]
            tally.amounts[a] = (last - first) * encoded.probability[a]
        listed, spikes = count, count * (last - first)
    elif coding == STEP_BY_STEP:
        entry = ZERO
        for i in range(count):
            total = encoded.phase[i] + (last - first) * np.int64(encoded.increment[i])
            encoded.phase[i] = total & (PHASE_ONE - 1)
            number = total >> PHASE_BITS
            tally.inputs[entry] = i
            tally.amounts[entry] = number
            entry += np.uint64(number > 0)
            spikes += number
        listed = np.int64(entry)
    elif coding == LATENCY:
        for a in range(count):
            if encoded.pending[a] >> FIXED_POINT < np.uint64(last):
                encoded.pending[a] = NEVER
                tally.inputs[listed] = encoded.active[a]
                tally.amounts[listed] = 1
                listed += 1
        spikes = listed
    else:
        if coding == GIVEN:
            listed = tally_listed(tally, 0, source[start[first] : start[last]])
        while coding == RATE_BERNOULLI and first < last:
            until = min(first - first % CHUNK + CHUNK, last)
            keep_calendar(coding, encoded, count, first, until, generator)
            some = encoded.source[: encoded.start[until - first]]
            listed = tally_listed(tally, listed, some)
            first = until
        for k in range(listed):
            i = tally.inputs[k]
            tally.amounts[k] = tally.latest[i]
            spikes += np.int64(tally.latest[i])
            tally.latest[i] = 0
    for k in range(listed):
        tally.trace[tally.inputs[k]] += tally.amounts[k]
    return listed, spikes
