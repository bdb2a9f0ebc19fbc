"""Images as cameras send them, made one value at a time."""

import struct

import cv2
import numpy as np
from hypothesis import strategies as st

from topspark_ros.streams.images import ENCODINGS

CHANNELS = {
    'mono8': 'y',
    '8UC1': 'y',
    'mono16': 'y',
    '8UC3': 'bgr',
    '8UC4': 'bgra',
    '16UC3': 'bgr',
    '16UC4': 'bgra',
    **{
        f'{channels}{bits}': channels
        for channels in ('bgr', 'rgb', 'bgra', 'rgba')
        for bits in (8, 16)
    },
}
YUV = {'yuyv': 0, 'yuv422_yuy2': 0, 'uyvy': 1, 'yuv422': 1}  # where brightness stands
PLANAR = {'nv12': 1, 'nv21': 1, 'nv24': 4}  # rows of colour after every two of brightness
BAYER = [encoding for encoding in ENCODINGS if encoding.startswith('bayer')]


def is_wide(encoding):
    return '16' in encoding


@st.composite
def images(draw):
    """An encoding, size, padding, byte order, and pixel values as Python integers."""
    encoding = draw(st.sampled_from(sorted(CHANNELS)))
    height, width = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    samples = height * width * len(CHANNELS[encoding])
    values = draw(
        st.lists(
            st.integers(0, 65535 if is_wide(encoding) else 255), min_size=samples, max_size=samples
        )
    )
    return encoding, height, width, values, draw(st.integers(0, 5)), draw(st.integers(0, 255))


def pack(encoding, height, width, values, padding, is_bigendian):
    """The bytes of an image, one value at a time."""
    code = ('>' if is_bigendian else '<') + ('H' if is_wide(encoding) else 'B')
    per_row = len(values) // height
    rows = [
        b''.join(struct.pack(code, value) for value in values[row * per_row :][:per_row])
        + b'\xa5' * padding
        for row in range(height)
    ]
    return len(rows[0]), b''.join(rows)


def encoded(bgr, encoding, padding=0, is_bigendian=False):
    """A scene, (height, width, 3) uint8, as a camera sends it: step and data."""
    height, width = bgr.shape[:2]
    chroma = b''
    if encoding in YUV or encoding in PLANAR:
        y, u, v = cv2.split(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV))
        if encoding in YUV:
            rows = np.empty((height, width, 2), np.uint8)
            rows[..., YUV[encoding]] = y
            rows[:, 0::2, 1 - YUV[encoding]] = u[:, 0::2]
            rows[:, 1::2, 1 - YUV[encoding]] = v[:, 0::2]
        else:
            rows = y
            chroma = bytes((width + padding) * height * PLANAR[encoding] // 2)
    elif encoding in BAYER:
        rows = np.empty((height, width), np.uint8)
        for place, colour in enumerate(encoding[6:10]):
            corner = np.s_[place // 2 :: 2, place % 2 :: 2]
            rows[corner] = bgr[(*corner, 'bgr'.index(colour))]
    else:
        planes = dict(
            zip('bgr', cv2.split(bgr)),
            a=np.full((height, width), 77, np.uint8),
            y=cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY),
        )
        rows = np.stack([planes[channel] for channel in CHANNELS[encoding]], axis=-1)
    if is_wide(encoding):
        rows = (rows.astype(np.uint16) * 257).astype('>u2' if is_bigendian else '<u2')
    lines = np.ascontiguousarray(rows).view(np.uint8).reshape(height, -1)
    lines = np.pad(lines, ((0, 0), (0, padding)), constant_values=165)
    return lines.shape[1], lines.tobytes() + chroma
