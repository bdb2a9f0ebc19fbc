"""Imports point one way, and everything but the nodes lives without ROS."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from topspark_ros.cli.main import VERBS

PACKAGE = Path(__file__).parents[1] / 'topspark_ros'

# Room -> the rooms, and of the modules beside them `pages` and `plotting`, that it may import.
ARROWS = {
    'engine': set(),
    'streams': {'engine'},
    'methodology': {'engine'},
    'control': {'engine', 'methodology'},
    'perception': {'engine', 'streams', 'methodology', 'control'},
    'replay': {'engine', 'streams', 'methodology', 'control', 'perception', 'pages', 'plotting'},
    'nodes': {'engine', 'streams', 'methodology', 'control', 'perception', 'replay'},
    'cli': {
        'engine',
        'streams',
        'methodology',
        'control',
        'perception',
        'replay',
        'nodes',
        'pages',
        'plotting',
    },
}
ROS = (
    'rclpy',
    'ament_index_python',
    'bond',
    'builtin_interfaces',
    'diagnostic_msgs',
    'event_camera_msgs',
    'lifecycle_msgs',
    'rcl_interfaces',
    'sensor_msgs',
    'std_msgs',
    'std_srvs',
    'vision_msgs',
    'launch',
    'launch_ros',
    'topspark_ros.msg',
    'topspark_ros.srv',
)
MODULES = sorted(PACKAGE.rglob('*.py'))


def imported(path: Path):
    """(line, absolute dotted name) of every import, those inside functions too."""
    package = ('topspark_ros', *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = '.'.join(package[: len(package) - node.level + 1]) if node.level else ''
            base = '.'.join(part for part in (base, node.module) if part)
            for alias in node.names:
                yield node.lineno, f'{base}.{alias.name}'


def is_of(name: str, package: str) -> bool:
    return name == package or name.startswith(package + '.')


def room(path: Path) -> str | None:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else None


def test_every_room_is_known():
    assert {room(path) for path in MODULES} - {None} == set(ARROWS)


@pytest.mark.parametrize('path', MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_one_way(path):
    accepted = ARROWS.get(room(path), set()) | {room(path), 'msg', 'srv', 'errors', 'files'}
    wrong = [
        f'{path}:{line}: {name}'
        for line, name in imported(path)
        if is_of(name, 'topspark_ros')
        and name != 'topspark_ros'
        and name.split('.')[1] not in accepted
    ]
    assert not wrong


@pytest.mark.parametrize(
    'path',
    [path for path in MODULES if room(path) not in ('nodes', 'cli')],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_ros_is_imported_by_nodes_alone(path):
    wrong = [
        f'{path}:{line}: {name}'
        for line, name in imported(path)
        if any(is_of(name, package) for package in ROS)
    ]
    assert not wrong


def without_ros(code: str) -> subprocess.CompletedProcess:
    """Run `code` in an interpreter that finds no ROS."""
    block = f"""
import importlib, sys
class NoRos:
    def find_spec(self, name, path=None, target=None):
        if any(name == package or name.startswith(package + '.') for package in {ROS!r}):
            raise ModuleNotFoundError(f'blocked: {{name}}', name=name)
sys.meta_path.insert(0, NoRos())
"""
    return subprocess.run([sys.executable, '-c', block + code], capture_output=True, text=True)


def test_ros_is_blocked_at_all():
    pytest.importorskip('rclpy')
    assert 'blocked: rclpy' in without_ros('import rclpy').stderr


def test_the_rooms_live_without_ros():
    names = [
        '.'.join(('topspark_ros', *path.relative_to(PACKAGE).with_suffix('').parts))
        for path in MODULES
        if room(path) not in ('nodes', 'cli', None)
    ]
    names = [name.removesuffix('.__init__') for name in names]
    result = without_ros(f'for name in {names!r}: importlib.import_module(name)')
    assert result.returncode == 0, result.stderr


def test_the_command_explains_itself_without_ros():
    result = without_ros(f"""
from topspark_ros.cli.main import main
for verb in {(None, *VERBS)!r}:
    try:
        main([verb, '--help'] if verb else ['--help'])
    except SystemExit as end:
        assert end.code == 0
""")
    assert result.returncode == 0, result.stderr
    usages = [line for line in result.stdout.splitlines() if line.startswith('usage: ')]
    assert [line.split()[:3] for line in usages] == [
        ['usage:', 'topspark', verb] for verb in ('[-h]', *VERBS)
    ]


@pytest.mark.parametrize(
    'words', ['demo', 'watch', 'teach mug', 'forget mug', 'rename mug cup', 'classes']
)
def test_what_needs_ros_says_that_it_is_missing(words):
    verb = words.split()[0]
    result = without_ros(
        f'from topspark_ros.cli.main import main\nsys.exit(main({words.split()!r}))'
    )
    assert result.returncode == 2
    assert result.stderr.startswith(f'topspark {verb}: ROS 2 is not there')


def test_every_error_of_ours_has_one_base():
    """By which the command tells what was rejected from a fault of the program."""
    foreign = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and path != PACKAGE / 'errors.py':
                bases = {ast.unparse(base) for base in node.bases}
                if bases & {'Exception', 'ValueError', 'RuntimeError', 'OSError'}:
                    foreign.append(f'{path}:{node.lineno}: {node.name}')
            if isinstance(node, ast.Raise) and ast.unparse(node)[6:].startswith('ValueError('):
                foreign.append(f'{path}:{node.lineno}: {ast.unparse(node)}')
    assert not foreign
