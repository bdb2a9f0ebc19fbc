"""Images as cameras send them, of which only what is asked for is made grey or red, green, blue."""

from __future__ import annotations

import re
import sys
from array import array
from typing import NamedTuple, Protocol, cast

import cv2
import numpy as np

from topspark_ros.errors import TopsparkError

from .colours import MIN_CONTRAST, Square, central_square, resized


class _Format(NamedTuple):
    """How an encoding lies in memory, and what makes it grey and red, green, blue."""

    samples: int  # a pixel has in its row
    conversion: int | None = None  # to grey, of OpenCV; None: the samples are grey
    colours: int | None = cv2.COLOR_GRAY2RGB  # to RGB; None: it is
    chroma_rows: int = 0  # for two rows of the image, after all of these
    block: tuple[int, int] = (1, 1)  # rows and columns that share a colour; sides are multiples
    least: int = 1  # side that OpenCV converts, pixels
    shared: bool = False  # whether a pixel's colours are found in its neighbours too
    dtype: type = np.uint8  # of the samples


# Of one or two bytes a sample. OpenCV names a Bayer pattern by its second row and column.
_BY_DEPTH = {
    'mono': _Format(1),
    'bgr': _Format(3, cv2.COLOR_BGR2GRAY, cv2.COLOR_BGR2RGB),
    'rgb': _Format(3, cv2.COLOR_RGB2GRAY, None),
    'bgra': _Format(4, cv2.COLOR_BGRA2GRAY, cv2.COLOR_BGRA2RGB),
    'rgba': _Format(4, cv2.COLOR_RGBA2GRAY, cv2.COLOR_RGBA2RGB),
    'bayer_rggb': _Format(1, cv2.COLOR_BayerBG2GRAY, cv2.COLOR_BayerBG2RGB, least=3, shared=True),
    'bayer_bggr': _Format(1, cv2.COLOR_BayerRG2GRAY, cv2.COLOR_BayerRG2RGB, least=3, shared=True),
    'bayer_gbrg': _Format(1, cv2.COLOR_BayerGR2GRAY, cv2.COLOR_BayerGR2RGB, least=3, shared=True),
    'bayer_grbg': _Format(1, cv2.COLOR_BayerGB2GRAY, cv2.COLOR_BayerGB2RGB, least=3, shared=True),
}
# The names of sensor_msgs/image_encodings.hpp that say, or by OpenCV's order of channels imply,
# what is bright.
_FORMATS = {
    **{f'{name}8': format for name, format in _BY_DEPTH.items()},
    **{f'{name}16': format._replace(dtype=np.uint16) for name, format in _BY_DEPTH.items()},
    'yuyv': _Format(2, cv2.COLOR_YUV2GRAY_YUY2, cv2.COLOR_YUV2RGB_YUY2, block=(1, 2), shared=True),
    'uyvy': _Format(2, cv2.COLOR_YUV2GRAY_UYVY, cv2.COLOR_YUV2RGB_UYVY, block=(1, 2), shared=True),
    'nv12': _Format(1, colours=cv2.COLOR_YUV2RGB_NV12, chroma_rows=1, block=(2, 2), shared=True),
    'nv21': _Format(1, colours=cv2.COLOR_YUV2RGB_NV21, chroma_rows=1, block=(2, 2), shared=True),
    'nv24': _Format(1, colours=cv2.COLOR_YUV2RGB_NV12, chroma_rows=4, shared=True),
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
_MARGIN = 2  # pixels around a part, by which its colours are those of the whole image

Buffer = bytes | bytearray | memoryview | array | np.ndarray


class ImageError(TopsparkError):
    """An image was rejected: one line with field, value and what is accepted."""


class ReducedGray(NamedTuple):
    """An image in grey, of which some rows and columns were made one."""

    pixels: np.ndarray  # (height, width), uint8 or uint16
    factor: int  # rows, and columns, of the image in one of these


class CameraImage(Protocol):
    """What a camera sent, of which parts can be asked for: only their pixels are looked at.

    Values of 16 bits are as they are sent: how many of them a camera uses is not known.
    """

    @property
    def central_square(self) -> Square:
        """What `central_picture` shows."""

    def gray(self) -> np.ndarray:
        """All of it, (height, width), uint8 or, of 16 bits a sample, uint16."""

    def rgb(self, side: int | None = None) -> np.ndarray:
        """All of it in red, green and blue, (height, width, 3), uint8 or uint16.

        side: of the longer side, so many pixels are enough: where that saves work, it comes back
            smaller, by a power of two.
        """

    def reduced_gray(self, side: int) -> ReducedGray:
        """The same of grey."""

    def picture(self, square: Square, side: int) -> np.ndarray:
        """A square of it as (side * side * 3,) float32 in 0 to 1, row by row, red, green, blue.

        All zeros where no colour has a contrast of MIN_CONTRAST. Of 16 bits the brightest level of
        the image counts as 1. Beyond the image its edge goes on.
        """

    def central_picture(self, side: int) -> np.ndarray:
        """The same of its central square."""


class RawImage:
    """The fields of sensor_msgs/Image. Grey is luma (ITU-R BT.601), that of YUV is taken as it is,
    whatever range the camera gives it; what is grey is so in all colours; a Bayer pattern is
    interpolated. What is wanted as it is stored is a view of `data`, possibly read-only and
    strided, unless its byte order is foreign. See :class:`CameraImage`.

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

    Raises
    ------
    ImageError
        For an encoding that is unknown or tells no brightness, an image that is empty or of a
        side that does not fit, a step too small or a size of data that does not fit.
    """

    def __init__(
        self,
        encoding: str,
        height: int,
        width: int,
        step: int,
        is_bigendian: bool,
        data: Buffer,
    ) -> None:
        self._form, self._buffer = _checked(encoding, height, width, step, data)
        self.height, self.width, self._step = height, width, step
        self._stored = np.dtype(self._form.dtype).newbyteorder('>' if is_bigendian else '<')

    @classmethod
    def of(cls, pixels: np.ndarray, order: str = 'rgb') -> RawImage:
        """Of an array, (height, width), grey, or (height, width, 3) in this order, uint8 or
        uint16."""
        encoding = f'{"mono" if pixels.ndim == 2 else order}{8 * pixels.itemsize}'
        height, width = pixels.shape[:2]
        data = np.ascontiguousarray(pixels).reshape(-1).view(np.uint8)
        return cls(encoding, height, width, data.size // height, sys.byteorder == 'big', data)

    @property
    def central_square(self) -> Square:
        return central_square(self.height, self.width)

    def gray(self) -> np.ndarray:
        pixels = self._samples(*self._everywhere)
        return _converted(pixels, self._form.conversion)

    def rgb(self, side: int | None = None) -> np.ndarray:
        return self._rgb(*self._everywhere)

    def reduced_gray(self, side: int) -> ReducedGray:
        form, height, width = self._form, self.height, self.width
        # What is grey already is made smaller fast enough.
        if (
            form.conversion is None
            or form.samples == 1
            or form.dtype != np.uint8
            or max(height, width) < 4 * side
        ):
            return ReducedGray(self.gray(), 1)
        halvings = halvings_to(side, height, width)
        pixels = _shrunk_gray(
            self._buffer, height, width, self._step, form.samples, form.conversion, halvings
        )
        return ReducedGray(pixels, 1 << halvings)

    def picture(self, square: Square, side: int) -> np.ndarray:
        from . import image_kernels as kernels  # Numba, which grey images do without

        left, top, size = square.whole_pixels
        rows, columns = _inside(top, size, self.height), _inside(left, size, self.width)
        show = self._enlarged if size < side else self._shrunk
        shown = show(rows, columns, left, top, size, side)
        kernels.hide_even(shown, np.float32(MIN_CONTRAST))
        return shown.reshape(-1)

    def central_picture(self, side: int) -> np.ndarray:
        return self.picture(self.central_square, side)

    def _shrunk(
        self, rows: slice, columns: slice, left: int, top: int, size: int, side: int
    ) -> np.ndarray:
        """What the rows and columns show of a square, as (side, side, 3) float32 in 0 to 1."""
        from . import image_kernels as kernels

        form = self._form
        samples, conversion, step = form.samples, form.colours, self._step
        if form.shared:
            part, samples, conversion = self._rgb(rows, columns), 3, None
        elif form.dtype == np.uint16:
            part = self._samples(rows, columns)
        else:  # nothing is copied
            part = self._buffer[rows.start * step + columns.start * samples :]
        if part.ndim > 1:
            step = part.shape[1] * samples
        shown = np.empty((side, side, samples), np.float32)
        kernels.mean_of_areas(
            _read_only(np.ascontiguousarray(part).reshape(-1)),
            step,
            (rows.stop - rows.start, columns.stop - columns.start),
            left - columns.start,
            top - rows.start,
            size,
            1 / self._white,
            shown,
        )
        # The mean of colours is the colour of the mean, and has fewer pixels.
        return _converted(shown, conversion)

    def _enlarged(
        self, rows: slice, columns: slice, left: int, top: int, size: int, side: int
    ) -> np.ndarray:
        """The same of a square that is smaller than what is shown."""
        part = self._rgb(rows, columns)
        down, across = (
            np.clip(np.arange(first, first + size), inside.start, inside.stop - 1) - inside.start
            for first, inside in ((top, rows), (left, columns))
        )
        square = part[down[:, np.newaxis], across]
        return resized(square, side, side).astype(np.float32) * np.float32(1 / self._white)

    @property
    def _white(self) -> int:
        """What counts as 1."""
        if self._form.dtype == np.uint8:
            return 255
        samples = self._samples(*self._everywhere)
        colours = samples[..., :3] if samples.ndim == 3 else samples
        return max(1, int(colours.max()))

    @property
    def _everywhere(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(0, self.height), slice(0, self.width)

    def _rgb(self, rows: slice, columns: slice) -> np.ndarray:
        """A part in red, green and blue, as it is in the whole image."""
        if not self._form.shared:
            return _converted(self._samples(rows, columns), self._form.colours)
        down, across = _around(rows, self.height), _around(columns, self.width)
        rgb = (
            self._chroma_rgb(down, across)
            if self._form.chroma_rows
            else _converted(self._samples(down, across), self._form.colours)
        )
        return rgb[_within(rows, down), _within(columns, across)]

    def _chroma_rgb(self, rows: slice, columns: slice) -> np.ndarray:
        """A part that begins with a block of four pixels, whose colours lie behind all brightness.

        Of nv24, which has a colour for every pixel, those of the first of each block are taken.
        """
        brightness, form = self._samples(rows, columns), self._form
        chroma = self._buffer.reshape(-1, self._step)[self.height :]
        if form.chroma_rows == 1:
            down = slice(rows.start // 2, rows.stop // 2)
            blocks: np.ndarray = chroma[down, columns].reshape(len(brightness) // 2, -1, 2)
        else:
            blocks = chroma.reshape(self.height, self._step, 2)[rows, columns][::2, ::2]
            height, width = brightness.shape
            brightness = cv2.copyMakeBorder(
                brightness, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE
            )
        conversion = cast(int, form.colours)  # there is one
        return cv2.cvtColorTwoPlane(brightness, np.ascontiguousarray(blocks), conversion)

    def _samples(self, rows: slice, columns: slice) -> np.ndarray:
        """Of a part, (height, width) or (height, width, samples of a pixel); a view if possible."""
        form = self._form
        pixel_bytes = form.samples * self._stored.itemsize
        samples = self._buffer.reshape(-1, self._step)[
            rows, columns.start * pixel_bytes : columns.stop * pixel_bytes
        ]
        if form.dtype != np.uint8:
            samples = np.require(samples.view(self._stored), form.dtype, ['C', 'A'])  # for OpenCV
        return samples if form.samples == 1 else samples.reshape(len(samples), -1, form.samples)


def _converted(pixels: np.ndarray, conversion: int | None) -> np.ndarray:
    return pixels if conversion is None else cv2.cvtColor(pixels, conversion)


def _inside(first: int, count: int, length: int) -> slice:
    """Of so many in a row, those within the image, but one at least."""
    begin = min(max(first, 0), length - 1)
    return slice(begin, max(min(first + count, length), begin + 1))


def _around(inside: slice, length: int) -> slice:
    """The same with a margin, from an even one on to an even one or the end."""
    begin = max(0, inside.start - _MARGIN)
    end = inside.stop + _MARGIN
    return slice(begin - begin % 2, min(end + end % 2, length))


def _within(part: slice, whole: slice) -> slice:
    return slice(part.start - whole.start, part.stop - whole.start)


def _checked(
    encoding: str, height: int, width: int, step: int, data: Buffer
) -> tuple[_Format, np.ndarray]:
    """The format, and all bytes, once they are known to fit; ImageError if they do not."""
    if encoding not in _FORMATS:
        reason = why_not_bright(encoding)
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
    buffer = bytes_of(data)
    planes = f' x {1 + form.chroma_rows / 2:g}' if form.chroma_rows else ''
    if buffer.size != step * rows:
        raise ImageError(
            f'data is {buffer.size} bytes, accepted is exactly {step * rows} '
            f'(step {step} x height {height}{planes})'
        )
    return form, buffer


def _shrunk_gray(
    buffer: np.ndarray,
    height: int,
    width: int,
    step: int,
    samples: int,
    conversion: int,
    halvings: int,
) -> np.ndarray:
    """Colours of 8 bits as grey, both sides halved so often.

    Rows are merged while they still have colours: there is less to convert then.
    """
    row_bytes = width * samples
    for _ in range(halvings):
        from . import image_kernels as kernels  # Numba, which small images do without

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


def halvings_to(side: int, height: int, width: int) -> int:
    """How often the longer side may be halved to remain `side`, and both to be there."""
    return max(0, min(max(height, width) // side, height, width).bit_length() - 1)


def why_not_bright(encoding: str) -> str:
    """Why an encoding that sensor_msgs knows is rejected; empty for any other."""
    if encoding in _FORMATS:
        return ''
    return next((reason for pattern, reason in _NO_BRIGHTNESS if pattern.fullmatch(encoding)), '')


def bytes_of(data: Buffer) -> np.ndarray:
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
