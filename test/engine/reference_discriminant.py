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

from topspark_ros.engine import FeaturesConfig, OperationCounts
from topspark_ros.engine.kernels import clutter, denoising

LOOKS = 1, 64
COUNTS = np.array([0.5, 1.0])  # of each look in the scatter
NOVELTY_EVERY = 4  # features: those that novelty is of
EXEMPLARS = 32  # of a class
EXEMPLAR_STEP = 1 / 16  # of their features
EVERY = 4  # samples of a class: those that are seen before another background,
LOOK = 64  # after so many steps
BLOCK = 16  # elements of a row of the precision that are kept together
# What is resolved: light and surfaces, of full scale; potentials, relative to the largest one of
# their place.
LIGHT, POTENTIAL = 3e-7, 3e-6


@numba.njit
def take_noise_out(picture):
    """Of a picture, (side, side, channels) float32, in place; by the engine's own kernels."""
    memory = denoising.memory_of(picture.shape[0])
    denoising.denoise(picture, denoising.noise_of(picture, memory), memory)


@numba.njit
def change_background(picture, label, frame):
    """Of a picture, (side, side, channels) float32, in place; whether it was even. By the engine's
    own kernels."""
    memory = clutter.memory_of(picture.shape[0], picture.shape[2])
    even = clutter.find_background(picture, memory)
    if even:
        clutter.invent(picture, label, frame, memory)
    return even


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
    is_exact: bool  # whether float32 surely has the same potentials: sums of whole numbers


class Seen(NamedTuple):
    """What a picture looks like after some steps."""

    features: np.ndarray
    fired: int  # filters, at all places
    closest: float


class Shown(NamedTuple):
    """What looks at a picture see, by their step, and take."""

    seen: dict[int, Seen]
    counts: OperationCounts
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


def before_another(picture: np.ndarray, label: int, frame: int) -> np.ndarray | None:
    """A copy of a picture without its noise, its object before another background; None if its own
    is not even."""
    result = denoised(picture)
    return result if change_background(result, label, frame) else None


class SplitMix:
    """Uniform numbers of SplitMix64, in integers of any size."""

    def __init__(self, label: int, frame: int) -> None:
        self.state = self.mixed(self.mixed(label + 0x9E3779B97F4A7C15) + frame)

    @staticmethod
    def mixed(z: int) -> int:
        z %= 2**64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        return z ^ z >> 31

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        return low + (high - low) * (self.mixed(self.state) >> 11) * 2.0**-53


def leaves(side: int, channels: int, label: int, frame: int) -> np.ndarray:
    """The background made up for a frame of a class, (side, side, channels)."""
    random = SplitMix(label, frame)
    base = np.array([random.uniform(0.25, 0.75) for _ in range(channels)])
    spread = random.uniform(0.1, 0.6)
    picture = np.tile(base, (side, side, 1))
    y, x = np.indices((side, side))
    for _ in range(int(random.uniform(10, 60))):
        light = random.uniform(-1.4, 1.4)
        colour = np.array([random.uniform(-0.3, 0.3) for _ in range(channels)])
        paint = np.clip(base + spread * (light + colour), 0, 1)
        size = side / 16 / np.sqrt(random.uniform(22.0**-2, 1))
        right, down = x - random.uniform(0, side), y - random.uniform(0, side)
        if random.uniform() < 0.5:
            inside = size - np.hypot(right, down)
        else:
            turned = random.uniform(0, np.pi)
            wide, high = (size * random.uniform(0.15, 1.15) for _ in range(2))
            along = np.cos(turned) * right + np.sin(turned) * down
            across = np.cos(turned) * down - np.sin(turned) * right
            inside = np.minimum(wide - abs(along), high - abs(across))
        share = np.clip(inside + 0.5, 0, 1)[..., np.newaxis]
        picture += share * (paint - picture)
    return picture


