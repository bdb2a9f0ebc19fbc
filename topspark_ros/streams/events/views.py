"""Windows of events as a network sees them, at whatever T it is presented them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from topspark_ros.engine import SpikeTrain

from ..colours import Square
from ..groups import separate_groups
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
    """One window, or a moving thing in it, looked at in one way.

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

    def close_up(self) -> np.ndarray:
        """The part of that which the square shows."""
        picture = self.picture()
        if self.square is None:
            return picture
        left, top, side = self.square.whole_pixels
        return picture[max(top, 0) : top + side, max(left, 0) : left + side]


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
    max_objects
        Moving things that are looked at apart, with `centring` and not the `whole`. Of one, a
        picture's place, size and motion follow from all cells that are about as active.

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
        max_objects: int = 1,
    ) -> None:
        self._max_objects = max_objects
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

    def views(self, window: Window) -> list[EventView]:
        """One window: what moves in it, the largest first. There is a single view, without spikes
        or as a black picture, without an event in the roi or, with `centring`, without anything in
        it that moves."""
        grid, views = self._grid, []
        if self._as_picture:
            for motion in self._motions(window):
                picture = moving_picture(window, grid.part, motion, self._size)
                square = Square(motion.x, motion.y, motion.extent) if motion.extent else None
                views.append(EventView(window, grid, square, picture))
        elif not self._centring:
            views.append(EventView(window, grid, _around(grid.part), grid.places))
        else:
            for places, square in centred(self._counts(window), self._size, self._max_objects):
                views.append(EventView(window, grid, square and self._on_sensor(square), places))
        return views

    def view(self, window: Window) -> EventView:
        """The first of these."""
        return self.views(window)[0]

    def _on_sensor(self, square: Square) -> Square:
        """The same, of cells of the grid before, in pixels."""
        left, top, width, _ = self._grid.part
        x, y, extent = square.scaled(width / self._grid.columns)
        return Square(left + x, top + y, extent)

    def _motions(self, window: Window) -> list[Motion]:
        if not self._centring:
            x, y, extent = _around(self._grid.part)
            return [Motion(x, y, window.start, 0.0, 0.0, extent)]
        mask = active(activity_of(self._counts(window)))
        masks = moving_masks(mask, self._max_objects)
        if not masks:
            masks = [np.zeros_like(mask)]
        elif self._max_objects == 1:
            masks = [np.ones_like(mask) if self._whole else mask]
        return [
            find_motion(window.events[lie_in(window, self._grid, each.reshape(-1) > 0)])
            for each in masks
        ]

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


def moving_masks(mask: np.ndarray, most: int) -> list[np.ndarray]:
    """Of the cells that are `active` those that touch: so many things at most, the largest first,
    each a mask, (rows, columns) uint8. None where noise is all there is."""
    if most > 1:
        return separate_groups(mask, most)
    mask = main_part(mask)
    return [mask] if mask.any() else []


def centred(counts: np.ndarray, size: int, most: int = 1) -> list[tuple[Places, Square | None]]:
    """Where the cells of a grid lie in a view that is centred on what moves most, and the square of
    cells that this view is; the same of so many `moving_masks` at most.

    counts: events in each cell, (rows, columns) float32.
    size: side of the view, inputs.

    Where nothing moves, there is one view without a square, and every cell lies outside.
    """
    activity = activity_of(counts)
    masks = moving_masks(active(activity), most)
    nothing = Places(np.full(counts.size, -1), size * size), None
    return [_centred_on(mask, activity, size) for mask in masks] or [nothing]


def _centred_on(mask: np.ndarray, activity: np.ndarray, size: int) -> tuple[Places, Square]:
    rows, columns = mask.shape
    mask = cv2.dilate(mask, np.ones((3, 3), np.uint8))
    square = framed(activity, np.inf, mask)
    x, y, side = square
    across = np.floor(((np.arange(columns) - x) / side + 0.5) * size).astype(np.int64)
    down = np.floor(((np.arange(rows) - y) / side + 0.5) * size).astype(np.int64)[:, np.newaxis]
    inside = (across >= 0) & (across < size) & (down >= 0) & (down < size) & (mask > 0)
    places = np.where(inside, down * size + across, -1).reshape(-1)
    return Places(places, size * size), square
