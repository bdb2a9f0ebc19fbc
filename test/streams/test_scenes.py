"""Rendered camera frames: repeatable, varied, and losing little of the digit."""

import numpy as np
import pytest

from topspark_ros.streams.datasets import load_dataset
from topspark_ros.streams.images import RawImage
from topspark_ros.streams.objects import centre_object
from topspark_ros.streams.scenes import SceneRenderer


@pytest.fixture(scope='module')
def digits():
    return load_dataset('digits')


def test_frame(digits):
    frame = SceneRenderer(digits.images, height=120, width=200).render(3)
    assert frame.shape == (120, 200, 3) and frame.dtype == np.uint8
    assert frame.flags.c_contiguous
    # Paper is light and the ink on it dark, not black.
    assert 60 < np.median(frame) < 230 and frame.min() < 0.6 * np.median(frame)


def test_repeatable_and_seeded(digits):
    def frames(seed):
        renderer = SceneRenderer(digits.images, seed=seed)
        return np.array([renderer.render(index) for index in (5, 5, 9)])

    np.testing.assert_array_equal(frames(1), frames(1))
    assert not np.array_equal(frames(1), frames(2))
    assert not np.array_equal(frames(1)[0], frames(1)[1])


@pytest.fixture
def photographs():
    """One in two halves, yellow and cyan, upright."""
    image = np.zeros((60, 40, 3), np.uint8)
    image[:, :20], image[:, 20:] = (250, 200, 0), (0, 200, 250)
    images = np.empty(1, object)
    images[0] = image
    return images


def test_a_photograph_fills_the_frame_as_far_as_it_fits(photographs):
    frame = SceneRenderer(photographs, height=120, width=200).render(0)
    assert frame.shape == (120, 200, 3) and frame.dtype == np.uint8
    # Blue, green, red; beyond its 80 columns the edge goes on.
    assert (frame[:, :95] == (0, 200, 250)).all() and (frame[:, 105:] == (250, 200, 0)).all()
    small = SceneRenderer(photographs, height=32, width=32).render(0)
    assert (small[:, :14] == (0, 200, 250)).all() and (small[:, 18:] == (250, 200, 0)).all()


def test_a_photograph_circles_by_parts_of_a_pixel(photographs):
    renderer = SceneRenderer(photographs, height=120, width=200)
    frames = np.array(list(renderer.circle(0, 16))).astype(float)
    # Columns left of the border between the halves, by how blue a row is.
    border = 200 - frames[:, 60, :, 0].sum(axis=1) / 250
    np.testing.assert_allclose(border[:8], border[8:], atol=0.1)
    np.testing.assert_allclose(border.mean(), 100, atol=0.3)
    np.testing.assert_allclose(np.ptp(border), 8, atol=0.7)  # 2 x 4 pixels of 120


def test_light_and_position_change_over_time(digits):
    renderer = SceneRenderer(digits.images, seed=4)
    frames = [RawImage.of(renderer.render(0), 'bgr').gray() for _ in range(300)]
    levels = [np.median(frame) for frame in frames]
    assert max(levels) - min(levels) > 40
    columns = [int(frame.astype(float).mean(axis=0).argmin()) for frame in frames]
    assert max(columns) - min(columns) > 80


def ink_centre(frame):
    """Down and across, pixels: the centre of mass of what is darker than the paper around it."""
    gray = RawImage.of(frame, 'bgr').gray().astype(np.float32)
    down, across = np.indices(gray.shape, np.float32)
    plane = np.stack([down, across, np.ones_like(gray)], axis=-1)
    paper = np.zeros(gray.shape, bool)
    paper[::8, ::8] = True
    for _ in range(3):  # the light's slope, more and more of paper alone
        slope, *_ = np.linalg.lstsq(plane[paper], gray[paper], rcond=None)
        light = plane @ slope
        paper &= gray > 0.8 * light
    ink = np.maximum(0.8 - gray / light, 0)
    return np.average(down, weights=ink), np.average(across, weights=ink)


def pulls(frames):
    """Second differences of the ink's place, (frames - 2, 2): of a circle, to its middle."""
    return np.diff([ink_centre(frame) for frame in frames], n=2, axis=0)


def test_an_image_circles_once_and_smoothly(digits):
    frames = 8
    renderer = SceneRenderer(digits.images, seed=2)
    for image in (3, 8, 11):
        # What circles is pulled to the middle all the time; what wanders slowly hardly at all.
        down, across = pulls(renderer.circle(image, frames)).T
        radii = np.hypot(down, across) / (2 * np.sin(np.pi / frames)) ** 2
        np.testing.assert_allclose(radii, 240 * 4 / 120, rtol=0.1)
        turns = np.diff(np.unwrap(np.arctan2(down, across))) / (2 * np.pi)
        np.testing.assert_allclose(turns, 1 / frames, rtol=0.1)


def test_each_image_circles_at_a_place_of_its_own(digits):
    renderer = SceneRenderer(digits.images, seed=3)
    pull = np.hypot(*pulls([frame for _ in range(10) for frame in renderer.circle(0, 8)]).T)
    within, between = pull[::8], pull[6::8]
    assert within.max() < 1.2 * within.min() and np.median(between) > 1.5 * within.max()


def test_circling_is_repeatable_and_fits_any_frame(digits):
    def frames():
        renderer = SceneRenderer(digits.images, height=32, width=50, seed=6)
        return np.array([frame for index in range(40) for frame in renderer.circle(index, 3)])

    np.testing.assert_array_equal(frames(), frames())
    assert frames().shape == (120, 32, 50, 3)


def test_nearest_neighbour_loses_less_than_a_point(digits):
    order = np.random.default_rng(0).permutation(len(digits.labels))[:1200]
    renderer = SceneRenderer(digits.images, seed=0)
    clean = digits.images[order].reshape(1200, -1).astype(np.float32)
    seen = np.array(
        [centre_object(RawImage.of(renderer.render(index), 'bgr').gray()) for index in order]
    )
    assert seen.any(axis=1).all()
    assert (
        prequential_accuracy(seen, digits.labels[order])
        > prequential_accuracy(clean, digits.labels[order]) - 0.01
    )


def prequential_accuracy(samples, labels, start=200):
    """1-nearest neighbour by cosine among all earlier samples, from sample `start` on."""
    samples = samples / np.linalg.norm(samples, axis=1, keepdims=True)
    likeness = samples @ samples.T
    return np.mean(
        [
            labels[likeness[index, :index].argmax()] == labels[index]
            for index in range(start, len(labels))
        ]
    )
