"""One reader of parameter files for both: the nodes' own, and ours, which lives without ROS."""

from __future__ import annotations

import random

import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2 and the built package: run `make test`')

from rclpy.node import Node

from topspark_ros.perception.parameter_files import ParameterError, ParameterFile

NAMESPACES = ('/', '/r', '/r/s')

NAMES = [
    'n: {P: {a: 1}}',
    '/n: {P: {a: 1}}',
    '/**/n: {P: {a: 1}}',
    '/*/n: {P: {a: 1}}',
    '/*/*/n: {P: {a: 1}}',
    '/r/*: {P: {a: 1}}',
    '/r/**: {P: {a: 1}}',
    '/r/**/n: {P: {a: 1}}',
    '/**: {P: {a: 1}}',
    '/*: {P: {a: 1}}',
    '"*": {P: {a: 1}}',
    '"**": {P: {a: 1}}',
    '/**/*: {P: {a: 1}}',
    'r: {n: {P: {a: 1}}}',
    '/r: {n: {P: {a: 1}}}',
    '/**: {n: {P: {a: 1}}}',
    'r: {s: {n: {P: {a: 1}}, m: {P: {a: 2}}}, n: {P: {a: 3}}}',
    'r/s: {n: {P: {a: 1}}}',
    'r: {/n: {P: {a: 1}}}',
    '/r/n*: {P: {a: 1}}',
    '/r/n/: {P: {a: 1}}',
    '/r/n-m: {P: {a: 1}}',
    '/r r/n: {P: {a: 1}}',
    '/3/n: {P: {a: 1}}',
    '//n: {P: {a: 1}}',
    '/r/***: {P: {a: 1}}',
    '"": {P: {a: 1}}',
    '/: {P: {a: 1}}',
    '/r/n: {PX: {a: 1}}',
    'P: {a: 1}',
    'x: 5',
    '- 1',
    '/r/n: {other: 5, P: {a: 1}}',
    '/r/n: {other: {b: 5}}',
    '/r/n: {P: 5}',
    '/r/n: {P: }',
    '/r/n: {P: {}}\n/**: {P: {a: 1}}',
    '/r/n: {P: {a: &x 1, b: *x}}',
    '/r/n: {P: {a: 1}}\n/r/m: {<<: {P: {a: 2}}}',
    '[a]: {P: {a: 1}}',
    '/r: {P: {a: 1}, n: {P: {b: 2}}}',
    '/r: {n: {P: {b: 2}}, P: {a: 1}}',
    'q: {r/s: {n: {P: {a: 1}}}, n: {P: {a: 2}}}\nr: {n: {P: {a: 3}}}',
]
ORDER = [
    '/**: {P: {a: 1}}\n/r/n: {P: {a: 2}}\n/**/n: {P: {a: 3}}\n/*/n: {P: {a: 4}}',
    '/*/n: {P: {a: 4}}\n/**/n: {P: {a: 3}}\n/r/n: {P: {a: 2}}\n/**: {P: {a: 1}}',
    '/r/n: {P: {a: 2, b: 3}}\n---\n/r/n: {P: {a: 1}}',
    '/r/n: {P: {a: 2}}\n/**: {P: {a: 1}}\n/r/n: {P: {a: 3}}',
    'r/n: {P: {a: 2}}\n/r/n: {P: {a: 1}}\nr/n: {P: {a: 3}}',
    '/r/n: {P: {a: 1}}\n---\n/r/n: {P: {a: hello}}',
    '/r/n: {P: {a: hello}}\n---\n/r/n: {P: {a: 1}}',
    '/r/n: {P: {a: [1]}}\n---\n/r/n: {P: {a: 2.0}}',
    '/r/n: {P: {a: [x]}}\n---\n/r/n: {P: {a: [2]}}',
]
VALUES = [
    '010',
    '0x10',
    '08',
    '0b1',
    '1e-3',
    '1e3',
    'y',
    'Y',
    'on',
    'oN',
    'n',
    'nan',
    'NaN',
    '.nan',
    '.Nan',
    'inf',
    '-inf',
    '-.inf',
    '+.INF',
    '"1"',
    "'2'",
    '~',
    'null',
    '1_000',
    '0o17',
    '+5',
    '-0',
    '99999999999999999999',
    '1e400',
    '1e-400',
    '0e-400',
    '1e-310',
    '1.',
    '.5',
    '.',
    '"1:30"',
    '1:30',
    '2001-01-01',
    'infinity',
    '-Infinity',
    '0x1p3',
    '0X1F',
    '0x1.8',
    '0x',
    'true',
    'TRUE',
    'tRUE',
    'No',
    '!!str 1',
    '!!int "1"',
    '!!float 1',
    '!!bool "yes"',
    '!!str yes',
    '!foo 1',
    '"yes"',
    '0xg',
    '1e',
    '- 1',
    'nan(1)',
    '1.0f',
    '٣',
    '" "',
    '5 5',
    '|-\n      7',
    '>-\n      7',
    '9223372036854775807',
    '9223372036854775808',
    '-9223372036854775808',
    '-9223372036854775809',
    '0777',
    '-0x10',
    '+.nan',
    '-.nan',
    '',
    '""',
    '!!str ""',
    '[1, "2"]',
    '[true, yes, on]',
    '[1.5, .nan]',
    '[a, 1]',
    '[1, 2.0]',
    '[ ]',
    '["", b]',
    '[!!str 1, 2]',
    '[[1], [2]]',
    '[~]',
    '[1, ]',
    '{x: {y: {z: 1}, w: 2}, v: 3}',
    '{x.y: 1, x: {y: 2}}',
    '{x: 1, x: {y: 2}}',
    '{x: {y: 1}, x: {z: 2}}',
    '|\n      text\n      more\n',
    '- 1\n    - 2',
    'a b: c',
    '@x',
    '%x',
    '`x`',
    '${HOME}/x',
    '~/weights',
    '$(find-pkg-share x)',
]
FILES = (
    [
        text.replace('P:', 'ros__parameters:').replace('PX', 'ros__parametersX')
        for text in (*NAMES, *ORDER)
    ]
    + [f'/r/n:\n  ros__parameters:\n    a: {value}\n' for value in VALUES]
    + ['# nothing\n']
)


