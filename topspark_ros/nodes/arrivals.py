"""What arrives on a subscription is noted without a look at it, and without Python.

To take a camera's image costs several copies of it; to be told of each arrival by an executor, or
by a callback in Python, as much again. So the middleware calls compiled code, which counts, chooses
the frames of a share, and wakes the one thread that takes them.
"""

from __future__ import annotations

import functools
from typing import Any

import numba
import numpy as np
from numba import types
from rclpy.subscription import Subscription

from topspark_ros.engine.kernels.compilation import c_function
from topspark_ros.nodes.wake import Wake, call_on_arrival
from topspark_ros.streams.share import takes

RING = 4096  # arrivals that are remembered: more than any queue holds
_CLOCK_MONOTONIC = 1

# Words of an arrival's memory, 8 bytes each: int64, and float64 where it says so.
_ARRIVED, _CHOSEN, _WAKE, _TIME, _SHARE = 0, 1, 2, 3, 5  # _TIME: a struct timespec; float64
_SHARE_STATE = 6  # two, float64
_TOTALS = 8  # chosen up to each arrival
_TIMES = _TOTALS + RING  # ns
_WORDS = _TIMES + RING

_clock_gettime = types.ExternalFunction('clock_gettime', types.int32(types.int32, types.intp))
_eventfd_write = types.ExternalFunction('eventfd_write', types.int32(types.int32, types.uint64))


@functools.cache
def _note() -> Any:
    """What the middleware calls: compiled when it is first wanted, for even to load it takes half
    a second, which nodes that listen to nothing do without."""

    @c_function(types.void(types.voidptr, types.size_t))
    def note(pointer: int, messages: int) -> None:
        memory = numba.carray(pointer, _WORDS, np.int64)
        numbers = memory.view(np.float64)
        _clock_gettime(_CLOCK_MONOTONIC, memory[_TIME:].ctypes.data)
        before = memory[_CHOSEN]
        for _ in range(messages):
            place = memory[_ARRIVED] % RING
            memory[_CHOSEN] += takes(numbers[_SHARE_STATE:], numbers[_SHARE], False)
            memory[_TOTALS + place] = memory[_CHOSEN]
            memory[_TIMES + place] = memory[_TIME] * 1_000_000_000 + memory[_TIME + 1]
            memory[_ARRIVED] += 1  # at last: who reads it finds the rest
        if memory[_CHOSEN] > before:
            _eventfd_write(memory[_WAKE], 1)

    return note


class Arrivals:
    """Counts what arrives on a subscription, and wakes a thread for the share that is chosen.

    arrived: messages so far, on all subscriptions that were listened to.
    """

    def __init__(self, wake: Wake, share: float = 1.0):
        self._wake = wake  # that it lives as long
        self._subscription: Subscription | None = None
        self._memory = np.zeros(_WORDS, np.int64)
        self._numbers = self._memory.view(np.float64)
        self._memory[_WAKE] = wake.descriptor
        self._numbers[_SHARE], self._numbers[_SHARE_STATE] = share, 1.0

    def listen_to(self, subscription: Subscription | None) -> None:
        """Note what arrives there from now on; None: nothing."""
        if self._subscription is not None:
            call_on_arrival(self._subscription, None, None)
        if subscription is not None:
            call_on_arrival(subscription, _note().address, self._memory.ctypes.data)
        self._subscription = subscription

    @property
    def arrived(self) -> int:
        return int(self._memory[_ARRIVED])

    def chosen_of(self, arrived: int) -> int:
        """How many of the first so many are of the share, evenly spread as of FrameShare: asked for
        one of the last RING, or 0."""
        return int(self._memory[_TOTALS + (arrived - 1) % RING]) if arrived else 0

    @property
    def share(self) -> float:
        """0..1, chosen of what arrives next."""
        return float(self._numbers[_SHARE])

    @share.setter
    def share(self, share: float) -> None:
        self._numbers[_SHARE] = share
        if share == 0.0:  # as after a frame with this share: then the next one is taken at once
            self._numbers[_SHARE_STATE] = 0.0

    def is_chosen(self, number: int) -> bool:
        """Whether this one was, counted from 0, one of the last before the RING is full."""
        return self.chosen_of(number + 1) > self.chosen_of(number)

    def arrived_s(self, number: int) -> float:
        """When it came, s, of time.monotonic()."""
        return self._memory[_TIMES + number % RING] * 1e-9
