"""What moves in a window of events, as a grey picture: centred, scaled, and without its motion.

An edge that moves smears over the cells that it passes. Events tell when they came, so the mean
velocity of all of them can be taken out (a straight line is fitted to positions over time), and the
edge is as sharp as if it stood still. Both polarities count alike: which one an edge sends depends
on the direction that it moves in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from topspark_ros.engine.kernels.compilation import entry_point

from .windows import Window

MAX_FITTED = 1 << 14  # events of a window that place and motion are found from, spread over it
TRIMMED = 0.05  # share of the events on either side that says nothing of where the centre is
DEVIATIONS = 5.0  # mean absolute ones of the events' positions, along a side of the picture
MIN_DEVIATION = 0.5  # pixels; below, all is one faulty pixel
BRIGHTEST = 0.01  # share of the cells with events that are equally bright


class Motion(NamedTuple):
    """Where the events of a window lie when their motion is taken out.

    x, y: of the middle of the picture at time `t`, pixels. t: sensor time, ns.
    velocity_x, velocity_y: pixels a ns.
    extent: that a side of the picture shows, pixels; 0: nothing.
    """

    x: float
    y: float
    t: int
    velocity_x: float
    velocity_y: float
    extent: float


def find_motion(events: np.ndarray) -> Motion:
    """Centre, extent and mean velocity of events, an array of EVENT."""
    if not len(events):
        return Motion(0.0, 0.0, 0, 0.0, 0.0, 0.0)
    fitted = events[:: -(-len(events) // MAX_FITTED)]
    t = fitted['t']
    middle = int(t[0]) + round(float((t - t[0]).mean()))
    elapsed = (t - middle).astype(np.float64)
    variance = max(float((elapsed**2).mean()), 1.0)
    rest = int(TRIMMED * len(fitted))
    places = []
    for axis in 'xy':
        position = fitted[axis].astype(np.float64)
        velocity = float((elapsed * (position - position.mean())).mean()) / variance
        still = position - velocity * elapsed
        in_parts = np.partition(still, (rest, len(fitted) - rest - 1))
        centre = float(in_parts[rest : len(fitted) - rest].mean())
        places.append((centre, velocity, float(np.abs(still - centre).mean())))
    (centre_x, velocity_x, deviation_x), (centre_y, velocity_y, deviation_y) = places
    deviation = (deviation_x + deviation_y) / 2
    extent = DEVIATIONS * deviation if deviation >= MIN_DEVIATION else 0.0
    return Motion(centre_x, centre_y, middle, velocity_x, velocity_y, extent)


def moving_picture(
    window: Window, roi: tuple[int, int, int, int], motion: Motion, side: int
) -> np.ndarray:
    """The events of a window as they lie without their motion, (side * side,) float32 in 0 to 1.

    roi: left, top, width and height of the part of the sensor that is looked at, pixels.

    All zeros if nothing is shown.
    """
    counts = np.zeros(side * side, np.float32)
    count_still(window.events.view(np.int64), *roi, *motion, side, counts)
    shown = counts[counts > 0]
    if shown.size:
        rank = int((1 - BRIGHTEST) * (shown.size - 1))
        counts /= np.partition(shown, rank)[rank]
    return np.minimum(counts, np.float32(1))


@entry_point
def count_still(
    events: np.ndarray,
    left: int,
    top: int,
    width: int,
    height: int,
    x: float,
    y: float,
    t: int,
    velocity_x: float,
    velocity_y: float,
    extent: float,
    side: int,
    counts: np.ndarray,
) -> None:
    """Add the events to the cells that they lie in. The roi, a Motion, and `side` cells a side."""
    if extent == 0:
        return
    cells = side / extent
    for i in range(events.size // 2):
        word = events[2 * i]
        across, down = word & 0xFFFF, word >> 16 & 0xFFFF
        if across < left or across >= left + width or down < top or down >= top + height:
            continue
        elapsed = events[2 * i + 1] - t
        column = np.floor((across - velocity_x * elapsed - x) * cells + side / 2)
        row = np.floor((down - velocity_y * elapsed - y) * cells + side / 2)
        if 0 <= column < side and 0 <= row < side:
            counts[int(row) * side + int(column)] += 1
