"""Many experiments in parallel, here or on a Dask cluster, each kept on disk once it is done.

A cell is one setting with one seed. Its file is named by all that its outcome depends on:
setting, seed, samples and source code. So a sweep that was killed goes on where it was, another
sweep with cells in common reuses them, and nothing of another engine is ever reused.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import joblib

from topspark_ros import engine
from topspark_ros.engine import OperationCounts
from topspark_ros.errors import TopsparkError
from topspark_ros.files import write_text

from . import experiments
from .experiments import Data, Outcome, Pass, Setting, run_experiments

CLUSTER_TIMEOUT_S = 10.0  # for a scheduler to answer and to have a worker


class SweepError(TopsparkError):
    """A sweep cannot be run: one line with field, value and what is accepted."""


class Cell(NamedTuple):
    """One experiment. The seed takes the place of the one in the setting's configuration."""

    setting: Setting
    seed: int


def sweep(
    cells: Sequence[Cell],
    data: Data,
    store: Path,
    progress: Callable[[int, int], None] | None = None,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
) -> dict[Cell, Outcome]:
    """The outcome of every cell, from the store or from an experiment. Cells that train alike
    share one network.

    store: folder of the cells' files; made if it is not there. A broken file is replaced.
    progress: called with (finished, all) cells, first with what the store had.
    jobs: processes on this machine; -1: one for each core.
    scheduler: address of a Dask scheduler, such as tcp://host:8786, whose workers run the cells
        instead. They need this package in this version.

    Raises SweepError for a wrong number of jobs, and if the store cannot be written, the
    scheduler does not answer or has no workers, or a worker runs other source code.
    """
    if jobs < 1 and jobs != -1:
        raise SweepError(f'jobs is {jobs}, accepted is 1 or more, or -1')
    samples = data.digest()
    files = {cell: _file(store, cell, samples) for cell in cells}
    outcomes = {
        cell: outcome for cell, (path, _) in files.items() if (outcome := _load(path)) is not None
    }

    def report() -> None:
        if progress is not None:
            progress(len(outcomes), len(files))

    report()
    alike: dict[tuple, list[Cell]] = {}
    for cell in files:
        if cell not in outcomes:
            alike.setdefault((cell.setting.training_key, cell.seed), []).append(cell)
    if not alike:
        return outcomes
    with _workers(jobs, scheduler, data):
        finished = joblib.Parallel(return_as='generator_unordered', batch_size=1)(
            joblib.delayed(_run)(group, data) for group in alike.values()
        )
        for source, group in finished:
            if source != SOURCE:
                raise SweepError(
                    f'source code of a worker of {scheduler} is {source}, '
                    f'accepted is the same as here, {SOURCE}'
                )
            for cell, outcome in group:
                _save(*files[cell], outcome)
                outcomes[cell] = outcome
            report()
    return {cell: outcomes[cell] for cell in files}  # not in the order in which they finished


def _source_digest() -> str:
    state = hashlib.sha256()
    engine_files = sorted(Path(engine.__file__).parent.rglob('*.py'))
    for path in (*engine_files, Path(experiments.__file__)):
        if path.exists():  # a link in a build folder may outlive its file
            state.update(path.read_bytes())
    return state.hexdigest()[:16]


SOURCE = _source_digest()  # of the code that this process has loaded


def _run(cells: Sequence[Cell], data: Data) -> tuple[str, list[tuple[Cell, Outcome]]]:
    outcomes = run_experiments([cell.setting for cell in cells], data, cells[0].seed)
    return SOURCE, list(zip(cells, outcomes))


@contextmanager
def _workers(jobs: int, scheduler: str | None, data: Data) -> Iterator[None]:
    """Within it, joblib runs on the cores or the cluster that were asked for."""
    if scheduler is None:
        with joblib.parallel_config(n_jobs=jobs):
            yield
        return
    try:
        from dask.distributed import Client  # slow to import, and not needed on a robot
    except ImportError:
        raise SweepError(
            f'scheduler is {scheduler!r}, accepted with Dask installed: '
            "pip install 'dask[distributed]'"
        ) from None
    if not re.fullmatch(r'((tcp|tls)://)?[^/]+:\d+', scheduler):
        raise SweepError(
            f'scheduler is {scheduler!r}, accepted is an address such as tcp://host:8786'
        )
    try:
        client = Client(scheduler, timeout=CLUSTER_TIMEOUT_S, set_as_default=False)
    except OSError as error:
        raise SweepError(
            f'scheduler is {scheduler!r}, accepted is the address of a Dask '
            f'scheduler that answers: {error}'
        ) from None
    with client:
        try:
            client.wait_for_workers(1, CLUSTER_TIMEOUT_S)
        except asyncio.TimeoutError:
            raise SweepError(
                f'scheduler is {scheduler!r}, accepted is one with a worker: none '
                f'came within {CLUSTER_TIMEOUT_S:g} s'
            ) from None
        # Sent once, not with every cell.
        with joblib.parallel_config('dask', client=client, scatter=[data]):
            yield


def _file(store: Path, cell: Cell, samples: str) -> tuple[Path, dict]:
    """Where a cell is kept, and all that its outcome depends on."""
    config = replace(cell.setting.config, seed=cell.seed)
    identity = {
        'setting': asdict(replace(cell.setting, config=config)),
        'samples': samples,
        'source': SOURCE,
    }
    name = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]
    return store / f'{name}.json', identity


def _load(path: Path) -> Outcome | None:
    """What was kept; None if there is nothing or no whole file."""
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        return Outcome(
            *(
                Pass(**content[phase] | {'counts': OperationCounts(**content[phase]['counts'])})
                for phase in Outcome._fields
            )
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _save(path: Path, identity: dict, outcome: Outcome) -> None:
    """Whole or not at all, whenever the process is killed."""
    content = identity | {
        phase: each._asdict() | {'counts': each.counts._asdict()}
        for phase, each in outcome._asdict().items()
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(content, indent=1) + '\n')
    except OSError as error:
        raise SweepError(
            f'store is {path.parent}, accepted is a folder that can be written: {error}'
        ) from None
