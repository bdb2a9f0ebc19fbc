"""A share of the frames, evenly spread."""

from __future__ import annotations

import numpy as np

from topspark_ros.engine.kernels.compilation import kernel

BORROWED = 8  # frames that may be taken before their turn, at most
_ROUNDING = 1e-9  # of a frame: ten times a tenth is less than one


@kernel
def takes(state: list[float] | np.ndarray, share: float, preferred: bool) -> bool:
    """As FrameShare.takes. state: the share that held before, and the frames that are due; at
    first 1, 0."""
    if state[0] == 0.0 and share > 0.0:
        state[1] = 1.0 - share
    state[0] = share
    state[1] += share
    if state[1] >= 1.0 - _ROUNDING:
        state[1] = max(state[1] - 1.0, 0.0)
        return True
    if preferred and share > 0.0 and state[1] > 1.0 - BORROWED:
        state[1] -= 1.0
        return True
    return False


class FrameShare:
    """Tells which frames to take: of a share of 1/3 every third one, of 0.4 two of five.

    Of n frames in a row n times the share are taken, give or take one, or BORROWED where some are
    preferred. After a share of 0 the next frame is taken at once. Not for use by two threads at
    once.
    """

    def __init__(self) -> None:
        self._state = [1.0, 0.0]

    def takes(self, share: float, preferred: bool = False) -> bool:
        """Whether the next frame is one of the share, 0..1, that holds now.

        preferred: it is taken before its turn, and others later for that.
        """
        return takes(self._state, share, preferred)
