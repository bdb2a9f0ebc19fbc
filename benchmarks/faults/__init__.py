"""Faults tried on purpose: what was tried, how often, and what was lost.

A module is a family of faults. Its `run(extent, folder, show)` tries them and returns findings, the
rows of the table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Show = Callable[[str], None]  # takes a line that says how far it is


class Extent(NamedTuple):
    """How much to try; None: the family's own.

    times: of what is tried a number of times.
    minutes: of what is tried for a time.
    patience: times as long as allowed, for a machine that does other things meanwhile.
    """

    times: int | None = None
    minutes: float | None = None
    patience: float = 1.0


class Finding(NamedTuple):
    """A row of the table.

    tried: what.
    times: how often, or for how long, with its unit.
    lost: what was lost, or came of it, with figures.
    bound: what is allowed.
    met: whether `lost` keeps to it.
    """

    tried: str
    times: str
    lost: str
    bound: str
    met: bool
