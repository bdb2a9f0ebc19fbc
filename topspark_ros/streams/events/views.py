"""Windows of events as a network sees them, at whatever T it is presented them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from topspark_ros.engine import SpikeTrain

from ..object_kernels import main_part
from ..objects import framed
from .moving import Motion, find_motion, moving_picture
from .pictures import window_picture
from .pooling import EventGrid, Places, count_image, spike_train
from .windows import Window

_WORK_SIDE = 160  # longest side of the grid that activity is looked for on, cells
_MANY = 8.0  # events in one cell, above which more say nothing about a shape
_LEVEL = 0.25  # share of the peak activity from which a cell belongs to what moves


@dataclass(frozen=True)
class EventView:
    """One window, looked at in one way."""

    window: Window
    grid: EventGrid
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
        What moves is centred and scaled. As spikes it is what moves most, as `centre_object` does
        it in an image, and what lies apart from it is skipped; as a picture all that moves in the
        roi, and its motion is taken out. False: the roi is looked at as it is.
    size
        Side of the network's square input, cells.
    as_picture
        A window is a grey picture, bright where many events are, instead of spikes.

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
    ) -> None:
        self._size, self._centring, self._as_picture = size, centring, as_picture
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
        places = self._grid.places
        if self._centring:
            counts = count_image(window, self._grid).reshape(-1, *self._grid.shape[-2:])
            places = centred(counts.sum(axis=0), self._size)
        if not self._as_picture:
            return EventView(window, self._grid, places)
        roi = self._grid.part
        motion = _as_it_is(window, roi)
        if self._centring:
            moves = (places.inputs >= 0).any()
            motion = find_motion(window, roi) if moves else motion._replace(extent=0.0)
        return EventView(window, self._grid, moving_picture(window, roi, motion, self._size))


def _as_it_is(window: Window, roi: tuple[int, int, int, int]) -> Motion:
    """The whole of a roi, and nothing taken for its motion."""
    left, top, width, height = roi
    middle = left + (width - 1) / 2, top + (height - 1) / 2
    return Motion(*middle, window.start, 0.0, 0.0, float(max(width, height)))


def centred(counts: np.ndarray, size: int) -> Places:
    """Where the cells of a grid lie in a view that is centred on what moves most.

    counts: events in each cell, (rows, columns) float32.
    size: side of the view, inputs.

    Cells that are about as active as the most active ones, and touch, are what moves: edges have
    several events a cell, while noise and slow changes of the light have single ones. Where that is
    all there is, nothing moves: every cell lies outside.
    """
    rows, columns = counts.shape
    activity = cv2.GaussianBlur(np.minimum(counts, _MANY), (5, 5), 1.0)
    mask = main_part((activity > _LEVEL * float(activity.max())).astype(np.uint8))
    if not mask.any():
        return Places(np.full(counts.size, -1), size * size)
    mask = cv2.dilate(mask, np.ones((3, 3), np.uint8))
    (x, y), side = framed(mask, activity * mask)
    across = np.floor(((np.arange(columns) - x) / side + 0.5) * size).astype(np.int64)
    down = np.floor(((np.arange(rows) - y) / side + 0.5) * size).astype(np.int64)[:, np.newaxis]
    inside = (across >= 0) & (across < size) & (down >= 0) & (down < size) & (mask > 0)
    return Places(np.where(inside, down * size + across, -1).reshape(-1), size * size)
