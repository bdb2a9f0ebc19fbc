"""Many experiments, each kept on disk once it is done.

A cell is one setting with one seed. Its outcome depends on setting, seed, samples and source code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

from topspark_ros import engine
from topspark_ros.engine import OperationCounts

from . import experiments, neurobench
from .experiments import Data, Outcome, Pass, Setting, run_experiments, seeded
from .neurobench import NeuroBenchMetrics
from .running import Work, run_pieces, source_digest


class Cell(NamedTuple):
    """One experiment. The seed takes the place of the one in the setting's configuration, if it
    has one, and is that of the order of the samples."""

    setting: Setting
    seed: int


def sweep(
    cells: Sequence[Cell],
    data: Data,
    store: Path,
    progress: Callable[[float, int], None] | None = None,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
) -> dict[Cell, Outcome]:
    """The outcome of every cell, from the store or from an experiment. Cells that train alike
    share one network.

    Arguments and errors are those of `run_pieces`.
    """
    return run_pieces(
        work_on(data), cells, store, progress, shared=[data], jobs=jobs, scheduler=scheduler
    )


def work_on(data: Data) -> Work[Cell, Outcome]:
    """The experiments of cells."""
    samples = data.digest()

    def identity(cell: Cell) -> dict:
        setting = replace(cell.setting, config=seeded(cell.setting.config, cell.seed))
        return {'setting': asdict(setting), 'seed': cell.seed, 'samples': samples}

    return Work(
        run=_run,
        source=_source,
        identity=identity,
        encode=_encode,
        decode=_decode,
        suffix='.json',
        together=lambda cell: (cell.setting.training_key, cell.seed),
    )


# Of the code that this process has loaded.
SOURCE = source_digest(
    [Path(engine.__file__).parent, Path(experiments.__file__), Path(neurobench.__file__)]
)


def _source() -> str:
    return SOURCE


def _run(cells: Sequence[Cell], advance: Callable[[float], None], data: Data) -> list[Outcome]:
    return run_experiments([cell.setting for cell in cells], data, cells[0].seed)


def _encode(identity: dict, outcome: Outcome) -> bytes:
    metrics = outcome.neurobench
    content = identity | {
        'training': _plain(outcome.training),
        'inference': _plain(outcome.inference),
        'neurobench': metrics and metrics._asdict(),
    }
    return (json.dumps(content, indent=1) + '\n').encode()


def _decode(content: bytes) -> Outcome:
    kept = json.loads(content)
    metrics = kept['neurobench']
    return Outcome(
        _pass(kept['training']),
        _pass(kept['inference']),
        metrics and NeuroBenchMetrics(**metrics),
    )


def _plain(each: Pass) -> dict:
    return each._asdict() | {'counts': each.counts._asdict()}


def _pass(plain: dict) -> Pass:
    return Pass(**plain | {'counts': OperationCounts(**plain['counts'])})
