"""A network in a file: written whole or not at all, checked whole before any of it is used.

Layout: MAGIC; the format's version and the header's length, little-endian uint32 each; the
header, JSON in UTF-8 (kind of network, its configuration, class names, what is known of confidence,
name, type and shape of each array); the arrays' bytes in that order, little-endian, C order;
SHA-256 of everything before it.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import json
import math
import os
import secrets
import struct
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from ..files import FileError, open_file
from .configuration import (
    MAX_CLASSES,
    AnyConfig,
    DiscriminantConfig,
    EncodedConfig,
    FeaturesConfig,
    NetworkConfig,
    NeuronConfig,
)
from .errors import CheckpointError, EngineError
from .factory import create_network
from .network import Layout, Network

MAGIC = b'topspark network'
VERSION = 8
# 5 holds single layers, and does not say so; until 6 these are shown pixels; until 7 discriminants
# have no exemplars.
READABLE = 5, 6, 7, VERSION
KINDS = {
    'single layer': NetworkConfig,
    'discriminant': DiscriminantConfig,
    "discriminant of an encoder's features": EncodedConfig,
}
MAX_BYTES = 2**33  # a recruiting network of 45,000 neurons
MAX_HEADER_BYTES = 2**23
MAX_NUMBERS = 1000  # of confidence
DIGEST_SIZE = hashlib.sha256().digest_size
_ARRAY_TYPES = ('|i1', '<f4', '<f8', '<i8', '<u8')
_MAX_DIMENSIONS = 4
_CHUNK = 2**20  # bytes


class Checkpoint(NamedTuple):
    """What was loaded: a network that continues where it was saved, and its classes' names.

    confidence: numbers that who saved it keeps of how often it is right; none if there are none.
    """

    network: Network
    class_names: tuple[str, ...]
    confidence: tuple[float, ...] = ()


def save_checkpoint(
    path: str | os.PathLike,
    network: Network,
    class_names: Sequence[str] = (),
    confidence: Sequence[float] = (),
) -> None:
    """Write `network` to `path`, atomically. class_names, confidence: as of a Checkpoint.

    Whoever reads `path`, at any time, and after a crash of the program or a loss of power, finds
    the previous file or the new one. The directory must exist.

    Raises
    ------
    CheckpointError
        If it cannot be written; the previous file is then untouched.
    """
    path = Path(path)
    parts = _encode(network, class_names, confidence)
    digest = hashlib.sha256()
    try:
        _remove_abandoned(path)
        temporary, file = _open_temporary(path)
        with file:
            try:
                for part in parts:
                    file.write(part)
                    digest.update(part)
                file.write(digest.digest())
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

    Raises
    ------
    CheckpointError
        Naming `path` and what is wrong.
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
        temporary, file = _open_temporary(path)
        with file:
            temporary.unlink()
    except OSError as error:
        raise CheckpointError(f'{path} cannot be written: {error.strerror}') from error


def load_checkpoint(path: str | os.PathLike, expected: AnyConfig | None = None) -> Checkpoint:
    """Read what `save_checkpoint` wrote. Executes nothing that the file says.

    Parameters
    ----------
    expected
        The configuration to run with. What of it shapes the arrays (of a single layer its inputs,
        neurons, rule and encoder) must be as the file was saved with. None: the file's own.

    Raises
    ------
    CheckpointError
        Naming the file, what is wrong with it and what is accepted.
    """
    try:
        with open_file(path, MAX_BYTES, 'a checkpoint') as file:
            return _decode(file, expected)
    except FileError as error:
        raise CheckpointError(str(error)) from None
    except OSError as error:
        raise CheckpointError(f'{path} cannot be read: {error.strerror}') from error
    except EngineError as error:
        raise CheckpointError(f'{path} is rejected: {error}') from error
    except MemoryError:
        raise CheckpointError(f'{path} is rejected: it takes more memory than there is') from None


def _encode(
    network: Network, class_names: Sequence[str], confidence: Sequence[float]
) -> list[bytes | memoryview]:
    """All but the digest: what comes before the arrays, and each array."""
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
            'kind': _kind(network.config),
            'config': asdict(network.config),
            'class_names': names,
            'confidence': list(confidence),
            'arrays': [[name, a.dtype.str, a.shape] for name, a in arrays.items()],
        }
    ).encode()
    if len(header) > MAX_HEADER_BYTES:
        raise CheckpointError(
            f'class_names make a header of {len(header)} bytes, accepted are {MAX_HEADER_BYTES}'
        )
    preamble = MAGIC + struct.pack('<II', VERSION, len(header)) + header
    return [preamble, *(array.reshape(-1).view(np.uint8).data for array in arrays.values())]


def _decode(file: BinaryIO, expected: AnyConfig | None) -> Checkpoint:
    """No array is read before it is known that the network has one of this type and shape."""
    start = len(MAGIC) + struct.calcsize('<II')
    end = os.fstat(file.fileno()).st_size - DIGEST_SIZE
    preamble = file.read(start)
    if not preamble.startswith(MAGIC) or end < start:
        raise EngineError('it is no topspark checkpoint, or only the beginning of one')
    version, header_size = struct.unpack_from('<II', preamble, len(MAGIC))
    if version not in READABLE:
        accepted = ' or '.join(map(str, READABLE))
        raise EngineError(f'its format version is {version}, accepted is {accepted}')
    if not _digest_is_right(file, end):
        raise EngineError('its checksum is wrong: it is truncated or corrupted')
    # The checksum is right, so whatever fails below was written by somebody else.
    if header_size > min(end - start, MAX_HEADER_BYTES):
        raise EngineError(
            f'its header is {header_size} bytes, accepted is what is in it, and at '
            f'most {MAX_HEADER_BYTES}'
        )
    file.seek(start)
    config, class_names, confidence, layout = _read_header(file.read(header_size))
    if sum(dtype.itemsize * math.prod(shape) for dtype, shape in layout.values()) != (
        end - start - header_size
    ):
        raise EngineError('its arrays do not fill it')
    if expected is not None:
        if _kind(config) != _kind(expected):
            raise EngineError(f'it holds a {_kind(config)}, accepted is a {_kind(expected)}')
        for field in expected.SHAPING:
            found, wanted = getattr(config, field), getattr(expected, field)
            if found != wanted:
                raise EngineError(
                    f'its {field} is {found or "none"}, accepted is {wanted or "none"}'
                )
        config = expected
    # Before a network is made of a configuration that the file has not the arrays of.
    name, shape = config.largest_array
    if layout.get(name, (None, ()))[1] != shape:
        raise EngineError(f'it has no {name} of {" x ".join(map(str, shape))}')
    network = create_network(config)
    network.check_layout(layout)
    network.restore(
        {
            name: np.fromfile(file, dtype.newbyteorder('<'), math.prod(shape))
            .reshape(shape)
            .astype(dtype, copy=False)
            for name, (dtype, shape) in layout.items()
        }
    )
    return Checkpoint(network, class_names, confidence)


def _digest_is_right(file: BinaryIO, end: int) -> bool:
    """Whether the bytes after `end` are the digest of those before; little at a time."""
    digest = hashlib.sha256()
    file.seek(0)
    while end > 0:
        chunk = file.read(min(end, _CHUNK))
        if not chunk:
            return False
        digest.update(chunk)
        end -= len(chunk)
    return file.read(DIGEST_SIZE) == digest.digest()


def _read_header(text: bytes) -> tuple[AnyConfig, tuple[str, ...], tuple[float, ...], Layout]:
    try:
        header = json.loads(text)
        fields = header['config']
        kind = header.get('kind', 'single layer')
        if kind not in tuple(KINDS):  # it may be anything, also what has no hash
            accepted = ', '.join(map(repr, KINDS))
            raise EngineError(f'its kind is {kind!r}, accepted is one of {accepted}')
        if 'neuron' in fields:
            fields['neuron'] = NeuronConfig(**fields['neuron'])
        if isinstance(fields.get('encoder'), dict):
            fields['encoder'] = FeaturesConfig(**fields['encoder'])
        config = KINDS[kind](**fields)
        class_names = header['class_names']
        if (
            not isinstance(class_names, list)
            or len(class_names) > MAX_CLASSES
            or not all(isinstance(name, str) for name in class_names)
        ):
            raise EngineError(f'its class_names are not up to {MAX_CLASSES} strings')
        confidence = header.get('confidence', [])
        if (
            not isinstance(confidence, list)
            or len(confidence) > MAX_NUMBERS
            or not all(type(number) is float and math.isfinite(number) for number in confidence)
        ):
            raise EngineError(f'its confidence is not up to {MAX_NUMBERS} finite numbers')
        layout = {}
        for name, dtype, shape in header['arrays']:
            if (
                dtype not in _ARRAY_TYPES
                or len(shape) > _MAX_DIMENSIONS
                or not all(type(length) is int and length >= 0 for length in shape)
            ):
                raise EngineError(f'its array {name!r} is {dtype!r} of shape {shape!r}')
            layout[name] = np.dtype(dtype).newbyteorder('='), tuple(shape)
        return config, tuple(class_names), tuple(confidence), layout
    except EngineError:
        raise
    except (
        TypeError,
        ValueError,
        KeyError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise EngineError(f'its header makes no sense: {error}') from error


def _kind(config: AnyConfig) -> str:
    return next(kind for kind, of_kind in KINDS.items() if isinstance(config, of_kind))


def _open_temporary(path: Path) -> tuple[Path, BinaryIO]:
    """A new file beside `path`, locked: whoever can lock one knows that its writer is gone.

    Its name is new every time: two writers of one path never share it.
    """
    while True:
        temporary = path.with_name(f'.{path.name}.{secrets.token_hex(8)}.tmp')
        file = open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), 'wb')
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_nlink:
                return temporary, file
        except BlockingIOError:
            pass
        except BaseException:
            temporary.unlink(missing_ok=True)
            file.close()
            raise
        file.close()  # before it was locked, another writer took it for abandoned


def _remove_abandoned(path: Path) -> None:
    """Remove the temporary files that killed writers of `path` have left."""
    for left in path.parent.glob(f'.{glob.escape(path.name)}.*.tmp'):
        with contextlib.suppress(OSError):  # gone already, locked by its writer, or not ours
            descriptor = os.open(left, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()
            finally:
                os.close(descriptor)
