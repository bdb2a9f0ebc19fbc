"""Tables and a picture of the controller beside all fixed settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from topspark_ros.plotting import BLUE, ORANGE, drawing, prefixed_axis

from .compare import (
    KEPT,
    accuracy,
    accuracy_of_taken,
    compare,
    mean_cost,
    worst_excess,
)
from .play import Played, Setting, Step


class Stream(NamedTuple):
    """All runs of one stream, by seed.

    frames: of a run. controlled, limits: by name of the power trace. metered: under the controller
    with the meter `processor`, without limits.
    """

    name: str
    frames: int
    fixed: dict[Setting, list[Played]]
    controlled: dict[str, list[Played]]
    limits: dict[str, list[list[Step]]]
    metered: list[Played]


_COLUMNS = (
    'stream',
    'limits',
    'controller',
    'of processed',
    'cost',
    'worst window',
    'best fixed',
    'accuracy',
    'cost',
    'ahead [points]',
    'p',
    'dominated by',
    'best that breaks them',
)


def text(streams: Sequence[Stream], how: str) -> str:
    """Both tables, Markdown."""
    lines = ['# The controller against every fixed setting', '', how, '']
    lines += ['## Estimated energy', '', *_HEAD]
    for stream in streams:
        for trace, runs in stream.controlled.items():
            lines.append(_row(stream, trace, runs, stream.limits[trace], measured=False))
    lines += ['', "## Measured: processor time of the learner's calls", '', _METERED, '', *_HEAD]
    for stream in streams:
        no_limits: list[list[Step]] = [[] for _ in stream.metered]
        lines.append(_row(stream, 'none', stream.metered, no_limits, measured=True))
    return '\n'.join([*lines, '', _EXPLAINED, ''])


_HEAD = '| ' + ' | '.join(_COLUMNS) + ' |', '|---' * len(_COLUMNS) + '|'
_METERED = 'The controller has the meter `processor`, and no limits.'
_EXPLAINED = """\
Best fixed: in hindsight, of those that cost no more than the controller (5 % more is no more) and
keep the limits; as training T / inference T. Ahead: the controller, with the 95 % interval of
paired frames, all seeds pooled, and p of McNemar's test. Dominated by: settings that cost no more,
keep the limits and are better by more than noise. Best that breaks them: costs no more than the
controller, but exceeds the limits by so much."""


def _row(
    stream: Stream,
    trace: str,
    runs: Sequence[Played],
    limits: Sequence[Sequence[Step]],
    measured: bool,
) -> str:
    compared = compare(runs, stream.fixed, limits, measured)
    best, ahead = compared.best, compared.ahead
    cells = [
        f'{stream.name}, {stream.frames}',
        trace,
        f'{100 * accuracy(runs):.1f} %',
        f'{100 * accuracy_of_taken(runs):.1f} %',
        _cost(compared.cost, measured),
        f'{100 * worst_excess(runs, limits):+.1f} %',
        'none keeps the limits' if best is None else str(best),
        '-' if best is None else f'{100 * accuracy(stream.fixed[best]):.1f} %',
        '-' if best is None else _cost(compared.best_cost, measured),
        f'{ahead.mean:+.1f} ({ahead.low:+.1f} to {ahead.high:+.1f})',
        f'{ahead.p_value:.2g}',
        '; '.join(map(str, compared.better)) or 'none',
        _breaking(stream, runs, limits, measured),
    ]
    return '| ' + ' | '.join(cells) + ' |'


def _breaking(
    stream: Stream, runs: Sequence[Played], limits: Sequence[Sequence[Step]], measured: bool
) -> str:
    """The best fixed setting that costs no more, if it breaks the limits."""
    best = compare(runs, stream.fixed, [[] for _ in limits], measured).best
    if best is None:
        return '-'
    above = worst_excess(stream.fixed[best], limits)
    if above <= KEPT:
        return '-'
    return f'{best}: {100 * accuracy(stream.fixed[best]):.1f} %, {100 * above:+.0f} %'


def _cost(cost: float, measured: bool) -> str:
    return f'{1e3 * cost:.0f} ms' if measured else f'{1e3 * cost:.2f} mJ'


def draw(path: Path, streams: Sequence[Stream]) -> None:
    """Accuracy against estimated energy, a panel a stream."""
    rows = -(-len(streams) // 3)
    with drawing(path, 12, 3.6 * rows) as figure:
        axes = figure.subplots(rows, 3, squeeze=False).ravel()
        for axis in axes[len(streams) :]:
            axis.remove()
        for axis, stream in zip(axes, streams):
            cost_j = np.array([mean_cost(runs, False) for runs in stream.fixed.values()])
            right = 100 * np.array([accuracy(runs) for runs in stream.fixed.values()])
            axis.plot(cost_j, right, 'o', color='0.75', markersize=4, label='fixed setting')
            order = np.argsort(cost_j)
            best = np.maximum.accumulate(right[order])
            axis.step(
                cost_j[order], best, where='post', color='0.4', label='best fixed', linewidth=1.2
            )
            for (trace, runs), marker, colour in zip(
                stream.controlled.items(), 'D^v', (ORANGE, BLUE, BLUE)
            ):
                axis.plot(
                    mean_cost(runs, False),
                    100 * accuracy(runs),
                    marker,
                    color=colour,
                    markersize=8,
                    label=f'controller, limits: {trace}',
                )
            lowest = max(0.0, float(best.max()) - 40.0)
            axis.set_ylim(bottom=lowest)
            axis.set_xlim(left=0.7 * cost_j[right > lowest].min())
            prefixed_axis(axis, 'x', 'J', ratio=100.0)
            axis.set_title(stream.name)
        axes[0].set_ylabel('right of all frames  [%]')
        axes[0].set_xlabel('estimated energy of the stream')
        axes[0].legend(fontsize=8, loc='lower right')
