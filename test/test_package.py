"""What the packages say of themselves: one version, one licence, units in every message."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from topspark_ros.control.decision import Reason

ROOT = Path(__file__).parents[1]
MANIFEST = ElementTree.parse(ROOT / 'package.xml')
STAND_IN = ROOT / 'interfaces' / 'event_camera_msgs'
MESSAGES = [path for package in (ROOT, STAND_IN) for path in sorted(package.glob('msg/*.msg'))]


def setup_says(option: str) -> str:
    result = subprocess.run(
        [sys.executable, 'setup.py', '--quiet', option],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return result.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize('field', ['name', 'version', 'license', 'description'])
def test_setup_and_manifest_agree(field):
    assert setup_says(f'--{field}') == MANIFEST.findtext(field)


def test_the_licence_is_the_one_in_the_file():
    licence = MANIFEST.find('license')
    assert licence.text == 'Apache-2.0'
    text = (ROOT / licence.attrib['file']).read_text()
    assert re.search(r'Apache License\s+Version 2\.0', text)


@pytest.mark.parametrize('field', ['version', 'license', 'maintainer'])
def test_the_stand_in_agrees_with_the_package(field):
    stand_in = ElementTree.parse(STAND_IN / 'package.xml')
    assert stand_in.findtext(field) == MANIFEST.findtext(field)


@pytest.mark.parametrize('package', [ROOT, STAND_IN], ids=lambda path: path.name)
def test_every_message_is_built(package):
    listed = re.findall(r'"(msg/\w+\.msg)"', (package / 'CMakeLists.txt').read_text())
    assert sorted(package / message for message in listed) == sorted(package.glob('msg/*.msg'))


def fields(path: Path):
    """(type, name, comment) of every field and constant."""
    for line in path.read_text().splitlines():
        code, _, comment = line.partition('#')
        if code.strip():
            kind, name = code.split(maxsplit=1)
            yield kind, name.strip(), comment.strip()


@pytest.mark.parametrize('path', MESSAGES, ids=lambda path: path.stem)
def test_every_message_begins_with_what_it_is(path):
    assert path.read_text().startswith('# ')
    kinds = [(kind, name) for kind, name, _ in fields(path) if '=' not in name]
    assert kinds[0] == ('std_msgs/Header', 'header')


UNIT = re.compile(r'^(s|J|W|Hz|ratio|frames)\b|0\.\.1|^an? (inference|frame),')


@pytest.mark.parametrize('path', MESSAGES, ids=lambda path: path.stem)
def test_every_field_says_its_unit_or_meaning(path):
    for kind, name, comment in fields(path):
        assert comment, name
        if kind.startswith('float'):
            assert UNIT.search(comment), f'{name}: no unit in "{comment}"'


def test_the_reasons_of_message_and_policy_are_the_same():
    constants = dict(
        name.split('=')
        for kind, name, _ in fields(ROOT / 'msg' / 'TimestepDecision.msg')
        if '=' in name
    )
    assert {name: int(value) for name, value in constants.items()} == {
        reason.name: reason.value for reason in Reason
    }


def test_every_executable_is_installed_and_can_be_executed():
    cmake = (ROOT / 'CMakeLists.txt').read_text()
    nodes = ROOT / 'topspark_ros' / 'nodes'
    for path in nodes.glob('*.py'):
        if re.search(r'^class \w+\(ManagedNode\b', path.read_text(), re.MULTILINE):
            assert re.search(rf'^\s+{path.stem}\)?$', cmake, re.MULTILINE), path.stem
    assert (nodes / 'executable.py').read_text().startswith('#!/usr/bin/env python3\n')
    assert os.access(nodes / 'executable.py', os.X_OK)


def test_every_imported_package_is_declared():
    declared = {
        element.text for element in MANIFEST.getroot() if element.tag in ('depend', 'exec_depend')
    }
    sources = [*(ROOT / 'topspark_ros').rglob('*.py'), *(ROOT / 'launch').glob('*.py')]
    imports = {
        name.partition('.')[0]
        for path in sources
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [node.module]
            if isinstance(node, ast.ImportFrom) and not node.level
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    keys = {
        'cv2': 'python3-opencv',
        'rosbags': 'python3-rosbags-pip',
        'sklearn': 'python3-sklearn',
        'yaml': 'python3-yaml',
        # Brought by these.
        'llvmlite': 'python3-numba',
        'markdown_it': 'python3-rich',
    }
    optional = {'dask', 'nir'}  # have no rosdep key: setup.py's extras
    third_party = imports - set(sys.stdlib_module_names) - {'topspark_ros'} - optional
    missing = {
        name for name in third_party if not {name, f'python3-{name}', keys.get(name)} & declared
    }
    assert not missing