def object_share(picture: np.ndarray) -> tuple[np.ndarray, float]:
    """How much of each pixel is object, (side, side, 1): by its colour's distance to the edge's.
    And how much of the edge is."""
    picture = picture.astype(float)
    edge = np.pad(np.zeros(np.subtract(picture.shape[:2], 4), bool), 2, constant_values=True)
    difference = np.abs(picture - picture[edge].mean(axis=0)).max(axis=2, keepdims=True)
    share = np.minimum(difference / 0.4, 1)
    return share, share[edge].mean()


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

    def __init__(self, config: FeaturesConfig, state: dict[str, np.ndarray]) -> None:
        self.config = config
        self.banks = []
        for name, usual in zip(('edge_filters', 'surface_filters'), state['usual'].tolist()):
            stored = state[name].astype(float)
            size = 5 if name == 'edge_filters' else 3
            filters = stored.T.reshape(stored.shape[1], -1, size, size)
            self.banks.append(Bank(filters, usual, state[name].dtype == np.int8))

    def _shaped(self, picture: np.ndarray) -> np.ndarray:
        return picture.reshape(self.config.side, self.config.side, self.config.channels)

    def drives(self, picture: np.ndarray) -> list[Drives]:
        """Of the inputs of both banks; picture: as a network takes it, float32."""
        picture = denoised(self._shaped(picture)).astype(float)
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
        largest = np.abs(potential).max(axis=2)
        alive = largest > 0  # where it is 0 all are, exactly
        doubtful = np.abs(above).min(axis=2)[alive] / largest[alive]
        if bank.is_exact:
            doubtful = np.empty(0)
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

    def show(self, drives: list[Drives], spiking: list[int], graded: list[int]) -> Shown:
        """Look at a picture at some steps, which its inputs reach by spikes, and then at others, to
        which each input sends what is due as one event."""
        seen = {stop: self.see(drives, stop) for stop in (*spiking, *graded)}
        timesteps = max(spiking, default=0)
        events = additions = 0
        potentials = self.config.features  # what is up to date after a step: features, too
        for bank, some in zip(self.banks, drives):
            width, filters = bank.filters.shape[-1], len(bank.filters)
            places = len(some.values) - width + 1
            heard = np.zeros(some.values.shape[:2], int)  # additions that one spike takes
            for y in range(places):
                for x in range(places):
                    heard[y : y + width, x : x + width] += filters
            before = send(some, timesteps).sent if spiking else np.zeros_like(some.values)
            sent = before.sum(axis=2)
            for look in graded:
                now = send(some, look).sent
                sent += np.count_nonzero(now > before, axis=2)
                before = now
            events += int(sent.sum())
            additions += int((sent * heard).sum())
            potentials += places**2 * filters
        fired = sum(look.fired for look in seen.values())
        # Currents go to what pools them.
        counts = OperationCounts(
            events, fired, additions + fired, (timesteps + len(graded)) * potentials, 0
        )
        return Shown(seen, counts, min(look.closest for look in seen.values()))

    def present(
        self, picture: np.ndarray, timesteps: int, frames: np.ndarray, label: int | None = None
    ) -> Presented:
        """A presentation to a network that has seen so many frames of each class.

        With a label it is learned, too. Then the looks on the way are looked at, and after the last
        step those to come; and of some frames what they are before another background.
        """
        passed = [] if label is None else [look for look in LOOKS if look < timesteps]
        graded = [] if label is None else [look for look in LOOKS if look > timesteps]
        shown = self.show(self.drives(picture), [*passed, timesteps], graded)
        counts, closest, now = shown.counts, shown.closest, shown.seen[timesteps]
        if now.fired:  # features go to the classes
            classes, size = np.count_nonzero(frames), self.config.features
            counts = plus(counts, OperationCounts(0, 0, classes * size, classes, 0))
            others = classes - (label is not None and label < len(frames) and frames[label] > 0)
            if others:
                counts = plus(counts, judged(size))
        if label is not None and counts.output_spikes:
            counts = plus(counts, rewritten(self.config.features, frames, label))
            number = 1 + (frames[label] if label < len(frames) else 0)
            if self.config.clutter and number % EVERY == 0:
                another = before_another(self._shaped(picture), label, number)
                if another is not None:
                    shown = self.show(self.drives(another), [], [LOOK])
                    counts = plus(counts, shown.counts)
                    counts = plus(counts, rewritten_by_scatter(self.config.features, frames))
                    closest = min(closest, shown.closest)
        return Presented(now.features, counts, closest)


