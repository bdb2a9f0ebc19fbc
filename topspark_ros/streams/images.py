"""Grey and colour images from the fields of sensor_msgs/Image and sensor_msgs/CompressedImage."""

from __future__ import annotations

import re
from array import array
from typing import NamedTuple

import cv2
import numpy as np

from topspark_ros.errors import TopsparkError


class _Format(NamedTuple):
    """How an encoding lies in memory, and what makes it grey and red, green, blue."""

    samples: int  # a pixel has in its row
    conversion: int | None = None  # to grey, of OpenCV; None: the samples are grey
    colours: int | None = cv2.COLOR_GRAY2RGB  # to RGB; None: it is
    chroma_rows: int = 0  # for two rows of the image, after all of these
    block: tuple[int, int] = (1, 1)  # rows and columns that share a colour; sides are multiples
    least: int = 1  # side that OpenCV converts, pixels
    dtype: type = np.uint8  # of the samples


# Of one or two bytes a sample. OpenCV names a Bayer pattern by its second row and column.
_BY_DEPTH = {
    'mono': _Format(1),
    'bgr': _Format(3, cv2.COLOR_BGR2GRAY, cv2.COLOR_BGR2RGB),
    'rgb': _Format(3, cv2.COLOR_RGB2GRAY, None),
    'bgra': _Format(4, cv2.COLOR_BGRA2GRAY, cv2.COLOR_BGRA2RGB),
    'rgba': _Format(4, cv2.COLOR_RGBA2GRAY, cv2.COLOR_RGBA2RGB),
    'bayer_rggb': _Format(1, cv2.COLOR_BayerBG2GRAY, cv2.COLOR_BayerBG2RGB, least=3),
    'bayer_bggr': _Format(1, cv2.COLOR_BayerRG2GRAY, cv2.COLOR_BayerRG2RGB, least=3),
    'bayer_gbrg': _Format(1, cv2.COLOR_BayerGR2GRAY, cv2.COLOR_BayerGR2RGB, least=3),
    'bayer_grbg': _Format(1, cv2.COLOR_BayerGB2GRAY, cv2.COLOR_BayerGB2RGB, least=3),
}
# The names of sensor_msgs/image_encodings.hpp that say, or by OpenCV's order of channels imply,
# what is bright.
_FORMATS = {
    **{f'{name}8': format for name, format in _BY_DEPTH.items()},
    **{f'{name}16': format._replace(dtype=np.uint16) for name, format in _BY_DEPTH.items()},
    'yuyv': _Format(2, cv2.COLOR_YUV2GRAY_YUY2, cv2.COLOR_YUV2RGB_YUY2, block=(1, 2)),
    'uyvy': _Format(2, cv2.COLOR_YUV2GRAY_UYVY, cv2.COLOR_YUV2RGB_UYVY, block=(1, 2)),
    'nv12': _Format(1, colours=cv2.COLOR_YUV2RGB_NV12, chroma_rows=1, block=(2, 2)),
    'nv21': _Format(1, colours=cv2.COLOR_YUV2RGB_NV21, chroma_rows=1, block=(2, 2)),
    'nv24': _Format(1, colours=cv2.COLOR_YUV2RGB_NV12, chroma_rows=4),
}
_FORMATS |= {
    alias: _FORMATS[name]
    for alias, name in (
        ('yuv422_yuy2', 'yuyv'),
        ('yuv422', 'uyvy'),
        ('8UC1', 'mono8'),
        ('8UC3', 'bgr8'),
        ('8UC4', 'bgra8'),
        ('16UC3', 'bgr16'),
        ('16UC4', 'bgra16'),
    )
}

ENCODINGS = tuple(_FORMATS)

_NO_BRIGHTNESS = (
    (re.compile('16UC1|32FC1'), 'depth by REP 118, no brightness'),
    (re.compile('(8|16|32|64)[USF]C[0-9]*'), 'numbers that need not be brightness'),
)

