"""Parameters from one declaration: a frozen dataclass whose fields carry everything.

    @dataclass(frozen=True)
    class CameraParameters:
        frame_rate: float = parameter(20.0, 'Frames a second.', unit='Hz', low=0.1, high=240)
        dataset: str = parameter('digits', 'Images.', choices=('digits', 'mnist'), fixed=True)

The default, the description, the accepted range and whether a node takes a change while it is
configured (`fixed=False`) stand once. A node declares them to ROS; an evaluation reads the same
file of ROS parameters.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from topspark_ros.perception.parameter_files import ParameterError, ParameterFile

# A node's, whatever it computes.
OF_ROS = ('autostart', 'bond_heartbeat_period', 'use_sim_time', 'qos_overrides')

VARIABLE = re.compile(r'\$(\w+|\{[^}]*\})')  # as os.path.expandvars leaves it
UNKNOWN_USER = re.compile('~[^/]*')


def parameter(
    default: Any,
    description: str,
    *,
    unit: str = '',
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    fixed: bool = False,
    at_start: bool = False,
    path: bool = False,
    formerly: str = '',
) -> Any:
    """Declare one parameter as a dataclass field.

    `low` and `high` bound a number, or each number of a list, inclusively.
    `fixed` parameters are taken when the node is configured: a change is rejected until it is
    unconfigured again. `at_start` ones are taken once.
    `path`: of a file or a folder, which may begin with ~ and name environment variables.
    `formerly`: its name in the version before, which is still taken, with a warning.
    """
    metadata = dict(
        description=description,
        unit=unit,
        low=low,
        high=high,
        choices=choices,
        fixed=fixed,
        at_start=at_start,
        path=path,
        formerly=formerly,
    )
    return dataclasses.field(default=default, metadata=metadata)


def accept(field: dataclasses.Field, value: Any) -> Any:
    """The value as the frozen dataclass holds it: lists as tuples, paths expanded.

    Raises ParameterError, naming field, value and what is accepted, when it does not fit.
    """
    _check(field, value)
    if field.metadata['path']:
        try:
            return expanded(value)
        except ParameterError as error:
            raise ParameterError(f'{field.name}: {error}') from None
    return tuple(value) if isinstance(field.default, tuple) else value


def expanded(path: str) -> str:
    """A path with its ~ and environment variables replaced.

    Raises ParameterError for a variable that is not set and a user that does not exist.
    """
    result = os.path.expanduser(os.path.expandvars(path))
    unknown = UNKNOWN_USER.match(result) or VARIABLE.search(result)
    if unknown:
        raise ParameterError(
            f'{path!r}: {unknown.group()} is not known here; accepted: a path, ~ '
            'for a home, and environment variables that are set'
        )
    return result


def _check(field: dataclasses.Field, value: Any) -> None:
    meta = field.metadata
    if meta['choices'] and value not in meta['choices']:
        raise ParameterError(f'{field.name}: {value!r} is not one of {", ".join(meta["choices"])}')
    if meta['low'] is None:
        return
    for number in value if isinstance(value, (list, tuple)) else (value,):
        if not meta['low'] <= number <= meta['high'] and not (
            isinstance(field.default, tuple) and math.isnan(number)
        ):
            raise ParameterError(
                f'{field.name}: {number!r} is outside '
                f'{meta["low"]} to {meta["high"]} {meta["unit"]}'.rstrip()
            )


def checked(declaration: type, values: dict[str, Any]) -> dict[str, Any]:
    """Values by name as the fields of a declaration take them.

    Raises ParameterError for a name that is not declared, another type, or a value out of range.
    """
    fields = {field.name: field for field in dataclasses.fields(declaration)}
    result = {}
    for name, value in values.items():
        if name not in fields:
            raise ParameterError(f'{name}: no such parameter, accepted: {", ".join(fields)}')
        result[name] = accept(fields[name], _typed(fields[name], value))
    return result


def former_names(declaration: type) -> dict[str, str]:
    """The names of today by those of the version before."""
    return {
        field.metadata['formerly']: field.name
        for field in dataclasses.fields(declaration)
        if field.metadata['formerly']
    }


def renamed(former: str, name: str) -> str:
    """The warning that a former name was used."""
    return f'{former} is now {name}; the next version will not know the former name'


class Given(NamedTuple):
    """What a file sets for a node: values by name, and what of it needs a warning."""

    values: dict[str, Any]
    warnings: tuple[str, ...]


def read_parameters(
    path: Path, node: str, declaration: type, namespace: str | None = None
) -> Given:
    """What a file of ROS parameters sets for one node, checked.

    namespace: of the node, such as /robot1; None: the one that the file has entries for.

    As a node does, it passes over names that are not declared, which are other nodes' in an entry
    for several; in an entry for this node alone they are worth a warning.

    Raises ParameterError naming the file for one that cannot be read, entries in
    several namespaces where none is given, and what `checked` rejects.
    """
    file = ParameterFile(path)
    if namespace is None:
        found = file.namespaces(node) or ['/']
        if len(found) > 1:
            raise ParameterError(
                f'{path}: {node} has entries in the namespaces '
                f'{", ".join(found)}, accepted is one of them by --namespace'
            )
        (namespace,) = found
    # Any name will do for a *.
    name = '/'.join(('', *filter(None, namespace.split('/')), node)).replace('*', '_')
    known = {field.name for field in dataclasses.fields(declaration)}
    former = former_names(declaration)
    given, warnings = {}, []
    for key, value in file.of(name).items():
        if key in former:
            warnings.append(renamed(key, former[key]))
        given[former.get(key, key)] = value
    own = {
        name: None
        for pattern, parameters in file.entries.items()
        if pattern.endswith(f'/{node}')
        for name in parameters
    }
    try:
        values = checked(
            declaration, {name: value for name, value in given.items() if name in known}
        )
    except ParameterError as error:
        raise ParameterError(f'{path}: {error}') from None
    warnings += [
        f'{name} is no parameter of {node} and passed over'
        for name in given
        if name in own and name not in known and name.partition('.')[0] not in OF_ROS
    ]
    return Given(values, tuple(warnings))


def _typed(field: dataclasses.Field, value: Any) -> Any:
    kind = type(field.default)
    accepted = kind.__name__
    if isinstance(field.default, tuple):
        item_kind = type(field.default[0])
        if type(value) is list and {type(item) for item in value} <= {item_kind}:
            return tuple(value)
        accepted = f'a list of {item_kind.__name__}'
    if type(value) is not kind:
        raise ParameterError(
            f'{field.name}: {value!r} is {type(value).__name__}, accepted is {accepted}'
        )
    return value
