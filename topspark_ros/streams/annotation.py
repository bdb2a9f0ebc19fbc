"""A frame with the boxes of what was found in it, for people."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .colours import Square
from .objects import resized_shape

SIDE = 640  # of the longer side of the picture, pixels: boxes and letters are equally large in all
COLOUR = (0, 160, 60)  # RGB
_LINE, _MARGIN, _LETTERS = 2, 4, 0.6  # pixels, pixels, and of OpenCV's font


def annotated(rgb: np.ndarray, boxes: Sequence[tuple[Square, str]]) -> np.ndarray:
    """The frame in another size, with boxes around parts and what is in them; uint8 RGB.

    rgb: (height, width, 3), uint8 or uint16, of which the brightest level is shown as white.
    boxes: in pixels of `rgb`, and texts. The first one has a thicker line.
    """
    if rgb.dtype != np.uint8:
        rgb = cv2.convertScaleAbs(rgb, alpha=255 / max(1, int(rgb.max())))
    factor = SIDE / max(rgb.shape[:2])
    height, width = resized_shape(rgb.shape[:2], SIDE)
    picture = cv2.resize(
        rgb, (width, height), interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    )
    for number, (square, text) in reversed(tuple(enumerate(boxes))):
        left, top, side = square.scaled(factor).whole_pixels
        line = 1 if number else _LINE
        cv2.rectangle(picture, (left, top), (left + side, top + side), COLOUR, line)
        _write(picture, text, left, top)
    return picture


def _write(picture: np.ndarray, text: str, left: int, top: int) -> None:
    """Letters above this corner, or as near as the picture has room for them."""
    (wide, high), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, _LETTERS, 1)
    height, width, _ = picture.shape
    x = min(max(left, 0), max(0, width - wide - 2 * _MARGIN))
    y = min(max(top, high + below + 2 * _MARGIN), height)
    cv2.rectangle(
        picture, (x, y - high - below - 2 * _MARGIN), (x + wide + 2 * _MARGIN, y), COLOUR, -1
    )
    cv2.putText(
        picture,
        text,
        (x + _MARGIN, y - below - _MARGIN),
        cv2.FONT_HERSHEY_SIMPLEX,
        _LETTERS,
        (255, 255, 255),
        1,
        cv2.LINE_AA,
    )
