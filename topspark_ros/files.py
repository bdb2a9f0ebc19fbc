"""Files. What a stranger may have written is read without executing anything in it, and its size is
known before memory is taken for it; what is written is whole. Every room may import it.

`accepted` ends the line of an error: what the file should be.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import yaml

from .errors import TopsparkError

try:
    from yaml import CSafeLoader as SafeLoader  # where PyYAML has libyaml
except ImportError:
    from yaml import SafeLoader

MAX_YAML_BYTES = 2**20
_MAX_YAML_DEPTH = 20
_MAX_INTEGER_DIGITS = 40
_YAML_NONSENSE = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError)


class FileError(TopsparkError):
    """A file was rejected: one line with its path, what is wrong with it and what is accepted."""


def open_file(path: str | os.PathLike, max_bytes: int, accepted: str) -> BinaryIO:
    """A file of at most `max_bytes`, open for reading.

    Raises FileError for one that is larger or cannot be opened, and for pipes and devices, which
    may never end, or never begin.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise FileError(f'{path}: {error.strerror}, accepted is {accepted}') from None
    except ValueError:
        raise FileError(f'{str(path)!r}: no path, accepted is {accepted}') from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            kind = 'a folder' if stat.S_ISDIR(found.st_mode) else 'a pipe or a device'
            raise FileError(f'{path}: {kind}, accepted is {accepted}')
        if found.st_size > max_bytes:
            raise FileError(
                f'{path}: {found.st_size} bytes, accepted is {accepted}, of at most '
                f'{max_bytes} bytes'
            )
        return open(descriptor, 'rb')
    except BaseException:
        os.close(descriptor)
        raise


def write_text(path: str | os.PathLike, text: str) -> None:
    """The same as `write_bytes` for a text, in UTF-8."""
    write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Write a file whole or not at all, whenever the process is killed. OSError."""
    path = Path(path)
    scratch = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        scratch.write_bytes(content)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def open_text(path: str | os.PathLike, max_bytes: int, accepted: str) -> Iterator[TextIO]:
    """The same for a file of text, UTF-8 with or without its mark, lines as they are.

    Raises FileError, too, where it cannot be read on.
    """
    with io.TextIOWrapper(open_file(path, max_bytes, accepted), 'utf-8-sig', newline='') as file:
        try:
            yield file
        except OSError as error:
            raise FileError(f'{path}: {error.strerror}, accepted is {accepted}') from None


def read_bytes(path: str | os.PathLike, max_bytes: int, accepted: str) -> bytes:
    """All of a file of at most `max_bytes`. Raises FileError as `open_file` does."""
    with open_file(path, max_bytes, accepted) as file:
        try:
            return file.read(os.fstat(file.fileno()).st_size)
        except OSError as error:
            raise FileError(f'{path}: {error.strerror}, accepted is {accepted}') from None


def read_text(path: str | os.PathLike, max_bytes: int, accepted: str) -> str:
    """All of a file, UTF-8 with or without its mark. Raises FileError."""
    try:
        return read_bytes(path, max_bytes, accepted).decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise FileError(f'{path}: {error}, accepted is {accepted}') from None


def read_yaml(path: str | os.PathLike, accepted: str, max_bytes: int = MAX_YAML_BYTES) -> Any:
    """What a YAML file says, in Python's plain types.

    Raises FileError for what is no YAML, and for what would be much more than the file is: aliases,
    deep nesting, endless integers.
    """
    return parse_yaml(read_text(path, max_bytes, accepted), path, accepted)


def parse_yaml(text: str, path: str | os.PathLike, accepted: str) -> Any:
    """The same for a text that stands somewhere in the file at `path`."""
    with _no_nonsense(path, accepted):
        for _ in _checked_events(text):
            pass
        return yaml.load(text, _Loader)


def read_yaml_events(
    path: str | os.PathLike, accepted: str, max_bytes: int = MAX_YAML_BYTES
) -> list[yaml.Event]:
    """What a YAML file is made of, of all its documents. Raises FileError as `read_yaml` does."""
    text = read_text(path, max_bytes, accepted)
    with _no_nonsense(path, accepted):
        return list(_checked_events(text))


@contextmanager
def _no_nonsense(path: str | os.PathLike, accepted: str) -> Iterator[None]:
    """FileError for all that PyYAML raises, which does not wrap what its constructors do."""
    try:
        yield
    except _YAML_NONSENSE as error:
        reason = ' '.join(str(error).split())
        raise FileError(f'{Path(path)}: {reason}, accepted is {accepted}') from None


class _Loader(SafeLoader):
    """Constructs plain types only."""

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        # The time that one takes rises with the square of its digits.
        if len(node.value) > _MAX_INTEGER_DIGITS:
            raise yaml.MarkedYAMLError(
                problem=f'an integer of {len(node.value)} digits', problem_mark=node.start_mark
            )
        return super().construct_yaml_int(node)


_Loader.add_constructor('tag:yaml.org,2002:int', _Loader.construct_yaml_int)


def _checked_events(text: str) -> Iterator[yaml.Event]:
    """YAMLError for aliases and deep nesting, before anything is constructed."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.MarkedYAMLError(
                problem=f'an alias (*{event.anchor})', problem_mark=event.start_mark
            )
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_YAML_DEPTH:
            raise yaml.MarkedYAMLError(
                problem=f'more than {_MAX_YAML_DEPTH} levels deep', problem_mark=event.start_mark
            )
        yield event
