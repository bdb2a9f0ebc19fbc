"""A share of the frames, evenly spread."""

from __future__ import annotations

_ROUNDING = 1e-9  # of a frame: ten times a tenth is less than one


class FrameShare:
    """Tells which frames to take: of a share of 1/3 every third one, of 0.4 two of five.

    Of n frames in a row n times the share are taken, give or take one. After a share of 0 the
    next frame is taken at once. Not for use by two threads at once.
    """

    def __init__(self) -> None:
        self._share = 1.0
        self._due = 0.0  # frames

    def takes(self, share: float) -> bool:
        """Whether the next frame is one of the share, 0..1, that holds now."""
        if self._share == 0.0 < share:
            self._due = 1.0 - share
        self._share = share
        self._due += share
        taken = self._due >= 1.0 - _ROUNDING
        if taken:
            self._due = max(self._due - 1.0, 0.0)
        return taken
