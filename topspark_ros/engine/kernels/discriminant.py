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
for each of two looks: a sample that is learned is looked at after the FIRST step and after the LAST
one, and the first counts half in S. Between the two, means and weights follow 1 / T linearly. What
is learned does not depend on T then, and serves every T.

Backgrounds: of every CLUTTER_EVERY-th sample of a class the object is seen before a made-up
background too, if its own is even (kernels.clutter). By how much features move then, delta, is
scatter that all classes have in common: lam delta delta^T is added to S, and means stay. That is a
change of rank one as well, with z = A delta and g = lam / (1 + lam delta^T z). Which background it
is follows from the class and the number of its samples: so the order of the classes still does not
matter.

Novelty: how far a sample lies from the most similar exemplar of a class, a sample of it that was
kept. The mean of a class will not do: objects of one class differ among each other as much as they
differ from others. It is of every NOVELTY_EVERY-th feature, K of them, each by its own scatter s_i,
the diagonal of eps I + S. With d_i what sample and exemplar differ by, and f frames in the
scatter: those learned, but the first of each class, and as many as eps counts for,

    novelty = min over exemplars of f / K sum_i d_i^2 / s_i.

EXEMPLARS of each class are kept, spread out: once there are that many, a sample takes the place of
one of the two most similar exemplars, if it is less similar to all of them than these two are to
each other. So which ones are kept depends on the order of the samples, as nothing else does. Like
means, an exemplar is two looks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import clutter, encoded, seeing
from .compilation import allocating, entry_point, kernel, routine
from .readout import softmax, strongest, top2_margin
from .vectors import ROWS, SQUARES, dot, dot_rows, subtract_outer_pair, subtract_rows, weigh_pair

FIRST, LAST = 1, 64  # looks, steps
LOOKS = ROWS  # how many
FIRST_SHARE = 0.5  # of the first look in the scatter: its features are coarse
FRAME_SCATTER = FIRST_SHARE + 1  # looks that a frame is in the scatter
FRAMES_AT_FIRST = 1 / 16  # that eps counts for, for each feature
BLOCK = SQUARES  # elements; D is a multiple of it
CLUTTER_EVERY = 4  # samples of a class
NOVELTY_EVERY = 4  # features
EXEMPLARS = 32  # of a class
EXEMPLAR_STEP = 1 / 16  # of their features, which are kept as whole numbers of these
MOST_STEPS = 127
LEAST_ODDS = 1e-300  # of all other classes together
SHARPNESS = 0.15  # of the softmax, of log likelihoods: features are less independent than they seem


class DiscriminantState(NamedTuple):
    """D features, C classes, L = 2 looks."""

    # Of pictures; an encoder's features need no filters, and all three are empty.
    edge_filters: np.ndarray  # these three as of seeing.Filters
    surface_filters: np.ndarray
    usual: np.ndarray
    means: np.ndarray  # (L, C, D) float64
    weights: np.ndarray  # (L, C, D) float64, w_c
    overlaps: np.ndarray  # (3, C) float64, m_c^T w_c: first look, first with last, last
    # (D, D) float64, A: in float32 small steps would be lost in time. Each row from the beginning
    # of the BLOCK on that its diagonal lies in; the rest is the same mirrored, and left at 0.
    precision: np.ndarray
    class_frames: np.ndarray  # (C,) int64, labelled frames seen
    scatter: np.ndarray  # (K,) float64, s
    # (L, C, K, N) int8, features in EXEMPLAR_STEPs. Of a class of fewer frames than N, the first.
    exemplars: np.ndarray


class Memory(NamedTuple):
    """What presentations need, one after the other."""

    pictures: seeing.Memory
    encoded: encoded.Inputs  # none where there are filters
    clutter: clutter.Memory
    seen: np.ndarray  # (D,) float64, features at present
    drives: np.ndarray  # (C,) float64, z_c of these; -inf: the class was never seen
    looks: np.ndarray  # (L, D) float64, features after each look; less the mean while learning
    as_it_is: np.ndarray  # (D,) float64, features before the background is another
    moved: np.ndarray  # (L, D) float64, z
    gains: np.ndarray  # (L,) float64, g
    products: np.ndarray  # (L,) float64
    first: np.ndarray  # (L,) float64, z^T m_c of a class at the first look
    last: np.ndarray  # (L,) float64, and at the last one
    distances: np.ndarray  # (N,) float32, of a sample to the exemplars of a class
    exemplar: np.ndarray  # (L, K) int8, of the sample
    apart: np.ndarray  # (N,) float32, squared distances of exemplars to another one, whole numbers


