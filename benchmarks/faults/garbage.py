"""Garbage of every message type on every topic that a node takes: fields, and bytes."""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from rcl_interfaces.srv import GetParameters
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.serialization import serialize_message
from std_srvs.srv import Trigger

from benchmarks.processes import NodeProcess, Robot, peak_bytes
from topspark_ros.engine import load_checkpoint
from topspark_ros.nodes import qos
from topspark_ros.streams.panels import CameraPose, CircularPath, Gallery, Panel, save_gallery

from . import Extent, Finding, Show, real
from .messages import bytes_that_are_none, load_type, messages

MINUTES = 1.0
BATCH = 50  # messages to each topic between two looks at the clock
PERIOD_S = 0.1  # of what is real, meanwhile and afterwards
RECOVERY_S = 60.0
LOOK_S = 2.0  # between two looks at the diagnostics, of which many wait after the garbage
MAX_GROWTH = 2**28  # a node has a queue of what may be a megabyte each
# Matches any subscription.
ANY = QoSProfile(
    depth=10,
    reliability=QoSReliabilityPolicy.RELIABLE,
    durability=QoSDurabilityPolicy.TRANSIENT_LOCAL,
)


class Target(NamedTuple):
    """A topic that some node takes, and a publisher of ours on it."""

    name: str
    message_type: type
    publisher: Any


def run(extent: Extent, folder: Path, show: Show) -> list[Finding]:
    minutes = MINUTES if extent.minutes is None else extent.minutes
    with ExitStack() as stack:
        town = Town(folder, stack)
        show('nodes start')
        town.start()
        before, peaks = town.weights(), town.peaks()
        sent = {}
        for kind, send in (('fields', town.send_fields), ('bytes', town.send_bytes)):
            sent[kind] = town.bombard(
                send,
                60.0 * minutes,
                lambda left_s, kind=kind: show(f'{kind}, {left_s:.0f} s to go'),
            )
        show('nodes recover')
        town.recover(RECOVERY_S * extent.patience)
        troubles = town.troubles()
        growth = max((after - first for first, after in zip(peaks, town.peaks())), default=0)
        troubles += [
            f'network {number} changed while learning was off'
            for number, (old, new) in enumerate(zip(before, town.weights()))
            if not same(old, new)
        ]
    topics = len({(target.name, target.message_type) for target in town.targets})
    return [
        Finding(
            f'garbage of {len({t.message_type for t in town.targets})} message types on {topics} '
            f'topics of {len(town.nodes)} nodes',
            f'{sent["fields"]:,} messages, {sent["bytes"]:,} times bytes that are none, '
            f'{minutes:g} min each',
            (
                '; '.join(troubles)
                or 'nothing: no node fell or fell silent, all are well again, no '
                'weight changed while learning was off'
            )
            + f'; memory of a node at most {growth / 2**20:+.0f} MB',
            f'nothing, at most {MAX_GROWTH // 2**20} MB',
            not troubles and growth <= MAX_GROWTH,
        )
    ]


