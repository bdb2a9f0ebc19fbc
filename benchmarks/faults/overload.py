"""A camera at three times the rate that the learner can take, for images and for events."""

from __future__ import annotations

import array
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from event_camera_msgs.msg import EventPacket
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from sensor_msgs.msg import Image

from benchmarks.processes import Health, NodeProcess, Robot, resident_bytes
from topspark_ros import msg
from topspark_ros.nodes import qos
from topspark_ros.streams.events import EVENT, Evt3Encoder

from . import Extent, Finding, Show, real

MINUTES = 0.5
TIMES_THE_RATE = 3.0
PROBE_S = 5.0  # as fast as it goes, for the rate that the learner can take
SETTLE_S = 3.0  # after the flood, to work off what waits
PROMPT_S = 5.0  # for deactivation and the end, while the flood goes on
MAX_GROWTH = 2**27  # what may wait of event packets
# Sensor time of a packet, a power of two: evt3's 24 bits wrap where the packets begin again.
EVENT_PERIOD_US = 2**17
EVENTS_A_PACKET = 100_000


def run(extent: Extent, folder: Path, show: Show) -> list[Finding]:
    minutes = MINUTES if extent.minutes is None else extent.minutes
    findings = []
    for what, message_type, topic, profile, make, parameters in (
        (
            'images, 1280 x 960, presented for 350 steps to 400 STDP neurons',
            Image,
            'image',
            qos.sensor(10),
            large_images(),
            dict(rule='pairwise', training_timesteps=350, inference_timesteps=350),
        ),
        (
            f'event packets of {EVENTS_A_PACKET:,} events',
            EventPacket,
            'events',
            qos.EVENTS,
            dense_packets(),
            dict(input='events'),
        ),
    ):
        (folder / topic).mkdir()
        with Robot(folder / topic) as robot:
            learner = robot.start('snn_learner', queue_depth=2, status_period=0.1, **parameters)
            robot.wait_until_active('snn_learner')
            flood = Flood(robot, message_type, topic, profile, make)
            findings.append(
                drown(what, robot, learner, flood, 60.0 * minutes, extent.patience, show)
            )
    return findings


def drown(
    what: str,
    robot: Robot,
    learner: NodeProcess,
    flood: Flood,
    seconds: float,
    patience: float,
    show: Show,
) -> Finding:
    statuses = robot.collect(msg.LearnerStatus, 'snn_learner/status')
    heard_s: list[float] = []
    robot.node.create_subscription(
        msg.Classification,
        'classification',
        lambda message: heard_s.append(time.monotonic()),
        qos.RESULT,
    )
    show(f'{what}: how many it can take')
    with flood.at(float('inf')):
        robot.wait_for(lambda: statuses and statuses[-1].frames_classified > 2, 'a few frames')
        taken, begin_s = work(robot), time.monotonic()
        robot.spin(min(PROBE_S, seconds))
        rate_hz = (work(robot) - taken) / (time.monotonic() - begin_s)
    rss = resident_bytes(learner.pid)
    before, sent, begin_s = statuses[-1], flood.sent, time.monotonic()
    heard_s.clear()
    growth = 0
    with flood.at(TIMES_THE_RATE * rate_hz):
        while (passed_s := time.monotonic() - begin_s) < seconds:
            show(f'{what}: {seconds - passed_s:.0f} s to go')
            robot.spin(0.5)
            growth = max(growth, resident_bytes(learner.pid) - rss)
    sent = flood.sent - sent
    sent_hz = sent / (time.monotonic() - begin_s)
    robot.spin(0.5 * SETTLE_S)  # until nothing comes any more
    robot.spin(SETTLE_S * patience, lambda: uncounted(statuses[-1]) == 0)
    heard_s.insert(0, begin_s)
    pause_s = max(b - a for a, b in zip(heard_s, heard_s[1:]))
    status, health = statuses[-1], robot.fresh_health('snn_learner')
    with flood.at(TIMES_THE_RATE * rate_hz):
        took_s = [transit(robot, Transition.TRANSITION_DEACTIVATE)]
        transit(robot, Transition.TRANSITION_ACTIVATE)
        seen = len(statuses)
        robot.wait_for(
            lambda: statuses[seen:] and statuses[-1].frames_classified > 2,
            'frames after another activation',
        )
        took_s.append(learner.stop())
    new = {
        name: getattr(status, name) - getattr(before, name)
        for name in ('frames_received', 'frames_classified', 'frames_dropped')
    }
    told = (
        f'{new["frames_received"]:,} reached the node, {new["frames_classified"]:,} '
        f'classified, at most {pause_s:.2f} s apart, '
        f'{new["frames_dropped"]:,} dropped and counted'
    )
    discarded = health.values.get('events: discarded packets')
    if discarded:
        told = f'{int(discarded):,} packets discarded undecoded and counted; of windows ' + told
    return Finding(
        f'{what}, {sent_hz:.0f} a second where {rate_hz:.0f} can be taken',
        f'{sent:,} in {seconds:g} s',
        f'{told}; {uncounted(status)} uncounted; memory {growth / 2**20:+.0f} MB; '
        f'deactivated in {took_s[0]:.1f} s, ended in {took_s[1]:.1f} s',
        f'classifications go on, each frame that reaches the node is counted, at most '
        f'{MAX_GROWTH // 2**20} MB more, {PROMPT_S:g} s to deactivate and to end',
        uncounted(status) == 0
        and growth <= MAX_GROWTH
        and max(*took_s, pause_s) <= PROMPT_S * patience
        and (new['frames_dropped'] > 0 or int(discarded or 0) > 0),
    )


