"""What an ONNX file says of its inputs and outputs. OpenCV, which runs it, does not tell.

ONNX files are protocol buffers: a record is fields, each of them a key, field number * 8 + how its
value is stored, and the value. Numbers of fields are those of onnx.proto, version 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from topspark_ros.errors import TopsparkError

FLOAT32 = 1  # type of an element
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # how values are stored
_MAX_SHIFT = 63  # bits
_EXTERNAL = 1


class OnnxError(TopsparkError):
    """The bytes are no ONNX model: one line with what is wrong."""


class Tensor(NamedTuple):
    """An input or an output. shape: 0 where the file leaves a length open. element: its type."""

    name: str
    element: int
    shape: tuple[int, ...]


class Graph(NamedTuple):
    """inputs: without those whose values are in the file. outputs: their number.
    external: whether weights are in another file.
    """

    inputs: tuple[Tensor, ...]
    outputs: int
    external: bool


def read_graph(data: bytes) -> Graph:
    """What a file says, of its bytes. Raises OnnxError."""
    graphs = [value for field, value in _records(memoryview(data)) if field == 7]
    if len(graphs) != 1:
        raise OnnxError('it has no graph')
    inputs, constants = [], set()
    outputs, external = 0, False
    for field, value in _records(graphs[0]):
        if field == 5:  # a tensor whose values are given
            for part, stored in _fields(value):
                if part == 8 and isinstance(stored, memoryview):
                    constants.add(_text(stored))
                external |= part == 14 and stored == _EXTERNAL
        elif field == 11:
            inputs.append(_tensor(value))
        outputs += field == 12
    given = tuple(tensor for tensor in inputs if tensor.name not in constants)
    return Graph(given, outputs, external)


def _tensor(info: memoryview) -> Tensor:
    """Of a ValueInfoProto."""
    name, element, shape = '', 0, []
    for field, value in _records(info):
        if field == 1:
            name = _text(value)
        elif field == 2:
            for tensor in (part for kind, part in _records(value) if kind == 1):
                element = next((n for part, n in _numbers(tensor) if part == 1), 0)
                for dimensions in (part for kind, part in _records(tensor) if kind == 2):
                    shape = [
                        next((length for part, length in _numbers(dimension) if part == 1), 0)
                        for kind, dimension in _records(dimensions)
                        if kind == 1
                    ]
    return Tensor(name, element, tuple(shape))


def _text(value: memoryview) -> str:
    return bytes(value).decode(errors='replace')


def _records(record: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The fields that are bytes: text, or records themselves."""
    for field, value in _fields(record):
        if isinstance(value, memoryview):
            yield field, value


def _numbers(record: memoryview) -> Iterator[tuple[int, int]]:
    """The fields that are integers."""
    for field, value in _fields(record):
        if isinstance(value, int):
            yield field, value


def _fields(record: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field."""
    at = 0
    while at < len(record):
        key, at = _varint(record, at)
        kind = key % 8
        if kind == _VARINT:
            number, at = _varint(record, at)
            yield key // 8, number
            continue
        if kind == _BYTES:
            size, at = _varint(record, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise OnnxError('it is no protocol buffer')
        if size > len(record) - at:
            raise OnnxError('it is no protocol buffer, or only the beginning of one')
        yield key // 8, record[at : at + size]
        at += size


def _varint(record: memoryview, at: int) -> tuple[int, int]:
    """An integer of 7 bits a byte, the lowest first; and where the next field begins."""
    number = shift = 0
    while at < len(record) and shift <= _MAX_SHIFT:
        byte = record[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
    raise OnnxError('it is no protocol buffer, or only the beginning of one')
