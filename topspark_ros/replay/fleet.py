"""Evaluation of many bags, here or on a cluster: each run is kept as soon as it is finished."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

import topspark_ros
from topspark_ros.errors import TopsparkError
from topspark_ros.methodology.running import Work, run_pieces, source_digest
from topspark_ros.replay.evaluation import evaluate
from topspark_ros.replay.results import Decided, Evaluation, TimeJump
from topspark_ros.replay.settings import EvaluationError, EvaluationSettings

ROOMS = ('engine', 'streams', 'methodology', 'control', 'perception', 'replay')
ARRAYS = ('frames', 'status', 'receptive_fields')
SOURCE = source_digest(Path(topspark_ros.__file__).parent / room for room in ROOMS)


class BagRun(NamedTuple):
    """A run over a bag. bag: an absolute path, as are those of files in the settings."""

    bag: Path
    settings: EvaluationSettings


@dataclass(frozen=True)
class Rejected:
    """A run that failed. reason: one line that names the bag."""

    run: BagRun
    reason: str


def evaluate_bags(
    runs: Sequence[BagRun],
    store: Path,
    progress: Callable[[int, int], None] | None = None,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
) -> tuple[dict[BagRun, Evaluation], list[Rejected]]:
    """The evaluations of runs, and the runs that failed. The other runs go on.

    Other arguments and errors are those of `run_pieces`. The workers of a cluster find bags and
    files under the same paths. A file that has another size or time of change is another one.
    """
    rejected: list[Rejected] = []
    evaluations = run_pieces(
        WORK,
        runs,
        store,
        progress,
        jobs=jobs,
        scheduler=scheduler,
        failed=lambda group, error: rejected.extend(Rejected(run, str(error)) for run in group),
    )
    return evaluations, rejected


def _source() -> str:
    return SOURCE


def _run(runs: Sequence[BagRun]) -> list[Evaluation]:
    return [_evaluated(run) for run in runs]


def _evaluated(run: BagRun) -> Evaluation:
    """Raises EvaluationError, one line that names the bag."""
    try:
        return evaluate(run.bag, run.settings)
    except (TopsparkError, OSError) as error:
        line = str(error)
        named = line if str(run.bag) in line else f'{run.bag}: {line}'
        raise EvaluationError(named) from None


def _identity(run: BagRun) -> dict:
    settings = asdict(run.settings)
    named = [*settings.values(), *settings['learner'].values()]
    named += (settings['controller'] or {}).values()
    paths = {Path(value) for value in named if isinstance(value, (str, Path)) and value}
    files = {path for path in paths if path.is_file()}
    files |= set(run.bag.rglob('*')) if run.bag.is_dir() else {run.bag}
    return {
        'bag': str(run.bag),
        'settings': json.loads(json.dumps(settings, default=str)),
        'files': [_state(path) for path in sorted(files)],
    }


def _state(path: Path) -> list[object]:
    """Of a file, what changes with it; a bag may be too large to read it for that."""
    try:
        found = path.stat()
    except OSError:
        return [str(path)]
    return [str(path), found.st_size, found.st_mtime_ns]


def _encode(identity: dict, run: Evaluation) -> bytes:
    """A NumPy archive: the arrays, and all else as JSON."""
    plain = {name: value for name, value in vars(run).items() if name not in ARRAYS}
    plain |= {name: [asdict(each) for each in plain[name]] for name in ('decisions', 'jumps')}
    file = io.BytesIO()
    np.savez_compressed(
        file,
        plain=np.array(json.dumps({'identity': identity, 'run': plain})),
        **{name: getattr(run, name) for name in ARRAYS},
    )
    return file.getvalue()


def _decode(content: bytes) -> Evaluation:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            plain = json.loads(str(archive['plain']))['run']
            arrays = {name: archive[name] for name in ARRAYS}
    except Exception as error:  # NumPy and zipfile raise many kinds for a damaged file
        raise EvaluationError(f'no whole archive: {error}') from None
    plain |= {
        'class_names': tuple(plain['class_names']),
        'lost': tuple(plain['lost']),
        'decisions': tuple(Decided(**each) for each in plain['decisions']),
        'jumps': tuple(TimeJump(**each) for each in plain['jumps']),
    }
    return Evaluation(**plain, **arrays)


WORK = Work(
    run=_run, source=_source, identity=_identity, encode=_encode, decode=_decode, suffix='.npz'
)