def plus(one: OperationCounts, other: OperationCounts) -> OperationCounts:
    return OperationCounts(*map(sum, zip(one, other)))


def judged(size: int) -> OperationCounts:
    """What a novelty takes."""
    return OperationCounts(0, 0, EXEMPLARS * _novel(size), EXEMPLARS, 0)


def _novel(size: int) -> int:
    """How many features novelty is of."""
    return len(range(0, size, NOVELTY_EVERY))


def rewritten(size: int, frames: np.ndarray, label: int) -> OperationCounts:
    """Weights that a sample rewrites: the means and weights of its class, and an exemplar; unless
    it is the first of that, the scatter changes, too."""
    of_class = OperationCounts(0, 0, 0, 0, len(LOOKS) * (2 * size + _novel(size)))
    if label >= len(frames) or frames[label] == 0:
        return of_class
    return plus(of_class, rewritten_by_scatter(size, frames))


def rewritten_by_scatter(size: int, frames: np.ndarray) -> OperationCounts:
    """The blocks of the precision that are kept, and the weights of all classes seen."""
    blocks = size // BLOCK
    kept = blocks * (blocks + 1) // 2 * BLOCK**2
    weights = np.count_nonzero(frames) * len(LOOKS) * size
    return OperationCounts(0, 0, 0, 0, kept + _novel(size) + weights)


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
    scatter: np.ndarray


def first_scatter(size: int) -> float:
    """eps: as of a sixteenth of a frame for each feature, a feature of a variance of 0.15."""
    return size / 16 * COUNTS.sum() * 0.15


def solve(
    looks: np.ndarray, labels: np.ndarray, classes: int, disturbances: np.ndarray | None = None
) -> Learned:
    """The batch solution. looks: (samples, L, D). labels: (samples,). disturbances: (some, D), what
    other backgrounds change, times the root of how much it counts."""
    size = looks.shape[2]
    means = np.zeros((looks.shape[1], classes, size))
    scatter = first_scatter(size) * np.eye(size)
    for c in set(labels.tolist()):
        of_class = looks[labels == c].astype(float)
        means[:, c] = of_class.mean(axis=0)
        deviations = of_class - means[:, c]
        deviations = (np.sqrt(COUNTS)[:, np.newaxis] * deviations).reshape(-1, size)
        scatter += deviations.T @ deviations
    if disturbances is not None:
        scatter += disturbances.T @ disturbances
    precision = np.linalg.inv(scatter)
    return _learned(means, means @ precision, precision, np.bincount(labels, minlength=classes))


def follow(
    looks: np.ndarray, labels: np.ndarray, classes: int, disturbances: np.ndarray | None = None
) -> Learned:
    """The same by the recursive rule, one look after the other, in the given order; disturbances
    are of every EVERY-th sample of a class, in the order of these."""
    size = looks.shape[2]
    means = np.zeros((looks.shape[1], classes, size))
    weights = np.zeros_like(means)
    precision = np.eye(size) / first_scatter(size)
    class_frames = np.zeros(classes, int)
    following = iter([] if disturbances is None else disturbances)
    for sample, label in zip(looks.astype(float), labels):
        k = class_frames[label]
        deviations = sample - means[:, label]
        for deviation, f in zip(deviations, COUNTS * k / (k + 1)):
            precision, weights = scattered(precision, weights, means, deviation, f)
        means[:, label] += deviations / (k + 1)
        weights[:, label] += deviations @ precision / (k + 1)
        class_frames[label] += 1
        if disturbances is not None and class_frames[label] % EVERY == 0:
            precision, weights = scattered(precision, weights, means, next(following), 1.0)
    return _learned(means, weights, precision, class_frames)


