"""Files of ROS parameters, read as the nodes read them (rcl_yaml_param_parser, rclpy 7).

    robot1:
      snn_learner:                # or in one key: /robot1/snn_learner
        ros__parameters:
          neurons: 400

Names above `ros__parameters` are joined by `/`, those below it by `.`. In a node's name `*` stands
for one name, `**` for any number of them, none too. Every entry that fits a node counts; of several
values of a parameter the one of the last entry does, whatever its name: an entry stands where its
name stood first. Documents of a file are read as one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from topspark_ros.errors import TopsparkError
from topspark_ros.files import FileError, read_yaml_events

PARAMETERS_KEY = 'ros__parameters'
ACCEPTED = 'a file of ROS parameters, such as /**/{node}: {{ros__parameters: {{name: value}}}}'
Value = bool | int | float | str | list

_QUOTED = ("'", '"')
_TEXT_TAG = 'tag:yaml.org,2002:str'
_BOOLS = {
    text: value
    for value, texts in (
        (True, ('Y', 'y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON')),
        (False, ('N', 'n', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF')),
    )
    for text in texts
}
# As C reads them: strtol of any base, and strtod.
_INTEGER = re.compile(r'\s*([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)')
_DECIMAL = re.compile(r'\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?', re.ASCII)
_HEXADECIMAL = re.compile(
    r'\s*[+-]?0[xX]([0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)'
    r'([pP][+-]?[0-9]+)?',
    re.ASCII,
)
_NAMED = re.compile(r'\s*[+-]?(nan(\(\w*\))?|inf|infinity)', re.ASCII | re.IGNORECASE)
_DOTTED = (
    '.nan',
    '.NaN',
    '.NAN',
    '.inf',
    '.Inf',
    '.INF',
    '+.inf',
    '+.Inf',
    '+.INF',
    '-.inf',
    '-.Inf',
    '-.INF',
)
_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_]*|\*\*?', re.ASCII)
# Of values of different types that one parameter was given, the first of these counts.
_KINDS = tuple((each, listed) for listed in (False, True) for each in (bool, int, float, str))


class ParameterError(TopsparkError):
    """A parameter, or a file of them, was rejected: one line with its name, the value and what is
    accepted."""


@dataclass
class _Entry:
    """What is given to one parameter; by kind, as of _KINDS."""

    name: str
    values: dict[tuple[type, bool], Value] = field(default_factory=dict)

    def value(self) -> Value | None:
        """None: an empty list, which has no type."""
        return next((self.values[kind] for kind in _KINDS if kind in self.values), None)


class _Entries:
    """Of one node. The name of a mapping takes an entry too, which its first key renames."""

    def __init__(self) -> None:
        self.all: list[_Entry] = []
        self._by_name: dict[str, _Entry] = {}

    def take(self, name: str) -> _Entry:
        """The one of this name, or a new one."""
        if name not in self._by_name:
            self.all.append(_Entry(name))
            self._by_name[name] = self.all[-1]
        return self._by_name[name]

    def rename(self, entry: _Entry, name: str) -> None:
        del self._by_name[entry.name]
        entry.name = name
        self._by_name.setdefault(name, entry)


class ParameterFile:
    """What a file of parameters holds.

    entries: parameters by name, by the name of the nodes that they are for: /**/snn_learner.

    Raises ParameterError for what a node would reject to read, and for nothing in it.
    """

    def __init__(self, path: Path):
        self.path = path
        nodes: dict[str, _Entries] = {}
        try:
            events = iter(read_yaml_events(path, ACCEPTED.format(node='snn_learner')))
        except FileError as error:
            raise ParameterError(str(error)) from None
        for event in events:
            if isinstance(event, yaml.MappingStartEvent):
                self._read_names(events, [], 0, nodes)
            elif (
                isinstance(event, yaml.ScalarEvent)
                and event.value
                or isinstance(event, yaml.SequenceStartEvent)
            ):
                raise self._wrong(event, 'no name of a node')
        if not nodes:
            raise ParameterError(
                f'{path}: no ROS parameters, accepted is ' + ACCEPTED.format(node='snn_learner')
            )
        self.entries: dict[str, dict[str, Value]] = {}
        for name, entries in nodes.items():
            parameters = self.entries.setdefault(f'/{name.removeprefix("/")}', {})
            parameters.update(
                (entry.name, value) for entry in entries.all if (value := entry.value()) is not None
            )

    def of(self, node: str) -> dict[str, Value]:
        """The parameters of a node by name. node: with its namespace, /robot1/snn_learner."""
        return {
            name: value
            for pattern, parameters in self.entries.items()
            if _fits(pattern, node)
            for name, value in parameters.items()
        }

    def namespaces(self, node: str) -> list[str]:
        """Those that entries for a node of this name are about, or if there are none, entries for
        any node; a * in one is any name. What is for any namespace counts for none."""
        for names in ((node,), ('*', '**')):
            found: dict[str, None] = {}
            for pattern in self.entries:
                *parts, name = pattern.split('/')[1:]
                named = [part for part in parts if part != '**']
                if name in names and (named or name != '**' and '**' not in parts):
                    found[f'/{"/".join(named)}'] = None
            if found:
                break
        fixed = [namespace for namespace in found if '*' not in namespace]
        return fixed or list(found)

    # ---------------------------------------------------------------------------------------

    def _wrong(self, event: yaml.Event, what: str) -> ParameterError:
        return ParameterError(
            f'{self.path}: line {event.start_mark.line + 1}: {what}, accepted '
            'is ' + ACCEPTED.format(node='snn_learner')
        )

    def _pairs(self, events: Iterator[yaml.Event]) -> Iterator[tuple[yaml.Event, yaml.Event]]:
        """Keys and the first event of their values, to the end of a mapping."""
        for key in events:
            if isinstance(key, yaml.MappingEndEvent):
                return
            if not isinstance(key, yaml.ScalarEvent) or not key.value:
                raise self._wrong(key, 'a key that is no name')
            yield key, next(events)

    def _read_names(
        self, events: Iterator[yaml.Event], names: list[str], depth: int, nodes: dict[str, _Entries]
    ) -> None:
        """A mapping above ros__parameters, which ends the one that it is in."""
        ended = False
        for key, value in self._pairs(events):
            if ended or not isinstance(value, yaml.MappingStartEvent):
                raise self._wrong(value, f'{key.value} has no {PARAMETERS_KEY} of its own')
            if key.value.startswith(PARAMETERS_KEY):
                name, ended = '/'.join(names), True
                if not names or not all(
                    _NAME.fullmatch(part) for part in name.removeprefix('/').split('/')
                ):
                    raise self._wrong(key, f'{name!r} is no name of a node')
                self._read_parameters(events, '', nodes.setdefault(name, _Entries()))
                continue
            names += key.value.split('/')
            self._read_names(events, names, depth + 1, nodes)
            # As rcl does: of a key of several names below another key the first ones stay.
            names.pop()
            if depth == 0:
                names.clear()

    def _read_parameters(
        self, events: Iterator[yaml.Event], prefix: str, entries: _Entries
    ) -> None:
        """A mapping below ros__parameters."""
        empty = True
        for key, value in self._pairs(events):
            empty = False
            entry = entries.take(prefix or key.value)
            if prefix:
                entries.rename(entry, f'{prefix}.{key.value}')
            if isinstance(value, yaml.MappingStartEvent):
                self._read_parameters(events, entry.name, entries)
            elif isinstance(value, yaml.SequenceStartEvent):
                items = self._sequence(events)
                kinds = {type(item) for item in items}
                if len(kinds) > 1:
                    raise self._wrong(value, f'{entry.name} is a list of several types')
                for kind in kinds:
                    entry.values[kind, True] = items
            else:
                scalar = self._scalar(value)
                entry.values[type(scalar), False] = scalar
        if empty and prefix:
            raise ParameterError(f'{self.path}: {prefix} is an empty mapping, accepted is a value')

    def _sequence(self, events: Iterator[yaml.Event]) -> list[Value]:
        items = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._scalar(event))
        return items

    def _scalar(self, event: yaml.Event) -> Value:
        if not isinstance(event, yaml.ScalarEvent):
            raise self._wrong(event, 'a list or mapping within a list')
        if not event.value and event.style not in _QUOTED:
            raise self._wrong(event, 'no value')
        if event.style in _QUOTED or event.tag == _TEXT_TAG:
            return event.value
        return scalar(event.value)


def scalar(text: str) -> bool | int | float | str:
    """What plain text is to a node; other than YAML says, `08` is 8.0, and `010` is 8."""
    if text in _BOOLS:
        return _BOOLS[text]
    integer = _INTEGER.fullmatch(text)
    if integer:
        sign, digits = integer.groups()
        base = 16 if digits[:2] in ('0x', '0X') else 8 if digits.startswith('0') else 10
        try:
            value = int(sign + digits, base)
        except ValueError:  # 08
            value = 1 << 63
        if -1 << 63 <= value < 1 << 63:
            return value
    if text in _DOTTED:
        text_of_number = text.replace('.', '')
    elif _NAMED.fullmatch(text):
        text_of_number = text.partition('(')[0]
    elif _DECIMAL.fullmatch(text):
        text_of_number = text
    elif _HEXADECIMAL.fullmatch(text):
        return float.fromhex(text)
    else:
        return text
    number = float(text_of_number)
    # strtod finds no number where it is too large, or too small.
    ordinary = (
        text is not text_of_number
        or _NAMED.fullmatch(text)
        or (sys.float_info.min <= abs(number) < float('inf'))
        or not re.search('[1-9]', re.split('[eE]', text)[0])
    )
    return number if ordinary else text


def _fits(pattern: str, node: str) -> bool:
    return (
        re.fullmatch(
            ''.join(
                {'*': r'/\w+', '**': r'(/\w+)*'}.get(part, f'/{part}')
                for part in pattern.split('/')[1:]
            ),
            node,
        )
        is not None
    )
