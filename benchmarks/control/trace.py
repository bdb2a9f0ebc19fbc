"""What happens to a robot in one mission, all of it from one seed.

Frame rates, power limits, processor load, faults and changes of the world over an hour; a shorter
mission is the same hour in less time, at the same frame rates. Which causes a change of T may have
is part of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from topspark_ros.control.budgets import Budget
from topspark_ros.methodology.profile import DISCRIMINANT, PhaseFigures, Profile

from .parts import HOUR_S, Part, Span, changes_of, make_parts, part_at, whole_tick

RATES_HZ = (5.0, 60.0)
# 'Anything' over 'hardly anything'. The largest T takes 70 times what the smallest one takes of a
# discriminant, with an eighth of the frames learned, and 35 times of a recruiting network.
LIMIT_RANGE = {DISCRIMINANT: 1000.0, 'recruiting': 30.0}
# Of what the profile says that the largest T would use.
MISSION_SHARE = {DISCRIMINANT: (0.005, 0.05), 'recruiting': (0.2, 0.5)}
LOADS = (1.0, 4.0)
DEADLINES_S = (0.8e-3, 2e-3)
RAMP_PERIOD_S = 1.0  # between two messages of an operator who turns a knob
STALLS = 20
BURST_GAP_S = 0.002  # between the frames that come after a stall


class Message(NamedTuple):
    time_s: float
    source: str
    budget: Budget


@dataclass(frozen=True)
class Trace:
    """A mission.

    frames_s: when frames come, rising, s, (frames,) float64.
    rates, loads: parts one after the other: frames a second; times by which everything takes
        longer.
    messages: budgets by time, the first of them the mission's energy.
    faults: by kind: 'silent', 'no percentage', 'jump' and 'stuck' of the battery, 'dead' of the
        learner.
    joined_s, turned_s: when the other half of the classes joins, and when the camera is turned.
    causes: what a change of T may be due to.
    profile: what the policies are given; its costs are wrong.
    """

    duration_s: float
    frames_s: np.ndarray
    rates: list[Part]
    loads: list[Part]
    messages: list[Message]
    faults: dict[str, Span]
    joined_s: float
    turned_s: float
    causes: list[Span]
    profile: Profile

    @property
    def mission_j(self) -> float:
        """What perception may use in all, J."""
        return self.messages[0].budget.energy_j

    def fault(self, kind: str, time_s: float) -> bool:
        return self.faults[kind].begin_s <= time_s < self.faults[kind].end_s


def make_trace(seed: int, duration_s: float, profile: Profile) -> Trace:
    """profile: as it should be."""
    rng, rule = np.random.default_rng(seed), profile.network['rule']
    scale = duration_s / HOUR_S
    frame_j = profile.reference.inference.energy_j + profile.reference.training.energy_j
    anything_w = RATES_HZ[1] * frame_j  # the largest T at the highest rate
    rates = make_parts(rng, scale, RATES_HZ, (40.0, 240.0), ramps=0.3)
    limits = make_parts(
        rng,
        scale,
        (anything_w / LIMIT_RANGE[rule], anything_w),
        (80.0, 300.0),
        ramps=0.2,
        unlimited=0.12,
    )
    loads = make_parts(rng, scale, LOADS, (100.0, 400.0), ramps=0.0)
    frames_s = _frames(rng, scale, rates)
    mission_j = rng.uniform(*MISSION_SHARE[rule]) * frame_j * len(frames_s)
    messages = [
        Message(0.0, 'mission', Budget(energy_j=mission_j, duration_s=duration_s)),
        *_operator(limits),
        *_thermal_guard(rng, scale, anything_w),
        *_planner(rng, scale),
    ]
    messages.sort(key=lambda message: message.time_s)  # stable: the mission stays the first
    faults = _faults(rng, scale)
    causes = [
        *changes_of(rates, 'rate'),
        *changes_of(limits, 'budget'),
        *changes_of(loads, 'load'),
        *faults.values(),
        *(
            Span(time_s, time_s, 'budget')
            for message in messages
            if message.source in ('thermal guard', 'planner')
            for time_s in (message.time_s, message.time_s + message.budget.lifetime_s)
        ),
    ]
    return Trace(
        duration_s,
        frames_s,
        rates,
        loads,
        messages,
        faults,
        joined_s=scale * rng.uniform(700, 1300),
        turned_s=scale * rng.uniform(2000, 2600),
        causes=causes,
        profile=_wrong(rng, profile),
    )


def _frames(rng: np.random.Generator, scale: float, rates: list[Part]) -> np.ndarray:
    """Times of frames: at the rate, jittering, now and then none and then all at once."""
    grid_s = np.arange(0.0, scale * HOUR_S, 0.05)
    rate_hz = np.array([part_at(rates, time_s) for time_s in grid_s])
    count = np.cumsum(rate_hz) * 0.05
    frames_s = np.interp(np.arange(1, int(count[-1])), count, grid_s)
    jitter = rng.normal(0.0, 0.2, len(frames_s)) / np.interp(frames_s, grid_s, rate_hz)
    frames_s = np.sort(np.maximum(frames_s + jitter, 0.0))
    for begin_s in scale * rng.uniform(0.0, HOUR_S, STALLS):
        end_s = begin_s + rng.uniform(0.3, 2.0)
        late = (frames_s >= begin_s) & (frames_s < end_s)
        frames_s[late] = end_s + BURST_GAP_S * np.arange(late.sum())
        frames_s.sort()
    return frames_s[frames_s < scale * HOUR_S]


def _operator(limits: list[Part]) -> list[Message]:
    messages = []
    for part in limits:
        steps = (
            1 if part.first == part.last else math.ceil((part.end_s - part.begin_s) / RAMP_PERIOD_S)
        )
        for time_s in np.linspace(part.begin_s, part.end_s, steps, endpoint=False):
            limit_w = part.at(time_s)
            messages.append(
                Message(
                    whole_tick(time_s),
                    'operator',
                    Budget(power_w=limit_w if math.isfinite(limit_w) else math.nan),
                )
            )
    return messages


def _thermal_guard(rng: np.random.Generator, scale: float, anything_w: float) -> list[Message]:
    """Limits that lapse by themselves; a hot robot says so more than once."""
    messages = []
    for begin_s in (300.0, 1500.0, 2700.0) + rng.uniform(0.0, 700.0, 3):
        limit_w, lifetime_s = anything_w / rng.uniform(4.0, 20.0), rng.uniform(40.0, 90.0)
        messages += [
            Message(
                whole_tick(scale * (begin_s + 30.0 * again)),
                'thermal guard',
                Budget(power_w=limit_w, lifetime_s=scale * lifetime_s),
            )
            for again in range(rng.integers(1, 4))
        ]
    return messages


def _planner(rng: np.random.Generator, scale: float) -> list[Message]:
    return [
        Message(
            whole_tick(scale * begin_s),
            'planner',
            Budget(
                deadline_s=rng.uniform(*DEADLINES_S), lifetime_s=scale * rng.uniform(120.0, 300.0)
            ),
        )
        for begin_s in (600.0, 2200.0) + rng.uniform(0.0, 1000.0, 2)
    ]


def _faults(rng: np.random.Generator, scale: float) -> dict[str, Span]:
    lengths_s = {'silent': 60.0, 'no percentage': 60.0, 'jump': 3.0, 'stuck': 300.0, 'dead': 20.0}
    slots_s = HOUR_S / 6 * (rng.permutation(5) + 0.5)
    begins_s = slots_s + rng.uniform(0.0, HOUR_S / 12, 5)
    return {
        kind: Span(whole_tick(scale * begin_s), whole_tick(scale * (begin_s + length_s)), kind)
        for (kind, length_s), begin_s in zip(lengths_s.items(), begins_s)
    }


def _wrong(rng: np.random.Generator, profile: Profile) -> Profile:
    """All energies and latencies doubled or halved, and each of them wrong by itself."""
    energy, latency = rng.choice((0.5, 2.0), 2)

    def wrong(phase: PhaseFigures) -> PhaseFigures:
        own = rng.uniform(0.85, 1.15, 2)
        return replace(
            phase,
            energy_j=phase.energy_j * energy * own[0],
            latency_s=phase.latency_s * latency * own[1],
        )

    return replace(
        profile,
        points=tuple(
            replace(point, inference=wrong(point.inference), training=wrong(point.training))
            for point in profile.points
        ),
    )