def uncounted(status: msg.LearnerStatus) -> int:
    """Frames that have reached the node, and of which it does not say what became."""
    return (
        status.frames_received
        - status.frames_classified
        - status.frames_dropped
        - status.frames_rejected
        - status.frames_skipped
    )


def work(robot: Robot) -> int:
    """How many messages were worked off so far: frames, or packets decoded."""
    health: Health = robot.fresh_health('snn_learner')
    return int(health.values.get('events: packets') or health.values['frames classified'])


def transit(robot: Robot, transition: int) -> float:
    """How long it took, s."""
    begin_s = time.monotonic()
    answer = robot.call(
        ChangeState,
        'snn_learner/change_state',
        ChangeState.Request(transition=Transition(id=transition)),
        timeout_s=60.0,
    )
    if not answer.success:
        raise RuntimeError(f'transition {transition} failed')
    return time.monotonic() - begin_s


class Flood:
    """Messages from a thread of their own."""

    def __init__(self, robot: Robot, message_type: type, topic: str, profile, make: Iterator[Any]):
        self._publisher = robot.node.create_publisher(message_type, topic, profile)
        self._make = make
        self.sent = 0

    @contextmanager
    def at(self, rate_hz: float) -> Iterator[None]:
        """So many a second, or as many as go, while in the context."""
        over = threading.Event()
        thread = threading.Thread(target=self._send, args=(1.0 / rate_hz, over.is_set))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _send(self, period_s: float, over: Callable[[], bool]) -> None:
        due_s = time.monotonic()
        for message in self._make:
            if over():
                return
            time.sleep(max(0.0, due_s - time.monotonic()))
            self._publisher.publish(message)
            self.sent += 1
            due_s = max(due_s + period_s, time.monotonic() - 0.5)


def large_images() -> Iterator[Image]:
    image, _ = real.Digits().image()
    pixels = np.frombuffer(image.data, np.uint8).reshape(real.HEIGHT, real.WIDTH, 3)
    large = np.repeat(np.repeat(pixels, 4, axis=0), 4, axis=1)
    height, width, _ = large.shape
    message = Image(
        height=height,
        width=width,
        encoding='bgr8',
        step=3 * width,
        data=array.array('B', large.tobytes()),
    )
    while True:
        message.header.stamp = real.now()
        yield message


def dense_packets() -> Iterator[EventPacket]:
    """Something moves; encoded once, as the encoder takes longer than the decoder."""
    encoder = Evt3Encoder(real.WIDTH, real.HEIGHT)
    events = np.zeros(EVENTS_A_PACKET, EVENT)
    events['x'], events['y'] = np.random.default_rng(0).integers(80, 160, (2, EVENTS_A_PACKET))
    events['t'] = 1000 * np.linspace(0, EVENT_PERIOD_US, EVENTS_A_PACKET, False).astype(np.int64)
    packets = []
    for _ in range(2**24 // EVENT_PERIOD_US):
        packets.append(array.array('B', encoder.encode(events)))
        events['t'] += 1000 * EVENT_PERIOD_US
    for number, payload in enumerate(itertools.cycle(packets)):
        message = EventPacket(
            width=real.WIDTH, height=real.HEIGHT, encoding='evt3', seq=number, events=payload
        )
        message.header.stamp = real.now()
        yield message
