"""The controller as a process: how soon a new budget is answered, and what it takes to run.

    python benchmarks/reaction.py [--budgets 50] [--seconds 30]

Camera at 30 frames a second, learner, battery and controller are processes. Prints the time
between the publication of a budget and the arrival of the decision that follows, here over DDS
both ways, and the controller's share of a core meanwhile.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import rclpy

from topspark_ros import msg
from topspark_ros.cli import ros
from topspark_ros.nodes import qos

FRAME_RATE_HZ = 30.0
POWERS_W = 1.5e-5, 2e-4    # with the shipped profile at that rate: learning is off, and on
START_TIMEOUT_S = 120.0
ANSWER_TIMEOUT_S = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--budgets', type=int, default=50, help='to send')
    parser.add_argument('--seconds', type=float, default=30.0,
                        help='to watch the processor time before')
    arguments = parser.parse_args()
    ros.keep_local()
    rclpy.init()
    with ExitStack() as stack:
        stack.callback(rclpy.try_shutdown)
        measure(arguments, stack)


def measure(arguments: argparse.Namespace, stack: ExitStack) -> None:
    namespace = f'/reaction_{os.getpid()}'
    node = rclpy.create_node('operator', namespace=namespace)
    stack.callback(node.destroy_node)
    decided_s: list[float] = []     # when decisions arrived
    statuses: list[msg.LearnerStatus] = []
    node.create_subscription(msg.TimestepDecision, 'timestep_decision',
                             lambda decision: decided_s.append(time.monotonic()), qos.DECISIONS)
    node.create_subscription(msg.LearnerStatus, 'snn_learner/status', statuses.append, qos.STATUS)
    publisher = node.create_publisher(msg.PowerBudget, 'power_budget', qos.STATE)

    def start(executable: str, *parameters: str) -> subprocess.Popen:
        values = [word for parameter in parameters for word in ('-p', parameter)]
        process = subprocess.Popen([ros.executable(executable), '--ros-args', '-r', f'__ns:={namespace}',
                                    '--log-level', 'error', *values])
        stack.callback(process.wait)
        stack.callback(process.send_signal, signal.SIGINT)
        return process

    def spin(seconds: float, until=lambda: False) -> bool:
        end_s = time.monotonic() + seconds
        while not until():
            left_s = end_s - time.monotonic()
            if left_s <= 0.0:
                return False
            rclpy.spin_once(node, timeout_sec=min(left_s, 0.05))
        return True

    start('snn_learner')
    controller = start('timestep_controller')
    start('battery_simulator')
    if not spin(START_TIMEOUT_S, lambda: statuses and publisher.get_subscription_count()):
        raise SystemExit(f'no learner and controller within {START_TIMEOUT_S:g} s')
    start('dataset_camera', f'frame_rate:={FRAME_RATE_HZ}', 'frames:=1000000')
    spin(10.0)

    before_s = processor_time_s(controller.pid)
    spin(arguments.seconds)
    share = (processor_time_s(controller.pid) - before_s) / arguments.seconds
    rate_hz = statuses[-1].frame_rate

    generator = random.Random(0)
    reactions_s = []
    for number in range(arguments.budgets):
        spin(generator.uniform(2.5, 3.5))     # longer than the dwell
        seen = len(decided_s)
        sent_s = time.monotonic()
        publisher.publish(msg.PowerBudget(
            source='operator', power=POWERS_W[number % 2], energy=math.nan, duration=math.nan,
            deadline=math.nan, min_accuracy=math.nan, lifetime=math.nan))
        if not spin(ANSWER_TIMEOUT_S, lambda: len(decided_s) > seen):
            raise SystemExit(f'no decision within {ANSWER_TIMEOUT_S:g} s of budget {number}')
        reactions_s.append(decided_s[seen] - sent_s)
    print('| what | bound | figure |\n|---|---|---|')
    print(f"| the controller's share of a core at {rate_hz:.1f} frames/s | 2 % | {share:.2%} |")
    print(f'| reaction to a budget, {len(reactions_s)} steps: median, worst | 1 s | '
          f'{np.median(reactions_s) * 1e3:.1f} ms, {max(reactions_s) * 1e3:.1f} ms |')


def processor_time_s(pid: int) -> float:
    """Of a process with all its threads, user and system."""
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


if __name__ == '__main__':
    main()
