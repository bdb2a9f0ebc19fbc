"""Arguments of the commands: values that argparse does not know, and files that are written."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from topspark_ros.errors import TopsparkError
from topspark_ros.methodology.energy import ENERGY_TABLES

PICTURES = ('.png', '.pdf', '.svg')
Number = TypeVar('Number', int, float)


class UsageError(TopsparkError):
    """An argument, or what it names, was rejected: one line that says what is accepted."""


def add_energy_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--energy-model',
        metavar='NAME_OR_YAML',
        default='loihi',
        help=f'energies per operation: one of {", ".join(ENERGY_TABLES)}, or a file as those in '
        'config/energy',
    )


def comma_separated(option: str, text: str, number: Callable[[str], Number] = int) -> list[Number]:
    """Numbers that are given in one argument; UsageError naming the option for anything else."""
    try:
        return [number(part) for part in text.split(',')]
    except ValueError:
        kind = 'whole numbers' if number is int else 'numbers'
        raise UsageError(f'{option} is {text!r}, accepted are {kind}, comma-separated') from None


def check_output(option: str, path: Path, suffixes: Sequence[str] = ()) -> None:
    """UsageError for a file that cannot be written: to be called before there is any work.

    suffixes: accepted ones, if any do not do.
    """
    if (
        not os.access(path.absolute().parent, os.W_OK | os.X_OK)
        or path.is_dir()
        or suffixes
        and path.suffix not in suffixes
    ):
        kind = f'{", ".join(suffixes)} file' if suffixes else 'file'
        raise UsageError(
            f'{option} is {path}, accepted is a {kind} in a folder that can be written'
        )


@contextmanager
def writing(option: str, path: Path, kind: str) -> Iterator[None]:
    """Around what writes to the path of an option, a file or folder as `kind` says.

    Raises UsageError where it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise UsageError(
            f'{option} is {path}, accepted is a {kind} that can be written: '
            f'{error.strerror or error}'
        ) from None
