"""Classify every frame at once; learn it when its label has had time to come, in order of stamps.

A frame is learned before the first frame is classified whose stamp is `label_wait_s` later. So what
is learned between two classifications follows from the stamps alone, not from when frames and
labels arrive, and a replay repeats what was done live, as long as labels arrive within that time. A
clock decides only where stamps cannot: when no frame follows, and for frames without a stamp. Which
label names which frame: see `teaching`. Accuracy is prequential: the prediction that counts was
made before the frame was learned (Dawid 1984; Gama et al. 2013).

A frame may show several objects. All are classified; labels, questions and learning are of the most
salient one alone, so that a label is never taken for what stands beside its object.

Some frames are asked about (`questions`). People take their time, so these are kept when they are
learned without a label: an answer that comes late still teaches them.

All times are given by the caller (`now_s`, the clock that stamps are of), so that a replay repeats
to the last digit; only how long an inference takes is measured here. Every public method may be
called from any thread.
"""

from __future__ import annotations

import copy
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from topspark_ros.control.accuracy import Trial
from topspark_ros.engine import MAX_CLASSES, Checkpoint, Network, OperationCounts, SpikeTrain
from topspark_ros.methodology.energy import EnergyTable, estimate_energy_j
from topspark_ros.perception.activity import Activity, ActivityWindow, Cost, CostByTimesteps
from topspark_ros.perception.confidence import Confidence
from topspark_ros.perception.questions import Questions
from topspark_ros.perception.teaching import (
    MAX_KEPT,
    LabelBook,
    LabelError,
    TimedLabel,
    check_label,
    check_name,
    named_by,
)
from topspark_ros.perception.trials import Trials, TrialSettings
from topspark_ros.streams.share import FrameShare

MAX_OPEN = 32  # questions that an answer may still come to
NAMED = 20  # classes in the line of an error, at most
NO_GROUNDS = math.nan, math.nan
PAUSE_S = 0.5  # by which a frame may be late before the stream has paused


class PresentedSample(Protocol):
    """A sample that knows how it is presented, a window of events for one."""

    def presented(self, timesteps: int) -> np.ndarray | SpikeTrain:
        """What the network takes in so many steps: pixels, (inputs,) float32, or spikes."""


Sample = np.ndarray | PresentedSample  # or pixels, (inputs,) float32


@dataclass(frozen=True)
class Timesteps:
    """What a decision sets: simulation steps, whether frames are learned, and how many."""

    training: int
    inference: int
    learning_share: float = 1.0  # 0..1, of the classified frames that is learned; 0: none
    sequence: int = 0  # of the decision; 0: nobody decided, these are the defaults
    frame_share: float = 1.0  # 0..1, processed; the caller skips the other frames

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
    label_wait_s: float = 0.15  # between a frame and the one that it is learned before
    accuracy_window: int = 200  # labelled frames behind the prequential accuracy
    activity_window_s: float = 2.0  # rates, latency and power are over this time
    trials: TrialSettings = TrialSettings()
    unknown_threshold: float = 0.9  # 0..1, confidence below which a frame is unknown
    questions_per_hour: int = 0


@dataclass(frozen=True)
class Classification:
    """Result of the most salient object of a frame. `scores` follow `class_names`; `class_name` is
    None when unknown.

    confidence: that class_name is right, 0..1, by the labels so far; NaN when it is None.
    unknown: whether that is below the threshold, or there is nothing to tell a class by.
    asked: whether a label would help most here.
    empty: nothing stood out in the frame, so there was nothing to classify, and is nothing to
        learn.
    further: the same of the other objects in the frame.
    """

    class_name: str | None
    score: float
    confidence: float
    unknown: bool
    class_names: tuple[str, ...]
    scores: np.ndarray  # (classes,) float32, 0..1
    timesteps: int  # taken; fewer than set after an early exit
    learning: bool
    energy_j: float  # estimated, this inference
    label: str | None  # that was there before the frame
    asked: bool = False
    empty: bool = False
    further: tuple[Classification, ...] = ()

    @property
    def frame_energy_j(self) -> float:
        """Estimated, all inferences of the frame."""
        return self.energy_j + sum(each.energy_j for each in self.further)


