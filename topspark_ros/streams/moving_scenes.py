"""What an event camera sends of images that move in front of it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from .events import EventCamera, Window
from .scenes import SceneRenderer

WIDTH, HEIGHT = 160, 120  # of the sensor, pixels
FRAME_NS = 20_000_000  # between two frames that the events are made from
WINDOW_FRAMES = 4  # 80 ms, half a turn of the image


def event_views(
    images: np.ndarray,
    seed: int,
    see: Callable[[Window], np.ndarray],
    advance: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Each image as it is seen in one window of events, while it moves: (n, inputs) float32.

    Parameters
    ----------
    images, seed
        As of SceneRenderer.
    see
        What is seen of a window of a sensor of WIDTH x HEIGHT.
    advance
        Called after each image.
    """
    scenes, camera = SceneRenderer(images, HEIGHT, WIDTH, seed), EventCamera(WIDTH, HEIGHT)
    views, now_ns = [], 0
    for index in range(len(images)):
        parts = []
        for frame in scenes.circle(index, 1 + WINDOW_FRAMES):
            parts.append(camera.observe(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), now_ns))
            now_ns += FRAME_NS
        # Events up to the first frame are of the change from one image to the next.
        events = np.concatenate(parts[1:])
        begin_ns = now_ns - (1 + WINDOW_FRAMES) * FRAME_NS
        views.append(see(Window(events, begin_ns, now_ns - FRAME_NS, 0)))
        advance()
    return np.stack(views)
