"""Image fields to grey, against arrays that are built another way."""

import array
import struct
import zlib

import cv2
import numpy as np
import pytest
from camera_images import BAYER, CHANNELS, encoded, images, is_wide, pack
from hypothesis import given, settings
from hypothesis import strategies as st

from topspark_ros.streams.compressed import CompressedImage
from topspark_ros.streams.datasets import load_dataset
from topspark_ros.streams.images import ENCODINGS, ImageError, RawImage
from topspark_ros.streams.objects import centre_object
from topspark_ros.streams.scenes import SceneRenderer

BUFFERS = {
    'bytes': bytes,
    'array': lambda data: array.array('B', data),
    'memoryview': memoryview,
    'ndarray': lambda data: np.array(list(data), np.uint8),
}


def expected_gray(encoding, height, width, values):
    planes = dict(
        zip(CHANNELS[encoding], np.array(values).reshape(height, width, -1).transpose(2, 0, 1))
    )
    if 'y' in planes:
        return planes['y']
    return 0.299 * planes['r'] + 0.587 * planes['g'] + 0.114 * planes['b']


@settings(deadline=None)  # other load on the machine is no failure
@given(image=images(), buffer=st.sampled_from(sorted(BUFFERS)))
def test_any_encoding_padding_and_byte_order(image, buffer):
    encoding, height, width, values, padding, is_bigendian = image
    step, data = pack(*image)
    gray = RawImage(encoding, height, width, step, is_bigendian, BUFFERS[buffer](data)).gray()
    assert gray.shape == (height, width)
    assert gray.dtype == (np.uint16 if is_wide(encoding) else np.uint8)
    # The conversion of colour rounds in fixed point.
    tolerance = 0 if CHANNELS[encoding] == 'y' else 4 if is_wide(encoding) else 1
    assert np.abs(gray - expected_gray(encoding, height, width, values)).max() <= tolerance


@pytest.fixture(scope='module')
def scene():
    return SceneRenderer(load_dataset('digits').images, seed=1).render(3)


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize('encoding', ENCODINGS)
def test_every_encoding_shows_the_same_scene(scene, encoding, padding):
    height, width = scene.shape[:2]
    plain = cv2.cvtColor(scene, cv2.COLOR_BGR2GRAY)
    for is_bigendian in (False, True):
        step, data = encoded(scene, encoding, padding, is_bigendian)
        gray = RawImage(encoding, height, width, step, is_bigendian, data).gray()
        seen = gray / 257 if is_wide(encoding) else gray.astype(float)
        difference = np.abs(seen - plain)
        if encoding in BAYER:  # two of three colours of a pixel are guessed, and all have noise
            assert difference.mean() < 8
        else:
            assert difference.max() <= 1
        one, other = centre_object(gray), centre_object(plain)
        assert one @ other > 0.98 * np.linalg.norm(one) * np.linalg.norm(other)


@pytest.mark.parametrize('encoding', BAYER)
def test_a_bayer_pattern_starts_with_the_colours_of_its_name(encoding):
    for colour, luma in zip(np.eye(3, dtype=np.uint8) * 200, (23, 117, 60)):
        step, data = encoded(np.full((7, 9, 3), colour), encoding)
        gray = RawImage(encoding, 7, 9, step, False, data).gray()
        scale = 257 if is_wide(encoding) else 1
        np.testing.assert_allclose(gray, luma * scale, atol=scale)


def test_limited_range_makes_the_same_object(scene):
    """Cameras send 16 to 235 for black to white, or 0 to 255, and do not say which."""
    height, width = scene.shape[:2]
    step, data = encoded(scene, 'yuyv')
    limited = np.frombuffer(data, np.uint8).copy()
    limited[::2] = np.rint(16 + limited[::2] * (219 / 255))
    one, other = (
        centre_object(RawImage('yuyv', height, width, step, False, brightness).gray())
        for brightness in (data, limited)
    )
    assert one @ other > 0.99 * np.linalg.norm(one) * np.linalg.norm(other)


