"""A queue between a source that may be too fast and a consumer that needs unbroken runs."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar('Item')


@dataclass(frozen=True)
class _Waiting(Generic[Item]):
    item: Item
    size: int
    since_s: float


class Backlog(Generic[Item]):
    """Items that wait, in their order. Not for use by two threads at once.

    What is too much is discarded before any work is done for it: all but the newest item at once.
    One by one, each item that is taken would have lost the one before, and a consumer that builds
    on several in a row would never have any result.

    patience_s: when the oldest item has waited for longer, the consumer is behind, and the items
        are discarded; but not before the present run has come to a result, of which the consumer
        tells by `succeed`. So a consumer has results however slow it is.
    capacity: sum of the sizes that may wait; above it items are discarded in any case. An item
        that is larger waits alone.

    discarded: items so far.
    """

    def __init__(self, patience_s: float, capacity: int) -> None:
        self.discarded = 0
        self._patience_s, self._capacity = patience_s, capacity
        self._items: deque[_Waiting[Item]] = deque()
        self._size = 0
        self._succeeded = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item, size: int, now_s: float) -> None:
        """now_s: of any monotonic clock."""
        self._items.append(_Waiting(item, size, now_s))
        self._size += size
        if self._size > self._capacity:
            self._skip()

    def take(self, now_s: float) -> Item:
        """The oldest item that is not discarded; there must be one."""
        if self._succeeded and now_s - self._items[0].since_s > self._patience_s:
            self._skip()
        taken = self._items.popleft()
        self._size -= taken.size
        return taken.item

    def succeed(self) -> None:
        """The run of items that were taken has come to a result."""
        self._succeeded = True

    def _skip(self) -> None:
        newest = self._items.pop()
        if self._items:
            self._succeeded = False  # a new run begins
        self.discarded += len(self._items)
        self._items = deque([newest])
        self._size = newest.size
