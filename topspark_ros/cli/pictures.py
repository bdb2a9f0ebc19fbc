"""Pictures of an analysis over the timestep T, and of recordings of event cameras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from topspark_ros.engine import NeuronConfig
from topspark_ros.methodology.analysis import PARAMETER_VALUES, Grid, Summary, enhancements
from topspark_ros.methodology.energy import EnergyTable
from topspark_ros.methodology.experiments import Data, Setting
from topspark_ros.plotting import (
    COLOURS,
    accuracy_axis,
    drawing,
    legend_below,
    line,
    log_axis,
    prefixed_axis,
    steps_axis,
)
from topspark_ros.streams.events.pictures import BRIGHTER, DARKER

STYLES = {True: '-', False: '--'}
LABELS = {True: 'with enhancement', False: 'without'}
PANEL = (3.6, 2.9)  # inches
SHOT_WIDTH, RATE_HEIGHT = 3.2, 2.4  # inches
RATE_STYLES: dict[str, dict] = {  # one line can lie on another
    'all events': dict(color='black'),
    'brighter': dict(color=np.divide(BRIGHTER, 255)),
    'darker': dict(color=np.divide(DARKER, 255), linestyle=(0, (3, 1.5))),
}
TIME_UNITS = ((1.0, 's'), (1e-3, 'ms'), (1e-6, 'µs'))


def draw_analysis(
    folder: Path,
    grid: Grid,
    summaries: Mapping[Setting, Summary],
    data: Data,
    energy: EnergyTable,
) -> None:
    """accuracy.png, energy.png and, for each rule whose parameters were varied,
    sensitivity_<rule>.png."""
    origin = origin_of(summaries, data)
    draw_accuracy(folder / 'accuracy.png', grid, summaries, origin)
    draw_energy(folder / 'energy.png', grid, summaries, energy, origin)
    for rule in grid.varied_rules:
        draw_sensitivity(folder / f'sensitivity_{rule}.png', grid, summaries, rule, origin)


def origin_of(summaries: Mapping[Setting, Summary], data: Data) -> str:
    """What the figures come from."""
    seeds = len(next(iter(summaries.values())).accuracies)
    return (
        f'{data.name}: {len(data.training_labels)} samples learned once, '
        f'{len(data.test_labels)} classified, {seeds} seed{"s" if seeds > 1 else ""}'
    )


def draw_accuracy(
    path: Path, grid: Grid, summaries: Mapping[Setting, Summary], origin: str
) -> None:
    """Accuracy against T: a panel a rule and size, a colour a coding, without and with
    enhancement; a band from the worst seed to the best."""
    handles = [line(coding, color=colour) for coding, colour in zip(grid.codings, COLOURS)]
    handles += [
        line(LABELS[each], color='0.3', linestyle=STYLES[each])
        for each in dict.fromkeys(each for rule in grid.rules for each in enhancements(rule))
    ]
    with _panels(
        path,
        len(grid.rules),
        len(grid.neurons),
        'Accuracy against the timestep T',
        f'{origin}; band: all seeds',
        handles,
    ) as panels:
        for axis, (rule, neurons) in zip(panels, product(grid.rules, grid.neurons)):
            axis.set_title(f'{rule}, N = {neurons}')
            for (coding, colour), enhancement in product(
                zip(grid.codings, COLOURS), enhancements(rule)
            ):
                points = [
                    summaries[
                        grid.setting(rule, neurons, coding, timesteps, enhancement=enhancement)
                    ]
                    for timesteps in sorted(grid.timesteps)
                ]
                _curve(axis, grid, points, color=colour, linestyle=STYLES[enhancement])
        _over_timesteps(panels, grid)


def draw_sensitivity(
    path: Path, grid: Grid, summaries: Mapping[Setting, Summary], rule: str, origin: str
) -> None:
    """Accuracy against T: a panel a neuron parameter, a line a value of it, the default black."""
    columns = 3
    title = (
        f'Accuracy when one neuron parameter is varied: {rule}, N = {grid.neurons[0]}, '
        f'{grid.codings[0]}'
    )
    with _panels(
        path,
        -(-len(PARAMETER_VALUES) // columns),
        columns,
        title,
        f'{origin}; black: the default, band: all seeds',
    ) as panels:
        for axis, (parameter, values) in zip(panels, PARAMETER_VALUES.items()):
            default = getattr(NeuronConfig(), parameter)
            tried = sorted((default, *values))
            colours = matplotlib.colormaps['plasma'](np.linspace(0, 0.88, len(tried)))
            for value, colour in zip(tried, colours):
                points = [
                    summaries[grid.variant(rule, timesteps, parameter, value)]
                    for timesteps in sorted(grid.timesteps)
                ]
                style = (
                    dict(color='black', linewidth=2.4, zorder=3)
                    if value == default
                    else dict(color=colour)
                )
                _curve(axis, grid, points, label=f'{value:g}', **style)
            axis.set_title(parameter.replace('_', ' '), pad=18)
            axis.legend(
                loc='lower center',
                bbox_to_anchor=(0.5, 0.98),
                ncols=len(tried),
                fontsize=8,
                handlelength=1.2,
                handletextpad=0.4,
                columnspacing=1.0,
            )
        _over_timesteps(panels, grid)


def draw_energy(
    path: Path, grid: Grid, summaries: Mapping[Setting, Summary], energy: EnergyTable, origin: str
) -> None:
    """Accuracy against the energy of an inference: a panel a coding and size, a colour a rule,
    a point a T; upper left is better."""
    handles = [line(rule, color=colour) for rule, colour in zip(grid.rules, COLOURS)]
    handles += [line(LABELS[each], color='0.3', linestyle=STYLES[each]) for each in STYLES]
    with _panels(
        path,
        len(grid.codings),
        len(grid.neurons),
        f'Accuracy against estimated energy ({energy.name}); numbers: T',
        origin,
        handles,
    ) as panels:
        for axis, (coding, neurons) in zip(panels, product(grid.codings, grid.neurons)):
            axis.set_title(f'{coding}, N = {neurons}')
            for rule, colour in zip(grid.rules, COLOURS):
                for enhancement in enhancements(rule):
                    points = [
                        (summary.inference.energy_j(energy) * 1e6, 100 * summary.accuracy)
                        for summary in (
                            summaries[
                                grid.setting(
                                    rule, neurons, coding, timesteps, enhancement=enhancement
                                )
                            ]
                            for timesteps in sorted(grid.timesteps)
                        )
                    ]
                    axis.plot(
                        *zip(*points),
                        color=colour,
                        linestyle=STYLES[enhancement],
                        marker='o',
                        markersize=3,
                    )
                    # Once: a T takes much the same with each rule.
                    if enhancement and rule == grid.rules[-1]:
                        _number(axis, sorted(grid.timesteps), points, colour)
            log_axis(axis, 'x', (1,))
        _label_edges(panels, 'energy of an inference  [µJ]')
        for axis in panels:
            axis.set_ylim(0, 110)  # room for numbers above a curve


class EventShot(NamedTuple):
    """A window of events.

    begin_s: sensor time since the first event.
    image: (rows, columns, 3) uint8, RGB; each place a block of pixels.
    block: its side, pixels.
    events: in the window.
    """

    begin_s: float
    image: np.ndarray
    block: int
    events: int


class EventHistory(NamedTuple):
    """Events of a camera over time.

    width, height: of the sensor, pixels.
    edges_s: of the slices, sensor time since the first event; (slices + 1,).
    rate_hz, brighter_hz: events a second of all kinds, and of brighter ones; (slices,).
    """

    title: str
    width: int
    height: int
    shots: Sequence[EventShot]
    edges_s: np.ndarray
    rate_hz: np.ndarray
    brighter_hz: np.ndarray


def draw_events(
    path: Path, histories: Sequence[EventHistory], columns: int, window_s: float
) -> None:
    """For each camera a row of windows, `columns` at most, and below it the rate over time."""
    shot_heights = [
        SHOT_WIDTH * min(2, history.height / history.width) + 0.7 for history in histories
    ]
    heights = [height + RATE_HEIGHT + 0.3 for height in shot_heights]
    with drawing(path, SHOT_WIDTH * columns + 1, sum(heights) + 0.4) as figure:
        parts = figure.subfigures(len(histories), squeeze=False, height_ratios=heights)[:, 0]
        for part, history, height in zip(parts, histories, shot_heights):
            part.suptitle(history.title)
            rows = part.add_gridspec(2, columns, height_ratios=(height, RATE_HEIGHT))
            factor, unit = _time_unit(history.edges_s[-1])
            rate = part.add_subplot(rows[1, :])
            _draw_rate(rate, history, factor, unit)
            for column, shot in enumerate(history.shots):
                axis = part.add_subplot(rows[0, column])
                _draw_shot(axis, history, shot)
                axis.set_title(
                    f'{_short(shot.begin_s / factor)} {unit}: {shot.events:,} events', fontsize=9
                )
                if column == 0:
                    axis.set_ylabel('y  [pixels]', fontsize=8)
                rate.axvspan(
                    shot.begin_s / factor,
                    min(shot.begin_s + window_s, history.edges_s[-1]) / factor,
                    color='0.88',
                    zorder=0,
                )
        factor, unit = _time_unit(window_s)
        handles: list[Artist] = [line(name, **style) for name, style in RATE_STYLES.items()]
        handles.append(Patch(color='0.88', label=f'windows of {window_s / factor:g} {unit}'))
        legend_below(figure, handles)


def _draw_shot(axis: Axes, history: EventHistory, shot: EventShot) -> None:
    bottom, right = (shot.block * side for side in shot.image.shape[:2])
    axis.imshow(shot.image, interpolation='nearest', extent=(0, right, bottom, 0))
    axis.set(xlim=(0, history.width), ylim=(history.height, 0))
    axis.grid(False)
    axis.tick_params(labelsize=7)
    axis.set_xlabel('x  [pixels]', fontsize=8)


def _draw_rate(axis: Axes, history: EventHistory, factor: float, unit: str) -> None:
    edges = history.edges_s / factor
    rates = history.rate_hz, history.brighter_hz, history.rate_hz - history.brighter_hz
    for rate, style in zip(rates, RATE_STYLES.values()):
        axis.stairs(rate, edges, baseline=None, linewidth=1.3, **style)
    axis.set_xlim(edges[0], edges[-1])
    axis.set_ylim(0, 1.08 * max(1, history.rate_hz.max()))
    prefixed_axis(axis, 'y', '')
    axis.set_xlabel(f'sensor time since the first event  [{unit}]')
    axis.set_ylabel('rate  [events/s]')


def _time_unit(duration_s: float) -> tuple[float, str]:
    return next((pair for pair in TIME_UNITS if duration_s >= pair[0]), TIME_UNITS[-1])


def _short(value: float) -> str:
    return f'{value:.3g}' if abs(value) < 100 else f'{value:,.0f}'


@contextmanager
def _panels(
    path: Path, rows: int, columns: int, title: str, origin: str, handles: Sequence[Line2D] = ()
) -> Iterator[Sequence]:
    """A picture of rows * columns panels, accuracy upwards, with its legend below."""
    # Two panels' width has room for title and legend.
    with drawing(path, PANEL[0] * max(columns, 2), PANEL[1] * rows + 1) as figure:
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        yield panels.flatten().tolist()
        figure.suptitle(title)
        legend_below(figure, handles, title=origin, title_fontsize=8)


def _curve(axis: Axes, grid: Grid, points: Sequence[Summary], **style: Any) -> None:
    timesteps = sorted(grid.timesteps)
    axis.plot(
        timesteps, [100 * each.accuracy for each in points], marker='o', markersize=3, **style
    )
    axis.fill_between(
        timesteps,
        [100 * min(each.accuracies) for each in points],
        [100 * max(each.accuracies) for each in points],
        color=style['color'],
        alpha=0.12,
        linewidth=0,
    )


def _number(
    axis: Axes, timesteps: Sequence[int], points: Sequence[tuple[float, float]], colour: str
) -> None:
    """T above each point of a curve."""
    for steps, point in zip(timesteps, points):
        axis.annotate(
            f'{steps}',
            point,
            xytext=(0, 4),
            fontsize=7,
            textcoords='offset points',
            ha='center',
            color=colour,
        )


def _over_timesteps(panels: Sequence, grid: Grid) -> None:
    for axis in panels:
        steps_axis(axis, 'x', sorted(grid.timesteps))
    _label_edges(panels, panels[0].get_xlabel())


def _label_edges(panels: Sequence, label: str) -> None:
    """Labels at the outer panels alone."""
    for axis in panels:
        accuracy_axis(axis)
        axis.set_xlabel(label)
        axis.label_outer()