MAX_PIXELS = 1 << 26  # of a file that is decoded; topspark_ros/__init__.py tells OpenCV
# By halvings.
_REDUCED = (
    cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH,
    cv2.IMREAD_REDUCED_GRAYSCALE_2,
    cv2.IMREAD_REDUCED_GRAYSCALE_4,
    cv2.IMREAD_REDUCED_GRAYSCALE_8,
)
_REDUCED_COLOUR = (
    cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH,
    cv2.IMREAD_REDUCED_COLOR_2,
    cv2.IMREAD_REDUCED_COLOR_4,
    cv2.IMREAD_REDUCED_COLOR_8,
)
_JPEG, _PNG = b'\xff\xd8', b'\x89PNG\r\n\x1a\n'

Buffer = bytes | bytearray | memoryview | array | np.ndarray


class ImageError(TopsparkError):
    """An image was rejected: one line with field, value and what is accepted."""


def to_gray(
    encoding: str,
    height: int,
    width: int,
    step: int,
    is_bigendian: bool,
    data: Buffer,
    side: int | None = None,
) -> np.ndarray:
    """The image as an array of shape (height, width), uint8 or, of 16 bits a sample, uint16.

    The arguments are the fields of sensor_msgs/Image. Colour becomes luma (ITU-R BT.601), that of
    YUV is taken as it is, whatever range the camera gives it. Values are as in `data`: how many of
    16 bits a camera uses is not known. What is grey already is a view of `data`, possibly
    read-only and strided, unless its byte order is foreign: nothing is copied.

    Parameters
    ----------
    encoding
        One of ENCODINGS.
    height, width
        Rows and columns, pixels, from 1; from 3 of a Bayer pattern; even where neighbours share a
        colour (width of yuyv and uyvy, both of nv12 and nv21).
    step
        Bytes a row, padding included; of nv12, nv21 and nv24 a row of brightness.
    is_bigendian
        Byte order of 16-bit samples, true for the most significant byte first.
    data
        Bytes, array.array('B'), memoryview or uint8 ndarray of step * height bytes; with the
        colours behind them, half as much again for nv12 and nv21, twice as much for nv24.
    side
        Of the longer side, so many pixels are enough: an image in colour of 8 bits and four times
        that or more comes back smaller, by a power of two.

    Raises
    ------
    ImageError
        For an encoding that is unknown or tells no brightness, an image that is empty or of a
        side that does not fit, a step too small or a size of data that does not fit.
    """
    form, buffer = _checked(encoding, height, width, step, data)
    sample_bytes = np.dtype(form.dtype).itemsize
    if (
        form.conversion is not None
        and form.samples > 1
        and sample_bytes == 1
        and side is not None
        and max(height, width) >= 4 * side
    ):
        return _shrunk_gray(buffer, height, width, step, form.samples, form.conversion, side)
    pixels = _pixels(form, buffer, height, width, step, is_bigendian)
    return pixels if form.conversion is None else cv2.cvtColor(pixels, form.conversion)


def to_rgb(
    encoding: str,
    height: int,
    width: int,
    step: int,
    is_bigendian: bool,
    data: Buffer,
) -> np.ndarray:
    """The image in red, green and blue, (height, width, 3), uint8 or, of 16 bits, uint16.

    Arguments and errors are those of `to_gray`. What is grey is so in all three. A Bayer pattern is
    interpolated. What is RGB already is a view of `data`.
    """
    form, buffer = _checked(encoding, height, width, step, data)
    fields = form, buffer, height, width, step
    pixels = _shared_colours(*fields) if form.chroma_rows else _pixels(*fields, is_bigendian)
    rgb = pixels if form.colours is None else cv2.cvtColor(pixels, form.colours)
    return rgb[:height, :width]


def _shared_colours(
    form: _Format, buffer: np.ndarray, height: int, width: int, step: int
) -> np.ndarray:
    """Brightness and below it the colours of blocks of four pixels, as of nv12 and nv21, for even
    sides; of nv24, which has a colour for every pixel, those of the first of each block."""
    rows = buffer.reshape(-1, step)
    if form.chroma_rows == 1:
        return np.ascontiguousarray(rows[:, :width])
    colours = rows[height:].reshape(height, step, 2)[::2, :width:2]
    brightness = np.pad(rows[:height, :width], ((0, height % 2), (0, width % 2)), 'edge')
    return np.concatenate((brightness, colours.reshape(len(colours), -1)))


