"""What the parts of the reproduction share: their data and runner, and a claim with its bound."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np

import topspark_ros
from topspark_ros.cli.analyse import load_data
from topspark_ros.methodology.experiments import Data, Outcome
from topspark_ros.methodology.running import Work, run_pieces, source_digest
from topspark_ros.methodology.sweep import Cell, sweep

Case = TypeVar('Case', bound=Hashable)

BENCHMARKS = Path(__file__).parents[1]
SOURCE = source_digest(
    [Path(topspark_ros.__file__).parent, *BENCHMARKS.glob('*.py'), Path(__file__).parent]
)


class Plan(NamedTuple):
    """What is run: all of it, or a quick look on the digits that scikit-learn ships.

    seeds: for 400 neurons; small_seeds: for fewer. samples: most training samples.
    networks: that each setting is tried with, and each of the `finalists` with twice as many.
    views: test samples shown to a camera.
    """

    datasets: tuple[str, ...]
    neurons: tuple[int, ...]
    seeds: range
    small_seeds: range
    samples: int | None
    networks: int
    finalists: int
    views: int

    def seeds_for(self, neurons: int) -> range:
        return self.seeds if neurons == max(self.neurons) else self.small_seeds


def full() -> Plan:
    return Plan(
        ('mnist', 'fashion_mnist'),
        (100, 400),
        seeds=range(5),
        small_seeds=range(3),
        samples=None,
        networks=10,
        finalists=30,
        views=400,
    )


def quick() -> Plan:
    return Plan(
        ('digits',),
        (100,),
        seeds=range(2),
        small_seeds=range(2),
        samples=600,
        networks=2,
        finalists=5,
        views=60,
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


@cache
def load(name: str, samples: int | None) -> Data:
    """A dataset with its test part, of 28 x 28 pixels; samples: most for training, None: all."""
    data = load_data(name, 'test')
    if data.training_pixels.shape[1] == 64:
        data = replace(
            data,
            training_pixels=enlarged(data.training_pixels),
            test_pixels=enlarged(data.test_pixels),
        )
    return replace(
        data,
        training_pixels=data.training_pixels[:samples],
        training_labels=data.training_labels[:samples],
    )


def enlarged(pixels: np.ndarray) -> np.ndarray:
    """Digits of 8 x 8 pixels, (samples, 64) uint8, as (samples, 784)."""
    return np.stack(
        [
            cv2.resize(each.reshape(8, 8), (28, 28), interpolation=cv2.INTER_LINEAR).reshape(-1)
            for each in pixels
        ]
    )


class Call(NamedTuple):
    """A function of a module and its arguments, which say all that the result depends on but for
    the files of TOPSPARK_DATA. Results are made of numbers, texts, lists, dictionaries and arrays;
    from the store, an array and a tuple are lists."""

    function: Callable
    arguments: tuple


@dataclass(frozen=True)
class Runner:
    """Where work is done and its results are kept; fields as of `run_pieces`."""

    store: Path
    progress: Callable[[float, int], None]
    jobs: int
    scheduler: str | None

    def results(self, function: Callable, items: Sequence[tuple], alone: bool = False) -> list:
        """`function(*item)` of every item, in order; alone: one by one in this process, for the
        sake of their processor times."""
        calls = [Call(function, item) for item in items]
        how = dict(jobs=1) if alone else dict(jobs=self.jobs, scheduler=self.scheduler)
        found = run_pieces(_calls(), calls, self.store, self.progress, **how)
        return [found[call] for call in calls]

    def outcomes(
        self, cells: Mapping[Case, Sequence[Cell]], dataset: Callable[[Case], str], plan: Plan
    ) -> dict[Case, list[Outcome]]:
        """Those of each case, in order. dataset: of a case, by name."""
        found = {}
        for name in dict.fromkeys(map(dataset, cells)):
            own = [case for case in cells if dataset(case) == name]
            outcomes = sweep(
                [cell for case in own for cell in cells[case]],
                load(name, plan.samples),
                self.store,
                self.progress,
                jobs=self.jobs,
                scheduler=self.scheduler,
            )
            found |= {case: [outcomes[cell] for cell in cells[case]] for case in own}
        return {case: found[case] for case in cells}


def _calls() -> Work[Call, Any]:
    files = _data_digest()

    def identity(call: Call) -> dict:
        name = f'{call.function.__module__}.{call.function.__qualname__}'
        return {'function': name, 'arguments': repr(call.arguments), 'data': files}

    return Work(
        run=_run,
        source=_source,
        identity=identity,
        encode=lambda identity, result: json.dumps(identity | {'result': _plain(result)}).encode(),
        decode=lambda content: _value(json.loads(content)['result']),
        suffix='.json',
    )


def _run(calls: Sequence[Call], advance: Callable[[float], None]) -> list:
    return [call.function(*call.arguments) for call in calls]


def _source() -> str:
    return SOURCE


@cache
def _data_digest() -> str:
    """Of the names, sizes and times of change of the files that the data are read from."""
    state = hashlib.sha256()
    for folder, folders, names in os.walk(os.environ.get('TOPSPARK_DATA', os.devnull)):
        folders.sort()
        for path in sorted(Path(folder, name) for name in names):
            found = path.stat()
            state.update(f'{path} {found.st_size} {found.st_mtime_ns}\n'.encode())
    return state.hexdigest()[:16]


def _plain(value: Any) -> Any:
    """As JSON has it; a dictionary as its items, whose keys may be numbers."""
    if isinstance(value, dict):
        return {'items': [[key, _plain(each)] for key, each in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _value(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {key: _value(each) for key, each in plain['items']}
    return [_value(each) for each in plain] if isinstance(plain, list) else plain


def spread(values: Sequence[float]) -> str:
    """Shares as percent: mean, standard deviation and worst."""
    values = 100 * np.asarray(values)
    deviation = values.std(ddof=1) if len(values) > 1 else float('nan')
    return f'{values.mean():.1f} ± {deviation:.1f}, worst {values.min():.1f}'
