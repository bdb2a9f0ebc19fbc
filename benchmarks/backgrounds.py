"""Objects before photographs that have nothing to do with them.

Half of the photographs in TOPSPARK_DATA are for learning, the others for testing. Which pixels of a
picture are its object is known here from how the picture was taken; networks are not told.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from .photographs import Photographs

PARTS = 'learning', 'test'
BLUE = 0.3  # of the cloth behind the objects of eth80, more than of anything on it
RIM = 0.5  # pixels, deviation, that an object's rim is softened by


@cache
def load_backgrounds(part: str) -> list[np.ndarray]:
    """Photographs of one of PARTS, (height, width, 3) uint8, red, green, blue."""
    files = sorted((Path(os.environ['TOPSPARK_DATA']) / 'backgrounds').glob('*.jpg'))
    files = [path for path in files if not path.stem.endswith('_right')]  # as the left one
    return [
        cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        for path in files[PARTS.index(part) :: len(PARTS)]
    ]


def before_photographs(data: Photographs, pixels: np.ndarray, part: str, seed: int) -> np.ndarray:
    """Pictures of a set, (number, side * side * channels) uint8, each before a piece of one of the
    photographs of a part.

    Grey pictures are bright on black: of picture and photograph the brighter one is seen. Pictures
    in colour are those of eth80, whose objects stand on blue cloth.
    """
    random = np.random.default_rng(seed)
    backgrounds = load_backgrounds(part)
    shown = []
    for picture in pixels.reshape(-1, data.side, data.side, data.channels):
        behind = _piece(backgrounds[random.integers(len(backgrounds))], data.side, random)
        if data.channels == 1:
            grey = np.rint(behind.mean(axis=2, keepdims=True)).astype(np.uint8)
            shown.append(np.maximum(picture, grey))
        else:
            share = cv2.GaussianBlur(is_object(picture).astype(np.float32), (3, 3), RIM)
            share = share[..., np.newaxis]
            shown.append(np.rint(share * picture + (1 - share) * behind).astype(np.uint8))
    return np.stack(shown).reshape(len(pixels), -1)


def is_object(picture: np.ndarray) -> np.ndarray:
    """Which pixels of a picture of eth80, (side, side, 3) uint8, show its object, bool.

    The largest piece of what blue cloth that reaches the edge leaves.
    """
    red, green, blue = np.moveaxis(picture.astype(np.float32) / 255, 2, 0)
    blueness = (blue - (red + green) / 2) / ((red + green + blue) / 3 + 0.1)
    cloth = np.pad(blueness > BLUE, 1, constant_values=True).astype(np.uint8)
    _, pieces = cv2.connectedComponents(cloth, connectivity=4)
    rest = (pieces != pieces[0, 0])[1:-1, 1:-1]
    count, pieces, sizes, _ = cv2.connectedComponentsWithStats(rest.astype(np.uint8))
    return pieces == 1 + sizes[1:, cv2.CC_STAT_AREA].argmax() if count > 1 else rest


def _piece(photograph: np.ndarray, side: int, random: np.random.Generator) -> np.ndarray:
    """A square of a photograph, of its pixels, mirrored half of the time."""
    top, left = (random.integers(length - side + 1) for length in photograph.shape[:2])
    square = photograph[top : top + side, left : left + side]
    return square[:, ::-1] if random.random() < 0.5 else square
