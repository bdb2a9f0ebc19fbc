"""What a picture drives the input neurons with: contrast at its edges, and light and colour.

Each channel is rectified: one input neuron for more, one for less. Edges are of full resolution
and of equal strength wherever they are, as contrast is divided by what is usual around it. Light
and colour are of half the resolution. All drives are spikes a step, 0 to 1.

A picture of two channels is the brighter (ON) and darker (OFF) events of a sensor: these are edges
already.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .compilation import allocating, kernel, routine
from .vectors import correlate

FINE, COARSE, AROUND = 0.5, 1.5, 3.0  # standard deviations of Gaussians, pixels
LEAST_CONTRAST = 0.05  # that counts as some, of full scale
LEAST_LIGHT = 0.1  # of full scale, for ratios of colours
SURFACE_RATE = 4.0  # spikes a step of a surface channel of 1
SHADE = 0.6  # weight of light beside colours
FRAME = 2  # pixels at the edge of a grey picture, which show its background
REACH = 3  # standard deviations that a Gaussian is cut off at


def gaussian(deviation: float) -> np.ndarray:
    """Weights of a Gaussian, of sum 1, float32."""
    reach = math.ceil(REACH * deviation)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    return (weights / weights.sum()).astype(np.float32)


FINE_WEIGHTS, COARSE_WEIGHTS, AROUND_WEIGHTS = map(gaussian, (FINE, COARSE, AROUND))
MARGIN = AROUND_WEIGHTS.size // 2


class Canvas(NamedTuple):
    """Memory for one picture, (side, side) float32 each, and with margins."""

    light: np.ndarray
    fine: np.ndarray
    coarse: np.ndarray
    squares: np.ndarray
    rows: np.ndarray  # (side + 2 MARGIN, side)
    padded: np.ndarray  # (side + 2 MARGIN,)


@allocating
def canvas_of(side):
    """Memory for pictures of this side, pixels."""
    return Canvas(
        np.empty((side, side), np.float32),
        np.empty((side, side), np.float32),
        np.empty((side, side), np.float32),
        np.empty((side, side), np.float32),
        np.empty((side + 2 * MARGIN, side), np.float32),
        np.empty(side + 2 * MARGIN, np.float32),
    )


@kernel
def mirrored(index, size):
    """The index within 0 to size - 1 that an index beyond the edge is reflected to."""
    if index < 0:
        return -1 - index
    if index >= size:
        return 2 * size - 1 - index
    return index


@routine
def blur(image, weights, canvas, blurred):
    """Fill `blurred` with the image after a separable Gaussian; edges are reflected."""
    side = image.shape[0]
    reach = weights.size // 2
    rows, padded = canvas.rows.reshape(-1), canvas.padded
    for y in range(side):
        for x in range(side):
            padded[reach + x] = image[y, x]
        for x in range(reach):
            padded[x] = image[y, mirrored(x - reach, side)]
            padded[reach + side + x] = image[y, mirrored(side + x, side)]
        correlate(padded, 0, 1, weights, rows, (reach + y) * side, side)
    for y in range(reach):
        for x in range(side):
            canvas.rows[y, x] = canvas.rows[reach + mirrored(y - reach, side), x]
            canvas.rows[reach + side + y, x] = canvas.rows[reach + mirrored(side + y, side), x]
    correlate(rows, 0, side, weights, blurred.reshape(-1), 0, side * side)


@kernel
def drive_edges(canvas, drives):
    """Fill the drives of edges, (side, side, 2), from canvas.light; left changed: the rest."""
    side = canvas.light.shape[0]
    fine, coarse, squares = canvas.fine, canvas.coarse, canvas.squares
    blur(canvas.light, FINE_WEIGHTS, canvas, fine)
    blur(canvas.light, COARSE_WEIGHTS, canvas, coarse)
    for y in range(side):
        for x in range(side):
            fine[y, x] -= coarse[y, x]
            squares[y, x] = fine[y, x] * fine[y, x]
    blur(squares, AROUND_WEIGHTS, canvas, coarse)
    for y in range(side):
        for x in range(side):
            usual = np.sqrt(coarse[y, x]) + np.float32(LEAST_CONTRAST)
            contrast = fine[y, x] / usual
            drives[y, x, 0] = min(max(contrast, np.float32(0)), np.float32(1))
            drives[y, x, 1] = min(max(-contrast, np.float32(0)), np.float32(1))


@kernel
def mean_of(surface):
    """Of all pixels."""
    side = surface.shape[0]
    total = 0.0
    for y in range(side):
        for x in range(side):
            total += surface[y, x]
    return total / side**2


@kernel
def mean_of_frame(surface):
    """Of the pixels at the edge, FRAME wide."""
    side = surface.shape[0]
    total, pixels = 0.0, 0
    for y in range(side):
        for x in range(side):
            if min(x, y, side - 1 - x, side - 1 - y) < FRAME:
                total += surface[y, x]
                pixels += 1
    return total / pixels


@routine
def drive_surface(surface, level, channel, drives):
    """Fill channels `channel` (more than the level) and the next (less) of the drives of surfaces.

    surface: (side, side) float32. A pixel is rectified before the resolution is halved: fine
    texture drives both.
    """
    side = surface.shape[0]
    level = np.float32(level)
    rate = np.float32(0.25 * SURFACE_RATE)
    for y in range(side // 2):
        for x in range(side // 2):
            more = less = np.float32(0)
            for dy in range(2):
                for dx in range(2):
                    value = surface[2 * y + dy, 2 * x + dx] - level
                    more += max(value, np.float32(0))
                    less += max(-value, np.float32(0))
            drives[y, x, channel] = min(rate * more, np.float32(1))
            drives[y, x, channel + 1] = min(rate * less, np.float32(1))


@routine
def drive_inputs(picture, canvas, edges, surfaces):
    """Fill the drives of all inputs, spikes a step.

    picture: (side, side, 1 or 3) float32, grey or RGB, 0 to 1. edges: (side, side, 2) float32.
    surfaces: (side / 2, side / 2, 2 or 6) float32: light; or red against green, blue against
    yellow, light.
    """
    side, _, channels = picture.shape
    light, surface = canvas.light, canvas.fine
    for y in range(side):
        for x in range(side):
            light[y, x] = picture[y, x, 0]
            if channels == 3:
                light[y, x] += picture[y, x, 1] + picture[y, x, 2]
                light[y, x] *= np.float32(1 / 3)
    drive_edges(canvas, edges)
    if channels == 1:
        drive_surface(light, mean_of_frame(light), 0, surfaces)
        return
    for y in range(side):
        for x in range(side):
            red, green = picture[y, x, 0], picture[y, x, 1]
            surface[y, x] = (red - green) / (light[y, x] + np.float32(LEAST_LIGHT))
    drive_surface(surface, 0.5 * mean_of(surface), 0, surfaces)
    for y in range(side):
        for x in range(side):
            yellow = np.float32(0.5) * (picture[y, x, 0] + picture[y, x, 1])
            contrast = np.float32(0.5) * (picture[y, x, 2] - yellow)
            surface[y, x] = contrast / (light[y, x] + np.float32(LEAST_LIGHT))
    drive_surface(surface, 0.5 * mean_of(surface), 2, surfaces)
    for y in range(side):
        for x in range(side):
            surface[y, x] = np.float32(SHADE) * light[y, x]
    drive_surface(surface, mean_of(surface), 4, surfaces)
