"""What a mission is judged by.

Power: in every window of 30 s the mean power is compared with the mean of the limit, the strictest
of all sources that set one. A window counts unless it has a moment without a limit, or one of the
10 s after the limit fell by more than a tenth at once. Nothing else is excused: neither ramps of
the limit, nor steps of frame rate and load, nor bursts, faults and a wrong profile.

Changes of T, training or inference, or of whether to learn: each has the first of these causes.
'trace': a step of frame rate, budget or load within the 10 s before, a ramp of one going on, or a
fault from its begin to 10 s after its end; stalls of the camera and what it sees are none.
'replan': within 10 s after the mission's energy was planned anew. 'charge': the true state of
charge has moved by 0.01 since the last change. 'none'. A change of the share of frames alone is
counted apart, as 'share'.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

import numpy as np

from .mission import LEFT_OUT, RIGHT, History
from .parts import HOUR_S, TICK_S
from .trace import Trace

WINDOW_S = 30.0
SETTLING_S = 10.0
STEP = 0.1  # of a limit: a fall by more is a step
CAUSE_S = 10.0
CHARGE_STEP = 0.01
CAUSES = ('trace', 'replan', 'charge', 'none', 'share')


class Figures(NamedTuple):
    """One mission.

    excess: of the worst window, mean power over mean limit less 1; NaN: no window counts.
    excess_windows: share of the windows above their limit by more than 0.05.
    ran_out_s: NaN: never.
    accuracy, late_accuracy: of the frames that were processed, each before it was learned, of the
        whole mission and of its last third, 0..1.
    right: of all frames that came, those that were classified right, 0..1.
    processed, learned: of all frames that came, 0..1.
    energy: used, of what the mission had, 0..1.
    changes: an hour, by cause.
    """

    excess: float
    excess_windows: float
    ran_out_s: float
    accuracy: float
    late_accuracy: float
    right: float
    processed: float
    learned: float
    energy: float
    changes: dict[str, float]


def judge(trace: Trace, history: History) -> Figures:
    outcomes = history.outcomes
    excesses = window_excesses(power_limits_w(trace), history.used_j)
    changes = causes_of_changes(trace, history)
    return Figures(
        excess=float(excesses.max()) if len(excesses) else math.nan,
        excess_windows=float((excesses > 0.05).mean()) if len(excesses) else math.nan,
        ran_out_s=history.ran_out_s,
        accuracy=_accuracy(outcomes),
        late_accuracy=_accuracy(outcomes[trace.frames_s >= 2 / 3 * trace.duration_s]),
        right=float((outcomes == RIGHT).mean()),
        processed=float((outcomes != LEFT_OUT).mean()),
        learned=history.learned / len(outcomes),
        energy=history.used_j[-1] / trace.mission_j,
        changes={cause: changes[cause] * HOUR_S / trace.duration_s for cause in CAUSES},
    )


def power_limits_w(trace: Trace) -> np.ndarray:
    """The strictest power limit in each tick, W, inf: none, (ticks,) float64."""
    times_s = TICK_S * (np.arange(round(trace.duration_s / TICK_S)) + 0.5)
    limits_w = {}
    for message in trace.messages:
        limit_w = limits_w.setdefault(message.source, np.full(len(times_s), math.inf))
        limit_w[times_s >= message.time_s] = math.inf
        budget = message.budget
        lapsed = times_s - message.time_s >= budget.lifetime_s  # never, of NaN
        if not math.isnan(budget.power_w):
            limit_w[(times_s >= message.time_s) & ~lapsed] = budget.power_w
    return np.min(list(limits_w.values()), axis=0)


def window_excesses(limits_w: np.ndarray, used_j: np.ndarray) -> np.ndarray:
    """Mean power over mean limit less 1 of every window that counts, float64.

    limits_w: in each tick, (ticks,). used_j: since the beginning, at every tick, (ticks + 1,).
    """
    window, settling = (round(length_s / TICK_S) for length_s in (WINDOW_S, SETTLING_S))
    excused = np.isinf(limits_w)
    for step in np.flatnonzero(limits_w[1:] < (1 - STEP) * limits_w[:-1]) + 1:
        excused[step : step + settling] = True
    allowed_j = np.cumsum(np.append(0.0, np.where(excused, 0.0, limits_w))) * TICK_S
    excused = np.cumsum(np.append(0, excused))
    counts = excused[window:] == excused[:-window]
    return (used_j[window:] - used_j[:-window])[counts] / (
        allowed_j[window:] - allowed_j[:-window]
    )[counts] - 1


def causes_of_changes(trace: Trace, history: History) -> Counter:
    """How many changes each cause has."""
    charge_s, charge, _ = np.array(history.charges).T
    planned_s = np.array([planned_s for planned_s, _ in history.plans])
    counts = Counter()
    last_s = 0.0
    for (_, before), (now_s, setting) in zip(history.settings, history.settings[1:]):
        if setting[:3] == before[:3]:
            counts['share'] += 1
            continue
        moved = np.interp(last_s, charge_s, charge) - np.interp(now_s, charge_s, charge)
        last_s = now_s
        if any(cause.begin_s <= now_s <= cause.end_s + CAUSE_S for cause in trace.causes):
            counts['trace'] += 1
        elif np.any((planned_s <= now_s) & (now_s <= planned_s + CAUSE_S)):
            counts['replan'] += 1
        elif moved >= CHARGE_STEP:
            counts['charge'] += 1
        else:
            counts['none'] += 1
    return counts


def best_fixed(fixed: dict[str, Figures], max_excess: float) -> str | None:
    """The most accurate T in hindsight of those that do not run out nor exceed a limit by more.

    fixed: by name of the T. Returns None if there is none.
    """
    good = [
        name
        for name, figures in fixed.items()
        if math.isnan(figures.ran_out_s) and not figures.excess > max_excess
    ]
    return max(good, key=lambda name: fixed[name].accuracy, default=None)


def _accuracy(outcomes: np.ndarray) -> float:
    processed = outcomes[outcomes != LEFT_OUT]
    return float((processed == RIGHT).mean()) if len(processed) else math.nan
