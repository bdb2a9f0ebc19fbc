"""What the robot's camera sees: real digits, never the same picture twice, in a changing world."""

from __future__ import annotations

import cv2
import numpy as np

from topspark_ros.streams.datasets import DatasetError, load_dataset

from ..reproduce.common import enlarged
from .trace import Trace

SIDE = 28  # pixels
ROTATION_DEG = 8.0  # of a picture, standard deviation
SCALE = 0.1
NOISE = 0.1  # of full brightness, standard deviation
TURN_DEG = 20.0  # of the camera, once and for good
LABELLED = 0.8  # share of the frames


def load_images() -> tuple[str, np.ndarray, np.ndarray]:
    """Name, images, (n, 28, 28) float32 in 0..1, and labels: MNIST if it is there, or digits."""
    try:
        name, data = 'mnist', load_dataset('mnist')
        pixels = data.images
    except DatasetError:
        name, data = 'digits', load_dataset('digits')
        pixels = enlarged(data.images.reshape(-1, 64))
    return name, pixels.reshape(-1, SIDE, SIDE).astype(np.float32) / 255, data.labels


class Camera:
    """The frames of a trace, each the same whatever became of those before it.

    side, channels: of a picture; grey in all channels, but for their noise.
    labels: of what is seen, (frames,) int64.
    labelled: whether somebody says so, (frames,) bool.
    """

    def __init__(self, trace: Trace, seed: int, side: int, channels: int) -> None:
        self._side, self._channels = side, channels
        _, self._images, image_labels = load_images()
        rng = np.random.default_rng((seed, 1))
        count = len(trace.frames_s)
        known = image_labels < (image_labels.max() + 1) // 2
        self._index = np.where(
            trace.frames_s < trace.joined_s,
            rng.choice(np.flatnonzero(known), count),
            rng.integers(len(image_labels), size=count),
        )
        self.labels = image_labels[self._index]
        self.labelled = rng.random(count) < LABELLED
        self._angles = rng.normal(0.0, ROTATION_DEG, count)
        self._angles[trace.frames_s >= trace.turned_s] += TURN_DEG
        self._scales = rng.uniform(1 - SCALE, 1 + SCALE, count)
        # Fresh noise would cost more than all the rest: each frame takes another part of this.
        self._noise = rng.normal(0.0, NOISE, 1 << 16).astype(np.float32)
        self._offsets = rng.integers(len(self._noise) - side * side * channels, size=count)

    def frame(self, number: int) -> np.ndarray:
        """(side * side * channels,) float32 in 0..1."""
        side, enlarged = self._side, self._side / SIDE
        middle = (SIDE - 1) / 2
        turned = cv2.getRotationMatrix2D(
            (middle, middle), self._angles[number], self._scales[number] * enlarged
        )
        turned[:, 2] += (side - 1) / 2 - middle
        grey = cv2.warpAffine(self._images[self._index[number]], turned, (side, side))
        seen = np.repeat(grey.reshape(-1), self._channels)
        seen += self._noise[self._offsets[number] : self._offsets[number] + seen.size]
        return np.clip(seen, 0.0, 1.0, out=seen)
