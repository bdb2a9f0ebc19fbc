"""What an event camera sends of images that move in front of it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from .events import EventCamera, EventViewer, Window
from .scenes import SceneRenderer

WIDTH, HEIGHT = 160, 120  # of the sensor, pixels
FRAME_NS = 20_000_000  # between two frames that the events are made from
WINDOW_FRAMES = 4  # 80 ms, half a turn of the image


def event_views(
    images: np.ndarray,
    seed: int,
    side: int,
    advance: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """The picture of one window of events of each image, while it moves: (n, side * side) float32.

    Parameters
    ----------
    images, seed
        As of SceneRenderer.
    side
        Of a picture, pixels.
    advance
        Called after each image.
    """
    scenes, camera = SceneRenderer(images, HEIGHT, WIDTH, seed), EventCamera(WIDTH, HEIGHT)
    viewer = EventViewer(WIDTH, HEIGHT, size=side, as_picture=True)
    views, now_ns = [], 0
    for index in range(len(images)):
        parts = []
        for frame in scenes.circle(index, 1 + WINDOW_FRAMES):
            parts.append(camera.observe(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), now_ns))
            now_ns += FRAME_NS
        # Events up to the first frame are of the change from one image to the next.
        events = np.concatenate(parts[1:])
        begin_ns = now_ns - (1 + WINDOW_FRAMES) * FRAME_NS
        view = viewer.view(Window(events, begin_ns, now_ns - FRAME_NS, 0))
        views.append(np.asarray(view.presented(1)))  # a picture, the same at any T
        advance()
    return np.stack(views)
