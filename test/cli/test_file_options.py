"""Every file and number that a verb takes: what is not there, or is no such thing, is one line.

The options are found in the command line itself, so that new ones are tested by themselves.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from topspark_ros.cli.main import VERBS, command_line, main
from topspark_ros.engine import (
    Checkpoint,
    CheckpointError,
    NetworkConfig,
    create_network,
    export_nir,
    save_checkpoint,
)
from topspark_ros.replay.recording import RecordingSettings, record

PROFILE = Path(__file__).parents[2] / 'config' / 'profile_digits.yaml'
NAMED_FILES = ('NAME_OR_FOLDER', 'NAME_OR_YAML', 'YAML')  # metavars of options that are no Path
LIVE = {'watch', 'teach', 'answer', 'classes', 'rename', 'forget'}  # talk to a robot that runs
WRITTEN = ('output', 'results', 'save_weights')
FOLDERS = ('evaluate --output', 'analyse --output', 'make-world output', 'demo --results')


def options() -> Iterator[tuple[str, argparse.Action]]:
    verbs = next(action for action in command_line()._actions if action.dest == 'verb').choices
    for verb, parser in verbs.items():
        for action in parser._actions:
            yield verb, action


def file_options() -> list[tuple[str, argparse.Action]]:
    return [
        (verb, action)
        for verb, action in options()
        if action.type is Path or action.metavar in NAMED_FILES
    ]


def name(verb: str, action: argparse.Action) -> str:
    return f'{verb} {(action.option_strings or [action.dest])[0]}'


READ = [
    pytest.param(verb, action, id=name(verb, action))
    for verb, action in file_options()
    if action.dest not in WRITTEN
]
WRITE = [
    pytest.param(verb, action, id=name(verb, action))
    for verb, action in file_options()
    if action.dest in WRITTEN
]


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp('bags') / 'digits'
    record(path, RecordingSettings(width=48, height=36, frames=4, events=True, frames_per_image=4))
    return path


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'robot.topspark'
    save_checkpoint(path, create_network(NetworkConfig(neurons=4)), ())
    return path


@pytest.fixture(scope='module')
def layer(tmp_path_factory):
    """Weights of what can be exported, and as NIR."""
    folder = tmp_path_factory.mktemp('layer')
    network = create_network(NetworkConfig(neurons=4, rule='pairwise'))
    save_checkpoint(folder / 'layer.topspark', network, ())
    export_nir(Checkpoint(network, ()), folder / 'layer.nir', 16)
    return folder / 'layer.topspark', folder / 'layer.nir'


@pytest.fixture
def rejection(bag, weights, layer, tmp_path, monkeypatch, capsys):
    """Run a verb, of which one argument is replaced; the line that it ends with."""
    monkeypatch.chdir(tmp_path)
    needed = {
        'make-bag': ('output', tmp_path / 'new'),
        'make-world': ('output', tmp_path / 'new'),
        'evaluate': ('bags', bag),
        'events': ('bag', bag),
        'tradeoff': ('profile', PROFILE),
        'merge': ('weights', weights),
        'export': ('weights', layer[0]),
        'import': ('graph', layer[1]),
    }

    def run(verb: str, action: argparse.Action, *values) -> str:
        if verb == 'demo':
            pytest.importorskip('rclpy', reason='needs ROS 2: run `make test`')
        words = [verb, *action.option_strings[:1], *map(str, values)]
        if verb == 'evaluate':  # of the two that there are
            words += ['--topic', '/image']
        dest, value = needed.get(verb, (action.dest, None))
        if dest != action.dest and action.dest != 'compare':
            words.insert(1, str(value))
        if verb == 'evaluate' and action.option_strings == ['--save-weights']:
            words += ['--timesteps', '2']
        code = main(words)
        complaint = capsys.readouterr().err
        assert code == 2
        assert complaint.startswith(f'topspark {verb}: ') and complaint.count('\n') == 1
        return complaint

    return run


def missing(folder: Path) -> Path:
    return folder / 'missing'


def below_a_file(folder: Path) -> Path:
    (folder / 'file').write_bytes(b'')
    return folder / 'file' / 'below'


def empty_folder(folder: Path) -> Path:
    (folder / 'folder').mkdir()
    return folder / 'folder'


def unreadable(folder: Path) -> Path:
    """Even for root: reading it is an input/output error."""
    (folder / 'unreadable').symlink_to('/proc/self/mem')
    return folder / 'unreadable'


def empty(folder: Path) -> Path:
    (folder / 'empty').write_bytes(b'')
    return folder / 'empty'


def rubbish(folder: Path) -> Path:
    (folder / 'rubbish').write_bytes(np.random.default_rng(0).bytes(3000))
    return folder / 'rubbish'


def words(folder: Path) -> Path:
    (folder / 'words').write_text('nothing that anybody wants\n')
    return folder / 'words'


@pytest.mark.parametrize(
    'make', [missing, below_a_file, empty_folder, unreadable, empty, rubbish, words]
)
@pytest.mark.parametrize('verb, action', READ)
def test_a_file_that_cannot_be_used_is_named(rejection, tmp_path, verb, action, make):
    path = make(tmp_path)
    values = [path] * (action.nargs if isinstance(action.nargs, int) else 1)
    assert str(path) in rejection(verb, action, *values)


@pytest.mark.parametrize('verb, action', WRITE)
def test_a_file_that_cannot_be_written_is_named(rejection, tmp_path, verb, action):
    wrong = (empty if name(verb, action) in FOLDERS else empty_folder)(tmp_path)
    for path in (below_a_file(tmp_path), Path('/proc/none/below.png'), wrong):
        assert str(path) in rejection(verb, action, path)


def test_the_walk_finds_options_of_most_verbs():
    assert {parameter.values[0] for parameter in (*READ, *WRITE)} == {*VERBS} - LIVE
    assert len(READ) >= 10 and len(WRITE) >= 8


SMALL = {
    'profile': (
        '--samples',
        '20',
        '--neurons',
        '4',
        '--timesteps',
        '1',
        '--seeds',
        '1',
        '--view',
        'raw',
        '--no-weights',
        '--output',
        'profile.yaml',
    ),
    'analyse': (
        '--samples',
        '20',
        '--neurons',
        '4',
        '--timesteps',
        '1',
        '--seeds',
        '1',
        '--rules',
        'recruiting',
        '--encoders',
        'rate_regular',
        '--output',
        'analysis',
    ),
    'tradeoff': (str(PROFILE), '--output', 'tradeoff.png'),
    'events': ('{bag}', '--output', 'events.png'),
    'make-bag': ('{new}', '--frames', '2'),
    'evaluate': ('{bag}', '--topic', '/image'),
    'make-world': ('{new}', '--panels', '12'),
    'merge': ('{weights}',),
    'export': ('{layer}',),
    'import': ('{graph}',),
    'watch': ('--once',),
    'teach': ('mug',),
}
NUMBERS = [(verb, option) for verb, option in options() if option.type in (int, float)]


@pytest.mark.parametrize('verb, option', [pytest.param(*each, id=name(*each)) for each in NUMBERS])
def test_a_number_out_of_range_is_one_line_or_does(
    bag, weights, layer, tmp_path, monkeypatch, capsys, verb, option
):
    """Never a traceback: main would raise it."""
    if verb in LIVE:
        pytest.importorskip('rclpy', reason='needs ROS 2: run `make test`')
    monkeypatch.chdir(tmp_path)
    for value in ('0', '-1', *(('nan', '-inf', '1e300') if option.type is float else ())):
        made = dict(weights=weights, layer=layer[0], graph=layer[1], new=f'new {value}')
        small = [word.format(bag=bag, **made) for word in SMALL[verb]]
        if verb in LIVE and value == '1e300':  # is accepted, and waits
            continue
        code = main([verb, *small, f'{option.option_strings[0]}={value}'])
        complaint = capsys.readouterr().err
        assert code in (0, 1) or code == 2 and complaint.startswith(f'topspark {verb}: ')
        assert complaint.count('\n') <= 1


def fails_with(monkeypatch, error: BaseException) -> None:
    def load(_):
        raise error

    monkeypatch.setattr('topspark_ros.cli.tradeoff.load_profile', load)


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch):
    for error in (
        ValueError('operands could not be broadcast'),
        KeyError('x'),
        FileNotFoundError(2, 'No such file or directory', '/of/our/own'),
    ):
        fails_with(monkeypatch, error)
        with pytest.raises(type(error)):
            main(['tradeoff', str(PROFILE)])


@pytest.mark.parametrize(
    'error, code, line',
    [
        (CheckpointError('what is wrong'), 2, 'topspark tradeoff: what is wrong\n'),
        (
            OSError(5, 'Input/output error', str(PROFILE)),
            2,
            f'topspark tradeoff: {PROFILE}: Input/output error\n',
        ),
        (KeyboardInterrupt(), 130, 'topspark: interrupted\n'),
    ],
)
def test_what_the_user_can_mend_is_one_line(monkeypatch, capsys, error, code, line):
    fails_with(monkeypatch, error)
    assert main(['tradeoff', str(PROFILE)]) == code
    assert capsys.readouterr().err == line


def test_without_a_verb_it_says_what_to_try(capsys):
    assert main([]) == 2
    complaint = capsys.readouterr().err
    assert 'To begin with: `topspark demo`' in complaint and 'topspark make-bag day' in complaint
    assert all(verb in complaint for verb in VERBS)
