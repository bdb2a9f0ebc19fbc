"""A part of a colour image, as a picture of the size that a network takes."""

from __future__ import annotations

import cv2
import numpy as np

MIN_CONTRAST = 12 / 255  # share of the brightest level, between object and background


def central_square(rgb: np.ndarray) -> tuple[tuple[float, float], float]:
    """Centre, x and y, and side of the largest square in the middle of an image, pixels."""
    height, width = rgb.shape[:2]
    return ((width - 1) / 2, (height - 1) / 2), min(height, width)


def resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """An image in this size: made smaller by the mean over areas, larger by lines."""
    shrinks = height < image.shape[0] or width < image.shape[1]
    return cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )


def picture(rgb: np.ndarray, centre: tuple[float, float], extent: float, side: int) -> np.ndarray:
    """A square of an image, (side * side * 3,) float32 in 0 to 1, row by row, red, green, blue.

    All zeros where no colour has a contrast of MIN_CONTRAST. Beyond the image its edge goes on.

    Parameters
    ----------
    rgb
        (height, width, 3) uint8; or uint16, whose brightest level counts as 1, as nobody knows how
        many of 16 bits a camera uses.
    centre, extent
        Of the square, x and y, and its side, pixels.
    """
    size = max(1, round(extent))
    left, top = (round(place - (size - 1) / 2) for place in centre)
    height, width = rgb.shape[:2]
    part = rgb[max(0, top) : max(1, top + size), max(0, left) : max(1, left + size)]
    beyond = (
        max(0, -top),
        max(0, top + size - height),
        max(0, -left),
        max(0, left + size - width),
    )
    if any(beyond):
        part = cv2.copyMakeBorder(part, *beyond, cv2.BORDER_REPLICATE)
    shown = resized(part, side, side)
    white = 255 if rgb.dtype == np.uint8 else max(1, int(rgb.max()))
    shown = shown.astype(np.float32) * np.float32(1 / white)
    contrast = (shown.max(axis=(0, 1)) - shown.min(axis=(0, 1))).max()
    if contrast < MIN_CONTRAST * shown.max():
        shown[:] = 0
    return shown.reshape(-1)
