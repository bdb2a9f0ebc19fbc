"""Who waits for kernels is told why, and nobody else is told anything."""

from __future__ import annotations

import numba
import pytest

from topspark_ros.engine import report_compilation


@numba.njit
def inner(x):
    return x + 1


@numba.njit
def outer(x):
    return inner(x) * 2


def test_a_line_comes_before_compiling_and_more_while_it_lasts():
    lines = []
    with report_compilation(lines.append, period_s=0.001):
        assert not lines
        assert outer(1) == 4
    assert lines[0].startswith('compiling kernels, once')
    assert lines[1:] and all('outer, 0 done' in line for line in lines[1:])
    lines.clear()
    with report_compilation(lines.append, period_s=0.001):
        assert outer(2) == 6
    assert not lines


def test_a_kernel_that_fails_ends_the_lines():
    lines = []
    with pytest.raises(numba.TypingError):
        with report_compilation(lines.append, period_s=0.001):
            outer('text')
    told = len(lines)
    assert outer(1.0) == 4.0 and len(lines) == told
