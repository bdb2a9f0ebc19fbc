"""The report: a page with its pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from topspark_ros.pages import table, write_page
from topspark_ros.plotting import BLUE, ORANGE, RED, drawing, legend_below, log_axis, steps_axis

from .common import Claim, Section

COLOURS = {'training': BLUE, 'inference': ORANGE}
RUNNING_FRAMES = 100


def write(path: Path, sections: list[Section], pictures: dict[str, str], how: str) -> Path:
    """Returns the page as HTML. pictures: file name by the title of the section that shows it."""
    lines = [
        '# TopSpark, reproduced and surpassed',
        '',
        how,
        '',
        '## Bounds and aims',
        '',
        *_claim_table([claim for section in sections for claim in section.claims]),
    ]
    for section in sections:
        lines += ['', f'## {section.title}', '', section.text, '']
        if section.title in pictures:
            lines += [f'![{section.title}]({pictures[section.title]})', '']
        lines += _table(section.rows)
    return write_page(path, lines)


def _claim_table(claims: list[Claim]) -> list[str]:
    return _table(
        [
            dict(
                what=claim.what,
                figure=f'{claim.figure:.2f} {claim.unit}',
                bound=f'{claim.bound:g}',
                aim=f'{claim.aim:g}',
                met=claim.met,
            )
            if claim.promised
            else dict(
                what=claim.what, figure=f'{claim.figure:.2f} {claim.unit}', bound='', aim='', met=''
            )
            for claim in claims
        ]
    )


def _table(rows: list[dict]) -> list[str]:
    columns = list(rows[0])
    return table(columns, [[_shown(row[column]) for column in columns] for row in rows])


def _shown(value: object) -> str:
    return f'{value:.1f}' if isinstance(value, float) else str(value)


def draw_reductions(path: Path, rows: list[dict]) -> None:
    """Ratios to the baseline, for each row of the section on fewer timesteps."""
    names = [
        f'{row["rule"]}, {row["dataset"].split("_")[0]}, N = {row["neurons"]} '
        f'({0 - round(row["loss"], 1):+.1f})'
        for row in rows
    ]
    with drawing(path, 13, 5) as figure:
        axes = figure.subplots(1, 3, sharey=True)
        for axis, (what, title, paper) in zip(
            axes,
            (
                ('steps', 'fewer timesteps', 3.9),
                ('energy', 'less energy (estimated)', 3.4),
                ('time', 'less processor time', 3.9),
            ),
        ):
            for shift, phase in zip((-0.19, 0.19), COLOURS):
                values = [row[f'{phase} {what}'] for row in rows]
                bars = axis.barh(
                    np.arange(len(names)) + shift, values, 0.36, label=phase, color=COLOURS[phase]
                )
                axis.bar_label(
                    bars,
                    [f'{value:.0f}' if value >= 10 else f'{value:.1f}' for value in values],
                    padding=2,
                    fontsize=7,
                )
            axis.axvline(paper, color='grey', linestyle=':', linewidth=1.5)
            log_axis(axis, 'x')
            highest = max(row[f'{phase} {what}'] for row in rows for phase in COLOURS)
            axis.set_xlim(0.7, 1.6 * highest)
            axis.set_xlabel(f'times {title}')
        axes[0].set_yticks(range(len(names)), names)
        axes[0].invert_yaxis()
        legend_below(figure, axes[0].get_legend_handles_labels()[0])
        figure.suptitle(
            'Against T = 350 (in brackets: points of accuracy gained or lost; '
            'dotted: the claim of the paper)'
        )


def draw_paper(path: Path, accuracy: dict) -> None:
    """Accuracy against T, with and without enhancement."""
    panels = list(dict.fromkeys((rule, name) for rule, name, *_ in accuracy))
    with drawing(path, 3.4 * len(panels), 3.6) as figure:
        axes = figure.subplots(1, len(panels), sharex=True, squeeze=False)[0]
        for axis, (rule, name) in zip(axes, panels):
            curves = dict.fromkeys(
                (neurons, enhanced)
                for r, d, neurons, enhanced, _ in accuracy
                if (r, d) == (rule, name)
            )
            for neurons, enhanced in curves:
                points = sorted(
                    (t, 100 * value)
                    for (*case, t), value in accuracy.items()
                    if case == [rule, name, neurons, enhanced]
                )
                axis.plot(
                    *zip(*points),
                    '-' if enhanced else '--',
                    marker='.',
                    color=BLUE if neurons == min(n for n, _ in curves) else RED,
                    label=f'N = {neurons}, {"" if enhanced else "not "}enhanced',
                )
            steps_axis(axis, 'x', (16, 64, 175, 350))
            axis.set_title(f'{rule}, {name}', fontsize=10)
        axes[0].set_ylabel('accuracy  [%]')
        axes[0].legend(fontsize=7)


def draw_objects(path: Path, curves: dict[str, dict[int, float]]) -> None:
    """Accuracy against T of one network a set, which serves all T."""
    with drawing(path, 7, 4.2) as figure:
        axis = figure.subplots()
        for name, accuracy in curves.items():
            axis.plot(
                list(accuracy),
                [100 * value for value in accuracy.values()],
                '.-',
                label=name.replace('_', ' '),
            )
        steps_axis(axis, 'x', list(next(iter(curves.values()))))
        axis.set_ylabel('accuracy  [%]')
        axis.set_title('Spiking features and a discriminant: one network for every T')
        legend_below(figure, axis.get_legend_handles_labels()[0], ncols=3)


def draw_first_frames(path: Path, hits: dict[float, np.ndarray]) -> None:
    """Prequential accuracy, mean and range over seeds."""
    window = np.ones(RUNNING_FRAMES) / RUNNING_FRAMES
    with drawing(path, 8, 3.6) as figure:
        axis = figure.subplots()
        for share, of_seeds in hits.items():
            running = 100 * np.array([np.convolve(each, window, 'valid') for each in of_seeds])
            frames = np.arange(running.shape[1]) + RUNNING_FRAMES
            (curve,) = axis.plot(
                frames, running.mean(axis=0), label=f'{share:.0%} of the frames labelled'
            )
            axis.fill_between(
                frames,
                running.min(axis=0),
                running.max(axis=0),
                alpha=0.2,
                color=curve.get_color(),
                linewidth=0,
            )
        axis.set_xlabel('frames seen')
        axis.set_ylabel(f'accuracy  [%], last {RUNNING_FRAMES} frames')
        axis.legend(loc='lower right')
        axis.set_title('Digits from nothing: classified, then learned (band: all seeds)')
