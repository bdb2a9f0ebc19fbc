"""Plays a bag in real time over DDS, as `ros2 bag play` does, on machines without rosbag2.

The messages are those of the bag, byte for byte.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import rclpy
import yaml
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSLivelinessPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
)
from rclpy.time import Time
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosgraph_msgs.msg import Clock

# The keys of a QoS override of rosbag2, and how each is read; others are rejected.
_POLICIES = {
    'history': QoSHistoryPolicy.get_from_short_key,
    'reliability': QoSReliabilityPolicy.get_from_short_key,
    'durability': QoSDurabilityPolicy.get_from_short_key,
    'liveliness': QoSLivelinessPolicy.get_from_short_key,
    'depth': int,
    'avoid_ros_namespace_conventions': bool,
    **dict.fromkeys(
        ('deadline', 'lifespan', 'liveliness_lease_duration'),
        lambda time: Duration(seconds=time['sec'], nanoseconds=time['nsec']),
    ),
}


def read_qos_overrides(path: str | Path) -> dict[str, QoSProfile]:
    """A QoS override file of rosbag2: what is offered, by topic."""
    content = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    return {
        topic: QoSProfile(**{key: _POLICIES[key](value) for key, value in policies.items()})
        for topic, policies in content.items()
    }


def play(
    bag: str | Path,
    *,
    topics: Iterable[str] = (),
    rate: float = 1.0,
    start_offset_s: float = 0.0,
    delay_s: float = 0.0,
    clock_hz: float = 0.0,
    subscribed: Iterable[str] = (),
    ready: Callable[[], object] = lambda: None,
    acknowledged_within: Duration = Duration(seconds=60),
    qos_overrides: Mapping[str, QoSProfile] = {},
) -> int:
    """Publish a bag's messages at their recorded times; returns how many.

    topics: those that are played; none: all.
    rate: times real time.
    subscribed: topics that must have a subscriber before the delay begins.
    ready: called then; it returns when the subscribers know the publishers too.
    delay_s: from when the publishers are there to the first message. /clock runs meanwhile, and
        then jumps back, as that of rosbag2.
    clock_hz: of /clock; 0: none.
    acknowledged_within: wait so long at the end for what was published reliably to be received.
    qos_overrides: by topic; on others what was recorded is offered.

    Needs `rclpy.init`; ends early when rclpy is shut down.
    """
    with Reader(Path(bag)) as reader:
        connections = [
            connection
            for connection in reader.connections
            if not topics or connection.topic in set(topics)
        ]
        node = Node('bag_player', use_global_arguments=False)
        publishers = {
            connection.id: _publisher(node, connection, qos_overrides) for connection in connections
        }
        clock = _Clock(node, reader.start_time + round(start_offset_s * 1e9), rate, clock_hz)
        try:
            waiting = [
                publishers[connection.id]
                for connection in connections
                if connection.topic in set(subscribed)
            ]
            while rclpy.ok() and not all(p.get_subscription_count() for p in waiting):
                time.sleep(0.01)
            ready()
            clock.restart()
            clock.run_until(clock.start_ns + round(delay_s * 1e9 * rate))
            clock.restart()
            played = 0
            for connection, recorded_ns, data in reader.messages(connections, start=clock.start_ns):
                clock.run_until(recorded_ns)
                if not rclpy.ok():
                    break
                publishers[connection.id].publish(bytes(data))
                played += 1
            for publisher in publishers.values():  # what is reliable must not go with it
                publisher.wait_for_all_acked(acknowledged_within)
            return played
        finally:
            node.destroy_node()


class _Clock:
    """Time of the bag, ns, and its publisher."""

    def __init__(self, node: Node, start_ns: int, rate: float, publish_hz: float):
        self.start_ns = start_ns
        self._rate = rate
        self._period_ns = 1e9 / publish_hz if publish_hz else 0.0  # wall time
        self._publisher = node.create_publisher(Clock, '/clock', 1) if publish_hz else None
        self._published_ns = 0
        self.restart()

    def restart(self) -> None:
        self._began_ns = time.monotonic_ns()

    def run_until(self, until_ns: int) -> None:
        """Return when it is that time, and publish meanwhile."""
        due_ns = self._began_ns + (until_ns - self.start_ns) / self._rate
        while rclpy.ok():
            now_ns = time.monotonic_ns()
            next_ns = due_ns
            if self._publisher is not None:
                if now_ns >= self._published_ns + self._period_ns:
                    bag_ns = self.start_ns + round((now_ns - self._began_ns) * self._rate)
                    self._publisher.publish(Clock(clock=Time(nanoseconds=bag_ns).to_msg()))
                    self._published_ns = now_ns
                next_ns = min(due_ns, self._published_ns + self._period_ns)
            if now_ns >= due_ns:
                return
            time.sleep(max(next_ns - now_ns, 0.0) * 1e-9)


def _publisher(
    node: Node, connection: Connection, overrides: Mapping[str, QoSProfile]
) -> Publisher:
    package, _, name = connection.msgtype.split('/')
    message_type = getattr(importlib.import_module(f'{package}.msg'), name)
    recorded = connection.ext.offered_qos_profiles
    profile = overrides.get(connection.topic)
    if profile is None:
        profile = (
            QoSProfile(depth=10)
            if not recorded
            else QoSProfile(
                depth=recorded[0].depth,
                **{
                    name: _POLICIES[name](getattr(recorded[0], name).name.lower())
                    for name in ('history', 'reliability', 'durability')
                },
            )
        )
    return node.create_publisher(message_type, connection.topic, profile)
