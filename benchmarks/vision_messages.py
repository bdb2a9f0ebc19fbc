"""What the learner spends on its topics of `vision/`, by who subscribes to them.

    python -m benchmarks.vision_messages [--seconds 10] [--rounds 3]

Camera (640 x 480 bgr8, 30 frames a second, ten classes) and learner are processes. Prints the
processor time of the learner a classified frame, all of its threads: the median of the rounds, and
the least and the greatest.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import rclpy
from sensor_msgs.msg import Image
from vision_msgs.msg import Classification, Detection2DArray

from benchmarks.processes import NodeProcess, Robot, processor_time_s
from topspark_ros import msg
from topspark_ros.cli import ros
from topspark_ros.nodes import qos

FRAME_RATE_HZ = 30.0
SETTLING_S = 15.0  # in which all classes are learned
NOBODY = 'nobody'
SUBSCRIPTIONS = {
    NOBODY: None,
    'vision/classification': (Classification, qos.RESULT),
    'vision/detections': (Detection2DArray, qos.RESULT),
    'vision/annotated_image': (Image, qos.sensor(1)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--seconds', type=float, default=10.0, help='of each case in a round')
    parser.add_argument('--rounds', type=int, default=3)
    arguments = parser.parse_args()
    ros.keep_local()
    rclpy.init()
    spent: dict[str, list[float]] = {topic: [] for topic in SUBSCRIPTIONS}
    with tempfile.TemporaryDirectory() as folder, Robot(Path(folder)) as robot:
        statuses = robot.collect(msg.LearnerStatus, 'snn_learner/status')
        learner = robot.start('snn_learner')
        robot.wait_until_active('snn_learner')
        robot.start('dataset_camera', width=640, height=480, frame_rate=FRAME_RATE_HZ)
        robot.spin(SETTLING_S)
        for _ in range(arguments.rounds):
            for topic in SUBSCRIPTIONS:
                spent[topic].append(measure(robot, learner, statuses, topic, arguments.seconds))
    rclpy.shutdown()
    print('| subscribed to | processor time of the learner a frame [ms] |\n|---|---|')
    for topic, times_s in spent.items():
        middle, least, most = 1e3 * np.array([np.median(times_s), min(times_s), max(times_s)])
        print(f'| {topic} | {middle:.2f} ({least:.2f} to {most:.2f}) |')


def measure(
    robot: Robot, learner: NodeProcess, statuses: list, topic: str, seconds: float
) -> float:
    """Processor time a classified frame, s, while the topic has a subscriber."""
    received: list = []
    subscription = None
    if topic != NOBODY:
        message_type, profile = SUBSCRIPTIONS[topic]
        subscription = robot.node.create_subscription(
            message_type, topic, received.append, profile, raw=True
        )
        robot.wait_for(lambda: received, topic)
    frames, before_s = statuses[-1].frames_classified, processor_time_s(learner.pid)
    robot.spin(seconds)
    after_s = processor_time_s(learner.pid)
    frames = statuses[-1].frames_classified - frames
    if subscription is not None:
        robot.node.destroy_subscription(subscription)
        robot.spin(1.0)  # until the learner knows
    return (after_s - before_s) / frames


if __name__ == '__main__':
    main()
