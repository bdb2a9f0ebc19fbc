"""Watches a running system without touching it: what `topspark watch` and `topspark demo` show."""

from __future__ import annotations

import math
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.event_handler import QoSRequestedIncompatibleQoSInfo, SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_policy_name_from_kind
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import BatteryState, Image

from topspark_ros import msg
from topspark_ros.control.decision import Reason
from topspark_ros.nodes import conversions, qos
from topspark_ros.perception.messages import camera_image, label_from
from topspark_ros.perception.teaching import MAX_KEPT, LabelBook, named_by
from topspark_ros.replay.results import Decided

HARDWARE_ID = 'topspark'  # of our nodes in /diagnostics
KEPT_DECISIONS = 5
SHOWN_FRAMES = 8

Message = TypeVar('Message')


@dataclass
class Topic:
    """A topic that the observer listens to.

    periodic: it comes again and again, so that silence means something.
    received_s: when last; NaN: never.
    incompatible: QoS policy in which a publisher does not fit; empty: none.
    """

    name: str
    periodic: bool
    received_s: float = math.nan
    publishers: int = 0
    incompatible: str = ''


@dataclass(frozen=True)
class Health:
    """What a node said last on /diagnostics.

    level: 0 is well, 1 a warning, 2 an error.
    """

    received_s: float
    level: int
    message: str
    values: dict[str, str]


@dataclass
class Snapshot:
    """The last messages, None before the first. Times in s on the observer's clock.

    elsewhere: other namespaces that a learner is in, while nothing was received.
    health: by name of the node, without its namespace.
    """

    now_s: float = 0.0
    topics: list[Topic] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    learner: msg.LearnerStatus | None = None
    controller: msg.ControllerStatus | None = None
    battery: BatteryState | None = None
    decisions: deque[msg.TimestepDecision] = field(
        default_factory=lambda: deque(maxlen=KEPT_DECISIONS)
    )
    health: dict[str, Health] = field(default_factory=dict)

    @property
    def received(self) -> bool:
        """Whether there is anything of perception to show."""
        return self.learner is not None or self.controller is not None

    @property
    def power_w(self) -> float:
        """Drawn by perception, W; NaN: unknown."""
        if self.controller is not None and not math.isnan(self.controller.power):
            return self.controller.power
        return math.nan if self.learner is None else conversions.drawn_power_w(self.learner)


class Onlooker(Node):
    """A node of a command, beside those of a robot. Handles messages only while it spins."""

    def __init__(self, namespace: str = ''):
        # The underscore hides it from lists of nodes.
        super().__init__(
            f'_topspark_observer_{os.getpid()}',
            namespace=namespace,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._began_s = time.monotonic()
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)

    @property
    def elapsed_s(self) -> float:
        """Time on the onlooker's clock, s."""
        return time.monotonic() - self._began_s

    def spin(self, duration_s: float) -> None:
        """Handle what comes within this time."""
        end_s = self.elapsed_s + duration_s
        while (left_s := end_s - self.elapsed_s) > 0.0:
            self._executor.spin_once(left_s)

    def learners_elsewhere(self) -> list[str]:
        """Other namespaces that a learner is in."""
        own = self.resolve_topic_name('snn_learner/status')
        return [
            name.removesuffix('/snn_learner/status') or '/'
            for name, types in self.get_topic_names_and_types()
            if 'topspark_ros/msg/LearnerStatus' in types
            and name != own
            and self.count_publishers(name)
        ]

    def close(self) -> None:
        self._executor.shutdown()
        self.destroy_node()


