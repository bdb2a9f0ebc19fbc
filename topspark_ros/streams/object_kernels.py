"""What finding an object in a frame computes for every pixel, compiled."""

from __future__ import annotations

import numpy as np

from topspark_ros.engine.kernels.compilation import allocating, entry_point, kernel

FILL = 20 / 28  # share of the grid that the object's bounding square takes
OVERSAMPLING = 3  # samples a cell and direction, averaged
_INK_LEVEL = 0.4  # share of the peak contrast from which a pixel belongs to the object
MIN_AREA = 12  # pixels worked on, of an object; a faulty pixel of the camera has 9
MIN_SHARE = 0.1  # of all that stands out, in one object; noise is spread over the frame
SPECK_SHARE = 0.05  # components smaller than this share of the largest are specks
GAP_SHARE = 0.1  # of its size, by which a part of an object may lie off the largest one
_APART = 4  # pixels worked on, between two whose noise has little in common
_EDGE = 2  # pixels around the object that are kept: the soft edge of its strokes
_FIT_ROUNDS = 3
_INLIERS = 4  # medians of the deviation
_HALVINGS = 14  # of a range, to find its median
_RIDGE = 1e-3  # for an image one pixel wide


@entry_point
def without_surface(work, coarse, basis, edge, x, y):
    """An image, (height, width) float32, minus the polynomial of `fit_surface`, the same.

    coarse, basis, edge: of the image made smaller, as of `fit_surface`.
    x, y: places across and down the image, -1 to 1, float32.
    """
    surface = fit_surface(coarse, basis, edge)
    relief = np.empty(work.shape, np.float32)
    for i in range(work.shape[0]):
        constant = surface[0] + (surface[1] + surface[4] * y[i]) * y[i]
        slope, square = surface[2] + surface[3] * y[i], surface[5]
        for j in range(work.shape[1]):
            relief[i, j] = work[i, j] - (constant + (slope + square * x[j]) * x[j])
    return relief


@allocating
def fit_surface(values, basis, edge):
    """A polynomial of degree 2 through the background, least squares; (6,) float32.

    values: (pixels,) float32. basis: (6, pixels) float32. edge: (pixels,) float32, 1 on the edge
    of the frame, where the object is unlikely; those count first, then every pixel that fits
    that surface about as well as the better half does.
    """
    pixels = values.size
    weights = edge.copy()
    weighted = np.empty(pixels, np.float32)
    deviation = np.empty(pixels, np.float32)
    matrix, right, surface = np.empty((6, 6)), np.empty(6), np.zeros(6)
    for turn in range(_FIT_ROUNDS):
        for a in range(6):
            for p in range(pixels):
                weighted[p] = weights[p] * basis[a, p]
            right[a] = np.dot(weighted, values)
            for b in range(a + 1):
                matrix[a, b] = matrix[b, a] = np.dot(weighted, basis[b])
            matrix[a, a] += _RIDGE
        surface = np.linalg.solve(matrix, right)
        if turn < _FIT_ROUNDS - 1:
            for p in range(pixels):
                deviation[p] = values[p] - np.float32(surface[0])
            for a in range(1, 6):
                factor = np.float32(surface[a])
                for p in range(pixels):
                    deviation[p] -= factor * basis[a, p]
            for p in range(pixels):
                deviation[p] = abs(deviation[p])
            limit = np.float32(_INLIERS) * median(deviation)
            for p in range(pixels):
                weights[p] = 1 if deviation[p] <= limit else 0
    return surface.astype(np.float32)


@kernel
def median(values):
    """Of values from 0, to within a ten-thousandth of the greatest: by halving the range."""
    low, high = np.float32(0), np.float32(0)
    for value in values:
        high = max(high, value)
    for _ in range(_HALVINGS):
        middle = np.float32(0.5) * (low + high)
        below = np.int32(0)
        for value in values:
            below += np.int32(value <= middle)
        if 2 * below >= values.size:
            high = middle
        else:
            low = middle
    return high


