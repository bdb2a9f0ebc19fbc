"""Files of the filters that spiking features are seen by: the package's, or a user's own.

An .npz file, as `python -m benchmarks.filters` writes it. For pictures in colour: colour_edges,
colour_surfaces and colour_usual, which are Filters; for grey ones the same of grey. Filters are
float32, or int8, both of any scale: where they compete, and over what is usual, a factor that all
filters of a bank share makes no difference. Whole numbers of int8 are summed up exactly.
"""

from __future__ import annotations

import io
import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from ..files import FileError, open_file
from .configuration import FeaturesConfig
from .errors import EngineError
from .kernels.seeing import Filters

PACKAGED = Path(__file__).with_name('filters.npz')  # python -m benchmarks.filters
ACCEPTED = 'an .npz file of filters'
WEIGHTS = Filters._fields[:2]  # the arrays that may be of either type
FLOAT32 = np.dtype(np.float32)
TYPES = FLOAT32, np.dtype(np.int8)
MAX_BYTES = 2**20  # of a file, and of an array in it
# Potentials and features stay finite in float32.
MAX_WEIGHT = 1e6
USUAL = 1e-6, 1e9
_NONSENSE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,  # this and the next of a header, which is Python's notation
    SyntaxError,
    TypeError,
    ValueError,
    LookupError,
    EOFError,
    RuntimeError,  # of a password; and its NotImplementedError and RecursionError
    OSError,
)


def load_filters(path: str | os.PathLike, config: FeaturesConfig) -> Filters:
    """The filters of a file for such pictures; of more than there are in `config`, the first.

    Executes nothing that the file says.

    Raises
    ------
    EngineError
        Naming the file, what is wrong with it and what is accepted.
    """
    kind = 'grey' if config.channels == 1 else 'colour'
    names = f'{kind}_edges', f'{kind}_surfaces', f'{kind}_usual'
    try:
        with open_file(path, MAX_BYTES, ACCEPTED) as file, zipfile.ZipFile(file) as archive:
            edges = _read(archive, names[0], TYPES, 5 * 5 * 2, config.edge_filters)
            surfaces = _read(
                archive, names[1], TYPES, 3 * 3 * 2 * config.channels, config.surface_filters
            )
            filters = Filters(edges, surfaces, _read(archive, names[2], (FLOAT32,), 2))
        require_sound(filters, names)
    except FileError as error:
        raise EngineError(str(error)) from None
    except EngineError as error:
        raise EngineError(f'{path}: {error}') from None
    except _NONSENSE as error:
        reason = ' '.join(str(error).split()) or 'damaged'
        raise EngineError(f'{path}: {reason}, accepted is {ACCEPTED}') from None
    return filters


def require_sound(filters: Filters, names: Sequence[str]) -> None:
    """EngineError, with these names of the arrays, for values that a network cannot see by."""
    for name, array in zip(names, filters):
        if not np.isfinite(array).all():
            raise EngineError(f'{name} is not finite, accepted is finite')
    for name, weights in zip(names, filters[:2]):
        if not weights.any(axis=0).all():
            raise EngineError(f'{name} has a filter of zeros, accepted is none')
        most = np.abs(weights.astype(FLOAT32)).max()
        if most > MAX_WEIGHT:
            raise EngineError(
                f'{name} has a weight of {most:g}, accepted is at most {MAX_WEIGHT:g}'
            )
    low, high = USUAL
    for value in filters.usual.tolist():
        if not low <= value <= high:
            raise EngineError(f'{names[2]} is {value:g}, accepted is {low:g} to {high:g}')


def in_float32(state: Any) -> Iterator[np.ndarray]:
    """Arrays of a state that begins with Filters, as kernels take them: of one type, whatever was
    stored. A copy of int8 takes a microsecond."""
    for number, array in enumerate(state):
        yield array.astype(FLOAT32, copy=False) if number < len(WEIGHTS) else array


def _read(
    archive: zipfile.ZipFile,
    name: str,
    types: tuple[np.dtype, ...],
    rows: int,
    columns: int | None = None,
) -> np.ndarray:
    """An array of this shape, or the first columns of one with more. No memory is taken for what
    the file only claims to hold."""
    member = f'{name}.npy'
    if member not in archive.namelist():
        raise EngineError(f'it has no {name}, accepted is {ACCEPTED}')
    if archive.getinfo(member).file_size > MAX_BYTES:
        raise EngineError(f'{name} is larger than the {MAX_BYTES} bytes accepted')
    with archive.open(member) as stored:
        data = io.BytesIO(stored.read(MAX_BYTES + 1))  # no more, should it hold more than it says
    if npy.read_magic(data) != (1, 0):
        raise EngineError(f'{name} is of another version than the 1.0 accepted')
    shape, by_columns, dtype = npy.read_array_header_1_0(data)
    wanted = f'({rows},)' if columns is None else f'({rows}, {columns} or more)'
    is_large_enough = (
        shape == (rows,)
        if columns is None
        else (len(shape) == 2 and shape[0] == rows and shape[1] >= columns)
    )
    if dtype not in types or not is_large_enough:
        kinds = ' or '.join(map(str, types))
        raise EngineError(f'{name} is {dtype} of shape {shape}, accepted is {kinds} of {wanted}')
    array = np.frombuffer(data.getbuffer(), dtype, math.prod(shape), data.tell())
    array = array.reshape(shape, order='F' if by_columns else 'C')
    return np.array(array if columns is None else array[:, :columns], order='C')
