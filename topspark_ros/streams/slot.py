"""A slot for the latest samples between one producer's callback and one worker thread."""

import threading
from collections import deque


class LatestSlot:
    """
    Thread-safe slot that holds the latest items, one unless a larger capacity is given.

    A camera callback puts and returns at once, a worker takes when it is ready. A slow
    worker therefore sees recent frames and never a growing queue; what it missed is
    counted in :attr:`dropped`. A capacity above one bridges short delays without a loss.

    :param capacity: items held at most; one more replaces the oldest
    """

    def __init__(self, capacity=1):
        self._changed = threading.Condition()
        self._items = deque()
        self._capacity = capacity
        self._closed = False
        self._dropped = 0

    @property
    def dropped(self):
        """Number of items that were replaced, or still unread at :meth:`close`."""
        return self._dropped

    def put(self, item):
        """
        Store ``item`` as the latest; return whether the oldest unread one was replaced.

        After :meth:`close` the item is ignored and False returned.
        """
        with self._changed:
            if self._closed:
                return False
            replaced = len(self._items) == self._capacity
            if replaced:
                self._items.popleft()
                self._dropped += 1
            self._items.append(item)
            self._changed.notify()
            return replaced

    def take(self, timeout_s):
        """
        Remove and return the oldest item held, waiting for one up to ``timeout_s`` seconds.

        Returns None when none came in time or the slot is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout_s)
            return self._items.popleft() if self._items else None

    def close(self):
        """Refuse further items, count unread ones as dropped and wake every waiter."""
        with self._changed:
            self._closed = True
            self._dropped += len(self._items)
            self._items.clear()
            self._changed.notify_all()
