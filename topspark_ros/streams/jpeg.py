"""Whether a JPEG is whole (ITU-T T.81): decoders make up what is missing, and only warn.

Headers are read in Python, the Huffman codes of all blocks by a compiled kernel, which keeps no
pixel. Some bytes too many before a restart marker are let go: webcams send them.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from topspark_ros.engine.kernels.compilation import entry_point, kernel
from topspark_ros.errors import TopsparkError

from .images import MAX_PIXELS

_PADDING = 16  # bytes before a restart marker
_MAX_SCANS = 100  # ten are usual; a stranger's file may keep us busy with many
_SHORT = 9  # bits of the codes that one look tells; the longest has 16
_EOI, _SOS, _DHT, _DRI = 0xD9, 0xDA, 0xC4, 0xDD
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
_OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}  # left to a decoder
_FRAMES = {*_SEQUENTIAL, _PROGRESSIVE, *_OTHER_FRAMES}
_REASONS = {
    1: 'a restart marker is missing',
    2: 'a code does not exist',
    3: 'data is missing',
    4: 'a value is out of range',
    5: 'a block has more than 64 values',
    6: 'data is left over',
}


class _Damage(TopsparkError):
    """What is wrong, and at which byte."""


class _Component(NamedTuple):
    blocks_a_unit: int  # of a scan that has several components
    history: np.ndarray  # values that are known not to be 0, a bit each; (blocks,) uint64


class _Frame(NamedTuple):
    units: int  # of 8 x 8 samples of each component, or more, as sampled
    components: dict[int, _Component]


def damage(data: np.ndarray) -> str | None:
    """What is wrong with a JPEG, for people; None: it is whole, or of a kind that is not judged.

    data: uint8, from its first marker on; what follows its end does not count.
    """
    try:
        _walk(data)
    except _Damage as found:
        return str(found)
    return None


def shape(data: np.ndarray) -> tuple[int, int]:
    """Height and width, pixels, of a JPEG that has no damage."""
    raw, position = data.data.cast('B'), 2
    while raw[position + 1] not in _FRAMES:
        if raw[position + 1] == 0xFF:  # fill
            position += 1
        else:
            position += 2 + int.from_bytes(raw[position + 2 : position + 4], 'big')
    height, width = (int.from_bytes(raw[position + at : position + at + 2], 'big') for at in (5, 7))
    return height, width


def warm_up() -> None:
    """Compile the kernel, or load it from its cache."""
    damage(cv2.imencode('.jpg', np.zeros((8, 8), np.uint8))[1])


def _walk(data: np.ndarray) -> None:
    raw = data.data.cast('B')
    position, tables, interval = 2, dict(_standard_tables()), 0
    frame, progressive, scans = _Frame(0, {}), False, 0
    shown: set[int] = set()
    while True:
        while bytes(raw[position : position + 2]) == b'\xff\xff':  # fill
            position += 1
        if position + 2 > len(raw) or raw[position] != 0xFF:
            raise _Damage(f'no marker at byte {position}')
        marker = raw[position + 1]
        if marker == _EOI:
            if not shown or shown != set(frame.components):
                raise _Damage(f'a scan is missing at byte {position}')
            return
        body = _segment(raw, position)
        position += 4 + len(body)
        try:
            if marker == _DHT:
                tables.update(_huffman_tables(body))
            elif marker == _DRI:
                interval = int.from_bytes(body[:2], 'big')
            elif marker in _OTHER_FRAMES:
                return
            elif marker in _SEQUENTIAL or marker == _PROGRESSIVE:
                progressive = marker == _PROGRESSIVE
                frame = _frame(body, len(raw))
            elif marker == _SOS:
                scans += 1
                if scans > _MAX_SCANS:
                    raise _Damage(f'more than {_MAX_SCANS} scans')
                position = _scan(data, position, body, frame, tables, interval, progressive)
                shown.update(body[1 : 1 + 2 * body[0] : 2])
        except _Damage:
            raise
        except (IndexError, KeyError, ValueError, ZeroDivisionError):
            raise _Damage(f'the segment before byte {position} makes no sense') from None


def _segment(raw: memoryview, position: int) -> bytes:
    length = int.from_bytes(raw[position + 2 : position + 4], 'big')
    if length < 2 or position + 2 + length > len(raw):
        raise _Damage(f'the segment at byte {position} is not whole')
    return bytes(raw[position + 4 : position + 2 + length])


def _frame(body: bytes, data_bytes: int) -> _Frame:
    height, width = int.from_bytes(body[1:3], 'big'), int.from_bytes(body[3:5], 'big')
    # Every block takes one bit or more, so no header makes anybody reserve memory.
    if height * width > min(MAX_PIXELS, 64 * 8 * data_bytes):
        raise _Damage(f'{data_bytes} bytes cannot hold {width} x {height} pixels')
    factors = {
        body[at]: (body[at + 1] >> 4, body[at + 1] & 15) for at in range(6, 6 + 3 * body[5], 3)
    }
    most = tuple(max(each) for each in zip(*factors.values()))
    components = {
        number: _Component(
            across * down,
            np.zeros(
                math.prod(
                    _ceil(_ceil(side * factor, greatest), 8)
                    for side, factor, greatest in zip((width, height), (across, down), most)
                ),
                np.uint64,
            ),
        )
        for number, (across, down) in factors.items()
    }
    return _Frame(_ceil(width, 8 * most[0]) * _ceil(height, 8 * most[1]), components)


def _ceil(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


def _scan(
    data: np.ndarray,
    position: int,
    body: bytes,
    frame: _Frame,
    tables: dict[int, np.ndarray],
    interval: int,
    progressive: bool,
) -> int:
    """Read a scan; returns where the marker behind it is."""
    count = body[0]
    chosen = [frame.components[body[1 + 2 * each]] for each in range(count)]
    selectors = [body[2 + 2 * each] for each in range(count)]
    first, last, bits = body[1 + 2 * count : 4 + 2 * count] if progressive else (0, 63, 0)
    # What a kernel that checks no index relies on.
    if not (
        1 <= count <= 4
        and first <= last < 64
        and (not progressive or last == 0 or (first > 0 and count == 1))
    ):
        raise _Damage(f'the scan before byte {position} makes no sense')
    order: np.ndarray = np.zeros(1, np.int64)
    units = chosen[0].history.size
    if count > 1:
        order = np.repeat(range(count), [each.blocks_a_unit for each in chosen])
        units = frame.units
    none = np.zeros(_TABLE_SIZE, np.int32)
    needs_dc, needs_ac = first == 0 and bits >> 4 == 0, last > 0
    lookup = np.stack(
        [
            *(tables[selector >> 4] if needs_dc else none for selector in selectors),
            *(tables[0x10 | selector & 15] if needs_ac else none for selector in selectors),
        ]
    )
    status, position = read_scan(
        data,
        position,
        order,
        units,
        interval,
        lookup,
        first,
        last,
        bits >> 4,
        progressive,
        chosen[0].history,
    )
    if status:
        raise _Damage(f'{_REASONS[status]} at byte {position}')
    return position


# Of one Huffman table, int32: what _SHORT bits say, as length << 8 | value or 0; by length, the
# first 16 bits above all codes, and what leads from a code to its value; the values.
_LIMITS = 1 << _SHORT
_OFFSETS = _LIMITS + 17
_VALUES = _OFFSETS + 17
_TABLE_SIZE = _VALUES + 256


def _huffman_tables(body: bytes) -> dict[int, np.ndarray]:
    """Of a DHT segment: by class << 4 | number."""
    tables = {}
    while body:
        end = 17 + sum(body[1:17])
        tables[body[0]] = _huffman_table(body[1:end])
        body = body[end:]
    return tables


@lru_cache(maxsize=32)  # a camera has the same ones in each frame
def _huffman_table(definition: bytes) -> np.ndarray:
    """definition: how many codes of 1 to 16 bits there are, and the values in order."""
    table = np.zeros(_TABLE_SIZE, np.int32)
    counts, values = definition[:16], definition[16:]
    table[_VALUES : _VALUES + len(values)] = list(values)
    code = taken = 0
    for length, count in enumerate(counts, 1):
        table[_OFFSETS + length] = taken - code
        if length <= _SHORT:
            room = 1 << (_SHORT - length)
            for value in values[taken : taken + count]:
                table[code * room : (code + 1) * room] = length << 8 | value
                code += 1
        else:
            code += count
        taken += count
        if code > 1 << length or taken > len(values):
            raise _Damage('a Huffman table makes no sense')
        table[_LIMITS + length] = code << (16 - length)
        code <<= 1
    return table


@lru_cache(maxsize=1)
def _standard_tables() -> dict[int, np.ndarray]:
    """Those of the standard's annex K: OpenCV writes them, and webcams leave them out."""
    raw = cv2.imencode('.jpg', np.zeros((8, 8, 3), np.uint8))[1].data
    position, tables = 2, {}
    while raw[position + 1] != _SOS:
        body = _segment(raw, position)
        if raw[position + 1] == _DHT:
            tables.update(_huffman_tables(body))
        position += 4 + len(body)
    return tables


