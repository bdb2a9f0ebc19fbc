"""A window of events as a picture for people."""

from __future__ import annotations

import numpy as np

from topspark_ros.engine.kernels.compilation import entry_point

from .windows import Window

BRIGHTER, DARKER = (0, 60, 230), (225, 30, 0)  # RGB
WHITE = 255

_LEVELS = 12  # events of a pixel that are told apart
_REMAINDER = 0.6  # of the white that is left by one event more


def _shades() -> np.ndarray:
    """Of (polarity, events of the pixel - 1): RGB, (2, _LEVELS, 3) uint8."""
    left = _REMAINDER ** np.arange(1, _LEVELS + 1)[:, None]
    left[-1] = 0
    colours = np.array((DARKER, BRIGHTER))[:, None]
    return np.rint(left * WHITE + (1 - left) * colours).astype(np.uint8)


_SHADES = _shades()


def window_picture(window: Window, width: int, height: int) -> np.ndarray:
    """The window's events in colour, (height, width, 3) uint8, RGB.

    width, height: of the sensor, pixels; events outside it are skipped.

    White where nothing happened, blue where it became brighter and red where it became darker: as
    most of the pixel's events say, or the latest one if both are as many. Each event takes 40 % of
    the white that is left, twelve take all of it: a single one is seen, and many are told apart.
    """
    picture = np.full((height, width, 3), WHITE, np.uint8)
    draw_events(
        window.events.view(np.int64), np.zeros((height, width, 2), np.int32), _SHADES, picture
    )
    return picture


@entry_point
def draw_events(
    events: np.ndarray, tally: np.ndarray, shades: np.ndarray, picture: np.ndarray
) -> None:
    """Colour the pixel of each event by what it has had so far; the last event of it decides.

    tally: of each pixel, how many darker and brighter ones; 0 at first.
    """
    height, width, _ = picture.shape
    for i in range(events.size // 2):
        word = events[2 * i]
        x, y, polarity = word & 0xFFFF, word >> 16 & 0xFFFF, word >> 32 & 1
        if x >= width or y >= height:
            continue
        tally[y, x, polarity] += 1
        same, other = tally[y, x, polarity], tally[y, x, 1 - polarity]
        colour = polarity if same >= other else 1 - polarity
        shade = min(same + other, shades.shape[1]) - 1
        for channel in range(3):
            picture[y, x, channel] = shades[colour, shade, channel]
