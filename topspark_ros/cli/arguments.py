"""Values of arguments that argparse does not know."""
from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Number = TypeVar('Number', int, float)


def comma_separated(option: str, text: str, number: Callable[[str], Number] = int) -> list[Number]:
    """Numbers that are given in one argument; ValueError naming the option for anything else."""
    try:
        return [number(part) for part in text.split(',')]
    except ValueError:
        kind = 'whole numbers' if number is int else 'numbers'
        raise ValueError(f'{option} is {text!r}, accepted are {kind}, comma-separated') from None
