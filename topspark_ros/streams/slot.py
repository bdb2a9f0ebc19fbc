"""A slot for the latest sample between one producer's callback and one worker thread."""

from __future__ import annotations

import threading

_EMPTY = object()


class LatestSlot:
    """Thread-safe slot that holds at most one item: the latest.

    A camera callback puts and returns at once, a worker takes when it is ready. A slow
    worker therefore sees the newest frame and never a growing queue; what it missed is
    counted in `dropped`.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item = _EMPTY
        self._closed = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Items that were replaced, or still unread at `close`."""
        return self._dropped

    def put(self, item: object) -> bool:
        """Store `item` as the latest; whether an unread one was replaced.

        After `close` the item is ignored and False returned.
        """
        with self._changed:
            if self._closed:
                return False
            replaced = self._item is not _EMPTY
            self._dropped += replaced
            self._item = item
            self._changed.notify()
            return replaced

    def take(self, timeout_s: float) -> object | None:
        """Remove and return the latest item, waiting for one up to `timeout_s` seconds.

        None when none came in time or the slot is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._item is not _EMPTY or self._closed, timeout_s)
            item, self._item = self._item, _EMPTY
            return None if item is _EMPTY else item

    def close(self) -> None:
        """Refuse further items, count an unread one as dropped and wake every waiter."""
        with self._changed:
            self._closed = True
            self._dropped += self._item is not _EMPTY
            self._item = _EMPTY
            self._changed.notify_all()