@entry_point
def standing_out(relief, least, noise_factor):
    """Turn what stands out most to above 0; its greatest height and a mask of it, (height, width)
    uint8. Where nothing does, the height is 0.

    An object is at least `least` high and has an edge: somewhere two pixels that are _APART differ
    by noise_factor times the noise, their median difference. An object hardly shows in that however
    much of the frame it fills, and light that falls off smoothly has no edge.
    """
    # Column by column, which a processor does for several at once.
    width = relief.shape[1]
    cubes = np.zeros(width, np.float32)  # whose sum has the object's sign
    low, high = np.zeros(width, np.float32), np.zeros(width, np.float32)
    for i in range(relief.shape[0]):
        for j in range(width):
            value = relief[i, j]
            cubes[j] += value * value * value
            low[j] = value if value < low[j] else low[j]
            high[j] = value if value > high[j] else high[j]
    peak = high.max()
    if cubes.sum() < 0:
        for i in range(relief.shape[0]):
            for j in range(width):
                relief[i, j] = -relief[i, j]
        peak = -low.min()
    none = np.float32(0), np.zeros((0, 0), np.uint8)
    if peak < least:
        return none
    steepest = np.zeros(width, np.float32)
    for i in range(relief.shape[0]):
        for j in range(width - _APART):
            step = abs(relief[i, j + _APART] - relief[i, j])
            steepest[j] = max(steepest[j], step)
    limit, within, looked = np.float32(steepest.max() / noise_factor), 0, 0
    for i in range(0, relief.shape[0], 2):  # half of the pixels will do
        for j in range(width - _APART):
            within += abs(relief[i, j + _APART] - relief[i, j]) <= limit
        looked += max(width - _APART, 0)
    if 2 * within < looked:
        return none
    mask = main_part(ink_mask(relief, peak))
    return (peak, mask) if mask.any() else none


@entry_point
def main_part(mask):
    """A mask, (height, width) uint8, without specks and what lies apart from the largest part, as
    uint8; 0 everywhere if that is no object, but a faulty pixel or the largest speck of noise."""
    height, width = mask.shape
    left = mask.copy()  # what is in no part yet
    pixels = np.empty((height * width, 2), np.int32)  # of all parts, one after the other: y, x
    parts = (height + 1) // 2 * ((width + 1) // 2)  # at most: each is surrounded
    boxes = np.empty((parts, 4), np.int32)  # left, top, right, bottom
    ends = np.zeros(parts + 1, np.int32)  # among the pixels
    count = 0
    for i in range(height):
        occupied = np.uint8(0)
        for j in range(width):
            occupied |= left[i, j]
        if occupied:
            for j in range(width):
                if left[i, j]:
                    ends[count + 1] = gather_part(left, pixels, ends[count], boxes[count], i, j)
                    count += 1
    out = np.zeros((height, width), np.uint8)
    if count == 0:
        return out
    areas = ends[1 : count + 1] - ends[:count]
    largest = np.argmax(areas)
    most = boxes[largest]
    gap = GAP_SHARE * max(most[2] - most[0], most[3] - most[1])
    area = 0
    for part in range(count):
        box = boxes[part]
        # Between the boxes, along the axis where they are further apart; negative: they overlap.
        apart = max(box[0] - most[2], most[0] - box[2], box[1] - most[3], most[1] - box[3])
        if areas[part] >= SPECK_SHARE * areas[largest] and apart <= gap:
            area += areas[part]
            for pixel in range(ends[part], ends[part + 1]):
                out[pixels[pixel, 0], pixels[pixel, 1]] = 1
    if area < max(MIN_AREA, MIN_SHARE * ends[count]):
        out[:] = 0
    return out


@kernel
def gather_part(left, pixels, begin, box, i, j):
    """Take all that hangs together with a pixel, corners included, out of `left`, and list it from
    `begin` on; returns the end of the list."""
    height, width = left.shape
    box[0], box[1], box[2], box[3] = j, i, j + 1, i + 1
    left[i, j] = 0
    pixels[begin, 0], pixels[begin, 1] = i, j
    looked, end = begin, begin + 1
    while looked < end:
        y, x = pixels[looked]
        looked += 1
        box[0], box[1] = min(box[0], x), min(box[1], y)
        box[2], box[3] = max(box[2], x + 1), max(box[3], y + 1)
        for v in range(max(y - 1, 0), min(y + 2, height)):
            for u in range(max(x - 1, 0), min(x + 2, width)):
                if left[v, u]:
                    left[v, u] = 0
                    pixels[end, 0], pixels[end, 1] = v, u
                    end += 1
    return end


@allocating
def ink_mask(relief, peak):
    """Which pixels belong to what stands out, uint8."""
    mask = np.empty(relief.shape, np.uint8)
    level = np.float32(_INK_LEVEL) * peak
    for i in range(relief.shape[0]):
        for j in range(relief.shape[1]):
            mask[i, j] = relief[i, j] > level
    return mask


