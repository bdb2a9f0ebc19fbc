"""What a whole frame costs: processor time of the live learner for each frame that a camera sends.

    python -m benchmarks.pipeline [--seconds 10] [--rounds 3] [--only vga-bgr8,jpeg]

Camera, learners and what they are compared with are processes on the same topic at the same time,
so that what else the machine does hits all alike:

* floor: a raw subscriber that copies the payload once
* empty: what a user would write first, an rclpy callback that views the message as an array and
  does nothing else, spun by rclpy's plain executor
* learner: classifies and learns each frame, each of which is labelled; with frame_share 1, 0.25, 0

A figure is the median of the rounds, the range of all rounds behind it. Beside that: a learner that
nobody sends anything, the engine's call from Python, and finding the object.
"""

from __future__ import annotations

import argparse
import array
import math
import mmap
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import rclpy
from event_camera_msgs.msg import EventPacket
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image

from benchmarks.faults.real import Digits, decision
from benchmarks.processes import Robot, processor_time_s
from topspark_ros import msg
from topspark_ros.cli import ros
from topspark_ros.engine import NetworkConfig, create_network
from topspark_ros.nodes import qos
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.perception.messages import stamp_ns
from topspark_ros.perception.samples import ImageSamples
from topspark_ros.streams.datasets import load_dataset
from topspark_ros.streams.events import EVENT, Evt3Encoder
from topspark_ros.streams.objects import centre_object
from topspark_ros.streams.scenes import SceneRenderer

SHARES = (1.0, 0.25, 0.0)
LABELLED = 'labels'  # topic, of the camera's namespace
DEPTH = {'image': qos.sensor(5), 'compressed': qos.sensor(5), 'events': qos.EVENTS}
SETTLING_S = 3.0  # after the first frames
EVENT_PACKET_NS = 4_096_000  # one value of evt3's TIME_HIGH
EVENT_SIDE = 640, 480
OBJECT_BEFORE = {'bgr8': 36.0, 'mono8': 34.0}  # times of copying a bgr8 frame


class Case(NamedTuple):
    """What a camera sends. rate_hz: messages; whole_hz: frames that a learner makes of them."""

    name: str
    input: str
    rate_hz: float
    width: int = 640
    height: int = 480
    encoding: str = 'bgr8'

    @property
    def message_type(self) -> type:
        return {'image': Image, 'compressed': CompressedImage, 'events': EventPacket}[self.input]

    @property
    def topic(self) -> str:
        return {'image': 'image', 'compressed': 'image/compressed', 'events': 'events'}[self.input]


CASES = {
    case.name: case
    for case in (
        Case('vga-bgr8', 'image', 30.0),
        Case('vga-mono8', 'image', 30.0, encoding='mono8'),
        Case('qvga-60', 'image', 60.0, 320, 240),
        Case('jpeg', 'compressed', 30.0),
        Case('evt3-5M', 'events', 1e9 / EVENT_PACKET_NS, encoding='5e6'),
        Case('evt3-20M', 'events', 1e9 / EVENT_PACKET_NS, encoding='20e6'),
    )
}


class Counter:
    """A number in a file, which another process may read at any time."""

    def __init__(self, path: Path, create: bool = False):
        if create:
            path.write_bytes(bytes(8))
        with open(path, 'r+b') as file:
            self._memory = mmap.mmap(file.fileno(), 8)

    @property
    def value(self) -> int:
        return struct.unpack('q', self._memory)[0]

    def add(self) -> None:
        self._memory[:] = struct.pack('q', self.value + 1)


# The processes beside the learner -------------------------------------------------------------


def run_camera(case: Case, counter: Counter) -> None:
    """Sends what was serialised beforehand, but for stamps, so that it takes little itself."""
    node = rclpy.create_node('camera', namespace=os.environ['NAMESPACE'])
    frames = node.create_publisher(case.message_type, case.topic, qos.sensor(1))
    labels = node.create_publisher(msg.Label, LABELLED, qos.LABEL)
    messages = list(packets(case) if case.input == 'events' else images(case))
    due_s, number = time.monotonic(), 0
    for number in forever():
        serialised, name = messages[number % len(messages)]
        sec, nanosec = divmod(time.time_ns(), 10**9)
        struct.pack_into('<iI', serialised, 4, sec, nanosec)
        if case.input == 'events':
            renumber(serialised, number)
        frames.publish(bytes(serialised))
        if name:
            label = msg.Label(class_id=name)
            label.header.stamp.sec, label.header.stamp.nanosec = sec, nanosec
            labels.publish(label)
        counter.add()
        due_s += 1.0 / case.rate_hz
        time.sleep(max(0.0, due_s - time.monotonic()))


