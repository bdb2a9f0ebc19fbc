"""A network in a file: written whole or not at all, checked whole before any of it is used.

Layout: MAGIC; the format's version and the header's length, little-endian uint32 each; the
header, JSON in UTF-8 (configuration, class names, name, type and shape of each array); the
arrays' bytes in that order, little-endian, C order; SHA-256 of everything before it.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import math
import os
import secrets
import struct
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .configuration import MAX_CLASSES, NetworkConfig, NeuronConfig
from .errors import CheckpointError, EngineError
from .factory import create_network
from .network import Network

MAGIC = b'topspark network'
VERSION = 4
DIGEST_SIZE = hashlib.sha256().digest_size
ABANDONED_AFTER = 3600.0  # seconds; no writer that lives takes as long


class Checkpoint(NamedTuple):
    """What was loaded: a network that continues where it was saved, and its classes' names."""

    network: Network
    class_names: tuple[str, ...]


def save_checkpoint(
    path: str | os.PathLike, network: Network, class_names: Sequence[str] = ()
) -> None:
    """Write `network` to `path`, atomically.

    Whoever reads `path`, at any time, and after a crash of the program or a loss of power, finds
    the previous file or the new one. The directory must exist.

    Raises CheckpointError if it cannot be written; the previous file is then untouched.
    """
    path = Path(path)
    content = _encode(network, class_names)
    temporary = _temporary(path)
    try:
        _remove_abandoned(path)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            with open(descriptor, 'wb') as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise CheckpointError(f'{path} cannot be written: {error.strerror}') from error


def check_writable(path: str | os.PathLike) -> None:
    """Find out whether `save_checkpoint` can write to `path`, by writing beside it.

    Folders that are missing are made.

    Raises CheckpointError naming `path` and what is wrong.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise CheckpointError(f'{path} is a folder, accepted is a file')
        if path.exists() and not os.access(path, os.W_OK):
            raise CheckpointError(f'{path} cannot be written: it is read-only')
        for folder in path.parents:
            if folder.exists() and not folder.is_dir():
                raise CheckpointError(f'{path} cannot be written: {folder} is no folder')
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(path)
        temporary.touch(exist_ok=False)
        temporary.unlink()
    except OSError as error:
        raise CheckpointError(f'{path} cannot be written: {error.strerror}') from error


def load_checkpoint(
    path: str | os.PathLike, expected: NetworkConfig | None = None
) -> Checkpoint:
    """Read what `save_checkpoint` wrote. Executes nothing that the file says.

    expected: the configuration to run with. Its inputs, neurons and rule must be those that the
        file was saved with; the rest does not shape what the arrays are. None: the file's own.

    Raises CheckpointError naming the file, what is wrong with it and what is accepted.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f'{path} cannot be read: {error.strerror}') from error
    try:
        return _decode(content, expected)
    except EngineError as error:
        raise CheckpointError(f'{path} is refused: {error}') from error


def _encode(network: Network, class_names: Sequence[str]) -> bytes:
    names = list(class_names)
    if not all(isinstance(name, str) for name in names) or len(names) > MAX_CLASSES:
        raise CheckpointError(
            f'class_names is {class_names!r}, accepted are up to {MAX_CLASSES} strings'
        )
    arrays = {
        name: np.ascontiguousarray(array, array.dtype.newbyteorder('<'))
        for name, array in network.state().items()
    }
    header = json.dumps(
        {
            'config': asdict(network.config),
            'class_names': names,
            'arrays': [[name, a.dtype.str, a.shape] for name, a in arrays.items()],
        }
    ).encode()
    preamble = MAGIC + struct.pack('<II', VERSION, len(header)) + header
    content = preamble + b''.join(array.tobytes() for array in arrays.values())
    return content + hashlib.sha256(content).digest()


def _decode(content: bytes, expected: NetworkConfig | None) -> Checkpoint:
    start = len(MAGIC) + struct.calcsize('<II')
    if not content.startswith(MAGIC) or len(content) < start + DIGEST_SIZE:
        raise EngineError('it is no topspark checkpoint, or only the beginning of one')
    version, header_size = struct.unpack_from('<II', content, len(MAGIC))
    if version != VERSION:
        raise EngineError(f'its format version is {version}, accepted is {VERSION}')
    if hashlib.sha256(content[:-DIGEST_SIZE]).digest() != content[-DIGEST_SIZE:]:
        raise EngineError('its checksum is wrong: it is truncated or corrupted')
    try:
        # The checksum is right, so whatever fails below was written by somebody else.
        header = json.loads(content[start : start + header_size])
        fields = header['config']
        config = NetworkConfig(**{**fields, 'neuron': NeuronConfig(**fields['neuron'])})
        class_names = tuple(str(name) for name in header['class_names'])
        arrays = {}
        offset = start + header_size
        for name, dtype, shape in header['arrays']:
            stored = np.frombuffer(content, dtype, math.prod(shape), offset).reshape(shape)
            offset += stored.nbytes
            arrays[name] = stored.astype(stored.dtype.newbyteorder('='))
        complete = offset == len(content) - DIGEST_SIZE
    except EngineError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise EngineError(f'its header makes no sense: {error}') from error
    if not complete:
        raise EngineError('its arrays do not fill it')
    if expected is not None:
        for field in ('inputs', 'neurons', 'rule'):
            found, wanted = getattr(config, field), getattr(expected, field)
            if found != wanted:
                raise EngineError(f'its {field} is {found}, accepted is {wanted}')
        config = expected
    network = create_network(config)
    network.restore(arrays)
    return Checkpoint(network, class_names)


def _temporary(path: Path) -> Path:
    """A name that is new every time: two writers of one path never share a temporary file."""
    return path.with_name(f'.{path.name}.{secrets.token_hex(8)}.tmp')


def _remove_abandoned(path: Path) -> None:
    """Remove the temporary files that killed writers of `path` have left."""
    for left in path.parent.glob(f'.{glob.escape(path.name)}.*.tmp'):
        with contextlib.suppress(FileNotFoundError):  # another writer was faster
            if time.time() - left.stat().st_mtime > ABANDONED_AFTER:
                left.unlink()
