"""Image fields to grey, against arrays that are built another way."""

import array
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from topspark_ros.streams import ENCODINGS, ImageError, decode_compressed, to_gray

CHANNELS = {'bgr8': 'bgr', 'rgb8': 'rgb', 'bgra8': 'bgra', 'rgba8': 'rgba'}
BUFFERS = {
    'bytes': bytes,
    'array': lambda data: array.array('B', data),
    'memoryview': memoryview,
    'ndarray': lambda data: np.array(list(data), np.uint8),
}


@st.composite
def images(draw):
    """An encoding, size, padding, byte order, and pixel values as Python integers."""
    encoding = draw(st.sampled_from(ENCODINGS))
    height, width = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    channels = len(CHANNELS.get(encoding, 'm'))
    highest = 65535 if encoding == 'mono16' else 255
    values = draw(st.lists(st.integers(0, highest), min_size=height * width * channels,
                           max_size=height * width * channels))
    return encoding, height, width, values, draw(st.integers(0, 5)), draw(st.booleans())


def pack(encoding, height, width, values, padding, is_bigendian):
    """The bytes of an image, one value at a time."""
    code = ('>' if is_bigendian else '<') + ('H' if encoding == 'mono16' else 'B')
    per_row = len(values) // height
    rows = [b''.join(struct.pack(code, value) for value in values[row * per_row:][:per_row])
            + b'\xa5' * padding for row in range(height)]
    return len(rows[0]), b''.join(rows)


def expected_gray(encoding, height, width, values):
    if encoding == 'mono8':
        return np.array(values).reshape(height, width)
    if encoding == 'mono16':
        return np.array([value // 256 for value in values]).reshape(height, width)
    planes = dict(zip(CHANNELS[encoding],
                      np.array(values).reshape(height, width, -1).transpose(2, 0, 1)))
    return 0.299 * planes['r'] + 0.587 * planes['g'] + 0.114 * planes['b']


@settings(deadline=None)  # other load on the machine is no failure
@given(image=images(), buffer=st.sampled_from(sorted(BUFFERS)))
def test_any_encoding_padding_and_byte_order(image, buffer):
    encoding, height, width, values, padding, is_bigendian = image
    step, data = pack(*image)
    gray = to_gray(encoding, height, width, step, is_bigendian, BUFFERS[buffer](data))
    assert gray.shape == (height, width) and gray.dtype == np.uint8
    # The conversion of colour rounds in fixed point.
    tolerance = 1 if encoding in CHANNELS else 0
    assert np.abs(gray - expected_gray(encoding, height, width, values)).max() <= tolerance


@pytest.mark.parametrize('encoding, pixel_bytes', [('mono8', 1), ('mono16', 2)])
def test_mono_is_not_copied(encoding, pixel_bytes):
    data = np.zeros(4 * 6 * pixel_bytes, np.uint8)
    gray = to_gray(encoding, 4, 5, 6 * pixel_bytes, False, data)
    assert np.shares_memory(gray, data)


@pytest.mark.parametrize('change, message', [
    ({'encoding': 'yuv422'}, "encoding is 'yuv422', accepted is one of mono8, mono16, bgr8, rgb8, "
                             'bgra8, rgba8'),
    ({'height': 0}, 'height is 0, accepted is 1 pixel or more'),
    ({'width': 0}, 'width is 0, accepted is 1 pixel or more'),
    ({'step': 8}, 'step is 8 bytes, accepted is 9 or more for 3 pixels of bgr8'),
    ({'data': bytes(19)}, 'data is 19 bytes, accepted is exactly 20 (step 10 x height 2)'),
    ({'data': b''}, 'data is 0 bytes, accepted is exactly 20 (step 10 x height 2)'),
    ({'data': 'text'}, 'data is str, accepted is contiguous bytes, '
                       "array.array('B'), memoryview or uint8 ndarray"),
    ({'data': np.zeros(40, np.uint8)[::2]}, 'data is ndarray, accepted is contiguous bytes, '
                                            "array.array('B'), memoryview or uint8 ndarray"),
])
def test_refused_image(change, message):
    fields = {'encoding': 'bgr8', 'height': 2, 'width': 3, 'step': 10, 'is_bigendian': 0,
              'data': bytes(20)}
    with pytest.raises(ImageError) as error:
        to_gray(**{**fields, **change})
    assert str(error.value) == message


@pytest.mark.parametrize('extension, tolerance', [('.png', 0), ('.jpg', 6)])
def test_compressed(extension, tolerance):
    gradient = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
    data = cv2.imencode(extension, gradient)[1].tobytes()
    gray = decode_compressed('mono8; compressed', array.array('B', data))
    assert gray.shape == (48, 64) and gray.dtype == np.uint8
    assert np.abs(gray.astype(int) - gradient).max() <= tolerance


@pytest.mark.parametrize('data, message', [
    (b'', 'data is 0 bytes, accepted is a whole JPEG or PNG file'),
    (b'nothing', "data is 7 bytes of format 'jpeg' that cannot be decoded, "
                 'accepted is a whole JPEG or PNG file'),
])
def test_refused_compressed(data, message):
    with pytest.raises(ImageError) as error:
        decode_compressed('jpeg', data)
    assert str(error.value) == message
