"""Rendered camera frames: repeatable, varied, and losing little of the digit."""

import numpy as np
import pytest

from topspark_ros.streams import SceneRenderer, centre_object, load_dataset, to_gray


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


def test_light_and_position_change_over_time(digits):
    renderer = SceneRenderer(digits.images, seed=4)
    frames = [to_gray('bgr8', 240, 320, 960, 0, renderer.render(0).data) for _ in range(300)]
    levels = [np.median(frame) for frame in frames]
    assert max(levels) - min(levels) > 40
    columns = [int(frame.astype(float).mean(axis=0).argmin()) for frame in frames]
    assert max(columns) - min(columns) > 80


def test_nearest_neighbour_loses_less_than_a_point(digits):
    order = np.random.default_rng(0).permutation(len(digits.labels))[:1200]
    renderer = SceneRenderer(digits.images, seed=0)
    clean = digits.images[order].reshape(1200, -1).astype(np.float32)
    seen = np.array([
        centre_object(to_gray('bgr8', 240, 320, 960, 0, renderer.render(index).data))
        for index in order
    ])
    assert seen.any(axis=1).all()
    assert (prequential_accuracy(seen, digits.labels[order])
            > prequential_accuracy(clean, digits.labels[order]) - 0.01)


def prequential_accuracy(samples, labels, start=200):
    """1-nearest neighbour by cosine among all earlier samples, from sample `start` on."""
    samples = samples / np.linalg.norm(samples, axis=1, keepdims=True)
    likeness = samples @ samples.T
    return np.mean([labels[likeness[index, :index].argmax()] == labels[index]
                    for index in range(start, len(labels))])
