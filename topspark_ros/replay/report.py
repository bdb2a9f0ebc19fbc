"""Reports of evaluations: a page with pictures and tables, and of two evaluations a comparison."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

from matplotlib.ticker import EngFormatter

from topspark_ros.pages import code, escaped, table, write_page
from topspark_ros.replay import pictures
from topspark_ros.replay.archive import (
    ReportError,
    read_runs,
    real_time_factor,
    sub_folders,
    versions,
    write_json,
    write_runs,
)
from topspark_ros.replay.figures import (
    ACCURACY_WINDOW,
    POWER_WINDOW_S,
    Figures,
    PowerWindow,
    confusion,
    figures,
    paired,
)
from topspark_ros.replay.jumps import described
from topspark_ros.replay.metrics import UNKNOWN, neurobench_section
from topspark_ros.replay.results import Evaluation
from topspark_ros.replay.run import MEASURED_FRAMES

PAGE = 'README.md'
NAMED_CLASSES = 3  # of the lowest recall
READ_ACCURACY = (
    'Share of frames that were classified right, each before it was learned, over the time of the '
    f'bag. Solid: of the last {ACCURACY_WINDOW} labelled, how good it is by then; dashed: of all '
    'so far.'
)


class Row(NamedTuple):
    """A line of the table. difference: of second from first, as text; None: it has none."""

    name: str
    shown: Callable[[Figures], str]
    difference: Callable[[Figures, Figures], str] | None = None


def write_report(folder: Path, evaluations: Sequence[Evaluation]) -> Path:
    """A page of one run; of several the page that compares them, and in a sub-folder each its own.

    folder: made if it is not there. Returns the page as HTML.
    """
    runs = list(evaluations)
    if not runs:
        raise ReportError('0 evaluations, accepted is 1 or more')
    names = sub_folders(runs)
    if len(runs) > 1:
        for run, name in zip(runs, names):
            write_report(folder / name, [run])
    write_runs(folder, runs)
    results = [figures(run) for run in runs]
    lines = [f'# {_title(runs)}', '', *_answer(runs, results), '', _energy_sentence(runs)]
    if len(runs) == 1:
        lines += _pictures_of_one(folder, runs[0], results[0].worst)
    else:
        lines += _pictures_of_many(folder, runs, results)
        lines += ['', '## Each run', '']
        lines += [f'- [{escaped(run.name)}]({name}/{PAGE})' for run, name in zip(runs, names)]
    lines += neurobench_section(
        {run.name: run.neurobench for run in runs},
        f'Of the network at the end, for the last {MEASURED_FRAMES} frames with an object that it '
        'classified, at the T of inference that was set then.',
    )
    lines += _losses(runs) + _repeat(runs) + _files(len(runs) == 1)
    return write_page(folder / PAGE, lines)


def compare_reports(folder: Path, first: Path, second: Path) -> Path:
    """A page that puts two reports side by side, frame by frame where their stamps agree.

    folder: made if it is not there; neither of the two. Reports of one run each are compared
    whatever the runs are called, others run by run of the same name. Returns the page as HTML.

    Raises ReportError for a folder that is no report, or of another version, and if no run is in
    both.
    """
    if folder.resolve() in (first.resolve(), second.resolve()):
        raise ReportError(f'{folder}: is one of the reports, accepted is another folder')
    pairs = _pairs(first, second)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        '# Two evaluations side by side',
        '',
        f'- first: {code(str(first))}',
        f'- second: {code(str(second))}',
    ]
    compared = []
    for number, pair in enumerate(pairs):
        lines += _compare(folder, '' if len(pairs) == 1 else f'_{number}', *pair)
        compared.append(
            {
                'first': pair[0].name,
                'second': pair[1].name,
                'figures': [asdict(figures(run)) for run in pair],
                'frames': asdict(paired(*pair)),
            }
        )
    write_json(folder / 'comparison.json', {'pairs': compared})
    return write_page(folder / PAGE, lines)


# The page of a report ----------------------------------------------------------------------


def _title(runs: Sequence[Evaluation]) -> str:
    return (
        f'Evaluation: {escaped(runs[0].name)}'
        if len(runs) == 1
        else f'Evaluation: {len(runs)} runs'
    )


def _answer(runs: Sequence[Evaluation], results: Sequence[Figures]) -> list[str]:
    rows = [[row.name, *map(row.shown, results)] for row in ROWS]
    rows.append(['length of what was evaluated', *(f'{run.bag_s:.1f} s' for run in runs)])
    rows.append(
        [
            'time it took',
            *(f'{run.took_s:.1f} s, {_number(real_time_factor(run))} x real time' for run in runs),
        ]
    )
    return table(
        ['', *(escaped(run.name) for run in runs)],
        [row for row in rows if set(row[1:]) != {UNKNOWN}],
    )


def _energy_sentence(runs: Sequence[Evaluation]) -> str:
    models = sorted(
        {(str(run.settings['energy_model']), str(run.settings['energy_source'])) for run in runs}
    )
    sources = '; '.join(f'{code(model)}, {escaped(source)}' for model, source in models)
    return (
        f'Energies and powers are estimated: operations, counted exactly, times the energy of '
        f'each by the table {sources}. Accuracy is prequential: a frame counts as it was '
        'classified before it was learned.'
    )


def _pictures_of_one(folder: Path, run: Evaluation, worst: PowerWindow | None) -> list[str]:
    lines = []
    if pictures.draw_accuracy(folder / 'accuracy.png', [run]):
        marked = (
            ' Lines: the controller set another T (training/inference).' if run.decisions else ''
        )
        lines += _shown('Accuracy over time', 'accuracy.png', READ_ACCURACY + marked)
    if pictures.draw_confusion(folder / 'confusion.png', run):
        recalls = sorted(confusion(run).recalls().items(), key=lambda item: item[1])
        lowest = ', '.join(
            f'{escaped(name)} ({_share(recall)})' for name, recall in recalls[:NAMED_CLASSES]
        )
        lines += _shown(
            'What is taken for what',
            'confusion.png',
            'Confusion matrix: a row is a '
            'label, a column what was predicted, with the number of frames and their '
            'share of the row; right ones are on the diagonal. Lowest recall: '
            f'{lowest}.',
        )
    if pictures.draw_history(folder / 'history.png', [run]):
        marked = ''
        if run.decisions:
            marked += ' Lines: decisions of the controller, and what decided.'
        if worst is not None:
            marked += (
                f' Grey: the {POWER_WINDOW_S:g} s in which mean power was highest against '
                'its limit.'
            )
        lines += _shown(
            'T and power over time',
            'history.png',
            'T that was set, no line where '
            'nothing is learned or no frame processed, and estimated power, which '
            f'should stay below the limit if there is one.{marked}',
        )
    if pictures.draw_receptive_fields(folder / 'receptive_fields.png', run.receptive_fields):
        lines += _shown(
            'What the neurons have learned',
            'receptive_fields.png',
            'Input weights '
            'of the neurons that are used most, best first, each scaled to its '
            'largest; dark: a strong weight. A clear shape is a neuron that has '
            'learned one kind of thing.',
        )
    return lines


def _pictures_of_many(
    folder: Path, runs: Sequence[Evaluation], results: Sequence[Figures]
) -> list[str]:
    lines = []
    if pictures.draw_pareto(
        folder / 'pareto.png', [(run.name, each) for run, each in zip(runs, results)]
    ):
        lines += _shown(
            'Accuracy against energy',
            'pareto.png',
            'A point a run; upper left is '
            'better. No run off the line is worth its energy: one on it is as '
            'accurate for less.',
        )
    if pictures.draw_accuracy(folder / 'accuracy.png', runs):
        lines += _shown(
            'Accuracy over time',
            'accuracy.png',
            'Share of the last '
            f'{ACCURACY_WINDOW} labelled frames that were classified right, each '
            'before it was learned: which run learns fast, and which is best by then.',
        )
    if pictures.draw_history(folder / 'history.png', runs):
        lines += _shown(
            'T and power over time',
            'history.png',
            'T that was set (solid: inference, '
            'dashed: training) and estimated power of each run, with the limits that '
            'the controller had.',
        )
    return lines


def _losses(runs: Sequence[Evaluation]) -> list[str]:
    counts = list(dict.fromkeys(name for run in runs for name in run.counts))
    lines = ['', '## What came, and what was lost', '']
    if counts:
        lines += table(
            ['', *(escaped(run.name) for run in runs)],
            [
                [escaped(name), *(str(run.counts.get(name, UNKNOWN)) for run in runs)]
                for name in counts
            ],
        ) + ['']
    lost = [
        *dict.fromkeys(line for run in runs for line in run.lost),
        *dict.fromkeys(f'{name}: {count}' for run in runs for name, count in run.losses.items()),
    ]
    lines += [f'- {escaped(line)}' for line in lost] or ['Nothing was lost or rejected.']
    jumps = dict.fromkeys(line for run in runs for line in described(run.jumps))
    if jumps:
        lines += [
            '',
            'Clocks jumped. Gaps in the recorded time are left out of the pictures, of '
            'lengths and of mean powers; the files have the times of the bag.',
            '',
            *(f'- {escaped(line)}' for line in jumps),
        ]
    return lines


def _repeat(runs: Sequence[Evaluation]) -> list[str]:
    names = list(dict.fromkeys(name for run in runs for name in run.settings))
    lines = [
        '',
        '## To repeat it',
        '',
        'The same bag with these settings gives the same figures '
        'to the last digit, but for the time it takes.',
        '',
    ]
    lines += table(
        ['setting', *(escaped(run.name) for run in runs)],
        [[code(name), *(_value(run.settings.get(name)) for run in runs)] for name in names],
    )
    return lines + [
        '',
        'Made with ' + ', '.join(f'{name} {version}' for name, version in versions().items()) + '.',
    ]


def _files(single: bool) -> list[str]:
    where = '' if single else 'In the folder of each run: '
    return [
        '',
        '## Files',
        '',
        '`report.json` has all figures, those that differ from run to run '
        f'under `timing`. {where}`frames.csv` has a row a frame, `status.csv` one a status '
        'period, `decisions.csv` one a decision of the controller; times in s of the bag, '
        'units in the names, an empty field is unknown.',
    ]


# The page of a comparison ------------------------------------------------------------------


def _pairs(first: Path, second: Path) -> list[tuple[Evaluation, Evaluation]]:
    a, b = read_runs(first), read_runs(second)
    if len(a) == len(b) == 1:
        return [(a[0], b[0])]
    of_second = {run.name: run for run in b}
    pairs = [(run, of_second[run.name]) for run in a if run.name in of_second]
    if not pairs:
        raise ReportError(
            f'{first} has {", ".join(run.name for run in a)}, {second} has '
            f'{", ".join(run.name for run in b)}: accepted are reports with a run of the same '
            'name, or of one run each'
        )
    return pairs


def _compare(folder: Path, suffix: str, first: Evaluation, second: Evaluation) -> list[str]:
    """suffix: of the pictures' names."""
    a, b = figures(first), figures(second)
    rows = [
        [row.name, row.shown(a), row.shown(b), row.difference(a, b) if row.difference else '']
        for row in ROWS
    ]
    rows.append(
        [
            'time it took',
            f'{first.took_s:.1f} s',
            f'{second.took_s:.1f} s',
            _relative(first.took_s, second.took_s),
        ]
    )
    names = [escaped(run.name) for run in (first, second)]
    lines = ['', f'## {names[0]}' + ('' if names[0] == names[1] else f' and {names[1]}'), '']
    lines += table(
        ['', f'first: {names[0]}', f'second: {names[1]}', 'second against first'],
        [row for row in rows if set(row[1:3]) != {UNKNOWN}],
    )
    lines += ['', _frame_by_frame(first, second), '', *_differing(first, second)]
    runs = [replace(first, name='first'), replace(second, name='second')]
    accuracy, history = f'accuracy{suffix}.png', f'history{suffix}.png'
    if pictures.draw_accuracy(folder / accuracy, runs):
        lines += _shown('Accuracy over time', accuracy, READ_ACCURACY, level=3)
    if pictures.draw_history(folder / history, runs):
        lines += _shown(
            'T and power over time',
            history,
            'T that was set (solid: inference, '
            'dashed: training), and estimated power with its limits.',
            level=3,
        )
    return lines


