"""Recorded event packets sent through DDS, as fast as they were recorded, to a learner process.

    python -m benchmarks.replay [--bag BAG] [--seconds 10] [--speed 1]

Prints how many packets were sent and how many the learner decoded and lost. A bag shorter than that
is repeated, with `seq` going on.
"""

from __future__ import annotations

import argparse
import array
import os
import tempfile
import time
from itertools import count
from pathlib import Path

import rclpy
from event_camera_msgs.msg import EventPacket

from benchmarks.processes import Robot
from topspark_ros.cli import ros
from topspark_ros.nodes import qos
from topspark_ros.streams.datasets import DATA_VARIABLE
from topspark_ros.streams.event_bags import read_packets

BAGS = ('test_data_evt3_trigger', 'libcaer_first_half', 'test_events_2')
LEARNER = 'snn_learner'
SETTLE_S = 3.0  # for the last diagnostics, which come once a second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument(
        '--bag',
        type=Path,
        action='append',
        help=f'more than one may be given (default: those of {DATA_VARIABLE})',
    )
    parser.add_argument('--seconds', type=float, default=10.0, help='to replay each bag')
    parser.add_argument('--speed', type=float, default=1.0, help='times as fast as recorded')
    arguments = parser.parse_args()
    folder = Path(os.environ.get(DATA_VARIABLE) or '.') / 'events'
    ros.keep_local()
    rclpy.init()
    print(
        '| bag | packets/s | MB/s | million events/s | sent | decoded | lost | windows '
        'dropped |\n|---|---|---|---|---|---|---|---|'
    )
    for bag in arguments.bag or [folder / name for name in BAGS]:
        row = replay(bag, arguments.seconds, arguments.speed)
        print('| ' + ' | '.join(row) + ' |', flush=True)
    rclpy.shutdown()


def replay(bag: Path, seconds: float, speed: float) -> list[str]:
    """One row of the table."""
    messages, offsets_s = recorded(bag)
    with tempfile.TemporaryDirectory() as folder, Robot(Path(folder)) as robot:
        publisher = robot.node.create_publisher(EventPacket, 'events', qos.EVENTS)
        robot.start(
            LEARNER, input='events', queue_depth=20, training_timesteps=16, inference_timesteps=16
        )
        robot.wait_for(publisher.get_subscription_count, f'a subscription of {LEARNER}')
        # The first packet compiles, or loads, the decoder of its encoding.
        send(publisher, messages[0], 0)
        robot.spin(SETTLE_S)

        sent = 1
        begin_s = time.monotonic()
        round_s = offsets_s[-1] + offsets_s[-1] / max(len(offsets_s) - 1, 1)
        for number in count():
            if number * round_s / speed >= seconds:
                break
            for message, offset_s in zip(messages, offsets_s):
                due_s = begin_s + (number * round_s + offset_s) / speed
                while (wait_s := due_s - time.monotonic()) > 0:
                    robot.spin(wait_s)
                send(publisher, message, sent)
                sent += 1
        took_s = time.monotonic() - begin_s
        robot.spin(SETTLE_S)
        payload = sum(len(message.events) for message in messages) / len(messages) * sent
        health = robot.health[LEARNER].values
        return [
            f'{bag.name}, {messages[0].encoding}, {messages[0].width} x {messages[0].height}',
            f'{sent / took_s:.0f}',
            f'{payload / took_s / 1e6:.1f}',
            f'{int(health["events: events"]) / took_s / 1e6:.2f}',
            str(sent),
            health['events: packets'],
            health['events: lost packets'],
            health['frames dropped'],
        ]


def recorded(bag: Path) -> tuple[list[EventPacket], list[float]]:
    """The packets as messages, and when each came after the first, s."""
    messages, offsets_s = [], []
    first = None
    for packet in read_packets(bag):
        first = packet.recorded if first is None else first
        offsets_s.append((packet.recorded - first) * 1e-9)
        messages.append(
            EventPacket(
                encoding=packet.encoding,
                width=packet.width,
                height=packet.height,
                time_base=packet.time_base,
                events=array.array('B', packet.payload.tobytes()),
            )
        )
    return messages, offsets_s


def send(publisher, message: EventPacket, seq: int) -> None:
    now = time.time_ns()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(now, 10**9)
    message.seq = seq
    publisher.publish(message)


if __name__ == '__main__':
    main()
