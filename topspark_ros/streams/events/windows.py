"""A stream of events cut into windows: of equal sensor time, or of equally many events."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from topspark_ros.engine.kernels.compilation import entry_point

from .decoders import EVENT, EventError

LAST_NS = 2**63 - 1  # that a time can be
MAX_EVENTS = 1_000_000  # a window, unless told otherwise: 16 MB
LATE_NS = 100_000_000  # that an event of a window of so many events may be


class Window(NamedTuple):
    """Events that are looked at together.

    Parameters
    ----------
    events
        Array of EVENT, in the order that they were sent.
    start, end
        Sensor time, ns; every event is at `start` or later and before `end`, but for those that
        were sent late.
    discarded
        Events that belonged here and were too many.
    """

    events: np.ndarray
    start: int
    end: int
    discarded: int


class TimeWindows:
    """Cuts packets of events into windows of equal sensor time, one after the other.

    The first one starts at the first event. A window without any event is skipped. An event that
    is late by less than a window joins the window that is open; where time goes back further the
    sensor has started again, and so do the windows.

    Parameters
    ----------
    duration_ns
        1 or more.
    max_events
        Kept in a window, the first ones; the rest is counted.

    Attributes
    ----------
    discarded
        Events in the windows that `reset`, or time going back, left unfinished.
    resets
        Times that `reset` was called, or sensor time went back.
    """

    def __init__(self, duration_ns: int, max_events: int = MAX_EVENTS) -> None:
        self._duration = _require('duration_ns', duration_ns)
        self._max_events = _require('max_events', max_events)
        self.discarded = self.resets = 0
        self._parts: list[np.ndarray] = []
        self._count = 0  # events that belong to the open window, kept or not
        self._kept = 0
        self._start: int | None = None  # of the open window
        self._cuts(np.empty(0, EVENT), 0)  # compiles, or loads, the kernel

    @property
    def is_open(self) -> bool:
        """Whether events wait for their window to be finished."""
        return self._count > 0

    def push(self, events: np.ndarray) -> list[Window]:
        """The windows that are finished now; later events are kept for the next call.

        Parameters
        ----------
        events
            Array of EVENT, contiguous.
        """
        if not len(events):
            return []
        if self._start is None:
            self._start = int(events['t'][0])
        opened = self._start
        windows = []
        begin = 0
        for end, start, went_back in self._cuts(events, opened):
            self._append(events[begin:end])
            if went_back:
                self.reset()
            elif self._count:
                windows.append(self._close(opened))
            opened = start
            begin = end
        self._start = opened
        self._append(events[begin:])
        return windows

    def reset(self) -> None:
        """Drop the open window, as after lost packets; the next event starts a new one."""
        self.resets += 1
        self.discarded += self._count
        self._parts, self._count, self._kept, self._start = [], 0, 0, None

    def _cuts(self, events: np.ndarray, start: int) -> list[list[int]]:
        cuts = np.empty((len(events), 3), np.int64)
        return cuts[: find_cuts(events.view(np.int64), start, self._duration, cuts)].tolist()

    def _append(self, events: np.ndarray) -> None:
        self._count += len(events)
        events = events[: self._max_events - self._kept]
        if len(events):
            self._parts.append(events)
            self._kept += len(events)

    def _close(self, start: int) -> Window:
        end = min(start + self._duration, LAST_NS)
        window = Window(joined(self._parts), start, end, self._count - self._kept)
        self._parts, self._count, self._kept = [], 0, 0
        return window


class CountWindows:
    """Cuts packets of events into windows of equally many events, one after the other.

    An event that is late by up to LATE_NS joins the window that is open; where time goes back
    further the sensor has started again, and so do the windows.

    Parameters
    ----------
    count
        Events a window, 1 or more.

    Attributes
    ----------
    discarded
        Events in the windows that `reset`, or time going back, left unfinished.
    resets
        Times that `reset` was called, or sensor time went back.
    """

    def __init__(self, count: int) -> None:
        self._size = _require('count', count)
        self.discarded = self.resets = 0
        self._parts: list[np.ndarray] = []
        self._count = 0
        self._last: int | None = None  # time of the last event, ns

    @property
    def is_open(self) -> bool:
        """Whether events wait for their window to be finished."""
        return self._count > 0

    def push(self, events: np.ndarray) -> list[Window]:
        """The windows that are finished now; later events are kept for the next call.

        Parameters
        ----------
        events
            Array of EVENT, contiguous.
        """
        if not len(events):
            return []
        times = events['t']
        steps = np.diff(times, prepend=times[0] if self._last is None else self._last)
        windows = []
        begin = 0
        for restart in np.flatnonzero(steps < -LATE_NS).tolist():
            windows += self._cut(events[begin:restart])
            self.reset()
            begin = restart
        self._last = int(times[-1])
        return windows + self._cut(events[begin:])

    def reset(self) -> None:
        """Drop the open window, as after lost packets."""
        self.resets += 1
        self.discarded += self._count
        self._parts, self._count, self._last = [], 0, None

    def _cut(self, events: np.ndarray) -> list[Window]:
        self._parts.append(events)
        self._count += len(events)
        whole = self._count // self._size * self._size
        if not whole:
            return []
        events = joined(self._parts)
        self._parts, self._count = [events[whole:]], self._count - whole
        windows = (events[begin : begin + self._size] for begin in range(0, whole, self._size))
        return [
            Window(window, int(window['t'].min()), int(window['t'].max()) + 1, 0)
            for window in windows
        ]


def joined(parts: list[np.ndarray]) -> np.ndarray:
    """Arrays of EVENT one after the other. Copied as numbers: structures are copied slowly."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([part.view(np.int64) for part in parts]).view(EVENT)


def _require(field: str, value: int) -> int:
    if value < 1:
        raise EventError(f'{field} is {value}, accepted is 1 or more')
    return value


@entry_point
def find_cuts(events: np.ndarray, start: int, duration: int, cuts: np.ndarray) -> int:
    """Where windows end: rows (index of the next one's first event, its start, time went back)."""
    count = 0
    for i in range(events.size // 2):
        t = events[2 * i + 1]
        elapsed = t - start  # modulo 2^64, as times are
        went_back = elapsed < -duration
        if went_back or elapsed >= duration:
            start = t if went_back else start + elapsed // duration * duration
            cuts[count, 0], cuts[count, 1], cuts[count, 2] = i, start, went_back
            count += 1
    return count
