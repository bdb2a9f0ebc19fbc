"""A node's parameters as ROS sees them: what `perception.parameters` declares, with descriptors.

The descriptors that `ros2 param describe` shows, the checks, and the typed object that the node
reads all follow from the declaration.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from topspark_ros.perception.parameters import (  # noqa: F401  (the last one for the nodes)
    ParameterError,
    accept,
    former_names,
    parameter,
    renamed,
)

UNCONFIGURED = 'unconfigured'
TAKEN_AT_CONFIGURE = 'a change while the node is unconfigured'
MISSPELT = 0.9  # similarity, 0..1, above which a name is taken for a declared one


class _Dataclass(Protocol):
    """What the functions of `dataclasses` take."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


Parameters = TypeVar('Parameters', bound=_Dataclass)


def descriptor(field: dataclasses.Field) -> ParameterDescriptor:
    """What `ros2 param describe` shows of a field."""
    meta = field.metadata
    message = ParameterDescriptor(
        name=field.name,
        read_only=meta['at_start'],
        description=meta['description'] + (f' [{meta["unit"]}]' if meta['unit'] else ''),
        additional_constraints='; '.join(
            [f'one of: {", ".join(meta["choices"])}'] * bool(meta['choices'])
            + [TAKEN_AT_CONFIGURE] * meta['fixed']
        ),
    )
    if meta['low'] is not None:
        if isinstance(field.default, int):
            message.integer_range = [
                IntegerRange(from_value=int(meta['low']), to_value=int(meta['high']), step=0)
            ]
        elif isinstance(field.default, float):
            message.floating_point_range = [
                FloatingPointRange(
                    from_value=float(meta['low']), to_value=float(meta['high']), step=0.0
                )
            ]
    return message


class ParameterServer(Generic[Parameters]):
    """The declared parameters of one node, as one typed and always valid object.

    A change is first checked as a whole (it is rejected with a reason and changes
    nothing) and only then applied, by `on_change`. `state` is that of the node's lifecycle: what
    is taken by `configure` can be changed in `unconfigured` only.
    """

    def __init__(
        self,
        node: Node,
        declaration: type[Parameters],
        state: Callable[[], str],
        on_change: Callable[[Parameters], None],
    ):
        self._fields = {field.name: field for field in dataclasses.fields(declaration)}
        self._declaration = declaration
        self._state, self._on_change = state, on_change
        node.declare_parameters(
            '',
            [
                (
                    name,
                    list(field.default) if isinstance(field.default, tuple) else field.default,
                    descriptor(field),
                )
                for name, field in self._fields.items()
            ],
        )
        self.values: Parameters = self._candidate(
            [node.get_parameter(name) for name in self._fields]
        )
        self._take_former_names(node)
        self._warn_of_misspelt_names(node)
        node.add_on_set_parameters_callback(self._validate)
        node.add_post_set_parameters_callback(self._apply)

    def _take_former_names(self, node: Node) -> None:
        """What a launch file still sets by the names of the version before."""
        for former, name in former_names(self._declaration).items():
            given = node.declare_parameter(former, None, ParameterDescriptor(dynamic_typing=True))
            node.undeclare_parameter(former)
            if given.type_ != Parameter.Type.NOT_SET:
                node.get_logger().warning(renamed(former, name))
                change = Parameter(name, given.type_, given.value)
                result = node.set_parameters_atomically([change])
                if not result.successful:
                    raise ParameterError(f'{former}: {result.reason}')
                self.values = self._candidate([node.get_parameter(name)])

    def _warn_of_misspelt_names(self, node: Node) -> None:
        """rclpy passes over what it does not know; names unlike any may be other nodes'."""
        known = {*self._fields, *former_names(self._declaration)}
        for name in node._parameter_overrides:  # nothing public tells what was set
            if name not in known:
                for close in get_close_matches(name, self._fields, n=1, cutoff=MISSPELT):
                    node.get_logger().warning(f'{name} is no parameter; is {close} meant?')

    def _candidate(self, changes: list[Parameter]) -> Parameters:
        values = {}
        for change in changes:
            field = self._fields.get(change.name)
            if field is None:  # use_sim_time and the like are not ours
                continue
            values[change.name] = accept(field, change.value)
        if hasattr(self, 'values'):
            return dataclasses.replace(self.values, **values)
        return self._declaration(**values)

    def _validate(self, changes: list[Parameter]) -> SetParametersResult:
        try:
            candidate = self._candidate(changes)
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        state = self._state()
        late = [
            name
            for name, field in self._fields.items()
            if field.metadata['fixed']
            and not _same(getattr(candidate, name), getattr(self.values, name))
        ]
        if late and state != UNCONFIGURED:
            return SetParametersResult(
                successful=False,
                reason=(
                    f'{", ".join(late)}: cannot be changed while {state}; accepted: '
                    f'{TAKEN_AT_CONFIGURE}'
                ),
            )
        return SetParametersResult(successful=True)

    def _apply(self, changes: list[Parameter]) -> None:
        before, self.values = self.values, self._candidate(changes)
        if self.values != before:
            self._on_change(self.values)


def _same(value: object, other: object) -> bool:
    """Whether two values are equal, NaN among them."""
    return repr(value) == repr(other)