class Observer(Onlooker):
    """Subscribes to what learner, controller, battery and all our nodes say of themselves."""

    def __init__(self, namespace: str = '', battery_topic: str = 'battery_state'):
        super().__init__(namespace)
        self._snapshot = Snapshot()
        self._listen(msg.LearnerStatus, 'snn_learner/status', self._on_learner, qos.STATUS)
        self._listen(
            msg.ControllerStatus, 'timestep_controller/status', self._on_controller, qos.STATUS
        )
        self._listen(
            msg.TimestepDecision,
            'timestep_decision',
            self._on_decision,
            qos.DECISIONS,
            periodic=False,
        )
        self._listen(BatteryState, battery_topic, self._on_battery, qos.BATTERY)
        self._listen(DiagnosticArray, '/diagnostics', self._on_diagnostics, qos.STATUS)

    def _listen(
        self,
        message_type: type[Message],
        name: str,
        callback: Callable[[Message], None],
        profile: QoSProfile,
        *,
        periodic: bool = True,
    ) -> None:
        topic = Topic(self.resolve_topic_name(name), periodic)
        self._snapshot.topics.append(topic)

        def on_message(message: Message) -> None:
            topic.received_s = self.elapsed_s
            callback(message)

        def rejected(event: QoSRequestedIncompatibleQoSInfo) -> None:
            topic.incompatible = qos_policy_name_from_kind(event.last_policy_kind)

        self.create_subscription(
            message_type,
            name,
            on_message,
            profile,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=rejected),
        )

    def snapshot(self) -> Snapshot:
        """What is known now; always the same object, brought up to date."""
        snapshot = self._snapshot
        snapshot.now_s = self.elapsed_s
        for topic in snapshot.topics:
            topic.publishers = self.count_publishers(topic.name)
        snapshot.elsewhere = [] if snapshot.received else self.learners_elsewhere()
        return snapshot

    def _on_learner(self, message: msg.LearnerStatus) -> None:
        self._snapshot.learner = message

    def _on_controller(self, message: msg.ControllerStatus) -> None:
        self._snapshot.controller = message

    def _on_decision(self, message: msg.TimestepDecision) -> None:
        self._snapshot.decisions.append(message)

    def _on_battery(self, message: BatteryState) -> None:
        self._snapshot.battery = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            namespace, _, name = f'/{status.name}'.rpartition('/')
            if status.hardware_id == HARDWARE_ID and namespace == self.get_namespace().rstrip('/'):
                self._snapshot.health[name] = Health(
                    self.elapsed_s,
                    int.from_bytes(status.level, 'big'),
                    status.message,
                    {pair.key: pair.value for pair in status.values},
                )


@dataclass(frozen=True)
class Result:
    """One classified frame."""

    time_s: float
    timesteps: int
    latency_s: float
    energy_j: float


@dataclass
class History:
    """Time series; times in s on the observer's clock."""

    results: list[Result] = field(default_factory=list)
    accuracy: list[tuple[float, float]] = field(default_factory=list)  # prequential, windowed
    decisions: list[Decided] = field(default_factory=list)
    applied: list[tuple[float, int]] = field(default_factory=list)  # decision sequence
    power_w: list[tuple[float, float]] = field(default_factory=list)  # estimated
    limit_w: list[tuple[float, float]] = field(default_factory=list)  # NaN: unlimited
    state_of_charge: list[tuple[float, float]] = field(default_factory=list)
    labelled: int = 0
    correct: int = 0


@dataclass(eq=False)
class _Classified:
    begin_ns: int
    end_ns: int
    class_name: str
    label: str | None = None


@dataclass(frozen=True)
class ShownFrame:
    """A frame of the camera, and what became of it.

    image: (height, width, 3) uint8, RGB.
    class_name: what it was taken for, or the window of events that it lies in; None: it was not
        classified.
    label: what it shows; None: nobody said.
    """

    time_s: float
    image: np.ndarray
    class_name: str | None
    label: str | None


