"""Learns the filters that the package ships, from photographs without labels, and writes them.

    python -m benchmarks.filters

The photographs are the two of scikit-learn. Patches of them, mirrored and at several scales, are
coded as spikes as the network codes pictures, and each neuron becomes the mean direction of the
patches that it matches best: competitive learning (Rumelhart and Zipser 1985), with a conscience
(DeSieno 1988) so that all take part.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numba
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_sample_images

from topspark_ros.engine.kernels import channels, features
from topspark_ros.engine.kernels.vectors import SQUARES

FILTERS = Path(__file__).parents[1] / 'topspark_ros' / 'engine' / 'filters.npz'
SIDE = 32  # of a crop, pixels
CROPS = 3000
SCALES = 1.0, 12.0  # of a crop, in pixels of the photograph a pixel: least and most
PATCHES = 10  # of a crop
TIMESTEPS = 4
EDGES, EDGE_SIZE = 64, 5
SURFACES, SURFACE_SIZE = 32, 3
CELLS = 3
CONSCIENCE = 0.02
MIN_STEP = 0.002
MIN_ACTIVE = 3  # inputs of a patch that spiked
ONE = np.ones(1, np.float32)


def crops(random: np.random.Generator) -> np.ndarray:
    """Of the photographs, (CROPS, SIDE, SIDE, 3) float32, 0 to 1."""
    photographs = load_sample_images().images
    taken = []
    for number in range(CROPS):
        photograph = photographs[number % len(photographs)]
        scale = np.exp(random.uniform(*np.log(SCALES)))
        size = int(SIDE * scale)
        top, left = (random.integers(0, side - size + 1) for side in photograph.shape[:2])
        crop = photograph[top : top + size, left : left + size]
        crop = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        taken.append(crop[:, :: random.choice((-1, 1))])
    return np.array(taken, np.float32) / np.float32(255)


@numba.njit
def present(pictures, edge_filters, surface_filters, timesteps):
    """Spikes of the inputs, (crops, side, side, channels) float32 of both banks, and the currents
    of their filters, pooled, (crops, cells * cells * filters) float32."""
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
            features.integrate(bank, timesteps, False)
            features.compete(bank)
        edge_spikes[number] = edges.sent
        surface_spikes[number] = surfaces.sent
        edge_currents[number] = edges.pooled.reshape(-1)
        surface_currents[number] = surfaces.pooled.reshape(-1)
    return edge_spikes, surface_spikes, edge_currents, surface_currents


def patches(spikes: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """Some of every crop, as filters see them, of unit norm: (patches, channels * size * size)."""
    taken = []
    for crop in spikes:
        views = sliding_window_view(crop, (size, size), (0, 1))[..., ::-1, ::-1]
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


def make(pictures: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Filters of edges and of surfaces, and their usual currents."""
    kinds = 2 * pictures.shape[3]
    nothing = (np.zeros((size, SQUARES), np.float32) for size in (50, 9 * kinds))
    edge_spikes, surface_spikes, *_ = present(pictures, *nothing, TIMESTEPS)
    edges = learn(patches(edge_spikes, EDGE_SIZE, random), EDGES)
    surfaces = learn(patches(surface_spikes, SURFACE_SIZE, random), SURFACES)
    *_, edge_currents, surface_currents = present(pictures, edges, surfaces, TIMESTEPS)
    usual = np.array([edge_currents.mean(), surface_currents.mean()], np.float32)
    return edges, surfaces, usual


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='python -m benchmarks.filters', description=__doc__)
    parser.add_argument('--output', type=Path, default=FILTERS, help='file to write')
    options = parser.parse_args(arguments)
    random = np.random.default_rng(0)
    colour = crops(random)
    written = {}
    for kind, pictures in (('grey', colour.mean(axis=3, keepdims=True)), ('colour', colour)):
        for name, array in zip(('edges', 'surfaces', 'usual'), make(pictures, random)):
            written[f'{kind}_{name}'] = array
            print(f'{kind} {name}: {array.shape}')
    np.savez(options.output, **written)
    return 0


if __name__ == '__main__':
    sys.exit(main())
