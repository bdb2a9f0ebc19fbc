"""Pictures of evaluations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from topspark_ros.methodology.tradeoff import non_dominated
from topspark_ros.plotting import (
    BLUE,
    COLOURS,
    LIMIT_STYLES,
    ORANGE,
    SHADE,
    accuracy_panel,
    charge_panel,
    legend_beside,
    mark,
    picture,
    power_axis,
    prefixed_axis,
    spoken,
    timestep_panel,
)
from topspark_ros.replay.figures import (
    ACCURACY_WINDOW,
    POWER_WINDOW_S,
    Figures,
    confusion,
    outcomes,
    running_mean,
    worst_window,
)
from topspark_ros.replay.jumps import gaps_s, without_gaps
from topspark_ros.replay.results import Decided, Evaluation

MAX_COLOURS = 4  # more runs than this are drawn from dark to light in their order
CELL = 0.55  # of a confusion matrix, inches
FEWEST_CELLS = 6
NAMED_CLASSES, MAX_TICKS = 20, 60  # with more, there is no room for figures and names
FIELDS, FIELDS_A_ROW = 60, 12
TILE = 0.75  # of a receptive field, inches
LONGEST_NAME = 24  # of a class, characters


def draw_accuracy(path: Path, runs: Sequence[Evaluation]) -> bool:
    """Over time, of the last ACCURACY_WINDOW labelled frames and, of one or two runs, of all so
    far. Of one run, with its changes of T. False: too little is labelled, nothing is drawn."""
    runs = [without_gaps(run) for run in runs]
    labelled = [run for run in runs if len(outcomes(run)[0]) > 1]  # one is no course
    if not labelled:
        return False
    with picture(path) as (axis,):
        for run, colour in zip(labelled, _colours(labelled)):
            times_s, right = outcomes(run)
            accuracy_panel(
                axis,
                times_s,
                running_mean(right, ACCURACY_WINDOW),
                colour,
                _named(f'last {ACCURACY_WINDOW} labelled', run, labelled),
            )
            if len(labelled) <= 2:
                axis.plot(
                    times_s,
                    100 * running_mean(right, len(right)),
                    '--',
                    color=colour,
                    linewidth=1.2,
                    label=_named('all so far', run, labelled),
                )
        axis.set_title('Prequential accuracy: each frame classified before it is learned')
        end_s = _over_time([axis], labelled)
        if len(runs) == 1:
            changes = _changes(runs[0].decisions)
            mark(
                [axis],
                [each.time_s for each in changes],
                [_setting(each) for each in changes],
                end_s,
            )
        legend_beside(axis)
    return True


def draw_history(path: Path, runs: Sequence[Evaluation]) -> bool:
    """T, power with its limits, shares of the frames and charge over time, as far as they are
    known. Of one run, with the controller's decisions. False: nothing is, nothing is drawn."""
    runs = [without_gaps(run) for run in runs if len(run.status) > 1]
    panels = [
        (height, draw)
        for height, draw, known in (
            (3.0, _draw_timesteps, lambda status: status['frame_share'] > 0),
            (3.4, _draw_power, lambda status: np.isfinite(status['power_w'])),
            (
                1.5,
                _draw_shares,
                lambda status: (status['frame_share'] < 1) | (status['learning_share'] % 1 > 0),
            ),
            (1.5, _draw_charge, lambda status: np.isfinite(status['state_of_charge'])),
        )
        if any(known(run.status).any() for run in runs)
    ]
    if not panels:
        return False
    with picture(path, [height for height, _ in panels]) as axes:
        for axis, (_, draw) in zip(axes, panels):
            draw(axis, runs)
            legend_beside(axis)
        end_s = _over_time(axes, runs)
        if len(runs) == 1:
            decisions = runs[0].decisions
            mark(
                axes[:2],
                [each.time_s for each in decisions],
                [spoken(each.reason) for each in decisions],
                end_s,
            )
    return True


def _draw_timesteps(axis: Axes, runs: Sequence[Evaluation]) -> None:
    for run, colour in zip(runs, _colours(runs)):
        status = run.status
        on = status['frame_share'] > 0
        timestep_panel(
            axis,
            status['time_s'],
            np.where(on, status['inference_timesteps'], np.nan),
            np.where(on & (status['learning_share'] > 0), status['training_timesteps'], np.nan),
            (colour, ORANGE if len(runs) == 1 else colour),
            (
                _named('inference', run, runs),
                _named('training', run, runs) if len(runs) <= 2 else '',
            ),
        )
    axis.set_title('Timestep')


