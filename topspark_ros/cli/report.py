"""What a run leaves behind: a page with its verdict, its figures, its course and its decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from topspark_ros.pages import escaped, table, write_page
from topspark_ros.plotting import (
    BLUE,
    GREEN,
    GREY,
    LIMIT_STYLES,
    ORANGE,
    PURPLE,
    RED,
    accuracy_panel,
    charge_panel,
    legend_beside,
    mark,
    picture,
    power_axis,
    spoken,
    timestep_panel,
)

LONGEST_NAME = 14  # of a class above a frame, characters

if TYPE_CHECKING:  # which needs ROS
    from topspark_ros.nodes.observer import ShownFrame


def write_report(
    folder: Path,
    figures: dict,
    summary: Sequence[tuple[str, str]],
    *,
    sample: str,
    accuracy_window: int,
    accuracy_bound: float,
    frames: Sequence[ShownFrame] = (),
) -> Path:
    """README.md with demo.png, and the page as HTML, which is returned.

    figures: of the JSON: `verdict`, and `series` as of `draw_history`.
    frames: of the camera, some; times as of the series.
    summary: names of the figures, and their values as text.
    """
    draw_history(
        folder / 'demo.png',
        figures['series'],
        sample=sample,
        accuracy_window=accuracy_window,
        accuracy_bound=accuracy_bound,
        frames=frames,
    )
    lines = ['# What the robot did', '']
    lines += [
        f'- {"yes" if holds else "**no**"}: {escaped(name)}'
        for name, holds in figures['verdict'].items()
    ]
    lines += ['', *table(('figure', 'value'), [tuple(map(escaped, row)) for row in summary])]
    lines += [
        '',
        '## T, accuracy, power and charge over time',
        '',
        '![T, accuracy, power and charge over time](demo.png)',
        '',
        f'Each {sample} was classified before it was learned. Lines: decisions of the controller, '
        'and what decided. Energies and powers are estimated.',
    ]
    if figures['series']['decisions']:
        lines += ['', '## Decisions of the controller', '']
        lines += _decisions(figures['series']['decisions'], sample)
    lines += ['', '`demo.json` has all figures and time series; there is a log of each node.']
    return write_page(folder / 'README.md', lines)


def _decisions(decisions: Sequence[Mapping], sample: str) -> list[str]:
    header = ('time', 'T of inference', 'T of training', f'{sample}s', 'learned', 'reason', 'why')
    return table(
        header,
        [
            (
                f'{each["time_s"]:.1f} s',
                str(each['inference_timesteps']),
                str(each['training_timesteps']),
                f'{each["frame_share"]:.0%}',
                f'{each["learning_share"]:.0%}',
                spoken(each['reason']),
                escaped(each['detail']),
            )
            for each in decisions
        ],
    )


def draw_history(
    path: Path,
    series: Mapping[str, Sequence],
    *,
    sample: str,
    accuracy_window: int,
    accuracy_bound: float,
    frames: Sequence[ShownFrame],
) -> None:
    """What the camera showed, T, accuracy, power with its budget, and state of charge over time.

    series: of the JSON: `decisions` (dicts), `accuracy`, `power_w`, `budget_w`,
        `state_of_charge`, `{sample}s` (each a list of (time in s, value, ...)).
    sample: what was classified: frame or window.
    accuracy_window: labelled ones behind each point of `accuracy`.
    accuracy_bound: what it had to reach.
    frames: of the camera, some.
    """
    samples = series[f'{sample}s']
    duration_s = samples[-1][0] if samples else 1.0
    decisions = series['decisions']
    times_s = [max(0.0, decision['time_s']) for decision in decisions]
    power, budget = _columns(series['power_w']), _columns(series['budget_w'])
    with picture(path, (1.2, 2.6, 2.4, 2.4, 1.6)) as panels:
        seen, steps, accuracy, against, battery = panels
        battery.set_xlim(0, duration_s)
        battery.set_xlabel('time  [s]')
        _draw_frames(seen, frames, duration_s)
        inference, training = (
            [decision[key] for decision in (*decisions, *decisions[-1:])]
            for key in ('inference_timesteps', 'training_timesteps')
        )
        timestep_panel(steps, [*times_s, duration_s], inference, training, (BLUE, ORANGE))
        steps.set_title('Timestep, re-selected by the controller')
        mark(
            [steps, against],
            times_s,
            [spoken(decision['reason']) for decision in decisions],
            duration_s,
        )
        legend_beside(steps)

        labelled_s, right = _columns(series['accuracy'])
        accuracy_panel(accuracy, labelled_s, right, GREEN)
        accuracy.axhline(100 * accuracy_bound, color='0.5', linestyle=':', linewidth=1)
        accuracy.set_title(
            f'Prequential accuracy: each {sample} classified before it is learned '
            f'(last {accuracy_window} labelled {sample}s)'
        )

        against.plot(*power, color=BLUE, label='perception, estimated')
        if len(budget[0]):
            style: dict[str, Any] = LIMIT_STYLES['power_limit_w'] | {'label': 'budget'}
            until_end = np.append(budget, [[duration_s], [budget[1, -1]]], axis=1)
            against.step(*until_end, where='post', **style)
        power_axis(against, power[1], budget[1])
        against.set_title('Power against budget')
        legend_beside(against)

        measured_s, charge = _columns(series['state_of_charge'])
        charge_panel(battery, measured_s, charge, PURPLE)


def _draw_frames(axis: Axes, frames: Sequence[ShownFrame], duration_s: float) -> None:
    """Frames side by side, about at their times, and above each what it was taken for."""
    axis.axis('off')
    if not frames:
        return
    axis.set_title(
        'Frames of the camera, and what each was taken for\n(green: rightly; red: wrongly, and '
        'what it is; black: nobody said)',
        pad=26,
    )
    width_s = duration_s / len(frames)
    for number, frame in enumerate(frames):
        place = axis.inset_axes(
            ((number + 0.03) * width_s, 0, 0.94 * width_s, 1),
            transform=axis.get_xaxis_transform(),
        )
        place.imshow(frame.image)
        place.axis('off')
        if frame.class_name is None:
            text, colour = '(left out)', GREY
        elif frame.label is None:
            text, colour = _short(frame.class_name), 'black'
        elif frame.class_name == frame.label:
            text, colour = _short(frame.class_name), GREEN
        else:
            text, colour = f'{_short(frame.class_name)}\n({_short(frame.label)})', RED
        place.set_title(text, color=colour, fontsize=9, pad=3)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f'{name[: LONGEST_NAME - 1]}…'


def _columns(points: Sequence[Sequence[float]]) -> np.ndarray:
    """Times and values, (2, points) float64."""
    return np.array([point[:2] for point in points], float).reshape(-1, 2).T
