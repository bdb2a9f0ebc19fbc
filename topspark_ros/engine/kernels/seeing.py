"""Spiking features of pictures, for a layer that learns on them in the place of pixels.

Noise is taken out of a picture, then it is seen as in kernels.features, all steps at once. What a
layer is shown are the features after the last step.

Few steps change features, and a layer that learned them would fit that T alone. So a picture that
is learned is looked at later, after LEARNED_LOOK steps: each input that has more to say sends it as
one graded event. What is learned hardly depends on T then.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import channels, denoising, features
from .compilation import allocating, entry_point
from .discriminant import show

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
    edges, surfaces = memory.edges, memory.surfaces
    neurons = features.potentials(edges) + features.potentials(surfaces) + seen.shape[1]
    for sample in range(pictures.shape[0]):
        show(pictures[sample].reshape(side, side, image_channels), memory)
        spikes = added = 0
        for bank in (edges, surfaces):
            events, additions = features.send(bank, timesteps, False)
            spikes, added = spikes + events, added + additions
        steps = timesteps
        if learning and timesteps < LEARNED_LOOK:
            for bank in (edges, surfaces):
                events, additions = features.send(bank, LEARNED_LOOK, True)
                spikes, added = spikes + events, added + additions
            steps += 1
        currents = features.compete(edges) + features.compete(surfaces)
        features.read_pooled(surfaces, seen[sample], features.read_pooled(edges, seen[sample], 0))
        counts[sample, 0] = spikes
        counts[sample, 1] = currents
        counts[sample, 2] = added + currents
        counts[sample, 3] = steps * neurons
        counts[sample, 4] = 0
