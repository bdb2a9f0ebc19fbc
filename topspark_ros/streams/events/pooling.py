"""Windows of events on the network's grid: as spikes in time, or as an image of counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from topspark_ros.engine import SpikeTrain
from topspark_ros.engine.kernels.compilation import entry_point, kernel

from .decoders import MAX_SIDE, EventError, pixel_count
from .windows import Window


class Places(NamedTuple):
    """Which input of the network each cell of a grid leads to.

    inputs: (rows * columns,) int64, from 0; -1 for none.
    channel: how many inputs a polarity has.
    """

    inputs: np.ndarray
    channel: int


@dataclass(frozen=True)
class EventGrid:
    """How the pixels of a sensor are pooled into the cells of a grid.

    width, height: of the sensor, pixels.
    roi: left, top, width and height of the part that is looked at, pixels; None: the largest
        square in the middle.
    rows, columns: of the grid.
    by_polarity: False: both polarities count alike. True: two channels, darker and brighter.

    Raises EventError naming the field, its value and what is accepted.
    """

    width: int
    height: int
    roi: tuple[int, int, int, int] | None = None
    rows: int = 28
    columns: int = 28
    by_polarity: bool = False

    def __post_init__(self) -> None:
        pixel_count(self.width, self.height)
        for field in ('rows', 'columns'):
            value = getattr(self, field)
            if not 1 <= value <= MAX_SIDE:
                raise EventError(f'{field} is {value}, accepted is 1 to {MAX_SIDE}')
        left, top, width, height = self.part
        if (
            min(left, top) < 0
            or min(width, height) < 1
            or left + width > self.width
            or top + height > self.height
        ):
            raise EventError(
                f'roi is {self.roi}, accepted is left, top, width and height of a part of '
                f'the sensor of {self.width} x {self.height} pixels'
            )

    @cached_property
    def part(self) -> tuple[int, int, int, int]:
        """What is looked at: the roi, where there is one."""
        if self.roi is not None:
            return self.roi
        side = min(self.width, self.height)
        return (self.width - side) // 2, (self.height - side) // 2, side, side

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an image: (rows, columns), by polarity (2, rows, columns)."""
        cells = self.rows, self.columns
        return (2, *cells) if self.by_polarity else cells

    @cached_property
    def places(self) -> Places:
        """Every cell is an input."""
        count = self.rows * self.columns
        return Places(np.arange(count), count)

    @cached_property
    def cells(self) -> tuple[np.ndarray, np.ndarray]:
        """What a column and a row of the sensor add to the cell's index, -1 outside the roi."""
        left, top, width, height = self.part
        across = np.full(self.width, -1, np.int64)
        across[left : left + width] = np.arange(width) * self.columns // width
        down = np.full(self.height, -1, np.int64)
        down[top : top + height] = np.arange(height) * self.rows // height * self.columns
        return across, down


def count_image(window: Window, grid: EventGrid) -> np.ndarray:
    """The number of events in each cell, of the grid's shape, float32."""
    image = np.zeros(grid.shape, np.float32)
    inputs, channel = grid.places
    count_places(
        window.events.view(np.int64),
        *grid.cells,
        inputs,
        channel * grid.by_polarity,
        image.reshape(-1),
    )
    return image


def lie_in(window: Window, grid: EventGrid, mask: np.ndarray) -> np.ndarray:
    """Which of the events lie in the cells of a mask, (rows * columns,) bool; an array of bool."""
    lying: np.ndarray = np.empty(len(window.events), np.bool_)
    find_lying(window.events.view(np.int64), *grid.cells, np.where(mask, 0, -1), lying)
    return lying


def spike_train(
    window: Window,
    grid: EventGrid,
    timesteps: int,
    places: Places | None = None,
) -> SpikeTrain:
    """The events as the network's input: each input spikes once in each step that has its events.

    timesteps: equal parts of the window's time, one a step.
    places: None: those of the grid. By polarity there are twice as many inputs, first those of
        darker events.

    An event that was sent late takes the step of those it came with.
    """
    if timesteps < 1:
        raise EventError(f'timesteps is {timesteps}, accepted is 1 or more')
    inputs, channel = grid.places if places is None else places
    latest = np.full(2 * channel, -1)
    steps, neurons = np.empty((2, len(window.events)), np.int32)
    # Parts of a window that lasts for years are counted in coarser units: they fit 64 bits then.
    duration = window.end - window.start
    coarse = max(0, (duration * timesteps).bit_length() - 63)
    count = bin_events(
        window.events.view(np.int64),
        *grid.cells,
        inputs,
        channel * grid.by_polarity,
        window.start,
        max(1, duration >> coarse),
        coarse,
        timesteps,
        latest,
        steps,
        neurons,
    )
    return SpikeTrain(steps[:count], neurons[:count])


@kernel
def _place(
    word: int, across: np.ndarray, down: np.ndarray, inputs: np.ndarray, channel: int
) -> int:
    """Where an event leads to, -1 outside the roi and outside the sensor."""
    x, y = word & 0xFFFF, word >> 16 & 0xFFFF
    if x >= across.size or y >= down.size or across[x] < 0 or down[y] < 0:
        return -1
    place = inputs[across[x] + down[y]]
    return place + channel * (word >> 32 & 1) if place >= 0 else -1


@entry_point
def count_places(
    events: np.ndarray,
    across: np.ndarray,
    down: np.ndarray,
    inputs: np.ndarray,
    channel: int,
    image: np.ndarray,
) -> None:
    for i in range(events.size // 2):
        place = _place(events[2 * i], across, down, inputs, channel)
        if place >= 0:
            image[place] += 1


@entry_point
def find_lying(
    events: np.ndarray,
    across: np.ndarray,
    down: np.ndarray,
    inputs: np.ndarray,
    lying: np.ndarray,
) -> None:
    """Fill `lying`: whether an event leads to any input."""
    for i in range(lying.size):
        lying[i] = _place(events[2 * i], across, down, inputs, 0) >= 0


@entry_point
def bin_events(
    events: np.ndarray,
    across: np.ndarray,
    down: np.ndarray,
    inputs: np.ndarray,
    channel: int,
    start: int,
    duration: int,
    coarse: int,
    timesteps: int,
    latest: np.ndarray,
    steps: np.ndarray,
    neurons: np.ndarray,
) -> int:
    """Fill steps and neurons; returns how many spikes.

    duration: of the window, in units of 2^coarse ns. latest: the last step of each input.
    """
    step = count = 0
    for i in range(events.size // 2):
        elapsed = events[2 * i + 1] - start >> coarse
        step = min(max(step, elapsed * timesteps // duration), timesteps - 1)
        place = _place(events[2 * i], across, down, inputs, channel)
        if place >= 0 and latest[place] != step:
            latest[place] = step
            steps[count], neurons[count] = step, place
            count += 1
    return count
