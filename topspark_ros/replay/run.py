"""One run over a bag: the pipeline of the nodes on the clock of the recording."""

from __future__ import annotations

import copy
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from topspark_ros.engine import (
    Checkpoint,
    EngineError,
    Network,
    NetworkConfig,
    create_network,
    load_checkpoint,
    save_checkpoint,
)
from topspark_ros.errors import TopsparkError
from topspark_ros.methodology.neurobench import (
    NeuroBenchError,
    NeuroBenchMetrics,
    measure_neurobench,
)
from topspark_ros.methodology.profile import load_profile
from topspark_ros.perception.assembly import assemble
from topspark_ros.perception.messages import Message, MessageError, label_from, stamp_ns
from topspark_ros.perception.online import OnlineStatus, Sample
from topspark_ros.perception.samples import ImageSamples, push_packet
from topspark_ros.perception.steering import DecisionError, profile_margins
from topspark_ros.perception.teaching import LabelError, TimedLabel
from topspark_ros.replay.controlling import ReplayedController
from topspark_ros.replay.jumps import StampClock, gaps_s, recorded_jumps
from topspark_ros.replay.labels import read_labels
from topspark_ros.replay.periods import Periods
from topspark_ros.replay.results import FRAMES, NONE, STATUS, Evaluation
from topspark_ros.replay.settings import EvaluationError, EvaluationSettings, described
from topspark_ros.replay.topics import LABEL, find_topics
from topspark_ros.streams.bags import QUIET_NS, Bag, BagError, Recorded, Topic
from topspark_ros.streams.events import EventError, EventStream
from topspark_ros.streams.images import ImageError
from topspark_ros.streams.share import FrameShare

Progress = Callable[[float], object]  # of the share that is done, 0..1
Handler = Callable[[float, str, Message], None]  # time of the bag, s, and topic
QUIET_S = QUIET_NS * 1e-9
MEASURED_FRAMES = 100  # the last ones, of NeuroBench's metrics


class _Frame(NamedTuple):
    """A row of FRAMES, with names of classes in the place of their indices."""

    time_s: float
    stamp_ns: int
    taken: bool = False
    label: str | None = None
    predicted: str | None = None
    score: float = 0.0
    confidence: float = math.nan
    unknown: bool = False
    timesteps: int = 0
    learning: bool = False
    energy_j: float = 0.0


