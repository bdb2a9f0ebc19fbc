"""Messages of any type made by Hypothesis from their definitions: garbage, whole or in part."""

from __future__ import annotations

import array
import copy
import importlib
import re
from typing import Any

import numpy as np
from hypothesis import strategies as st

MAX_BYTES = 2**20  # of a sequence of bytes, where it is huge
MAX_ELEMENTS = 10_000  # of any other
LONG_TEXT = 'x' * 100_000

_INTEGERS = {
    f'{sign}int{bits}': (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for bits in (8, 16, 32, 64)
    for sign in ('u', '')
}
_INTEGERS |= {'octet': (0, 255), 'char': (0, 255)}
_FLOATS = {'float': 32, 'double': 64, 'float32': 32, 'float64': 64}
# What a field has to say for a message to get further than its first check.
WORDS = (
    'mono8',
    'bgr8',
    'mono16',
    'bayer_rggb8',
    'yuv422_yuy2',
    'nv12',
    '8UC1',
    'jpeg',
    'png',
    'evt3',
    'evt2',
    'libcaer',
    'libcaer_cmp',
    'mono',
    'cup',
    'operator',
    'loihi',
)


def load_type(name: str) -> type:
    """The class of a message type such as sensor_msgs/msg/Image."""
    package, _, kind = name.split('/')
    return getattr(importlib.import_module(f'{package}.msg'), kind)


def messages(message_type: type, real: Any = None) -> st.SearchStrategy:
    """Messages of a type whose fields are garbage; with `real`, a message, some of them its own."""
    fields = message_type.get_fields_and_field_types()
    garbage = {name: _values(kind) for name, kind in fields.items()}

    @st.composite
    def build(draw: st.DrawFn) -> Any:
        if real is not None and draw(st.booleans()):
            message = copy.deepcopy(real)
            chosen = draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=2))
        else:
            message, chosen = message_type(), fields
        for name in chosen:
            setattr(message, name, draw(garbage[name]))
        return message

    return build()


def _values(kind: str) -> st.SearchStrategy:
    """Of a field's type as get_fields_and_field_types names it."""
    if match := re.fullmatch(r'sequence<(.+?)(?:, (\d+))?>', kind):
        return _sequences(match[1], 0, int(match[2]) if match[2] else None)
    if match := re.fullmatch(r'(.+)\[(\d+)\]', kind):
        return _sequences(match[1], int(match[2]), int(match[2]))
    if kind == 'boolean':
        return st.booleans()
    if kind in _INTEGERS:
        low, high = _INTEGERS[kind]
        return st.one_of(
            st.integers(max(low, -3), 3), st.sampled_from((low, high)), st.integers(low, high)
        )
    if kind in _FLOATS:
        return st.floats(width=_FLOATS[kind])
    if kind.startswith(('string', 'wstring')):
        return st.one_of(
            st.sampled_from(WORDS), st.just(''), st.text(max_size=40), st.just(LONG_TEXT)
        )
    package, name = kind.split('/')
    return messages(load_type(f'{package}/msg/{name}'))


def _sequences(kind: str, least: int, most: int | None) -> st.SearchStrategy:
    if kind in _INTEGERS or kind in _FLOATS:
        # Made by NumPy of a seed: Hypothesis is slow with what is long.
        dtype = (
            f'f{_FLOATS[kind] // 8}'
            if kind in _FLOATS
            else {'octet': 'u1', 'char': 'u1'}.get(kind) or np.dtype(kind)
        )
        dtype = np.dtype(dtype)
        full = MAX_BYTES if dtype.itemsize == 1 else MAX_ELEMENTS
        sizes = (
            st.just(least)
            if least == most
            else st.one_of(
                st.integers(0, 64),
                st.sampled_from(
                    [size for size in (0, 1, 4096, 76_800, full) if most is None or size <= most]
                ),
            )
        )
        return st.builds(
            lambda size, seed: _array(dtype, size, seed), sizes, st.integers(0, 2**32 - 1)
        )
    return st.lists(_values(kind), min_size=least, max_size=least if least == most else 30)


def _array(dtype: np.dtype, size: int, seed: int) -> array.array | np.ndarray:
    raw = np.random.default_rng(seed).bytes(size * dtype.itemsize)
    return array.array(dtype.char, raw)


def bytes_that_are_none(whole: bytes) -> st.SearchStrategy:
    """Serialised messages that are cut, lengthened or altered, or noise from the start."""

    def alter(changes: list[tuple[int, int]]) -> bytes:
        altered = bytearray(whole)
        for place, value in changes:
            altered[place % len(altered)] = value
        return bytes(altered)

    header = whole[:4]  # of the encapsulation
    return st.one_of(
        st.integers(0, len(whole)).map(lambda end: whole[:end]),
        st.lists(
            st.tuples(st.integers(0, min(len(whole), 200)), st.integers(0, 255)),
            min_size=1,
            max_size=8,
        ).map(alter),
        st.binary(max_size=400).map(lambda noise: header + noise),
        st.binary(max_size=64),
        st.binary(max_size=64).map(lambda noise: whole + noise),
    )
