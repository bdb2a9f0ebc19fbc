"""Findings of all families, kept from run to run, as one table."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from . import Finding

_PREFACE = """\
# Faults tried on purpose

`python -m benchmarks.faults` tries them, on real nodes as processes over DDS; `--only NAME`, `--times N`
and `--minutes N` choose. A short form of each is among the tests (`test/nodes/test_faults.py`). The figures
are those of the last run, on two cores of a shared virtual machine, which other work kept busy.

| what was tried | how often | what was lost | allowed | kept |
|---|---|---|---|---|
"""


def keep(folder: Path, family: str, findings: Iterable[Finding]) -> None:
    """Write the findings of one family as JSON."""
    rows = [finding._asdict() for finding in findings]
    (folder / f'{family}.json').write_text(json.dumps(rows, indent=1) + '\n', encoding='utf-8')


def write(folder: Path, families: Iterable[str]) -> None:
    """Write report.md of what is kept in the folder, families in this order."""
    lines = []
    for family in families:
        path = folder / f'{family}.json'
        if path.exists():
            for row in json.loads(path.read_text(encoding='utf-8')):
                finding = Finding(**row)
                lines.append(
                    f'| {finding.tried} | {finding.times} | {finding.lost} | '
                    f'{finding.bound} | {"yes" if finding.met else "**no**"} |\n'
                )
    (folder / 'report.md').write_text(_PREFACE + ''.join(lines), encoding='utf-8')
