"""The controller as a process: how soon a new budget is answered, and what it takes to run.

    python -m benchmarks.reaction [--budgets 50] [--seconds 30]

Camera at 30 frames a second, learner, battery and controller are processes. Prints the time
between the publication of a budget and the arrival of the decision that follows, here over DDS
both ways, and the controller's share of a core meanwhile.
"""

from __future__ import annotations

import argparse
import math
import random
import tempfile
import time
from pathlib import Path

import numpy as np
import rclpy

from benchmarks.processes import Robot, processor_time_s
from topspark_ros import msg
from topspark_ros.cli import ros
from topspark_ros.nodes import qos

FRAME_RATE_HZ = 30.0
POWERS_W = 1.5e-5, 2e-4  # with the shipped profile at that rate: learning is off, and on
ANSWER_TIMEOUT_S = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--budgets', type=int, default=50, help='to send')
    parser.add_argument(
        '--seconds', type=float, default=30.0, help='to watch the processor time before'
    )
    arguments = parser.parse_args()
    ros.keep_local()
    rclpy.init()
    with tempfile.TemporaryDirectory() as folder, Robot(Path(folder)) as robot:
        measure(arguments, robot)
    rclpy.shutdown()


def measure(arguments: argparse.Namespace, robot: Robot) -> None:
    decided_s: list[float] = []  # when decisions arrived
    robot.node.create_subscription(
        msg.TimestepDecision,
        'timestep_decision',
        lambda decision: decided_s.append(time.monotonic()),
        qos.DECISIONS,
    )
    statuses = robot.collect(msg.LearnerStatus, 'snn_learner/status')
    publisher = robot.node.create_publisher(msg.PowerBudget, 'power_budget', qos.STATE)

    robot.start('snn_learner')
    controller = robot.start('timestep_controller')
    robot.start('battery_simulator')
    robot.wait_for(
        lambda: statuses and publisher.get_subscription_count(), 'a learner and a controller'
    )
    robot.start('dataset_camera', frame_rate=FRAME_RATE_HZ, frames=1_000_000)
    robot.spin(10.0)

    before_s = processor_time_s(controller.pid)
    robot.spin(arguments.seconds)
    share = (processor_time_s(controller.pid) - before_s) / arguments.seconds
    rate_hz = statuses[-1].frame_rate

    generator = random.Random(0)
    reactions_s = []
    for number in range(arguments.budgets):
        robot.spin(generator.uniform(2.5, 3.5))  # longer than the dwell
        seen = len(decided_s)
        sent_s = time.monotonic()
        publisher.publish(
            msg.PowerBudget(
                source='operator',
                power=POWERS_W[number % 2],
                energy=math.nan,
                duration=math.nan,
                deadline=math.nan,
                min_accuracy=math.nan,
                lifetime=math.nan,
            )
        )
        robot.wait_for(
            lambda: len(decided_s) > seen, f'a decision after budget {number}', ANSWER_TIMEOUT_S
        )
        reactions_s.append(decided_s[seen] - sent_s)
    print('| what | bound | figure |\n|---|---|---|')
    print(f"| the controller's share of a core at {rate_hz:.1f} frames/s | 2 % | {share:.2%} |")
    print(
        f'| reaction to a budget, {len(reactions_s)} steps: median, worst | 1 s | '
        f'{np.median(reactions_s) * 1e3:.1f} ms, {max(reactions_s) * 1e3:.1f} ms |'
    )


if __name__ == '__main__':
    main()
