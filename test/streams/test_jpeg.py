"""Damaged JPEGs are told from whole ones, whoever wrote them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import sklearn.datasets

from topspark_ros.streams import jpeg
from topspark_ros.streams.compressed import CompressedImage
from topspark_ros.streams.images import ImageError

PHOTOGRAPH = Path(sklearn.datasets.__file__).parent / 'images' / 'china.jpg'
KINDS = {
    'baseline': [],
    'best': [cv2.IMWRITE_JPEG_QUALITY, 100],
    'worst': [cv2.IMWRITE_JPEG_QUALITY, 3],
    'own codes': [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
    'progressive': [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    'restarts': [cv2.IMWRITE_JPEG_RST_INTERVAL, 3],
    'progressive restarts': [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 3],
    **{
        f'sampled {name[-3:]}': [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, getattr(cv2, name)]
        for name in dir(cv2)
        if name.startswith('IMWRITE_JPEG_SAMPLING_FACTOR_')
    },
}
every_kind = pytest.mark.parametrize('kind', KINDS)


@pytest.fixture(scope='module')
def photograph():
    return cv2.imread(str(PHOTOGRAPH))


def encoded(image, kind):
    return cv2.imencode('.jpg', image, KINDS[kind])[1].tobytes()


def damage(data):
    return jpeg.damage(np.frombuffer(data, np.uint8))


def scan_of(data):
    """Where the codes of the first scan begin."""
    start = data.index(b'\xff\xda')
    return start + 2 + int.from_bytes(data[start + 2 : start + 4], 'big')


def without_huffman_tables(data):
    while (start := data.find(b'\xff\xc4')) >= 0:
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4], 'big')
        data = data[:start] + data[end:]
    return data


@every_kind
@pytest.mark.parametrize('shape', [(1, 1), (8, 8), (17, 33), (64, 7), (240, 320)])
def test_whole(photograph, kind, shape):
    part = photograph[100 : 100 + shape[0], 200 : 200 + shape[1]]
    for image in part, cv2.cvtColor(part, cv2.COLOR_BGR2GRAY):
        assert damage(encoded(image, kind)) is None


def test_a_photograph_as_it_was_published():
    assert damage(PHOTOGRAPH.read_bytes()) is None


def test_what_webcams_and_drivers_do(photograph):
    data = encoded(photograph[:240, :320], 'baseline')
    for variant in (
        data + bytes(3000),  # a buffer that is not full
        data + data[:500],  # nor empty before
        data[:-2] + b'\xff\xff\xff' + data[-2:],  # fill before the end
        without_huffman_tables(data),  # MJPEG
        data[:2] + b'\xff\xe0\x00\x10AVI1' + bytes(10) + data[2:],
    ):
        assert damage(variant) is None
        np.testing.assert_array_equal(
            CompressedImage('jpeg', variant).rgb(), CompressedImage('jpeg', data).rgb()
        )
    # Of Logitech, that libjpeg warns of: bytes that no code needs, before a restart marker.
    restarting = encoded(photograph[:240, :320], 'restarts')
    at = restarting.index(b'\xff\xd4', scan_of(restarting))
    padded = restarting[:at] + b'\x00\x12\x34' + restarting[at:]
    assert damage(padded) is None


@every_kind
def test_every_damage_that_the_decoder_sees(photograph, kind, capfd):
    """libjpeg writes its warnings to stderr."""
    random = np.random.default_rng(1)
    data = encoded(photograph[:240, :320], kind)
    seen = 0
    for _ in range(60):
        start = random.integers(scan_of(data), len(data) - 20)
        end = min(len(data) - 10, start + random.integers(1, 400))
        altered = bytes(random.integers(0, 256, int(random.integers(0, 9)), np.uint8))
        broken = data[:start] + altered + data[end:]
        cv2.imdecode(np.frombuffer(broken, np.uint8), cv2.IMREAD_COLOR)
        warnings = [line for line in capfd.readouterr().err.splitlines() if 'JPEG' in line]
        if any('before marker 0xd' not in line or '0xd9' in line for line in warnings):
            seen += 1
            assert damage(broken) is not None
    assert seen > 10


@every_kind
def test_a_part_that_is_missing_or_blank_is_rejected(photograph, kind):
    data = encoded(photograph[:240, :320], kind)
    first, last = scan_of(data) + 10, len(data) - 10
    for share in (0.1, 0.35, 0.6):
        start = first + int(share * (last - first))
        end = start + max(64, (last - first) // 4)
        for broken in (
            data[:start] + data[end:],
            data[:start] + bytes(end - start) + data[end:],
            data[:start],
            data[:-2],
        ):
            with pytest.raises(
                ImageError,
                match=(
                    rf'^data is a damaged JPEG of {len(broken)} bytes \(.+\), accepted is a whole '
                    'JPEG or PNG file$'
                ),
            ):
                CompressedImage('jpeg', broken)


def test_a_header_that_promises_too_much():
    data = bytearray(encoded(np.zeros((16, 16, 3), np.uint8), 'baseline'))
    at = data.index(b'\xff\xc0') + 5
    data[at : at + 4] = b'\xff\xff\xff\xff'
    assert damage(bytes(data)) == f'{len(data)} bytes cannot hold 65535 x 65535 pixels'
    data[at : at + 4] = bytes(4)
    assert damage(bytes(data)) is not None


def test_scans_without_end(photograph):
    data = encoded(photograph[:32, :32], 'progressive')
    start = data.index(b'\xff\xda')
    end = data.index(b'\xff\xc4', start)
    for times, found in ((2, None), (200, 'more than 100 scans')):
        assert damage(data[:start] + times * data[start:end] + data[end:]) == found


@every_kind
def test_any_bytes_do_no_harm(photograph, kind):
    random = np.random.default_rng(2)
    data = encoded(photograph[50:82, 50:82], kind)
    for _ in range(300):
        broken = np.frombuffer(data, np.uint8).copy()
        places = random.integers(2, broken.size, random.integers(1, 20))
        broken[places] = random.integers(0, 256, places.size)
        found = damage(broken.tobytes())
        assert found is None or len(found.splitlines()) == 1
