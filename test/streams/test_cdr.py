"""Camera messages read from their serialised bytes."""

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from topspark_ros.streams.cdr import read_compressed_image, read_image
from topspark_ros.streams.images import ImageError

STORE = get_typestore(Stores.ROS2_JAZZY)
Time, Header, Image, CompressedImage = (
    STORE.types[name]
    for name in (
        'builtin_interfaces/msg/Time',
        'std_msgs/msg/Header',
        'sensor_msgs/msg/Image',
        'sensor_msgs/msg/CompressedImage',
    )
)


def header(frame_id):
    return Header(Time(-7, 999_999_999), frame_id)


def image(frame_id='eye', encoding='bgr8', data=b'\x01\x02\x03\x04\x05\x06'):
    return bytes(
        STORE.serialize_cdr(
            Image(header(frame_id), 1, 2, encoding, 1, 6, np.frombuffer(data, np.uint8)),
            Image.__msgtype__,
        )
    )


def swapped(serialised):
    """The same image with the other byte order, for a frame_id of three characters and bgr8."""
    words = bytearray(serialised)
    words[1] ^= 1
    for at in (4, 8, 12, 20, 24, 28, 40, 44):  # stamp, sizes, lengths: all of four bytes
        words[at : at + 4] = words[at : at + 4][::-1]
    return bytes(words)


@pytest.mark.parametrize('order', [bytes, swapped])
def test_an_image_of_either_byte_order(order):
    read = read_image(order(image()))
    assert read.header == ((-7, 999_999_999), 'eye')
    assert read[1:6] == (1, 2, 'bgr8', 1, 6)
    assert bytes(read.data) == b'\x01\x02\x03\x04\x05\x06'


@pytest.mark.parametrize('frame_id', ['', 'a', 'ab', 'abc', 'abcd', 'Kamera hinten \u00fc'])
@pytest.mark.parametrize('encoding', ['mono8', 'yuv422_yuy2'])
def test_what_strings_shift(frame_id, encoding):
    read = read_image(image(frame_id, encoding))
    assert (read.header.frame_id, read.encoding, bytes(read.data)) == (
        frame_id,
        encoding,
        b'\x01\x02\x03\x04\x05\x06',
    )


def test_the_pixels_are_those_of_the_message():
    serialised = image()
    assert read_image(serialised).data.obj is serialised


def test_a_compressed_image():
    serialised = bytes(
        STORE.serialize_cdr(
            CompressedImage(header('eye'), 'jpeg', np.frombuffer(b'\xff\xd8\xff', np.uint8)),
            CompressedImage.__msgtype__,
        )
    )
    read = read_compressed_image(serialised)
    assert read.header == ((-7, 999_999_999), 'eye')
    assert (read.format, bytes(read.data)) == ('jpeg', b'\xff\xd8\xff')


def test_every_message_that_was_cut_off_is_rejected():
    serialised = image()
    for length in range(len(serialised)):
        with pytest.raises(ImageError, match='accepted is'):
            read_image(serialised[:length])
    for at in range(len(serialised)):  # whatever a byte says: read or rejected, never more
        for value in (0, 1, 0x7F, 0xFF):
            damaged = serialised[:at] + bytes([value]) + serialised[at + 1 :]
            try:
                assert len(read_image(damaged).data) <= len(serialised)
            except ImageError as error:
                assert '\n' not in str(error) and 'accepted is' in str(error)


@pytest.mark.parametrize(
    'at, value, complaint',
    [
        (1, 7, 'message begins with 0007, accepted is plain CDR'),
        (12, 200, 'header.frame_id would be 200 bytes, accepted is at most the'),
        (19, 65, 'header.frame_id has no end'),
        (16, 0xFF, 'header.frame_id is .* accepted is UTF-8'),
        (28, 200, 'encoding would be 200 bytes'),
        (44, 7, 'data would be 7 bytes, accepted is at most the 6'),
    ],
)
def test_the_field_is_named(at, value, complaint):
    serialised = bytearray(image())
    serialised[at] = value
    with pytest.raises(ImageError, match=complaint):
        read_image(bytes(serialised))
