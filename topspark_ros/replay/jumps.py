"""Clocks that jump in a recording: which do, their report, and evaluations without the gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from topspark_ros.replay.results import Evaluation, TimeJump
from topspark_ros.streams.bags import Bag, Recorded

RECORDED = 'recorded time'
STAMP_JUMP_S = 1.0  # stamps may come in another order, and after another delay, by that much
MIN_RATIO = 10.0  # of steps forward, to those of the recorded time: simulations may be faster
NAMED = 3  # jumps of one clock that are reported one by one
UNITS = (('years', 365.25 * 86_400), ('days', 86_400), ('hours', 3_600))


def recorded_jumps(bag: Bag, begin_ns: int, end_ns: int) -> list[TimeJump]:
    """Of the recording's clock from begin to before end, time of the bag."""
    return [
        TimeJump(
            RECORDED,
            (jump.at_ns - bag.begin_ns) * 1e-9,
            (min(jump.step_ns, end_ns - 1 - jump.at_ns)) * 1e-9,
        )
        for jump in bag.jumps
        if begin_ns <= jump.at_ns < end_ns - 1
    ]


class StampClock:
    """Header stamps of one topic, held against the recorded time and the time of the bag, as the
    clock that a recorder's was set by may be theirs, or not."""

    def __init__(self, topic: str):
        self._source = f'header stamps of {topic}'
        self._last: tuple[int, int, int] | None = None

    def jump(self, stamp_ns: int, recorded: Recorded, now_s: float) -> TimeJump | None:
        """Of the next message; None: there is none. stamp_ns 0: it has no stamp. now_s: since the
        beginning of the bag."""
        if stamp_ns == 0:
            return None
        now = stamp_ns, recorded.recorded_ns, recorded.time_ns
        last, self._last = self._last, now
        if last is None:
            return None
        step_s, *clocks_s = ((after - before) * 1e-9 for after, before in zip(now, last))
        recorded_s = min(clocks_s, key=lambda clock_s: abs(step_s - clock_s))
        beyond_s = step_s - recorded_s
        ahead = beyond_s > STAMP_JUMP_S and step_s > MIN_RATIO * max(0.0, recorded_s)
        back = beyond_s < -STAMP_JUMP_S and step_s < -STAMP_JUMP_S
        return TimeJump(self._source, now_s, beyond_s) if ahead or back else None


def described(jumps: Sequence[TimeJump]) -> list[str]:
    """A line for each jump, and one for those of a clock that are too many."""
    lines = []
    for source in dict.fromkeys(jump.source for jump in jumps):
        own = [jump for jump in jumps if jump.source == source]
        lines += [_line(jump) for jump in own[:NAMED]]
        if rest := own[NAMED:]:
            longest = max(rest, key=lambda jump: abs(jump.step_s))
            lines.append(f'{source}: {len(rest)} more jumps, by {_length(longest.step_s)} at most')
    return lines


def gaps_s(jumps: Sequence[TimeJump]) -> np.ndarray:
    """(begin, length) of the gaps in the time of the bag, s, (gaps, 2) float64."""
    return np.array(
        sorted(
            (jump.at_s, jump.step_s)
            for jump in jumps
            if jump.source == RECORDED and jump.step_s > 0
        )
    ).reshape(-1, 2)


def without_gaps(run: Evaluation) -> Evaluation:
    """The same with times that go on over a gap as if it were none."""
    gaps = gaps_s(run.jumps)
    if not len(gaps):
        return run

    def closed(times_s: np.ndarray) -> np.ndarray:
        return times_s - sum(
            np.clip(times_s - begin_s, 0.0, length_s) for begin_s, length_s in gaps
        )

    frames, status = run.frames.copy(), run.status.copy()
    frames['time_s'], status['time_s'] = closed(frames['time_s']), closed(status['time_s'])
    return replace(
        run,
        frames=frames,
        status=status,
        decisions=tuple(
            replace(each, time_s=float(closed(np.array(each.time_s)))) for each in run.decisions
        ),
        jumps=tuple(replace(jump, at_s=float(closed(np.array(jump.at_s)))) for jump in run.jumps),
    )


def _line(jump: TimeJump) -> str:
    quiet = (
        ', or nothing was recorded in between'
        if (jump.source == RECORDED and jump.step_s > 0)
        else ''
    )
    return (
        f'{jump.source}: {"ahead" if jump.step_s > 0 else "back"} by {_length(jump.step_s)} '
        f'at {jump.at_s:.3f} s{quiet}'
    )


def _length(length_s: float) -> str:
    length_s = abs(length_s)
    unit = next(((name, size) for name, size in UNITS if length_s >= 2 * size), None)
    return f'{length_s:.3f} s' + (f' ({length_s / unit[1]:.1f} {unit[0]})' if unit else '')
