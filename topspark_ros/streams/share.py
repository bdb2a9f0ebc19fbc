"""A share of the frames, evenly spread."""

from __future__ import annotations

BORROWED = 8  # frames that may be taken before their turn, at most
_ROUNDING = 1e-9  # of a frame: ten times a tenth is less than one


class FrameShare:
    """Tells which frames to take: of a share of 1/3 every third one, of 0.4 two of five.

    Of n frames in a row n times the share are taken, give or take one, or BORROWED where some are
    preferred. After a share of 0 the next frame is taken at once. Not for use by two threads at
    once.
    """

    def __init__(self) -> None:
        self._share = 1.0
        self._due = 0.0  # frames

    def takes(self, share: float, preferred: bool = False) -> bool:
        """Whether the next frame is one of the share, 0..1, that holds now.

        preferred: it is taken before its turn, and others later for that.
        """
        if self._share == 0.0 < share:
            self._due = 1.0 - share
        self._share = share
        self._due += share
        if self._due >= 1.0 - _ROUNDING:
            self._due = max(self._due - 1.0, 0.0)
            return True
        if preferred and share > 0.0 and self._due > 1.0 - BORROWED:
            self._due -= 1.0
            return True
        return False
