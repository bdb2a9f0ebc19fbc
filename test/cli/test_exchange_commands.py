"""`topspark export` and `topspark import`: to NIR and back."""

from __future__ import annotations

import numpy as np
import pytest

from topspark_ros.cli.main import main
from topspark_ros.engine import (
    NetworkConfig,
    NeuronConfig,
    create_network,
    load_checkpoint,
    save_checkpoint,
)

CONFIG = NetworkConfig(64, 5, 'pairwise', neuron=NeuronConfig(inhibition=1.0, theta_step=1.0))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = create_network(CONFIG)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 64), dtype=np.uint8)
    network.learn_many(pixels, 20, np.arange(40) % 3)
    save_checkpoint('layer.topspark', network, ('cup', 'hand', 'screw'))
    return pixels


def test_there_and_back(folder, capsys):
    assert main(['export', 'layer.topspark', '--timesteps', '20', '--step', '1e-4']) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == 'network.nir written, for T = 20. NIR cannot say:'
    assert told[1:] and all(line.startswith('- ') for line in told[1:])
    assert main(['import', 'network.nir']) == 0
    assert capsys.readouterr().out == (
        'imported.topspark written: 64 inputs, 5 neurons, 3 classes\n'
    )
    ours, theirs = (load_checkpoint(f'{name}.topspark') for name in ('layer', 'imported'))
    assert theirs.class_names == ours.class_names
    same = [each.network.infer_many(folder, 20).predicted for each in (ours, theirs)]
    assert (same[0] == same[1]).mean() > 0.9 and (same[0] >= 0).any()


def test_what_is_rejected_is_one_line(folder, capsys):
    for words, complaint in (
        (['export', 'layer.topspark', '--timesteps', '0'], 'timesteps is 0, accepted is'),
        (['export', 'layer.topspark', '--step', '0'], 'step_s is 0.0, accepted is'),
        (['import', 'layer.topspark'], 'layer.topspark: '),
    ):
        assert main(words) == 2
        line = capsys.readouterr().err
        assert line.startswith(f'topspark {words[0]}: {complaint}') and line.count('\n') == 1