def forever() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def images(case: Case) -> Iterator[tuple[bytearray, str]]:
    digits = Digits(case.height, case.width)
    for _ in range(50):
        image, name = digits.compressed() if case.input == 'compressed' else digits.image()
        if case.encoding == 'mono8':
            pixels = np.frombuffer(image.data, np.uint8).reshape(case.height, case.width, 3)
            image.encoding, image.step = 'mono8', case.width
            image.data = array.array('B', cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY).tobytes())
        yield bytearray(serialize_message(image)), name


def packets(case: Case) -> Iterator[tuple[bytearray, str]]:
    """A patch that moves, as one packet for each value of TIME_HIGH; labelled every 80 ms or so."""
    width, height = EVENT_SIDE
    count = round(float(case.encoding) * EVENT_PACKET_NS * 1e-9)
    random = np.random.default_rng(1)
    dataset = load_dataset('digits')
    for number in range(20):
        shape = dataset.images[number]
        ink = np.argwhere(shape > shape.max() / 2)
        events = np.zeros(count, EVENT)
        chosen = ink[random.integers(len(ink), size=count)]
        events['y'] = 100 + 8 * chosen[:, 0] + random.integers(8, size=count)
        events['x'] = 200 + 8 * chosen[:, 1] + random.integers(8, size=count)
        # As sensors read out: rows at one time each.
        events['t'] = np.sort(random.integers(EVENT_PACKET_NS // 1000, size=count)) * 1000
        events = events[np.lexsort((events['x'], events['y'], events['t'] // 64_000))]
        events['t'] = events['t'] // 64_000 * 64_000
        message = EventPacket(
            width=width,
            height=height,
            encoding='evt3',
            is_bigendian=False,
            events=array.array('B', Evt3Encoder(width, height).encode(events)),
        )
        yield bytearray(serialize_message(message)), ''


def renumber(serialised: bytearray, number: int) -> None:
    """The packet's number, and the sensor's time in its words."""
    # Fields are aligned from byte 4 on. frame_id is behind the stamp, and then height and width.
    at = 12
    at += 4 + struct.unpack_from('<I', serialised, at)[0]
    at += -at % 4 + 8
    at += -(at - 4) % 8
    struct.pack_into('<Q', serialised, at, number)
    at += 16  # and time_base; then encoding, is_bigendian and the length of the events
    at += 4 + struct.unpack_from('<I', serialised, at)[0] + 1
    at += -at % 4 + 4
    words = np.frombuffer(memoryview(serialised)[at:], np.uint16)
    words[words >> 12 == 8] = 8 << 12 | number % 4096


def run_floor(case: Case, counter: Counter) -> None:
    node = rclpy.create_node('floor', namespace=os.environ['NAMESPACE'])

    def on_message(serialised: bytes) -> None:
        bytearray(serialised)
        counter.add()

    node.create_subscription(case.message_type, case.topic, on_message, DEPTH[case.input], raw=True)
    rclpy.spin(node)


def run_empty(case: Case, counter: Counter) -> None:
    node = rclpy.create_node('empty', namespace=os.environ['NAMESPACE'])

    def on_message(message) -> None:
        np.frombuffer(message.events if case.input == 'events' else message.data, np.uint8)
        counter.add()

    node.create_subscription(case.message_type, case.topic, on_message, DEPTH[case.input])
    rclpy.spin(node)


PROCESSES = {'camera': run_camera, 'floor': run_floor, 'empty': run_empty}


def be_process(name: str, case: Case, counter: Path) -> None:
    rclpy.init()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    PROCESSES[name](case, Counter(counter))


class Look(NamedTuple):
    """At a process: messages that it has had so far, and processor time, s."""

    messages: int
    time_s: float


class Counted:
    """A process that counts its messages."""

    def __init__(self, pid: int, counter: Counter):
        self._pid, self.counter = pid, counter

    @property
    def count(self) -> int:
        return self.counter.value

    def look(self) -> Look:
        return Look(self.count, processor_time_s(self._pid))


@contextmanager
def process(name: str, case: Case, folder: Path, namespace: str) -> Iterator[Counted]:
    path = folder / f'{name}.count'
    counter = Counter(path, create=True)
    started = subprocess.Popen(
        [
            sys.executable,
            '-m',
            'benchmarks.pipeline',
            '--process',
            name,
            '--only',
            case.name,
            '--counter',
            str(path),
        ],
        env=os.environ | {'NAMESPACE': namespace},
    )
    try:
        yield Counted(started.pid, counter)
    finally:
        started.kill()
        started.wait()


# Measurements ---------------------------------------------------------------------------------


def measure(case: Case, seconds: float, rounds: int) -> dict[str, list[float]]:
    """Processor time for each message, s, by subject, of each round: of the whole frames, for each
    that was classified, with frame_share 0 for each that was sent, else for each received."""
    namespace = f'/camera_{os.getpid()}_{case.name.replace("-", "_")}'
    with (
        tempfile.TemporaryDirectory() as name,
        process('floor', case, Path(name), namespace) as floor,
        process('empty', case, Path(name), namespace) as empty,
        learners(case, Path(name), namespace) as robots,
        process('camera', case, Path(name), namespace) as camera,
    ):
        subjects: dict[str, Counted | Learner] = {'floor': floor, 'empty': empty} | {
            f'learner {share:g}': robot for share, robot in robots.items()
        }
        for share, robot in robots.items():
            robot.decide(share)
        while min(floor.count, empty.count) < 10:
            time.sleep(0.1)
        time.sleep(SETTLING_S)
        # It receives nothing: its time is of what the camera sends.
        subjects['learner 0'] = Counted(robots[0.0].pid, camera.counter)
        begin = {name: subject.look() for name, subject in subjects.items()}
        sent, before = camera.count, begin
        spent: dict[str, list[float]] = {name: [] for name in subjects}
        for _ in range(rounds):
            time.sleep(seconds / rounds)
            after = {name: subject.look() for name, subject in subjects.items()}
            for name in subjects:
                messages = after[name].messages - before[name].messages
                spent[name].append((after[name].time_s - before[name].time_s) / max(messages, 1))
            before = after
        sent = camera.count - sent
        print(
            f'{case.name}: sent {sent}; '
            + ', '.join(
                f'{name} {after[name].messages - begin[name].messages}' for name in subjects
            ),
            file=sys.stderr,
        )
    return spent


class Learner:
    """A learner in a namespace of its own, on the camera's topics."""

    def __init__(self, robot: Robot, case: Case, namespace: str):
        self._robot, self._input = robot, case.input
        self._statuses = robot.collect(msg.LearnerStatus, 'snn_learner/status')
        self._decisions = robot.node.create_publisher(
            msg.TimestepDecision, 'timestep_decision', qos.STATE
        )
        self.pid = robot.start(
            'snn_learner',
            input=case.input,
            remappings={
                case.topic: f'{namespace}/{case.topic}',
                'label': f'{namespace}/{LABELLED}',
            },
        ).pid
        robot.wait_until_active('snn_learner')

    def look(self) -> Look:
        """As of the next status."""
        now_ns = time.time_ns()
        self._robot.wait_for(
            lambda: self._statuses and stamp_ns(self._statuses[-1].header.stamp) > now_ns,
            'a status',
        )
        status, time_s = self._statuses[-1], processor_time_s(self.pid)
        whole = status.frame_share == 1.0 and self._input != 'events'
        return Look(status.frames_classified if whole else status.frames_received, time_s)

    def decide(self, share: float) -> None:
        made = decision()
        made.frame_share = share
        self._decisions.publish(made)
        self._robot.wait_for(
            lambda: (
                self._statuses
                and self._statuses[-1].decision_sequence == 1
                and self._statuses[-1].frame_share == share
            ),
            'the decision',
        )


@contextmanager
def learners(case: Case, folder: Path, namespace: str) -> Iterator[dict[float, Learner]]:
    robots: list[Robot] = []
    try:
        made = {}
        for share in SHARES:
            own = folder / f'share_{share:g}'
            own.mkdir()
            robots.append(Robot(own).__enter__())
            made[share] = Learner(robots[-1], case, namespace)
        yield made
    finally:
        for robot in robots:
            robot.__exit__(None)


def measure_idle(seconds: float) -> float:
    """Share of a core that a learner takes to which nothing is sent."""
    with tempfile.TemporaryDirectory() as name, Robot(Path(name)) as robot:
        learner = robot.start('snn_learner')
        robot.wait_until_active('snn_learner')
        robot.spin(SETTLING_S)
        before_s = processor_time_s(learner.pid)
        time.sleep(seconds)
        return (processor_time_s(learner.pid) - before_s) / seconds


def time_of(call: Callable[[int], object], calls: int, rounds: int = 9) -> float:
    """Processor time of a call, s, in this thread: the best of the rounds."""
    best = math.inf
    for _ in range(rounds):
        began_s = time.thread_time()
        for number in range(calls):
            call(number)
        best = min(best, (time.thread_time() - began_s) / calls)
    return best


def engine_overhead_s() -> float:
    """What a call of `infer` takes beyond the kernel, of which many samples in a call show most."""
    dataset = load_dataset('digits')
    scenes = SceneRenderer(dataset.images, seed=1)
    images = np.stack(
        [
            centre_object(cv2.cvtColor(scenes.render(number), cv2.COLOR_BGR2GRAY))
            for number in range(1000)
        ]
    )
    network = create_network(NetworkConfig(neurons=400))
    network.learn_many(images, 8, dataset.labels[:1000])
    many = time_of(lambda _: network.infer_many(images, 8), 1) / 1000
    return time_of(lambda number: network.infer(images[number % 1000], 8), 1000) - many


def object_times() -> dict[str, tuple[float, float]]:
    """By encoding: time of what is done by default to find an object in a VGA frame and to cut its
    picture out, s, and of copying a bgr8 frame, s, the yardstick for how fast a machine is."""
    case = CASES['vga-bgr8']
    digits = Digits(case.height, case.width)
    frames = [digits.image()[0] for _ in range(20)]
    gray = []
    for frame in frames:
        pixels = np.frombuffer(frame.data, np.uint8).reshape(case.height, case.width, 3)
        gray.append(
            Image(
                height=case.height,
                width=case.width,
                encoding='mono8',
                step=case.width,
                data=array.array('B', cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY).tobytes()),
            )
        )
    memory = [np.frombuffer(frame.data, np.uint8) for frame in frames]
    yardstick_s = time_of(lambda number: memory[number % 20].copy(), 200)
    samples = ImageSamples(SnnLearnerParameters().view())
    cv2.setNumThreads(1)  # as the nodes have it
    return {
        encoding: (time_of(lambda number: samples.take(shown[number % 20]), 100), yardstick_s)
        for encoding, shown in (('bgr8', frames), ('mono8', gray))
    }


# Report ---------------------------------------------------------------------------------------


def ratio(spent: dict[str, list[float]], of: str, to: str) -> str:
    ratios = sorted(a / b for a, b in zip(spent[of], spent[to]))
    return f'{np.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--seconds', type=float, default=10.0, help='of each case')
    parser.add_argument('--rounds', type=int, default=3, help='that a case is cut into')
    parser.add_argument('--only', default=','.join(CASES), help='cases; default: %(default)s')
    parser.add_argument('--process', choices=PROCESSES, help=argparse.SUPPRESS)
    parser.add_argument('--counter', type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.process:
        be_process(arguments.process, CASES[arguments.only], arguments.counter)
        return
    ros.keep_local()
    rclpy.init()
    print(
        '| what | ms a message: floor | empty callback | learner | learner / empty | share 0.25 '
        '/ whole | share 0 / whole |\n|---|---|---|---|---|---|---|\n'
        '| bound, aim | | | | 0.7, 0.35 | 0.4, 0.3 | 0.1, 0.03 |'
    )
    for name in arguments.only.split(','):
        if not name:
            continue
        spent = measure(CASES[name], arguments.seconds, arguments.rounds)
        medians = [
            f'{1e3 * np.median(spent[subject]):.3f}' for subject in ('floor', 'empty', 'learner 1')
        ]
        print(
            f'| {name} | {" | ".join(medians)} | {ratio(spent, "learner 1", "empty")} | '
            f'{ratio(spent, "learner 0.25", "learner 1")} | '
            f'{ratio(spent, "learner 0", "learner 1")} |',
            flush=True,
        )
    print('\n| what | bound, aim | figure |\n|---|---|---|')
    idle = [measure_idle(arguments.seconds) for _ in range(arguments.rounds)]
    print(
        f'| idle learner, of a core | 0.3 %, 0.1 % | {np.median(idle):.2%} '
        f'({min(idle):.2%} to {max(idle):.2%}) |'
    )
    print(
        f'| engine call, N = 400, beyond its kernel | 5 us, 2 us | '
        f'{1e6 * engine_overhead_s():.1f} us |'
    )
    for encoding, (time_s, yardstick_s) in object_times().items():
        before = OBJECT_BEFORE[encoding] * yardstick_s
        print(
            f'| finding the object, VGA {encoding}, faster than before | 5, 10 | '
            f'{before / time_s:.1f} ({1e6 * time_s:.0f} us) |'
        )
    rclpy.shutdown()


if __name__ == '__main__':
    main()
