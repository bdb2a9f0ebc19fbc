"""Images in colour, and the pictures that are cut out of them."""

import cv2
import numpy as np
import pytest
from camera_images import BAYER, CHANNELS, encoded, images, is_wide, pack
from hypothesis import given, settings

from topspark_ros.streams.colours import central_square, picture
from topspark_ros.streams.images import ImageError, decode_rgb, to_rgb
from topspark_ros.streams.objects import locate_object

YUV = ('yuyv', 'yuv422_yuy2', 'uyvy', 'yuv422', 'nv12', 'nv21', 'nv24')
COLOURS = {'red': (220, 30, 40), 'green': (30, 200, 60), 'blue': (40, 60, 210)}


def painted(height=48, width=64):
    """Three upright stripes in COLOURS, (height, width, 3) uint8."""
    thirds = np.arange(width) * 3 // width
    return np.array(list(COLOURS.values()), np.uint8)[thirds][np.newaxis].repeat(height, axis=0)


def studio_yuv(rgb):
    """ITU-R BT.601 in the range of video, as cameras send it; float64."""
    red, green, blue = (rgb[..., c] / 255 for c in range(3))
    y = 16 + 65.481 * red + 128.553 * green + 24.966 * blue
    u = 128 - 37.797 * red - 74.203 * green + 112.0 * blue
    v = 128 + 112.0 * red - 93.786 * green - 18.214 * blue
    return np.stack([y, u, v], axis=-1)


