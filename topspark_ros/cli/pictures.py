"""Pictures of an analysis over the timestep T, and of recordings of event cameras."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt    # noqa: E402  (after the backend is chosen)
import numpy as np    # noqa: E402
from matplotlib.lines import Line2D    # noqa: E402
from matplotlib.patches import Patch    # noqa: E402
from matplotlib.ticker import EngFormatter    # noqa: E402

from topspark_ros.engine import NeuronConfig    # noqa: E402
from topspark_ros.methodology.analysis import (    # noqa: E402
    PARAMETER_VALUES, Grid, Summary, enhancements,
)
from topspark_ros.methodology.energy import EnergyTable    # noqa: E402
from topspark_ros.methodology.experiments import Data, Setting    # noqa: E402
from topspark_ros.streams.events.pictures import BRIGHTER, DARKER    # noqa: E402

COLOURS = ('tab:blue', 'tab:orange', 'tab:green', 'tab:red', 'tab:purple')
STYLES = {True: '-', False: '--'}
LABELS = {True: 'with enhancement', False: 'without'}
PANEL = (3.6, 2.9)  # inches
SHOT_WIDTH, RATE_HEIGHT = 3.2, 2.4  # inches
RATE_STYLES = {    # one line can lie on another
    'all events': dict(color='black'),
    'brighter': dict(color=np.divide(BRIGHTER, 255)),
    'darker': dict(color=np.divide(DARKER, 255), linestyle=(0, (3, 1.5))),
}
TIME_UNITS = ((1.0, 's'), (1e-3, 'ms'), (1e-6, 'µs'))


def draw_analysis(
    folder: Path, grid: Grid, summaries: Mapping[Setting, Summary], data: Data,
    energy: EnergyTable,
) -> None:
    """accuracy.png, energy.png and, for each rule whose parameters were varied,
    sensitivity_<rule>.png."""
    seeds = len(next(iter(summaries.values())).accuracies)
    origin = (f'{data.name}: {len(data.training_labels)} samples learned once, '
              f'{len(data.test_labels)} classified, {seeds} seed{"s" if seeds > 1 else ""}')
    draw_accuracy(folder / 'accuracy.png', grid, summaries, origin)
    draw_energy(folder / 'energy.png', grid, summaries, energy, origin)
    for rule in grid.varied_rules:
        draw_sensitivity(folder / f'sensitivity_{rule}.png', grid, summaries, rule, origin)


def draw_accuracy(
    path: Path, grid: Grid, summaries: Mapping[Setting, Summary], origin: str
) -> None:
    """Accuracy against T: a panel a rule and size, a colour a coding, without and with
    enhancement; a band from the worst seed to the best."""
    figure, panels = _panels(len(grid.rules), len(grid.neurons))
    for axis, (rule, neurons) in zip(panels, product(grid.rules, grid.neurons)):
        axis.set_title(f'{rule}, N = {neurons}')
        for (coding, colour), enhancement in product(zip(grid.codings, COLOURS),
                                                     enhancements(rule)):
            points = [summaries[grid.setting(rule, neurons, coding, timesteps,
                                             enhancement=enhancement)]
                      for timesteps in sorted(grid.timesteps)]
            _curve(axis, grid, points, color=colour, linestyle=STYLES[enhancement])
    _over_timesteps(panels, grid)
    handles = [_line(coding, color=colour) for coding, colour in zip(grid.codings, COLOURS)]
    handles += [_line(LABELS[each], color='0.3', linestyle=STYLES[each])
                for each in dict.fromkeys(
                    each for rule in grid.rules for each in enhancements(rule))]
    _finish(figure, path, 'Accuracy against the timestep T', f'{origin}; band: all seeds', handles)


def draw_sensitivity(
    path: Path, grid: Grid, summaries: Mapping[Setting, Summary], rule: str, origin: str
) -> None:
    """Accuracy against T: a panel a neuron parameter, a line a value of it, the default black."""
    columns = 3
    figure, panels = _panels(-(-len(PARAMETER_VALUES) // columns), columns)
    for axis, (parameter, values) in zip(panels, PARAMETER_VALUES.items()):
        default = getattr(NeuronConfig(), parameter)
        values = sorted((default, *values))
        colours = plt.get_cmap('plasma')(np.linspace(0, 0.88, len(values)))
        for value, colour in zip(values, colours):
            points = [summaries[grid.variant(rule, timesteps, parameter, value)]
                      for timesteps in sorted(grid.timesteps)]
            style = (dict(color='black', linewidth=2.4, zorder=3) if value == default
                     else dict(color=colour))
            _curve(axis, grid, points, label=f'{value:g}', **style)
        axis.set_title(parameter.replace('_', ' '), pad=18)
        axis.legend(loc='lower center', bbox_to_anchor=(0.5, 0.98), ncols=len(values), fontsize=8,
                    frameon=False, handlelength=1.2, handletextpad=0.4, columnspacing=1.0)
    _over_timesteps(panels, grid)
    _finish(figure, path, f'Accuracy when one neuron parameter is varied: {rule}, '
            f'N = {grid.neurons[0]}, {grid.codings[0]}',
            f'{origin}; black: the default, band: all seeds')


def draw_energy(
    path: Path, grid: Grid, summaries: Mapping[Setting, Summary], energy: EnergyTable, origin: str
) -> None:
    """Accuracy against the energy of an inference: a panel a coding and size, a colour a rule,
    a point a T; upper left is better."""
    figure, panels = _panels(len(grid.codings), len(grid.neurons))
    for axis, (coding, neurons) in zip(panels, product(grid.codings, grid.neurons)):
        axis.set_title(f'{coding}, N = {neurons}')
        for rule, colour, enhancement in (
                (rule, colour, enhancement) for rule, colour in zip(grid.rules, COLOURS)
                for enhancement in enhancements(rule)):
            at = {}
            for timesteps in sorted(grid.timesteps):
                summary = summaries[grid.setting(rule, neurons, coding, timesteps,
                                                 enhancement=enhancement)]
                at[timesteps] = (summary.inference.energy_j(energy) * 1e6, 100 * summary.accuracy)
            axis.plot(*zip(*at.values()), color=colour, linestyle=STYLES[enhancement],
                      marker='o', markersize=3)
            if enhancement and rule == grid.rules[-1]:    # a T takes much the same with each rule
                for timesteps, point in at.items():
                    axis.annotate(f'{timesteps}', point, xytext=(0, 4), fontsize=7,
                                  textcoords='offset points', ha='center', color=colour)
        axis.set_xscale('log')
        _share_axis(axis)
        axis.set_ylim(0, 110)    # room for numbers above a curve
    _label_edges(panels, 'energy of an inference  [µJ]')
    handles = [_line(rule, color=colour) for rule, colour in zip(grid.rules, COLOURS)]
    handles += [_line(LABELS[each], color='0.3', linestyle=STYLES[each]) for each in STYLES]
    _finish(figure, path, f'Accuracy against estimated energy ({energy.name}); numbers: T',
            origin, handles)


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


class EventCourse(NamedTuple):
    """What an event camera has sent.

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


