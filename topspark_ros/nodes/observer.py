"""Watches a running system without touching it: what `topspark demo` shows and reports."""
from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Callable

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import BatteryState

from topspark_ros import msg
from topspark_ros.methodology.policy import Reason
from topspark_ros.nodes import conversions, qos


@dataclass(frozen=True)
class Result:
    """One classified frame."""

    time_s: float
    timesteps: int
    latency_s: float
    energy_j: float


@dataclass(frozen=True)
class Decided:
    time_s: float
    sequence: int
    training_timesteps: int
    inference_timesteps: int
    learning: bool
    reason: str
    detail: str


@dataclass
class Record:
    """Time series; times in s since the observer began."""

    results: list[Result] = field(default_factory=list)
    accuracy: list[tuple[float, float]] = field(default_factory=list)   # prequential, windowed
    decisions: list[Decided] = field(default_factory=list)
    applied: list[tuple[float, int]] = field(default_factory=list)      # decision sequence
    power_w: list[tuple[float, float]] = field(default_factory=list)    # estimated
    budget_w: list[tuple[float, float]] = field(default_factory=list)   # NaN: unlimited
    state_of_charge: list[tuple[float, float]] = field(default_factory=list)
    labelled: int = 0
    correct: int = 0
    status: msg.LearnerStatus | None = None


class Observer(Node):
    """Subscribes to everything that learner, controller, battery and operator publish.

    Accuracy is counted here anew, from classifications and labels alone: each frame's
    classification was published before its label could have been learned.

    window_s: of a window of events, which a label names by a stamp within it; 0: labels have the
        stamp of their frame.
    """

    def __init__(self, name: str, accuracy_window: int, window_s: float, **node_options):
        super().__init__(name, **node_options)
        self._window_ns = round(window_s * 1e9)
        self.record = Record()
        self.health: dict[str, dict[str, str]] = {}
        self._began_s = time.monotonic()
        self._lock = threading.Lock()
        self._predicted: dict[int, str] = {}
        self._labels: dict[int, str] = {}
        self._hits: deque[bool] = deque(maxlen=accuracy_window)
        for message_type, topic, callback, profile in (
                (msg.Classification, 'classification', self._on_classification, qos.RESULT),
                (msg.Label, 'label', self._on_label, qos.LABEL),
                (msg.LearnerStatus, 'snn_learner/status', self._on_status, qos.STATUS),
                (msg.TimestepDecision, 'timestep_decision', self._on_decision, qos.DECISIONS),
                (msg.PowerBudget, 'power_budget', self._on_budget, qos.STATE),
                (BatteryState, 'battery_state', self._on_battery, qos.BATTERY),
                (DiagnosticArray, '/diagnostics', self._on_diagnostics, qos.STATUS)):
            self.create_subscription(message_type, topic, self._locked(callback), profile)

    def read(self, view: Callable[[Record], object]) -> object:
        """`view(record)`, while nothing is being written into it."""
        with self._lock:
            return view(self.record)

    def _locked(self, callback):
        def guarded(message):
            with self._lock:
                callback(message)
        return guarded

    @property
    def elapsed_s(self) -> float:
        """Time on the observer's clock, s."""
        return time.monotonic() - self._began_s

    def _on_classification(self, message: msg.Classification) -> None:
        self.record.results.append(Result(self.elapsed_s, message.timesteps, message.latency,
                                          message.energy))
        self._predicted[conversions.stamp_ns(message.header.stamp)] = message.class_id
        self._score()

    def _on_label(self, message: msg.Label) -> None:
        self._labels[conversions.stamp_ns(message.header.stamp)] = message.class_id
        self._score()

    def _score(self) -> None:
        for named in list(self._labels):
            end = next((end for end in self._predicted if 0 <= end - named <= self._window_ns), None)
            if end is None:
                continue
            hit = self._predicted.pop(end) == self._labels.pop(named)
            self._hits.append(hit)
            self.record.labelled += 1
            self.record.correct += hit
            self.record.accuracy.append((self.elapsed_s, sum(self._hits) / len(self._hits)))

    def _on_status(self, message: msg.LearnerStatus) -> None:
        self.record.status = message
        self.record.power_w.append((self.elapsed_s, message.power_estimated))
        self.record.applied.append((self.elapsed_s, message.decision_sequence))

    def _on_decision(self, message: msg.TimestepDecision) -> None:
        self.record.decisions.append(Decided(
            self.elapsed_s, message.sequence, message.training_timesteps,
            message.inference_timesteps, message.learning, Reason(message.reason).name,
            message.detail))

    def _on_budget(self, message: msg.PowerBudget) -> None:
        self.record.budget_w.append((self.elapsed_s, message.power))

    def _on_battery(self, message: BatteryState) -> None:
        if not math.isnan(message.percentage):
            self.record.state_of_charge.append((self.elapsed_s, message.percentage))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.health[status.name] = {pair.key: pair.value for pair in status.values}
            self.health[status.name]['message'] = status.message
