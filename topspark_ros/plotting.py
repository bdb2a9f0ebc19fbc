"""What all pictures share: colours, axes, panels over time, and how a figure becomes a file.

Figures are made without pyplot: nothing needs a display, nothing is left open, and no backend is
chosen for the whole process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.rcsetup import cycler
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike

# Told apart by the colour-blind too (Okabe and Ito 2008).
BLUE, ORANGE, GREEN, PURPLE = '#0072B2', '#E69F00', '#009E73', '#CC79A7'
RED, SKY, GREY = '#D55E00', '#56B4E9', '#666666'
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED, SKY, GREY)
SHADE = '0.9'  # of a span of time
LIMIT_STYLES = {
    'power_limit_w': dict(label='limit', color='black', linestyle='--', linewidth=1.6),
    'mission_power_w': dict(label='lasts to the end', color='0.5', linestyle=':', linewidth=2.2),
}
STYLE = {
    'axes.axisbelow': True,
    'axes.grid': True,
    'axes.prop_cycle': cycler(color=COLOURS),
    'axes.titlesize': 11,
    'grid.color': '0.92',
    'legend.frameon': False,
    'text.parse_math': False,  # names of classes and runs are no formulas, whatever they hold
}
DOTS_PER_INCH = 110
WIDTH = 10.0  # inches, of panels over time
TEXT_ROWS, CHARACTER = 2, 0.008  # of marks; a character's share of the width
FAR = 4.0  # ratio of largest to smallest value from which an axis is logarithmic
BEHIND_TEXT = dict(facecolor='white', edgecolor='none', pad=0.6)


# Figures -----------------------------------------------------------------------------------


@contextmanager
def drawing(path: Path, width: float, height: float) -> Iterator[Figure]:
    """An empty figure, its sides in inches, that is written to `path` at the end.

    The suffix of the path is the format.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout='constrained')
        yield figure
        figure.savefig(path, dpi=DOTS_PER_INCH)


@contextmanager
def picture(
    path: Path, heights: Sequence[float] = (3.6,), size: tuple[float, float] | None = None
) -> Iterator[list[Axes]]:
    """Panels one above the other with a common x axis, written to `path` at the end.

    heights: of the panels, inches.
    size: width and height of the picture, inches; by default WIDTH and the sum of the heights.
    """
    with drawing(path, *(size or (WIDTH, sum(heights) + 0.4))) as figure:
        yield figure.subplots(
            len(heights), 1, squeeze=False, sharex=True, gridspec_kw={'height_ratios': heights}
        )[:, 0].tolist()


# Axes --------------------------------------------------------------------------------------


def steps_axis(axis: Axes, direction: str, ticks: Sequence[int] | None = None) -> None:
    """T along x or y, base 2.

    ticks: where, steps; by default at powers of 2.
    """
    getattr(axis, f'set_{direction}scale')('log', base=2)
    along = getattr(axis, f'{direction}axis')
    along.set_label_text('T  [steps]')
    if ticks is not None:
        along.set_ticks(ticks)
    along.set_major_formatter('{x:g}')
    along.set_minor_formatter(NullFormatter())


def log_axis(axis: Axes, direction: str, multiples: Sequence[int] = (1, 2, 5)) -> None:
    """Logarithmic x or y, base 10, with plain numbers.

    multiples: of the powers of ten, that have a number.
    """
    getattr(axis, f'set_{direction}scale')('log')
    along = getattr(axis, f'{direction}axis')
    along.set_major_locator(LogLocator(subs=multiples))
    along.set_major_formatter('{x:g}')
    along.set_minor_formatter(NullFormatter())


def accuracy_axis(axis: Axes) -> None:
    axis.set_ylim(0, 102)
    axis.set_ylabel('accuracy  [%]')


def prefixed_axis(axis: Axes, direction: str, unit: str, ratio: float = 1.0) -> None:
    """Ticks with SI prefixes along x or y.

    ratio: of the largest value to the smallest; from FAR on the axis is logarithmic.
    """
    if ratio > FAR:
        log_axis(axis, direction, (1, 2, 5) if ratio < 1000 else (1,))
    getattr(axis, f'{direction}axis').set_major_formatter(EngFormatter(unit))


