"""Values over the time of a mission: steps and ramps, and what goes on for a while."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

HOUR_S = 3600.0
TICK_S = 0.1  # everything but frames happens at whole ticks


class Span(NamedTuple):
    """Something that goes on for a while, or for no time at all, s."""

    begin_s: float
    end_s: float
    kind: str


class Part(NamedTuple):
    """A value over time: constant, or a ramp of its logarithm; inf: no limit."""

    begin_s: float
    end_s: float
    first: float
    last: float

    def at(self, time_s: float) -> float:
        if self.first == self.last:
            return self.first
        share = (time_s - self.begin_s) / (self.end_s - self.begin_s)
        return self.first * (self.last / self.first) ** share


def make_parts(
    rng: np.random.Generator,
    scale: float,
    bounds: tuple[float, float],
    lengths_s: tuple[float, float],
    ramps: float,
    unlimited: float = 0.0,
) -> list[Part]:
    """Steps and ramps between levels over an hour, both bounds among them.

    scale: of all times, 1 for an hour. lengths_s: least and most. ramps, unlimited: how likely a
    part is one.
    """
    parts, end_s, level = [], 0.0, math.nan
    sure = dict(zip(rng.permutation(np.arange(1, 8))[:2], bounds))  # by the number of the part
    while end_s < HOUR_S:
        begin_s, end_s = end_s, end_s + rng.uniform(*lengths_s)
        before, level = level, math.exp(rng.uniform(*np.log(bounds)))
        if len(parts) in sure:
            level = sure[len(parts)]
        elif rng.random() < unlimited:
            level = math.inf
        ramp = rng.random() < ramps and math.isfinite(before) and math.isfinite(level)
        parts.append(
            Part(
                whole_tick(scale * begin_s),
                whole_tick(scale * end_s),
                before if ramp else level,
                level,
            )
        )
    return parts


def part_at(parts: list[Part], time_s: float) -> float:
    """The value of parts one after the other."""
    for part in parts:
        if time_s < part.end_s:
            break
    return part.at(time_s)


def changes_of(parts: list[Part], kind: str) -> list[Span]:
    """Steps, of no length, and ramps."""
    return [
        Span(part.begin_s, part.begin_s if part.first == part.last else part.end_s, kind)
        for part in parts
    ]


def whole_tick(time_s: float) -> float:
    """At the next whole tick."""
    return round(time_s / TICK_S) * TICK_S
