"""The event simulator as a process: frames in, packets out that say where the edges went."""

from __future__ import annotations

from rig import Rig, image, msg  # noqa: F401  skips without ROS

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image

from topspark_ros.nodes import qos
from topspark_ros.streams.events import EventCamera, EventDecoder

EventPacket = pytest.importorskip(
    'event_camera_msgs.msg', reason='needs event_camera_msgs: run `make test`'
).EventPacket

NODE = 'event_simulator'
INTERVAL_NS = 20_000_000
WRAP_NS = 2**24 * 1000  # of the clock of evt3
WIDTH, HEIGHT, SIDE = 160, 120, 40


def square(left: int, top: int = 30, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A bright square on grey, (height, width) uint8."""
    gray = np.full((height, width), 60, np.uint8)
    gray[top : top + SIDE, left : left + SIDE] = 180
    return gray


def frame(gray: np.ndarray, encoding: str = 'mono8', **layout) -> Image:
    return image(cv2.merge([gray] * 3), encoding, **layout)


class Feed:
    """Frames at equal distances to a running simulator, and the packets that it sends."""

    def __init__(self, rig: Rig, **parameters):
        self.rig = rig
        self.packets: list[EventPacket] = rig.collect(EventPacket, 'events', qos.EVENTS)
        self.process = rig.start(NODE, **parameters)
        self.time_ns = 1_000_000_000_000
        self.meet()

    def meet(self) -> None:
        """Show a square that does not move until a packet has come: the first ones may be lost."""

        def seen():
            self.send(frame(square(20)))
            self.rig.spin(0.1)
            return self.packets

        self.rig.wait_for(seen, 'a first packet')
        self.show(frame(square(20)))  # whatever was still under way has come before this

    def send(self, message: Image, later_ns: int = INTERVAL_NS) -> Time:
        self.time_ns += later_ns
        message.header.stamp = Time(sec=self.time_ns // 10**9, nanosec=self.time_ns % 10**9)
        message.header.frame_id = 'eye'
        self.rig.publish('image', message, qos.sensor(10))
        return message.header.stamp

    def show(self, message: Image, later_ns: int = INTERVAL_NS) -> EventPacket:
        """Send one frame and wait for its packet."""
        known = len(self.packets)
        stamp = self.send(message, later_ns)
        return self.rig.wait_for(
            lambda: next((p for p in self.packets[known:] if p.header.stamp == stamp), None),
            'a packet',
        )


def decode(packet: EventPacket) -> np.ndarray:
    return EventDecoder(packet.encoding, packet.width, packet.height).decode(packet.events)[0]


def test_a_moving_square_is_events_at_its_edges(rig):
    feed = Feed(rig, contrast_threshold=0.25, refractory_period=0.0)
    lefts = range(23, 53, 3)
    layouts = [dict(encoding='mono8'), dict(encoding='mono8', padding=3), dict(encoding='bgr8')]
    sent = [feed.show(frame(square(left), **layouts[i % 3])) for i, left in enumerate(lefts)]
    assert [packet.seq for packet in feed.packets] == list(
        range(feed.packets[0].seq, feed.packets[0].seq + len(feed.packets))
    )

    twin = EventCamera(WIDTH, HEIGHT, 0.25, refractory_s=0)
    time_ns = feed.time_ns - len(lefts) * INTERVAL_NS
    twin.observe(square(20), time_ns)
    decoder = EventDecoder('evt3', WIDTH, HEIGHT)
    for left, packet in zip(lefts, sent):
        assert (packet.width, packet.height, packet.encoding) == (WIDTH, HEIGHT, 'evt3')
        assert (packet.header.frame_id, packet.time_base) == ('eye', 0)
        time_ns += INTERVAL_NS
        events, _ = decoder.decode(packet.events, packet.time_base, packet.seq)
        for polarity, columns in (
            (1, range(left + SIDE - 3, left + SIDE)),
            (0, range(left - 3, left)),
        ):
            side = events[events['p'] == polarity]
            assert len(side) == 4 * 3 * SIDE  # ln 3 / 0.25
            assert set(zip(side['x'].tolist(), side['y'].tolist())) == {
                (x, y) for x in columns for y in range(30, 30 + SIDE)
            }
        expected = twin.observe(square(left), time_ns)
        for field in 'xyp':
            np.testing.assert_array_equal(events[field], expected[field])
        np.testing.assert_array_equal(events['t'] % WRAP_NS, expected['t'] // 1000 * 1000 % WRAP_NS)
    assert decoder.counts.gaps == 0

    rig.wait_for(lambda: rig.health(NODE, 'events') == str(len(lefts) * 8 * 3 * SIDE))
    assert int(rig.health(NODE, 'frames')) == feed.packets[-1].seq + 1
    rig.wait_for(lambda: 'no frame on' in rig.concern(NODE))


def test_a_large_frame_in_colour_is_seen_in_full(rig):
    feed = Feed(rig, refractory_period=0.0)
    for left in (600, 610):
        packet = feed.show(frame(square(left, width=660, height=480), encoding='bgr8'))
    assert (packet.width, packet.height) == (660, 480)
    assert set(decode(packet)['x'].tolist()) == {*range(600, 610), *range(600 + SIDE, 610 + SIDE)}


def test_noise_comes_at_its_rate(rig):
    feed = Feed(rig, noise_rate=20.0, refractory_period=0.0)
    packet = feed.show(frame(square(20)))
    expected = 20.0 * WIDTH * HEIGHT * INTERVAL_NS * 1e-9
    assert abs(len(decode(packet)) - expected) < 5 * expected**0.5


def test_frames_that_make_no_sense_are_counted_and_the_node_goes_on(rig):
    feed = Feed(rig)
    short, unknown = frame(square(20)), frame(square(20))
    short.data = short.data[:-1]
    unknown.encoding = '8SC1'
    before = feed.packets[-1].seq
    feed.send(short, 1)
    feed.send(unknown, 1)
    feed.send(frame(np.zeros((1, 2049), np.uint8)), 1)
    feed.send(frame(square(20)), -3)  # at the same time as the last one that was good
    packet = feed.show(frame(square(23)))
    assert packet.seq == before + 1 and len(decode(packet)) > 0
    rig.wait_for(lambda: rig.health(NODE, 'frames rejected') == '4')
    assert rig.rejected(NODE, 'image') == 4
    assert feed.process.running and 'Traceback' not in feed.process.log
    complaint = 'image: data is 19199 bytes, accepted is exactly 19200 (step 160 x height 120)'
    rig.wait_for(lambda: complaint in feed.process.log)


def test_another_size_and_time_that_goes_back_start_the_camera_again(rig):
    feed = Feed(rig)
    feed.show(frame(square(23)))
    small = feed.show(frame(square(20, width=100)))
    assert (small.width, small.seq, len(small.events)) == (100, 0, 0)
    moved = feed.show(frame(square(23, width=100)))
    assert (moved.width, moved.seq) == (100, 1) and len(decode(moved)) > 0
    rig.wait_for(lambda: 'frames of 100 x 120 pixels: the camera starts' in feed.process.log)

    for later_ns in (-5 * INTERVAL_NS, 2_000_000_000):
        again = feed.show(frame(square(20, width=100)), later_ns)
        assert (again.seq, len(again.events)) == (0, 0)
        assert len(decode(feed.show(frame(square(23, width=100))))) > 0
    rig.wait_for(lambda: 'accepted: up to 1 s later; the camera starts again' in feed.process.log)
    rig.wait_for(lambda: rig.health(NODE, 'restarts') == '2')


def test_a_frame_without_a_stamp_gets_the_nodes_time(rig):
    feed = Feed(rig)
    known = len(feed.packets)
    rig.publish('image', frame(square(23)), qos.sensor(10))
    packet = rig.wait_for(lambda: feed.packets[known:], 'a packet')[0]
    now_s = rig.node.get_clock().now().nanoseconds * 1e-9
    assert abs(packet.header.stamp.sec - now_s) < 60
