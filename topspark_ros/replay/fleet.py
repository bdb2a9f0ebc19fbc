"""Evaluation of bags, here or on a cluster: each run is kept as soon as it is finished."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import topspark_ros
from topspark_ros.errors import TopsparkError
from topspark_ros.methodology.neurobench import NeuroBenchMetrics
from topspark_ros.methodology.running import Work, packed, run_pieces, source_digest, unpacked
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
    progress: Callable[[float, int], None] | None = None,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
) -> tuple[dict[BagRun, Evaluation], list[Rejected]]:
    """The evaluations of runs, and the runs that failed. The other runs go on.

    Other arguments and errors are those of `run_pieces`. The workers of a cluster find bags and
    files under the same paths. A file that has another size or time of change is another one. A run
    that saves weights is made again each time.
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


def _run(runs: Sequence[BagRun], advance: Callable[[float], object]) -> list[Evaluation]:
    """Of one run. Raises EvaluationError, one line that names the bag."""
    (run,) = runs
    try:
        return [evaluate(run.bag, run.settings, advance)]
    except (TopsparkError, OSError) as error:
        line = str(error)
        named = line if str(run.bag) in line else f'{run.bag}: {line}'
        raise EvaluationError(named) from None


def _identity(run: BagRun) -> dict:
    settings = asdict(replace(run.settings, save_weights=None))
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
    plain = {name: value for name, value in vars(run).items() if name not in ARRAYS}
    plain |= {name: [asdict(each) for each in plain[name]] for name in ('decisions', 'jumps')}
    return packed(
        {'identity': identity, 'run': plain}, {name: getattr(run, name) for name in ARRAYS}
    )


def _decode(content: bytes) -> Evaluation:
    kept, arrays = unpacked(content)
    plain, metrics = kept['run'], kept['run']['neurobench']
    plain |= {
        'class_names': tuple(plain['class_names']),
        'neurobench': metrics and NeuroBenchMetrics(*metrics),
        'lost': tuple(plain['lost']),
        'decisions': tuple(Decided(**each) for each in plain['decisions']),
        'jumps': tuple(TimeJump(**each) for each in plain['jumps']),
    }
    return Evaluation(**plain, **arrays)


WORK = Work(
    run=_run,
    source=_source,
    identity=_identity,
    encode=_encode,
    decode=_decode,
    suffix='.npz',
    again=lambda run: run.settings.save_weights is not None,
)