@dataclass(frozen=True)
class Totals:
    """Counts since the learner was made, or since `reset_counts`."""

    energy_j: float = 0.0  # estimated: inference, learning and trials
    learning_energy_j: float = 0.0  # of that, learning
    trial_energy_j: float = 0.0  # of that, trials
    classified: int = 0
    learned: int = 0
    empty: int = 0  # classified frames in which nothing stood out
    labels: int = 0
    labels_unmatched: int = 0  # that named no frame
    labels_late: int = 0  # whose frame had been learned without them
    questions: int = 0
    answers: int = 0  # labels that named a frame which was asked about
    further_objects: int = 0  # classified besides the most salient ones of their frames


@dataclass(frozen=True)
class ClassCount:
    """A class, and how many of its frames were learned with a label."""

    name: str
    frames: int


@dataclass(frozen=True)
class OnlineStatus:
    timesteps: Timesteps
    totals: Totals
    activity: Activity
    accuracy: float  # prequential, NaN before the first labelled frame
    accuracy_frames: int
    recruited_neurons: int
    labelled_neurons: int
    trials: tuple[Trial, ...] = ()
    costs: tuple[Cost, ...] = ()  # of inferences, by T


@dataclass(eq=False)
class _Waiting:
    stamp_ns: int  # 0: none
    begin_ns: int
    end_ns: int
    sample: Sample | None  # None: empty, or learned
    predicted: str | None
    grounds: tuple[float, float]  # evidence and novelty, as of a Response
    timesteps: int  # T that it was classified at
    since_s: float
    label: str | None = None
    asked: bool = False


