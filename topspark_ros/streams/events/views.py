"""Windows of events as a network sees them, at whatever T it is presented them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from topspark_ros.engine import SpikeTrain

from ..colours import Square
from ..object_kernels import main_part
from ..objects import framed
from .moving import Motion, find_motion, moving_picture
from .pictures import window_picture
from .pooling import EventGrid, Places, count_image, lie_in, spike_train
from .windows import Window

_WORK_SIDE = 160  # longest side of the grid that activity is looked for on, cells
_MANY = 8.0  # events in one cell, above which more say nothing about a shape
_LEVEL = 0.25  # share of the peak activity from which a cell belongs to what moves


@dataclass(frozen=True)
class EventView:
    """One window, looked at in one way.

    square: of the sensor that is seen, pixels; None: nothing moves.
    """

    window: Window
    grid: EventGrid
    square: Square | None
    shown: Places | np.ndarray  # where spikes lead to; or a picture, (side * side,) float32

    def presented(self, timesteps: int) -> SpikeTrain | np.ndarray:
        """What the network takes in so many steps: spikes, or a picture, the same for any."""
        if isinstance(self.shown, Places):
            return spike_train(self.window, self.grid, timesteps, self.shown)
        return self.shown

    def picture(self) -> np.ndarray:
        """All its events, as `window_picture` shows them."""
        return window_picture(self.window, self.grid.width, self.grid.height)


class EventViewer:
    """Looks at the windows of one event camera.

    Parameters
    ----------
    width, height
        Of the sensor, pixels.
    roi
        Left, top, width and height of the part that is looked at, pixels; None: all of it.
    by_polarity
        False: both polarities count alike. True: twice as many inputs.
    centring
        What moves most is centred and scaled. As spikes it is, as `centre_object` does it in an
        image, and what lies apart from it is skipped; as a picture its motion is taken out. False:
        the roi is looked at as it is.
    size
        Side of the network's square input, cells.
    as_picture
        A window is a grey picture, bright where many events are, instead of spikes.
    whole
        Place, size and motion of a picture follow from all events in the roi, not from what moves
        most. For a sensor with little noise before which one thing moves.

    Raises
    ------
    EventError
        For an impossible sensor or roi.
    """

    def __init__(
        self,
        width: int,
        height: int,
        roi: tuple[int, int, int, int] | None = None,
        by_polarity: bool = False,
        centring: bool = True,
        size: int = 28,
        as_picture: bool = False,
        whole: bool = False,
    ) -> None:
        self._size, self._centring = size, centring
        self._as_picture, self._whole = as_picture, whole
        roi = roi or (0, 0, width, height)
        self._grid = EventGrid(width, height, roi, size, size, by_polarity)
        if centring:
            longest = max(roi[2:])
            rows, columns = (
                max(1, min(side, round(side * _WORK_SIDE / longest))) for side in (roi[3], roi[2])
            )
            self._grid = replace(self._grid, rows=rows, columns=columns)

    def view(self, window: Window) -> EventView:
        """One window. There are no spikes, and a picture is black, without an event in the roi or,
        with `centring`, without anything in it that moves."""
        grid = self._grid
        if self._as_picture:
            motion = self._motion(window)
            picture = moving_picture(window, grid.part, motion, self._size)
            square = Square(motion.x, motion.y, motion.extent) if motion.extent else None
            return EventView(window, grid, square, picture)
        if not self._centring:
            return EventView(window, grid, _around(grid.part), grid.places)
        places, square = centred(self._counts(window), self._size)
        return EventView(window, grid, square and self._on_sensor(square), places)

    def _on_sensor(self, square: Square) -> Square:
        """The same, of cells of the grid before, in pixels."""
        left, top, width, _ = self._grid.part
        x, y, extent = square.scaled(width / self._grid.columns)
        return Square(left + x, top + y, extent)

    def _motion(self, window: Window) -> Motion:
        if not self._centring:
            x, y, extent = _around(self._grid.part)
            return Motion(x, y, window.start, 0.0, 0.0, extent)
        mask = active(activity_of(self._counts(window)))
        if not main_part(mask).any():
            mask[:] = 0
        elif self._whole:
            mask[:] = 1
        return find_motion(window.events[lie_in(window, self._grid, mask.reshape(-1) > 0)])

    def _counts(self, window: Window) -> np.ndarray:
        """Events in each cell of the grid, of both polarities."""
        counts = count_image(window, self._grid).reshape(-1, *self._grid.shape[-2:])
        return counts.sum(axis=0)


def _around(roi: tuple[int, int, int, int]) -> Square:
    """The smallest square with the middle of a roi that holds all of it."""
    left, top, width, height = roi
    return Square(left + (width - 1) / 2, top + (height - 1) / 2, float(max(width, height)))


def activity_of(counts: np.ndarray) -> np.ndarray:
    """Of the cells of a grid, by the events in each, (rows, columns) float32."""
    return cv2.GaussianBlur(np.minimum(counts, _MANY), (5, 5), 1.0)


def active(activity: np.ndarray) -> np.ndarray:
    """Which cells are about as active as the most active ones, (rows, columns) uint8.

    Edges have several events a cell, while noise and slow changes of the light have single ones.
    """
    return (activity > _LEVEL * float(activity.max())).astype(np.uint8)


def centred(counts: np.ndarray, size: int) -> tuple[Places, Square | None]:
    """Where the cells of a grid lie in a view that is centred on what moves most, and the square of
    cells that this view is; None: nothing moves.

    counts: events in each cell, (rows, columns) float32.
    size: side of the view, inputs.

    Cells that are `active`, and touch, are what moves. Where noise is all there is, nothing moves:
    every cell lies outside.
    """
    rows, columns = counts.shape
    activity = activity_of(counts)
    mask = main_part(active(activity))
    if not mask.any():
        return Places(np.full(counts.size, -1), size * size), None
    mask = cv2.dilate(mask, np.ones((3, 3), np.uint8))
    square = framed(activity, np.inf, mask)
    x, y, side = square
    across = np.floor(((np.arange(columns) - x) / side + 0.5) * size).astype(np.int64)
    down = np.floor(((np.arange(rows) - y) / side + 0.5) * size).astype(np.int64)[:, np.newaxis]
    inside = (across >= 0) & (across < size) & (down >= 0) & (down < size) & (mask > 0)
    places = np.where(inside, down * size + across, -1).reshape(-1)
    return Places(places, size * size), square
