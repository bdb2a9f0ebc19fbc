"""Grey images from the fields of sensor_msgs/Image and sensor_msgs/CompressedImage."""

from __future__ import annotations

from array import array
from typing import Union

import cv2
import numpy as np

from topspark_ros.errors import TopsparkError

# Encoding -> bytes a pixel and the OpenCV conversion to grey (None: grey already).
_FORMATS = {
    'mono8': (1, None),
    'mono16': (2, None),
    'bgr8': (3, cv2.COLOR_BGR2GRAY),
    'rgb8': (3, cv2.COLOR_RGB2GRAY),
    'bgra8': (4, cv2.COLOR_BGRA2GRAY),
    'rgba8': (4, cv2.COLOR_RGBA2GRAY),
}

ENCODINGS = tuple(_FORMATS)

Buffer = Union[bytes, bytearray, memoryview, array, np.ndarray]


class ImageError(TopsparkError):
    """An image was refused: one line with field, value and what is accepted."""


def to_gray(
    encoding: str, height: int, width: int, step: int, is_bigendian: bool, data: Buffer,
) -> np.ndarray:
    """The image as an array of shape (height, width), uint8.

    The arguments are the fields of sensor_msgs/Image. Colour becomes luma (ITU-R BT.601),
    mono16 keeps its high byte (full scale 65535 -> 255). For the two mono encodings the result
    is a view of `data`, possibly read-only and strided: nothing is copied.

    encoding: one of ENCODINGS.
    height, width: rows and columns, pixels, from 1.
    step: bytes a row, padding included.
    is_bigendian: byte order of mono16, true for the most significant byte first.
    data: bytes, array.array('B'), memoryview or uint8 ndarray of step * height bytes.

    Raises ImageError for an unknown encoding, an empty image, a step too small or a size of data
    that does not fit.
    """
    if encoding not in _FORMATS:
        raise ImageError(f'encoding is {encoding!r}, accepted is one of {", ".join(ENCODINGS)}')
    pixel_bytes, conversion = _FORMATS[encoding]
    for field, value in (('height', height), ('width', width)):
        if value < 1:
            raise ImageError(f'{field} is {value}, accepted is 1 pixel or more')
    row_bytes = width * pixel_bytes
    if step < row_bytes:
        raise ImageError(f'step is {step} bytes, accepted is {row_bytes} or more '
                         f'for {width} pixels of {encoding}')
    buffer = _bytes_of(data)
    if buffer.size != step * height:
        raise ImageError(f'data is {buffer.size} bytes, accepted is exactly {step * height} '
                         f'(step {step} x height {height})')

    rows = buffer.reshape(height, step)[:, :row_bytes]
    if encoding == 'mono8':
        return rows
    if encoding == 'mono16':
        high_byte = 0 if is_bigendian else 1
        return rows[:, high_byte::2]
    return cv2.cvtColor(rows.reshape(height, width, pixel_bytes), conversion)


def decode_compressed(format: str, data: Buffer) -> np.ndarray:
    """A compressed image as an array of shape (height, width), uint8.

    format: the field of sensor_msgs/CompressedImage, named in the error only: the signature of
        the file in `data` decides.
    data: bytes, array.array('B'), memoryview or uint8 ndarray, a whole JPEG or PNG file (or any
        other that OpenCV reads).

    Raises ImageError for data that is empty or cannot be decoded.
    """
    buffer = _bytes_of(data)
    if buffer.size == 0:
        raise ImageError('data is 0 bytes, accepted is a whole JPEG or PNG file')
    try:
        gray = cv2.imdecode(buffer, cv2.IMREAD_GRAYSCALE)
    except cv2.error:  # a header that promises an impossible size
        gray = None
    if gray is None:
        raise ImageError(f'data is {buffer.size} bytes of format {format!r} that cannot be '
                         'decoded, accepted is a whole JPEG or PNG file')
    return gray


def _bytes_of(data: Buffer) -> np.ndarray:
    """A flat uint8 view of any contiguous buffer."""
    try:
        if memoryview(data).nbytes == 0:  # numpy.frombuffer refuses an empty buffer
            return np.empty(0, np.uint8)
        return np.frombuffer(data, np.uint8)
    except (TypeError, ValueError, BufferError):
        raise ImageError(f'data is {type(data).__name__}, accepted is contiguous bytes, '
                         "array.array('B'), memoryview or uint8 ndarray") from None
