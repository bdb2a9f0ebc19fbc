"""ONNX files of a few layers, written field by field: the package that writes them is not needed
for anything else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

FLOAT32, FLOAT16, INT64 = 1, 10, 7  # types of elements
SIDE = 8  # of a picture, pixels


def varint(number: int) -> bytes:
    low = bytearray()
    while number > 0x7F:
        low.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(low) + bytes([number])


def field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return varint(8 * number) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(8 * number + 2) + varint(len(data)) + data


def tensor(name: str, values: np.ndarray, external: bool = False) -> bytes:
    kind = INT64 if values.dtype == np.int64 else FLOAT32
    record = b''.join(field(1, length) for length in values.shape)
    record += field(2, kind) + field(8, name) + field(9, values.tobytes())
    return record + (field(14, 1) if external else b'')


def value_info(name: str, shape: Sequence[int | str], element: int = FLOAT32) -> bytes:
    dimensions = b''.join(
        field(1, field(1 if isinstance(length, int) else 2, length)) for length in shape
    )
    described = field(1, element) + field(2, dimensions)
    return field(1, name) + field(2, field(1, described))


def node(kind: str, inputs: Sequence[str], output: str, **attributes: int | list[int]) -> bytes:
    record = b''.join(field(1, name) for name in inputs) + field(2, output) + field(4, kind)
    for name, value in attributes.items():
        if isinstance(value, int):
            stored = field(3, value) + field(20, 2)
        else:
            stored = b''.join(field(8, each) for each in value) + field(20, 7)
        record += field(5, field(1, name) + stored)
    return record


def model(
    nodes: Sequence[bytes],
    weights: dict[str, np.ndarray],
    shape: Sequence[int | str] = (1, 3, SIDE, SIDE),
    element: int = FLOAT32,
    outputs: Sequence[str] = ('y',),
    external: bool = False,
    inputs: Sequence[str] = ('x',),
) -> bytes:
    """A model; the input x has this shape, and every other one."""
    graph = b''.join(field(1, each) for each in nodes) + field(2, 'tiny')
    graph += b''.join(field(5, tensor(*item, external)) for item in weights.items())
    graph += b''.join(field(11, value_info(name, shape, element)) for name in inputs)
    graph += b''.join(field(12, value_info(name, (1, 1))) for name in outputs)
    return field(1, 8) + field(7, graph) + field(8, field(1, '') + field(2, 13))


def convolution(output: str = 'y') -> bytes:
    return node('Conv', ['x', 'w'], output, kernel_shape=[3, 3])


def filters(features: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((features, 3, 3, 3)).astype(np.float32)


def write_encoder(path: Path, weights: np.ndarray, side: int = SIDE) -> Path:
    """Of one convolution, rectified, and its mean over the places."""
    nodes = [
        convolution('c'),
        node('Relu', ['c'], 'r'),
        node('GlobalAveragePool', ['r'], 'y'),
    ]
    path.write_bytes(model(nodes, {'w': weights}, (1, 3, side, side)))
    return path