def scattered(
    precision: np.ndarray, weights: np.ndarray, means: np.ndarray, deviation: np.ndarray, f: float
) -> tuple[np.ndarray, np.ndarray]:
    """Precision and weights after f times the square of a deviation came to the scatter."""
    z = precision @ deviation
    g = f / (1 + f * (deviation @ z))
    return precision - g * np.outer(z, z), weights - g * (means @ z)[..., np.newaxis] * z


def _learned(
    means: np.ndarray, weights: np.ndarray, precision: np.ndarray, class_frames: np.ndarray
) -> Learned:
    overlaps = np.stack(
        [(means[one] * weights[other]).sum(axis=1) for one, other in ((0, 0), (0, 1), (1, 1))]
    )
    scatter = np.linalg.inv(precision).diagonal()[::NOVELTY_EVERY]
    return Learned(means, weights, overlaps, precision, class_frames, scatter)


def exemplars(looks: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """The samples of each class that are kept, (L, C, K, N), of so many looks (samples, L, D)."""
    steps = np.minimum(np.rint(looks[..., ::NOVELTY_EVERY] / EXEMPLAR_STEP), 127)
    kept = np.zeros((looks.shape[1], classes, steps.shape[2], EXEMPLARS))
    for c in range(classes):
        of_class: list[np.ndarray] = []
        for sample in steps[labels == c]:
            of_class.append(sample)
            if len(of_class) > EXEMPLARS:
                last = np.array(of_class)[:, -1]
                apart = ((last[:, np.newaxis] - last) ** 2).sum(axis=2)
                apart[np.triu_indices(len(last))] = math.inf
                another = of_class.pop()
                if apart[:-1].min() < apart[-1].min():
                    of_class[np.unravel_index(apart.argmin(), apart.shape)[0]] = another
        kept[:, c, :, : len(of_class)] = np.transpose(of_class, (1, 2, 0))
    return kept


def scores(learned: Learned, features: np.ndarray, timesteps: int) -> np.ndarray:
    """Of the classes."""
    log_likelihood = log_likelihoods(learned, features, timesteps)
    likelihood = np.exp(log_likelihood - log_likelihood.max())
    return likelihood / likelihood.sum()


def evidence(
    learned: Learned, features: np.ndarray, timesteps: int, taken_out: int = -1
) -> tuple[int, float]:
    """The most likely class, and its log-odds against all others; as if one were not there."""
    log_likelihood = log_likelihoods(learned, features, timesteps)
    if taken_out >= 0:
        log_likelihood[taken_out] = -math.inf
    best = int(log_likelihood.argmax())
    rivals = np.exp(np.delete(log_likelihood, best) - log_likelihood[best])
    return best, -math.log(rivals.sum())


def novelty(
    learned: Learned, kept: np.ndarray, features: np.ndarray, timesteps: int, label: int
) -> float:
    """The least squared distance to an exemplar of a class, over what is usual; kept: as of
    `exemplars`."""
    frames = learned.class_frames
    own = np.tensordot(after(timesteps), kept[:, label, :, : frames[label]], 1) * EXEMPLAR_STEP
    apart = (features[::NOVELTY_EVERY, np.newaxis] - own) ** 2 / learned.scatter[:, np.newaxis]
    number = features.size / 16 + np.maximum(frames - 1, 0).sum()
    return COUNTS.sum() * number * apart.mean(axis=0).min()


def after(timesteps: int) -> list[float]:
    """How much of each look there is in what so many steps see: 1 / T, linearly."""
    inverse = [1 / look for look in LOOKS][::-1]
    return [
        np.interp(1 / timesteps, inverse, np.eye(len(LOOKS))[look][::-1])
        for look in range(len(LOOKS))
    ]


def log_likelihoods(learned: Learned, features: np.ndarray, timesteps: int) -> np.ndarray:
    """Of the classes, up to what they share; -inf of those that were never seen."""
    means = np.tensordot(after(timesteps), learned.means, 1)
    weights = np.tensordot(after(timesteps), learned.weights, 1)
    seen = learned.class_frames > 0
    drive = weights @ features - (means * weights).sum(axis=1) / 2
    drive *= 0.15 * COUNTS.sum() * learned.class_frames.sum()
    return np.where(seen, drive, -math.inf)