def _frame_by_frame(first: Evaluation, second: Evaluation) -> str:
    both = paired(first, second)
    if not both.frames:
        return 'Frame by frame: no frame was classified by both (by stamp).'
    text = (
        f'Frame by frame: {both.frames:,} frames were classified by both (by stamp), '
        f'{both.same:,} of them the same ({_share(both.same / both.frames)}). '
    )
    if not both.labelled:
        return text + 'None of them has the same label in both.'
    text += (
        f'Of {both.labelled:,} with the same label in both, both were right in '
        f'{both.both_right:,}, only the first in {both.only_first:,}, only the second in '
        f'{both.only_second:,}. '
    )
    if both.only_first + both.only_second == 0:
        return text + 'Neither is more accurate.'
    more = 'first' if both.only_first > both.only_second else 'second'
    verdict = (
        f'the {more} is more accurate'
        if both.p_value < 0.05
        else 'that is no evidence that one is more accurate'
    )
    return text + f"McNemar's exact test, two-sided: p = {both.p_value:.2g}; {verdict}."


def _differing(first: Evaluation, second: Evaluation) -> list[str]:
    names = dict.fromkeys((*first.settings, *second.settings))
    rows = [
        [code(name), _value(first.settings.get(name)), _value(second.settings.get(name))]
        for name in names
        if first.settings.get(name) != second.settings.get(name)
    ]
    return (
        table(['setting that differs', 'first', 'second'], rows)
        if rows
        else ['All settings are the same.']
    )


