"""What has happened lately, of counts that only rise."""

from __future__ import annotations

import time
from collections import deque


class Recent:
    """How far counts have risen within the last `length_s` of wall time, or since the last look."""

    def __init__(self, length_s: float):
        self._length_s = length_s
        self._looks: deque[tuple[float, tuple[int, ...]]] = deque()  # oldest first

    def rise(self, *counts: int) -> tuple[int, ...]:
        """Of each count. A first look sees the whole of it."""
        now_s = time.monotonic()
        while len(self._looks) > 1 and now_s - self._looks[1][0] > self._length_s:
            self._looks.popleft()
        before = self._looks[0][1] if self._looks else (0,) * len(counts)
        self._looks.append((now_s, counts))
        return tuple(now - then for now, then in zip(counts, before))
