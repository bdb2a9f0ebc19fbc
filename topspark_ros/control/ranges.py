"""Numbers that are accepted, in words and as a test."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

from topspark_ros.errors import TopsparkError


class RangeError(TopsparkError):
    """A value was rejected: one line with its name, the value and what is accepted."""


@dataclass(frozen=True)
class Range:
    """A set of numbers in words and as a test."""

    words: str
    holds: Callable[[float], bool]

    def require(self, name: str, value: object, suffix: str = '') -> None:
        """Raise RangeError, the words followed by `suffix`, unless the value is in the range."""
        if isinstance(value, bool) or not isinstance(value, Real) or not self.holds(float(value)):
            raise RangeError(f'{name} is {value}, accepted is {self.words}{suffix}')

    def require_or_nan(self, name: str, value: object, meaning: str) -> None:
        """The same, NaN being accepted too."""
        if not (isinstance(value, Real) and math.isnan(value)):
            self.require(name, value, f', or NaN for {meaning}')


FROM_ZERO = Range('a finite number from 0', lambda value: 0 <= value < math.inf)
ABOVE_ZERO = Range('a finite number above 0', lambda value: 0 < value < math.inf)
FRACTION = Range('a fraction from 0 to 1', lambda value: 0 <= value <= 1)
FRACTION_BELOW_ONE = Range('a fraction from 0 to below 1', lambda value: 0 <= value < 1)