# Figures as text ---------------------------------------------------------------------------


def _share(value: float) -> str:
    return f'{100 * value:.1f} %' if math.isfinite(value) else UNKNOWN


def _quantity(value: float, unit: str) -> str:
    """Three digits with an SI prefix."""
    return EngFormatter(unit)(float(f'{value:.3g}')) if math.isfinite(value) else UNKNOWN


def _number(value: float) -> str:
    if not math.isfinite(value):
        return UNKNOWN
    return f'{value:.3g}' if abs(value) < 1000 else f'{value:,.0f}'


def _points(before: float, after: float) -> str:
    change = 100 * (after - before)
    return f'{change:+.1f} points' if math.isfinite(change) else UNKNOWN


def _relative(before: float, after: float) -> str:
    return f'{100 * (after / before - 1):+.1f} %' if before > 0 and after >= 0 else UNKNOWN


def _worst(result: Figures) -> str:
    if result.worst is None:
        return UNKNOWN
    begin_s, power_w, limit_w, excess = (
        getattr(result.worst, name) for name in ('begin_s', 'power_w', 'limit_w', 'excess')
    )
    how = 'kept' if excess <= 0 else f'{_share(excess)} above' if excess < math.inf else 'above'
    return (
        f'{how} ({_quantity(power_w, "W")}, limit {_quantity(limit_w, "W")}, from {begin_s:.0f} s)'
    )


