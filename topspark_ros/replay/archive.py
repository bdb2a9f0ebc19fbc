"""The files of a report: report.json, and frames.csv, status.csv and decisions.csv of each run.

Numbers are written so that they are read back to the last bit. What is unknown (NaN, no class) is
an empty field, and null in JSON.
"""

from __future__ import annotations

import csv
import json
import math
import platform
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numba
import numpy as np

from topspark_ros.errors import TopsparkError
from topspark_ros.files import FileError, open_text, read_text
from topspark_ros.methodology.neurobench import NeuroBenchMetrics
from topspark_ros.replay.figures import confusion, figures
from topspark_ros.replay.results import (
    FRAMES,
    NONE,
    STATUS,
    Decided,
    Evaluation,
    TimeJump,
)

FORMAT, VERSION = 'topspark evaluation', 3
MAX_BYTES = 2**30  # of one file: the frames of days
CLASSES = ('label', 'predicted')  # columns of FRAMES
Parser = Callable[[str], object]  # what a field of a table becomes
PARSERS: dict[str, Parser] = {
    'bool': lambda text: bool(int(text)),
    'int': int,
    'float': float,
    'str': str,
}
DECISIONS = {field.name: PARSERS[str(field.type)] for field in fields(Decided)}


class ReportError(TopsparkError):
    """A folder was rejected: one line with the file and what is accepted."""


def write_json(path: Path, figures: dict) -> None:
    """`figures` as JSON; NaN, which JSON does not know, as null."""
    path.write_text(json.dumps(_plain(figures), indent=1) + '\n', encoding='utf-8')


def sub_folders(runs: Sequence[Evaluation]) -> list[str]:
    """Where the files of each run go, seen from the report: one run needs no folder of its own."""
    if len(runs) == 1:
        return ['.']
    names = [re.sub(r'[^\w.]+', '_', run.name).strip('_.') for run in runs]
    if '' in names or len(set(names)) < len(names):
        raise ReportError(
            f'runs are named {", ".join(repr(run.name) for run in runs)}, accepted '
            'are names that differ in letters or digits'
        )
    return names


