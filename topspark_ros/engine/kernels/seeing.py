"""Pictures as both banks of filters see them; and for a layer that learns on that in the place of
pixels.

Noise is taken out of a picture, then it is seen as in kernels.features. What a layer is shown are
the features after the last step, all steps at once.

Few steps change features, and a layer that learned them would fit that T alone. So a picture that
is learned is looked at later, after LEARNED_LOOK steps: each input that has more to say sends it as
one graded event. What is learned hardly depends on T then.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import channels, denoising, features
from .compilation import allocating, entry_point, kernel, routine

LEARNED_LOOK = 64  # steps


class Filters(NamedTuple):
    """What pictures are seen by; K and M filters, see features.Bank."""

    edge_filters: np.ndarray  # (2 * 25, K) float32; where they are kept, also int8
    surface_filters: np.ndarray  # (2 * channels * 9, M), the same types
    usual: np.ndarray  # (2,) float32, mean of the pooled currents, in units of the filters


class Memory(NamedTuple):
    """What pictures need, one after the other."""

    denoising: denoising.Memory
    canvas: channels.Canvas
    edges: features.Bank
    surfaces: features.Bank


@allocating
def memory_of(filters, side, image_channels, cells):
    """Memory for pictures of this side, pixels."""
    usual = filters.usual
    return Memory(
        denoising.memory_of(side),
        channels.canvas_of(side),
        features.bank_of(filters.edge_filters, usual[:1], side, 2, cells),
        features.bank_of(filters.surface_filters, usual[1:], side // 2, 2 * image_channels, cells),
    )


@routine
def show(picture, memory):
    """Begin to present a picture, (side, side, channels) float32, which loses its noise."""
    noise = denoising.noise_of(picture, memory.denoising)
    denoising.denoise(picture, noise, memory.denoising)
    channels.drive_inputs(picture, memory.canvas, memory.edges.drives, memory.surfaces.drives)
    features.clear(memory.edges)
    features.clear(memory.surfaces)


@routine
def send(memory, timesteps, graded):
    """Present the steps up to `timesteps`; events and additions, as of `features.send`."""
    events, additions = features.send(memory.edges, timesteps, graded)
    more_events, more_additions = features.send(memory.surfaces, timesteps, graded)
    return events + more_events, additions + more_additions


@routine
def look(memory, seen):
    """Fill the features, (D,), of what was sent; returns how many filters fired."""
    edges, surfaces = memory.edges, memory.surfaces
    currents = features.compete(edges) + features.compete(surfaces)
    features.read_pooled(surfaces, seen, features.read_pooled(edges, seen, 0))
    return currents


@kernel
def potentials(memory):
    """How many potentials both banks keep up to date."""
    return features.potentials(memory.edges) + features.potentials(memory.surfaces)


@entry_point
def see_pictures(
    side,
    image_channels,
    cells,
    edge_filters,
    surface_filters,
    usual,
    pictures,
    timesteps,
    learning,
    seen,
    counts,
):
    """Fill the features of pictures after so many steps, and the operations that they take.

    side, image_channels: of the pictures. cells: a side of the grid that currents are pooled in.
    edge_filters ... usual: Filters. pictures: (samples, side * side * channels) float32, changed.
    learning: whether features are those after LEARNED_LOOK steps, if these are more.
    seen: (samples, D) float32; a feature of usual strength is 1. counts: (samples, 5) int64, an
    OperationCounts each.
    """
    filters = Filters(edge_filters, surface_filters, usual)
    memory = memory_of(filters, side, image_channels, cells)
    neurons = potentials(memory) + seen.shape[1]
    for sample in range(pictures.shape[0]):
        show(pictures[sample].reshape(side, side, image_channels), memory)
        spikes, added = send(memory, timesteps, False)
        steps = timesteps
        if learning and timesteps < LEARNED_LOOK:
            events, additions = send(memory, LEARNED_LOOK, True)
            spikes, added = spikes + events, added + additions
            steps += 1
        currents = look(memory, seen[sample])
        counts[sample, 0] = spikes
        counts[sample, 1] = currents
        counts[sample, 2] = added + currents
        counts[sample, 3] = steps * neurons
        counts[sample, 4] = 0