def sent(rgb, encoding, padding=0):
    """Step and data of an image whose neighbours share their colours."""
    y, u, v = np.rint(studio_yuv(rgb)).astype(np.uint8).transpose(2, 0, 1)
    height, width = y.shape
    pad = np.full((height, padding), 7, np.uint8)
    if encoding in ('nv12', 'nv21'):
        pair = (u, v) if encoding == 'nv12' else (v, u)
        chroma = np.stack([plane[::2, ::2] for plane in pair], axis=-1).reshape(height // 2, width)
        rows = np.concatenate((np.hstack((y, pad)), np.hstack((chroma, pad[: height // 2]))))
        return width + padding, rows.tobytes()
    if encoding == 'nv24':
        chroma = np.stack((u, v), axis=-1).reshape(height, 2 * width)
        chroma = np.hstack((chroma, pad, pad))
        return width + padding, np.hstack((y, pad)).tobytes() + chroma.tobytes()
    first = 0 if encoding in ('yuyv', 'yuv422_yuy2') else 1
    rows = np.empty((height, width, 2), np.uint8)
    rows[..., first] = y
    rows[:, 0::2, 1 - first] = u[:, ::2]
    rows[:, 1::2, 1 - first] = v[:, ::2]
    lines = np.hstack((rows.reshape(height, 2 * width), pad))
    return 2 * width + padding, lines.tobytes()


@settings(deadline=None)  # other load on the machine is no failure
@given(image=images())
def test_any_encoding_of_whole_pixels(image):
    encoding, height, width, values, _, is_bigendian = image
    step, data = pack(*image)
    rgb = to_rgb(encoding, height, width, step, is_bigendian, data)
    planes = dict(
        zip(CHANNELS[encoding], np.array(values).reshape(height, width, -1).transpose(2, 0, 1))
    )
    assert rgb.dtype == (np.uint16 if is_wide(encoding) else np.uint8)
    for plane, colour in zip(rgb.transpose(2, 0, 1), 'rgb'):
        assert np.array_equal(plane, planes.get(colour, planes.get('y')))


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize('encoding', YUV)
def test_brightness_and_colour_apart_make_the_same_colours(encoding, padding):
    rgb = painted(width=60)  # stripes of an even width
    step, data = sent(rgb, encoding, padding)
    seen = to_rgb(encoding, *rgb.shape[:2], step, False, data)
    assert seen.shape == rgb.shape
    assert np.abs(seen.astype(int) - rgb).max() <= 6


def test_an_odd_size_with_a_colour_for_each_pixel():
    rgb = np.full((5, 7, 3), COLOURS['red'], np.uint8)
    step, data = sent(rgb, 'nv24')
    seen = to_rgb('nv24', 5, 7, step, False, data)
    assert seen.shape == (5, 7, 3)
    assert np.abs(seen.astype(int) - rgb).max() <= 6


@pytest.mark.parametrize('encoding', BAYER)
def test_a_bayer_pattern_is_interpolated(encoding):
    rgb = painted()
    step, data = encoded(rgb[..., ::-1], encoding)
    seen = to_rgb(encoding, *rgb.shape[:2], step, False, data) / (257 if is_wide(encoding) else 1)
    for stripe in range(3):
        middle = np.s_[8:-8, 64 * stripe // 3 + 6 : 64 * (stripe + 1) // 3 - 6]
        assert np.abs(seen[middle] - rgb[middle]).max() <= 2


def test_what_is_rgb_already_is_not_copied():
    data = np.arange(4 * 6 * 3, dtype=np.uint8)
    assert np.shares_memory(to_rgb('rgb8', 4, 6, 18, False, data), data)


@pytest.mark.parametrize('extension', ['.png', '.jpg'])
def test_compressed_colours(extension):
    rgb = painted(240, 320)
    _, data = cv2.imencode(extension, rgb[..., ::-1])
    assert decode_rgb(extension, data).shape == rgb.shape
    reduced = decode_rgb(extension, data, 80)
    height, width = reduced.shape[:2]
    assert (height, width) == ((60, 80) if extension == '.jpg' else (240, 320))
    for stripe, colour in enumerate(COLOURS.values()):
        seen = reduced[height // 2, width * (2 * stripe + 1) // 6].astype(int)
        assert np.abs(seen - colour).max() <= 6


def test_a_damaged_file_is_rejected():
    _, data = cv2.imencode('.jpg', painted())
    with pytest.raises(ImageError, match='damaged JPEG'):
        decode_rgb('jpeg', data[: data.size // 2])


def test_a_picture_shows_the_square_that_is_asked_for():
    rgb = painted(96, 96)
    shown = picture(rgb, (16, 48), 20, 32).reshape(32, 32, 3)
    expected = np.array(COLOURS['red'], np.float32) / 255
    assert np.array_equal(shown, np.zeros_like(shown))  # one colour alone shows nothing
    shown = picture(rgb, (32, 48), 32, 32).reshape(32, 32, 3)
    assert np.allclose(shown[:, 4], expected, atol=1e-6)
    assert np.allclose(shown[:, -4], np.array(COLOURS['green']) / 255, atol=1e-6)


def test_beyond_the_image_its_edge_goes_on():
    rgb = painted(64, 96)
    shown = picture(rgb, (0, 0), 96, 32).reshape(32, 32, 3)
    assert np.allclose(shown[:, :16], np.array(COLOURS['red']) / 255, atol=1e-6)
    assert np.array_equal(shown[0], shown[-1])
    nowhere = picture(rgb, (-500, -500), 20, 32)
    assert not nowhere.any()


def test_sixteen_bits_are_seen_by_their_brightest_level():
    rgb = painted()
    square = central_square(rgb)
    dark = (rgb.astype(np.uint16)) << 2  # ten of sixteen bits in use
    assert np.allclose(
        picture(dark, *square, 32), picture(rgb, *square, 32) * 255 / int(rgb.max()), atol=5e-3
    )


def test_colours_of_one_brightness_are_a_contrast():
    rgb = painted()
    rgb[:] = (rgb[0, :, :1] > 100) * np.array((200, 0, 0), np.uint8)
    rgb[..., 1] = 200 - rgb[..., 0]
    assert np.ptp(rgb.sum(axis=2)) == 0
    assert picture(rgb, *central_square(rgb), 32).any()


def test_a_picture_without_light_shows_nothing():
    assert not picture(np.zeros((40, 40, 3), np.uint8), (20, 20), 40, 32).any()


@pytest.mark.parametrize('scale', [1, 3])
def test_an_object_is_located_where_it_is(scale):
    gray = np.full((120 * scale, 160 * scale), 200, np.uint8)
    gray[40 * scale : 80 * scale, 90 * scale : 130 * scale] = 40
    (x, y), extent = locate_object(gray)
    assert (x, y) == pytest.approx((109.5 * scale, 59.5 * scale), abs=1.5 * scale)
    assert extent == pytest.approx(40 * scale * 28 / 20, rel=0.1)


def test_nothing_is_located_where_nothing_stands_out():
    assert locate_object(np.full((120, 160), 200, np.uint8)) is None