def _checked(
    encoding: str, height: int, width: int, step: int, data: Buffer
) -> tuple[_Format, np.ndarray]:
    """The format, and all bytes, once they are known to fit; ImageError if they do not."""
    if encoding not in _FORMATS:
        reason = _reason(encoding)
        raise ImageError(
            f'encoding is {encoding!r}{reason and f" ({reason})"}, accepted is one of '
            f'{", ".join(ENCODINGS)}'
        )
    form = _FORMATS[encoding]
    for field, value, block in zip(('height', 'width'), (height, width), form.block):
        if value < form.least:
            raise ImageError(
                f'{field} is {value}, accepted is {form.least} pixel'
                f'{"s" if form.least > 1 else ""} or more'
            )
        if value % block:
            raise ImageError(f'{field} is {value}, accepted is an even number for {encoding}')
    sample_bytes = np.dtype(form.dtype).itemsize
    row_bytes = width * form.samples * sample_bytes
    if step < row_bytes:
        raise ImageError(
            f'step is {step} bytes, accepted is {row_bytes} or more '
            f'for {width} pixels of {encoding}'
        )
    rows = height + height * form.chroma_rows // 2
    buffer = _bytes_of(data)
    planes = f' x {1 + form.chroma_rows / 2:g}' if form.chroma_rows else ''
    if buffer.size != step * rows:
        raise ImageError(
            f'data is {buffer.size} bytes, accepted is exactly {step * rows} '
            f'(step {step} x height {height}{planes})'
        )
    return form, buffer


def _pixels(
    form: _Format, buffer: np.ndarray, height: int, width: int, step: int, is_bigendian: bool
) -> np.ndarray:
    """The samples, (height, width) or (height, width, samples of a pixel); a view if possible."""
    row_bytes = width * form.samples * np.dtype(form.dtype).itemsize
    pixels = buffer.reshape(-1, step)[:height, :row_bytes]
    if form.dtype != np.uint8:
        stored = np.dtype(form.dtype).newbyteorder('>' if is_bigendian else '<')
        pixels = np.require(pixels.view(stored), form.dtype, ['C', 'A'])  # as OpenCV needs it
    return pixels if form.samples == 1 else pixels.reshape(height, width, form.samples)


def _shrunk_gray(
    buffer: np.ndarray,
    height: int,
    width: int,
    step: int,
    samples: int,
    conversion: int,
    side: int,
) -> np.ndarray:
    """Colours of 8 bits as grey, both sides halved as often as the longer one stays above `side`.

    Rows are merged while they still have colours: there is less to convert then.
    """
    halvings = _halvings(height, width, side)
    row_bytes = width * samples
    for _ in range(halvings):
        from . import object_kernels as kernels  # Numba, which small images do without

        height //= 2
        merged = np.empty((height, row_bytes), np.uint8)
        kernels.mean_of_rows(_read_only(buffer), step, merged)
        buffer, step = merged.reshape(-1), row_bytes
    pixels = buffer.reshape(-1, step)[:height, :row_bytes].reshape(height, width, samples)
    gray = cv2.cvtColor(pixels, conversion)
    for _ in range(halvings):
        width //= 2
        merged = np.empty((height, width), np.uint8)
        kernels.mean_of_columns(gray, merged)
        gray = merged
    return gray


def _read_only(array: np.ndarray) -> np.ndarray:
    """The same, always of one type for a kernel."""
    view = array.view()
    view.flags.writeable = False
    return view