def _draw_power(axis: Axes, runs: Sequence[Evaluation]) -> None:
    for run, colour in zip(runs, _colours(runs)):
        axis.plot(
            run.status['time_s'],
            run.status['power_w'],
            color=colour,
            linewidth=1.4,
            label=_named('perception', run, runs),
        )
    limits_w = [0.0]
    for column, style in LIMIT_STYLES.items():
        limits = {
            run.status[column].tobytes(): (run, colour)  # the same of many runs once
            for run, colour in zip(runs, _colours(runs))
            if np.isfinite(run.status[column]).any()
        }
        for run, colour in limits.values():
            own = (
                {}
                if len(limits) == 1
                else {'color': colour, 'label': f'{run.name}: {style["label"]}'}
            )
            axis.step(run.status['time_s'], run.status[column], where='post', **style | own)
            limits_w.extend(run.status[column])
    power_axis(axis, np.concatenate([run.status['power_w'] for run in runs]), np.array(limits_w))
    if len(runs) == 1 and (worst := worst_window(runs[0].status)) is not None:
        axis.axvspan(
            worst.begin_s,
            worst.begin_s + POWER_WINDOW_S,
            color=SHADE,
            zorder=0,
            label=f'worst {POWER_WINDOW_S:g} s',
        )
    axis.set_title('Power, estimated')


def _draw_shares(axis: Axes, runs: Sequence[Evaluation]) -> None:
    for run, colour in zip(runs, _colours(runs)):
        processed = 100 * run.status['frame_share']
        axis.step(
            run.status['time_s'],
            processed,
            where='post',
            color=colour,
            label=_named('processed', run, runs),
        )
        axis.step(
            run.status['time_s'],
            processed * run.status['learning_share'],
            '--',
            where='post',
            color=ORANGE if len(runs) == 1 else colour,
            label=_named('to be learned', run, runs) if len(runs) <= 2 else None,
        )
    axis.set_ylim(-4, 104)
    axis.set_ylabel('frames  [%]')
    axis.set_title('Share of the frames')


def _draw_charge(axis: Axes, runs: Sequence[Evaluation]) -> None:
    for run, colour in zip(runs, _colours(runs)):
        charge_panel(axis, run.status['time_s'], run.status['state_of_charge'], colour)


