"""Camera messages as they come over the wire, read without a copy of their pixels.

A message is serialised as OMG CDR (DDS-XTypes 7.4.1, plain, version 1): four bytes that tell the
byte order, then the fields in their order, each aligned to its size; a string or sequence begins
with its length, 4 bytes. What is read has the fields of the ROS message of the same name.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from .images import ImageError

_BYTE_ORDERS = {b'\x00\x00': '>', b'\x00\x01': '<'}
_PREAMBLE = 4  # bytes before the first field, from which fields are aligned


class Time(NamedTuple):
    """builtin_interfaces/Time."""

    sec: int
    nanosec: int


class Header(NamedTuple):
    """std_msgs/Header."""

    stamp: Time
    frame_id: str


class Image(NamedTuple):
    """sensor_msgs/Image."""

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: memoryview


class CompressedImage(NamedTuple):
    """sensor_msgs/CompressedImage."""

    header: Header
    format: str
    data: memoryview


class _Reader:
    """Reads fields one after the other."""

    def __init__(self, serialised: bytes | memoryview):
        order = _BYTE_ORDERS.get(bytes(serialised[:2]))
        if order is None:
            raise ImageError(
                f'message begins with {bytes(serialised[:2]).hex() or "nothing"}, accepted '
                'is plain CDR: 0000 or 0001'
            )
        self._whole = memoryview(serialised)
        self._at = _PREAMBLE
        self._uint32, self._int32 = struct.Struct(f'{order}I'), struct.Struct(f'{order}i')

    def header(self) -> Header:
        stamp = Time(
            self._number('header.stamp.sec', self._int32), self.uint32('header.stamp.nanosec')
        )
        return Header(stamp, self.string('header.frame_id'))

    def uint32(self, field: str) -> int:
        return self._number(field, self._uint32)

    def uint8(self, field: str) -> int:
        return self._taken(field, 1)[0]

    def string(self, field: str) -> str:
        characters = self._taken(field, self.uint32(field))
        if not characters:  # some middleware's empty string
            return ''
        if characters[-1] != 0:
            raise ImageError(f'{field} has no end, accepted is a string that ends with a 0')
        try:
            return str(characters[:-1], 'utf-8')
        except UnicodeDecodeError:
            raise ImageError(f'{field} is {bytes(characters[:20])!r}, accepted is UTF-8') from None

    def bytes(self, field: str) -> memoryview:
        """A sequence of uint8, as part of the message."""
        return self._taken(field, self.uint32(field))

    def _number(self, field: str, form: struct.Struct) -> int:
        self._at += -self._at % 4  # the preamble has 4 bytes
        return form.unpack(self._taken(field, 4))[0]

    def _taken(self, field: str, count: int) -> memoryview:
        left = len(self._whole) - self._at
        if count > left:
            raise ImageError(
                f'{field} would be {count} bytes, accepted is at most the '
                f'{max(left, 0)} that are left of the message'
            )
        self._at += count
        return self._whole[self._at - count : self._at]


def read_image(serialised: bytes | memoryview) -> Image:
    """A sensor_msgs/Image. Raises ImageError, naming the field, for what is no such message."""
    reader = _Reader(serialised)
    return Image(
        reader.header(),
        reader.uint32('height'),
        reader.uint32('width'),
        reader.string('encoding'),
        reader.uint8('is_bigendian'),
        reader.uint32('step'),
        reader.bytes('data'),
    )


def read_compressed_image(serialised: bytes | memoryview) -> CompressedImage:
    """A sensor_msgs/CompressedImage. Raises ImageError, naming the field, for what is none."""
    reader = _Reader(serialised)
    return CompressedImage(reader.header(), reader.string('format'), reader.bytes('data'))
