"""Classify every frame at once; learn it when its label has come or has been waited for.

A label names its frame by stamp and may arrive before or after it, so learning lags behind
classification by at most `label_wait_s`. A frame that took some time, a window of events, is named
by any stamp within it. Accuracy is prequential: the prediction that counts
was made before the frame was learned (Dawid 1984; Gama et al. 2013).

All times are given by the caller (`now_s`, any monotonic clock), so that a replay repeats to
the last digit; only how long an inference takes is measured here. Every public method may be
called from any thread.
"""
from __future__ import annotations

import copy
import math
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Protocol, Sequence, Union

import numpy as np

from topspark_ros.engine import MAX_CLASSES, Network, OperationCounts, SpikeTrain
from topspark_ros.errors import TopsparkError
from topspark_ros.methodology.energy import EnergyTable, estimate_energy_j
from topspark_ros.perception.activity import Activity, ActivityWindow
from topspark_ros.streams.share import FrameShare

MAX_WAITING = 256     # frames or labels kept for each other; older ones are let go and counted


class LabelError(TopsparkError):
    """A label was refused: one line with what is wrong and what is accepted."""


class SpikingSample(Protocol):
    """A sample that is in spikes already, of events for one."""

    def spikes(self, timesteps: int) -> SpikeTrain:
        """What is presented in so many steps."""


Sample = Union[np.ndarray, SpikingSample]     # or pixels, (inputs,) float32


@dataclass(frozen=True)
class Timesteps:
    """What a decision sets: simulation steps, whether frames are learned, and how many."""

    training: int
    inference: int
    learning_share: float = 1.0     # 0..1, of the classified frames that is learned; 0: none
    sequence: int = 0     # of the decision; 0: nobody decided, these are the defaults
    frame_share: float = 1.0     # 0..1, processed; the caller leaves out the other frames

    @property
    def learning(self) -> bool:
        return self.learning_share > 0.0


@dataclass(frozen=True)
class Margins:
    """Lead of a class that ends a presentation early, as of Network.infer; inf: never."""

    training: float = math.inf
    inference: float = math.inf


@dataclass(frozen=True)
class OnlineSettings:
    label_wait_s: float = 0.15      # a frame without a label is learned as unlabelled after this
    accuracy_window: int = 200      # labelled frames behind the prequential accuracy
    activity_window_s: float = 2.0  # rates, latency and power are over this time


@dataclass(frozen=True)
class Classification:
    """One frame's result. `scores` follow `class_names`; `class_name` is None when unknown."""

    class_name: str | None
    score: float
    class_names: tuple[str, ...]
    scores: np.ndarray        # (classes,) float32, 0..1
    timesteps: int            # taken; fewer than set after an early exit
    learning: bool
    energy_j: float           # estimated, this inference
    label: str | None         # that was there before the frame


@dataclass(frozen=True)
class Totals:
    """Counts since the learner was made, or since `reset_counts`."""

    energy_j: float = 0.0     # estimated, inference and learning
    classified: int = 0
    learned: int = 0
    labels: int = 0
    labels_unmatched: int = 0


@dataclass(frozen=True)
class OnlineStatus:
    timesteps: Timesteps
    totals: Totals
    activity: Activity
    accuracy: float           # prequential, NaN before the first labelled frame
    accuracy_frames: int
    recruited_neurons: int
    labelled_neurons: int


@dataclass
class _Waiting:
    sample: Sample
    begin_ns: int
    predicted: str | None
    since_s: float
    label: str | None = None