@entry_point
def frame(relief, peak, mask):
    """Centre of mass of an object, x and y, and the side of a square in which its bounding square
    takes FILL, pixels. Arguments: as of `objects.framed`."""
    width = mask.shape[1]
    top, bottom, left, right = bounds(mask)
    # Column by column, which a processor does for several at once.
    ink, down = np.zeros(width, np.float32), np.zeros(width, np.float32)
    for i in range(top, bottom):
        for j in range(width):
            value = min(max(relief[i, j], np.float32(0)), peak) * np.float32(mask[i, j])
            ink[j] += value
            down[j] += value * np.float32(i)
    total = across = 0.0
    for j in range(width):
        total += ink[j]
        across += ink[j] * j
    return across / total, down.sum() / total, max(bottom - top, right - left) / FILL


@allocating
def bounds(mask):
    """Where a mask, uint8, is not 0: the first row and the one behind the last, and the same of
    columns."""
    height, width = mask.shape
    top, bottom, left, right = height, 0, width, 0
    columns = np.zeros(width, np.uint8)
    for i in range(height):
        occupied = np.uint8(0)
        for j in range(width):
            columns[j] |= mask[i, j]
            occupied |= mask[i, j]
        if occupied:
            top, bottom = min(top, i), i + 1
    for j in range(width):
        if columns[j]:
            left, right = min(left, j), j + 1
    return top, bottom, left, right


@entry_point
def crop(relief, peak, mask, size):
    """The object, centred and scaled, as (size * size,) float32 in 0..1, and the square that this
    is of the image: x and y of its centre, and its side, pixels.

    relief: (height, width) float32, the object above 0. mask: of the object, uint8, not all 0.
    """
    height, width = relief.shape
    top, bottom, left, right = bounds(mask)
    side = max(bottom - top, right - left) / FILL
    top, bottom = max(top - _EDGE, 0), min(bottom + _EDGE, height)
    left, right = max(left - _EDGE, 0), min(right + _EDGE, width)
    ink = np.zeros((bottom - top, right - left), np.float32)
    near = np.empty(right - left, np.uint8)  # whether the object is within _EDGE pixels down
    factor = np.float32(1) / peak
    total = down = across = 0.0
    for i in range(ink.shape[0]):
        near[:] = 0
        for v in range(max(top + i - _EDGE, 0), min(top + i + _EDGE + 1, height)):
            for j in range(near.size):
                near[j] |= mask[v, left + j]
        row = 0.0
        for j in range(near.size):
            reached = 0
            for u in range(max(j - _EDGE, 0), min(j + _EDGE + 1, near.size)):
                reached |= near[u]
            if reached:
                value = min(max(relief[top + i, left + j] * factor, np.float32(0)), np.float32(1))
                ink[i, j] = value
                row += value
                across += value * j
        total += row
        down += row * i
    # First down, then across: what is averaged over is a rectangle.
    lines = np.zeros((size, right - left), np.float32)
    grid = np.zeros((size, size), np.float32)
    fine = size * OVERSAMPLING
    scale = side / fine  # pixels a sample
    for sample in range(fine):
        place = down / total + scale * (sample - (fine - 1) / 2)
        at = int(np.floor(place))
        share = np.float32(place - at)
        cell = sample // OVERSAMPLING
        if 0 <= at < ink.shape[0]:
            for j in range(ink.shape[1]):
                lines[cell, j] += (1 - share) * ink[at, j]
        if 0 <= at + 1 < ink.shape[0]:
            for j in range(ink.shape[1]):
                lines[cell, j] += share * ink[at + 1, j]
    for sample in range(fine):
        place = across / total + scale * (sample - (fine - 1) / 2)
        at = int(np.floor(place))
        share = np.float32(place - at)
        cell = sample // OVERSAMPLING
        for i in range(size):
            if 0 <= at < ink.shape[1]:
                grid[i, cell] += (1 - share) * lines[i, at]
            if 0 <= at + 1 < ink.shape[1]:
                grid[i, cell] += share * lines[i, at + 1]
    for i in range(size):
        for j in range(size):
            grid[i, j] *= np.float32(1 / OVERSAMPLING**2)
    return grid.reshape(-1), left + across / total, top + down / total, side