@kernel
def _filled(
    data: np.ndarray, position: int, bits: np.uint64, held: int
) -> tuple[int, np.uint64, int]:
    """At least 48 bits, unless a marker or the end of all data comes before."""
    while held <= 48 and position < data.size:
        byte = data[position]
        if byte == 0xFF:
            if position + 1 >= data.size or data[position + 1] != 0:
                break
            position += 1
        position += 1
        bits = bits << np.uint64(8) | np.uint64(byte)
        held += 8
    return position, bits, held


@kernel
def _code(table: np.ndarray, bits: np.uint64, held: int) -> np.int64:
    """length << 8 | value of the code that comes next; 0: there is none."""
    if held >= 16:
        ahead = np.int64(bits >> np.uint64(held - 16)) & 0xFFFF
    else:
        ahead = np.int64(bits << np.uint64(16 - held)) & 0xFFFF
    code = np.int64(table[ahead >> (16 - _SHORT)])
    if code == 0:
        for length in range(_SHORT + 1, 17):
            if ahead < table[_LIMITS + length]:
                value = table[_VALUES + ((ahead >> (16 - length)) + table[_OFFSETS + length])]
                code = length << 8 | np.int64(value)
                break
    return code


@kernel
def _taken(bits: np.uint64, held: int, count: int) -> np.int64:
    """The last `count` of the bits that were held."""
    return np.int64(bits >> np.uint64(held - count)) & ((1 << count) - 1)


