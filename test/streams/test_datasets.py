"""Datasets: the real ones, and every way a file can be broken."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from topspark_ros.streams.datasets import DATASET_NAMES, load_dataset
from topspark_ros.streams.errors import DatasetError

SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data'


@pytest.fixture
def real_data(monkeypatch):
    folder = Path(os.environ.get('TOPSPARK_DATA') or SHARED)
    if not (folder / 'mnist').is_dir():
        pytest.skip(f'no MNIST in {folder}: set TOPSPARK_DATA')
    monkeypatch.setenv('TOPSPARK_DATA', str(folder))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A small but valid MNIST; the test breaks it."""
    monkeypatch.setenv('TOPSPARK_DATA', str(tmp_path))
    (tmp_path / 'mnist').mkdir()
    for prefix in ('train', 't10k'):
        write(tmp_path / f'mnist/{prefix}-images-idx3-ubyte.gz', 3, (2, 4, 3), range(24))
        write(tmp_path / f'mnist/{prefix}-labels-idx1-ubyte.gz', 1, (2,), (7, 9))
    return tmp_path / 'mnist'


def write(path, dimensions, shape, values):
    header = bytes((0, 0, 8, dimensions)) + b''.join(n.to_bytes(4, 'big') for n in shape)
    path.write_bytes(gzip.compress(header + bytes(values)))


def rejection(*arguments):
    with pytest.raises(DatasetError) as error:
        load_dataset(*arguments)
    message = str(error.value)
    assert '\n' not in message
    return message


def test_digits():
    digits = load_dataset('digits')
    assert digits.images.shape == (1797, 8, 8) and digits.images.dtype == np.uint8
    assert digits.images.min() == 0 and digits.images.max() == 255
    assert digits.labels.shape == (1797,) and digits.labels.dtype == np.int64
    assert digits.class_names == tuple('0123456789')


def test_digits_split_is_fixed_and_disjoint():
    train, test, both = (load_dataset('digits', split) for split in ('train', 'test', 'all'))
    assert len(train.labels) == 1297 and len(test.labels) == 500
    np.testing.assert_array_equal(np.concatenate((train.images, test.images)), both.images)
    np.testing.assert_array_equal(np.concatenate((train.labels, test.labels)), both.labels)


@pytest.mark.parametrize('name', ['mnist', 'fashion_mnist'])
def test_real_idx_files(real_data, name):
    train, test, both = (load_dataset(name, split) for split in ('train', 'test', 'all'))
    for part in (train, test, both):
        assert part.images.shape == (len(part.labels), 28, 28)
        assert part.images.dtype == np.uint8 and part.labels.dtype == np.int64
        assert set(part.labels) == set(range(10)) and len(part.class_names) == 10
    assert len(both.labels) == len(train.labels) + len(test.labels)


def test_idx_values(folder):
    train = load_dataset('mnist', 'train')
    np.testing.assert_array_equal(train.images.ravel(), np.arange(24))
    assert train.images.shape == (2, 4, 3) and train.labels.tolist() == [7, 9]


def test_unknown_name_and_split():
    assert rejection('imagenet') == (
        f"dataset is 'imagenet', accepted is one of {', '.join(DATASET_NAMES)}, or a folder with "
        'a sub-folder of images or event bags for each class'
    )
    assert rejection('digits', 'half') == "split is 'half', accepted is one of train, test, all"


def test_variable_not_set(monkeypatch):
    monkeypatch.delenv('TOPSPARK_DATA', raising=False)
    assert rejection('mnist') == (
        'TOPSPARK_DATA is not set, accepted is a folder that holds mnist/ '
        'with the four gzipped IDX files of that dataset'
    )


def test_missing_file(folder):
    path = folder / 't10k-labels-idx1-ubyte.gz'
    path.unlink()
    load_dataset('mnist', 'train')
    assert rejection('mnist', 'test') == (
        f'{path}: No such file or directory, accepted is the gzipped IDX file of mnist; '
        'TOPSPARK_DATA is the folder that holds mnist/'
    )


def test_broken_files(folder):
    images, labels = (folder / f'train-{kind}-ubyte.gz' for kind in ('images-idx3', 'labels-idx1'))
    whole = images.read_bytes()
    for content in (b'not gzip', whole[:-12], whole[:-8] + b'\xff' * 8):
        images.write_bytes(content)
        message = rejection('mnist')
        assert message.startswith(f'{images}: ')
        assert message.endswith(', accepted is a whole gzipped IDX file')

    write(images, 1, (24,), range(24))
    assert rejection('mnist') == (
        f'{images}: starts with 0x00000801, accepted is 0x00000803 (IDX of uint8, 3 dimensions)'
    )
    write(images, 3, (2, 4, 3), range(23))
    assert rejection('mnist') == (
        f'{images}: data is 23 bytes, accepted is 24 for the shape (2, 4, 3) in its header'
    )
    write(images, 3, (2, 4, 3), range(25))
    assert rejection('mnist') == (
        f'{images}: data is more than 24 bytes, accepted is 24 for the '
        'shape (2, 4, 3) in its header'
    )
    write(images, 3, (2**31, 2**31, 2**31), range(24))
    assert rejection('mnist').startswith(f'{images}: {2**93} bytes by the shape ')
    write(images, 3, (3, 4, 2), range(24))
    assert rejection('mnist') == (
        f'{folder}: train is 3 images and 2 labels, accepted is one label for each image'
    )
    write(images, 3, (2, 4, 3), range(24))
    write(labels, 1, (2,), (7, 10))
    assert rejection('mnist') == f'{folder}: train label is 10, accepted is 0 to 9'
