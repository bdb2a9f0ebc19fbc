"""Filters made from photographs, for the learner's parameter `filters_file`."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2]))  # last, or it would hide the built package

from benchmarks import filters  # noqa: E402
from topspark_ros.engine import DiscriminantConfig, load_filters  # noqa: E402


@pytest.fixture
def photographs(tmp_path):
    """Some in the folder, some in one within."""
    random = np.random.default_rng(0)
    folder = tmp_path / 'photographs'
    (folder / 'mugs').mkdir(parents=True)
    for number in range(6):
        picture = np.rint(255 * filters.dead_leaves(random)).astype(np.uint8)
        within = folder / 'mugs' if number % 2 else folder
        cv2.imwrite(str(within / f'{number}.png'), cv2.resize(picture, (90, 60)))
    (folder / '.hidden').touch()
    return folder


def test_filters_are_made_from_photographs(photographs, tmp_path, monkeypatch):
    monkeypatch.setattr(filters, 'PICTURES', 60)
    path = tmp_path / 'own.npz'
    assert filters.main(['--photographs', str(photographs), '--int8', '--output', str(path)]) == 0
    random = np.random.default_rng(0)
    shown = filters.squares(photographs, random)  # as it was done there
    assert shown.shape == (60, 32, 32, 3) and 0.1 < shown.std() < 0.5
    for channels in (1, 3):
        own = load_filters(path, DiscriminantConfig(32, channels))
        for bank in own[:2]:
            assert bank.dtype == np.int8 and bank.max() == 127 and bank.min() >= 0
            assert len(np.unique(bank, axis=1).T) == bank.shape[1]
        seen = shown if channels == 3 else shown.mean(axis=3, keepdims=True)
        banks = [bank.astype(np.float32) for bank in own[:2]]
        currents = filters.present(seen, *banks, filters.TIMESTEPS)[2:]
        np.testing.assert_allclose(own.usual, [each.mean() for each in currents], rtol=1e-5)


@pytest.mark.parametrize(
    'content, message', [(None, 'accepted is a folder with images'), (b'mug', 'is no image')]
)
def test_what_is_no_photograph_is_rejected(content, message, tmp_path):
    if content is not None:
        (tmp_path / 'mug.png').write_bytes(content)
    with pytest.raises(SystemExit, match=message):
        filters.main(['--photographs', str(tmp_path), '--output', str(tmp_path / 'own.npz')])


def test_the_filters_of_the_package_are_not_written_over(tmp_path, capsys):
    with pytest.raises(SystemExit):
        filters.main(['--int8'])
    assert '--output is missing' in capsys.readouterr().err