@entry_point
def read_scan(
    data: np.ndarray,
    position: int,
    order: np.ndarray,
    units: int,
    interval: int,
    tables: np.ndarray,
    first: int,
    last: int,
    refines: int,
    progressive: bool,
    history: np.ndarray,
) -> tuple[int, int]:
    """Read all codes of a scan. Returns 0, or one of _REASONS, and where reading ended.

    order: of the blocks in a unit, the number of their component in the scan. interval: units
    between restart markers; 0: none. tables: of all components, first those for the first value
    of a block, then those for the others. first, last: values of a block. refines: each gets a
    bit more, not its first ones. history: of the only component, for scans without first values.
    """
    bits, held = np.uint64(0), 0
    components = tables.shape[0] // 2
    before = np.zeros(4, np.int64)  # first value of the block before
    markers = 0
    blocks_to_skip = 0
    for unit in range(units):
        if interval and unit and unit % interval == 0:
            left = held // 8
            while position + 1 < data.size and not (
                data[position] == 0xFF and 0 < data[position + 1] < 0xFF
            ):
                position += 1
                left += 1
            if (
                left > _PADDING
                or position + 1 >= data.size
                or data[position + 1] != 0xD0 + markers % 8
            ):
                return 1, position
            position += 2
            markers += 1
            bits, held, blocks_to_skip = np.uint64(0), 0, 0
            before[:] = 0
        for number in order:
            if first == 0:
                position, bits, held = _filled(data, position, bits, held)
                if refines:
                    held -= 1
                else:
                    code = _code(tables[number], bits, held)
                    if code == 0:
                        return (2 if held >= 16 else 3), position
                    size = code & 0xFF
                    if size > 11:
                        return 4, position
                    held -= (code >> 8) + size
                    if held >= 0 and size:
                        change = _taken(bits, held + size, size)
                        if change < 1 << (size - 1):
                            change -= (1 << size) - 1
                        before[number] += change
                        if abs(before[number]) > 2047:
                            return 4, position
                if held < 0:
                    return 3, position
            k = max(first, 1)
            table = tables[components + number]
            if blocks_to_skip and not refines:
                blocks_to_skip -= 1
                k = last + 1
            while k <= last and not blocks_to_skip:
                position, bits, held = _filled(data, position, bits, held)
                code = _code(table, bits, held)
                if code == 0:
                    return (2 if held >= 16 else 3), position
                held -= code >> 8
                run, size = code >> 4 & 15, code & 15
                ends = size == 0 and run < 15
                if size > (1 if refines else 10) or (ends and run and not progressive):
                    return 4, position
                count = run if ends else size
                if count > held:
                    return 3, position
                held -= count
                if ends:
                    blocks_to_skip = (1 << run) + _taken(bits, held + run, run)
                    if not refines:
                        blocks_to_skip -= 1
                        break
                elif not refines:
                    k += run if size else 15
                    if k > last:
                        return 5, position
                    if progressive and size:
                        history[unit] |= np.uint64(1) << np.uint64(k)
                    k += 1
                else:
                    while k <= last:
                        if history[unit] >> np.uint64(k) & np.uint64(1):
                            position, bits, held = _filled(data, position, bits, held)
                            held -= 1
                        elif run == 0:
                            break
                        else:
                            run -= 1
                        k += 1
                    if held < 0:
                        return 3, position
                    if size:
                        if k > last:
                            return 5, position
                        history[unit] |= np.uint64(1) << np.uint64(k)
                    k += 1
            if refines and blocks_to_skip:
                while k <= last:
                    if history[unit] >> np.uint64(k) & np.uint64(1):
                        position, bits, held = _filled(data, position, bits, held)
                        held -= 1
                    k += 1
                if held < 0:
                    return 3, position
                blocks_to_skip -= 1
    if position + 1 >= data.size:
        return 3, position
    if held >= 8 or data[position] != 0xFF or data[position + 1] == 0:
        return 6, position
    return 0, position
