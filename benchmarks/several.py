"""Several objects in one view: how many are found and told right, and what they cost.

    python -m benchmarks.several

Frames of 640 x 480 with 1 to 5 objects before a wall of any grey, under uneven light and with a
camera's noise: digits of scikit-learn in ink, or objects of ETH-80 or COIL-100, cut out of their
photographs. Objects are 80 to 150 pixels large and lie a quarter of that apart, or more. The
default learner with `max_objects: 8` is taught with 400 frames of one object of the training part,
T = 4, and is shown 60 frames of the test part for each number of objects; five seeds, which choose
objects, places and walls.

Found: objects whose square overlaps by half (intersection over union) with one that is found; both
are squares in which the bounding square takes 20/28. Right: of these, told right. False: boxes of
no object, a frame. The finder was tuned on parts of the training pictures.

One object: the same with one in view, for each of the two finders, `max_objects: 1` and 8.

Power: the real learner and controller on a virtual clock, 30 labelled frames a second, a minute
each with 1, 5 and 1 objects of ETH-80. The limit is what 1, 3 or 10 frames of five objects a second
take at T = 4. The worst 30 s are compared with it, once 10 s have passed since the start and since
each change, and changes included.

Needs TOPSPARK_DATA.
"""

from __future__ import annotations

import sys
import time
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from topspark_ros.control.budgets import Budget
from topspark_ros.control.controller import Controller
from topspark_ros.engine import create_network
from topspark_ros.methodology.profile import load_profile
from topspark_ros.perception.assembly import assemble
from topspark_ros.perception.controlling import report_of, timesteps_of
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.perception.online import OnlineLearner
from topspark_ros.perception.samples import Sight
from topspark_ros.perception.steering import Steering
from topspark_ros.streams.colours import Square
from topspark_ros.streams.datasets import load_dataset
from topspark_ros.streams.images import RawImage
from topspark_ros.streams.object_kernels import FILL

from .backgrounds import is_object
from .photographs import photograph_files

SETS = 'digits', 'eth80', 'coil100'
SEEDS = range(5)
COUNTS = 1, 2, 3, 4, 5
ONE, PARAMETERS = (SnnLearnerParameters(max_objects=most, trial_share=0.0) for most in (1, 8))
TAUGHT, SHOWN = 400, 60  # frames
POOL = 20  # frames that come again and again, of the power's measurement
HEIGHT, WIDTH = 480, 640
SIZES = 80, 150  # of an object, pixels
APART = 0.25  # of the larger of two objects
INK = 45, 40, 35
OVERLAP = 0.5
RATE_HZ, STATUS_S, MINUTE_S, WINDOW_S, SETTLING_S = 30, 0.5, 60, 30, 10
PROFILE = Path(__file__).parents[1] / 'config' / 'profile_digits.yaml'

Cutout = tuple[
    int, np.ndarray, np.ndarray
]  # class; (height, width, 3) colours; share of each pixel


@cache
def cutouts(name: str, part: str) -> list[Cutout]:
    """Objects of a part, 'train' or 'test', float32."""
    if name == 'digits':
        digits = load_dataset('digits')
        order = np.random.default_rng(0).permutation(len(digits.labels))
        return [
            (
                int(digits.labels[index]),
                np.full((*digits.images[index].shape, 3), INK, np.float32),
                digits.images[index].astype(np.float32) / 255,
            )
            for index in (order[:1300] if part == 'train' else order[1300:])
        ]
    found = []
    for label, path in photograph_files(name, part):
        rgb = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        mask = is_object(rgb) if name == 'eth80' else _on_black(rgb)
        found.append((label, rgb.astype(np.float32), mask.astype(np.float32)))
    return found


