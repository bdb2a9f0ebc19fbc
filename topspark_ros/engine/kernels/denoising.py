"""A camera's noise: how much of it a picture has, and the picture without most of it.

Noise differs from pixel to pixel, surfaces hardly do: a mask that any slope passes unseen tells how
strong noise is. A filter then levels what varies no more than that, and leaves edges, which vary
more. A picture without noise is not touched.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .channels import Canvas, blur, canvas_of, gaussian
from .compilation import allocating, kernel, routine

NORMAL_MEDIAN = 0.6745  # of the absolute value of a normal variable of deviation 1
BLOCK = 4  # pixels a side
CALM = 0.25  # share of the blocks that are taken for without texture
CALM_NOISE = 0.75  # what the noisiest of these blocks shows of the noise, as a share
PASSES = 2
STRENGTH = 2.0  # variances of the noise that are levelled by half
TINY = 1e-7  # of full scale squared: what rounding leaves of a variance
BITS = 31  # of a float32 from +0 on
MOST_BITS = 2**BITS - 1
LEAST_NOISE = 1 / 255  # of full scale, that counts as some: a step of eight bits
HALF_MIXED = 0.02  # of full scale: noise where half of the filtered picture is taken
WINDOW_WEIGHTS = gaussian(1.0)


class Memory(NamedTuple):
    """Memory for one picture, float32."""

    canvas: Canvas  # rows of blurs
    planes: np.ndarray  # (3, side, side), the picture as it is filtered, by channel
    pairs: np.ndarray  # (6, side, side), by channel: guide times plane, plane; slope, intercept
    guide: np.ndarray  # (side, side), mean of the planes
    usual: np.ndarray  # (side, side), mean of the guide
    gains: np.ndarray  # (side, side), of the covariance of guide and plane


@allocating
def memory_of(side):
    """Memory for pictures of this side, pixels."""
    return Memory(
        canvas_of(side),
        np.empty((3, side, side), np.float32),
        np.empty((6, side, side), np.float32),
        np.empty((side, side), np.float32),
        np.empty((side, side), np.float32),
        np.empty((side, side), np.float32),
    )


@kernel
def is_grey(picture):
    """Whether a picture, (side, side, 1 or 3), has no colour: red, green and blue are equal."""
    side, _, channels = picture.shape
    if channels == 1:
        return True
    for y in range(side):
        for x in range(side):
            red = picture[y, x, 0]
            if picture[y, x, 1] != red or picture[y, x, 2] != red:
                return False
    return True


@routine
def quantile(values, share):
    """The value that so large a share of them lies below; values: (n,) float32, from +0 on.

    Between two of them it is interpolated, as NumPy does. The bits of such numbers, read as
    integers, are in the same order: so it is found exactly, bit by bit, by counting.
    """
    bits = values.view(np.int32)
    position = share * (values.size - 1)
    rank = np.int32(position)
    low = np.int32(0)
    for bit in range(BITS - 1, -1, -1):
        trial = np.int32(low | (1 << bit))
        below = np.int32(0)
        for k in range(bits.size):  # by index: LLVM does many at once
            below = np.int32(below + np.int32(bits[k] < trial))
        if below <= rank:
            low = trial
    up_to, following = np.int32(0), np.int32(MOST_BITS)
    for k in range(bits.size):
        up_to = np.int32(up_to + np.int32(bits[k] <= low))
        following = min(following, bits[k] if bits[k] > low else np.int32(MOST_BITS))
    high = low if up_to > rank + 1 or up_to == values.size else following
    start = np.int32(low).view(np.float32)
    return start + np.float32(position - rank) * (np.int32(high).view(np.float32) - start)


@kernel
def roughen(plane, padded, roughness):
    """Fill `roughness` with |h|, h the plane after the mask [1, -2, 1]^T [1, -2, 1] / 6.

    That of Immerkaer (1996), which no slope passes; of white noise, h has the deviation. Edges are
    mirrored without a second copy of the edge pixel, which would show a slope. plane, roughness:
    (side, side). padded: memory, at least (side + 2,).
    """
    side = plane.shape[0]
    for y in range(side):
        above, own, below = plane[abs(y - 1)], plane[y], plane[y + 1 if y + 1 < side else y - 1]
        for x in range(side):
            padded[x + 1] = above[x] - np.float32(2) * own[x] + below[x]
        padded[0], padded[side + 1] = padded[2], padded[side - 1]
        for x in range(side):
            at = np.uint64(x)
            bend = (
                padded[at] - np.float32(2) * padded[at + np.uint64(1)] + padded[at + np.uint64(2)]
            )
            roughness[y, x] = abs(bend) * np.float32(1 / 6)


@kernel
def calm_noise(roughness, energies):
    """The noise of a grey picture from its roughness, (side, side): that of its calm blocks.

    Texture is rough as well, but seldom everywhere. energies: memory, (side / BLOCK)^2 or more.
    """
    across = roughness.shape[0] // BLOCK
    for i in range(across):
        for j in range(across):
            total = np.float32(0)
            for y in range(BLOCK * i, BLOCK * (i + 1)):
                for x in range(BLOCK * j, BLOCK * (j + 1)):
                    total += roughness[y, x] * roughness[y, x]
            energies[i * across + j] = total * np.float32(1 / BLOCK**2)
    calm = quantile(energies[: across * across], CALM)
    return np.sqrt(calm) * np.float32(1 / CALM_NOISE)


@routine
def noise_of(picture, memory):
    """Standard deviation of a picture's noise, of full scale, float32.

    picture: (side, side, 1 or 3) float32, grey or RGB, 0 to 1. In colour, noise is what the
    channels do not share: texture mostly is of one hue. A grey camera may send three channels.
    """
    side = picture.shape[0]
    plane, roughness = memory.guide, memory.usual
    if is_grey(picture):
        for y in range(side):
            for x in range(side):
                plane[y, x] = picture[y, x, 0]
        roughen(plane, memory.canvas.padded, roughness)
        return calm_noise(roughness, memory.gains.reshape(-1))
    total = np.float32(0)
    for pair in range(2):
        for y in range(side):
            for x in range(side):
                red, green = picture[y, x, 0], picture[y, x, 1]
                if pair == 0:
                    plane[y, x] = (red - green) * np.float32(np.sqrt(1 / 2))
                else:
                    yellow = np.float32(0.5) * (red + green)
                    plane[y, x] = (picture[y, x, 2] - yellow) * np.float32(np.sqrt(1 / 1.5))
        roughen(plane, memory.canvas.padded, roughness)
        total += quantile(roughness.reshape(-1), 0.5)
    return total * np.float32(1 / (2 * NORMAL_MEDIAN))


@kernel
def average(planes, first, step, channels, mean):
    """Fill `mean`, (side, side), with that of so many planes, from `first` on, `step` apart."""
    side = mean.shape[0]
    share = np.float32(1 / channels)
    plane = planes[first]
    for y in range(side):
        for x in range(side):
            mean[y, x] = plane[y, x] * share
    for c in range(1, channels):
        plane = planes[first + c * step]
        for y in range(side):
            for x in range(side):
                mean[y, x] += plane[y, x] * share


@kernel
def blur_pairs(channels, memory):
    """Blur both of the pairs of so many channels in place."""
    for k in range(2 * channels):
        blur(memory.pairs[k], WINDOW_WEIGHTS, memory.canvas, memory.pairs[k])


@kernel
def filter_once(channels, levelled, memory):
    """Filter the first so many planes of the memory, guided by their mean (He, Sun, Tang 2013).

    Around each pixel, Gaussian instead of a box, a plane p is fitted by a I + b, I the guide, with
    a = cov(I, p) / (var I + levelled): where the guide varies less than `levelled`, a variance, the
    mean is left, and at an edge the plane as it is.
    """
    planes, pairs = memory.planes, memory.pairs
    guide, usual, gains = memory.guide, memory.usual, memory.gains
    side = guide.shape[0]
    average(planes, 0, 1, channels, guide)
    for c in range(channels):
        plane, product, mean = planes[c], pairs[2 * c], pairs[2 * c + 1]
        for y in range(side):
            for x in range(side):
                product[y, x] = guide[y, x] * plane[y, x]
                mean[y, x] = plane[y, x]
    blur_pairs(channels, memory)
    # The guide is the mean of the planes: so are its blur, and that of its square.
    average(pairs, 0, 2, channels, gains)
    average(pairs, 1, 2, channels, usual)
    for y in range(side):
        for x in range(side):
            variance = max(np.float32(0), gains[y, x] - usual[y, x] * usual[y, x])
            gains[y, x] = np.float32(1) / (variance + levelled + np.float32(TINY))
    for c in range(channels):
        slope, intercept = pairs[2 * c], pairs[2 * c + 1]
        for y in range(side):
            for x in range(side):
                covariance = slope[y, x] - usual[y, x] * intercept[y, x]
                slope[y, x] = covariance * gains[y, x]
                intercept[y, x] -= slope[y, x] * usual[y, x]
    blur_pairs(channels, memory)
    for c in range(channels):
        plane, slope, intercept = planes[c], pairs[2 * c], pairs[2 * c + 1]
        for y in range(side):
            for x in range(side):
                plane[y, x] = slope[y, x] * guide[y, x] + intercept[y, x]


@routine
def denoise(picture, deviation, memory):
    """Take noise of this standard deviation, of full scale, out of a picture, in place.

    picture: (side, side, 1 or 3) float32, grey or RGB, 0 to 1. Below LEAST_NOISE it stays to the
    last bit. The mean of three channels has a third of the variance of their noise; those of a grey
    camera share it, and are filtered as one.
    """
    deviation = np.float32(deviation)
    if deviation < np.float32(LEAST_NOISE):
        return
    side, _, given = picture.shape
    channels = 1 if is_grey(picture) else given
    planes = memory.planes
    for c in range(channels):
        for y in range(side):
            for x in range(side):
                planes[c, y, x] = picture[y, x, c]
    square = deviation * deviation
    levelled = np.float32(STRENGTH / channels) * square
    # Not a constant, which LLVM would write out pass by pass: 2 s more to compile, no faster.
    for _ in range(min(PASSES, side)):
        filter_once(channels, levelled, memory)
        levelled *= np.float32(1 / 4)  # half of the noise is left to the next pass
    share = square / (square + np.float32(HALF_MIXED**2))
    for c in range(given):
        plane = planes[min(c, channels - 1)]
        for y in range(side):
            for x in range(side):
                value = picture[y, x, c]
                value += share * (plane[y, x] - value)
                picture[y, x, c] = min(max(value, np.float32(0)), np.float32(1))
