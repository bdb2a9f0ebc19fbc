"""Input that comes several times as fast as the learner can take it."""

from __future__ import annotations

import array
import itertools
import threading
from collections.abc import Callable
from contextlib import contextmanager

from rig import Camera, Rig, image, msg

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from lifecycle_msgs.msg import Transition

from topspark_ros.nodes import conversions, qos
from topspark_ros.streams.events import EVENT, Evt3Encoder

EventPacket = pytest.importorskip(
    'event_camera_msgs.msg', reason='needs event_camera_msgs: run `make test`'
).EventPacket

LEARNER = 'snn_learner'
WIDTH, HEIGHT = 160, 120
EVENTS = 100_000  # a packet: to decode them takes ten times as long as to send them
TIME_HIGH, TIME_HIGH_US = (
    0x8,
    4096,
)  # of EVT 3.0: type of its words, and the unit that they count in
PACKET_NS = 5 * TIME_HIGH_US * 1000  # of sensor time, so that four packets make a window
BEGIN_NS = 1_700_000_000_000_000_000


@contextmanager
def flood(rig: Rig, message_type: type, topic: str, profile, make: Callable[[int], object]):
    """Publish from another thread, without a pause."""
    publisher = rig.node.create_publisher(message_type, topic, profile)
    rig.wait_for(publisher.get_subscription_count, f'a subscriber of {topic}')
    over = threading.Event()

    def run() -> None:
        for number in itertools.count():
            if over.is_set():
                return
            publisher.publish(make(number))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        rig.node.destroy_publisher(publisher)


def blob() -> np.ndarray:
    """Events of something that moves."""
    random = np.random.default_rng(0)
    events = np.zeros(EVENTS, EVENT)
    events['x'], events['y'] = random.integers(40, 80, (2, EVENTS))
    events['t'] = np.arange(EVENTS) * PACKET_NS // EVENTS
    return events


def evt3() -> Callable[[int], EventPacket]:
    words = np.frombuffer(Evt3Encoder(WIDTH, HEIGHT).encode(blob()), np.uint16).copy()
    places = np.flatnonzero(words >> 12 == TIME_HIGH)
    begin = words[places].astype(int)

    def make(number: int) -> EventPacket:
        # Sensor time is in the payload, and goes on from one to the next.
        high = (begin + PACKET_NS // 1000 // TIME_HIGH_US * number) & 0xFFF
        words[places] = TIME_HIGH << 12 | high
        return packet('evt3', number, array.array('B', words.tobytes()))

    return make


def mono() -> Callable[[int], EventPacket]:
    events = blob()
    words = events['t'] | events['x'].astype('i8') << 32 | events['y'].astype('i8') << 48
    payload = array.array('B', words.astype('<i8').tobytes())

    def make(number: int) -> EventPacket:
        return packet('mono', number, payload)

    return make


def packet(encoding: str, number: int, payload: array.array) -> EventPacket:
    message = EventPacket(
        width=WIDTH,
        height=HEIGHT,
        encoding=encoding,
        seq=number,
        time_base=number * PACKET_NS,
        events=payload,
    )
    message.header.stamp = conversions.stamp(BEGIN_NS + (number + 1) * PACKET_NS)
    return message


@pytest.mark.parametrize('packets', [evt3, mono])
def test_windows_are_classified_though_packets_come_faster_than_they_are_decoded(rig, packets):
    rig.start(
        LEARNER, input='events', status_period=0.05, training_timesteps=16, inference_timesteps=16
    )
    rig.wait_until_active(LEARNER)
    results = rig.collect(msg.Classification, 'classification')
    with flood(rig, EventPacket, 'events', qos.EVENTS, packets()):
        rig.wait_for(lambda: 'packets come faster than they are decoded' in rig.concern(LEARNER))
        known = len(results)
        rig.wait_for(lambda: len(results) > known + 10, 'windows under overload')
        # A decoder that loses its place has no window at all: those that it has are whole.
        spans = np.diff([conversions.stamp_ns(result.header.stamp) for result in results])
        assert spans.min() > 0.9 * 4 * PACKET_NS
        assert rig.transit(LEARNER, Transition.TRANSITION_DEACTIVATE)
        assert rig.state(LEARNER) == 'inactive'
        assert rig.transit(LEARNER, Transition.TRANSITION_ACTIVATE)
        known = len(results)
        rig.wait_for(lambda: len(results) > known, 'a window after it was activated again')


def test_images_are_classified_though_they_come_faster_than_they_can_be(rig):
    rig.start(LEARNER, status_period=0.05, neurons=5000, rule='pairwise')
    rig.wait_until_active(LEARNER)
    results = rig.collect(msg.Classification, 'classification')
    message = image(Camera(rig).next_digit()[0])

    def make(number: int):
        message.header.stamp = Time(sec=1 + number // 1000, nanosec=number % 1000 * 1_000_000)
        return message

    with flood(rig, type(message), 'image', qos.sensor(1), make):
        rig.wait_for(lambda: int(rig.health(LEARNER, 'frames dropped') or 0) > 100)
        known = len(results)
        rig.wait_for(lambda: len(results) > known + 10, 'frames under overload')
        assert rig.transit(LEARNER, Transition.TRANSITION_DEACTIVATE)
        assert rig.state(LEARNER) == 'inactive'
