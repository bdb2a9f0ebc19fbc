"""A layer of spiking filters: what is where in a picture, whatever its contrast.

Input neurons integrate their drive without a leak and fire at 1. They start from 1/4 and 3/4 in
turns, as on a chequerboard, so that even one step tells three levels of neighbours (ordered
dithering, Bayer 1973). After T steps one has sent floor(T drive + 1/4 or 3/4) spikes: a run of T
steps is the beginning of any longer one.

A bank of filters lies at every place of the picture. Nothing leaks there either, so a potential is
v_k = w_k^T n: each place adds up the weights of those of its inputs that have sent spikes, when it
is looked at. There the filters compete: those beyond half of the way from the mean potential to the
highest one fire, with the current

    a_k = (v_k - theta) / |n|,    theta = mean v + (max v - mean v) / 2,

n the spikes that the place has seen. Currents are pooled in a grid of cells, and the square root
levels them. Where nothing spiked nothing fires.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .compilation import allocating, kernel, routine
from .vectors import add_excess, sum_and_most, weigh_rows

THRESHOLD = 0.5  # of the way from the mean potential of a place to the highest one


class Bank(NamedTuple):
    """Filters that see one kind of input; K of them, F x F pixels.

    The weights of the pixel dy below and dx beside a filter's corner are at row (channel, dy, dx).
    """

    weights: np.ndarray  # (channels * F * F, K) float32
    usual: np.ndarray  # (1,) float32, mean of the pooled currents, which they are divided by
    drives: np.ndarray  # (side, side, channels) float32, of the inputs, spikes a step
    sent: np.ndarray  # (side, side, channels) float32, spikes so far
    # Inputs that a row of places sees and that have sent spikes, column by column.
    amounts: np.ndarray  # (side * F * channels,) float32, how many
    rows: np.ndarray  # of the same size, int32, of their weights for a place in column 0
    begins: np.ndarray  # (side + 1,) int64, where each column's begin
    squares: np.ndarray  # (side,) float32, sum of the squares of its amounts
    potential: np.ndarray  # (K,) float32, of one place
    cells: np.ndarray  # (places along an axis,) int64, that these are pooled in
    pooled: np.ndarray  # (G * G, K) float32


@allocating
def bank_of(weights, usual, side, channels, cells):
    """Memory of a bank that sees `side` x `side` inputs of so many channels; `clear` it first."""
    size = filter_size(weights, channels)
    inputs = side * size * channels
    neurons = weights.shape[1]
    places = side - size + 1
    return Bank(
        weights,
        usual,
        np.empty((side, side, channels), np.float32),
        np.empty((side, side, channels), np.float32),
        np.empty(inputs, np.float32),
        np.empty(inputs, np.int32),
        np.empty(side + 1, np.int64),
        np.empty(side, np.float32),
        np.empty(neurons, np.float32),
        np.arange(places) * cells // places,
        np.empty((cells * cells, neurons), np.float32),
    )


@kernel
def filter_size(weights, channels):
    """F, pixels a side."""
    return int(np.sqrt(weights.shape[0] // channels) + 0.5)


@kernel
def clear(bank):
    """Back to rest, before a presentation."""
    bank.sent[:] = 0


@kernel
def reached(position, side, size):
    """Places along one axis whose filter sees this position."""
    return min(position, side - size) - max(0, position - size + 1) + 1


@routine
def send(bank, timesteps, graded):
    """Present the steps up to `timesteps`; returns events sent and additions of weights.

    graded: whether an input sends all that is due as one event with a size, or as spikes.
    """
    side, _, channels = bank.drives.shape
    size = filter_size(bank.weights, channels)
    events = reaching = 0
    for y in range(side):
        rows = reached(y, side, size)
        for x in range(side):
            phase = np.float32(0.25) if (x + y) % 2 else np.float32(0.75)
            due = 0
            for c in range(channels):
                now = np.floor(np.float32(timesteps) * bank.drives[y, x, c] + phase)
                amount = int(now - bank.sent[y, x, c])
                due += min(amount, 1) if graded else amount
                bank.sent[y, x, c] = now
            events += due
            reaching += due * rows * reached(x, side, size)
    return events, reaching * bank.weights.shape[1]


@kernel
def list_spikes(bank, y):
    """List the inputs that have sent spikes and that the row y of places sees."""
    side, _, channels = bank.drives.shape
    size = filter_size(bank.weights, channels)
    sent, amounts, rows = bank.sent.reshape(-1), bank.amounts, bank.rows
    across = np.uint64(side * channels)
    listed = np.uint64(0)
    for x in range(side):
        bank.begins[x] = listed
        squares = np.float32(0)
        for c in range(channels):
            place = np.uint64((y * side + x) * channels + c)
            row = np.int32(c * size * size + x)
            for _ in range(size):
                amount = sent[place]
                squares += amount * amount
                # Written in any case, which takes less time than to decide.
                amounts[listed] = amount
                rows[listed] = row
                listed += np.uint64(amount > 0)
                place += across
                row += np.int32(size)
        bank.squares[x] = squares
    bank.begins[side] = listed


@routine
def compete(bank):
    """Fill `pooled` with the currents of all places; returns how many filters fired."""
    neurons = bank.weights.shape[1]
    size = filter_size(bank.weights, bank.drives.shape[2])
    cells = int(np.sqrt(bank.pooled.shape[0]) + 0.5)
    pooled, potential = bank.pooled.reshape(-1), bank.potential
    pooled[:] = 0
    currents = 0
    for y in range(bank.cells.size):
        list_spikes(bank, y)
        for x in range(bank.cells.size):
            begin, end = bank.begins[x], bank.begins[x + size]
            if begin == end:
                continue
            squares = np.float32(0)
            for column in range(size):
                squares += bank.squares[x + column]
            weigh_rows(bank.weights, bank.rows, bank.amounts, begin, end, -x, potential)
            total, most = sum_and_most(potential, 0, neurons)
            mean = total / np.float32(neurons)
            threshold = mean + np.float32(THRESHOLD) * (most - mean)
            cell = (bank.cells[y] * cells + bank.cells[x]) * neurons
            unit = np.float32(1) / np.sqrt(squares)
            currents += add_excess(pooled, cell, potential, 0, neurons, threshold, unit)
    return currents


@kernel
def read_pooled(bank, features, first):
    """features[first:] = the square roots of the pooled currents over what is usual; returns where
    the next bank's begin."""
    pooled = bank.pooled.reshape(-1)
    unit = np.float32(1) / bank.usual[0]
    for d in range(pooled.size):
        features[first + d] = np.sqrt(unit * pooled[d])
    return first + pooled.size


@kernel
def potentials(bank):
    """How many potentials a bank keeps up to date: of every filter at every place."""
    side, _, channels = bank.drives.shape
    return (side - filter_size(bank.weights, channels) + 1) ** 2 * bank.weights.shape[1]
