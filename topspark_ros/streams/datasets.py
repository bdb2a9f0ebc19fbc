"""Labelled image sets: scikit-learn's digits, MNIST and Fashion-MNIST, any folder by class."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from topspark_ros.files import FileError, open_file

from .errors import DatasetError

# Environment variable with the folder that holds a sub-folder for each IDX dataset.
DATA_VARIABLE = 'TOPSPARK_DATA'

_DIGITS = tuple('0123456789')
_GARMENTS = (
    't-shirt',
    'trouser',
    'pullover',
    'dress',
    'coat',
    'sandal',
    'shirt',
    'sneaker',
    'bag',
    'ankle boot',
)
_CLASS_NAMES = {'digits': _DIGITS, 'mnist': _DIGITS, 'fashion_mnist': _GARMENTS}
_FILE_PREFIXES = {'train': ('train',), 'test': ('t10k',), 'all': ('train', 't10k')}

# scikit-learn's digits come in one piece: this many of a fixed shuffle are for testing.
_DIGITS_TEST_COUNT = 500

MAX_IDX_BYTES = 2**30  # packed and unpacked
DATASET_NAMES = tuple(_CLASS_NAMES)


@dataclass(frozen=True)
class Dataset:
    """Labelled images.

    Parameters
    ----------
    images
        (n, height, width) uint8, grey, the object bright on 0. Photographs: (n,) of object, each
        (height, width, 3) uint8, RGB.
    labels
        (n,) int64, index into class_names.
    class_names
        The name of each class.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]


def load_dataset(name: str, split: str = 'all', *, photographs: bool = False) -> Dataset:
    """Load a dataset.

    'digits' are scikit-learn's 1,797 handwritten digits (8 x 8, values 0..16 scaled to 0..255);
    the test part is 500 of a fixed shuffle. 'mnist' and 'fashion_mnist' (28 x 28) are read from
    the standard gzipped IDX files (LeCun et al. 1998; Xiao et al. 2017, arXiv:1708.07747) in
    $TOPSPARK_DATA/<name>/: train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz and the same
    with t10k for the test part. A folder holds a sub-folder of images and event bags for each
    class, see folders.py; its samples are 28 x 28, or photographs.

    Parameters
    ----------
    name
        One of DATASET_NAMES, or the path of a folder.
    split
        'train', 'test' or 'all' (train, then test).
    photographs
        Whether the images of a folder are wanted as they are, for a camera to look at.

    Raises
    ------
    DatasetError
        For an unknown name or split and for a file that is missing or broken.
    """
    if split not in _FILE_PREFIXES:
        raise DatasetError(f'split is {split!r}, accepted is one of {", ".join(_FILE_PREFIXES)}')
    if name not in _CLASS_NAMES:
        if not Path(name).is_dir():
            raise DatasetError(
                f'dataset is {name!r}, accepted is one of '
                f'{", ".join(DATASET_NAMES)}, or a folder with a sub-folder of '
                'images or event bags for each class'
            )
        from .folders import load_folder  # brings Numba and the readers of bags

        return Dataset(*load_folder(Path(name), split, photographs))
    if name == 'digits':
        images, labels = _load_digits(split)
    else:
        parts = [_load_idx_pair(name, prefix) for prefix in _FILE_PREFIXES[split]]
        images, labels = (np.concatenate(arrays) for arrays in zip(*parts))
    return Dataset(images, labels, _CLASS_NAMES[name])


def _load_digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits  # slow to import, and only needed here

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(images))
    boundary = len(order) - _DIGITS_TEST_COUNT
    chosen = {'train': order[:boundary], 'test': order[boundary:], 'all': order}[split]
    return images[chosen], digits.target[chosen].astype(np.int64)


def _load_idx_pair(name: str, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    root = os.environ.get(DATA_VARIABLE)
    if not root:
        raise DatasetError(
            f'{DATA_VARIABLE} is not set, accepted is a folder that holds '
            f'{name}/ with the four gzipped IDX files of that dataset'
        )
    folder = Path(root) / name
    images = _read_idx(folder / f'{prefix}-images-idx3-ubyte.gz', dimensions=3)
    labels = _read_idx(folder / f'{prefix}-labels-idx1-ubyte.gz', dimensions=1)
    if len(images) != len(labels):
        raise DatasetError(
            f'{folder}: {prefix} is {len(images)} images and {len(labels)} labels, '
            'accepted is one label for each image'
        )
    class_count = len(_CLASS_NAMES[name])
    if labels.size and labels.max() >= class_count:
        raise DatasetError(
            f'{folder}: {prefix} label is {labels.max()}, accepted is 0 to {class_count - 1}'
        )
    return images, labels.astype(np.int64)


def _read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read a gzipped IDX file of uint8: magic 0x0000 08 nd, nd big-endian sizes, the data."""
    accepted = (
        f'the gzipped IDX file of {path.parent.name}; {DATA_VARIABLE} is the folder that '
        f'holds {path.parent.name}/'
    )
    try:
        with open_file(path, MAX_IDX_BYTES, accepted) as packed, gzip.open(packed) as file:
            magic, sizes = file.read(4), file.read(4 * dimensions)
            if magic != bytes((0, 0, 8, dimensions)) or len(sizes) < 4 * dimensions:
                raise DatasetError(
                    f'{path}: starts with 0x{magic.hex()}, accepted is 0x000008'
                    f'{dimensions:02x} (IDX of uint8, {dimensions} dimensions)'
                )
            shape = tuple(np.frombuffer(sizes, '>u4').tolist())
            size = math.prod(shape)
            if size > MAX_IDX_BYTES:
                raise DatasetError(
                    f'{path}: {size} bytes by the shape {shape} in its header, '
                    f'accepted is at most {MAX_IDX_BYTES}'
                )
            content = file.read(size + 1)
    except FileError as error:
        raise DatasetError(str(error)) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f'{path}: {error}, accepted is a whole gzipped IDX file') from None
    if len(content) != size:
        found = f'more than {size}' if len(content) > size else len(content)
        raise DatasetError(
            f'{path}: data is {found} bytes, accepted is {size} for the shape {shape} in its header'
        )
    return np.frombuffer(content, np.uint8).reshape(shape)