class OnlineLearner:
    """A network, the names of its classes, and the frames that still wait for a label."""

    def __init__(self, network: Network, class_names: Sequence[str], timesteps: Timesteps,
                 settings: OnlineSettings, energy_table: EnergyTable):
        self.settings = settings
        self._network = network
        self._class_names = _names(network, class_names)
        self._timesteps = timesteps
        self._margins = Margins()
        self._share = FrameShare()     # of the frames, learned
        self._energy_table = energy_table
        self._waiting: OrderedDict[int, _Waiting] = OrderedDict()       # by stamp, oldest first
        self._early_labels: OrderedDict[int, str] = OrderedDict()       # by stamp
        self._label_for_next: str | None = None
        self._hits: deque[bool] = deque(maxlen=settings.accuracy_window)
        self._unstamped = 0
        self._lock = threading.RLock()
        self.reset_counts()

    @property
    def timesteps(self) -> Timesteps:
        return self._timesteps

    def set_timesteps(self, timesteps: Timesteps, margins: Margins = Margins()) -> None:
        """Takes effect with the next presentation, never inside one."""
        with self._lock:
            self._timesteps, self._margins = timesteps, margins

    @property
    def totals(self) -> Totals:
        with self._lock:
            return Totals(self._energy_j, self._classified, self._learned, self._labels,
                          self._labels_unmatched)

    def reset_counts(self) -> None:
        """Totals and activity begin anew; weights, waiting frames and accuracy stay."""
        with self._lock:
            self._activity = ActivityWindow(self.settings.activity_window_s)
            self._energy_j = 0.0
            self._classified = self._learned = self._labels = self._labels_unmatched = 0

    def snapshot(self) -> tuple[Network, tuple[str, ...]]:
        """A copy of the network and its class names, to be saved while learning goes on."""
        with self._lock:
            return copy.deepcopy(self._network), tuple(self._class_names)

    def replace_network(self, network: Network, class_names: Sequence[str]) -> None:
        """Go on with other weights (loaded or reset); counts and settings stay."""
        with self._lock:
            self._network, self._class_names = network, _names(network, class_names)
            self._waiting.clear()
            self._early_labels.clear()
            self._hits.clear()

    def classify(self, stamp_ns: int, sample: Sample, now_s: float,
                 begin_ns: int | None = None) -> Classification:
        """Classify one centred frame and queue it for learning.

        `stamp_ns` 0 means that the frame has no stamp: only a label "for the next frame" can
        name it. `begin_ns` is when the frame began, None if it is of one moment.
        """
        with self._lock:
            timesteps = self._timesteps
            began_s = time.perf_counter()
            response = self._network.infer(_presented(sample, timesteps.inference),
                                           timesteps.inference, self._margins.inference)
            inference_s = time.perf_counter() - began_s
            name = (None if response.predicted is None
                    else self._class_names[response.predicted])
            energy_j = self._spend(response.counts)
            self._classified += 1
            self._activity.inference(now_s, response.counts, energy_j, inference_s)
            label = self._enqueue(stamp_ns, stamp_ns if begin_ns is None else begin_ns, sample,
                                  name, now_s)
            return Classification(
                name, math.nan if name is None else float(response.scores[response.predicted]),
                tuple(self._class_names[:response.scores.size]), response.scores,
                response.timesteps, timesteps.learning, energy_j, label)

    def record_latency(self, latency_s: float) -> None:
        """Latency of the frame that was classified last, as its consumer saw it."""
        with self._lock:
            self._activity.latency(latency_s)

    def add_label(self, stamp_ns: int, class_name: str) -> int | None:
        """Teach the frame with this stamp; stamp 0: the next frame that is classified.

        Returns the stamp of the frame if it waits; None: it has not come, or waits no more. A
        name never heard before becomes a new class. Raises LabelError for an empty name and for
        more classes than the network can tell apart.
        """
        if not class_name.strip():
            raise LabelError('class_id: empty; accepted: any name that is not empty')
        with self._lock:
            self._class_index(class_name)
            self._labels += 1
            if stamp_ns == 0:
                self._labels_unmatched += self._label_for_next is not None
                self._label_for_next = class_name
            elif (frame_ns := self._waiting_at(stamp_ns)) is not None:
                self._waiting[frame_ns].label = class_name
                return frame_ns
            elif self._waiting and stamp_ns < next(iter(self._waiting.values())).begin_ns:
                self._labels_unmatched += 1      # its frame was learned already, or never came
            else:
                self._early_labels[stamp_ns] = class_name
                while len(self._early_labels) > MAX_WAITING:
                    self._early_labels.popitem(last=False)
                    self._labels_unmatched += 1
            return None

    def learn_due(self, now_s: float) -> int:
        """Learn every frame that has its label or has waited long enough; returns how many."""
        with self._lock:
            due = [stamp for stamp, frame in self._waiting.items()
                   if frame.label is not None or self._overdue(frame, now_s)]
            for stamp in due:
                self._learn(self._waiting.pop(stamp), now_s)
            return len(due)

    def next_due_s(self) -> float | None:
        """When the oldest frame stops waiting for its label; None: no frame waits."""
        with self._lock:
            if not self._waiting:
                return None
            return self._due_s(next(iter(self._waiting.values())))

    def status(self, now_s: float) -> OnlineStatus:
        with self._lock:
            return OnlineStatus(
                self._timesteps, self.totals, self._activity.summary(now_s),
                sum(self._hits) / len(self._hits) if self._hits else math.nan, len(self._hits),
                self._network.recruited_neurons, self._network.labelled_neurons)

    # ---------------------------------------------------------------------------------------

    def _enqueue(self, stamp_ns: int, begin_ns: int, sample: Sample, predicted: str | None,
                 now_s: float) -> str | None:
        """Returns the label that has come before it."""
        if stamp_ns == 0:
            self._unstamped += 1
            stamp_ns = begin_ns = -self._unstamped
        frame = _Waiting(sample, begin_ns, predicted, now_s)
        while self._early_labels and next(iter(self._early_labels)) <= stamp_ns:
            label_ns, label = self._early_labels.popitem(last=False)
            if label_ns >= begin_ns:
                frame.label = label
            else:      # frames come in order: its frame never will
                self._labels_unmatched += 1
        if self._label_for_next is not None:
            frame.label, self._label_for_next = self._label_for_next, None
        if stamp_ns in self._waiting:
            self._learn(self._waiting.pop(stamp_ns), now_s)
        self._waiting[stamp_ns] = frame
        while len(self._waiting) > MAX_WAITING:
            self._learn(self._waiting.popitem(last=False)[1], now_s)
        return frame.label

    def _waiting_at(self, stamp_ns: int) -> int | None:
        """Stamp of the frame within which a moment lies."""
        for end_ns, frame in self._waiting.items():
            if frame.begin_ns <= stamp_ns <= end_ns:
                return end_ns
        return None

    def _overdue(self, frame: _Waiting, now_s: float) -> bool:
        # A clock that was set back must not make frames wait for ever.
        return not frame.since_s <= now_s < self._due_s(frame)

    def _due_s(self, frame: _Waiting) -> float:
        return frame.since_s + self.settings.label_wait_s

    def _learn(self, frame: _Waiting, now_s: float) -> None:
        mistaken = frame.label is not None and frame.predicted != frame.label
        if frame.label is not None:
            self._hits.append(not mistaken)
        # Where not all can be learned, there is most to learn from a mistake.
        if not self._share.takes(self._timesteps.learning_share, preferred=mistaken):
            return
        label = None if frame.label is None else self._class_index(frame.label)
        timesteps = self._timesteps.training
        response = self._network.learn(_presented(frame.sample, timesteps), timesteps, label,
                                       self._margins.training)
        self._learned += 1
        self._activity.learning(now_s, response.counts, self._spend(response.counts))

    def _class_index(self, name: str) -> int:
        if name not in self._class_names:
            if len(self._class_names) == MAX_CLASSES:
                raise LabelError(f'class_id: {name!r} would be class number {MAX_CLASSES + 1}; '
                                 f'accepted: at most {MAX_CLASSES} classes')
            self._class_names.append(name)
        return self._class_names.index(name)

    def _spend(self, counts: OperationCounts) -> float:
        energy_j = estimate_energy_j(counts, self._energy_table)
        self._energy_j += energy_j
        return energy_j


def _presented(sample: Sample, timesteps: int) -> np.ndarray | SpikeTrain:
    return sample if isinstance(sample, np.ndarray) else sample.spikes(timesteps)


def _names(network: Network, known: Sequence[str]) -> list[str]:
    """A name for each class, also of a network that was trained on bare class indices."""
    return [*known, *(f'class {index}' for index in range(len(known), network.classes))]