class Town:
    """All nodes that take messages, three of them learners, and what is real around them."""

    def __init__(self, folder: Path, stack: ExitStack):
        self._robots = []
        for number in range(3):
            (folder / str(number)).mkdir()
            self._robots.append(stack.enter_context(Robot(folder / str(number))))
        self._folder = folder
        self.nodes: list[tuple[Robot, str, NodeProcess]] = []
        self.targets: list[Target] = []
        self._digits = real.Digits()
        self._events = [real.EventPackets() for _ in self._robots]
        self._real = real.examples()
        self._publishers: dict[tuple[int, str], Any] = {}
        self._next_s = 0.0

    def start(self) -> None:
        panels = self._folder / 'panels.yaml'
        save_gallery(
            Gallery(
                CircularPath(1.0),
                CameraPose(0.0, 0.0, 0.5, 0.0),
                (Panel('cup', 2.0, 0.0, 0.5, 3.0, 0.4),),
            ),
            panels,
        )
        self._begin(0, 'snn_learner', learning=False)
        self._begin(1, 'snn_learner', learning=False, input='compressed')
        self._begin(2, 'snn_learner', learning=False, input='events', meter='battery')
        for executable in (
            'timestep_controller',
            'battery_simulator',
            'event_simulator',
            'gazebo_battery',
        ):
            self._begin(0, executable)
        self._begin(0, 'patrol', panels_file=str(panels))
        for robot, node, _ in self.nodes:
            robot.wait_until_active(node)
        for robot in self._robots:
            found = robot.wait_for(
                lambda robot=robot: self._topics_of(robot), 'topics of the nodes'
            )
            self.targets += [
                Target(name, message_type, robot.node.create_publisher(message_type, name, ANY))
                for name, message_type in found
            ]

    def _begin(self, number: int, executable: str, **parameters) -> None:
        robot = self._robots[number]
        if executable == 'snn_learner':
            parameters['checkpoint_file'] = str(self._weights_file(number))
        self.nodes.append((robot, executable, robot.start(executable, **parameters)))

    def _weights_file(self, number: int) -> Path:
        return self._folder / str(number) / 'weights.topspark'

    def _topics_of(self, robot: Robot) -> set[tuple[str, type]] | None:
        """What the robot's nodes subscribe to; None while it is not known of each."""
        found = set()
        for _, node, _ in (entry for entry in self.nodes if entry[0] is robot):
            topics = robot.node.get_subscriber_names_and_types_by_node(node, robot.namespace)
            if not topics:
                return None
            found |= {
                (name, load_type(kind))
                for name, (kind, *_) in topics
                if name.startswith(robot.namespace)
            }
        return found

    # Garbage --------------------------------------------------------------------------------

    def bombard(self, send, seconds: float, show) -> int:
        """Returns how many were sent."""
        sent = 0
        end_s = time.monotonic() + seconds
        for number in itertools.count():
            for target in self.targets:
                sent += send(target, number)
                self._keep_real()
                if time.monotonic() > end_s:
                    return sent
                show(end_s - time.monotonic())

    def send_fields(self, target: Target, number: int) -> int:
        return self._generate(
            number,
            messages(target.message_type, self._real[target.message_type]),
            target.publisher.publish,
        )

    def send_bytes(self, target: Target, number: int) -> int:
        return self._generate(
            number,
            bytes_that_are_none(bytes(serialize_message(self._real[target.message_type]))),
            target.publisher.publish,
        )

    def _generate(self, number: int, strategy: st.SearchStrategy, publish) -> int:
        sent = 0

        @seed(number)
        @settings(
            max_examples=BATCH,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def send(message) -> None:
            nonlocal sent
            publish(message)
            sent += 1
            self._robots[sent % len(self._robots)].spin(0.0)

        send()
        return sent

    # What is real ---------------------------------------------------------------------------

    def _keep_real(self) -> None:
        """A frame, an event packet and a battery state to all, ten times a second."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + PERIOD_S
        for number, robot in enumerate(self._robots):
            for topic, make, profile in (
                ('image', lambda: self._digits.image()[0], qos.sensor(10)),
                ('image/compressed', lambda: self._digits.compressed()[0], qos.sensor(10)),
                ('events', self._events[number].packet, qos.EVENTS),
                ('gazebo/battery_state', real.battery, qos.sensor(10)),
                ('camera_info', lambda: self._fresh('CameraInfo'), qos.sensor(10)),
                ('pose', lambda: self._fresh('PoseStamped'), qos.sensor(10)),
            ):
                self._publish(number, robot, topic, make(), profile)

    def _fresh(self, kind: str) -> Any:
        message = next(m for t, m in self._real.items() if t.__name__ == kind)
        message.header.stamp = real.now()
        return message

    def _publish(self, number: int, robot: Robot, topic: str, message, profile) -> None:
        key = number, topic
        if key not in self._publishers:
            self._publishers[key] = robot.node.create_publisher(type(message), topic, profile)
        self._publishers[key].publish(message)

    # Judgement ------------------------------------------------------------------------------

    def weights(self) -> list[dict[str, np.ndarray]]:
        """All that learning changes in the three learners, as they save it."""
        found = []
        for number, robot in enumerate(self._robots):
            answer = robot.call(Trigger, 'snn_learner/save_weights')
            if not answer.success:
                raise RuntimeError(answer.message)
            found.append(load_checkpoint(self._weights_file(number)).network.state())
        return found

    def peaks(self) -> list[int]:
        """The most memory that each node that is there has had, bytes."""
        return [peak_bytes(process.pid) for _, _, process in self.nodes if process.running]

    def recover(self, seconds: float) -> None:
        """What is real goes on until all are well, or for so long."""
        end_s = time.monotonic() + seconds
        while True:
            look_s = time.monotonic() + LOOK_S
            while time.monotonic() < look_s:
                self._keep_real()
                for robot in self._robots:
                    robot.spin(0.02)
            if not self.troubles() or time.monotonic() > end_s:
                return

    def troubles(self) -> list[str]:
        """A line for each thing that is wrong now with a node."""
        found = []
        for robot, node, process in self.nodes:
            where = f'{robot.namespace}/{node}'
            if 'Traceback' in process.log:
                found.append(f'{where}: {process.log.count("Traceback")} tracebacks')
            if not process.running:
                found.append(f'{where} fell')
                continue
            health = robot.health.get(node)
            # A quantity that garbage has set for all it knew may be complained of.
            if health is None or health.level == 2 or 'rejected' in health.message:
                found.append(f'{where} is not well: {health.message if health else "no word"}')
            try:
                robot.call(GetParameters, f'{node}/get_parameters')
            except TimeoutError:
                found.append(f'{where} does not answer')
        return found


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(array, other[name]) for name, array in one.items())