def draw_confusion(path: Path, run: Evaluation) -> bool:
    """Counts and, of each label, rates. False: nothing is labelled, nothing is drawn."""
    table = confusion(run)
    if not table.labels:
        return False
    rows, columns = table.counts.shape
    named = max(rows, columns) <= NAMED_CLASSES
    rates = table.counts / table.counts.sum(axis=1, keepdims=True)
    labels = [_short(name) for name in table.labels]
    names = ['none' if name is None else _short(name) for name in table.predictions]
    across, down = (
        CELL * min(max(cells, FEWEST_CELLS), NAMED_CLASSES) for cells in (columns, rows)
    )
    margin = 0.08 * max(map(len, labels + names))  # inches, for the names
    with picture(path, size=(across + margin + 2.0, down + margin + 1.2)) as (axis,):
        image = axis.imshow(100 * rates, cmap='Blues', vmin=0, vmax=100, aspect='equal')
        axis.figure.colorbar(
            image, label='of the frames with this label  [%]', shrink=0.9, aspect=30
        )
        if named:
            for row, column in np.argwhere(table.counts):
                axis.text(
                    column,
                    row,
                    f'{table.counts[row, column]}\n{100 * rates[row, column]:.0f} %',
                    ha='center',
                    va='center',
                    fontsize=7.5,
                    color='white' if rates[row, column] > 0.55 else 'black',
                )
        for ticks, texts, rotation in (
            (axis.set_xticks, names, 90 * (max(map(len, names)) > 4)),
            (axis.set_yticks, labels, 0),
        ):
            places = range(0, len(texts), -(-len(texts) // MAX_TICKS))
            ticks(
                places,
                [texts[place] for place in places],
                rotation=rotation,
                fontsize=10 if named else 6,
            )
        axis.grid(False)
        axis.set_xlabel('predicted')
        axis.set_ylabel('label')
        axis.set_title(f'Labelled frames: {table.counts.sum():,}')
    return True


def draw_pareto(path: Path, runs: Sequence[tuple[str, Figures]]) -> bool:
    """Accuracy against energy, a point a run. False: fewer than two have both, nothing is
    drawn."""
    runs = [
        (name, each) for name, each in runs if math.isfinite(each.accuracy) and each.frame_j > 0
    ]
    if len(runs) < 2:
        return False
    energy_j = np.array([each.frame_j for _, each in runs])
    accuracy = 100 * np.array([each.accuracy for _, each in runs])
    front = non_dominated(np.arange(len(runs)), energy_j, accuracy)
    with picture(path, size=(8.0, 5.0)) as (axis,):
        axis.plot(energy_j[front], accuracy[front], 'o-', color=BLUE, label='Pareto front')
        dominated = np.setdiff1d(np.arange(len(runs)), front)
        if len(dominated):
            axis.plot(
                energy_j[dominated],
                accuracy[dominated],
                'o',
                color='0.6',
                label='dominated by another',
            )
        for row, (name, _) in enumerate(runs):  # on the side where the front does not go
            shift, side = ((-6, 6), 'right') if row in front else ((7, -11), 'left')
            axis.annotate(
                name,
                (energy_j[row], accuracy[row]),
                xytext=shift,
                ha=side,
                fontsize=9,
                textcoords='offset points',
            )
        axis.margins(0.12, 0.18)
        prefixed_axis(axis, 'x', 'J', energy_j.max() / energy_j.min())
        axis.set_xlabel('energy of a frame, its learning included, estimated')
        axis.set_ylabel('accuracy of all labelled frames  [%]')
        axis.set_title('Accuracy against energy')
        legend_beside(axis)
    return True


def draw_receptive_fields(path: Path, fields: np.ndarray) -> bool:
    """A tile a neuron, each scaled to its own largest weight.

    fields: (neurons, inputs). Inputs are a square, or two of them (darker and brighter events),
    drawn side by side. False: they are not, or no neuron is in use; nothing is drawn.
    """
    neurons, inputs = fields.shape
    channels = next(
        (each for each in (1, 2) if math.isqrt(inputs // each) ** 2 * each == inputs), 0
    )
    if not (neurons and inputs and channels):
        return False
    shown, side = fields[:FIELDS], math.isqrt(inputs // channels)
    columns = min(len(shown), FIELDS_A_ROW // channels)
    rows = -(-len(shown) // columns)
    gap = max(1, side // 9)
    tile = side + gap, channels * (side + 1) - 1 + gap
    mosaic = np.full((rows * tile[0] - gap, columns * tile[1] - gap), np.nan)
    for place, field in enumerate(shown):
        top, left = place // columns * tile[0], place % columns * tile[1]
        largest = np.abs(field).max()
        for channel, square in enumerate(field.reshape(channels, side, side)):
            x = left + channel * (side + 1)
            mosaic[top : top + side, x : x + side] = square / (largest if largest > 0 else 1.0)
    width = max(4.0, TILE / side * mosaic.shape[1])
    with picture(path, size=(width, width * mosaic.shape[0] / mosaic.shape[1] + 0.5)) as (axis,):
        colours = matplotlib.colormaps['gray_r'].with_extremes(bad='#c8d8e8')
        least = -1 if (shown < 0).any() else 0
        axis.imshow(mosaic, cmap=colours, vmin=least, vmax=1, interpolation='nearest')
        axis.set_axis_off()
        axis.set_title(
            f'{len(shown)} of {neurons} neurons in use'
            + ('; each: darker, brighter events' if channels == 2 else ''),
            fontsize=10,
        )
    return True


def _changes(decisions: Sequence[Decided]) -> list[Decided]:
    """Those that set another T, or whether to learn."""
    return [
        now
        for before, now in zip((None, *decisions), decisions)
        if before is None or _setting(before) != _setting(now)
    ]


def _setting(decision: Decided) -> str:
    training = decision.training_timesteps if decision.learning_share else 'off'
    return f'T = {training}/{decision.inference_timesteps}'


def _colours(runs: Sequence[Evaluation]) -> Sequence:
    """One each; of more than MAX_COLOURS, from dark to light in their order."""
    if len(runs) <= MAX_COLOURS:
        return COLOURS[: len(runs)]
    return matplotlib.colormaps['viridis'](np.linspace(0, 0.9, len(runs)))


def _short(name: str) -> str:
    name = ' '.join(name.split())
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + '…'


def _named(what: str, run: Evaluation, runs: Sequence[Evaluation]) -> str:
    if len(runs) == 1:
        return what
    return f'{run.name}: {what}' if len(runs) == 2 else run.name


def _over_time(panels: Sequence, runs: Sequence[Evaluation]) -> float:
    """Limits of the time axis; returns its end, s."""
    times_s = np.concatenate([part['time_s'] for run in runs for part in (run.frames, run.status)])
    begin_s, end_s = float(times_s.min()), float(times_s.max())
    panels[-1].set_xlim(begin_s, end_s if end_s > begin_s else begin_s + 1.0)
    gaps = sorted({begin_s for run in runs for begin_s, _ in gaps_s(run.jumps)})
    for begin_s in gaps:
        for axis in panels:
            axis.axvline(begin_s, color='black', linestyle=(0, (1, 3)), linewidth=1.4, zorder=1)
    panels[-1].set_xlabel(
        "time since the bag's begin"
        + (', without the gaps in the recorded time (dotted)' if gaps else '')
        + '  [s]'
    )
    return panels[-1].get_xlim()[1]
