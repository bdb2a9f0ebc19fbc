"""Encoders: from the intensities of one sample to spikes, or to a graded current.

Every encoder but FIRST_SPIKE expects of input i the same number of spikes a step,

    p_i = min(1, rate x_i / norm),    norm = ||x||_2 or the full scale, 255.

They share one small interface: `prepare` finds the active inputs, `find_spikes` lists their spikes
in some steps, step by step, and `count_spikes` gives the number of each input's alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .compilation import allocating, kernel
from .randomness import GOLDEN_GAMMA, mixed

STRATIFIED, BERNOULLI, GRADED, FIRST_SPIKE, GIVEN = range(5)
L2_NORM, FULL_SCALE = range(2)

FULL_TIMESTEPS = 350  # T0: of Diehl and Cook (2015), and of the parameters without enhancement
WHITE = 255.0  # full scale
BLOCK = 8  # pixels that are passed over together if they are black

# Times are 32.32 fixed-point numbers of steps: their sums are exact.
FIXED_POINT = np.uint64(32)
STEP = 2.0**32
NEVER = 2.0**20  # steps, more than any presentation has

CHUNK = 64  # steps that are encoded at once, at most: the bits of a word of Bernoulli trials
ALL = np.uint64(2**64 - 1)
ONE, ZERO = np.uint64(1), np.uint64(0)
LAST_DAY = np.uint64(CHUNK - 1)
# The place of the only set bit of a word, by a perfect hash (Leiserson, Prokop and Randall 1998).
DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
DE_BRUIJN_SHIFT = np.uint64(58)
PLACE_OF_BIT = np.zeros(64, np.int64)
for _place in range(64):
    PLACE_OF_BIT[(int(DE_BRUIJN) << _place & 2**64 - 1) >> 58] = _place


class Encoded(NamedTuple):
    """One sample, one entry for every active input, and its spikes in some steps."""

    active: np.ndarray  # (inputs + 1,) int32, the inputs that may spike, ascending
    probability: np.ndarray  # (inputs + 1,) float64, expected spikes a step
    phase: np.ndarray  # (inputs + 1,) float64, see spike_phases
    interval: np.ndarray  # (inputs,) uint64, 2**-32 steps; BERNOULLI: digits of the probability
    pending: np.ndarray  # (inputs,) uint64, time of the next spike; BERNOULLI: trials to come
    undecided: np.ndarray  # (inputs,) uint64, BERNOULLI: trials whose outcome is still open
    generator: np.ndarray  # (1,) uint64, BERNOULLI: of a sample that is not learned
    head: np.ndarray  # (CHUNK,) int32, calendar: the first entry of each day,
    following: np.ndarray  # (inputs,) int32, and the one after each; -1 for none
    start: np.ndarray  # (CHUNK + 1,) int32, where the spikes of each step start,
    source: np.ndarray  # (inputs * CHUNK,) int32, and the inputs that they come from


def spike_phases(inputs):
    """The share of an interval before an input's first spike, (inputs,) float64 in (0, 1).

    Multiples of the golden ratio: neighbouring inputs of one rate spike at evenly spread times,
    and of neighbours too faint to spike in every presentation an even share does. The phases
    stay from sample to sample, so that equal samples give equal spikes: fresh random phases are
    noise, which at few spikes costs most of the accuracy.
    """
    multiples = np.arange(1, inputs + 1, dtype=np.uint64) * GOLDEN_GAMMA
    return 1.0 - ((multiples >> FIXED_POINT).astype(np.float64) + 0.5) / STEP


@kernel
def find_active(encoded, pixels, phases):
    """List the inputs of non-zero intensity, with it in the place of their probability.

    Returns how many they are. What later loops need is laid out without gaps, for those to run
    many at a time. Indices are unsigned, for signed ones may be negative and count from the end.
    """
    active, intensity, phase = encoded.active, encoded.probability, encoded.phase
    count = ZERO
    whole = pixels.size - pixels.size % BLOCK
    for first in range(0, whole, BLOCK):
        total = np.float32(0)
        for i in range(first, first + BLOCK):
            total += pixels[i]
        if total > 0:
            for i in range(first, first + BLOCK):
                active[count] = i
                intensity[count] = pixels[i]
                phase[count] = phases[i]
                count += np.uint64(pixels[i] > 0)
    for i in range(whole, pixels.size):
        active[count] = i
        intensity[count] = pixels[i]
        phase[count] = phases[i]
        count += np.uint64(pixels[i] > 0)
    return np.int64(count)


@kernel
def norm(values):
    """L2. Four sums in turns: each addition waits for the one before it."""
    a = b = c = d = 0.0
    whole = values.size - values.size % 4
    for i in range(0, whole, 4):
        a += values[i] ** 2
        b += values[i + 1] ** 2
        c += values[i + 2] ** 2
        d += values[i + 3] ** 2
    for i in range(whole, values.size):
        a += values[i] ** 2
    return np.sqrt((a + b) + (c + d))


@allocating
def encoded_of(inputs):
    """Memory for encoded samples."""
    return Encoded(
        np.empty(inputs + 1, np.int32),
        np.empty(inputs + 1),
        np.empty(inputs + 1),
        np.empty(inputs, np.uint64),
        np.empty(inputs, np.uint64),
        np.empty(inputs, np.uint64),
        np.empty(1, np.uint64),
        np.empty(CHUNK, np.int32),
        np.empty(inputs, np.int32),
        np.empty(CHUNK + 1, np.int32),
        np.empty(inputs * CHUNK, np.int32),
    )


@kernel
def prepare(encoded, coding, normalisation, pixels, rate, timesteps, phases):
    """Encode a sample, pixels (inputs,) float32; its number of active inputs."""
    count = find_active(encoded, pixels, phases)
    probability = encoded.probability[:count]
    brightest = 0.0
    if coding == FIRST_SPIKE:
        for x in probability:
            brightest = max(brightest, x)
    scale = rate / (WHITE if normalisation == FULL_SCALE else norm(probability))
    for a in range(count):
        probability[a] = min(1.0, scale * probability[a])
    if coding == FIRST_SPIKE:  # one spike, the brighter the earlier (Thorpe et al. 2001)
        for a in range(count):
            delay = (1.0 - pixels[encoded.active[a]] / brightest) * timesteps
            encoded.interval[a] = np.uint64(NEVER * STEP)
            encoded.pending[a] = np.uint64(min(delay, timesteps - 1.0) * STEP)
    elif coding == BERNOULLI:
        for a in range(count):
            encoded.interval[a] = np.uint64(probability[a] * STEP)
    elif coding == STRATIFIED:  # evenly spaced spikes, the first in the first interval
        for a in range(count):
            interval = min(1.0 / probability[a], NEVER) * STEP
            encoded.interval[a] = np.int64(interval)  # signed: vectors convert to no other
            encoded.pending[a] = np.int64(encoded.phase[a] * interval)
    return count


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
    if coding == BERNOULLI:
        if due == ZERO:
            return
        day = np.uint64(PLACE_OF_BIT[((due & (~due + ONE)) * DE_BRUIJN) >> DE_BRUIJN_SHIFT])
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

    By a calendar queue (Brown 1988): an entry waits in the list of the day, a step modulo CHUNK,
    on which it spikes next.
    """
    active, pending, interval = encoded.active, encoded.pending, encoded.interval
    head, following, start, source = (
        encoded.head, encoded.following, encoded.start, encoded.source)
    if first == 0 or (coding == BERNOULLI and first % CHUNK == 0):
        if coding == BERNOULLI:
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
            if coding == BERNOULLI:
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
    """Spike counts, (inputs,) each."""

    trace: np.ndarray  # float32, spikes of each input so far (GRADED: its charge)
    inputs: np.ndarray  # int32, the inputs that spiked in the latest steps, each once
    amounts: np.ndarray  # float32, how often each of them did
    latest: np.ndarray  # float32, zeros between two calls


@allocating
def tally_of(inputs):
    """Memory for the counts of a presentation."""
    return Tally(
        np.zeros(inputs, np.float32),
        np.empty(inputs, np.int32),
        np.empty(inputs, np.float32),
        np.zeros(inputs, np.float32),
    )


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
    if coding == GRADED:
        for a in range(count):
            tally.inputs[a] = encoded.active[a]
            tally.amounts[a] = (last - first) * encoded.probability[a]
        listed, spikes = count, count * (last - first)
    elif coding == STRATIFIED or coding == FIRST_SPIKE:
        end = np.uint64(last) << FIXED_POINT
        for a in range(count):
            due = encoded.pending[a]
            if due < end:
                number = (end - ONE - due) // encoded.interval[a] + ONE
                encoded.pending[a] = due + number * encoded.interval[a]
                tally.inputs[listed] = encoded.active[a]
                tally.amounts[listed] = number
                listed += 1
                spikes += np.int64(number)
    else:
        if coding == GIVEN:
            listed = tally_listed(tally, 0, source[start[first] : start[last]])
        while coding == BERNOULLI and first < last:
            until = min(first - first % CHUNK + CHUNK, last)
            find_spikes(coding, encoded, count, first, until, generator)
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