class Scenes:
    """Frames with so many objects of a part, and what is where."""

    def __init__(self, name: str, part: str, seed: int):
        self._cutouts = cutouts(name, part)
        self._random = np.random.default_rng(seed)
        self._noise = self._random.standard_normal((HEIGHT + 64, WIDTH + 64, 3), np.float32)
        self._down, self._across = np.mgrid[-0.5 : 0.5 : HEIGHT * 1j, -0.5 : 0.5 : WIDTH * 1j]

    def draw(self, count: int) -> tuple[np.ndarray, list[tuple[int, Square]]]:
        """A frame, (HEIGHT, WIDTH, 3) uint8 RGB; and of each object its class and square."""
        random = self._random
        frame = self._wall()
        there, squares = [], []
        for top, left, (label, rgb, share) in self._placed(count):
            height, width = share.shape
            behind = frame[top : top + height, left : left + width]
            behind += share[..., np.newaxis] * (rgb - behind)
            there.append(label)
            squares.append(_square(share, top, left))
        top, left = random.integers(64, size=2)
        frame += random.uniform(0, 4) * self._noise[top : top + HEIGHT, left : left + WIDTH]
        return np.rint(np.clip(frame, 0, 255)).astype(np.uint8), list(zip(there, squares))

    def _wall(self) -> np.ndarray:
        random = self._random
        level, angle, slope = random.uniform((60, 0, 0), (215, 2 * np.pi, 0.3))
        light = level * (1 + slope * (np.cos(angle) * self._across + np.sin(angle) * self._down))
        return (light[..., np.newaxis] * random.uniform(0.93, 1.07, 3)).astype(np.float32)

    def _placed(self, count: int) -> list[tuple[int, int, Cutout]]:
        """Top, left and objects; begun anew where they find no room."""
        random = self._random
        while True:
            placed: list[tuple[int, int, Cutout]] = []
            for _ in range(count):
                cutout = self._sized()
                height, width = cutout[2].shape
                for _ in range(100):
                    top, left = random.integers(4, (HEIGHT - height - 4, WIDTH - width - 4))
                    if all(_apart(top, left, cutout, *other) for other in placed):
                        placed.append((top, left, cutout))
                        break
            if len(placed) == count:
                return placed

    def _sized(self) -> Cutout:
        label, rgb, share = self._cutouts[self._random.integers(len(self._cutouts))]
        rows, columns = (np.flatnonzero((share > 0.5).any(axis=axis)) for axis in (1, 0))
        part = (
            slice(max(rows[0] - 1, 0), rows[-1] + 2),
            slice(max(columns[0] - 1, 0), columns[-1] + 2),
        )
        scale = self._random.uniform(*SIZES) / max(share[part].shape)
        rgb, share = (
            cv2.resize(each[part], None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
            for each in (rgb, share)
        )
        return label, np.clip(rgb, 0, 255), np.clip(share, 0, 1)


def look(frame: np.ndarray, parameters: SnnLearnerParameters = PARAMETERS) -> list[Sight]:
    return parameters.view().look(RawImage.of(frame))


def taught(name: str, seed: int, parameters: SnnLearnerParameters = PARAMETERS) -> OnlineLearner:
    """A learner that was shown single objects, each labelled."""
    scenes, learner = Scenes(name, 'train', seed), new_learner().learner
    for number in range(TAUGHT):
        frame, ((label, _),) = scenes.draw(1)
        stamp_ns = (number + 1) * 10**9
        learner.classify(stamp_ns, look(frame, parameters)[0].sample, float(number))
        learner.add_label(stamp_ns, str(label))
    learner.learn_waiting(float(TAUGHT))
    return learner


def new_learner() -> Steering:
    network = create_network(PARAMETERS.network_config())
    return assemble(PARAMETERS, network, (), {})


def shown(
    learner: OnlineLearner,
    scenes: Scenes,
    count: int,
    parameters: SnnLearnerParameters = PARAMETERS,
) -> dict[str, float]:
    """What becomes of frames with so many objects; processor time and estimated energy a frame."""
    found = right = false = told = 0
    look_s = infer_s = energy_j = 0.0
    for _ in range(SHOWN):
        frame, there = scenes.draw(count)
        begun_s = time.process_time()
        first, *others = look(frame, parameters)
        looked_s = time.process_time()
        result = learner.classify(0, first.sample, 0.0, further=[sight.sample for sight in others])
        look_s, infer_s = look_s + looked_s - begun_s, infer_s + time.process_time() - looked_s
        energy_j += result.frame_energy_j
        told += result.class_name == str(there[0][0])
        left = list(there)
        for each, sight in zip((result, *result.further), (first, *others)):
            overlaps = [overlap(sight.square, square) for _, square in left]
            if sight.square is None or max(overlaps, default=0.0) < OVERLAP:
                false += sight.square is not None
                continue
            found += 1
            right += each.class_name == str(left.pop(int(np.argmax(overlaps)))[0])
    objects = SHOWN * count
    return {
        'found': found / objects,
        'right': right / max(found, 1),
        'false': false / SHOWN,
        'told right': told / SHOWN,
        'look_s': look_s / SHOWN,
        'infer_s': infer_s / SHOWN,
        'energy_j': energy_j / SHOWN,
    }


def overlap(one: Square, other: Square) -> float:
    """Intersection over union of two squares."""
    sides = [
        min(a + one.extent / 2, b + other.extent / 2)
        - max(a - one.extent / 2, b - other.extent / 2)
        for a, b in ((one.x, other.x), (one.y, other.y))
    ]
    common = max(sides[0], 0.0) * max(sides[1], 0.0)
    return common / (one.extent**2 + other.extent**2 - common)


def excesses(seed: int, rate_hz: float) -> tuple[float, float, list[float]]:
    """Worst window over the limit less 1, without the seconds after changes and with them; and the
    share of the frames that was processed in each minute.

    rate_hz: of frames with five objects, that the limit suffices for.
    """
    scenes = Scenes('eth80', 'train', seed)
    pools = {count: [scenes.draw(count) for _ in range(POOL)] for count in (1, 5)}
    sights = {count: [look(frame) for frame, _ in pool] for count, pool in pools.items()}
    limit_w = rate_hz * np.mean([shown_j(each) for each in sights[5]])
    steering, controller = new_learner(), Controller(load_profile(PROFILE))
    learner = steering.learner
    controller.on_budget(0.0, 'operator', Budget(power_w=limit_w))
    used_j, processed, skipped, due, sequence, decision = [0.0], [], 0, 0.0, 0, None
    for number in range(3 * MINUTE_S * RATE_HZ):
        now_s = number / RATE_HZ
        count = 5 if MINUTE_S <= now_s < 2 * MINUTE_S else 1
        if number % round(STATUS_S * RATE_HZ) == 0:
            status = learner.status(now_s)
            controller.on_report(now_s, report_of(status, now_s, active_s=now_s, skipped=skipped))
            before, decision = decision, controller.decide(now_s)
            if decision is not None and decision is not before:
                sequence += 1
                steering.apply(timesteps_of(decision, sequence))
        due += steering.decided.frame_share
        taken = due >= 1.0 - 1e-9
        if taken:
            due -= 1.0
            index = number % POOL
            first, *others = (sight.sample for sight in sights[count][index])
            stamp_ns = round((now_s + 1.0) * 1e9)
            learner.classify(stamp_ns, first, now_s, further=others)
            learner.add_label(stamp_ns, str(pools[count][index][1][0][0]))
        skipped += not taken
        processed.append(taken)
        learner.learn_due(now_s)
        used_j.append(learner.totals.energy_j)
    window, settling = WINDOW_S * RATE_HZ, SETTLING_S * RATE_HZ
    powers = np.diff(sliding_window_view(used_j, window + 1)[:, [0, -1]], axis=1)[:, 0]
    powers = powers / (WINDOW_S * limit_w)
    begins = np.arange(len(powers))
    minute = MINUTE_S * RATE_HZ
    within = (begins % minute >= settling) & (begins % minute + window <= minute)
    shares = np.reshape(processed, (3, minute)).mean(axis=1)
    return powers[within].max() - 1, powers[settling:].max() - 1, shares.tolist()


def shown_j(sights: list[Sight]) -> float:
    """Estimated energy of a frame at the T in force until a decision comes, untaught."""
    first, *others = (sight.sample for sight in sights)
    return new_learner().learner.classify(0, first, 0.0, further=others).frame_energy_j


def row(*cells: object) -> None:
    print('|', ' | '.join(map(str, cells)), '|', flush=True)


def mean(runs: list[dict[str, float]], what: str) -> float:
    return float(np.mean([run[what] for run in runs]))


def percent(runs: list[dict[str, float]], what: str) -> str:
    """Mean, and the worst in brackets."""
    return f'{100 * mean(runs, what):.1f} ({100 * min(run[what] for run in runs):.1f})'


def heading(*cells: object) -> None:
    row(*cells)
    row(*['---'] * len(cells))


def tell_of_several() -> None:
    heading(
        'set',
        'objects',
        'found % (worst)',
        'right % (worst)',
        'false a frame',
        'look ms',
        'infer ms',
        'energy µJ',
    )
    for name in SETS:
        learners = [taught(name, seed) for seed in SEEDS]
        for count in COUNTS:
            runs = [
                shown(learner, Scenes(name, 'test', 1000 + seed), count)
                for seed, learner in zip(SEEDS, learners)
            ]
            row(
                name,
                count,
                percent(runs, 'found'),
                percent(runs, 'right'),
                f'{mean(runs, "false"):.2f}',
                f'{1e3 * mean(runs, "look_s"):.2f}',
                f'{1e3 * mean(runs, "infer_s"):.2f}',
                f'{1e6 * mean(runs, "energy_j"):.0f}',
            )


def tell_of_one() -> None:
    heading('set, one object', 'max_objects', 'found % (worst)', 'told right % (worst)', 'look ms')
    for name in SETS:
        for parameters in (ONE, PARAMETERS):
            runs = [
                shown(
                    taught(name, seed, parameters),
                    Scenes(name, 'test', 2000 + seed),
                    1,
                    parameters,
                )
                for seed in SEEDS
            ]
            row(
                name,
                parameters.max_objects,
                percent(runs, 'found'),
                percent(runs, 'told right'),
                f'{1e3 * mean(runs, "look_s"):.2f}',
            )


def tell_of_power() -> None:
    heading('limit, frames/s of 5 objects', 'settled %', 'any %', 'processed: 1, 5, 1 objects %')
    for rate_hz in (1, 3, 10):
        settled, any_time, shares = zip(*(excesses(seed, rate_hz) for seed in SEEDS))
        row(
            rate_hz,
            f'{100 * max(settled):+.1f}',
            f'{100 * max(any_time):+.1f}',
            ', '.join(f'{100 * share:.0f}' for share in np.mean(shares, axis=0)),
        )


def main() -> int:
    tell_of_several()
    print()
    tell_of_one()
    print()
    tell_of_power()
    return 0


def _on_black(rgb: np.ndarray) -> np.ndarray:
    """Which pixels of a picture of coil100 show its object, bool."""
    bright = cv2.morphologyEx(
        (rgb.max(axis=2) > 40).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)
    )
    _, pieces, found, _ = cv2.connectedComponentsWithStats(bright)
    return pieces == 1 + found[1:, cv2.CC_STAT_AREA].argmax()


def _square(share: np.ndarray, top: int, left: int) -> Square:
    rows, columns = (np.flatnonzero((share > 0.5).any(axis=axis)) for axis in (1, 0))
    side = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    return Square(
        left + (columns[0] + columns[-1]) / 2, top + (rows[0] + rows[-1]) / 2, side / FILL
    )


def _apart(
    top: int, left: int, cutout: Cutout, other_top: int, other_left: int, other: Cutout
) -> bool:
    (height, width), (other_height, other_width) = cutout[2].shape, other[2].shape
    gap = APART * max(height, width, other_height, other_width)
    return bool(
        max(
            other_top - (top + height),
            top - (other_top + other_height),
            other_left - (left + width),
            left - (other_left + other_width),
        )
        >= gap
    )


if __name__ == '__main__':
    sys.exit(main())
