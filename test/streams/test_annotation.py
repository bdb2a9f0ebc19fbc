"""A frame with a box in it."""

from __future__ import annotations

import numpy as np
import pytest

from topspark_ros.streams.annotation import COLOUR, SIDE, annotated
from topspark_ros.streams.colours import Square

GREY = 90


def drawn(picture: np.ndarray) -> np.ndarray:
    """Rows and columns of pixels that have the colour of the box."""
    return np.argwhere((picture == COLOUR).all(axis=2))


@pytest.mark.parametrize('shape', [(240, 320), (960, 1280), (128, 128), (1, 1)])
def test_a_box_lies_where_the_square_is_whatever_the_size(shape):
    height, width = shape
    square = Square(0.5 * width - 0.5, 0.5 * height - 0.5, 0.5 * min(shape))
    picture = annotated(np.full((*shape, 3), GREY, np.uint8), [(square, '')])
    assert max(picture.shape) == SIDE
    assert picture.shape[0] / picture.shape[1] == pytest.approx(height / width)
    rows, columns = np.ptp(drawn(picture), axis=0)
    assert columns == pytest.approx(0.5 * min(picture.shape[:2]), abs=4)
    middle = drawn(picture)[:, 1].min() + columns / 2
    assert middle == pytest.approx(picture.shape[1] / 2, abs=2)
    assert rows >= columns  # and above it is room for letters


def test_every_box_is_drawn_the_first_one_thicker():
    frame = np.full((480, 640, 3), GREY, np.uint8)
    boxes = [(Square(150.0, 200.0, 100.0), ''), (Square(450.0, 200.0, 100.0), '')]
    first, second, both = (drawn(annotated(frame, each)) for each in (boxes[:1], boxes[1:], boxes))
    left, right = both[both[:, 1] < 320], both[both[:, 1] > 320]
    assert np.array_equal(left, first)
    assert np.ptp(right, axis=0) == pytest.approx(np.ptp(second, axis=0), abs=2)
    assert 0 < len(right) < len(second)


def test_without_a_box_nothing_is_drawn():
    frame = np.full((48, 64, 3), GREY, np.uint8)
    frame[10, 10] = 255
    picture = annotated(frame, [])
    assert set(np.unique(picture)) == {GREY, 255}


@pytest.mark.parametrize('place', [(-50.0, -50.0), (700.0, 500.0), (320.0, -20.0)])
@pytest.mark.parametrize('text', ['cup 0.87', 50 * 'long name '])
def test_letters_stay_within_the_picture(place, text):
    picture = annotated(np.full((480, 640, 3), GREY, np.uint8), [(Square(*place, 100.0), text)])
    without = annotated(np.full((480, 640, 3), GREY, np.uint8), [(Square(*place, 100.0), '')])
    light = (picture > 180).all(axis=2).sum()
    assert light > 20 and not (without > 180).all(axis=2).any()


def test_sixteen_bits_are_shown_by_the_brightest():
    frame = np.full((480, 640, 3), 1000, np.uint16)
    frame[100:200, 100:200] = 4000
    picture = annotated(frame, [])
    assert picture.dtype == np.uint8
    assert picture[150, 150].tolist() == [255] * 3 and picture[300, 300].tolist() == [64] * 3