class OnlineLearner:
    """A network, the names of its classes, and the frames that still wait for a label.

    encoder_energy_j: that each object takes before it is presented, J: of an encoder, which does
        not depend on T.
    confidence: as of `replace_network`.
    """

    def __init__(
        self,
        network: Network,
        class_names: Sequence[str],
        timesteps: Timesteps,
        settings: OnlineSettings,
        energy_table: EnergyTable,
        encoder_energy_j: float = 0.0,
        confidence: Sequence[float] = (),
    ):
        self.settings = settings
        self._network = network
        self._class_names = _names(network, class_names)
        self._timesteps = timesteps
        self._margins = Margins()
        self._share = FrameShare()  # of the frames, learned
        self._energy_table = energy_table
        self._encoder_energy_j = encoder_energy_j
        self._waiting: deque[_Waiting] = deque()  # oldest first
        self._unlabelled: deque[_Waiting] = deque(maxlen=MAX_KEPT)  # learned without a label
        self._open: deque[_Waiting] = deque(maxlen=MAX_OPEN)  # of these, asked about, with samples
        self._confidence = Confidence(confidence)
        self._questions = Questions(settings.questions_per_hour)
        self._labels = LabelBook()
        self._label_for_next: str | None = None
        self._newest_ns = 0  # stamp of the newest frame
        # What a class became, its new name or None, for labels of frames up to this stamp.
        self._became: dict[str, tuple[int, str | None]] = {}
        self._hits: deque[bool] = deque(maxlen=settings.accuracy_window)
        self._changes = 0  # of the weights
        self._trials = Trials(settings.trials)
        self._costs = CostByTimesteps()
        self._step_j = 0.0  # of the network, in the last inference
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
            counts = self._counts
            return Totals(
                self._energy_j,
                self._learning_energy_j,
                self._trial_energy_j,
                counts['classified'],
                counts['learned'],
                counts['empty'],
                counts['labels'],
                counts['replaced labels'] + self._labels.unmatched,
                counts['late'],
                counts['questions'],
                counts['answers'],
                counts['further'],
            )

    def reset_counts(self) -> None:
        """Totals and activity begin anew; weights, waiting frames and accuracy stay."""
        with self._lock:
            self._activity = ActivityWindow(self.settings.activity_window_s)
            self._energy_j = self._learning_energy_j = self._trial_energy_j = 0.0
            self._counts: Counter[str] = Counter()
            self._labels.unmatched = 0

    @property
    def changes(self) -> int:
        """Times that the weights changed since the learner was made."""
        return self._changes

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the classes by their numbers: those that were ever named by a label."""
        with self._lock:
            return tuple(self._class_names)

    def snapshot(self) -> Checkpoint:
        """A copy of all that was learned, to be saved while learning goes on."""
        with self._lock:
            return Checkpoint(
                copy.deepcopy(self._network), tuple(self._class_names), self._confidence.numbers()
            )

    def replace_network(
        self, network: Network, class_names: Sequence[str], confidence: Sequence[float] = ()
    ) -> None:
        """Go on with other weights (loaded or reset); counts and settings stay.

        confidence: numbers of a Confidence that was kept; none: it begins anew. ConfidenceError,
            with nothing changed, if they are of none.
        """
        with self._lock:
            self._confidence = Confidence(confidence)
            self._network, self._class_names = network, _names(network, class_names)
            self._changes += 1
            self._waiting.clear()
            self._unlabelled.clear()
            self._open.clear()
            self._labels.clear()
            self._became.clear()
            self._hits.clear()
            self._trials = Trials(self.settings.trials)
            self._costs = CostByTimesteps()

    def classify(
        self,
        stamp_ns: int,
        sample: Sample,
        now_s: float,
        begin_ns: int = 0,
        end_ns: int = 0,
        further: Sequence[Sample] = (),
    ) -> Classification:
        """Classify one centred frame, after learning what is due before it, and queue it.

        sample: of the most salient object. further: of the others, which are classified alone.
        stamp_ns: 0: it has no stamp; only a label "for the next frame" can name it.
        begin_ns, end_ns: of a window of events; 0: the frame is of one moment, its stamp.
        """
        with self._lock:
            if stamp_ns:
                if stamp_ns < self._newest_ns:  # stamps were set back: nothing earlier follows
                    self._learn_first(len(self._waiting), now_s)
                    self._became.clear()
                self._newest_ns = stamp_ns
            self.learn_due(now_s)
            timesteps = self._timesteps
            presented = _presented(sample, timesteps.inference)
            if _is_empty(presented):
                result, grounds = self._pass_over(now_s), NO_GROUNDS
            else:
                self._counts['classified'] += 1
                result, grounds = self._infer(presented, now_s, self._activity.inference)
            others = tuple(self._classify_further(each, now_s) for each in further)
            frame = _Waiting(
                stamp_ns,
                begin_ns or stamp_ns,
                end_ns or stamp_ns,
                None if result.empty else sample,
                result.class_name,
                grounds,
                timesteps.inference,
                now_s,
            )
            frame.label = self._early_label(frame)
            if frame.label is None and frame.sample is not None and timesteps.learning:
                frame.asked = self._questions.ask(
                    stamp_ns, *grounds, presented, self._network.config.inputs
                )
                self._counts['questions'] += frame.asked
            self._waiting.append(frame)
            self._learn_first(len(self._waiting) - MAX_KEPT, now_s)
            return replace(result, label=frame.label, asked=frame.asked, further=others)

    def record_latency(self, latency_s: float) -> None:
        """Latency of the frame that was classified last, as its consumer saw it."""
        with self._lock:
            self._activity.latency(latency_s)

    def add_label(self, stamp_ns: int, class_name: str, until_ns: int = 0) -> list[int]:
        """Teach the frame that this moment lies in, or, up to `until_ns`, all that lie within.

        stamp_ns 0: the next frame that is classified. Returns the stamps of the frames so far that
        it names: those that wait, which it teaches, and those that were learned without it, which
        it counts for the accuracy. Those that were asked about it teaches however late. A name
        never heard before becomes a new class. A label that comes after its class was forgotten or
        renamed, for a frame from before, names nothing or is of the new name. Raises LabelError as
        `check_label` does, and for more classes than the network can tell apart.
        """
        check_label(class_name, stamp_ns, until_ns)
        with self._lock:
            name = self._present_name(class_name, stamp_ns)
            if name is None:
                return []
            class_name = name
            self._class_index(class_name)
            self._counts['labels'] += 1
            if stamp_ns == 0:
                self._counts['replaced labels'] += self._label_for_next is not None
                self._label_for_next = class_name
                return []
            label = TimedLabel(stamp_ns, class_name, until_ns)
            waiting = [frame for frame in self._waiting if frame.stamp_ns and label.names(frame)]
            for frame in waiting:
                frame.label = class_name
            late = named_by(label, self._unlabelled)
            for frame in late:
                self._unlabelled.remove(frame)
                self._judge(frame, class_name)
            answered = named_by(label, self._open)
            for frame in answered:
                self._open.remove(frame)
                frame.label = class_name
            self._waiting.extendleft(reversed(answered))  # they are due
            self._counts['answers'] += any(frame.asked for frame in (*answered, *waiting))
            self._counts['late'] += bool(late)
            late += answered
            self._labels.add(label, used=bool(waiting or late))
            return [frame.stamp_ns for frame in (*late, *waiting)]

    def add_class(self, class_name: str) -> None:
        """Know the class, of which nothing may have been seen yet. Raises LabelError for what
        cannot be its name, and for more classes than the network can tell apart."""
        check_name(class_name)
        with self._lock:
            self._class_index(class_name)

    def classes(self) -> tuple[ClassCount, ...]:
        """All that are known, in the order in which they were heard of first."""
        with self._lock:
            frames = self._network.class_frames.tolist()
            frames += [0] * (len(self._class_names) - len(frames))  # never learned yet
            return tuple(map(ClassCount, self._class_names, frames))

    def forget_class(self, class_name: str) -> None:
        """Be as if the class had never been named, see Network.forget_class.

        Frames that wait with its label lose it. Raises LabelError for a class that is not known.
        """
        with self._lock:
            index = self._known_class(class_name)
            if index < self._network.classes:
                self._network.forget_class(index)
            self._rename(class_name, None)
            del self._class_names[index]

    def rename_class(self, old: str, new: str) -> None:
        """Raises LabelError for a class that is not known, for what cannot be a name, and for a
        name that another class has: two classes do not become one."""
        check_name(new, 'new_class_id')
        with self._lock:
            index = self._known_class(old)
            if new in self._class_names:
                raise LabelError(
                    f'new_class_id: {new!r} is a class already; accepted: a name that no class has'
                )
            self._rename(old, new)
            self._class_names[index] = new

    def drop_labels(self) -> None:
        """No frame follows that labels could name: those that have named none are unmatched."""
        with self._lock:
            self._labels.clear()

    def learn_due(self, now_s: float) -> int:
        """Learn the frames that wait no longer, in the order of their stamps; returns how many."""
        with self._lock:
            due = 0
            for frame in self._waiting:
                # A clock that was set back must not make frames wait for ever.
                if frame.since_s <= now_s < self._due_s(frame):
                    break
                due += 1
            self._learn_first(due, now_s)
            return due

    def learn_waiting(self, now_s: float) -> None:
        """Learn all frames that wait: none follows."""
        with self._lock:
            self._learn_first(len(self._waiting), now_s)

    def next_due_s(self) -> float | None:
        """When the oldest frame stops waiting if no other comes; None: no frame waits."""
        with self._lock:
            return self._due_s(self._waiting[0]) if self._waiting else None

    def status(self, now_s: float) -> OnlineStatus:
        with self._lock:
            return OnlineStatus(
                self._timesteps,
                self.totals,
                self._activity.summary(now_s),
                sum(self._hits) / len(self._hits) if self._hits else math.nan,
                len(self._hits),
                self._network.recruited_neurons,
                self._network.labelled_neurons,
                self._trials.summary(),
                self._costs.summary(),
            )

    # ---------------------------------------------------------------------------------------

    def _infer(
        self,
        presented: np.ndarray | SpikeTrain,
        now_s: float,
        record: Callable[[float, OperationCounts, float, float], None],
    ) -> tuple[Classification, tuple[float, float]]:
        """The result of an object, and its evidence and novelty. record: what it took."""
        timesteps = self._timesteps
        began_s = time.perf_counter()
        response = self._network.infer(presented, timesteps.inference, self._margins.inference)
        inference_s = time.perf_counter() - began_s
        network_j = self._spend(response.counts)
        self._step_j = network_j / response.timesteps
        energy_j = self._encoder_energy_j + network_j
        self._energy_j += self._encoder_energy_j
        self._trials.earn(energy_j, now_s)
        record(now_s, response.counts, energy_j, inference_s)
        self._costs.add(timesteps.inference, energy_j, inference_s)
        predicted = response.predicted
        confidence = self._confidence.of(response.evidence, response.novelty)
        result = Classification(
            None if predicted is None else self._class_names[predicted],
            math.nan if predicted is None else float(response.scores[predicted]),
            confidence,
            not confidence >= self.settings.unknown_threshold,
            tuple(self._class_names[: response.scores.size]),
            response.scores,
            response.timesteps,
            timesteps.learning,
            energy_j,
            None,
        )
        return result, (response.evidence, response.novelty)

    def _classify_further(self, sample: Sample, now_s: float) -> Classification:
        """The result of another object in a frame."""
        presented = _presented(sample, self._timesteps.inference)
        if _is_empty(presented):
            return self._nothing()
        self._counts['further'] += 1
        return self._infer(presented, now_s, self._activity.further_inference)[0]

    def _pass_over(self, now_s: float) -> Classification:
        """The result of an empty frame, which costs nothing."""
        self._counts['classified'] += 1
        self._counts['empty'] += 1
        self._activity.inference(now_s, OperationCounts(), 0.0, math.nan)
        return self._nothing()

    def _nothing(self) -> Classification:
        classes = self._network.classes
        return Classification(
            None,
            math.nan,
            math.nan,
            False,
            tuple(self._class_names[:classes]),
            np.zeros(classes, np.float32),
            0,
            False,
            0.0,
            None,
            empty=True,
        )

    def _early_label(self, frame: _Waiting) -> str | None:
        """The label that has come before its frame."""
        label = self._labels.label_of(frame) if frame.stamp_ns else None
        if self._label_for_next is not None:
            label, self._label_for_next = self._label_for_next, None
        return label

    def _due_s(self, frame: _Waiting) -> float:
        """When a frame is learned if no other comes, on the caller's clock."""
        wait_s = self.settings.label_wait_s
        if frame.stamp_ns == 0:
            return frame.since_s + (wait_s if frame.label is None else 0.0)
        if self._newest_ns < frame.stamp_ns + round(wait_s * 1e9):
            return frame.since_s + wait_s + PAUSE_S
        # Frames may come in a burst, and their labels just after it.
        return frame.since_s + (wait_s / 2 if frame.label is None else 0.0)

    def _learn_first(self, count: int, now_s: float) -> None:
        """Learn so many of the frames that wait, the oldest."""
        for _ in range(count):
            self._learn(self._waiting.popleft(), now_s)

    def _learn(self, frame: _Waiting, now_s: float) -> None:
        sample = frame.sample
        if frame.asked and frame.label is None:
            self._open.append(replace(frame))  # to be learned once more when the answer comes
        frame.sample = None
        mistaken = False
        if frame.label is not None:
            mistaken = self._judge(frame, frame.label)
            if sample is not None:
                self._try_another(frame, sample, mistaken, now_s)
        elif frame.stamp_ns and not frame.asked:
            self._unlabelled.append(frame)
        # Where not all can be learned, there is most to learn from a mistake, and from an answer.
        if sample is None or not self._share.takes(
            self._timesteps.learning_share, preferred=mistaken or frame.asked
        ):
            return
        label = None if frame.label is None else self._class_index(frame.label)
        timesteps = self._timesteps.training
        response = self._network.learn(
            _presented(sample, timesteps), timesteps, label, self._margins.training
        )
        if label is not None:
            self._confidence.pretend(response.evidence, response.novelty)
        self._counts['learned'] += 1
        self._changes += 1
        energy_j = self._spend(response.counts)
        self._learning_energy_j += energy_j
        self._trials.earn(energy_j, now_s)
        self._activity.learning(now_s, response.counts, energy_j)

    def _judge(self, frame: _Waiting, label: str) -> bool:
        """Count what a frame was predicted as; whether that was a mistake."""
        right = frame.predicted == label
        self._hits.append(right)
        self._confidence.learn(*frame.grounds, right)
        return not right

    def _try_another(self, frame: _Waiting, sample: Sample, mistaken: bool, now_s: float) -> None:
        """Classify a labelled frame at another T as well, if trials have the energy for that."""
        due = self._trials.due(frame.timesteps, self._step_j)
        if due is None:
            return
        timesteps, margin = due
        began_s = time.perf_counter()
        response = self._network.infer(_presented(sample, timesteps), timesteps, margin)
        inference_s = time.perf_counter() - began_s
        energy_j = self._spend(response.counts)
        self._costs.add(timesteps, self._encoder_energy_j + energy_j, inference_s)
        self._trial_energy_j += energy_j
        predicted = response.predicted
        wrong = predicted is None or self._class_names[predicted] != frame.label
        self._trials.count(timesteps, frame.timesteps, energy_j, wrong, mistaken)
        self._activity.trial(now_s, response.counts, energy_j)

    def _known_class(self, name: str) -> int:
        """Its index; LabelError if there is none."""
        if name not in self._class_names:
            known = [repr(each) for each in self._class_names[:NAMED]] or ['none yet']
            more = len(self._class_names) - NAMED
            raise LabelError(
                f'class_id: {name!r}; accepted: a class that is known ({", ".join(known)}'
                f'{f" and {more} more" if more > 0 else ""})'
            )
        return self._class_names.index(name)

    def _rename(self, old: str, new: str | None) -> None:
        """Of frames and labels that are kept or will come; None: the class is forgotten."""
        for frame in (*self._waiting, *self._unlabelled, *self._open):
            frame.label = new if frame.label == old else frame.label
            frame.predicted = new if frame.predicted == old else frame.predicted
        if self._label_for_next == old:
            self._label_for_next = new
        self._labels.rename(old, new)
        if new is not None:
            self._became.pop(new, None)
        self._became[old] = self._newest_ns, new
        self._changes += 1

    def _present_name(self, name: str, stamp_ns: int) -> str | None:
        """Of a class that a label names, which may be of a frame from before it was renamed; None:
        it was forgotten."""
        while name in self._became and 0 < stamp_ns <= self._became[name][0]:
            _, became = self._became[name]
            if became is None:
                return None
            name = became
        return name

    def _class_index(self, name: str) -> int:
        if name not in self._class_names:
            if len(self._class_names) == MAX_CLASSES:
                raise LabelError(
                    f'class_id: {name!r} would be class number {MAX_CLASSES + 1}; '
                    f'accepted: at most {MAX_CLASSES} classes'
                )
            self._class_names.append(name)
        return self._class_names.index(name)

    def _spend(self, counts: OperationCounts) -> float:
        """Energy of a presentation, J."""
        energy_j = estimate_energy_j(counts, self._energy_table)
        self._energy_j += energy_j
        return energy_j


def _presented(sample: Sample, timesteps: int) -> np.ndarray | SpikeTrain:
    return sample if isinstance(sample, np.ndarray) else sample.presented(timesteps)


def _is_empty(presented: np.ndarray | SpikeTrain) -> bool:
    """Whether nothing stood out in a frame: all its pixels are 0, or it has no spike."""
    if isinstance(presented, np.ndarray):
        return not presented.any()
    return len(presented.steps) == 0


def _names(network: Network, known: Sequence[str]) -> list[str]:
    """A name for each class, also of a network that was trained on bare class indices."""
    return [*known, *(f'class {index}' for index in range(len(known), network.classes))]
