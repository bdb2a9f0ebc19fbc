"""The part of a report that has NeuroBench's metrics."""

from __future__ import annotations

from collections.abc import Mapping

from topspark_ros.methodology.neurobench import NeuroBenchMetrics
from topspark_ros.pages import escaped, table

UNKNOWN = '–'


def neurobench_section(metrics: Mapping[str, NeuroBenchMetrics | None], what: str) -> list[str]:
    """A row for each name; nothing if NeuroBench knows none of the networks.

    what: they are of, a sentence.
    """
    shown = {name: each.shown() for name, each in metrics.items() if each is not None}
    if not shown:
        return []
    unknown = dict.fromkeys(next(iter(shown.values())), UNKNOWN)
    return [
        '',
        '## NeuroBench',
        '',
        f'{what} Operations are those of a sample.',
        '',
        *table(
            ['', *unknown],
            [[escaped(name), *shown.get(name, unknown).values()] for name in metrics],
        ),
    ]
