"""Runs the package's executables as processes and talks to them over DDS, with time limits.

Nothing here waits for a time to pass: `wait_for` spins until a condition holds.
"""

from __future__ import annotations

import array
import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

REASON = 'needs ROS 2 and the built package: run `make test`'
rclpy = pytest.importorskip('rclpy', reason=REASON)
msg = pytest.importorskip('topspark_ros.msg', reason=REASON)

import cv2
import yaml
from ament_index_python.packages import get_package_prefix
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import Executor, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.task import Future
from sensor_msgs.msg import Image

from topspark_ros.nodes import qos
from topspark_ros.streams.datasets import load_dataset
from topspark_ros.streams.scenes import SceneRenderer

TIMEOUT_S = 240.0  # a condition that does not hold by then never will, on the slowest machine
ANSWER_S = 1.0  # an answer that takes longer may be lost: ask again, and wait twice as long
EVERY = QoSProfile(depth=1000)
UNKNOWN = '_NODE_NAME_UNKNOWN_'  # of an endpoint whose node DDS has not told yet


class Process:
    """One executable of the package."""

    def __init__(
        self,
        executable: str,
        namespace: str,
        folder: Path,
        parameters: dict,
        remappings: dict[str, str],
        killed: Callable[[str], None],
    ):
        self.name = executable
        self._killed = killed
        stem = f'{executable}_{time.monotonic_ns()}'
        configuration = folder / f'{stem}.yaml'
        configuration.write_text(yaml.safe_dump({'/**': {'ros__parameters': parameters}}))
        self._log = folder / f'{stem}.log'
        program = Path(get_package_prefix('topspark_ros')) / 'lib' / 'topspark_ros' / executable
        with open(self._log, 'wb') as log:
            self._process = subprocess.Popen(
                [
                    program,
                    '--ros-args',
                    '-r',
                    f'__ns:={namespace}',
                    *(
                        word
                        for name, other in remappings.items()
                        for word in ('-r', f'{name}:={other}')
                    ),
                    '--params-file',
                    configuration,
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(errors='replace')

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def processor_s(self) -> float:
        """Processor time that it has spent, by /proc/PID/stat, s."""
        fields = Path(f'/proc/{self.pid}/stat').read_text().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """As a crash: nobody is told, and DDS takes it for present until its lease is over."""
        self._process.kill()
        self._process.wait()
        self._killed(self.name)

    def wait(self) -> int:
        return self._process.wait(TIMEOUT_S)

    def stop(self) -> None:
        """Ctrl-C; a node that does not end by it, and well, fails the test."""
        self._process.send_signal(signal.SIGINT)
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            code = 'none: killed'
        assert code == 0, f'{self.name}: exit code {code}\n{self.log}'


class Rig:
    """One namespace: the processes in it, and a node of the test that talks to them."""

    _number = itertools.count(1)

    def __init__(self, folder: Path):
        self.folder = folder
        self.namespace = f'/rig{next(self._number)}'
        self.node = Node('tester', namespace=self.namespace)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._processes: list[Process] = []
        self._collecting: list[Subscription] = []
        self._publishers: dict[str, Any] = {}
        self._clients: dict[str, Any] = {}
        self._heard: set[str] = set()  # topics whose subscribers know their publisher
        self._dead: set[bytes] = set()  # subscriptions of killed processes
        self._health: dict[str, Any] = {}
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, EVERY)

    def close(self) -> None:
        try:
            for process in [p for p in self._processes if p.running]:
                process.stop()
        finally:
            for process in self._processes:
                if process.running:
                    process.kill()
            self._executor.shutdown()
            self.node.destroy_node()

    def start(
        self, executable: str, remappings: dict[str, str] | None = None, **parameters
    ) -> Process:
        self._heard.clear()
        process = Process(
            executable, self.namespace, self.folder, parameters, remappings or {}, self._forget
        )
        self._processes.append(process)
        return process

    def bring_up(self, executable: str, **parameters) -> float:
        """Start it, and activate it when whatever collects knows its publishers, so that nothing
        is lost of what it says first. Returns the time before it was activated, s."""
        process = self.start(executable, autostart=False, **parameters)
        assert self.transit(executable, Transition.TRANSITION_CONFIGURE), process.log
        self.wait_for(
            lambda: all(collecting.get_publisher_count() for collecting in self._collecting),
            'all publishers',
        )
        begin_s = self.node.get_clock().now().nanoseconds * 1e-9
        assert self.transit(executable, Transition.TRANSITION_ACTIVATE), process.log
        return begin_s

    def _forget(self, node: str) -> None:
        """Neither publish to a killed node nor ask it: DDS takes it for present for 20 s more."""
        for publisher in self._publishers.values():
            self._dead.update(
                bytes(end.endpoint_gid)
                for end in self._subscriptions(publisher)
                if end.node_name == node
            )
        while self._clients:
            self.node.destroy_client(self._clients.popitem()[1])

    # Waiting -------------------------------------------------------------------------------

    def spin(self, timeout_s: float = 0.02) -> None:
        self._executor.spin_once(timeout_s)

    def wait_for(
        self, condition: Callable[[], Any], what: str = '', timeout_s: float = TIMEOUT_S
    ) -> Any:
        """Spin until `condition()` is true; returns its value."""
        end_s = time.monotonic() + timeout_s
        while not (value := condition()):
            assert time.monotonic() < end_s, f'never came true: {what or condition}\n' + '\n'.join(
                f'--- {p.name}\n{p.log[-3000:]}' for p in self._processes
            )
            self.spin()
        return value

    def latest(
        self, messages: list, condition: Callable[[Any], Any] = lambda _: True, what: str = ''
    ) -> Any:
        """The last message that was collected, once the condition holds for it."""
        return self.wait_for(lambda: next(filter(condition, messages[-1:]), None), what)

    # Topics --------------------------------------------------------------------------------

    def collect(self, message_type, topic: str, profile: QoSProfile = EVERY) -> list:
        """A list that grows with every message from now on, while the rig spins."""
        messages = []
        self._collecting.append(
            self.node.create_subscription(message_type, topic, messages.append, profile)
        )
        return messages

    def publish(self, topic: str, message, profile: QoSProfile) -> None:
        """Publish to a node that hears it, once there is one."""
        if topic not in self._publishers:
            self._publishers[topic] = self.node.create_publisher(type(message), topic, profile)
        publisher = self._publishers[topic]
        if topic not in self._heard:
            self._be_heard(publisher)
            self._heard.add(topic)
        self.wait_for(publisher.get_subscription_count, f'a subscriber of {topic}')
        publisher.publish(message)

    def wait_until_unheard(self, topic: str) -> None:
        """Return when the last subscriber has left, so that the next one is not taken for it."""
        self.wait_for(
            lambda: not self._publishers[topic].get_subscription_count(),
            f'{topic} has no subscriber',
        )

    def _be_heard(self, publisher) -> None:
        """Return when the nodes that subscribe know the publisher too.

        They may discover it later than it discovers them, and until then they lose what it sends
        by best effort.
        """

        def subscribers() -> set[str]:
            ends = self._subscriptions(publisher)
            living = [end for end in ends if bytes(end.endpoint_gid) not in self._dead]
            nodes = {f'{end.node_namespace.rstrip("/")}/{end.node_name}' for end in living}
            matched = publisher.get_subscription_count() > len(ends) - len(living)
            return nodes if matched and not any(UNKNOWN in node for node in nodes) else set()

        for node in self.wait_for(subscribers, f'a subscriber of {publisher.topic_name}'):
            if node != self.node.get_fully_qualified_name():
                self.be_known(node)

    def be_known(self, node: str) -> None:
        """Return when the node knows every publisher and subscription that this process has: who
        answers a new client has discovered all that was made before it."""
        client = self.node.create_client(GetState, f'{node}/get_state')
        self._ask(client, GetState.Request())
        self.node.destroy_client(client)

    def _subscriptions(self, publisher) -> list:
        return self.node.get_subscriptions_info_by_topic(publisher.topic_name)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        prefix = self.namespace.lstrip('/') + '/'
        for status in message.status:
            if status.name.startswith(prefix):
                self._health[status.name.removeprefix(prefix)] = status

    def health(self, node: str, key: str) -> str | None:
        """A value of the node's last diagnostics, None while there is none."""
        status = self._health.get(node)
        return next((v.value for v in status.values if v.key == key), None) if status else None

    def rejected(self, node: str, topic: str) -> int:
        return int(self.health(node, f'rejected on {topic}') or 0)

    def concern(self, node: str) -> str:
        """The one line of the node's last diagnostics."""
        return self._health[node].message if node in self._health else ''

    # Services ------------------------------------------------------------------------------

    def call(self, service_type, name: str, request=None):
        """The answer to a request that may be sent again."""
        return self._ask(self._client(service_type, name), request or service_type.Request())

    def call_once(self, service_type, name: str, request) -> Future:
        """Of the answer to a request that may not: it comes, for the client is known by now."""
        client = self._client(service_type, name)
        self.wait_for(client.service_is_ready, f'service {name}')
        return client.call_async(request)

    def _client(self, service_type, name: str):
        if name not in self._clients:
            self._clients[name] = self.node.create_client(service_type, name)
        return self._clients[name]

    def _ask(self, client, request):
        """Ask until there is an answer: the service may know the client later than the client
        knows it, and an answer that it sends before is lost."""
        self.wait_for(client.service_is_ready, f'service {client.srv_name}')
        future, again_s, patience_s = None, 0.0, ANSWER_S

        def answered() -> bool:
            nonlocal future, again_s, patience_s
            if future is None or time.monotonic() > again_s and not future.done():
                future = client.call_async(request)
                again_s, patience_s = time.monotonic() + patience_s, 2 * patience_s
            return future.done()

        self.wait_for(answered, f'an answer of {client.srv_name}')
        return future.result()

    def transit_async(self, node: str, transition_id: int) -> Future:
        name = f'{node}/change_state'
        if name not in self._clients:  # first, a transition that no state has
            self.call(ChangeState, name, ChangeState.Request(transition=Transition(id=255)))
        return self.call_once(
            ChangeState, name, ChangeState.Request(transition=Transition(id=transition_id))
        )

    def answer(self, future: Future):
        self.wait_for(future.done, 'an answer')
        return future.result()

    def transit(self, node: str, transition_id: int) -> bool:
        return self.answer(self.transit_async(node, transition_id)).success

    def state(self, node: str) -> str:
        return self.call(GetState, f'{node}/get_state').current_state.label

    def wait_until_active(self, node: str) -> None:
        self.wait_for(lambda: self.state(node) == 'active', f'{node} becomes active')


class Camera:
    """Real handwritten digits in front of a running learner, one frame at a time."""

    def __init__(self, rig: Rig, topic: str = 'image'):
        self._rig = rig
        self._topic = topic
        self._dataset = load_dataset('digits')
        self._scenes = SceneRenderer(self._dataset.images, seed=1)
        self._indices = itertools.cycle(range(len(self._dataset.labels)))
        self._stamps = itertools.count(1)
        self.results: list[msg.Classification] = rig.collect(msg.Classification, 'classification')

    def next_digit(self) -> tuple[Any, str]:
        """The next frame, (240, 320, 3) uint8 BGR, and its class."""
        index = next(self._indices)
        return self._scenes.render(index), self._dataset.class_names[self._dataset.labels[index]]

    def next_stamp(self) -> Time:
        return Time(sec=next(self._stamps))

    def send(self, message) -> Time:
        message.header.stamp, message.header.frame_id = self.next_stamp(), 'eye'
        self._rig.publish(self._topic, message, qos.sensor(10))
        return message.header.stamp

    def show(self, message) -> msg.Classification:
        """Send one frame and wait for its classification."""
        stamp = self.send(message)
        return self._rig.wait_for(lambda: self.result(stamp), f'a classification of {stamp}')

    def result(self, stamp: Time) -> msg.Classification | None:
        return next((r for r in reversed(self.results) if r.header.stamp == stamp), None)

    def meet(self, make_message) -> None:
        """Show frames until one is classified: best effort loses what comes before discovery."""
        message = make_message()

        def seen():
            self.send(message)
            self._rig.spin(0.1)
            return self.results

        self._rig.wait_for(seen, 'a first classification')
        self.show(make_message())  # whatever was still under way has come before this

    def teach(self, frames: int) -> int:
        """Show labelled frames; returns how many were classified right before they were learned."""
        hits = 0
        for _ in range(frames):
            frame, name = self.next_digit()
            result = self.show(image(frame))
            self.label(result.header.stamp, name)
            hits += result.class_id == name
        return hits

    def label(self, stamp: Time, name: str) -> None:
        label = msg.Label(class_id=name)
        label.header.stamp = stamp
        self._rig.publish('label', label, qos.LABEL)


def image(frame, encoding: str = 'bgr8', padding: int = 0, big_endian: bool = False) -> Image:
    """The BGR frame as sensor_msgs/Image, each row followed by `padding` bytes of rubbish."""
    conversions = {
        'bgr8': None,
        'rgb8': cv2.COLOR_BGR2RGB,
        'bgra8': cv2.COLOR_BGR2BGRA,
        'rgba8': cv2.COLOR_BGR2RGBA,
        'mono8': cv2.COLOR_BGR2GRAY,
        'mono16': cv2.COLOR_BGR2GRAY,
    }
    pixels = frame if conversions[encoding] is None else cv2.cvtColor(frame, conversions[encoding])
    if encoding == 'mono16':
        # The lower byte alone would show the opposite: what takes one for the other sees that.
        values = 256 * pixels.astype('u2') + (255 - pixels)
        pixels = values.astype('>u2' if big_endian else '<u2')
    rows = [row.tobytes() + b'\xa5' * padding for row in pixels]
    return Image(
        height=frame.shape[0],
        width=frame.shape[1],
        encoding=encoding,
        is_bigendian=big_endian,
        step=len(rows[0]),
        data=array.array('B', b''.join(rows)),
    )


@contextmanager
def composed(*nodes, executor: Executor | None = None):
    """What a user's program does with nodes of this package."""
    executor = executor or MultiThreadedExecutor(num_threads=3)
    for node in nodes:
        executor.add_node(node)
    spinning = threading.Thread(target=executor.spin)
    spinning.start()
    try:
        yield
    finally:
        executor.shutdown()
        spinning.join()
        for node in nodes:
            node.destroy_node()
