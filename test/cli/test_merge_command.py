"""`topspark merge`: the weights of several robots in one file."""

from __future__ import annotations

import numpy as np
import pytest

from topspark_ros.cli.main import main
from topspark_ros.engine import (
    DiscriminantConfig,
    NetworkConfig,
    create_network,
    load_checkpoint,
    save_checkpoint,
)

SMALL = DiscriminantConfig(28, 1, 16, 16, 2)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Of two robots that know another object each."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ('cup', 'screw'):
        network = create_network(SMALL)
        network.learn_many(rng.random((5, SMALL.inputs), np.float32), 4, np.zeros(5, np.int64))
        save_checkpoint(f'{name}.topspark', network, (name,))
    return ['cup.topspark', 'screw.topspark']


def test_it_writes_what_all_know(files, capsys):
    assert main(['merge', *files]) == 0
    assert capsys.readouterr().out == (
        'fleet.topspark written: 2 classes of 2 networks, 2 neurons in use\n'
    )
    network, class_names, _ = load_checkpoint('fleet.topspark', SMALL)
    assert class_names == ('cup', 'screw')
    assert network.state()['class_frames'].tolist() == [5, 5]
    assert main(['merge', 'fleet.topspark', 'cup.topspark', '--output', 'again.topspark']) == 0
    assert load_checkpoint('again.topspark').network.state()['class_frames'].tolist() == [10, 5]
    words = ['fleet.topspark', 'again.topspark', '--common', 'cup.topspark']
    assert main(['merge', *words, '--output', 'once.topspark']) == 0
    assert load_checkpoint('once.topspark').network.state()['class_frames'].tolist() == [10, 10]


def test_neurons_are_those_wanted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_checkpoint('a.topspark', create_network(NetworkConfig(neurons=9)), ())
    for words, neurons in ((['--neurons', '30'], 30), ([], 9)):
        assert main(['merge', 'a.topspark', *words]) == 0
        assert load_checkpoint('fleet.topspark').network.config.neurons == neurons


@pytest.mark.parametrize(
    'words, complaint',
    [
        (['cup.topspark', 'cup.topspark'], 'WEIGHTS name a file twice'),
        (
            ['cup.topspark', 'single.topspark'],
            'single.topspark: its configuration is NetworkConfig',
        ),
        (['cup.topspark', '--neurons', '9'], 'neurons is 9, accepted with a discriminant is none'),
        (['cup.topspark', 'none.topspark'], 'none.topspark: No such file'),
    ],
)
def test_what_is_rejected_is_one_line(files, capsys, words, complaint):
    save_checkpoint('single.topspark', create_network(NetworkConfig(neurons=9)), ())
    assert main(['merge', *words]) == 2
    line = capsys.readouterr().err
    assert line.startswith(f'topspark merge: {complaint}') and line.count('\n') == 1
