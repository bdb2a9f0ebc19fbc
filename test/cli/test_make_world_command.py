"""`topspark make-world` writes what it says, and rejects in one line."""

from __future__ import annotations

import sys

import cv2
import pytest

from topspark_ros.cli.main import main
from topspark_ros.streams.panels import load_gallery


@pytest.fixture
def make_world(monkeypatch, capsys):
    """Run it; (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['topspark', 'make-world', *map(str, arguments)])
        return main(), *capsys.readouterr()

    return run


def test_a_world_is_written(make_world, tmp_path):
    folder = tmp_path / 'new' / 'world'
    code, printed, _ = make_world(folder, '--panels', 9, '--seed', 3)
    assert code == 0
    gallery = load_gallery(folder / 'panels.yaml')
    assert len(gallery.panels) == 9 == len(list((folder / 'textures').iterdir()))
    assert (folder / 'world.sdf').is_file()
    picture = cv2.imread(str(folder / 'world.png'))
    assert picture.shape[0] == picture.shape[1] > 500 and picture.std() > 10
    assert printed.strip() == (
        f'{folder} written: world.sdf, panels.yaml and world.png, 9 panels of 9 classes around a '
        f'path of radius {gallery.path.radius_m:.2f} m'
    )


@pytest.mark.parametrize(
    'arguments, complaint',
    [
        (('--panels', 2), 'panels is 2, accepted is 8 to 200'),
        (('--seed', -1), '--seed is -1, accepted is 0 or more'),
        (('--dataset', 'none'), "dataset is 'none', accepted is one of digits"),
    ],
)
def test_what_makes_no_sense_is_rejected_in_one_line(make_world, tmp_path, arguments, complaint):
    code, _, complained = make_world(tmp_path / 'world', *arguments)
    assert code == 2 and complained.count('\n') == 1
    assert complained.startswith(f'topspark make-world: {complaint}')
    assert not (tmp_path / 'world').exists()


def test_a_folder_that_cannot_be_written_is_said(make_world, tmp_path):
    (tmp_path / 'file').touch()
    code, _, complained = make_world(tmp_path / 'file' / 'world')
    assert code == 2
    assert complained.startswith(
        f'topspark make-world: OUTPUT is {tmp_path / "file" / "world"}, '
        'accepted is a folder that can be written: '
    )
