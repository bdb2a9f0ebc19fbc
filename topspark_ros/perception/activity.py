"""What the learner did and spent in the last moments: rates, latency, spikes, energy, power."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from topspark_ros.engine import OperationCounts

FADING = 1 - 1 / 500  # of what was found at a T, with each further frame: frames change
MAX_REMEMBERED = 100  # T, or pairs of them
STALE_S = 10.0  # readings of a meter that are older say nothing


@dataclass(frozen=True)
class Activity:
    """Means over the window; NaN where nothing happened in it."""

    frame_rate_hz: float  # frames classified a second
    learned_share: float  # learned frames / classified frames, 0..1
    latency_p50_s: float
    latency_p95_s: float
    inference_s: float  # one inference alone
    energy_j: float  # a frame, inferences, learning and trials
    power_w: float  # energy of the window over its length; 0 without frames
    input_spikes: float  # a frame, inferences
    output_spikes: float  # a frame, inferences
    synaptic_operations: float  # a frame, inferences, learning and trials


class ActivityWindow:
    """Presentations, their times and latencies of the last `length_s` seconds."""

    def __init__(self, length_s: float):
        self._length_s = length_s
        self._presentations: deque[tuple[float, bool, OperationCounts, float]] = deque()
        self._latencies: deque[tuple[float, float]] = deque()
        self._inference_times: deque[tuple[float, float]] = deque()
        self._besides: deque[tuple[float, OperationCounts, float]] = deque()  # further objects
        self._trials: deque[tuple[float, OperationCounts, float]] = deque()
        self._records = (
            self._presentations,
            self._latencies,
            self._inference_times,
            self._besides,
            self._trials,
        )
        self._start_s: float | None = None
        self._now_s = -math.inf

    def inference(
        self, now_s: float, counts: OperationCounts, energy_j: float, inference_s: float
    ) -> None:
        """inference_s: that it took; NaN: the frame was empty, there was none."""
        self._advance(now_s)
        self._presentations.append((now_s, False, counts, energy_j))
        if not math.isnan(inference_s):
            self._inference_times.append((now_s, inference_s))

    def further_inference(
        self, now_s: float, counts: OperationCounts, energy_j: float, inference_s: float
    ) -> None:
        """The same of another object in the frame that was classified last."""
        self._advance(now_s)
        self._besides.append((now_s, counts, energy_j))
        self._inference_times.append((now_s, inference_s))

    def learning(self, now_s: float, counts: OperationCounts, energy_j: float) -> None:
        self._advance(now_s)
        self._presentations.append((now_s, True, counts, energy_j))

    def trial(self, now_s: float, counts: OperationCounts, energy_j: float) -> None:
        """An inference at another T of a frame that had been classified."""
        self._advance(now_s)
        self._trials.append((now_s, counts, energy_j))

    def latency(self, latency_s: float) -> None:
        self._latencies.append((self._now_s, latency_s))

    def summary(self, now_s: float) -> Activity:
        self._advance(now_s)
        # Until the window has filled once, it is as long as the time since the first frame.
        span_s = min(self._length_s, now_s - self._start_s) if self._start_s is not None else 0.0
        inferences = [counts for _, learned, counts, _ in self._presentations if not learned]
        n, timed = len(inferences), [time_s for _, time_s in self._inference_times]
        inferences += [counts for _, counts, _ in self._besides]
        presented = self._presentations, self._besides, self._trials
        energy_j = sum(energy for records in presented for *_, energy in records)
        latencies = [latency for _, latency in self._latencies]
        p50, p95 = np.percentile(latencies, (50, 95)) if latencies else (math.nan, math.nan)

        def per_frame(total: float) -> float:
            return total / n if n else math.nan

        return Activity(
            frame_rate_hz=n / span_s if span_s > 0 else 0.0,
            learned_share=per_frame(len(self._presentations) - n),
            latency_p50_s=float(p50),
            latency_p95_s=float(p95),
            inference_s=sum(timed) / len(timed) if timed else math.nan,
            energy_j=per_frame(energy_j),
            power_w=energy_j / span_s if span_s > 0 else 0.0,
            input_spikes=per_frame(sum(counts.input_spikes for counts in inferences)),
            output_spikes=per_frame(sum(counts.output_spikes for counts in inferences)),
            synaptic_operations=per_frame(
                sum(
                    counts.synaptic_operations for records in presented for *_, counts, _ in records
                )
            ),
        )

    def _advance(self, now_s: float) -> None:
        if now_s < self._now_s:  # the clock was set back: what was measured is of no use
            for records in self._records:
                records.clear()
            self._start_s = None
        self._now_s = now_s
        if self._start_s is None:
            self._start_s = now_s
        for records in self._records:
            while records and records[0][0] <= now_s - self._length_s:
                records.popleft()


class Cost(NamedTuple):
    """What an inference at one T took, running means.

    timesteps: T, simulation steps.
    frames: that were classified at it, the latest most.
    energy_j: estimated, with that of an encoder, J.
    time_s: that it took, s.
    """

    timesteps: int
    frames: float = 0.0
    energy_j: float = 0.0
    time_s: float = 0.0


class CostByTimesteps:
    """What inferences took at each T, in force or tried."""

    def __init__(self) -> None:
        self._costs: dict[int, Cost] = {}

    def add(self, timesteps: int, energy_j: float, time_s: float) -> None:
        _, frames, mean_j, mean_s = self._costs.get(timesteps, Cost(timesteps))
        frames = FADING * frames + 1
        self._costs[timesteps] = Cost(
            timesteps,
            frames,
            mean_j + (energy_j - mean_j) / frames,
            mean_s + (time_s - mean_s) / frames,
        )
        forget_rarest(self._costs)

    def summary(self) -> tuple[Cost, ...]:
        """T rising."""
        return tuple(sorted(self._costs.values()))


def forget_rarest(found: dict[Any, Any]) -> None:
    """Of more than MAX_REMEMBERED drop what has fewest `frames`: T that decisions name are any."""
    if len(found) > MAX_REMEMBERED:
        del found[min(found, key=lambda each: found[each].frames)]


class Measured(NamedTuple):
    """What a meter says; NaN: nothing."""

    energy_j: float = math.nan  # a frame; NaN without frames
    power_w: float = math.nan
    total_j: float = math.nan  # since the meter was opened


class MeterWindow:
    """Readings of a meter over the last `length_s` seconds, or the last two if they are fewer."""

    def __init__(self, length_s: float):
        self._length_s = length_s
        self._readings: deque[tuple[float, float, int]] = deque()

    def add(self, now_s: float, energy_j: float, classified: int) -> None:
        """energy_j, classified: since the meter was opened, J and frames.

        When the clock was set back, the readings before are forgotten.
        """
        if self._readings and now_s < self._readings[-1][0]:
            self._readings.clear()
        self._readings.append((now_s, energy_j, classified))
        while len(self._readings) > 2 and self._readings[1][0] <= now_s - self._length_s:
            self._readings.popleft()

    def summary(self, now_s: float) -> Measured:
        if len(self._readings) < 2 or now_s - self._readings[-1][0] > STALE_S:
            return Measured()
        (then_s, then_j, before), (last_s, last_j, classified) = (
            self._readings[0],
            self._readings[-1],
        )
        energy_j, frames, passed_s = last_j - then_j, classified - before, last_s - then_s
        return Measured(
            energy_j / frames if frames else math.nan,
            energy_j / passed_s if passed_s > 0 else math.nan,
            last_j,
        )
