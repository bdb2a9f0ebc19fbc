"""Several objects in one view, told apart: what lies together is one, what lies apart another."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from .object_kernels import GAP_SHARE, MIN_AREA, MIN_SHARE, SPECK_SHARE

_WINDOW = 3  # side of the square that the steepness of an edge is measured over, pixels
_REACH = _WINDOW // 2  # by which edges come out wider, pixels
_BLURRED = 0.5  # share of the contrast of a blurred edge that is left within it
_OVER_USUAL = 2.0  # times what is usual in the image: noise, and light that falls off
_OVER_STEEPEST = 0.1  # share of the steepest edge


class Box(NamedTuple):
    """A part of an image: where it begins, and behind where it ends, pixels."""

    left: int
    top: int
    right: int
    bottom: int


def object_boxes(image: np.ndarray, least: float, most: int) -> list[Box]:
    """Where so many objects at most are in an image, the largest first; the boxes lie apart.

    image: grey, blurred a little, (height, width) float32. least: contrast of an object.

    An object has edges all around, where it is darker than what is behind it, or brighter. Light
    has none, however it falls off over the image.
    """
    window = np.ones((_WINDOW, _WINDOW), np.uint8)
    edges: np.ndarray = cv2.dilate(image, window) - cv2.erode(image, window)
    level = max(
        _BLURRED * least,
        _OVER_USUAL * float(np.median(edges)),
        _OVER_STEEPEST * float(edges.max()),
    )
    boxes = []
    for group in separate_groups((edges > level).astype(np.uint8), most, 2 * _REACH):
        (left, right), (top, bottom) = _span(group.max(axis=0)), _span(group.max(axis=1))
        if left < right and top < bottom:
            boxes.append(Box(left, top, right, bottom))
    return boxes


def separate_groups(mask: np.ndarray, most: int, widened: int = 0) -> list[np.ndarray]:
    """So many groups of pixels at most, the largest first, each a mask, (height, width) uint8.

    mask: (height, width) uint8. widened: by how much gaps in it are too narrow, pixels.

    A group is the largest part that is left, and what lies no further off it than a tenth of its
    size. There is none where the largest is less than a tenth of the mask, as of noise; and none
    that is smaller than a tenth of the first.
    """
    _, numbers, found, _ = cv2.connectedComponentsWithStats(mask)
    begins, sizes, areas = found[1:, :2], found[1:, 2:4], found[1:, 4]
    ends, left = begins + sizes, areas.copy()  # left: of the parts that are in no group
    groups: list[np.ndarray] = []
    min_area = max(MIN_AREA, MIN_SHARE * areas.sum())
    while len(groups) < most and left.any():
        largest = left.argmax()
        gap = GAP_SHARE * sizes[largest].max()
        no_speck = left >= SPECK_SHARE * left[largest]
        within, wider = None, np.arange(len(left)) == largest
        while within is None or (wider != within).any():
            within = wider
            begin, end = begins[within].min(axis=0), ends[within].max(axis=0)
            # Between the boxes, along the axis where they are further apart; below 0: they overlap.
            apart = np.maximum(begins - end, begin - ends).max(axis=1) + widened
            wider = within | (no_speck & (apart <= gap))
        area = left[within].sum()
        if area < min_area:
            break
        if not groups:
            min_area = max(MIN_AREA, MIN_SHARE * area)
        groups.append(np.append(False, within).astype(np.uint8)[numbers])
        left[within] = 0
    return groups


def _span(occupied: np.ndarray) -> tuple[int, int]:
    """Begin and end of what edges are around. occupied: where edges are, (length,) uint8."""
    places = np.flatnonzero(occupied)
    begin, end = int(places[0]), int(places[-1]) + 1
    return begin + _REACH * (begin > 0), end - _REACH * (end < len(occupied))