class Recorder(Observer):
    """Keeps the whole history, with every classification and a few of the camera's frames.

    frames: how many of the camera are expected.

    Accuracy is counted here anew, from classifications and labels alone: each frame's
    classification was published before its label could have been learned.
    """

    def __init__(self, namespace: str, accuracy_window: int, frames: int):
        super().__init__(namespace)
        self.history = History()
        self._classified: list[_Classified] = []
        self._kept_every = max(1, frames // (SHOWN_FRAMES + 1))
        self._frames = 0
        self._kept: list[tuple[float, bytes]] = []
        self._labels = LabelBook()
        self._unlabelled: deque[_Classified] = deque(maxlen=MAX_KEPT)
        self._hits: deque[bool] = deque(maxlen=accuracy_window)
        self.create_subscription(
            msg.Classification, 'classification', self._on_classification, qos.RESULT
        )
        self.create_subscription(msg.Label, 'label', self._on_label, qos.LABEL)

    def shown(self) -> list[ShownFrame]:
        """Up to SHOWN_FRAMES frames, evenly over the run."""
        frames = []
        for time_s, serialised in self._kept[:SHOWN_FRAMES]:
            message = deserialize_message(serialised, Image)
            time_ns = conversions.stamp_ns(message.header.stamp)
            class_name, label = next(
                (
                    (each.class_name, each.label)
                    for each in self._classified
                    if each.begin_ns <= time_ns <= each.end_ns
                ),
                (None, None),
            )
            frames.append(ShownFrame(time_s, camera_image(message, 0).rgb(), class_name, label))
        return frames

    def _on_image(self, serialised: bytes) -> None:
        self._frames += 1
        if self._frames % self._kept_every == 0:
            self._kept.append((self.elapsed_s, serialised))

    def _on_classification(self, message: msg.Classification) -> None:
        if not self._classified:  # not before, or a camera that waits for the learner would start
            # As bytes: most frames are only counted.
            self.create_subscription(Image, 'image', self._on_image, qos.sensor(1), raw=True)
        self.history.results.append(
            Result(self.elapsed_s, message.timesteps, message.latency, message.energy)
        )
        classified = _Classified(
            conversions.stamp_ns(message.begin), conversions.stamp_ns(message.end), message.class_id
        )
        self._classified.append(classified)
        label = self._labels.label_of(classified)
        if label is None:
            self._unlabelled.append(classified)
        else:
            self._score(classified, label)

    def _on_label(self, message: msg.Label) -> None:
        label = label_from(message)
        named = named_by(label, self._unlabelled)
        for classified in named:
            self._unlabelled.remove(classified)
            self._score(classified, label.class_name)
        self._labels.add(label, used=bool(named))

    def _score(self, classified: _Classified, label: str) -> None:
        classified.label = label
        hit = classified.class_name == label
        self._hits.append(hit)
        self.history.labelled += 1
        self.history.correct += hit
        self.history.accuracy.append((self.elapsed_s, sum(self._hits) / len(self._hits)))

    def _on_learner(self, message: msg.LearnerStatus) -> None:
        super()._on_learner(message)
        self.history.power_w.append((self.elapsed_s, message.power_estimated))
        self.history.applied.append((self.elapsed_s, message.decision_sequence))

    def _on_controller(self, message: msg.ControllerStatus) -> None:
        super()._on_controller(message)
        self.history.limit_w.append((self.elapsed_s, message.power_limit))

    def _on_decision(self, message: msg.TimestepDecision) -> None:
        super()._on_decision(message)
        self.history.decisions.append(
            Decided(
                self.elapsed_s,
                message.sequence,
                message.training_timesteps,
                message.inference_timesteps,
                message.learning_share,
                message.frame_share,
                Reason(message.reason).name,
                message.detail,
            )
        )

    def _on_battery(self, message: BatteryState) -> None:
        super()._on_battery(message)
        if not math.isnan(message.percentage):
            self.history.state_of_charge.append((self.elapsed_s, message.percentage))


Kind = TypeVar('Kind', bound=Onlooker)


@contextmanager
def observing(observer: Callable[[], Kind]) -> Iterator[Kind]:
    """ROS, and an onlooker in it, until the end of the block. SIGTERM ends it as Ctrl-C does."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        node = observer()
        try:
            yield node
        finally:
            node.close()
    finally:
        rclpy.shutdown()
