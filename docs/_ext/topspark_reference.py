"""Sphinx extension: reference pages made of the code when the site is built. Needs no ROS.

Each directive takes one name:

    ```{parameters} snn_learner         the parameters of a node, from its dataclass
    ```{message} Label                  fields and constants, from msg/Label.msg
    ```{service} Teach                  what is asked and answered, from srv/Teach.srv
    ```{verb} evaluate                  a verb of the command, from its argparse parser
    ```{launch-arguments} topspark      arguments of launch/topspark.launch.py
"""

from __future__ import annotations
import __future__

import argparse
import ast
import dataclasses
import re
import runpy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import MagicMock, patch

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from topspark_ros import engine
from topspark_ros.cli.main import verb_module
from topspark_ros.perception.controller_parameters import TimestepControllerParameters
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.perception.parameters import parameter
from topspark_ros.streams import events

ROOT = Path(__file__).parents[2]
NODES = 'topspark_ros.nodes'
OPTION = re.compile(r'(?<![\w`-])--[a-z][a-z-]*')
WITHOUT_ROS = {
    'snn_learner': SnnLearnerParameters,
    'timestep_controller': TimestepControllerParameters,
}


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [heads, ['---'] * len(heads), *rows]
    return '\n'.join(
        f'| {" | ".join(cell.replace("|", "&#124;") for cell in line)} |' for line in lines
    )


def code(value: object) -> str:
    """A value in Markdown, as it is typed."""
    return '' if value in ('', None) else f'`{value}`'


def node_parameters(node: str) -> tuple[dataclasses.Field, ...]:
    """What a node declares, but for what all nodes have."""
    return dataclasses.fields(WITHOUT_ROS.get(node) or _declaration(node))


def _declaration(node: str) -> type:
    """The dataclass of a node whose module needs ROS: of all its code, this class alone is run."""
    name = f'{node.title().replace("_", "")}Parameters'
    path = ROOT / 'topspark_ros' / 'nodes' / f'{node}.py'
    body = ast.parse(path.read_text()).body
    (declared,) = (each for each in body if isinstance(each, ast.ClassDef) and each.name == name)
    used = {each.id for each in ast.walk(declared) if isinstance(each, ast.Name)}
    needed = [each for each in body if isinstance(each, ast.Import) or _gives(each) & used]
    namespace = {'__name__': __name__, 'ManagedParameters': object, 'parameter': parameter}
    module = ast.Module([*needed, declared], type_ignores=[])
    exec(compile(module, str(path), 'exec', __future__.annotations.compiler_flag), namespace)
    return namespace[name]


def _gives(statement: ast.stmt) -> set[str]:
    """The names that a module's assignment defines, or its import but from the other nodes."""
    if isinstance(statement, ast.Assign):
        return {target.id for target in statement.targets if isinstance(target, ast.Name)}
    if isinstance(statement, ast.ImportFrom) and not statement.module.startswith(NODES):
        return {alias.asname or alias.name for alias in statement.names}
    return set()


def parameters(node: str) -> str:
    rows = []
    for field in node_parameters(node):
        meta = field.metadata
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        accepted = ', '.join(map(code, meta['choices']))
        if meta['low'] is not None:
            number = f'{{:{"d" if type(field.default) is int else "g"}}}'.format
            accepted = f'{number(meta["low"])} to {number(meta["high"])}'
        rows.append(
            (
                code(field.name),
                code(str(default).lower() if isinstance(default, bool) else default) or 'empty',
                accepted,
                meta['unit'],
                'unconfigured' if meta['fixed'] else 'any time',
                meta['description'],
            )
        )
    return table(('Name', 'Default', 'Accepted', 'Unit', 'Changes', 'Description'), rows)


class MessageLine(NamedTuple):
    """A field of a message, or a constant with its value."""

    kind: str
    name: str
    value: str
    comment: str


def message_lines(name: str) -> tuple[str, list[MessageLine]]:
    """The comment at the head of a message, in Markdown, and its lines."""
    return definition_lines((ROOT / 'msg' / f'{name}.msg').read_text())


def definition_lines(definition: str) -> tuple[str, list[MessageLine]]:
    """The same of the text of a message, or of one half of a service."""
    head: list[str] = []
    lines = []
    for line in definition.splitlines():
        content, _, comment = line.partition('#')
        if content.strip():
            kind, rest = content.split(maxsplit=1)
            field, _, value = rest.strip().partition('=')
            lines.append(MessageLine(kind, field.strip(), value, comment.strip()))
        elif not lines:
            head.append(comment.strip())
    return '\n'.join(head).strip(), lines


