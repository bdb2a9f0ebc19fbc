"""ROS parameters from one declaration: a frozen dataclass whose fields carry everything.

    @dataclass(frozen=True)
    class CameraParameters:
        frame_rate: float = parameter(20.0, 'Frames published a second.', unit='Hz', low=0.1, high=240)
        dataset: str = parameter('digits', 'Images to show.', choices=('digits', 'mnist'), fixed=True)

The default, the description, the accepted range and whether a running node takes
a change (`fixed=False`) stand once; the descriptors that `ros2 param describe`
shows, the checks, and the typed object that the node reads all follow from them.
"""
from __future__ import annotations

import dataclasses
import math
from typing import Any, Callable, Generic, TypeVar

from rcl_interfaces.msg import (FloatingPointRange, IntegerRange, ParameterDescriptor,
                                SetParametersResult)
from rclpy.node import Node
from rclpy.parameter import Parameter

Parameters = TypeVar('Parameters')


def parameter(default: Any, description: str, *, unit: str = '', low: float | None = None,
              high: float | None = None, choices: tuple[str, ...] = (), fixed: bool = False) -> Any:
    """Declare one parameter as a dataclass field.

    `low` and `high` bound a number, or each number of a list, inclusively.
    `fixed` parameters are taken when the node starts and refused afterwards.
    """
    metadata = dict(description=description, unit=unit, low=low, high=high, choices=choices,
                    fixed=fixed)
    return dataclasses.field(default=default, metadata=metadata)


def descriptor(field: dataclasses.Field) -> ParameterDescriptor:
    """What `ros2 param describe` shows of a field."""
    meta = field.metadata
    message = ParameterDescriptor(
        name=field.name, read_only=meta['fixed'],
        description=meta['description'] + (f' [{meta["unit"]}]' if meta['unit'] else ''))
    if meta['choices']:
        message.additional_constraints = 'one of: ' + ', '.join(meta['choices'])
    if meta['low'] is not None:
        if isinstance(field.default, int):
            message.integer_range = [IntegerRange(from_value=int(meta['low']),
                                                  to_value=int(meta['high']), step=0)]
        elif isinstance(field.default, float):
            message.floating_point_range = [FloatingPointRange(
                from_value=float(meta['low']), to_value=float(meta['high']), step=0.0)]
    return message


def check(field: dataclasses.Field, value: Any) -> None:
    """Raise ValueError, naming field, value and what is accepted, when `value` does not fit."""
    meta = field.metadata
    if meta['choices'] and value not in meta['choices']:
        raise ValueError(f'{field.name}: {value!r} is not one of {", ".join(meta["choices"])}')
    if meta['low'] is None:
        return
    for number in value if isinstance(value, (list, tuple)) else (value,):
        if not meta['low'] <= number <= meta['high'] and not (
                isinstance(field.default, tuple) and math.isnan(number)):
            raise ValueError(f'{field.name}: {number!r} is outside '
                             f'{meta["low"]} to {meta["high"]} {meta["unit"]}'.rstrip())


class ParameterServer(Generic[Parameters]):
    """The declared parameters of one node, as one typed and always valid object.

    A change is first checked as a whole (it is refused with a reason and changes
    nothing) and only then applied, by `on_change`.
    """

    def __init__(self, node: Node, declaration: type[Parameters],
                 on_change: Callable[[Parameters], None] | None = None):
        self._fields = {field.name: field for field in dataclasses.fields(declaration)}
        self._declaration = declaration
        self._on_change = on_change
        node.declare_parameters('', [
            (name, list(field.default) if isinstance(field.default, tuple) else field.default,
             descriptor(field)) for name, field in self._fields.items()])
        self.values: Parameters = self._candidate(
            [node.get_parameter(name) for name in self._fields])
        node.add_on_set_parameters_callback(self._validate)
        node.add_post_set_parameters_callback(self._apply)

    def _candidate(self, changes: list[Parameter]) -> Parameters:
        values = {}
        for change in changes:
            field = self._fields.get(change.name)
            if field is None:       # use_sim_time and the like are not ours
                continue
            check(field, change.value)
            values[change.name] = (tuple(change.value) if isinstance(field.default, tuple)
                                   else change.value)
        if hasattr(self, 'values'):
            return dataclasses.replace(self.values, **values)
        return self._declaration(**values)

    def _validate(self, changes: list[Parameter]) -> SetParametersResult:
        try:
            self._candidate(changes)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply(self, changes: list[Parameter]) -> None:
        before, self.values = self.values, self._candidate(changes)
        if self._on_change is not None and self.values != before:
            self._on_change(self.values)
