"""Presentations to a network that reads features out by a linear discriminant, learned on line.

A class is a mean m_c of features, and all classes scatter alike: S is the scatter of samples around
their classes' means, summed (Fisher 1936). With A = (eps I + S)^-1 the class of a sample x has the
highest

    z_c = w_c^T x - m_c^T w_c / 2,    w_c = A m_c.

A sample of class y, of which k were seen before, changes all of this exactly, without an inversion:
with d = x - m_y, z = A d, f = k / (k + 1) and g = f / (1 + f d^T z),

    A <- A - g z z^T,    w_c <- w_c - g (m_c^T z) z for all classes,    m_y <- m_y + d / (k + 1).

So the order of the samples does not matter: classes that come one after the other are learned as
well as mixed ones, and nothing is forgotten.

How T changes features: it moves the means, and hardly the scatter. So there is one A, and a mean
for each of the LOOKS: a sample that is learned is looked at after so many steps, which begin one
another. Between two looks, means and weights follow 1 / T linearly. What is learned does not depend
on T then, and serves every T.

Backgrounds: of every CLUTTER_EVERY-th sample of a class the object is seen before a made-up
background too, if its own is even (kernels.clutter). By how much features move then, delta, is
scatter that all classes have in common: lam delta delta^T is added to S, and means stay. That is a
change of rank one as well, with z = A delta and g = lam / (1 + lam delta^T z). Which background it
is follows from the class and the number of its samples: so the order of the classes still does not
matter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import channels, clutter, denoising, encoded, features
from .compilation import allocating, entry_point, kernel, routine
from .readout import softmax, strongest, top2_margin
from .vectors import SQUARES, dot, dot_rows, subtract_outer_pair, subtract_rows, weigh_pair

LOOKS = np.array([1, 64])  # steps; ROWS of them
BLOCK = SQUARES  # elements; D is a multiple of it
CLUTTER_EVERY = 4  # samples of a class
CLUTTER_LOOK = 1  # that the object before another background is seen at, an index
SHARPNESS = 0.15  # of the softmax, of log likelihoods: features are less independent than they seem


class DiscriminantState(NamedTuple):
    """D features, C classes, L looks."""

    # Of pictures; an encoder's features need no filters, and all three are empty.
    edge_filters: np.ndarray  # (2 * 25, K) float32, see features.Bank
    surface_filters: np.ndarray  # (channels * 9, K) float32
    usual: np.ndarray  # (2,) float32, see features.Bank
    means: np.ndarray  # (L, C, D) float64
    weights: np.ndarray  # (L, C, D) float64, w_c
    overlaps: np.ndarray  # (L, 2, C) float64, m_c^T w_c at a look, and with w_c of the next
    # (D, D) float64, A: in float32 small steps would be lost in time. Each row from the beginning
    # of the BLOCK on that its diagonal lies in; the rest is the same mirrored, and left at 0.
    precision: np.ndarray
    class_frames: np.ndarray  # (C,) int64, labelled frames seen


class Memory(NamedTuple):
    """What presentations need, one after the other."""

    denoising: denoising.Memory
    canvas: channels.Canvas
    edges: features.Bank
    surfaces: features.Bank
    encoded: encoded.Inputs  # none where there are filters
    clutter: clutter.Memory
    seen: np.ndarray  # (D,) float64, features at present
    looks: np.ndarray  # (L, D) float64, features after each look; less the mean while learning
    as_it_is: np.ndarray  # (D,) float64, features before the background is another
    moved: np.ndarray  # (L, D) float64, z
    gains: np.ndarray  # (L,) float64, g
    products: np.ndarray  # (L,) float64
    following: np.ndarray  # (L,) float64


@allocating
def memory_of(state, side, image_channels, cells):
    """Memory for presentations."""
    size = state.precision.shape[0]
    usual = state.usual
    inputs = image_channels if state.edge_filters.size == 0 else 0
    return Memory(
        denoising.memory_of(side),
        channels.canvas_of(side),
        features.bank_of(state.edge_filters, usual[:1], side, 2, cells),
        features.bank_of(state.surface_filters, usual[1:], side // 2, 2 * image_channels, cells),
        encoded.inputs_of(inputs),
        clutter.memory_of(side, image_channels),
        np.empty(size),
        np.empty((LOOKS.size, size)),
        np.empty(size),
        np.empty((LOOKS.size, size)),
        np.empty(LOOKS.size),
        np.empty(LOOKS.size),
        np.empty(LOOKS.size),
    )


@kernel
def between(timesteps):
    """The look at or before T, and the share of the next one in what T sees."""
    look = 0
    while look + 1 < LOOKS.size and LOOKS[look + 1] <= timesteps:
        look += 1
    if look + 1 == LOOKS.size:
        return look, 0.0
    low, high = 1.0 / LOOKS[look], 1.0 / LOOKS[look + 1]
    return look, (low - 1.0 / timesteps) / (low - high)


@routine
def read_out(state, memory, timesteps, scores):
    """Fill the scores of the present features, a softmax over the classes seen; their number."""
    look, share = between(timesteps)
    frames = classes = 0
    for c in range(scores.size):
        frames += state.class_frames[c]
    sharpness = SHARPNESS * LOOKS.size * frames
    most = -np.inf
    for c in range(scores.size):
        if state.class_frames[c] == 0:
            continue
        classes += 1
        drive = dot(state.weights[look, c], memory.seen)
        overlap = state.overlaps[look, 0, c]
        if share > 0:
            drive += share * (dot(state.weights[look + 1, c], memory.seen) - drive)
            overlap *= (1 - share) ** 2
            overlap += 2 * share * (1 - share) * state.overlaps[look, 1, c]
            overlap += share**2 * state.overlaps[look + 1, 0, c]
        scores[c] = drive - overlap / 2
        most = max(most, scores[c])
    softmax(scores, state.class_frames, sharpness, most)
    return classes


@routine
def learn(state, memory, label):
    """Take the looks at a sample of a class into means, precision and weights; how many of these
    were rewritten."""
    before = state.class_frames[label]
    step = 1.0 / (before + 1.0)
    means, weights = state.means, state.weights
    deviations, moved = memory.looks, memory.moved
    size = state.precision.shape[0]
    for look in range(LOOKS.size):
        for d in range(size):
            deviations[look, d] -= means[look, label, d]
    weigh(state, memory)
    changed = 0
    if before > 0:
        changed = follow_scatter(state, memory, 1.0 - step)
    for look in range(LOOKS.size):
        for d in range(size):
            means[look, label, d] += step * deviations[look, d]
            weights[look, label, d] += step * moved[look, d]
    for look in range(LOOKS.size):
        overlaps = state.overlaps[look]
        overlaps[0, label] = dot(means[look, label], weights[look, label])
        if look + 1 < LOOKS.size:
            overlaps[1, label] = dot(means[look, label], weights[look + 1, label])
    state.class_frames[label] += 1
    return changed + 2 * LOOKS.size * size


@routine
def weigh(state, memory):
    """Fill `moved` with A times the deviations in `looks`."""
    deviations, moved = memory.looks, memory.moved
    moved[:] = 0
    for row in range(0, state.precision.shape[0], 2):
        begin = row - row % BLOCK
        weigh_pair(state.precision, row, begin, begin + BLOCK, deviations, moved)


@routine
def follow_scatter(state, memory, part):
    """A, and the weights of all classes, after the deviations of all looks, one after the other.

    part: f. memory.moved: A times the deviations; left as that with the new A. Returns how many
    weights were rewritten, those of A among them.
    """
    deviations, moved, gains = memory.looks, memory.moved, memory.gains
    for look in range(LOOKS.size):
        for earlier in range(look):
            subtract(
                moved[look], moved[earlier], gains[earlier] * dot(moved[earlier], deviations[look])
            )
        gains[look] = part / (1.0 + part * dot(deviations[look], moved[look]))
    size = state.precision.shape[0]
    for row in range(0, size, 2):
        subtract_outer_pair(state.precision, row, row - row % BLOCK, moved, gains)
    changed = size * (size + BLOCK) // 2
    for c in range(state.class_frames.size):
        if state.class_frames[c] > 0:
            follow_class(state, memory, c)
            changed += LOOKS.size * size
    for look in range(LOOKS.size):
        kept = gains[look] * dot(moved[look], deviations[look])
        for later in range(look + 1, LOOKS.size):
            memory.products[later] = gains[later] * dot(moved[later], deviations[look])
        subtract(moved[look], moved[look], kept)
        for later in range(look + 1, LOOKS.size):
            subtract(moved[look], moved[later], memory.products[later])
    return changed


@kernel
def follow_class(state, memory, c):
    """Weights and overlaps of a class whose means stay, after a change of A."""
    moved, gains = memory.moved, memory.gains
    changes, following = memory.products, memory.following
    for look in range(LOOKS.size):
        if look == 0:
            dot_rows(moved, state.means[0, c], following)
        overlaps = state.overlaps[look]
        for k in range(LOOKS.size):
            changes[k] = gains[k] * following[k]
            overlaps[0, c] -= changes[k] * following[k]
        subtract_rows(state.weights[look, c], moved, changes)
        if look + 1 < LOOKS.size:
            dot_rows(moved, state.means[look + 1, c], following)
            for k in range(LOOKS.size):
                overlaps[1, c] -= changes[k] * following[k]


@routine
def subtract(values, other, factor):
    """values -= factor * other."""
    for d in range(values.size):
        values[d] -= factor * other[d]


@routine
def next_stop(steps, timesteps, learning, margin):
    """The step up to which a presentation goes on: to learn, to the next look; to end early, twice
    as far as before."""
    stop = timesteps
    if learning:
        for look in LOOKS:
            if look > steps:
                stop = min(stop, look)
                break
    if margin < np.inf:
        stop = min(stop, max(1, 2 * steps))
    return stop


@routine
def advance(memory, steps, graded):
    """Present the steps up to this one, and fill the features; spikes, currents, additions."""
    edges, surfaces, seen = memory.edges, memory.surfaces, memory.seen
    if memory.encoded.drives.size > 0:
        spikes, currents = encoded.integrate(memory.encoded, steps, graded, seen)
        operations = spikes
    else:
        spikes, operations = features.send(edges, steps, graded)
        more_spikes, more_operations = features.send(surfaces, steps, graded)
        spikes, operations = spikes + more_spikes, operations + more_operations
        currents = features.compete(edges) + features.compete(surfaces)
        features.read_pooled(surfaces, seen, features.read_pooled(edges, seen, 0))
    for look in range(LOOKS.size):
        if LOOKS[look] == steps:
            for d in range(seen.size):
                memory.looks[look, d] = seen[d]
    return spikes, currents, operations


@routine
def show(picture, memory):
    """Begin to present a picture, which loses its noise."""
    noise = denoising.noise_of(picture, memory.denoising)
    denoising.denoise(picture, noise, memory.denoising)
    channels.drive_inputs(picture, memory.canvas, memory.edges.drives, memory.surfaces.drives)
    features.clear(memory.edges)
    features.clear(memory.surfaces)


@routine
def imagine(state, memory, picture, label, strength):
    """Take into the scatter what another background changes; strength: lam.

    The background of the picture is changed, if it is even: else nothing happens. Returns what
    `advance` does, and how many weights were rewritten.
    """
    if not clutter.find_background(picture, memory.clutter):
        return 0, 0, 0, 0
    clutter.invent(picture, label, state.class_frames[label], memory.clutter)
    show(picture, memory)
    spikes, currents, added = advance(memory, LOOKS[CLUTTER_LOOK], True)
    memory.looks[:] = 0
    for d in range(memory.seen.size):
        memory.looks[0, d] = memory.seen[d] - memory.as_it_is[d]
    weigh(state, memory)
    return spikes, currents, added, follow_scatter(state, memory, strength)


@routine
def present(state, memory, picture, timesteps, learning, label, margin, clutter_scatter, scores):
    """Present one sample, a picture, whose noise is taken out of it, or an encoder's features;
    returns what `present_discriminant` reports."""
    if memory.encoded.drives.size > 0:
        encoded.begin(memory.encoded, picture[0, 0])
    else:
        show(picture, memory)
    scores[:] = 0
    size = state.precision.shape[0]
    potentials = features.potentials(memory.edges) + features.potentials(memory.surfaces) + size
    teaching = learning and label >= 0
    input_spikes = output_spikes = operations = updates = steps = 0
    while steps < timesteps:
        before, steps = steps, next_stop(steps, timesteps, teaching, margin)
        spikes, currents, added = advance(memory, steps, False)
        input_spikes += spikes
        output_spikes += currents
        operations += currents + added
        updates += (steps - before) * potentials
        if currents > 0 and (steps == timesteps or margin < np.inf):
            classes = read_out(state, memory, steps, scores)
            operations += size * classes
            updates += classes
            if top2_margin(scores) >= margin:
                break
    predicted = strongest(scores)
    changed = 0
    if teaching:
        for look in LOOKS:
            if look > steps:
                spikes, currents, added = advance(memory, look, True)
                input_spikes += spikes
                output_spikes += currents
                operations += currents + added
                updates += potentials
        if output_spikes > 0:
            for d in range(size):
                memory.as_it_is[d] = memory.looks[CLUTTER_LOOK, d]
            changed = learn(state, memory, label)
            if clutter_scatter > 0 and state.class_frames[label] % CLUTTER_EVERY == 0:
                spikes, currents, added, more = imagine(
                    state, memory, picture, label, CLUTTER_EVERY * clutter_scatter
                )
                input_spikes += spikes
                output_spikes += currents
                operations += currents + added
                updates += potentials if more > 0 else 0
                changed += more
    return predicted, steps, input_spikes, output_spikes, operations, updates, changed


@entry_point
def present_discriminant(
    side,
    image_channels,
    cells,
    clutter_scatter,
    edge_filters,
    surface_filters,
    usual,
    means,
    weights,
    overlaps,
    precision,
    class_frames,
    pixels,
    timesteps,
    learning,
    labels,
    margin,
    scores,
    outcomes,
    raster,
):
    """Present pictures, (samples, side * side * channels) float32, one after the other; what they
    have of noise is taken out of them. Or an encoder's features, each sample a picture of 1 pixel.

    side, image_channels: of the pictures. cells: a side of the grid that currents are pooled in.
    clutter_scatter: lam for each sample, 0 for no other backgrounds. edge_filters ... class_frames:
    a DiscriminantState. The rest is as of a Presenter; output spikes are not listed.
    """
    state = DiscriminantState(
        edge_filters, surface_filters, usual, means, weights, overlaps, precision, class_frames
    )
    memory = memory_of(state, side, image_channels, cells)
    for sample in range(pixels.shape[0]):
        outcomes[sample] = present(
            state,
            memory,
            pixels[sample].reshape(side, side, image_channels),
            timesteps,
            learning,
            labels[sample],
            margin,
            clutter_scatter,
            scores[sample],
        )
