"""Spiking features and their discriminant in NumPy, as the equations read: slow, and independent
of kernels.

Gaussians are blurred with in one sum over their windows, potentials are products of windows and
filters, and everything is float64. Only the filters are taken from the engine, and what takes a
picture's noise out of it, which has tests of its own.

The engine computes features in float32, so an input whose potential almost reaches an integer, and
a filter whose potential almost reaches the threshold, may spike in one of the two only: `closest`
is the smallest such distance, in units of what float32 surely resolves. Below 1 counts may differ.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from topspark_ros.engine import DiscriminantConfig, OperationCounts
from topspark_ros.engine.kernels import denoising

LOOKS = 1, 2, 4, 64
BLOCK = 16  # elements of a row of the precision that are kept together
# What is resolved: light and surfaces, of full scale; potentials, relative to the highest one of
# their place.
LIGHT, POTENTIAL = 3e-7, 3e-6


@numba.njit
def take_noise_out(picture):
    """Of a picture, (side, side, channels) float32, in place; by the engine's own kernels."""
    memory = denoising.memory_of(picture.shape[0])
    denoising.denoise(picture, denoising.noise_of(picture, memory), memory)


class Drives(NamedTuple):
    """What the inputs of a bank are driven with, spikes a step."""

    values: np.ndarray  # (side, side, channels)
    resolved: np.ndarray  # of them, of the same shape


class Spikes(NamedTuple):
    """What the inputs of a bank have sent."""

    sent: np.ndarray  # (side, side, channels)
    closest: float


class Bank(NamedTuple):
    """Filters, (K, channels, F, F), and what their currents are divided by."""

    filters: np.ndarray
    usual: float


class Seen(NamedTuple):
    """What a picture looks like after some steps."""

    features: np.ndarray
    fired: int  # filters, at all places
    closest: float


class Presented(NamedTuple):
    """What one presentation without early exit gives."""

    features: np.ndarray
    counts: OperationCounts
    closest: float


def denoised(picture: np.ndarray) -> np.ndarray:
    """A copy of a picture, (side, side, channels) float32, without its noise."""
    result = picture.copy()
    take_noise_out(result)
    return result


def blur(image: np.ndarray, deviation: float) -> np.ndarray:
    """After a Gaussian that is cut off at three deviations; edges are reflected."""
    reach = math.ceil(3 * deviation)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    weights /= weights.sum()
    windows = sliding_window_view(np.pad(image, reach, 'symmetric'), (weights.size,) * 2)
    return np.einsum('yxij,i,j->yx', windows, weights, weights, optimize=True)


