"""What the parts of the reproduction share: their data, and a claim with its bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import joblib
import numpy as np

from topspark_ros.cli.analyse import load_data
from topspark_ros.methodology.experiments import Data

Advance = Callable[[], None]


class Plan(NamedTuple):
    """What is run: all of it, or a quick look on the digits that scikit-learn ships.

    seeds: for 400 neurons; small_seeds: for fewer. samples: most training samples.
    networks: that each setting is tried with, and each of the `finalists` with twice as many.
    views: test samples shown to a camera.
    jobs: processes; processor times are measured in one, after the others.
    """

    datasets: tuple[str, ...]
    neurons: tuple[int, ...]
    seeds: range
    small_seeds: range
    samples: int | None
    networks: int
    finalists: int
    views: int
    jobs: int

    def seeds_for(self, neurons: int) -> range:
        return self.seeds if neurons == max(self.neurons) else self.small_seeds


def full(jobs: int) -> Plan:
    return Plan(
        ('mnist', 'fashion_mnist'),
        (100, 400),
        seeds=range(5),
        small_seeds=range(3),
        samples=None,
        networks=10,
        finalists=30,
        views=400,
        jobs=jobs,
    )


def quick(jobs: int) -> Plan:
    return Plan(
        ('digits',),
        (100,),
        seeds=range(2),
        small_seeds=range(2),
        samples=600,
        networks=2,
        finalists=5,
        views=60,
        jobs=jobs,
    )


class Claim(NamedTuple):
    """A figure and what it has to reach.

    unit: '%', 'x' for a ratio, or 'points' of accuracy lost, the fewer the better.
    bound, aim: NaN where nothing was promised.
    """

    what: str
    figure: float
    unit: str
    bound: float = math.nan
    aim: float = math.nan

    @property
    def promised(self) -> bool:
        return not math.isnan(self.bound)

    @property
    def met(self) -> str:
        """'aim', 'bound' or 'missed'; '' if nothing was promised."""
        if not self.promised:
            return ''
        sign = -1 if self.unit == 'points' else 1
        if sign * self.figure >= sign * self.aim:
            return 'aim'
        return 'bound' if sign * self.figure >= sign * self.bound else 'missed'


class Section(NamedTuple):
    """A part of the report: its claims, its table, one dict a row, and what is to be said."""

    title: str
    text: str
    claims: list[Claim]
    rows: list[dict]


def load(name: str, plan: Plan) -> Data:
    """A dataset with its test part, of 28 x 28 pixels."""
    data = load_data(name, 'test')
    if data.training_pixels.shape[1] == 64:
        data = replace(
            data,
            training_pixels=enlarged(data.training_pixels),
            test_pixels=enlarged(data.test_pixels),
        )
    return replace(
        data,
        training_pixels=data.training_pixels[: plan.samples],
        training_labels=data.training_labels[: plan.samples],
    )


def enlarged(pixels: np.ndarray) -> np.ndarray:
    """Digits of 8 x 8 pixels, (samples, 64) uint8, as (samples, 784)."""
    return np.stack(
        [
            cv2.resize(each.reshape(8, 8), (28, 28), interpolation=cv2.INTER_LINEAR).reshape(-1)
            for each in pixels
        ]
    )


def in_parallel(function: Callable, items: Sequence, plan: Plan, advance: Advance) -> list:
    """`function(*item)` of every item, in order."""
    results = []
    for result in joblib.Parallel(plan.jobs, return_as='generator')(
        joblib.delayed(function)(*item) for item in items
    ):
        results.append(result)
        advance()
    return results


def spread(values: Sequence[float]) -> str:
    """Shares as percent: mean, standard deviation and worst."""
    values = 100 * np.asarray(values)
    deviation = values.std(ddof=1) if len(values) > 1 else float('nan')
    return f'{values.mean():.1f} ± {deviation:.1f}, worst {values.min():.1f}'
