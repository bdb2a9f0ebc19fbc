"""What the packages say of themselves: one version, one licence, units in every message."""

from __future__ import annotations

import ast
import json
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
STAND_INS = sorted((ROOT / 'interfaces').iterdir())
SERVICES = sorted((ROOT / 'srv').glob('*.srv'))
MESSAGES = [path for package in (ROOT, *STAND_INS) for path in sorted(package.glob('msg/*.msg'))]


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


@pytest.mark.parametrize('stand_in', STAND_INS, ids=lambda path: path.name)
def test_stand_ins_agree_with_the_package(stand_in):
    manifest = ElementTree.parse(stand_in / 'package.xml')
    assert manifest.findtext('name') == stand_in.name
    for field in ('version', 'license', 'maintainer'):
        assert manifest.findtext(field) == MANIFEST.findtext(field)


@pytest.mark.parametrize('package', [ROOT, *STAND_INS], ids=lambda path: path.name)
def test_every_message_and_service_is_built(package):
    listed = re.findall(r'"(msg/\w+\.msg|srv/\w+\.srv)"', (package / 'CMakeLists.txt').read_text())
    there = [*package.glob('msg/*.msg'), *package.glob('srv/*.srv')]
    assert sorted(package / definition for definition in listed) == sorted(there)


@pytest.mark.parametrize(
    'name, expected',
    [
        ('bond/Status', '87eaccffa254ffffadc0b61600452e8251740f06c25659a2dbda4927fdb1f70a'),
        (
            'vision_msgs/Classification',
            'f74db28d0eaef3afb78f48bf2161cd709a1383a0309d3454383b25be11345143',
        ),
        (
            'vision_msgs/Detection2DArray',
            '214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968',
        ),
        (
            'vision_msgs/LabelInfo',
            '3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783',
        ),
    ],
)
def test_stand_ins_are_taken_for_what_they_stand_for(name, expected):
    """Hashes of bond_core 4 and vision_msgs 4.1: a message with another one is not understood."""
    index = pytest.importorskip('ament_index_python.packages')
    package, message = name.split('/')
    share = Path(index.get_package_share_directory(package))
    description = json.loads((share / 'msg' / f'{message}.json').read_text())
    hashes = {entry['type_name']: entry['hash_string'] for entry in description['type_hashes']}
    assert hashes[f'{package}/msg/{message}'] == f'RIHS01_{expected}'


def fields(path: Path):
    """(type, name, comment) of every field and constant."""
    for line in path.read_text().splitlines():
        code, _, comment = line.partition('#')
        if code.strip() not in ('', '---'):
            kind, name = code.split(maxsplit=1)
            yield kind, name.strip(), comment.strip()


@pytest.mark.parametrize('path', MESSAGES, ids=lambda path: path.stem)
def test_every_message_begins_with_what_it_is(path):
    assert path.read_text().startswith('# ')
    kinds = [(kind, name) for kind, name, _ in fields(path) if '=' not in name]
    is_part = any(
        kind.removesuffix('[]').rpartition('/')[2] == path.stem
        for other in MESSAGES
        for kind, _, _ in fields(other)
    )
    assert is_part or kinds[0] == ('std_msgs/Header', 'header')


UNIT = re.compile(r'^(s|J|W|Hz|ratio|frames|pixels|rad)\b|0\.\.1|^an? (inference|frame),')


@pytest.mark.parametrize('path', SERVICES, ids=lambda path: path.stem)
def test_every_service_begins_with_what_it_is_and_answers_whether_it_was_done(path):
    assert path.read_text().startswith('# ')
    answer = path.read_text().partition('\n---\n')[2]
    assert re.findall(r'^(\w+) (\w+)', answer, re.MULTILINE) == [
        ('bool', 'success'),
        ('string', 'message'),
    ]


@pytest.mark.parametrize('path', MESSAGES + SERVICES, ids=lambda path: path.stem)
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