def power_axis(axis: Axes, power_w: np.ndarray, limits_w: np.ndarray) -> None:
    """Room for all power and limits, W; logarithmic if the limits are far above the power."""
    highest_w, limit_w = (np.nanmax(values, initial=0.0) for values in (power_w, limits_w))
    if 0 < FAR * highest_w < limit_w:
        positive = np.concatenate([values[values > 0] for values in (power_w, limits_w)])
        lowest_w = np.percentile(positive, 2) / 2
        prefixed_axis(axis, 'y', 'W', limit_w / lowest_w)
        axis.set_ylim(lowest_w, 2 * limit_w)
    else:
        prefixed_axis(axis, 'y', 'W')
        axis.set_ylim(0, 1.12 * max(highest_w, limit_w) or 1.0)
    axis.set_ylabel('power')


# Panels over time --------------------------------------------------------------------------


def accuracy_panel(
    axis: Axes, times_s: ArrayLike, accuracy: ArrayLike, colour: str, label: str | None = None
) -> None:
    """accuracy: 0..1."""
    axis.plot(times_s, 100 * np.asarray(accuracy), color=colour, linewidth=1.8, label=label)
    accuracy_axis(axis)


def timestep_panel(
    axis: Axes,
    times_s: ArrayLike,
    inference: ArrayLike,
    training: ArrayLike,
    colours: Sequence[str],
    labels: Sequence[str] = ('inference', 'training'),
) -> None:
    """inference, training: T from each time on, steps; NaN: none."""
    for values, colour, label, style in zip((inference, training), colours, labels, ('-', '--')):
        if np.isfinite(values).any():
            axis.step(times_s, values, style, where='post', label=label, color=colour, linewidth=2)
    steps_axis(axis, 'y')
    axis.margins(y=0.25)
    low, high = axis.get_ylim()
    if high < 4 * low:  # one T alone would have no tick
        axis.set_ylim(low / 2, high * 2)


def charge_panel(axis: Axes, times_s: ArrayLike, state_of_charge: ArrayLike, colour: str) -> None:
    """state_of_charge: 0..1."""
    axis.plot(times_s, 100 * np.asarray(state_of_charge), color=colour)
    axis.set_ylim(0, 104)
    axis.set_ylabel('charge  [%]')
    axis.set_title('Battery')


def mark(
    panels: Sequence[Axes], times_s: Sequence[float], texts: Sequence[str], end_s: float
) -> None:
    """A line at each time in all panels; its text at the foot of the first one, where it fits."""
    begin_s = panels[0].get_xlim()[0]
    character_s = CHARACTER * (end_s - begin_s)
    free_s = [begin_s] * TEXT_ROWS
    for time_s, text, until_s in zip(times_s, texts, [*times_s[1:], end_s]):
        if not begin_s <= time_s < end_s:
            continue
        for axis in panels:
            axis.axvline(time_s, color='0.7', linewidth=1, zorder=1)
        row = next((row for row in range(TEXT_ROWS) if free_s[row] <= time_s), None)
        # A mark that is soon followed by another stays without its text.
        if row is not None and until_s - time_s > 2 * character_s:
            panels[0].annotate(
                text,
                (time_s, 0),
                (3, 4 + 11 * row),
                fontsize=8,
                color='0.3',
                xycoords=panels[0].get_xaxis_transform(),
                clip_on=True,
                textcoords='offset points',
                bbox=BEHIND_TEXT,
            )
            free_s[row] = time_s + (len(text) + 2) * character_s


# Legends -----------------------------------------------------------------------------------


def line(label: str, **style: Any) -> Line2D:
    """An entry of a legend."""
    return Line2D([], [], label=label, **style)


def legend_beside(axis: Axes) -> None:
    """Right of a panel, where it hides nothing; one curve alone needs none."""
    handles, _ = axis.get_legend_handles_labels()
    if len(handles) > 1:
        axis.legend(loc='upper left', bbox_to_anchor=(1.0, 1.02), fontsize=8.5)


def legend_below(figure: Figure, handles: Sequence[Artist], **style: Any) -> None:
    """Below all panels; in one row, unless `ncols` is given."""
    figure.legend(
        **{'handles': handles, 'loc': 'outside lower center', 'ncols': max(1, len(handles))} | style
    )


def spoken(name: str) -> str:
    """A constant's name as words: POWER_LIMIT is 'power limit'."""
    return name.lower().replace('_', ' ')
