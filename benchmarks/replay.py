"""Recorded event packets sent through DDS, as fast as they were recorded, to a learner process.

    python -m benchmarks.replay [--bag BAG] [--seconds 10] [--speed 1]

Prints how many packets were sent and how many the learner decoded and lost. A bag shorter than that
is repeated, with `seq` going on.
"""

from __future__ import annotations

import argparse
import array
import os
import signal
import subprocess
import time
from itertools import count
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from event_camera_msgs.msg import EventPacket

from topspark_ros.cli import ros
from topspark_ros.nodes import qos
from topspark_ros.streams.datasets import DATA_VARIABLE
from topspark_ros.streams.event_bags import read_packets

BAGS = ('test_data_evt3_trigger', 'libcaer_first_half', 'test_events_2')
LEARNER = 'snn_learner'
START_TIMEOUT_S = 120.0
SETTLE_S = 3.0    # for the last diagnostics, which come once a second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--bag', type=Path, action='append',
                        help=f'more than one may be given (default: those of {DATA_VARIABLE})')
    parser.add_argument('--seconds', type=float, default=10.0, help='to replay each bag')
    parser.add_argument('--speed', type=float, default=1.0, help='times as fast as recorded')
    arguments = parser.parse_args()
    folder = Path(os.environ.get(DATA_VARIABLE) or '.') / 'events'
    ros.keep_local()
    rclpy.init()
    print('| bag | packets/s | MB/s | million events/s | sent | decoded | lost | windows '
          'dropped |\n|---|---|---|---|---|---|---|---|')
    for bag in arguments.bag or [folder / name for name in BAGS]:
        row = replay(bag, arguments.seconds, arguments.speed)
        print('| ' + ' | '.join(row) + ' |', flush=True)
    rclpy.shutdown()


def replay(bag: Path, seconds: float, speed: float) -> list[str]:
    """One row of the table."""
    messages, offsets_s = recorded(bag)
    namespace = f'/replay_{os.getpid()}_{time.monotonic_ns()}'
    node = rclpy.create_node('player', namespace=namespace)
    health: dict[str, str] = {}

    def on_diagnostics(array_message: DiagnosticArray) -> None:
        for status in array_message.status:
            if status.name == f'{namespace}/{LEARNER}'.lstrip('/'):
                health.update({value.key: value.value for value in status.values})

    node.create_subscription(DiagnosticArray, '/diagnostics', on_diagnostics, 100)
    publisher = node.create_publisher(EventPacket, 'events', qos.EVENTS)
    process = subprocess.Popen([
        ros.executable(LEARNER), '--ros-args', '-r', f'__ns:={namespace}', '--log-level', 'warn',
        '-p', 'input:=events', '-p', 'queue_depth:=20', '-p', 'training_timesteps:=16',
        '-p', 'inference_timesteps:=16'])
    try:
        end_s = time.monotonic() + START_TIMEOUT_S
        while publisher.get_subscription_count() == 0:
            if time.monotonic() > end_s:
                raise SystemExit(f'{LEARNER} did not subscribe within {START_TIMEOUT_S:g} s')
            rclpy.spin_once(node, timeout_sec=0.1)
        # The first packet compiles, or loads, the decoder of its encoding.
        send(publisher, messages[0], 0)
        spin(node, SETTLE_S)

        sent = 1
        begin_s = time.monotonic()
        round_s = offsets_s[-1] + offsets_s[-1] / max(len(offsets_s) - 1, 1)
        for number in count():
            if number * round_s / speed >= seconds:
                break
            for message, offset_s in zip(messages, offsets_s):
                due_s = begin_s + (number * round_s + offset_s) / speed
                while (wait_s := due_s - time.monotonic()) > 0:
                    rclpy.spin_once(node, timeout_sec=wait_s)
                send(publisher, message, sent)
                sent += 1
        took_s = time.monotonic() - begin_s
        spin(node, SETTLE_S)
        payload = sum(len(message.events) for message in messages) / len(messages) * sent
        return [
            f'{bag.name}, {messages[0].encoding}, {messages[0].width} x {messages[0].height}',
            f'{sent / took_s:.0f}', f'{payload / took_s / 1e6:.1f}',
            f"{int(health['events: events']) / took_s / 1e6:.2f}", str(sent),
            health['events: packets'], health['events: lost packets'], health['frames dropped'],
        ]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        node.destroy_node()


def recorded(bag: Path) -> tuple[list[EventPacket], list[float]]:
    """The packets as messages, and when each came after the first, s."""
    messages, offsets_s = [], []
    first = None
    for packet in read_packets(bag):
        first = packet.recorded if first is None else first
        offsets_s.append((packet.recorded - first) * 1e-9)
        messages.append(EventPacket(
            encoding=packet.encoding, width=packet.width, height=packet.height,
            time_base=packet.time_base, events=array.array('B', packet.payload.tobytes())))
    return messages, offsets_s


def send(publisher, message: EventPacket, seq: int) -> None:
    now = time.time_ns()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(now, 10**9)
    message.seq = seq
    publisher.publish(message)


def spin(node, duration_s: float) -> None:
    end_s = time.monotonic() + duration_s
    while (left_s := end_s - time.monotonic()) > 0:
        rclpy.spin_once(node, timeout_sec=left_s)


if __name__ == '__main__':
    main()