def test_an_empty_mapping_is_rejected(tmp_path):
    """rcl takes it only where nothing follows."""
    path = tmp_path / 'parameters.yaml'
    path.write_text('/r/n: {ros__parameters: {a: {}}}')
    with pytest.raises(ParameterError, match='a is an empty mapping, accepted is a value'):
        ParameterFile(path)


def of_nodes(path) -> list:
    """Parameters of a real node in each namespace; None: the file is rejected."""
    found = []
    for namespace in NAMESPACES:
        try:
            # In the one context: Fast DDS can hang where a process has two on a domain.
            node = Node(
                'n',
                namespace=namespace,
                start_parameter_services=False,
                enable_rosout=False,
                use_global_arguments=False,
                cli_args=['--ros-args', '--params-file', str(path)],
            )
        except Exception:
            found.append(None)
        else:
            found.append(
                {
                    name: each.value
                    for name, each in node._parameter_overrides.items()
                    if each.value is not None
                }
            )
            node.destroy_node()
    return found


def of_ours(path) -> list:
    try:
        file = ParameterFile(path)
    except ParameterError as error:
        assert str(error).startswith(f'{path}: ') and '\n' not in str(error)
        # A file without parameters is of no use to an evaluation, and none to a node.
        nothing = ': no ROS parameters, ' in str(error)
        return [{} if nothing else None] * len(NAMESPACES)
    return [file.of(f'{namespace.rstrip("/")}/n') for namespace in NAMESPACES]


def same(ours, theirs) -> bool:
    """With types, and NaN the same as NaN."""
    return repr(ours) == repr(theirs)


def normal(found: list) -> list:
    return [None if each is None else sorted(each.items()) for each in found]


@pytest.mark.parametrize('text', FILES)
def test_a_file_says_the_same_to_both(domain, tmp_path, text):
    path = tmp_path / 'parameters.yaml'
    path.write_text(text)
    ours, theirs = normal(of_ours(path)), normal(of_nodes(path))
    assert same(ours, theirs)


@pytest.mark.parametrize('seed', range(40))
def test_any_file_says_the_same_to_both(domain, tmp_path, seed):
    """Nested namespaces, wildcards, several entries and documents, put together at random."""
    chance = random.Random(seed)
    lines = []

    def names(depth: int, indent: str) -> None:
        for _ in range(chance.randint(1, 3)):
            name = chance.choice(['r', 's', 'n', '"*"', '"**"', '/**', '/*', '/r', 'r/s', 'n', 'm'])
            if depth:
                name = name.replace('/', '', 1) if name.startswith('/') else name
                name = name if '*' not in name or '"' in name else f'"{name}"'
            lines.append(f'{indent}{name}:')
            if depth < 2 and chance.random() < 0.6:
                names(depth + 1, indent + '  ')
            else:
                lines.append(f'{indent}  ros__parameters:')
                for key in chance.sample('abc', chance.randint(1, 3)):
                    lines.append(f'{indent}    {key}: {chance.randint(0, 99)}')

    for document in range(chance.randint(1, 3)):
        lines += ['---'] * bool(document)
        names(0, '')
    path = tmp_path / 'parameters.yaml'
    path.write_text('\n'.join(lines) + '\n')
    ours, theirs = normal(of_ours(path)), normal(of_nodes(path))
    assert same(ours, theirs), path.read_text()