@pytest.mark.parametrize('encoding', [each for each in ENCODINGS if is_wide(each)])
def test_ten_of_sixteen_bits_make_the_same_object(scene, encoding):
    height, width = scene.shape[:2]
    step, data = encoded(scene, encoding)
    dark = (np.frombuffer(data, np.uint16) // 64).astype('<u2')
    one, other = (
        centre_object(RawImage(encoding, height, width, step, False, values).gray())
        for values in (data, dark.tobytes())
    )
    assert one @ other > 0.99 * np.linalg.norm(one) * np.linalg.norm(other)


@pytest.mark.parametrize('encoding, data_bytes', [('mono8', 24), ('8UC1', 24), ('nv12', 36)])
def test_what_is_grey_already_is_not_copied(encoding, data_bytes):
    data = np.zeros(data_bytes, np.uint8)
    assert np.shares_memory(RawImage(encoding, 4, 4, 6, False, data).gray(), data)


@pytest.mark.parametrize(
    'change, message',
    [
        ({'encoding': 'YUYV'}, f"encoding is 'YUYV', accepted is one of {', '.join(ENCODINGS)}"),
        (
            {'encoding': '16UC1'},
            "encoding is '16UC1' (depth by REP 118, no brightness), "
            f'accepted is one of {", ".join(ENCODINGS)}',
        ),
        (
            {'encoding': '32FC1'},
            "encoding is '32FC1' (depth by REP 118, no brightness), "
            f'accepted is one of {", ".join(ENCODINGS)}',
        ),
        (
            {'encoding': '32FC3'},
            "encoding is '32FC3' (numbers that need not be brightness), "
            f'accepted is one of {", ".join(ENCODINGS)}',
        ),
        ({'height': 0}, 'height is 0, accepted is 1 pixel or more'),
        ({'width': 0}, 'width is 0, accepted is 1 pixel or more'),
        (
            {'height': 0, 'width': 0, 'step': 0, 'data': b''},
            'height is 0, accepted is 1 pixel or more',
        ),
        (
            {'height': 2**32 - 1, 'width': 2**32 - 1, 'step': 2**32 - 1},
            'step is 4294967295 bytes, accepted is 12884901885 or more for 4294967295 '
            'pixels of bgr8',
        ),
        (
            {'height': 2**32 - 1, 'step': 2**32 - 1},
            'data is 20 bytes, accepted is exactly 18446744065119617025 '
            '(step 4294967295 x height 4294967295)',
        ),
        ({'encoding': 'uyvy'}, 'width is 3, accepted is an even number for uyvy'),
        (
            {'encoding': 'yuv422_yuy2', 'width': 4, 'step': 7},
            'step is 7 bytes, accepted is 8 or more for 4 pixels of yuv422_yuy2',
        ),
        (
            {'encoding': 'nv12', 'width': 4, 'height': 3},
            'height is 3, accepted is an even number for nv12',
        ),
        ({'encoding': 'nv21'}, 'width is 3, accepted is an even number for nv21'),
        (
            {'encoding': 'nv12', 'width': 4},
            'data is 20 bytes, accepted is exactly 30 (step 10 x height 2 x 1.5)',
        ),
        ({'encoding': 'nv24'}, 'data is 20 bytes, accepted is exactly 60 (step 10 x height 2 x 3)'),
        ({'encoding': 'bayer_rggb8'}, 'height is 2, accepted is 3 pixels or more'),
        ({'encoding': 'bgr16'}, 'step is 10 bytes, accepted is 18 or more for 3 pixels of bgr16'),
        ({'data': bytes(21)}, 'data is 21 bytes, accepted is exactly 20 (step 10 x height 2)'),
        ({'step': 8}, 'step is 8 bytes, accepted is 9 or more for 3 pixels of bgr8'),
        ({'data': bytes(19)}, 'data is 19 bytes, accepted is exactly 20 (step 10 x height 2)'),
        ({'data': b''}, 'data is 0 bytes, accepted is exactly 20 (step 10 x height 2)'),
        (
            {'data': 'text'},
            'data is str, accepted is contiguous bytes, '
            "array.array('B'), memoryview or uint8 ndarray",
        ),
        (
            {'data': np.zeros(40, np.uint8)[::2]},
            'data is ndarray, accepted is contiguous bytes, '
            "array.array('B'), memoryview or uint8 ndarray",
        ),
    ],
)
def test_rejected_image(change, message):
    fields = {
        'encoding': 'bgr8',
        'height': 2,
        'width': 3,
        'step': 10,
        'is_bigendian': 0,
        'data': bytes(20),
    }
    with pytest.raises(ImageError) as error:
        RawImage(**{**fields, **change}).gray()
    assert str(error.value) == message


@pytest.mark.parametrize('extension, tolerance', [('.png', 0), ('.jpg', 6)])
def test_compressed(extension, tolerance):
    gradient = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
    data = cv2.imencode(extension, gradient)[1].tobytes()
    gray = CompressedImage('mono8; compressed', array.array('B', data), colour=False).gray()
    assert gray.shape == (48, 64) and gray.dtype == np.uint8
    assert np.abs(gray.astype(int) - gradient).max() <= tolerance


@pytest.mark.parametrize(
    'data, message',
    [
        (b'', 'data is 0 bytes, accepted is a whole JPEG or PNG file'),
        (
            b'nothing',
            "data is 7 bytes of format 'jpeg' that cannot be decoded, "
            'accepted is a whole JPEG or PNG file',
        ),
    ],
)
def test_rejected_compressed(data, message):
    with pytest.raises(ImageError) as error:
        CompressedImage('jpeg', data, colour=False).gray()
    assert str(error.value) == message


def test_compressed_images_of_sixteen_bits_keep_them():
    levels = (np.arange(48, dtype=np.uint16) * 20).reshape(6, 8)
    gray = CompressedImage(
        'mono16; png compressed', cv2.imencode('.png', levels)[1], colour=False
    ).gray()
    np.testing.assert_array_equal(gray, levels)


@pytest.mark.parametrize(
    'format, reason',
    [
        ('16UC1; compressedDepth png', 'depth, no brightness'),
        ('32FC1; compressedDepth rvl', 'depth, no brightness'),
        ('16UC1; png compressed ', 'depth by REP 118, no brightness'),
        ('32FC1; tiff compressed', 'depth by REP 118, no brightness'),
    ],
)
def test_compressed_depth_is_rejected_by_name(format, reason):
    data = cv2.imencode('.png', np.arange(48, dtype=np.uint16).reshape(6, 8))[1]
    with pytest.raises(ImageError) as error:
        CompressedImage(format, data, colour=False).gray()
    assert str(error.value) == (
        f'format is {format!r} ({reason}), accepted is a JPEG or PNG file of brightness or colour'
    )


@pytest.mark.parametrize(
    'damage',
    [
        lambda data: data[:70] + bytes([data[70] ^ 1]) + data[71:],
        lambda data: data[:70] + data[90:],
        lambda data: data[:-20],
    ],
    ids=['altered', 'shorter', 'cut'],
)
def test_a_damaged_png_is_rejected(scene, damage):
    with pytest.raises(ImageError, match='cannot be decoded'):
        CompressedImage(
            'png', damage(cv2.imencode('.png', scene)[1].tobytes()), colour=False
        ).gray()


def test_a_png_that_promises_too_much():
    data = bytearray(cv2.imencode('.png', np.zeros((8, 8), np.uint8))[1].tobytes())
    data[16:24] = struct.pack('>II', 16384, 16384)
    data[29:33] = struct.pack('>I', zlib.crc32(data[12:29]))
    with pytest.raises(ImageError) as error:
        CompressedImage('png', bytes(data), colour=False).gray()
    assert str(error.value) == (
        'width x height is 16384 x 16384 in a PNG, accepted is up to 67108864 pixels'
    )