def write_runs(folder: Path, runs: Sequence[Evaluation]) -> None:
    """report.json, and the rows of each run in its sub-folder."""
    for run, name in zip(runs, sub_folders(runs)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        _write_rows(folder / name, run)
    write_json(
        folder / 'report.json',
        {
            'format': FORMAT,
            'version': VERSION,
            'made_with': versions(),
            'runs': [
                {'folder': name, **_summary(run)} for run, name in zip(runs, sub_folders(runs))
            ],
            'timing': [
                {'took_s': run.took_s, 'real_time_factor': real_time_factor(run)} for run in runs
            ],
        },
    )


def read_runs(folder: Path) -> list[Evaluation]:
    """What `write_runs` has written, without the receptive fields.

    Raises ReportError for a folder that is no report, or one of another version.
    """
    path = folder / 'report.json'
    try:
        report = json.loads(read_text(path, MAX_BYTES, 'a report of `topspark evaluate`'))
    except FileError as error:
        raise ReportError(str(error)) from None
    except (ValueError, RecursionError):
        report = None
    if not isinstance(report, dict) or report.get('format') != FORMAT:
        raise ReportError(f'{path}: no report, accepted is one of `topspark evaluate`')
    if report.get('version') != VERSION:
        raise ReportError(
            f'{path}: version {report.get("version")!r} of the format, accepted is {VERSION}'
        )
    try:
        return [
            _read_run(folder / stored['folder'], stored, timing['took_s'])
            for stored, timing in zip(report['runs'], report['timing'])
        ]
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ReportError(
            f'{path}: damaged ({type(error).__name__}: {error}), accepted is a '
            'report as `topspark evaluate` wrote it'
        ) from None


def versions() -> dict[str, str]:
    """Of what the numbers depend on beside our own code."""
    return {
        'python': platform.python_version(),
        'numpy': np.__version__,
        'numba': numba.__version__,
    }


def real_time_factor(run: Evaluation) -> float:
    return run.bag_s / run.took_s if run.took_s > 0 else math.nan


def _summary(run: Evaluation) -> dict[str, object]:
    table = confusion(run)
    return {
        'name': run.name,
        'settings': run.settings,
        'class_names': run.class_names,
        'neurobench': run.neurobench and run.neurobench._asdict(),
        'counts': run.counts,
        'lost': run.lost,
        'losses': run.losses,
        'jumps': [asdict(jump) for jump in run.jumps],
        'bag_s': run.bag_s,
        'figures': asdict(figures(run)),
        'recall': table.recalls(),
        'confusion': {
            'labels': table.labels,
            'predictions': table.predictions,
            'counts': table.counts.tolist(),
        },
    }


def _write_rows(folder: Path, run: Evaluation) -> None:
    names = np.array([*run.class_names, ''], object)  # NONE is the last
    frames = [
        names[run.frames[column]] if column in CLASSES else _texts(run.frames[column])
        for column in _columns(FRAMES)
    ]
    _write_csv(folder / 'frames.csv', _columns(FRAMES), zip(*frames))
    _write_csv(
        folder / 'status.csv',
        _columns(STATUS),
        zip(*(_texts(run.status[column]) for column in _columns(STATUS))),
    )
    _write_csv(
        folder / 'decisions.csv',
        tuple(DECISIONS),
        (
            [int(value) if isinstance(value, bool) else value for value in asdict(each).values()]
            for each in run.decisions
        ),
    )


def _write_csv(path: Path, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)


def _read_run(folder: Path, stored: dict, took_s: float) -> Evaluation:
    class_names, metrics = tuple(stored['class_names']), stored['neurobench']
    numbers = {name: number for number, name in enumerate(class_names)} | {'': NONE}
    frames = _read_csv(
        folder / 'frames.csv',
        {
            name: numbers.__getitem__ if name in CLASSES else _parser(FRAMES[name])
            for name in _columns(FRAMES)
        },
    )
    status = _read_csv(
        folder / 'status.csv', {name: _parser(STATUS[name]) for name in _columns(STATUS)}
    )
    decisions = _read_csv(folder / 'decisions.csv', DECISIONS)
    return Evaluation(
        name=stored['name'],
        settings=stored['settings'],
        class_names=class_names,
        frames=np.array(frames, FRAMES),
        status=np.array(status, STATUS),
        decisions=tuple(Decided(*row) for row in decisions),
        receptive_fields=np.empty((0, 0), np.float32),
        neurobench=metrics and NeuroBenchMetrics(**metrics),
        lost=tuple(stored['lost']),
        jumps=tuple(TimeJump(**jump) for jump in stored['jumps']),
        counts=stored['counts'],
        bag_s=stored['bag_s'],
        took_s=took_s,
    )


def _read_csv(path: Path, columns: dict[str, Parser]) -> list[tuple]:
    """columns: by name."""
    try:
        with open_text(path, MAX_BYTES, 'a file as `topspark evaluate` wrote it') as file:
            header, *lines = csv.reader(file)
    except FileError as error:
        raise ReportError(str(error)) from None
    except (ValueError, csv.Error):
        raise ReportError(
            f'{path}: no table, accepted is a file as `topspark evaluate` wrote it'
        ) from None
    if header != list(columns):
        raise ReportError(f'{path}: columns {",".join(header)}, accepted are {",".join(columns)}')
    rows = []
    for number, line in enumerate(lines, 2):
        try:
            rows.append(
                tuple(parse(text) for parse, text in zip(columns.values(), line, strict=True))
            )
        except (ValueError, KeyError) as error:
            raise ReportError(
                f'{path}: row {number}: {error}, accepted is a file as `topspark evaluate` wrote it'
            ) from None
    return rows


def _columns(table: np.dtype) -> tuple[str, ...]:
    return table.names or ()


def _parser(dtype: np.dtype) -> Parser:
    if dtype.kind == 'f':
        return lambda text: float(text) if text else math.nan
    return PARSERS['bool'] if dtype.kind == 'b' else int


def _texts(column: np.ndarray) -> list[object]:
    """Numbers as the shortest text that gives them back."""
    if column.dtype.kind != 'f':
        return [int(value) for value in column]
    return ['' if value != value else str(value) for value in column]


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
