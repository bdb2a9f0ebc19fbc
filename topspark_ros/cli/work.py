"""Long work at the command line: its options, and how far it is."""

from __future__ import annotations

import argparse
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)


def add_workers(parser: argparse.ArgumentParser, needs: str = '') -> None:
    """--jobs and --scheduler. needs: what else workers of a cluster must have, for the help."""
    parser.add_argument(
        '--jobs',
        type=int,
        default=1,
        help='processes, -1: one a core; processor times are only right where each has an unloaded '
        'core to itself',
    )
    parser.set_defaults(scheduler=None)
    parser.add_argument(
        '--scheduler',
        metavar='ADDRESS',
        default=argparse.SUPPRESS,  # else the help says that it is None
        help='run on the workers of this Dask scheduler, such as tcp://host:8786, instead of JOBS '
        f'processes{needs}',
    )


def progress_bar(**options: Any) -> Progress:
    """How much is done; options: of Progress."""
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        **options,
    )