def _steps(values: Sequence[int]) -> str:
    return ', '.join(map(str, values)) if values else UNKNOWN


def _value(value: object) -> str:
    if value is None or isinstance(value, float) and not math.isfinite(value):
        return UNKNOWN
    return escaped(f'{value:g}' if isinstance(value, float) else str(value))


ROWS = (
    Row(
        '**accuracy**, all labelled frames',
        lambda f: _share(f.accuracy),
        lambda a, b: _points(a.accuracy, b.accuracy),
    ),
    Row(
        f'**accuracy at the end**, last {ACCURACY_WINDOW} labelled',
        lambda f: _share(f.late_accuracy),
        lambda a, b: _points(a.late_accuracy, b.late_accuracy),
    ),
    Row(
        'frames that came / were classified / labelled',
        lambda f: f'{f.frames:,} / {f.classified:,} / {f.labelled:,}',
    ),
    Row(
        'frames called unknown',
        lambda f: _share(f.unknown_share),
        lambda a, b: _points(a.unknown_share, b.unknown_share),
    ),
    Row(
        '**energy of a frame**, its learning included, estimated',
        lambda f: _quantity(f.frame_j, 'J'),
        lambda a, b: _relative(a.frame_j, b.frame_j),
    ),
    Row(
        'energy of an inference, estimated',
        lambda f: _quantity(f.inference_j, 'J'),
        lambda a, b: _relative(a.inference_j, b.inference_j),
    ),
    Row(
        '**mean power**, estimated',
        lambda f: _quantity(f.power_w, 'W'),
        lambda a, b: _relative(a.power_w, b.power_w),
    ),
    Row(f'**power limit** in the worst {POWER_WINDOW_S:g} s', _worst),
    Row('**T** of inference, steps', lambda f: _steps(f.inference_timesteps)),
    Row('**T** of training, steps', lambda f: _steps(f.training_timesteps)),
    Row(
        'steps an inference took, mean',
        lambda f: _number(f.mean_steps),
        lambda a, b: _relative(a.mean_steps, b.mean_steps),
    ),
    Row(
        'changes of T by the controller', lambda f: UNKNOWN if f.changes is None else str(f.changes)
    ),
    Row(
        'neurons in use at the end',
        lambda f: str(f.neurons),
        lambda a, b: f'{b.neurons - a.neurons:+d}',
    ),
)


def _shown(title: str, name: str, sentence: str, level: int = 2) -> list[str]:
    return ['', f'{"#" * level} {title}', '', f'![{title}]({name})', '', sentence]
