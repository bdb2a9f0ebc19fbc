"""Images as files, JPEG or PNG, decoded no larger than what is asked for."""

from __future__ import annotations

import cv2
import numpy as np

from .colours import Square
from .images import (
    MAX_PIXELS,
    Buffer,
    ImageError,
    RawImage,
    ReducedGray,
    bytes_of,
    halvings_to,
    why_not_bright,
)

# By halvings.
_GRAY = (
    cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH,
    cv2.IMREAD_REDUCED_GRAYSCALE_2,
    cv2.IMREAD_REDUCED_GRAYSCALE_4,
    cv2.IMREAD_REDUCED_GRAYSCALE_8,
)
_COLOUR = (
    cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH,
    cv2.IMREAD_REDUCED_COLOR_2,
    cv2.IMREAD_REDUCED_COLOR_4,
    cv2.IMREAD_REDUCED_COLOR_8,
)
_MOST_HALVINGS = len(_GRAY) - 1
_JPEG, _PNG = b'\xff\xd8', b'\x89PNG\r\n\x1a\n'


class CompressedImage:
    """The fields of sensor_msgs/CompressedImage, as a :class:`CameraImage`.

    A JPEG is decoded with fewer pixels where they are enough, and again where a part of it then
    needs more. Any other file is decoded once.

    Parameters
    ----------
    format
        The field of the message. What it says of depth is believed; of all else, the signature of
        the file in `data` decides.
    data
        Bytes, array.array('B'), memoryview or uint8 ndarray, a whole JPEG or PNG file (or any other
        that OpenCV reads).
    colour
        Whether it will be asked for colours.

    Raises
    ------
    ImageError
        For depth and for data that is empty or damaged, and, when pixels are asked for, for what
        cannot be decoded.
    """

    def __init__(self, format: str, data: Buffer, colour: bool = True) -> None:
        encoding = format.partition(';')[0].strip()
        depth = 'compressedDepth' in format
        reason = 'depth, no brightness' if depth else why_not_bright(encoding)
        if reason:
            raise ImageError(
                f'format is {format!r} ({reason}), accepted is a JPEG or PNG file of '
                'brightness or colour'
            )
        self._data = bytes_of(data)
        if self._data.size == 0:
            raise ImageError('data is 0 bytes, accepted is a whole JPEG or PNG file')
        _check_file(self._data)
        self._format, self._colour = format, colour
        self._decoded: RawImage | None = None
        self._halvings = 0  # of what is decoded
        self._shape: tuple[int, int] | None = None
        if self._data[:2].tobytes() == _JPEG:
            from . import jpeg

            self._shape = jpeg.shape(self._data)  # turned, perhaps

    @property
    def central_square(self) -> Square:
        return self._reduced(self._halvings).central_square.scaled(1 << self._halvings)

    def gray(self) -> np.ndarray:
        return self._reduced(0).gray()

    def rgb(self, side: int | None = None) -> np.ndarray:
        return self._reduced(0 if side is None else self._halvings_to(side)).rgb()

    def reduced_gray(self, side: int) -> ReducedGray:
        reduced = self._reduced(self._halvings_to(side)).reduced_gray(side)
        return reduced._replace(factor=reduced.factor << self._halvings)

    def picture(self, square: Square, side: int) -> np.ndarray:
        image = self._reduced(*_enough(square.extent, side))
        return image.picture(square.scaled(0.5**self._halvings), side)

    def central_picture(self, side: int) -> np.ndarray:
        extent = 0 if self._shape is None else min(self._shape)
        return self._reduced(*_enough(extent, side)).central_picture(side)

    def _halvings_to(self, side: int) -> int:
        return 0 if self._shape is None else halvings_to(side, *self._shape)

    def _reduced(self, wanted: int, most: int | None = None) -> RawImage:
        """With sides halved as often as wanted, or, where there is one, at `most` so often."""
        if self._decoded is None or self._halvings > (wanted if most is None else most):
            halvings = 0 if self._shape is None else min(wanted, _MOST_HALVINGS)
            flags = (_COLOUR if self._colour else _GRAY)[halvings]
            try:
                image = cv2.imdecode(self._data, flags)
            except cv2.error:  # a header that promises an impossible size
                image = None
            if image is None or image.dtype not in (np.uint8, np.uint16):
                raise ImageError(
                    f'data is {self._data.size} bytes of format {self._format!r} that cannot be '
                    'decoded, accepted is a whole JPEG or PNG file'
                )
            self._decoded, self._halvings = RawImage.of(image, 'bgr'), halvings
        return self._decoded


def _enough(extent: float, side: int) -> tuple[int, int]:
    """How often a part may be halved to be shown at this side: wanted, and at most.

    A decoder's smaller image is no mean of areas: it is better left twice as large, for no more
    than a tenth of the time, but to decode it once more takes all of it.
    """
    most = max(0, int(extent / side).bit_length() - 1)
    return max(0, most - 1), most


def warm_up() -> None:
    """Compile, or load, what is needed to look at a file."""
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
