"""What the learner did and spent in the last moments: rates, latency, spikes, energy, power."""
from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from topspark_ros.engine import OperationCounts


@dataclass(frozen=True)
class Activity:
    """Means over the window; NaN where nothing happened in it."""

    frame_rate_hz: float           # frames classified a second
    learned_share: float           # learned frames / classified frames, 0..1
    latency_p50_s: float
    latency_p95_s: float
    energy_j: float                # a frame, inference and learning
    power_w: float                 # energy of the window over its length; 0 without frames
    input_spikes: float            # an inference
    output_spikes: float           # an inference
    synaptic_operations: float     # a frame, inference and learning


class ActivityWindow:
    """Presentations and latencies of the last `length_s` seconds."""

    def __init__(self, length_s: float):
        self._length_s = length_s
        self._presentations: deque[tuple[float, bool, OperationCounts, float]] = deque()
        self._latencies: deque[tuple[float, float]] = deque()
        self._start_s: float | None = None
        self._now_s = -math.inf

    def inference(self, now_s: float, counts: OperationCounts, energy_j: float) -> None:
        self._advance(now_s)
        self._presentations.append((now_s, False, counts, energy_j))

    def learning(self, now_s: float, counts: OperationCounts, energy_j: float) -> None:
        self._advance(now_s)
        self._presentations.append((now_s, True, counts, energy_j))

    def latency(self, latency_s: float) -> None:
        self._latencies.append((self._now_s, latency_s))

    def summary(self, now_s: float) -> Activity:
        self._advance(now_s)
        # Until the window has filled once, it is as long as the time since the first frame.
        span_s = min(self._length_s, now_s - self._start_s) if self._start_s is not None else 0.0
        inferences = [(counts, energy) for _, learned, counts, energy in self._presentations
                      if not learned]
        n = len(inferences)
        energy_j = sum(energy for *_, energy in self._presentations)
        latencies = [latency for _, latency in self._latencies]
        p50, p95 = np.percentile(latencies, (50, 95)) if latencies else (math.nan, math.nan)

        def per_frame(total: float) -> float:
            return total / n if n else math.nan

        return Activity(
            frame_rate_hz=n / span_s if span_s > 0 else 0.0,
            learned_share=per_frame(len(self._presentations) - n),
            latency_p50_s=float(p50), latency_p95_s=float(p95),
            energy_j=per_frame(energy_j),
            power_w=energy_j / span_s if span_s > 0 else 0.0,
            input_spikes=per_frame(sum(counts.input_spikes for counts, _ in inferences)),
            output_spikes=per_frame(sum(counts.output_spikes for counts, _ in inferences)),
            synaptic_operations=per_frame(sum(
                counts.synaptic_operations for _, _, counts, _ in self._presentations)))

    def _advance(self, now_s: float) -> None:
        if now_s < self._now_s:      # the clock was set back: what was measured is of no use
            self._presentations.clear()
            self._latencies.clear()
            self._start_s = None
        self._now_s = now_s
        if self._start_s is None:
            self._start_s = now_s
        for records in (self._presentations, self._latencies):
            while records and records[0][0] <= now_s - self._length_s:
                records.popleft()