class Run:
    """One run over a bag; once made, its network is compiled and every file but the bag is read.

    Times are those of the bag, s since its beginning.

    progress: as of `evaluate`.

    Raises what `evaluate` does.
    """

    def __init__(self, bag: Bag, settings: EvaluationSettings, progress: Progress):
        self._bag, self._settings, self._progress = bag, settings, progress
        self._topics = find_topics(bag, settings.topics, settings.kind)
        p = replace(settings.learner, input=self._topics.kind)
        self._learner_parameters = p
        length_s = (bag.end_ns - bag.begin_ns) * 1e-9
        if settings.start_s > length_s:
            raise EvaluationError(
                f'{bag.path}: start is {settings.start_s:g} s, accepted is 0 to {length_s:g}'
            )
        self._begin_ns = bag.begin_ns + round(settings.start_s * 1e9)
        self._end_ns = bag.end_ns + 1
        if settings.duration_s <= length_s:
            self._end_ns = min(self._end_ns, self._begin_ns + round(settings.duration_s * 1e9))
        # Of the last message: time on the recording's clock, and time of the bag.
        self._recorded_ns = self._published_ns = self._begin_ns
        self._received_s = self._time_s(self._begin_ns)

        encoder = p.read_encoder()
        config, filters = p.network_config(encoder), p.read_filters()
        network, class_names, confidence = (
            Checkpoint(create_network(config, filters), ())
            if settings.weights is None
            else load_checkpoint(settings.weights, config)
        )
        margins = profile_margins(load_profile(p.profile_file)) if p.profile_file else {}
        self._steering = assemble(p, network, class_names, margins, encoder, confidence)
        self._learner = self._steering.learner
        self._share = FrameShare()
        self._images = ImageSamples(p.view(encoder))
        if self._topics.kind == 'events':
            self._events = EventStream(p.event_settings())
        self._labels = iter(() if settings.labels is None else read_labels(settings.labels))
        self._next_label = next(self._labels, None)

        self._frames: list[_Frame] = []
        self._rows: dict[int, int] = {}  # of the frames, by stamp
        self._samples: deque[Sample] = deque(maxlen=MEASURED_FRAMES)
        self._status: list[tuple] = []
        self._counts: Counter[str] = Counter()
        self._rejected: dict[tuple[str, str], tuple[str, int]] = {}  # by topic and field
        c = settings.controller
        self._jumps = recorded_jumps(bag, self._begin_ns, self._end_ns)
        self._stamp_clocks: dict[str, StampClock] = {}  # by topic
        self._controller = (
            None if c is None else ReplayedController(c, self._steering, self._received_s)
        )
        self._statuses_due, self._decisions_due = (
            Periods(self._received_s, period_s)
            for period_s in (p.status_period, math.inf if c is None else c.control_period)
        )

    def run(self) -> Evaluation:
        """Run over the bag, once only; `took_s` of the result is NaN."""
        topics = self._topics
        handlers: dict[str, Handler] = {
            topics.input.name: self._on_packet if topics.kind == 'events' else self._on_image
        }
        if topics.label is not None and self._settings.labels is None:
            handlers[topics.label.name] = (
                self._on_label if topics.label.type == LABEL else self._on_plain_label
            )
        if self._controller is not None:
            if topics.battery is not None:
                handlers[topics.battery.name] = partial(self._on_battery, self._controller)
            if topics.budget is not None:
                on_budget = partial(self._on_budget, self._controller)
                self._take_latched(topics.budget, on_budget)
                handlers[topics.budget.name] = on_budget
        wanted = [
            topic
            for topic in (topics.input, topics.label, topics.battery, topics.budget)
            if topic is not None and topic.name in handlers
        ]
        for recorded in self._bag.messages(wanted, self._begin_ns, self._end_ns):
            now_s = self._time_s(recorded.time_ns)
            self._advance(now_s)
            self._recorded_ns = self._published_ns = recorded.recorded_ns
            self._received_s = now_s
            self._on_message(recorded, handlers[recorded.topic], now_s)
            self._learner.learn_due(now_s)
            if recorded.topic == topics.input.name:
                self._counts['messages'] += 1
                self._progress(
                    (recorded.time_ns - self._begin_ns) / (self._end_ns - self._begin_ns)
                )
        self._finish(self._time_s(self._end_ns - 1))
        return self._evaluation()

    # The clock -----------------------------------------------------------------------------

    def _time_s(self, time_ns: int) -> float:
        return (time_ns - self._bag.begin_ns) * 1e-9

    def _advance(self, until_s: float) -> None:
        """Do what is due by then, in order.

        A gap without messages may be a clock that has jumped by years. In a long gap most periods
        are skipped, in strides that double; periods in which the controller would make a new
        decision are not, and neither are the last ones.
        """
        self._do_due(min(until_s, self._received_s + QUIET_S + self._statuses_due.period_s))
        while (waits_until_s := self._learner.next_due_s()) is not None and waits_until_s < until_s:
            self._do_due(waits_until_s)
        stride_s, min_s = QUIET_S, min(self._statuses_due.period_s, self._decisions_due.period_s)
        while (here_s := min(self._statuses_due.due_s, self._decisions_due.due_s)) <= until_s:
            there_s = min(here_s + stride_s, until_s)
            statuses, decisions = copy.copy(self._statuses_due), copy.copy(self._decisions_due)
            # The last status follows a decision.
            statuses.skip_to(there_s - min_s)
            decisions.skip_to(there_s - min_s)
            if (
                self._controller is not None
                and stride_s >= min_s
                and self._controller.would_decide(statuses, decisions, there_s)
            ):
                stride_s /= 2
                continue
            self._statuses_due, self._decisions_due = statuses, decisions
            self._do_due(there_s)
            stride_s *= 2

    def _do_due(self, until_s: float) -> None:
        """Do all that is due by then, in order."""
        while True:
            due_s = self._learner.next_due_s()
            learning_s = math.inf if due_s is None else due_s
            now_s = min(learning_s, self._statuses_due.due_s, self._decisions_due.due_s)
            if now_s > until_s:
                return
            if learning_s == now_s:
                self._learner.learn_due(now_s)
            elif self._statuses_due.due_s == now_s:
                self._statuses_due.go_on()
                self._report(now_s)
            elif self._controller is not None:
                self._decisions_due.go_on()
                self._decide(self._controller, now_s)

    def _finish(self, end_s: float) -> None:
        """Learn the frames that still wait, and note a last status."""
        self._advance(end_s)
        while (due_s := self._learner.next_due_s()) is not None:
            end_s = max(end_s, due_s)
            self._learner.learn_due(due_s)
        if not self._status or self._status[-1][0] < end_s:
            self._note_status(end_s, self._learner.status(end_s))
        self._take_labels(2**63)
        self._learner.drop_labels()

    # Messages ------------------------------------------------------------------------------

    def _on_message(self, recorded: Recorded, handle: Handler, now_s: float) -> None:
        try:
            message = self._bag.deserialize(recorded)
        except BagError as error:
            self._reject(recorded.topic, error)
            return
        if hasattr(message, 'header'):
            clock = self._stamp_clocks.setdefault(recorded.topic, StampClock(recorded.topic))
            jump = clock.jump(stamp_ns(message.header.stamp), recorded, now_s)
            self._jumps += [] if jump is None else [jump]
        handle(now_s, recorded.topic, message)

    def _reject(self, topic: str, error: TopsparkError | str) -> None:
        """Count a message that is rejected; its line is reported once for each field."""
        self._counts['rejected messages'] += 1
        kind = topic, str(error).split()[0]
        line, times = self._rejected.get(kind, (f'{topic}: {error}', 0))
        self._rejected[kind] = line, times + 1

    def _on_image(self, now_s: float, topic: str, message: Message) -> None:
        stamp = stamp_ns(message.header.stamp)
        self._counts['received'] += 1
        if not self._is_taken(now_s, stamp):
            return
        try:
            sights = self._images.take(message)
        except ImageError as error:
            self._counts['rejected frames'] += 1
            self._reject(topic, error)
            return
        self._classify(now_s, stamp, [sight.sample for sight in sights])

    def _on_packet(self, now_s: float, topic: str, message: Message) -> None:
        try:
            windows = push_packet(self._events, message, self._recorded_ns)
        except EventError as error:
            self._reject(topic, error)
            return
        for seen in windows:
            self._counts['received'] += 1
            if self._is_taken(now_s, seen.stamp_ns):
                self._classify(now_s, seen.stamp_ns, seen.views(), seen.begin_ns, seen.end_ns)

    def _is_taken(self, now_s: float, stamp: int) -> bool:
        """Whether a frame belongs to the share that is processed."""
        taken = self._share.takes(self._steering.decided.frame_share)
        if not taken:
            self._counts['skipped'] += 1
            self._frames.append(_Frame(now_s, stamp))
        return taken

    def _classify(
        self, now_s: float, stamp: int, samples: Sequence[Sample], begin: int = 0, end: int = 0
    ) -> None:
        self._take_labels(stamp)
        result = self._learner.classify(stamp, samples[0], now_s, begin, end, samples[1:])
        if not result.empty:
            self._samples.append(samples[0])
        self._rows[stamp] = len(self._frames)
        self._frames.append(
            _Frame(
                now_s,
                stamp,
                True,
                result.label,
                result.class_name,
                result.score,
                result.confidence,
                result.unknown,
                result.timesteps,
                result.learning,
                result.frame_energy_j,
            )
        )

    def _take_labels(self, until: int) -> None:
        """Take labels from the table up to this stamp, ns."""
        while self._next_label is not None and self._next_label.stamp_ns <= until:
            self._teach(str(self._settings.labels), self._next_label)
            self._next_label = next(self._labels, None)

    def _on_label(self, now_s: float, topic: str, message: Message) -> None:
        self._teach(topic, label_from(message))

    def _on_plain_label(self, now_s: float, topic: str, message: Message) -> None:
        self._teach(topic, TimedLabel(0, message.data))

    def _teach(self, source: str, label: TimedLabel) -> None:
        try:
            named = self._learner.add_label(*label)
        except LabelError as error:
            self._reject(source, error)
            return
        for frame in named:
            row = self._rows[frame]
            self._frames[row] = self._frames[row]._replace(label=label.class_name)

    # The controller ------------------------------------------------------------------------

    def _take_latched(self, topic: Topic, handle: Handler) -> None:
        """Take what was published before the beginning: it is latched, so still in force."""
        for recorded in self._bag.messages([topic], None, self._begin_ns):
            self._published_ns = recorded.recorded_ns
            self._on_message(recorded, handle, self._time_s(self._begin_ns))

    def _on_battery(
        self, controller: ReplayedController, now_s: float, topic: str, message: Message
    ) -> None:
        self._counts['battery states'] += 1
        rejected = controller.on_battery(now_s, message)
        if rejected:
            self._reject(topic, rejected)

    def _on_budget(
        self, controller: ReplayedController, now_s: float, topic: str, message: Message
    ) -> None:
        self._counts['budgets'] += 1
        try:
            controller.on_budget(now_s, message, self._recorded_ns, self._published_ns)
        except MessageError as error:
            self._reject(topic, error)
            return
        self._decide(controller, now_s)  # a new limit does not wait for the next period

    def _decide(self, controller: ReplayedController, now_s: float) -> None:
        try:
            controller.decide(now_s)
        except DecisionError as error:
            self._reject('timestep_decision', error)

    def _report(self, now_s: float) -> None:
        """Note the learner's status, and hand it to the controller."""
        status = self._learner.status(now_s)
        if self._controller is not None:
            self._controller.on_status(now_s, status, self._counts['skipped'])
        self._note_status(now_s, status)

    def _note_status(self, now_s: float, status: OnlineStatus) -> None:
        power_limit_w = mission_power_w = state_of_charge = math.nan
        if self._controller is not None:
            known = self._controller.status(now_s)
            power_limit_w = known.limits.strictest_power_w
            mission_power_w = known.limits.mission_power_w
            state_of_charge = known.state_of_charge
        timesteps, activity = status.timesteps, status.activity
        self._status.append(
            (
                now_s,
                timesteps.training,
                timesteps.inference,
                timesteps.learning_share,
                timesteps.frame_share,
                activity.frame_rate_hz,
                activity.power_w,
                status.totals.energy_j,
                status.accuracy,
                status.recruited_neurons,
                power_limit_w,
                mission_power_w,
                state_of_charge,
            )
        )

    # The result ----------------------------------------------------------------------------

    def _evaluation(self) -> Evaluation:
        settings, totals = self._settings, self._learner.totals
        learned = self._learner.snapshot()
        network, class_names, _ = learned
        if settings.save_weights is not None:
            save_checkpoint(settings.save_weights, *learned)
        index = {None: NONE} | {name: number for number, name in enumerate(class_names)}
        frames = [
            (*frame[:3], index[frame.label], index[frame.predicted], *frame[5:])
            for frame in self._frames
        ]
        counts = self._counts
        decisions = () if self._controller is None else tuple(self._controller.decisions)
        return Evaluation(
            name=settings.name,
            settings=described(settings, self._bag.path, self._topics),
            class_names=class_names,
            frames=np.array(frames, FRAMES),
            status=np.array(self._status, STATUS),
            decisions=decisions,
            receptive_fields=_receptive_fields(network),
            neurobench=_neurobench(network, self._samples, self._status[-1][2]),
            lost=(
                *self._bag.lost,
                *(
                    line if times == 1 else f'{line} (rejected {times} times)'
                    for line, times in self._rejected.values()
                ),
                *self._event_faults(),
            ),
            jumps=tuple(self._jumps),
            counts={
                'messages': counts['messages'],
                'frames': counts['received'],
                'classified': totals.classified,
                'skipped': counts['skipped'],
                'rejected frames': counts['rejected frames'],
                'learned': totals.learned,
                'frames without an object': totals.empty,
                'further objects': totals.further_objects,
                'labels': totals.labels,
                'labels of no frame': totals.labels_unmatched,
                'labels too late': totals.labels_late,
                'questions': totals.questions,
                'answers': totals.answers,
                'battery states': counts['battery states'],
                'budgets': counts['budgets'],
                'decisions': len(decisions),
                'rejected messages': counts['rejected messages'],
            }
            | self._event_counts(),
            bag_s=(
                (self._end_ns - 1 - self._begin_ns) * 1e-9 - float(gaps_s(self._jumps)[:, 1].sum())
            ),
            took_s=math.nan,
        )

    def _event_faults(self) -> tuple[str, ...]:
        if self._topics.kind != 'events':
            return ()
        return tuple(
            f'{self._topics.input.name}: {fault}' for fault in self._events.counts.faults()
        )

    def _event_counts(self) -> dict[str, int]:
        if self._topics.kind != 'events':
            return {}
        return {
            f'events: {name.replace("_", " ")}': count
            for name, count in self._events.counts._asdict().items()
        }


def _receptive_fields(network: Network) -> np.ndarray:
    """Of the neurons in use, (neurons, inputs) float32, those with most experience first.

    None where they see features of an encoder: these are no picture.
    """
    if isinstance(network.config, NetworkConfig) and network.config.encoder:
        return network.receptive_fields()[:0]
    return network.receptive_fields()[np.argsort(-network.experience(), kind='stable')]


def _neurobench(
    network: Network, samples: Iterable[Sample], timesteps: int
) -> NeuroBenchMetrics | None:
    """timesteps: T of inference."""
    shown = [
        each if isinstance(each, np.ndarray) else each.presented(timesteps) for each in samples
    ]
    pixels = [each for each in shown if isinstance(each, np.ndarray)]  # others are spikes
    try:
        return measure_neurobench(network, np.array(pixels), timesteps)
    except (NeuroBenchError, EngineError):
        return None
