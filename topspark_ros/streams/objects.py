"""The objects in a camera frame, centred and scaled into the network's input grid."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from . import object_kernels as kernels
from .colours import MIN_CONTRAST, Square
from .groups import object_boxes
from .images import RawImage

WORK_SIDE = 160  # longest side of the image worked on, pixels
_FIT_SIDE = 40  # and of the one that the background is fitted to
_CROP_SIDE = 48  # a smaller image is a crop: no room to tell light from object
_MIN_STEPS = 2.0  # of the levels that a camera tells apart; gradients have steps of one
_NOISE_FACTOR = 6  # an object stands out by this many standard deviations of the noise
_DEVIATION = 1.05  # standard deviations of normal noise in the median difference of two values
_CROP_NOISE = 1e-9  # the same factor of a crop: a few pixels made larger are all edges
_MARGIN = 2  # pixels around one of several objects that show what is behind it


def centre_object(gray: np.ndarray, size: int = 28) -> np.ndarray:
    """The object in `gray`, centred and scaled, as (size * size,) float32 in 0..1.

    The background, a smooth surface under uneven light, is fitted and removed; what stands
    out from it, dark or light, is the object. As in MNIST's preparation (LeCun et al. 1998,
    Proc. IEEE 86(11)) its bounding square takes 20/28 of the grid and its centre of mass
    lies in the middle; what lies apart from its largest part is not of it. The object is bright
    on 0; row-major. All zeros when nothing stands out: a uniform frame or one of mere noise.
    Contrast is judged by the brightest level of the frame and its noise, so that exposure, and
    how many of 16 bits a camera uses, make no difference. An image of at most 48 pixels a side
    is taken as a crop on an even background.

    Parameters
    ----------
    gray
        (height, width) uint8 or uint16, may be read-only and strided.
    size
        Side of the square grid, cells.
    """
    objects = cut_objects(gray, size)
    return objects[0][0] if objects else np.zeros(size * size, np.float32)


def cut_objects(gray: np.ndarray, size: int, most: int = 1) -> list[tuple[np.ndarray, Square]]:
    """So many objects at most, each as `centre_object` shows it, and the square of the image that
    this is. The most salient one comes first. None where nothing stands out.

    most: 1: what stands out most, to one side, dark or light, is the object. More: an object is
        what edges surround, the largest one first. Objects that touch, or lie closer than a tenth
        of their size, are one. A crop has one.
    """
    cut = []
    for found in _find(gray, most):
        grid, *square = kernels.crop(found.relief, found.peak, found.mask, size)
        cut.append((grid, found.in_image(Square(*square))))
    return cut


def locate_objects(gray: np.ndarray, most: int = 1) -> list[Square]:
    """The squares that these objects are looked at in."""
    return [
        found.in_image(framed(found.mass, found.peak, found.whole)) for found in _find(gray, most)
    ]


class _Found(NamedTuple):
    """An object in a part of the image at work size.

    relief: what stands out, (height, width) float32, the larger side of it, dark or light, above 0.
    peak: its height. mask: of that side of the object, uint8.
    mass: what stands out on the sides that the object may have. whole: a mask of all of it.
    left, top: of the part. pixel: side of a pixel of it, pixels of the image.
    """

    relief: np.ndarray
    peak: np.float32
    mask: np.ndarray
    mass: np.ndarray
    whole: np.ndarray
    left: int
    top: int
    pixel: float

    def in_image(self, square: Square) -> Square:
        """A square of the part."""
        x, y, extent = square
        return Square(self.left + x, self.top + y, extent).scaled(self.pixel)


def _find(gray: np.ndarray, most: int) -> list[_Found]:
    work = _resize(gray, WORK_SIDE).astype(np.float32)
    pixel = max(gray.shape) / max(work.shape)
    relief = _blurred(_remove_background(gray, work))
    least = max(_MIN_STEPS, MIN_CONTRAST * float(work.max()))
    noise_factor = _CROP_NOISE if _is_crop(gray.shape) else _NOISE_FACTOR * _DEVIATION
    peak, mask = kernels.standing_out(relief, least, noise_factor)
    if not peak:
        return []
    single = _Found(relief, peak, mask, relief, mask, 0, 0, pixel)
    if most == 1 or _is_crop(gray.shape):
        return [single]
    work, several = _blurred(work), []
    for box in object_boxes(work, least, most):
        left, top = max(box.left - _MARGIN, 0), max(box.top - _MARGIN, 0)
        part = work[top : box.bottom + _MARGIN, left : box.right + _MARGIN]
        relief = part - _border_level(part)
        peak, mask = kernels.standing_out(relief, least, _CROP_NOISE)
        if peak:
            whole = np.zeros(part.shape, np.uint8)
            whole[box.top - top : box.bottom - top, box.left - left : box.right - left] = 1
            several.append(_Found(relief, peak, mask, np.abs(relief), whole, left, top, pixel))
    return several or [single]  # one out of focus has no edges


def warm_up() -> None:
    """Compile the kernels, or load them from their cache."""
    frame = np.zeros((4 * WORK_SIDE, 4 * WORK_SIDE, 3), np.uint8)
    frame[200:400, 200:400] = 255
    for values in frame, frame.astype(np.uint16):
        image = RawImage.of(values)
        gray = image.reduced_gray(WORK_SIDE).pixels
        centre_object(gray)
        locate_objects(gray)
        image.central_picture(WORK_SIDE)


def _remove_background(gray: np.ndarray, work: np.ndarray) -> np.ndarray:
    """The image, also given at work size, float32, minus its background: at work size, float32."""
    if _is_crop(gray.shape):
        return work - _border_level(gray)
    coarse = _resize(work, _FIT_SIDE)
    shape = coarse.shape
    return kernels.without_surface(
        work, coarse.ravel(), _surfaces(shape), _edge(shape), *_axes(work.shape)
    )


def _border_level(gray: np.ndarray) -> np.float32:
    """Of what is behind an object that does not reach the edge of the image."""
    return np.median(np.concatenate((gray[0], gray[-1], gray[:, 0], gray[:, -1]))).astype(
        np.float32
    )


def _blurred(image: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(image, (5, 5), 1.0)


def _is_crop(shape: tuple[int, int]) -> bool:
    return max(shape) <= _CROP_SIDE


def resized_shape(shape: tuple[int, int], longest: int) -> tuple[int, int]:
    """Of an image with this longest side, height and width."""
    scale = longest / max(shape)
    height, width = (max(1, round(side * scale)) for side in shape)
    return height, width


def _resize(gray: np.ndarray, longest: int) -> np.ndarray:
    """With this longest side. Made smaller by halves first, which is far faster than at once."""
    height, width = resized_shape(gray.shape, longest)
    while gray.shape[0] >= 2 * height and gray.shape[1] >= 2 * width:
        rows, columns = gray.shape[0] // 2, gray.shape[1] // 2
        gray = cv2.resize(
            gray[: 2 * rows, : 2 * columns], (columns, rows), interpolation=cv2.INTER_AREA
        )
    if gray.shape == (height, width):
        return gray
    shrinking = longest < max(gray.shape)
    return cv2.resize(
        gray, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    )


@lru_cache(maxsize=8)
def _axes(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The places across and down an image, -1 to 1, float32."""
    height, width = shape
    return (
        np.linspace(-1, 1, width, dtype=np.float32),
        np.linspace(-1, 1, height, dtype=np.float32),
    )


@lru_cache(maxsize=8)
def _surfaces(shape: tuple[int, int]) -> np.ndarray:
    """1, y, x, x y, y^2 and x^2 over an image, (6, height * width) float32."""
    x, y = _axes(shape)
    y, x = np.meshgrid(y, x, indexing='ij')
    surfaces = np.stack((np.ones(shape, np.float32), y, x, x * y, y * y, x * x))
    return surfaces.reshape(6, -1)


@lru_cache(maxsize=8)
def _edge(shape: tuple[int, int]) -> np.ndarray:
    """1 where pixels lie within 3 of the image's edge, (height * width,) float32."""
    edge = np.ones(shape, np.float32)
    edge[3:-3, 3:-3] = 0
    return edge.ravel()


def framed(relief: np.ndarray, peak: float | np.floating, mask: np.ndarray) -> Square:
    """Where an object is looked at: around its centre of mass, so that its bounding square takes
    20/28.

    relief: how much of it each pixel holds, (height, width) float32, up to `peak`. mask: of the
    object, (height, width) uint8, not all 0 where there is something of it.
    """
    return Square(*kernels.frame(relief, np.float32(peak), mask))