@allocating
def memory_of(state, side, image_channels, cells):
    """Memory for presentations."""
    size = state.precision.shape[0]
    filters = seeing.Filters(state.edge_filters, state.surface_filters, state.usual)
    inputs = image_channels if state.edge_filters.size == 0 else 0
    return Memory(
        seeing.memory_of(filters, side, image_channels, cells),
        encoded.inputs_of(inputs),
        clutter.memory_of(side, image_channels),
        np.empty(size),
        np.empty(state.class_frames.size),
        np.empty((LOOKS, size)),
        np.empty(size),
        np.empty((LOOKS, size)),
        np.empty(LOOKS),
        np.empty(LOOKS),
        np.empty(LOOKS),
        np.empty(LOOKS),
        np.empty(EXEMPLARS, np.float32),
        np.empty((LOOKS, state.scatter.size), np.int8),
        np.empty(EXEMPLARS, np.float32),
    )


@kernel
def share_of_last(timesteps):
    """Of the last look in what T sees; the rest is of the first."""
    return (1.0 / FIRST - 1.0 / min(timesteps, LAST)) / (1.0 / FIRST - 1.0 / LAST)


@kernel
def frames_of(state):
    """Labelled frames seen, of all classes."""
    frames = 0
    for c in range(state.class_frames.size):
        frames += state.class_frames[c]
    return frames


@kernel
def sharpness_of(state):
    return SHARPNESS * FRAME_SCATTER * frames_of(state)


@routine
def read_out(state, memory, timesteps, scores):
    """Fill the scores of the present features, a softmax over the classes seen; their number."""
    share = share_of_last(timesteps)
    sharpness = sharpness_of(state)
    classes = 0
    most = -np.inf
    for c in range(scores.size):
        memory.drives[c] = -np.inf
        if state.class_frames[c] == 0:
            continue
        classes += 1
        drive = dot(state.weights[0, c], memory.seen)
        if share > 0:
            drive += share * (dot(state.weights[1, c], memory.seen) - drive)
        overlap = (1 - share) ** 2 * state.overlaps[0, c]
        overlap += 2 * share * (1 - share) * state.overlaps[1, c]
        overlap += share**2 * state.overlaps[2, c]
        memory.drives[c] = drive - overlap / 2
        scores[c] = memory.drives[c]
        most = max(most, scores[c])
    softmax(scores, state.class_frames, sharpness, most)
    return classes


@kernel
def most_likely(state, drives, taken_out):
    """The class with the highest drive, and its log-odds against all others, 0 if there are none;
    as if there were no class `taken_out`. -1 and NaN if there is no class at all."""
    best = -1
    for c in range(drives.size):
        if c != taken_out and drives[c] > -np.inf and (best < 0 or drives[c] > drives[best]):
            best = c
    if best < 0:
        return best, np.nan
    sharpness = sharpness_of(state)
    rivals = 0
    total = 0.0
    for c in range(drives.size):
        if c != taken_out and c != best and drives[c] > -np.inf:
            rivals += 1
            total += np.exp(sharpness * (drives[c] - drives[best]))
    if rivals == 0:
        return best, 0.0
    return best, -np.log(max(total, LEAST_ODDS))


@routine
def novelty_of(state, memory, timesteps, c):
    """Of the present features, as of class c."""
    share = np.float32(share_of_last(timesteps))
    distances = memory.distances
    distances[:] = 0
    for i in range(state.scatter.size):
        seen = np.float32(memory.seen[i * NOVELTY_EVERY] / EXEMPLAR_STEP)
        weight = np.float32(EXEMPLAR_STEP**2 / state.scatter[i])
        first, last = state.exemplars[0, c, i], state.exemplars[1, c, i]
        for e in range(EXEMPLARS):
            at_first = np.float32(first[e])
            d = seen - at_first - share * (np.float32(last[e]) - at_first)
            distances[e] += weight * d * d
    nearest = np.inf
    for e in range(min(state.class_frames[c], EXEMPLARS)):
        nearest = min(nearest, distances[e])
    frames = FRAMES_AT_FIRST * memory.seen.size
    for other in range(state.class_frames.size):
        frames += max(0, state.class_frames[other] - 1)
    return FRAME_SCATTER * frames * nearest / state.scatter.size


