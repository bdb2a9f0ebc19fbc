"""Pictures of an analysis over the timestep T."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt    # noqa: E402  (after the backend is chosen)
import numpy as np    # noqa: E402
from matplotlib.lines import Line2D    # noqa: E402

from topspark_ros.engine import NeuronConfig    # noqa: E402
from topspark_ros.methodology.analysis import (    # noqa: E402
    PARAMETER_VALUES, Grid, Summary, enhancements,
)
from topspark_ros.methodology.energy import EnergyTable    # noqa: E402
from topspark_ros.methodology.experiments import Data, Setting    # noqa: E402

COLOURS = ('tab:blue', 'tab:orange', 'tab:green', 'tab:red', 'tab:purple')
STYLES = {True: '-', False: '--'}
LABELS = {True: 'with enhancement', False: 'without'}
PANEL = (3.6, 2.9)  # inches


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
