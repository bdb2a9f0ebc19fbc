"""Made-up backgrounds: a picture's object where it has never been seen.

The object is told from the picture alone: a pixel belongs to it as far as it differs from the mean
colour of the picture's edge. If the edge itself varies much there is no even background, and
nothing is made up. Else a picture of dead leaves comes behind the object: discs and boards of all
sizes and colours that cover each other (Matheron 1968), with the statistics of natural images (Lee,
Mumford and Huang 2001). Each one is different, and the same seed makes the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .channels import FRAME, mean_of_frame
from .compilation import allocating, kernel, routine
from .randomness import GOLDEN_GAMMA, mixed, uniform

DIFFERENT = 0.4  # of full scale: a pixel that differs from the background so much is all object
MOST_UNEVEN = 1 / 3  # share of the edge that is object by this, with an even background
LEAVES = 10, 60  # of a picture, least and most
SMALLEST = 1 / 16  # half a leaf's size over the picture's side
BROADEST = 22.0  # times as much
DISCS = 0.5  # share of the leaves that are round
BASE = 0.25, 0.75  # of full scale, mean of a picture in each colour
SPREAD = 0.1, 0.6  # of a picture's leaves around it, of full scale
LIGHT, COLOUR = 1.4, 0.3  # most that leaves differ by in light, and in each colour, in spreads
BOARD = 0.15, 1.15  # a half side over the leaf's size


class Memory(NamedTuple):
    """Memory for one picture."""

    background: np.ndarray  # (channels,) float32, mean colour of the picture's edge
    leaves: np.ndarray  # (side, side, channels) float32
    base: np.ndarray  # (channels,) float32, mean colour of its leaves
    paint: np.ndarray  # (channels,) float32, of one leaf
    generator: np.ndarray  # (1,) uint64


@allocating
def memory_of(side, image_channels):
    """Memory for pictures of this side, pixels."""
    return Memory(
        np.empty(image_channels, np.float32),
        np.empty((side, side, image_channels), np.float32),
        np.empty(image_channels, np.float32),
        np.empty(image_channels, np.float32),
        np.empty(1, np.uint64),
    )


@routine
def find_background(picture, memory):
    """Fill `background`; whether it is even.

    picture: (side, side, 1 or 3) float32, 0 to 1.
    """
    side, _, channels = picture.shape
    for c in range(channels):
        memory.background[c] = mean_of_frame(picture[:, :, c])
    different, pixels = 0.0, 0
    for y in range(side):
        for x in range(side):
            if min(x, y, side - 1 - x, side - 1 - y) < FRAME:
                different += object_share(picture[y, x], memory.background)
                pixels += 1
    return different < MOST_UNEVEN * pixels


@kernel
def object_share(pixel, background):
    """How much of a pixel is object, 0 to 1."""
    difference = np.float32(0)
    for c in range(pixel.size):
        difference = max(difference, abs(pixel[c] - background[c]))
    return min(difference * np.float32(1 / DIFFERENT), np.float32(1))


@routine
def invent(picture, label, frame, memory):
    """Put another background in the place of the one found, in place.

    picture: as it was found in. label, frame: class, and which one of it: these make the
    background.
    """
    side, _, channels = picture.shape
    memory.generator[0] = mixed(mixed(np.uint64(label) + GOLDEN_GAMMA) + np.uint64(frame))
    draw_leaves(memory)
    for y in range(side):
        for x in range(side):
            share = object_share(picture[y, x], memory.background)
            for c in range(channels):
                leaf = memory.leaves[y, x, c]
                picture[y, x, c] = leaf + share * (picture[y, x, c] - leaf)


@routine
def draw_leaves(memory):
    """Fill `leaves`, the last one on top."""
    generator, base, paint, leaves = memory.generator, memory.base, memory.paint, memory.leaves
    side, _, channels = leaves.shape
    for c in range(channels):
        base[c] = within(BASE, generator)
    spread = within(SPREAD, generator)
    for y in range(side):
        for x in range(side):
            for c in range(channels):
                leaves[y, x, c] = base[c]
    for _ in range(int(within(LEAVES, generator))):
        light = within((-LIGHT, LIGHT), generator)
        for c in range(channels):
            colour = base[c] + spread * (light + within((-COLOUR, COLOUR), generator))
            paint[c] = min(max(colour, 0.0), 1.0)
        size = side * SMALLEST / np.sqrt(within((1 / BROADEST**2, 1.0), generator))
        centre_x, centre_y = side * uniform(generator), side * uniform(generator)
        if uniform(generator) < DISCS:
            draw_disc(leaves, paint, centre_x, centre_y, size)
        else:
            turned = np.pi * uniform(generator)
            wide, high = size * within(BOARD, generator), size * within(BOARD, generator)
            draw_board(leaves, paint, centre_x, centre_y, turned, wide, high)


@kernel
def within(limits, generator):
    """The next random number from one limit to the other."""
    return limits[0] + (limits[1] - limits[0]) * uniform(generator)


@routine
def draw_disc(leaves, paint, centre_x, centre_y, radius):
    """Pixels at its rim take a share of the paint."""
    side = leaves.shape[0]
    for y in range(max(0, int(centre_y - radius)), min(side, int(centre_y + radius) + 2)):
        for x in range(max(0, int(centre_x - radius)), min(side, int(centre_x + radius) + 2)):
            blend(leaves[y, x], paint, radius - np.hypot(x - centre_x, y - centre_y))


@routine
def draw_board(leaves, paint, centre_x, centre_y, turned, wide, high):
    """turned: radians. wide, high: half of its sides, pixels."""
    side = leaves.shape[0]
    reach = wide + high
    cosine, sine = np.cos(turned), np.sin(turned)
    for y in range(max(0, int(centre_y - reach)), min(side, int(centre_y + reach) + 2)):
        for x in range(max(0, int(centre_x - reach)), min(side, int(centre_x + reach) + 2)):
            along = cosine * (x - centre_x) + sine * (y - centre_y)
            across = cosine * (y - centre_y) - sine * (x - centre_x)
            blend(leaves[y, x], paint, min(wide - abs(along), high - abs(across)))


@kernel
def blend(pixel, paint, inside):
    """Paint a pixel that lies so far within a leaf, pixels; negative: beyond its rim."""
    share = np.float32(min(max(inside + 0.5, 0.0), 1.0))
    if share > 0:
        for c in range(pixel.size):
            pixel[c] += share * (paint[c] - pixel[c])