@routine
def keep_exemplar(state, memory, label):
    """Keep the looks at a sample, before it is learned, as an exemplar of its class, or not; how
    many numbers that counts as written, kept or not."""
    exemplar, exemplars = memory.exemplar, state.exemplars
    for look in range(LOOKS):
        for i in range(state.scatter.size):
            steps = memory.looks[look, i * NOVELTY_EVERY] / EXEMPLAR_STEP
            exemplar[look, i] = np.int8(min(np.rint(steps), MOST_STEPS))
    place = state.class_frames[label]
    if place >= EXEMPLARS:
        place = dispensable(exemplars[1, label], exemplar[1], memory.apart)
    if place >= 0:
        for look in range(LOOKS):
            for i in range(state.scatter.size):
                exemplars[look, label, i, place] = exemplar[look, i]
    return exemplar.size


@routine
def dispensable(exemplars, another, apart):
    """Which of the exemplars, (K, N), another one, (K,), should take the place of; -1: of none."""
    find_apart(exemplars, another, apart)
    least = apart[0]
    for e in range(1, EXEMPLARS):
        least = min(least, apart[e])
    place = -1
    for one in range(1, EXEMPLARS):
        find_apart(exemplars, exemplars[:, one], apart)
        for other in range(one):
            if apart[other] < least:
                least = apart[other]
                place = one
    return place


@routine
def find_apart(exemplars, another, apart):
    """Fill `apart` with the squared distances of exemplars, (K, N), to another one, (K,)."""
    apart[:] = 0
    for i in range(another.size):
        for e in range(EXEMPLARS):
            d = np.float32(exemplars[i, e]) - np.float32(another[i])
            apart[e] += d * d


@routine
def learn(state, memory, label):
    """Take the looks at a sample of a class into means, precision and weights; how many of these
    were rewritten."""
    before = state.class_frames[label]
    step = 1.0 / (before + 1.0)
    means, weights = state.means, state.weights
    deviations, moved = memory.looks, memory.moved
    size = state.precision.shape[0]
    changed = keep_exemplar(state, memory, label)
    for look in range(LOOKS):
        for d in range(size):
            deviations[look, d] -= means[look, label, d]
    weigh(state, memory)
    if before > 0:
        changed += follow_scatter(state, memory, 1.0 - step)
    for look in range(LOOKS):
        for d in range(size):
            means[look, label, d] += step * deviations[look, d]
            weights[look, label, d] += step * moved[look, d]
    overlaps = state.overlaps
    overlaps[0, label] = dot(means[0, label], weights[0, label])
    overlaps[1, label] = dot(means[0, label], weights[1, label])
    overlaps[2, label] = dot(means[1, label], weights[1, label])
    state.class_frames[label] += 1
    return changed + 2 * LOOKS * size


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
    """A, s and the weights of all classes, after the deviations of all looks, one after the other.

    part: f. memory.moved: A times the deviations; left as that with the new A. Returns how many
    weights were rewritten, A and s among them.
    """
    deviations, moved, gains = memory.looks, memory.moved, memory.gains
    for look in range(LOOKS):
        for earlier in range(look):
            subtract(
                moved[look], moved[earlier], gains[earlier] * dot(moved[earlier], deviations[look])
            )
        taken = part * FIRST_SHARE if look == 0 else part
        gains[look] = taken / (1.0 + taken * dot(deviations[look], moved[look]))
        for i in range(state.scatter.size):
            state.scatter[i] += taken * deviations[look, i * NOVELTY_EVERY] ** 2
    size = state.precision.shape[0]
    for row in range(0, size, 2):
        subtract_outer_pair(state.precision, row, row - row % BLOCK, moved, gains)
    changed = size * (size + BLOCK) // 2 + state.scatter.size
    for c in range(state.class_frames.size):
        if state.class_frames[c] > 0:
            follow_class(state, memory, c)
            changed += LOOKS * size
    for look in range(LOOKS):
        kept = gains[look] * dot(moved[look], deviations[look])
        for later in range(look + 1, LOOKS):
            memory.products[later] = gains[later] * dot(moved[later], deviations[look])
        subtract(moved[look], moved[look], kept)
        for later in range(look + 1, LOOKS):
            subtract(moved[look], moved[later], memory.products[later])
    return changed


