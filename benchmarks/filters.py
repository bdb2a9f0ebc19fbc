"""Learns filters without labels, and writes them: those that the package ships, or your own.

    python -m benchmarks.filters
    python -m benchmarks.filters --int8 --output int8.npz
    python -m benchmarks.filters --photographs FOLDER --output own.npz

The learner takes the last two by its parameter `filters_file`. The package's are learned from
pictures of the dead leaves model: discs and boards of all sizes and colours that cover each other
(Matheron 1968), with the statistics of natural images (Lee, Mumford and Huang 2001), so that
anybody can make them, without data. On photographs that were held back they do better than filters
learned from photographs. Patches are coded as spikes as the network codes pictures, and each neuron
becomes the mean direction of the patches that it matches best: competitive learning (Rumelhart and
Zipser 1985), with a conscience (DeSieno 1988) so that all take part.

Of photographs random squares are learned from, each at least half as wide as its photograph. With
--int8 the filters of a bank are rounded to 127 parts of their largest weight.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import cv2
import numba
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from topspark_ros.engine.filters import PACKAGED
from topspark_ros.engine.kernels import channels, features
from topspark_ros.engine.kernels.vectors import SQUARES
from topspark_ros.streams.colours import resized

SIDE = 32  # of a picture, pixels
PICTURES = 3000
OVERSAMPLING = 2  # pixels drawn for each, a side
LEAVES = 10, 90  # of a picture, least and most
BROADEST = 2.0, 0.002  # half a leaf's size is the first over the root of a number from the second
TEXTURE = 0.15  # most, deviation, of full scale
PATCHES = 10  # of a picture
TIMESTEPS = 4
EDGES, EDGE_SIZE = 64, 5
SURFACES, SURFACE_SIZE = 32, 3
CELLS = 3
CONSCIENCE = 0.02
MIN_STEP = 0.002  # towards a patch
MIN_ACTIVE = 3  # inputs of a patch that spiked
ONE = np.ones(1, np.float32)


def dead_leaves(random: np.random.Generator, most_texture: float = TEXTURE) -> np.ndarray:
    """One picture, (SIDE, SIDE, 3) float32, 0 to 1."""
    side = OVERSAMPLING * SIDE
    picture = np.full((side, side, 3), random.random(3), np.float32)
    base, spread = random.random(3), random.uniform(0.1, 0.6)
    for _ in range(random.integers(*LEAVES)):
        size = BROADEST[0] / np.sqrt(random.uniform(BROADEST[1], 1.0))
        light, colour = 0.8 * random.normal(), 0.5 * random.normal(size=3)
        paint = np.clip(base + spread * (light + colour), 0, 1).tolist()
        centre = tuple(random.integers(side, size=2).tolist())
        if random.random() < 0.5:
            cv2.circle(picture, centre, int(size), paint, cv2.FILLED)
        else:
            sides = (size * random.uniform(0.3, 2, 2)).tolist()
            board = cv2.boxPoints((centre, sides, random.uniform(0, 180)))
            cv2.fillPoly(picture, [board.astype(np.int32)], paint)
    picture += random.uniform(0, most_texture) * texture(side, random)[..., np.newaxis]
    np.clip(picture, 0, 1, out=picture)
    return cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def texture(side: int, random: np.random.Generator) -> np.ndarray:
    """Noise whose amplitude falls with a power of its frequency, deviation 1, (side, side)."""
    frequency = np.fft.fftfreq(side)
    distance = np.hypot(frequency[:, np.newaxis], frequency)
    distance[0, 0] = 1.0
    spectrum = np.fft.fft2(random.normal(size=(side, side)))
    noise = np.fft.ifft2(spectrum / distance ** random.uniform(0.5, 1.5)).real
    return noise / noise.std()


def squares(folder: Path, random: np.random.Generator) -> np.ndarray:
    """Random squares of the photographs in a folder and its sub-folders, (PICTURES, SIDE, SIDE, 3)
    float32, 0 to 1."""
    visible = (path for path in folder.rglob('*') if not path.name.startswith('.'))
    paths = sorted(path for path in visible if path.is_file())
    if not paths:
        raise SystemExit(f'--photographs is {folder}, accepted is a folder with images in it')
    taken = np.empty((PICTURES, SIDE, SIDE, 3), np.float32)
    chosen = random.integers(len(paths), size=PICTURES)
    for number in np.unique(chosen):
        photograph = cv2.imread(str(paths[number]))
        if photograph is None:
            raise SystemExit(f'--photographs: {paths[number]} is no image that can be read')
        height, width, _ = photograph.shape
        for each in np.flatnonzero(chosen == number):
            side = math.ceil(min(height, width) * random.uniform(0.5, 1))
            top, left = random.integers(height - side + 1), random.integers(width - side + 1)
            square = photograph[top : top + side, left : left + side, ::-1]
            taken[each] = resized(np.ascontiguousarray(square), SIDE, SIDE)
    return taken / np.float32(255)


@numba.njit
def present(pictures, edge_filters, surface_filters, timesteps):
    """Spikes of the inputs of both banks, (pictures, side, side, channels) float32, and the pooled
    currents of their filters, (pictures, cells * cells * filters) float32."""
    count, side, _, image_channels = pictures.shape
    kinds = max(2, 2 * image_channels)
    edge_spikes = np.empty((count, side, side, 2), np.float32)
    surface_spikes = np.empty((count, side // 2, side // 2, kinds), np.float32)
    edge_currents = np.empty((count, CELLS * CELLS * edge_filters.shape[1]), np.float32)
    surface_currents = np.empty((count, CELLS * CELLS * surface_filters.shape[1]), np.float32)
    canvas = channels.canvas_of(side)
    edges = features.bank_of(edge_filters, ONE, side, 2, CELLS)
    surfaces = features.bank_of(surface_filters, ONE, side // 2, kinds, CELLS)
    for number in range(count):
        channels.drive_inputs(pictures[number], canvas, edges.drives, surfaces.drives)
        for bank in (edges, surfaces):
            features.clear(bank)
            features.send(bank, timesteps, False)
            features.compete(bank)
        edge_spikes[number] = edges.sent
        surface_spikes[number] = surfaces.sent
        edge_currents[number] = edges.pooled.reshape(-1)
        surface_currents[number] = surfaces.pooled.reshape(-1)
    return edge_spikes, surface_spikes, edge_currents, surface_currents


def patches(spikes: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """Some of every picture, as filters see them, (patches, channels * size * size), unit norm."""
    taken = []
    for each in spikes:
        views = sliding_window_view(each, (size, size), (0, 1))
        views = views.reshape(-1, views.shape[2] * size * size)
        active = np.flatnonzero(np.count_nonzero(views, axis=1) >= MIN_ACTIVE)
        if len(active):
            taken.append(views[random.choice(active, PATCHES)])
    found = random.permutation(np.concatenate(taken))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def learn(inputs: np.ndarray, neurons: int) -> np.ndarray:
    """Filters, (inputs, neurons) float32, each of unit norm."""
    weights = np.empty((0, inputs.shape[1]), np.float32)
    share = np.full(neurons, 1 / neurons)  # of the wins
    wins = np.zeros(neurons)
    usual = 1.0  # match of the winner
    for number, sample in enumerate(inputs, 1):
        match = weights @ sample
        winner = best = -1
        if len(weights):
            winner = int(np.argmax(match - CONSCIENCE * (neurons * share[: len(weights)] - 1)))
            best = match[winner]
        if len(weights) < neurons and best < usual:
            winner = len(weights)
            weights = np.vstack((weights, sample))
        else:
            step = max(1 / (wins[winner] + 1), MIN_STEP)
            weights[winner] += step * (sample - weights[winner])
            weights[winner] /= np.linalg.norm(weights[winner])
        wins[winner] += 1
        share += (0.05 / neurons) * ((np.arange(neurons) == winner) - share)
        usual += max(1 / number, 0.005) * (best - usual)
    return np.ascontiguousarray(weights.T, np.float32)


def rounded(filters: np.ndarray) -> np.ndarray:
    """The filters of a bank in 127 parts of its largest weight, whole numbers, float32."""
    return np.rint(filters * (127 / filters.max()))


def make(
    pictures: np.ndarray, random: np.random.Generator, as_int8: bool
) -> tuple[np.ndarray, ...]:
    """Filters of edges and of surfaces, and their usual currents."""
    kinds = 2 * pictures.shape[3]
    nothing = (np.zeros((size, SQUARES), np.float32) for size in (50, 9 * kinds))
    edge_spikes, surface_spikes, *_ = present(pictures, *nothing, TIMESTEPS)
    edges = learn(patches(edge_spikes, EDGE_SIZE, random), EDGES)
    surfaces = learn(patches(surface_spikes, SURFACE_SIZE, random), SURFACES)
    if (edges.shape[1], surfaces.shape[1]) != (EDGES, SURFACES):
        raise SystemExit('the pictures have too few patches that differ, accepted are photographs')
    if as_int8:
        edges, surfaces = rounded(edges), rounded(surfaces)
    *_, edge_currents, surface_currents = present(pictures, edges, surfaces, TIMESTEPS)
    usual = np.array([edge_currents.mean(), surface_currents.mean()], np.float32)
    kept = np.int8 if as_int8 else np.float32
    return edges.astype(kept), surfaces.astype(kept), usual


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='python -m benchmarks.filters', description=__doc__)
    parser.add_argument('--int8', action='store_true', help='filters of int8')
    parser.add_argument('--photographs', type=Path, metavar='FOLDER', help='learn from these')
    parser.add_argument('--output', type=Path, help="file to write, if not the package's")
    options = parser.parse_args(arguments)
    if options.output is None and (options.int8 or options.photographs):
        parser.error('--output is missing: the package has filters of float32, from dead leaves')
    random = np.random.default_rng(0)
    if options.photographs:
        colour = squares(options.photographs, random)
    else:
        colour = np.stack([dead_leaves(random) for _ in range(PICTURES)])
    written = {}
    for kind, pictures in (('grey', colour.mean(axis=3, keepdims=True)), ('colour', colour)):
        for name, array in zip(
            ('edges', 'surfaces', 'usual'), make(pictures, random, options.int8)
        ):
            written[f'{kind}_{name}'] = array
            print(f'{kind} {name}: {array.shape}')
    np.savez(options.output or PACKAGED, **written)
    return 0


if __name__ == '__main__':
    sys.exit(main())
