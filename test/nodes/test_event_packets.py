"""Event packets: the message type of the camera drivers, and every byte of it through DDS."""

from __future__ import annotations

import array
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from rig import msg  # noqa: F401  skips without ROS

import pytest
from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import Reader
from std_msgs.msg import Header

from topspark_ros.nodes import qos
from topspark_ros.streams.event_bags import read_packets

EventPacket = pytest.importorskip(
    'event_camera_msgs.msg', reason='needs event_camera_msgs: run `make test`'
).EventPacket

SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data'
RECORDING = Path(os.environ.get('TOPSPARK_DATA') or SHARED) / 'events' / 'test_data_evt3_trigger'

FIELDS = [
    ('header', 'std_msgs/Header'),
    ('height', 'uint32'),
    ('width', 'uint32'),
    ('seq', 'uint64'),
    ('time_base', 'uint64'),
    ('encoding', 'string'),
    ('is_bigendian', 'boolean'),
    ('events', 'sequence<uint8>'),
]
TYPE_HASH = 'd6fa176260b1f37e5a40845305315e150a0f18191241eb64f407442aa29844aa'  # RIHS01

CAMERA = """
import sys
import rclpy
from event_camera_msgs.msg import EventPacket
from rclpy.serialization import deserialize_message
from topspark_ros.nodes import qos

rclpy.init()
node = rclpy.create_node('camera', namespace=sys.argv[1])
publisher = node.create_publisher(EventPacket, 'events', qos.STATE)
publisher.publish(deserialize_message(sys.stdin.buffer.read(), EventPacket))
rclpy.spin(node)
"""


@contextmanager
def camera(namespace: str, packet: bytes, folder: Path):
    """A process that publishes the serialised packet once, and keeps it for late joiners."""
    process = subprocess.Popen(
        [sys.executable, '-c', CAMERA, namespace], cwd=folder, stdin=subprocess.PIPE
    )
    try:
        process.stdin.write(packet)
        process.stdin.close()
        yield process
    finally:
        process.kill()  # rclpy.spin does not hear of a signal that comes as it begins
        process.wait()


def through_dds(rig, packet: bytes) -> EventPacket:
    received = rig.collect(EventPacket, 'events', qos.STATE)
    with camera(rig.namespace, packet, rig.folder) as process:
        rig.wait_for(lambda: received or process.poll() is not None, 'a packet')
    (message,) = received
    return message


def test_the_type_is_that_of_the_camera_drivers(rig):
    assert list(EventPacket.get_fields_and_field_types().items()) == FIELDS
    rig.collect(EventPacket, 'events')
    (endpoint,) = rig.node.get_subscriptions_info_by_topic(f'{rig.namespace}/events')
    assert endpoint.topic_type == 'event_camera_msgs/msg/EventPacket'
    assert endpoint.topic_type_hash.value.hex() == TYPE_HASH


def test_a_made_packet_arrives_byte_for_byte(rig):
    sent = EventPacket(
        header=Header(stamp=Time(sec=2**31 - 1, nanosec=999_999_999), frame_id='eye'),
        height=720,
        width=1280,
        seq=2**64 - 1,
        time_base=2**63,
        encoding='evt3',
        is_bigendian=True,
        events=array.array('B', bytes(range(256)) * 4096),
    )
    assert through_dds(rig, serialize_message(sent)) == sent


@pytest.mark.skipif(not RECORDING.is_dir(), reason=f'no {RECORDING}: set TOPSPARK_DATA')
def test_a_recorded_packet_arrives_byte_for_byte(rig):
    with Reader(RECORDING) as reader:
        _, _, recorded = next(reader.messages())
    received = through_dds(rig, bytes(recorded))
    packet = next(read_packets(RECORDING))
    assert received.events.tobytes() == packet.payload.tobytes()
    for field in ('encoding', 'width', 'height', 'seq', 'time_base'):
        assert getattr(received, field) == getattr(packet, field)
