"""Encoders: from the intensities of one sample to spikes, or to a graded current.

Every encoder but FIRST_SPIKE expects of input i the same number of spikes a step,

    p_i = min(1, rate x_i / norm),    norm = ||x||_2 or the full scale, 255.

They share one small interface: `prepare` finds the active inputs, `spikes_between` lists their
spikes in some steps, step by step, and `count_spikes` gives the number of each input's alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .compilation import kernel
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

WORD = 64  # Bernoulli trials that are made at once
ALL = np.uint64(2**64 - 1)
ONE, ZERO = np.uint64(1), np.uint64(0)
# The place of the only set bit of a word, by a perfect hash (Leiserson, Prokop and Randall 1998).
DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
DE_BRUIJN_SHIFT = np.uint64(58)
PLACE_OF_BIT = np.zeros(64, np.int64)
for _place in range(64):
    PLACE_OF_BIT[(int(DE_BRUIJN) << _place & 2**64 - 1) >> 58] = _place


class Encoded(NamedTuple):
    """One sample, (inputs,) each: the first entries, one for every active input, are in use."""

    active: np.ndarray  # int32, the inputs that may spike, ascending
    probability: np.ndarray  # float64, expected spikes a step
    interval: np.ndarray  # uint64, from spike to spike, in 2**-32 steps
    pending: np.ndarray  # uint64, the time of the next spike; BERNOULLI: the trials to come


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
def active_inputs(pixels, active):
    """Fill `active` with the inputs of non-zero intensity; how many they are."""
    count = 0
    whole = pixels.size - pixels.size % BLOCK
    for first in range(0, whole, BLOCK):
        total = np.float32(0)
        for i in range(first, first + BLOCK):
            total += pixels[i]
        if total > 0:
            for i in range(first, first + BLOCK):
                active[count] = i
                count += pixels[i] > 0
    for i in range(whole, pixels.size):
        active[count] = i
        count += pixels[i] > 0
    return count


@kernel
def encoded_of(inputs):
    """Memory for encoded samples."""
    return Encoded(
        np.empty(inputs + 1, np.int32),
        np.empty(inputs, np.float64),
        np.empty(inputs, np.uint64),
        np.empty(inputs, np.uint64),
    )


@kernel
def prepare(encoded, coding, normalisation, pixels, rate, timesteps, phases):
    """Encode a sample, pixels (inputs,) float32; its number of active inputs."""
    count = active_inputs(pixels, encoded.active)
    squares = 0.0
    brightest = 0.0
    for a in range(count):
        x = np.float64(pixels[encoded.active[a]])
        squares += x * x
        brightest = max(brightest, x)
    scale = rate / (WHITE if normalisation == FULL_SCALE else np.sqrt(squares))
    for a in range(count):
        encoded.probability[a] = min(1.0, scale * pixels[encoded.active[a]])
    if coding == FIRST_SPIKE:  # one spike, the brighter the earlier (Thorpe et al. 2001)
        for a in range(count):
            delay = (1.0 - pixels[encoded.active[a]] / brightest) * timesteps
            encoded.interval[a] = np.uint64(NEVER * STEP)
            encoded.pending[a] = np.uint64(min(delay, timesteps - 1.0) * STEP)
    elif coding == STRATIFIED:  # evenly spaced spikes, the first in the first interval
        for a in range(count):
            interval = min(1.0 / encoded.probability[a], NEVER) * STEP
            encoded.interval[a] = np.uint64(interval)
            encoded.pending[a] = np.uint64(phases[encoded.active[a]] * interval)
    return count


@kernel
def bernoulli_trials(probability, count, trials, generator):
    """Fill trials[:count] with 64 independent bits each, 1 with probability[:count].

    Every bit compares its probability with a random number, binary digit by digit and all of
    them at once, until none is undecided: exact to 2**-32, after some 15 random words an input.
    """
    digits = np.empty(count, np.uint64)
    undecided = np.empty(count, np.uint64)
    for a in range(count):
        certain = probability[a] >= 1.0
        trials[a] = ALL if certain else ZERO
        undecided[a] = ZERO if certain else ALL
        digits[a] = np.uint64(probability[a] * STEP)
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
def spikes_between(coding, encoded, count, first, last, generator, start):
    """The inputs that spike in steps first to last - 1, each once for every spike, int32.

    Those of step first + k are entries start[k] to start[k + 1] - 1; `start` is filled here. To
    be called for adjoining ranges of steps from 0 on, which end at each multiple of 64.
    """
    steps = last - first
    when = np.empty(count * steps, np.int32)
    which = np.empty(count * steps, np.int32)
    spikes = 0
    if coding == BERNOULLI:
        if first % WORD == 0:
            bernoulli_trials(encoded.probability, count, encoded.pending, generator)
        for a in range(count):
            bits = encoded.pending[a]
            if steps < WORD:
                encoded.pending[a] = bits >> np.uint64(steps)
                bits &= (ONE << np.uint64(steps)) - ONE
            while bits:
                lowest = bits & (~bits + ONE)
                when[spikes] = PLACE_OF_BIT[(lowest * DE_BRUIJN) >> DE_BRUIJN_SHIFT]
                which[spikes] = encoded.active[a]
                spikes += 1
                bits ^= lowest
    else:
        end = np.uint64(last) << FIXED_POINT
        for a in range(count):
            due = encoded.pending[a]
            while due < end:
                when[spikes] = np.int64(due >> FIXED_POINT) - first
                which[spikes] = encoded.active[a]
                spikes += 1
                due += encoded.interval[a]
            encoded.pending[a] = due
    # A counting sort by step, which keeps the inputs of a step in their order.
    start[: steps + 1] = 0
    for spike in range(spikes):
        start[when[spike] + 1] += 1
    for k in range(steps):
        start[k + 1] += start[k]
    place = start.copy()
    source = np.empty(spikes, np.int32)
    for spike in range(spikes):
        k = when[spike]
        source[place[k]] = which[spike]
        place[k] += 1
    return source


class Tally(NamedTuple):
    """Spike counts, (inputs,) each."""

    trace: np.ndarray  # float32, spikes of each input so far (GRADED: its charge)
    inputs: np.ndarray  # int32, the inputs that spiked in the latest steps, each once
    amounts: np.ndarray  # float32, how often each of them did
    latest: np.ndarray  # float32, zeros between two calls


@kernel
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
        else:
            start = np.empty(WORD + 1, np.int32)
            while first < last:
                until = min(first - first % WORD + WORD, last)
                some = spikes_between(coding, encoded, count, first, until, generator, start)
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