def _halvings(height: int, width: int, side: int) -> int:
    """How often the longer side may be halved to remain `side`, and both to be there."""
    return max(0, min(max(height, width) // side, height, width).bit_length() - 1)


def decode_compressed(format: str, data: Buffer, side: int | None = None) -> np.ndarray:
    """A compressed image as an array of shape (height, width), uint8 or, of 16 bits, uint16.

    Parameters
    ----------
    format
        The field of sensor_msgs/CompressedImage. What it says of depth is believed; of all else,
        the signature of the file in `data` decides.
    data
        Bytes, array.array('B'), memoryview or uint8 ndarray, a whole JPEG or PNG file (or any other
        that OpenCV reads).
    side
        Of the longer side, so many pixels are enough: of a JPEG of twice that or more, fewer are
        decoded.

    Raises
    ------
    ImageError
        For depth and for data that is empty, damaged or cannot be decoded.
    """
    return _decoded(format, data, side, _REDUCED)


def decode_rgb(format: str, data: Buffer, side: int | None = None) -> np.ndarray:
    """A compressed image in red, green and blue, (height, width, 3), uint8 or, of 16 bits, uint16.

    Parameters and errors are those of `decode_compressed`.
    """
    return cv2.cvtColor(_decoded(format, data, side, _REDUCED_COLOUR), cv2.COLOR_BGR2RGB)


def _decoded(
    format: str, data: Buffer, side: int | None, flags_by_halvings: tuple[int, ...]
) -> np.ndarray:
    """By OpenCV with these flags, which say whether grey or BGR; arguments and errors are those of
    `decode_compressed`."""
    encoding = format.partition(';')[0].strip()
    reason = 'depth, no brightness' if 'compressedDepth' in format else _reason(encoding)
    if reason:
        raise ImageError(
            f'format is {format!r} ({reason}), accepted is a JPEG or PNG file of '
            'brightness or colour'
        )
    buffer = _bytes_of(data)
    if buffer.size == 0:
        raise ImageError('data is 0 bytes, accepted is a whole JPEG or PNG file')
    _check_file(buffer)
    halvings = 0
    if side is not None and buffer[:2].tobytes() == _JPEG:
        from . import jpeg

        halvings = min(_halvings(*jpeg.shape(buffer), side), len(flags_by_halvings) - 1)
    try:
        image = cv2.imdecode(buffer, flags_by_halvings[halvings])
    except cv2.error:  # a header that promises an impossible size
        image = None
    if image is None or image.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f'data is {buffer.size} bytes of format {format!r} that cannot be '
            'decoded, accepted is a whole JPEG or PNG file'
        )
    return image


def warm_up_decoding() -> None:
    """Compile, or load, what `decode_compressed` needs."""
    from . import jpeg

    jpeg.warm_up()


def _check_file(buffer: np.ndarray) -> None:
    """Reject what OpenCV would decode with a warning, or reserve too much memory for."""
    start = buffer[:24].tobytes()
    if start.startswith(_JPEG):
        from . import jpeg  # Numba, which raw images do without

        damage = jpeg.damage(buffer)
        if damage:
            raise ImageError(
                f'data is a damaged JPEG of {buffer.size} bytes ({damage}), '
                'accepted is a whole JPEG or PNG file'
            )
    width, height = (int.from_bytes(start[at : at + 4], 'big') for at in (16, 20))
    if start.startswith(_PNG) and width * height > MAX_PIXELS:
        raise ImageError(
            f'width x height is {width} x {height} in a PNG, accepted is up to {MAX_PIXELS} pixels'
        )


def _reason(encoding: str) -> str:
    """Why an encoding that sensor_msgs knows is rejected; empty for any other."""
    if encoding in _FORMATS:
        return ''
    return next((reason for pattern, reason in _NO_BRIGHTNESS if pattern.fullmatch(encoding)), '')


def _bytes_of(data: Buffer) -> np.ndarray:
    """A flat uint8 view of any contiguous buffer."""
    try:
        view = data.data if isinstance(data, np.ndarray) else memoryview(data)
        if view.nbytes == 0:  # numpy.frombuffer rejects an empty buffer
            return np.empty(0, np.uint8)
        return np.frombuffer(data, np.uint8)
    except (TypeError, ValueError, BufferError):
        raise ImageError(
            f'data is {type(data).__name__}, accepted is contiguous bytes, '
            "array.array('B'), memoryview or uint8 ndarray"
        ) from None
