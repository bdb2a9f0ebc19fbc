"""Parts and sizes of images."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

MIN_CONTRAST = 12 / 255  # share of the brightest level, between object and background


class Square(NamedTuple):
    """A part of an image: x and y of its centre, and its side, pixels. It may reach beyond."""

    x: float
    y: float
    extent: float

    def scaled(self, factor: float) -> Square:
        """The same part where the image has `factor` times as many pixels a side."""
        return Square(
            factor * (self.x + 0.5) - 0.5, factor * (self.y + 0.5) - 0.5, factor * self.extent
        )

    @property
    def whole_pixels(self) -> tuple[int, int, int]:
        """Left, top and side."""
        size = max(1, round(self.extent))
        left, top = (round(place - (size - 1) / 2) for place in (self.x, self.y))
        return left, top, size


def central_square(height: int, width: int) -> Square:
    """The largest one in the middle of an image."""
    return Square((width - 1) / 2, (height - 1) / 2, min(height, width))


def resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """An image in this size: made smaller by the mean over areas, larger by lines."""
    shrinks = height < image.shape[0] or width < image.shape[1]
    return cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