def rectified(surface: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is above 0, and what is below."""
    return np.maximum(surface, 0), np.maximum(-surface, 0)


def edge_drives(light: np.ndarray) -> Drives:
    """(side, side, 2)."""
    detail = blur(light, 0.5) - blur(light, 1.5)
    usual = np.sqrt(blur(detail**2, 3.0)) + 0.05
    drives = np.minimum(np.stack(rectified(detail / usual), 2), 1)
    return Drives(drives, np.broadcast_to(LIGHT / usual[..., np.newaxis], drives.shape))


def surface_drives(picture: np.ndarray) -> Drives:
    """(side / 2, side / 2, 2 or 6)."""
    light = picture.mean(axis=2)
    if picture.shape[2] == 1:
        inner = np.pad(np.ones(np.subtract(light.shape, 4), bool), 2)
        surfaces = [light - light[~inner].mean()]
    else:
        red, green, blue = np.moveaxis(picture, 2, 0)
        ratios = (
            (red - green) / (light + 0.1),
            (blue - (red + green) / 2) / 2 / (light + 0.1),
        )
        surfaces = [ratio - ratio.mean() / 2 for ratio in ratios]
        surfaces.append(0.6 * (light - light.mean()))
    channels = np.stack([channel for surface in surfaces for channel in rectified(surface)], 2)
    half = picture.shape[0] // 2
    drives = np.minimum(4 * channels.reshape(half, 2, half, 2, -1).mean(axis=(1, 3)), 1)
    return Drives(drives, np.full_like(drives, LIGHT))


def send(drives: Drives, timesteps: int) -> Spikes:
    """Neurons without a leak that fire at 1, and start from 3/4 and 1/4 as on a chequerboard."""
    values = drives.values
    y, x = np.indices(values.shape[:2])
    start = np.where((x + y) % 2 == 0, 0.75, 0.25)[..., np.newaxis]
    potential = timesteps * values + start
    doubt = np.abs(potential - np.rint(potential)) / (timesteps * drives.resolved)
    # One of a drive of exactly 0 or 1 is exact in float32, too.
    closest = doubt[(values > 0) & (values < 1)].min(initial=math.inf)
    return Spikes(np.floor(potential), closest)


class Features:
    """Two banks of filters, pooled."""

    def __init__(self, config: DiscriminantConfig, state: dict[str, np.ndarray]) -> None:
        self.config = config
        self.banks = []
        for name, usual in zip(('edge_filters', 'surface_filters'), state['usual'].tolist()):
            stored = state[name].astype(float)
            size = 5 if name == 'edge_filters' else 3
            filters = stored.T.reshape(stored.shape[1], -1, size, size)[..., ::-1, ::-1]
            self.banks.append(Bank(filters, usual))

    def drives(self, picture: np.ndarray) -> list[Drives]:
        """Of the inputs of both banks; picture: as a network takes it, float32."""
        config = self.config
        picture = denoised(picture.reshape(config.side, config.side, config.channels))
        picture = picture.astype(float)
        return [edge_drives(picture.mean(axis=2)), surface_drives(picture)]

    def see(self, drives: list[Drives], timesteps: int) -> Seen:
        parts = [self._pool(bank, send(some, timesteps)) for bank, some in zip(self.banks, drives)]
        return Seen(
            np.concatenate([part.features for part in parts]),
            sum(part.fired for part in parts),
            min(part.closest for part in parts),
        )

    def _pool(self, bank: Bank, spikes: Spikes) -> Seen:
        size, cells = bank.filters.shape[-1], self.config.cells
        places = len(spikes.sent) - size + 1
        windows = sliding_window_view(spikes.sent, (size, size), (0, 1))
        potential = np.einsum('yxcij,kcij->yxk', windows, bank.filters, optimize=True)
        highest, mean = potential.max(axis=2), potential.mean(axis=2)
        above = potential - (mean + (highest - mean) / 2)[..., np.newaxis]
        length = np.linalg.norm(windows.reshape(places, places, -1), axis=2)
        alive = highest > 0  # where it is 0 all are, exactly
        doubtful = np.abs(above).min(axis=2)[alive] / highest[alive]
        currents = np.zeros_like(above)
        currents[alive] = np.maximum(above[alive], 0) / length[alive][:, np.newaxis]
        cell = np.arange(places) * cells // places
        pooled = [
            currents[cell == row][:, cell == column].sum(axis=(0, 1))
            for row in range(cells)
            for column in range(cells)
        ]
        return Seen(
            np.sqrt(np.concatenate(pooled) / bank.usual),
            np.count_nonzero(currents),
            min(spikes.closest, doubtful.min(initial=math.inf) / POTENTIAL),
        )

    def present(
        self, picture: np.ndarray, timesteps: int, frames: np.ndarray, label: int | None = None
    ) -> Presented:
        """A presentation to a network that has seen so many frames of each class.

        With a label it is learned, too. Then the looks on the way are looked at, and after the last
        step those to come, in one event of each input that has anything to send.
        """
        passed = [] if label is None else [look for look in LOOKS if look < timesteps]
        graded = [] if label is None else [look for look in LOOKS if look > timesteps]
        drives = self.drives(picture)
        seen = {stop: self.see(drives, stop) for stop in (*passed, timesteps, *graded)}
        events = additions = 0
        potentials = size = self.config.features  # what is up to date after a step: features, too
        for bank, some in zip(self.banks, drives):
            width, filters = bank.filters.shape[-1], len(bank.filters)
            places = len(some.values) - width + 1
            heard = np.zeros(some.values.shape[:2], int)  # additions that one spike takes
            for y in range(places):
                for x in range(places):
                    heard[y : y + width, x : x + width] += filters
            before = send(some, timesteps).sent
            sent = before.sum(axis=2)
            for look in graded:
                now = send(some, look).sent
                sent += np.count_nonzero(now > before, axis=2)
                before = now
            events += int(sent.sum())
            additions += int((sent * heard).sum())
            potentials += places**2 * filters
        fired = sum(look.fired for look in seen.values())
        classes = np.count_nonzero(frames) if seen[timesteps].fired else 0  # that are read out
        counts = OperationCounts(
            events,
            fired,
            # Currents to what pools them, and features to the classes.
            additions + fired + size * classes,
            (timesteps + len(graded)) * potentials + classes,
            rewritten(size, frames, label) if fired else 0,
        )
        closest = min(look.closest for look in seen.values())
        return Presented(seen[timesteps].features, counts, closest)


def rewritten(size: int, frames: np.ndarray, label: int | None) -> int:
    """Weights that a sample rewrites: the means and weights of its class; unless it is the first of
    that, the scatter changes, too: the blocks of the precision that are kept, and the weights of
    all classes seen."""
    if label is None:
        return 0
    of_class = len(LOOKS) * size
    if label >= len(frames) or frames[label] == 0:
        return 2 * of_class
    blocks = size // BLOCK
    kept = blocks * (blocks + 1) // 2 * BLOCK**2
    return 2 * of_class + kept + np.count_nonzero(frames) * of_class


def upper_blocks(size: int) -> np.ndarray:
    """Where the engine keeps a precision: of each row, from the beginning of its diagonal's block
    on."""
    block = np.arange(size) // BLOCK
    return block[:, np.newaxis] <= block


def mirrored(precision: np.ndarray) -> np.ndarray:
    """The whole of a precision that the engine keeps the upper blocks of."""
    return np.where(upper_blocks(len(precision)), precision, precision.T)


class Learned(NamedTuple):
    """What the discriminant knows, float64; shapes as of the engine's state, precision whole."""

    means: np.ndarray
    weights: np.ndarray
    overlaps: np.ndarray
    precision: np.ndarray
    class_frames: np.ndarray


def first_scatter(size: int) -> float:
    """eps: as of a quarter of a frame for each feature, of a variance of 0.15."""
    return 0.25 * size * 0.15


def solve(looks: np.ndarray, labels: np.ndarray, classes: int) -> Learned:
    """The batch solution. looks: (samples, L, D). labels: (samples,)."""
    size = looks.shape[2]
    means = np.zeros((looks.shape[1], classes, size))
    scatter = first_scatter(size) * np.eye(size)
    for c in set(labels.tolist()):
        of_class = looks[labels == c].astype(float)
        means[:, c] = of_class.mean(axis=0)
        deviations = (of_class - means[:, c]).reshape(-1, size)
        scatter += deviations.T @ deviations
    precision = np.linalg.inv(scatter)
    return _learned(means, means @ precision, precision, np.bincount(labels, minlength=classes))


def follow(looks: np.ndarray, labels: np.ndarray, classes: int) -> Learned:
    """The same by the recursive rule, one look after the other, in the given order."""
    size = looks.shape[2]
    means = np.zeros((looks.shape[1], classes, size))
    weights = np.zeros_like(means)
    precision = np.eye(size) / first_scatter(size)
    class_frames = np.zeros(classes, int)
    for sample, label in zip(looks.astype(float), labels):
        k = class_frames[label]
        deviations = sample - means[:, label]
        for deviation in deviations:
            z = precision @ deviation
            f = k / (k + 1)
            g = f / (1 + f * (deviation @ z))
            precision -= g * np.outer(z, z)
            weights -= g * (means @ z)[..., np.newaxis] * z
        means[:, label] += deviations / (k + 1)
        weights[:, label] += deviations @ precision / (k + 1)
        class_frames[label] += 1
    return _learned(means, weights, precision, class_frames)


def _learned(
    means: np.ndarray, weights: np.ndarray, precision: np.ndarray, class_frames: np.ndarray
) -> Learned:
    overlaps = np.zeros((len(means), 2, means.shape[1]))
    overlaps[:, 0] = (means * weights).sum(axis=2)
    overlaps[:-1, 1] = (means[:-1] * weights[1:]).sum(axis=2)
    return Learned(means, weights, overlaps, precision, class_frames)


def scores(learned: Learned, features: np.ndarray, timesteps: int) -> np.ndarray:
    """Of the classes; between two looks, means and weights follow 1 / T linearly."""
    inverse = [1 / look for look in LOOKS][::-1]
    after = [
        np.interp(1 / timesteps, inverse, np.eye(len(LOOKS))[look][::-1])
        for look in range(len(LOOKS))
    ]
    means = np.tensordot(after, learned.means, 1)
    weights = np.tensordot(after, learned.weights, 1)
    seen = learned.class_frames > 0
    drive = weights @ features - (means * weights).sum(axis=1) / 2
    drive *= 0.15 * len(LOOKS) * learned.class_frames.sum()
    likelihood = np.where(seen, np.exp(drive - drive.max(where=seen, initial=-math.inf)), 0)
    return likelihood / likelihood.sum()