def message(name: str) -> str:
    head, lines = message_lines(name)
    constants = [(code(m.name), code(m.value), m.comment) for m in lines if m.value]
    parts = [head, fields(lines)]
    if constants:
        parts.append(table(('Constant', 'Value', 'Meaning'), constants))
    return '\n\n'.join(parts)


def fields(lines: Sequence[MessageLine]) -> str:
    return table(
        ('Field', 'Type', 'Meaning'),
        [(code(m.name), code(m.kind), m.comment) for m in lines if not m.value],
    )


def service_lines(name: str) -> tuple[str, list[MessageLine], list[MessageLine]]:
    """The comment at the head of a service, what is asked, and what is answered."""
    request, _, answer = (ROOT / 'srv' / f'{name}.srv').read_text().partition('\n---\n')
    head, asked = definition_lines(request)
    return head, asked, definition_lines(answer)[1]


def service(name: str) -> str:
    head, asked, answered = service_lines(name)
    return f'{head}\n\n{fields(asked)}\n\nThe answer:\n\n{fields(answered)}'


def verb(name: str) -> str:
    module = verb_module(name)
    parser = argparse.ArgumentParser(prog=f'topspark {name}', add_help=False)
    module.add_arguments(parser)
    rows = []
    for action in parser._actions:  # there is no public way to list them
        names = [code(option) for option in action.option_strings] or [code(action.metavar)]
        if action.option_strings and action.nargs != 0:
            metavar = action.metavar or action.dest.upper()
            names.append(code(metavar if isinstance(metavar, str) else ' '.join(metavar)))
        default = action.default
        if default is False or default is argparse.SUPPRESS:
            default = None
        text = OPTION.sub(r'`\g<0>`', action.help % {**vars(action), 'prog': parser.prog})
        if action.choices:
            text += f' ({", ".join(map(code, action.choices))})'
        rows.append((' '.join(names), code(default), text))
    usage = parser.format_usage().removeprefix('usage: ')
    return f'{module.SUMMARY}\n\n```text\n{usage}```\n\n' + table(
        ('Argument', 'Default', 'Meaning'), rows
    )


class LaunchArgument(NamedTuple):
    name: str
    default_value: str | None = None
    description: str = ''
    choices: Sequence[str] = ()


def launch_arguments(name: str) -> list[LaunchArgument]:
    """What a launch file declares itself, by running it with stand-ins for ROS."""
    path = ROOT / 'launch' / f'{name}.launch.py'
    stand_ins: dict[str, Any] = {
        module: MagicMock()
        for module in _imports(path)
        if module.partition('.')[0] in ('ament_index_python', 'launch', 'launch_ros')
    }
    stand_ins['launch.actions'].DeclareLaunchArgument = LaunchArgument
    stand_ins['ament_index_python.packages'].get_package_share_directory.return_value = ''
    with patch.dict(sys.modules, stand_ins):
        return runpy.run_path(str(path))['ARGUMENTS']


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def launch(name: str) -> str:
    rows = [
        (
            code(each.name),
            'required' if each.default_value is None else code(each.default_value) or 'empty',
            ', '.join(code(choice) or 'empty' for choice in each.choices),
            each.description,
        )
        for each in launch_arguments(name)
    ]
    return table(('Argument', 'Default', 'Accepted', 'Description'), rows)


class Reference(SphinxDirective):
    """Markdown that a function makes of the argument."""

    required_arguments = 1
    function: Any

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes(self.function(self.arguments[0]))


def skip_fields_of_tuples(
    app: Sphinx, what: str, name: str, member: object, skip: bool, options: object
) -> bool | None:
    """The docstring of the class tells of them."""
    return True if type(member).__name__ == '_tuplegetter' else None


def setup(app: Sphinx) -> dict[str, bool]:
    for name, function in (
        ('parameters', parameters),
        ('message', message),
        ('service', service),
        ('verb', verb),
        ('launch-arguments', launch),
    ):
        members = {'function': staticmethod(function)}
        app.add_directive(name, type(name, (Reference,), members))
    app.connect('autodoc-skip-member', skip_fields_of_tuples)
    # Documented where users import it from, so that links between them are found.
    for package in (engine, events):
        for name in package.__all__:
            member = getattr(package, name)
            if callable(member):
                member.__module__ = package.__name__
    return {'parallel_read_safe': True}