@kernel
def follow_class(state, memory, c):
    """Weights and overlaps of a class whose means stay, after a change of A."""
    moved, gains, overlaps = memory.moved, memory.gains, state.overlaps
    first, last, changes = memory.first, memory.last, memory.products
    dot_rows(moved, state.means[0, c], first)
    dot_rows(moved, state.means[1, c], last)
    for k in range(LOOKS):
        overlaps[0, c] -= gains[k] * first[k] * first[k]
        overlaps[1, c] -= gains[k] * first[k] * last[k]
        overlaps[2, c] -= gains[k] * last[k] * last[k]
    for k in range(LOOKS):
        changes[k] = gains[k] * first[k]
    subtract_rows(state.weights[0, c], moved, changes)
    for k in range(LOOKS):
        changes[k] = gains[k] * last[k]
    subtract_rows(state.weights[1, c], moved, changes)


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
    if learning and steps < LAST:
        stop = min(stop, FIRST if steps < FIRST else LAST)
    if margin < np.inf:
        stop = min(stop, max(1, 2 * steps))
    return stop


@routine
def advance(memory, steps, graded):
    """Present the steps up to this one, and fill the features; spikes, currents, additions."""
    seen = memory.seen
    if memory.encoded.drives.size > 0:
        spikes, currents = encoded.integrate(memory.encoded, steps, graded, seen)
        operations = spikes
    else:
        spikes, operations = seeing.send(memory.pictures, steps, graded)
        currents = seeing.look(memory.pictures, seen)
    if steps == FIRST or steps == LAST:
        look = 0 if steps == FIRST else 1
        for d in range(seen.size):
            memory.looks[look, d] = seen[d]
    return spikes, currents, operations


@routine
def imagine(state, memory, picture, label, strength):
    """Take into the scatter what another background changes; strength: lam.

    The background of the picture is changed, if it is even: else nothing happens. Returns what
    `advance` does, and how many weights were rewritten.
    """
    if not clutter.find_background(picture, memory.clutter):
        return 0, 0, 0, 0
    clutter.invent(picture, label, state.class_frames[label], memory.clutter)
    seeing.show(picture, memory.pictures)
    spikes, currents, added = advance(memory, LAST, True)
    memory.looks[:] = 0
    for d in range(memory.seen.size):
        memory.looks[1, d] = memory.seen[d] - memory.as_it_is[d]
    weigh(state, memory)
    return spikes, currents, added, follow_scatter(state, memory, strength)


@routine
def present(
    state, memory, picture, timesteps, learning, label, margin, clutter_scatter, scores, grounds
):
    """Present one sample, a picture, whose noise is taken out of it, or an encoder's features;
    returns what `present_discriminant` reports."""
    if memory.encoded.drives.size > 0:
        encoded.begin(memory.encoded, picture[0, 0])
    else:
        seeing.show(picture, memory.pictures)
    scores[:] = 0
    size = state.precision.shape[0]
    potentials = seeing.potentials(memory.pictures) + size
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
    grounds[:] = np.nan
    nearest = -1
    if predicted >= 0:
        nearest, grounds[0] = most_likely(state, memory.drives, label if teaching else -1)
    if nearest >= 0:
        grounds[1] = novelty_of(state, memory, steps, nearest)
        operations += EXEMPLARS * state.scatter.size
        updates += EXEMPLARS
    changed = 0
    if teaching:
        if steps < LAST:
            spikes, currents, added = advance(memory, LAST, True)
            input_spikes += spikes
            output_spikes += currents
            operations += currents + added
            updates += potentials
        if output_spikes > 0:
            for d in range(size):
                memory.as_it_is[d] = memory.looks[1, d]
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
    scatter,
    exemplars,
    pixels,
    timesteps,
    learning,
    labels,
    margin,
    scores,
    grounds,
    outcomes,
    raster,
):
    """Present pictures, (samples, side * side * channels) float32, one after the other; what they
    have of noise is taken out of them. Or an encoder's features, each sample a picture of 1 pixel.

    side, image_channels: of the pictures. cells: a side of the grid that currents are pooled in.
    clutter_scatter: lam for each sample, 0 for no other backgrounds. edge_filters ...
    exemplars: a DiscriminantState. The rest is as of a Presenter; output spikes are not
    listed.
    """
    state = DiscriminantState(
        edge_filters,
        surface_filters,
        usual,
        means,
        weights,
        overlaps,
        precision,
        class_frames,
        scatter,
        exemplars,
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
            grounds[sample],
        )
