"""A layer of spiking filters: what is where in a picture, whatever its contrast.

Input neurons integrate their drive without a leak and fire at 1. They start from 1/4 and 3/4 in
turns, as on a chequerboard, so that even one step tells three levels of neighbours (ordered
dithering, Bayer 1973). After T steps one has sent floor(T drive + 1/4 or 3/4) spikes: a run of T
steps is the beginning of any longer one.

A bank of filters lies at every place of the picture. Nothing leaks there either, so the spikes of
an input are added at once, v_k = w_k^T n. At each place the filters compete: those beyond half of
the way from the mean potential to the highest one fire, with the current

    a_k = (v_k - theta) / |n|,    theta = mean v + (max v - mean v) / 2,

n the spikes that the place has seen. Currents are pooled in a grid of cells, and the square root
levels them. Where nothing spiked nothing fires.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .compilation import allocating, kernel, routine
from .vectors import add_excess, sum_and_most

THRESHOLD = 0.5  # of the way from the mean potential of a place to the highest one


class Bank(NamedTuple):
    """Filters that see one kind of input; K of them, F x F pixels.

    The weights of the pixel dy below and dx beside a filter's corner are at row
    (channel, F - 1 - dy, F - 1 - dx): so those that one spike is added to lie side by side.
    """

    weights: np.ndarray  # (channels * F * F, K) float32, of unit norm each
    usual: np.ndarray  # (1,) float32, mean of the pooled currents, which they are divided by
    drives: np.ndarray  # (side, side, channels) float32, of the inputs, spikes a step
    sent: np.ndarray  # (side, side, channels) float32, spikes so far
    squares: np.ndarray  # (side, side) float32, sum of their squares over the channels
    columns: np.ndarray  # (side,) float32, memory
    potential: np.ndarray  # ((side + F - 1)^2 K,) float32, by place, with margins of F - 1
    pooled: np.ndarray  # (G * G, K) float32


@allocating
def bank_of(weights, usual, side, channels, cells):
    """Memory of a bank that sees `side` x `side` inputs of so many channels; `clear` it first."""
    size = filter_size(weights, channels)
    neurons = weights.shape[1]
    return Bank(
        weights,
        usual,
        np.empty((side, side, channels), np.float32),
        np.empty((side, side, channels), np.float32),
        np.empty((side, side), np.float32),
        np.empty(side, np.float32),
        np.empty((side + size - 1) ** 2 * neurons, np.float32),
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
    bank.squares[:] = 0
    bank.potential[:] = 0


@kernel
def add_row(potential, place, weights, first, size, amount):
    """potential[place : place + size] += amount * weights[first : first + size], 1-D arrays."""
    for q in range(size):
        at = np.uint64(q)
        potential[place + at] += amount * weights[first + at]


@kernel
def reached(position, side, size):
    """Places along one axis whose filter sees this position."""
    return min(position, side - size) - max(0, position - size + 1) + 1


@routine
def integrate(bank, timesteps, graded):
    """Present the steps up to `timesteps`; returns events sent and additions of weights.

    graded: whether an input sends all that is due as one event with a size, or as spikes.
    """
    side, _, channels = bank.drives.shape
    neurons = bank.weights.shape[1]
    size = filter_size(bank.weights, channels)
    width = side + size - 1
    span = size * neurons  # weights that lie side by side
    flat = bank.weights.reshape(-1)
    events = operations = 0
    for y in range(side):
        for x in range(side):
            phase = np.float32(0.25) if (x + y) % 2 else np.float32(0.75)
            places = reached(y, side, size) * reached(x, side, size)
            for c in range(channels):
                now = np.float32(np.floor(np.float32(timesteps) * bank.drives[y, x, c] + phase))
                before = bank.sent[y, x, c]
                amount = now - before
                if amount == 0:
                    continue
                bank.sent[y, x, c] = now
                bank.squares[y, x] += now * now - before * before
                sent = 1 if graded else int(amount)
                events += sent
                operations += sent * places * neurons
                for row in range(size):
                    place = ((y + row) * width + x) * neurons
                    first = (c * size + row) * span
                    add_row(bank.potential, np.uint64(place), flat, np.uint64(first), span, amount)
    return events, operations


@routine
def compete(bank):
    """Fill `pooled` with the currents of all places; returns how many filters fired."""
    side, _, channels = bank.drives.shape
    neurons = bank.weights.shape[1]
    size = filter_size(bank.weights, channels)
    width = side + size - 1
    places = side - size + 1
    cells = int(np.sqrt(bank.pooled.shape[0]) + 0.5)
    pooled, potential = bank.pooled.reshape(-1), bank.potential
    pooled[:] = 0
    currents = 0
    for y in range(places):
        for x in range(side):
            bank.columns[x] = 0
            for row in range(size):
                bank.columns[x] += bank.squares[y + row, x]
        for x in range(places):
            squares = np.float32(0)
            for column in range(size):
                squares += bank.columns[x + column]
            if squares <= 0:
                continue
            place = ((y + size - 1) * width + x + size - 1) * neurons
            total, most = sum_and_most(potential, place, neurons)
            mean = total / np.float32(neurons)
            threshold = mean + np.float32(THRESHOLD) * (most - mean)
            cell = (y * cells // places * cells + x * cells // places) * neurons
            unit = np.float32(1) / np.sqrt(squares)
            currents += add_excess(pooled, cell, potential, place, neurons, threshold, unit)
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
