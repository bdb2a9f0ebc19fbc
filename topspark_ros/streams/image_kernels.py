"""What making an image smaller computes for every pixel, compiled."""

from __future__ import annotations

import numpy as np

from topspark_ros.engine.kernels.compilation import entry_point


@entry_point
def mean_of_columns(pixels, out):
    """Pairs of neighbours in a row as their mean, rounded: (height, 2 * width or one more) to
    (height, width), uint8."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            both = np.uint16(pixels[i, 2 * j]) + np.uint16(pixels[i, 2 * j + 1])
            out[i, j] = np.uint16(both + np.uint16(1)) >> np.uint16(1)


@entry_point
def mean_of_rows(data, step, out):
    """The same of pairs of rows, to (height, width).

    data: uint8, read-only and contiguous, the rows `step` apart.
    """
    for i in range(out.shape[0]):
        upper, lower = data[2 * i * step :], data[(2 * i + 1) * step :]
        for j in range(out.shape[1]):
            both = np.uint16(upper[j]) + np.uint16(lower[j])
            out[i, j] = np.uint16(both + np.uint16(1)) >> np.uint16(1)


@entry_point
def mean_of_areas(values, step, shape, left, top, size, factor, out):
    """A square of an image, made smaller; beyond the image its edge goes on.

    values: uint8 or uint16, read-only and contiguous, the rows `step` values apart.
    shape: of the image, height and width.
    left, top, size: of the square, pixels.
    factor: that values are multiplied by.
    out: (side, side, samples of a pixel) float32; side <= size.
    """
    height, width = shape
    side, _, samples = out.shape
    begin = min(max(left, 0), width - 1)
    end = max(min(left + size, width), begin + 1)
    scale = size / side
    # What each cell across takes of which columns: the same for all rows.
    ends = np.zeros(side + 1, np.int64)
    places, parts = np.empty(size + side, np.int64), np.empty(size + side, np.float32)
    for j in range(side):
        first, last, taken = j * scale, (j + 1) * scale, ends[j]
        for column in range(int(first), min(int(np.ceil(last)), size)):
            places[taken] = (min(max(left + column, begin), end - 1) - begin) * samples
            parts[taken] = min(column + 1, last) - max(column, first)
            taken += 1
        ends[j + 1] = taken
    line = np.empty((end - begin) * samples, np.float32)
    for i in range(side):
        # First down, which a processor does for several values at once.
        line[:] = 0
        first, last = i * scale, (i + 1) * scale
        for row in range(int(first), min(int(np.ceil(last)), size)):
            share = np.float32((min(row + 1, last) - max(row, first)) * factor / scale**2)
            y = min(max(top + row, 0), height - 1)
            pixels = values[y * step + begin * samples :]
            for j in range(line.size):
                line[j] += share * np.float32(pixels[j])
        for j in range(side):
            for c in range(samples):
                mean = np.float32(0)
                for k in range(ends[j], ends[j + 1]):
                    mean += parts[k] * line[places[k] + c]
                out[i, j, c] = mean


@entry_point
def hide_even(shown, least):
    """Make all 0 where no sample has a contrast of this share of the greatest value.

    shown: (height, width, samples) float32, from 0.
    """
    greatest = contrast = np.float32(0)
    for c in range(shown.shape[2]):
        low = high = shown[0, 0, c]
        for i in range(shown.shape[0]):
            for j in range(shown.shape[1]):
                low, high = min(low, shown[i, j, c]), max(high, shown[i, j, c])
        greatest, contrast = max(greatest, high), max(contrast, high - low)
    if contrast < least * greatest:
        shown[:] = 0