def draw_events(path: Path, courses: Sequence[EventCourse], columns: int, window_s: float) -> None:
    """For each camera a row of windows, `columns` at most, and below it the rate over time."""
    shot_heights = [SHOT_WIDTH * min(2, course.height / course.width) + 0.7 for course in courses]
    heights = [height + RATE_HEIGHT + 0.3 for height in shot_heights]
    figure = plt.figure(figsize=(SHOT_WIDTH * columns + 1, sum(heights) + 0.4),
                        layout='constrained')
    parts = figure.subfigures(len(courses), squeeze=False, height_ratios=heights)[:, 0]
    for part, course, height in zip(parts, courses, shot_heights):
        part.suptitle(course.title)
        rows = part.add_gridspec(2, columns, height_ratios=(height, RATE_HEIGHT))
        factor, unit = _time_unit(course.edges_s[-1])
        rate = part.add_subplot(rows[1, :])
        _draw_rate(rate, course, factor, unit)
        for column, shot in enumerate(course.shots):
            axis = part.add_subplot(rows[0, column])
            bottom, right = (shot.block * side for side in shot.image.shape[:2])
            axis.imshow(shot.image, interpolation='nearest', extent=(0, right, bottom, 0))
            axis.set(xlim=(0, course.width), ylim=(course.height, 0))
            axis.set_title(f'{_short(shot.begin_s / factor)} {unit}: {shot.events:,} events',
                           fontsize=9)
            axis.tick_params(labelsize=7)
            axis.set_xlabel('x  [pixels]', fontsize=8)
            if column == 0:
                axis.set_ylabel('y  [pixels]', fontsize=8)
            rate.axvspan(shot.begin_s / factor,
                         min(shot.begin_s + window_s, course.edges_s[-1]) / factor,
                         color='0.88', zorder=0)
    factor, unit = _time_unit(window_s)
    handles = [_line(name, **style) for name, style in RATE_STYLES.items()]
    handles.append(Patch(color='0.88', label=f'windows of {window_s / factor:g} {unit}'))
    figure.legend(handles=handles, frameon=False, loc='outside lower center', ncols=len(handles))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_rate(axis, course: EventCourse, factor: float, unit: str) -> None:
    edges = course.edges_s / factor
    rates = course.rate_hz, course.brighter_hz, course.rate_hz - course.brighter_hz
    for rate, style in zip(rates, RATE_STYLES.values()):
        axis.stairs(rate, edges, baseline=None, linewidth=1.3, **style)
    axis.set_xlim(edges[0], edges[-1])
    axis.set_ylim(0, 1.08 * max(1, course.rate_hz.max()))
    axis.set_axisbelow(True)
    axis.grid(color='0.8', linewidth=0.5)
    axis.yaxis.set_major_formatter(EngFormatter())
    axis.set_xlabel(f'sensor time since the first event  [{unit}]')
    axis.set_ylabel('rate  [events/s]')


