"""Labels out of a table: which class a moment shows."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

from topspark_ros.files import FileError, open_text
from topspark_ros.perception.teaching import LabelError, TimedLabel

COLUMNS = ('stamp', 'class_id')
UNTIL = 'until'  # a column that may be there
MAX_BYTES = 2**28  # days of labels
_ACCEPTED_STAMP = 'seconds with a decimal point, or whole nanoseconds, above 0'


def read_labels(path: Path) -> list[TimedLabel]:
    """The labels of a CSV file with the columns `stamp` and `class_id`, by stamp.

    A stamp is in seconds with a decimal point (1735689600.05), or whole nanoseconds. A column
    `until`, of the same kind, makes a label one of the span from its stamp on; where it is empty or
    0 the label is of one moment, as in the message. Other columns are passed over.

    Raises LabelError naming the file, and the line if it is one line's fault.
    """
    try:
        with open_text(path, MAX_BYTES, f'a CSV file with {",".join(COLUMNS)}') as file:
            table = csv.DictReader(file, strict=True)
            if not set(COLUMNS) <= set(table.fieldnames or ()):
                raise LabelError(
                    f'{path}: line 1: columns are '
                    f'{",".join(table.fieldnames or ()) or "none"}, accepted is a '
                    f'header with {",".join(COLUMNS)}'
                )
            labels = [_label(path, table.line_num, row) for row in table]
    except FileError as error:
        raise LabelError(str(error)) from None
    except (csv.Error, UnicodeError) as error:
        raise LabelError(
            f'{path}: {error}, accepted is a CSV file with {",".join(COLUMNS)}'
        ) from None
    if not labels:
        raise LabelError(f'{path}: 0 labels, accepted is 1 or more')
    return sorted(labels, key=lambda label: label.stamp_ns)


def _label(path: Path, line: int, row: dict[str, str | None]) -> TimedLabel:
    stamp, class_id, until = ((row.get(column) or '').strip() for column in (*COLUMNS, UNTIL))
    stamp_ns = _time_ns(stamp)
    if not stamp_ns:
        raise LabelError(f'{path}: line {line}: stamp is {stamp!r}, accepted is {_ACCEPTED_STAMP}')
    if not class_id:
        raise LabelError(
            f'{path}: line {line}: class_id is empty, accepted is any name that is not'
        )
    until_ns = _time_ns(until)
    if until not in ('', '0') and not stamp_ns <= until_ns:
        raise LabelError(
            f'{path}: line {line}: until is {until!r}, accepted is a time from stamp '
            f'on, {_ACCEPTED_STAMP}, or nothing'
        )
    return TimedLabel(stamp_ns, class_id, until_ns)


def _time_ns(text: str) -> int:
    """0: it is no time."""
    try:
        time_ns = Decimal(text).scaleb(9) if '.' in text else int(text)
    except (ValueError, ArithmeticError):
        return 0
    # Before it is made an integer: one of 10 ** 999999999 would take hours.
    return int(time_ns) if 0 < time_ns < 2**63 else 0
