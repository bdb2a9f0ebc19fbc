"""Pictures of one mission and of all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from topspark_ros.plotting import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    RED,
    SHADE,
    drawing,
    log_axis,
    picture,
    steps_axis,
)

from .metrics import Figures, power_limits_w
from .mission import LEFT_OUT, RIGHT, History
from .parts import TICK_S, part_at
from .policies import OURS
from .trace import Trace

if TYPE_CHECKING:
    from .live import Run  # which needs ROS

COLOURS = {'ours': BLUE, 'fixed': ORANGE, 'limit': RED, 'fault': '0.85'}
RUNNING_FRAMES = 1000


def draw_mission(path: Path, trace: Trace, histories: dict[str, History], best: str | None) -> None:
    """One mission of our controller.

    best: the fixed T that its accuracy is drawn with.
    """
    with picture(path, (2, 3, 3, 2, 3), size=(14, 14)) as panels:
        _draw_mission(panels, trace, histories, best)


def _draw_mission(
    panels: Sequence, trace: Trace, histories: dict[str, History], best: str | None
) -> None:
    rate, power, steps, charge, accuracy = panels
    ours = histories[OURS]
    grid_s = TICK_S * np.arange(len(ours.used_j))
    seconds = round(1 / TICK_S)

    rate.plot(
        grid_s[::seconds], [part_at(trace.rates, each) for each in grid_s[::seconds]], color='0.3'
    )
    rate.set_ylabel('frames  [Hz]')
    load = rate.twinx()
    load.plot(
        grid_s[::seconds],
        [part_at(trace.loads, each) for each in grid_s[::seconds]],
        color=RED,
        linestyle='--',
    )
    load.grid(False)
    load.set_ylabel('processor load  (dashed)', color=RED)

    limits_w = power_limits_w(trace)
    window = 10 * seconds
    power.plot(
        grid_s[window::seconds],
        1e6 * (ours.used_j[window:] - ours.used_j[:-window])[::seconds] / 10.0,
        color=COLOURS['ours'],
        label='mean of 10 s',
    )
    power.step(
        grid_s[:-1],
        1e6 * np.where(np.isinf(limits_w), np.nan, limits_w),
        where='post',
        color=COLOURS['limit'],
        label='limit; none where there is no line',
    )
    power.step(
        *np.array([(time_s, 1e6 * power_w) for time_s, power_w in ours.plans]).T,
        where='post',
        color='0.4',
        linestyle=':',
        label='lasts to the end',
    )
    log_axis(power, 'y', (1,))
    power.set_ylim(bottom=3)
    power.set_ylabel('power  [µW]')
    power.legend(loc='lower right', ncols=3)

    times_s = [time_s for time_s, _ in ours.settings] + [trace.duration_s]
    rows = [setting for _, setting in ours.settings]
    curves = (
        ('inference', '-', COLOURS['ours'], [row[1] if row[3] else np.nan for row in rows]),
        ('training', '--', GREEN, [row[0] if row[2] else np.nan for row in rows]),
    )
    for label, style, colour, values in curves:
        steps.step(
            times_s,
            [*values, values[-1]],
            style,
            where='post',
            label=label,
            color=colour,
            linewidth=1.8,
        )
    off = [np.nan if row[2] else 0.03 for row in rows]
    steps.step(
        times_s,
        [*off, off[-1]],
        where='post',
        label='no learning',
        color=ORANGE,
        linewidth=4,
        transform=steps.get_xaxis_transform(),
    )
    steps.margins(y=0.15)
    share = steps.twinx()
    share.grid(False)
    share.step(
        times_s,
        [100 * row[3] for row in rows] + [100 * rows[-1][3]],
        where='post',
        color='0.5',
        linewidth=1,
    )
    share.set_ylim(-3, 103)
    share.set_ylabel('frames processed  [%]  (grey)')
    steps_axis(steps, 'y')
    steps.legend(loc='upper right', ncols=3)

    charge_s, true, told = np.array(ours.charges).T
    charge.plot(charge_s, 100 * true, color=PURPLE, label='true')
    charge.plot(charge_s, 100 * told, color='0.3', linewidth=1, label='percentage as told')
    charge.set_ylim(0, 102)
    charge.set_ylabel('charge  [%]')
    charge.legend(loc='upper right')

    for name, colour in ((OURS, COLOURS['ours']), (best, COLOURS['fixed'])):
        if name is not None:
            accuracy.plot(*_running(trace, histories[name]), color=colour, label=name)
    for time_s, what in ((trace.joined_s, 'more classes'), (trace.turned_s, 'camera turned')):
        accuracy.axvline(time_s, color='0.5', linestyle=':')
        accuracy.text(time_s, 0.03, f' {what}', transform=accuracy.get_xaxis_transform())
    accuracy.set_ylabel(f'accuracy  [%], last {RUNNING_FRAMES} processed')
    accuracy.legend(loc='lower right')
    accuracy.set_xlabel('time  [s]')
    accuracy.set_xlim(0, trace.duration_s)

    for axis in panels:
        for span in trace.faults.values():
            axis.axvspan(span.begin_s, span.end_s, color=COLOURS['fault'], zorder=0)
    for span in trace.faults.values():
        rate.text(span.begin_s, 1.02, span.kind, transform=rate.get_xaxis_transform(), fontsize=8)


def draw_missions(path: Path, table: dict[int, dict[str, Figures]]) -> None:
    """Every policy: worst window, right of all frames, accuracy; a dot a seed."""
    names = list(next(iter(table.values())))
    with drawing(path, 13, 0.45 * len(names) + 1.6) as figure:
        axes = figure.subplots(1, 3, sharey=True)
        for axis, (field, words) in zip(
            axes,
            (
                ('excess', 'power above the limit, worst 30 s [%]'),
                ('accuracy', 'accuracy of processed frames [%]'),
                ('right', 'right of all frames [%]'),
            ),
        ):
            for row, name in enumerate(names):
                for of_seed in table.values():
                    ran_out = not math.isnan(of_seed[name].ran_out_s)
                    if ran_out and field == 'accuracy':  # of the first frames, the easiest
                        continue
                    axis.plot(
                        100 * getattr(of_seed[name], field),
                        row,
                        'x' if ran_out else 'o',
                        color=COLOURS['ours' if name == OURS else 'fixed'],
                        alpha=0.8,
                    )
            axis.set_xlabel(words)
        axes[0].set_xscale('symlog', linthresh=10)
        axes[0].xaxis.set_major_formatter('{x:g}')
        axes[0].axvline(5, color=COLOURS['limit'], linewidth=1)
        axes[0].set_yticks(range(len(names)), names)
        axes[0].invert_yaxis()
        figure.suptitle('A mark a seed; a cross: ran out of energy')


def draw_live(path: Path, run: Run) -> None:
    """Power, limit, load and setting over the time of a run."""
    with picture(path, (3, 2, 2), size=(14, 9)) as (power, steps, shares):
        ticks_s = TICK_S * np.arange(len(run.used_j))
        for window_s, colour, width in ((1.0, '0.7', 0.8), (10.0, COLOURS['ours'], 1.8)):
            window = round(window_s / TICK_S)
            power.plot(
                ticks_s[window:],
                (run.used_j[window:] - run.used_j[:-window]) / window_s,
                color=colour,
                linewidth=width,
                label=f'mean of {window_s:g} s, by /proc',
            )
        limits_w = run.limits_w
        power.step(ticks_s[:-1], limits_w, where='post', color=COLOURS['limit'], label='limit')
        power.set_ylim(bottom=0)
        power.set_ylabel('power  [W]')
        power.legend(loc='upper right', ncols=3)

        times_s = [time_s for time_s, _ in run.settings] + [run.plan.duration_s]
        rows = [setting for _, setting in run.settings]

        def curve(axis, label: str, colour: str, style: str, values: list[float]) -> None:
            axis.step(
                times_s, [*values, values[-1]], style, where='post', color=colour, label=label
            )

        curve(steps, 'inference', COLOURS['ours'], '-', [r[1] if r[3] else np.nan for r in rows])
        curve(steps, 'training', GREEN, '--', [r[0] if r[2] else np.nan for r in rows])
        steps_axis(steps, 'y')
        steps.set_ylabel('T')
        steps.legend(loc='upper right', ncols=2)
        curve(shares, 'frames processed', COLOURS['ours'], '-', [100 * row[3] for row in rows])
        curve(shares, 'of these learned', GREEN, '--', [100 * row[2] for row in rows])
        shares.set_ylim(-3, 103)
        shares.set_ylabel('share  [%]')
        shares.legend(loc='upper right', ncols=2)
        shares.set_xlabel('time  [s]; grey: another process keeps a core busy')
        shares.set_xlim(0, run.plan.duration_s)
        for axis in (power, steps, shares):
            for span in run.plan.loads:
                axis.axvspan(span.begin_s, span.end_s, color=SHADE, zorder=0)


def _running(trace: Trace, history: History) -> tuple[np.ndarray, np.ndarray]:
    """Times, s, and accuracy of the frames processed last, percent."""
    processed = np.flatnonzero(history.outcomes != LEFT_OUT)
    frames = min(RUNNING_FRAMES, len(processed))
    right = np.convolve(history.outcomes[processed] == RIGHT, np.ones(frames) / frames, 'valid')
    return trace.frames_s[processed[frames - 1 :]], 100 * right