def _time_unit(duration_s: float) -> tuple[float, str]:
    return next((pair for pair in TIME_UNITS if duration_s >= pair[0]), TIME_UNITS[-1])


def _short(value: float) -> str:
    return f'{value:.3g}' if abs(value) < 100 else f'{value:,.0f}'


def _panels(rows: int, columns: int):
    figure, panels = plt.subplots(
        rows, columns, squeeze=False, sharex=True, sharey=True, layout='constrained',
        figsize=(PANEL[0] * columns, PANEL[1] * rows + 1))
    return figure, panels.flatten()


def _curve(axis, grid: Grid, points: Sequence[Summary], **style) -> None:
    timesteps = sorted(grid.timesteps)
    axis.plot(timesteps, [100 * each.accuracy for each in points], marker='o', markersize=3,
              **style)
    axis.fill_between(timesteps, *([100 * edge(each.accuracies) for each in points]
                                   for edge in (min, max)),
                      color=style['color'], alpha=0.12, linewidth=0)


def _over_timesteps(panels, grid: Grid) -> None:
    for axis in panels:
        axis.set_xscale('log', base=2)
        axis.set_xticks(sorted(grid.timesteps), minor=False)
        axis.xaxis.set_major_formatter('{x:g}')
        _share_axis(axis)
    _label_edges(panels, 'T  [steps]')


def _share_axis(axis) -> None:
    axis.set_ylim(0, 102)
    axis.grid(color='0.9')


def _label_edges(panels, label: str) -> None:
    for axis in panels:
        if axis.get_subplotspec().is_last_row():
            axis.set_xlabel(label)
        if axis.get_subplotspec().is_first_col():
            axis.set_ylabel('accuracy  [%]')


def _line(label: str, **style) -> Line2D:
    return Line2D([], [], label=label, **style)


def _finish(figure, path: Path, title: str, origin: str, handles: Sequence[Line2D] = ()) -> None:
    figure.suptitle(title)
    figure.legend(handles=handles, title=origin, title_fontsize=8, frameon=False,
                  loc='outside lower center', ncols=max(1, len(handles)))
    figure.savefig(path, dpi=110)
    plt.close(figure)
