"""Images in colour, and the pictures that are cut out of them."""

import cv2
import numpy as np
import pytest
from camera_images import BAYER, CHANNELS, encoded, images, is_wide, pack
from hypothesis import given, settings

from topspark_ros.streams.colours import Square
from topspark_ros.streams.compressed import CompressedImage
from topspark_ros.streams.images import ENCODINGS, ImageError, RawImage
from topspark_ros.streams.objects import locate_objects

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
    rgb = RawImage(encoding, height, width, step, is_bigendian, data).rgb()
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
    seen = RawImage(encoding, *rgb.shape[:2], step, False, data).rgb()
    assert seen.shape == rgb.shape
    assert np.abs(seen.astype(int) - rgb).max() <= 6


def test_an_odd_size_with_a_colour_for_each_pixel():
    rgb = np.full((5, 7, 3), COLOURS['red'], np.uint8)
    step, data = sent(rgb, 'nv24')
    seen = RawImage('nv24', 5, 7, step, False, data).rgb()
    assert seen.shape == (5, 7, 3)
    assert np.abs(seen.astype(int) - rgb).max() <= 6


@pytest.mark.parametrize('encoding', BAYER)
def test_a_bayer_pattern_is_interpolated(encoding):
    rgb = painted()
    step, data = encoded(rgb[..., ::-1], encoding)
    seen = RawImage(encoding, *rgb.shape[:2], step, False, data).rgb() / (
        257 if is_wide(encoding) else 1
    )
    for stripe in range(3):
        middle = np.s_[8:-8, 64 * stripe // 3 + 6 : 64 * (stripe + 1) // 3 - 6]
        assert np.abs(seen[middle] - rgb[middle]).max() <= 2


def test_what_is_rgb_already_is_not_copied():
    data = np.arange(4 * 6 * 3, dtype=np.uint8)
    assert np.shares_memory(RawImage('rgb8', 4, 6, 18, False, data).rgb(), data)


@pytest.mark.parametrize('extension', ['.png', '.jpg'])
def test_compressed_colours(extension):
    rgb = painted(240, 320)
    _, data = cv2.imencode(extension, rgb[..., ::-1])
    assert CompressedImage(extension, data).rgb().shape == rgb.shape
    reduced = CompressedImage(extension, data).rgb(80)
    height, width = reduced.shape[:2]
    assert (height, width) == ((60, 80) if extension == '.jpg' else (240, 320))
    for stripe, colour in enumerate(COLOURS.values()):
        seen = reduced[height // 2, width * (2 * stripe + 1) // 6].astype(int)
        assert np.abs(seen - colour).max() <= 6


def test_a_damaged_file_is_rejected():
    _, data = cv2.imencode('.jpg', painted())
    with pytest.raises(ImageError, match='damaged JPEG'):
        CompressedImage('jpeg', data[: data.size // 2])


def test_a_picture_shows_the_square_that_is_asked_for():
    rgb = painted(96, 96)
    shown = RawImage.of(rgb).picture(Square(16, 48, 20), 32).reshape(32, 32, 3)
    expected = np.array(COLOURS['red'], np.float32) / 255
    assert np.array_equal(shown, np.zeros_like(shown))  # one colour alone shows nothing
    shown = RawImage.of(rgb).picture(Square(32, 48, 32), 32).reshape(32, 32, 3)
    assert np.allclose(shown[:, 4], expected, atol=1e-6)
    assert np.allclose(shown[:, -4], np.array(COLOURS['green']) / 255, atol=1e-6)


def test_beyond_the_image_its_edge_goes_on():
    rgb = painted(64, 96)
    shown = RawImage.of(rgb).picture(Square(0, 0, 96), 32).reshape(32, 32, 3)
    assert np.allclose(shown[:, :16], np.array(COLOURS['red']) / 255, atol=1e-6)
    assert np.array_equal(shown[0], shown[-1])
    nowhere = RawImage.of(rgb).picture(Square(-500, -500, 20), 32)
    assert not nowhere.any()


def test_sixteen_bits_are_seen_by_their_brightest_level():
    rgb = painted()
    dark = (rgb.astype(np.uint16)) << 2  # ten of sixteen bits in use
    shown, expected = (RawImage.of(image).central_picture(32) for image in (dark, rgb))
    np.testing.assert_allclose(shown, expected * 255 / int(rgb.max()), atol=1e-6)


def test_colours_of_one_brightness_are_a_contrast():
    rgb = painted()
    rgb[:] = (rgb[0, :, :1] > 100) * np.array((200, 0, 0), np.uint8)
    rgb[..., 1] = 200 - rgb[..., 0]
    assert np.ptp(rgb.sum(axis=2)) == 0
    assert RawImage.of(rgb).central_picture(32).any()


def test_a_picture_without_light_shows_nothing():
    assert not RawImage.of(np.zeros((40, 40, 3), np.uint8)).central_picture(32).any()


def colourful(height, width, patch=3):
    """Soft patches of all colours, of so many pixels, (height, width, 3) uint8, BGR."""
    noise = np.random.default_rng(1).normal(0, 1, (height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), patch)
    return np.clip(128 + 170 * patch * soft, 0, 255).astype(np.uint8)


def cut_out(rgb, square, side):
    """What a picture should be: of the whole image in colour, at full size."""
    left, top, size = square.whole_pixels
    beyond = max(0, -top), max(0, top + size - len(rgb)), max(0, -left)
    framed = np.pad(
        rgb, (beyond[:2], (beyond[2], max(0, left + size - rgb.shape[1])), (0, 0)), 'edge'
    )
    part = framed[top + beyond[0] :, left + beyond[2] :][:size, :size]
    how = cv2.INTER_LINEAR if size < side else cv2.INTER_AREA
    return cv2.resize(part, (side, side), interpolation=how)


SQUARES = {
    'inside': Square(61.5, 40.2, 55.0),
    'of odd place and size': Square(33.0, 29.0, 37.0),
    'over a corner': Square(3.0, 2.0, 44.0),
    'over the other corner': Square(96.0, 70.0, 61.0),
    'larger than the image': Square(48.0, 36.0, 150.0),
    'enlarged': Square(50.0, 31.0, 9.0),
    'enlarged at the edge': Square(1.0, 74.0, 13.0),
    'not resized': Square(40.0, 40.0, 32.0),
}


@pytest.mark.parametrize('square', SQUARES.values(), ids=SQUARES)
@pytest.mark.parametrize('encoding', ENCODINGS)
def test_a_picture_is_cut_out_of_any_encoding_as_out_of_the_whole_image(encoding, square):
    height, width = (76, 98) if encoding in YUV and encoding != 'nv24' else (75, 97)
    bgr = colourful(height, width)
    for padding, is_bigendian in ((0, False), (6, True)):
        step, data = (
            sent(bgr[..., ::-1], encoding, padding)
            if encoding in YUV
            else encoded(bgr, encoding, padding, is_bigendian)
        )
        image = RawImage(encoding, height, width, step, is_bigendian, data)
        rgb = image.rgb()
        white = rgb.max() if is_wide(encoding) else 255
        shown = image.picture(square, 32).reshape(32, 32, 3)
        expected = cut_out(rgb, square, 32) / white
        assert shown.dtype == np.float32 and expected.any()
        np.testing.assert_allclose(shown, expected, atol=0.51 / white)


def test_of_a_view_that_cannot_be_written_to():
    data = colourful(60, 80).tobytes()
    shown = RawImage('bgr8', 60, 80, 240, False, memoryview(data)).central_picture(32)
    written = RawImage('bgr8', 60, 80, 240, False, bytearray(data)).central_picture(32)
    assert shown.any() and np.array_equal(shown, written)


@pytest.mark.parametrize('extent', [32, 96, 288])
@pytest.mark.parametrize('extension', ['.png', '.jpg'])
def test_a_file_is_decoded_in_as_many_pixels_as_a_picture_needs(extension, extent):
    rgb = np.ascontiguousarray(colourful(480, 640, patch=8)[..., ::-1])
    high_quality = (cv2.IMWRITE_JPEG_QUALITY, 100)
    data = cv2.imencode(extension, rgb[..., ::-1], high_quality)[1]
    image = CompressedImage('', data)
    gray, factor = image.reduced_gray(160)
    assert gray.shape == (120, 160) and factor == 4
    square = Square(160 + (extent - 1) / 2, 64 + (extent - 1) / 2, extent)  # of whole blocks
    shown, expected = image.picture(square, 32), RawImage.of(rgb).picture(square, 32)
    # A reduced JPEG is no mean of areas, but nearly.
    assert np.abs(shown - expected).mean() < 0.01
    assert np.corrcoef(shown, expected)[0, 1] > 0.999


@pytest.mark.parametrize('encoding', [each for each in ENCODINGS if each not in BAYER])
def test_reduced_grey_is_the_mean_of_the_pixels_it_stands_for(encoding):
    bgr = colourful(482, 646)
    step, data = encoded(bgr, encoding, 2, False)
    image = RawImage(encoding, 482, 646, step, False, data)
    gray, factor = image.reduced_gray(160)
    rows, columns = gray.shape
    whole = image.gray()[: rows * factor, : columns * factor].astype(np.float64)
    expected = whole.reshape(rows, factor, columns, factor).mean(axis=(1, 3))
    assert factor in (1, 4) and 482 - rows * factor < factor
    np.testing.assert_allclose(gray, expected, atol=3 if factor > 1 else 0)


@pytest.mark.parametrize('scale', [1, 3])
def test_an_object_is_located_where_it_is(scale):
    gray = np.full((120 * scale, 160 * scale), 200, np.uint8)
    gray[40 * scale : 80 * scale, 90 * scale : 130 * scale] = 40
    ((x, y, extent),) = locate_objects(gray)
    assert (x, y) == pytest.approx((109.5 * scale, 59.5 * scale), abs=1.5 * scale)
    assert extent == pytest.approx(40 * scale * 28 / 20, rel=0.1)


def test_nothing_is_located_where_nothing_stands_out():
    assert not locate_objects(np.full((120, 160), 200, np.uint8))
