"""The code keeps the rules that pyproject.toml sets; see there for what is excepted, and why."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    'command', [('ruff', 'check'), ('ruff', 'format', '--check'), ('mypy',)], ids=' '.join
)
def test_the_code_is_clean(command):
    tool = command[0]
    if find_spec(tool) is None:
        pytest.skip(f'needs {tool}, which requirements/python.txt names')
    result = subprocess.run(
        [sys.executable, '-m', *command], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
