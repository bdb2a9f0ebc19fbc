"""What the launch tests share: a domain of their own, a node that talks to what was launched, a
camera, and launch files as processes.

As a program: `ros2 launch`, without ros2cli.
"""

from __future__ import annotations

import array
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REASON = 'needs launch, launch_ros and launch_testing: there on any ROS machine, not as wheels'
for package in ('launch', 'launch_ros', 'launch_testing'):
    pytest.importorskip(package, reason=REASON)

import rclpy
from ament_index_python.packages import get_package_share_directory
from domain_coordinator import domain_id
from launch import LaunchService
from launch.actions import IncludeLaunchDescription, SetEnvironmentVariable
from launch.launch_description_sources import PythonLaunchDescriptionSource
from lifecycle_msgs.srv import GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from topspark_ros import msg
from topspark_ros.control.decision import Reason
from topspark_ros.nodes import qos
from topspark_ros.streams.datasets import load_dataset
from topspark_ros.streams.scenes import SceneRenderer

SHARE = Path(get_package_share_directory('topspark_ros'))
STAND_INS = Path(__file__).parent / 'stand_ins'
TIMEOUT_S = 240.0  # a condition that does not hold by then never will, on the slowest machine
ANSWER_S = 5.0  # an answer that takes longer is lost: ask again
FRAME_S = 0.05
EVERY = QoSProfile(depth=1000)

RESERVATION = domain_id()  # held as long as this module lives: a domain of its own
ENVIRONMENT = {
    'ROS_DOMAIN_ID': str(RESERVATION.__enter__()),
    'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
}


def environment() -> list[SetEnvironmentVariable]:
    return [SetEnvironmentVariable(name, value) for name, value in ENVIRONMENT.items()]


def include(launch_file: str, **arguments: str) -> IncludeLaunchDescription:
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / 'launch' / launch_file)),
        launch_arguments=arguments.items(),
    )


class Robot:
    """A node of the test in the namespace of the nodes that it talks to.

    camera: topic that it shows digits on, all of them named on `label`, while it spins.
    """

    def __init__(self, namespace: str, camera: str = ''):
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=int(ENVIRONMENT['ROS_DOMAIN_ID']))
        self.node = rclpy.create_node(
            'tester', namespace=namespace, context=self._context, use_global_arguments=False
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.results = self.collect(msg.Classification, 'classification')
        self.statuses = self.collect(msg.LearnerStatus, 'snn_learner/status')
        self.decisions = self.collect(msg.TimestepDecision, 'timestep_decision', qos.DECISIONS)
        if camera:
            self._dataset = load_dataset('digits')
            self._scenes = SceneRenderer(self._dataset.images, height=120, width=160)
            self._shown = 0
            self._image = self.node.create_publisher(Image, camera, qos.sensor(10))
            self._label = self.node.create_publisher(msg.Label, 'label', qos.LABEL)
            self.node.create_timer(FRAME_S, self._show)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.shutdown()

    def __enter__(self) -> Robot:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _show(self) -> None:
        index = self._shown % len(self._dataset.labels)
        frame = self._scenes.render(index)
        height, width, _ = frame.shape
        image = Image(
            height=height,
            width=width,
            encoding='bgr8',
            step=3 * width,
            data=array.array('B', frame.tobytes()),
        )
        label = msg.Label(class_id=self._dataset.class_names[self._dataset.labels[index]])
        image.header.stamp = label.header.stamp = self.node.get_clock().now().to_msg()
        self._image.publish(image)
        self._label.publish(label)
        self._shown += 1

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        """Spin until `condition()` is true; returns its value."""
        end_s = time.monotonic() + TIMEOUT_S
        while not (value := condition()):
            assert time.monotonic() < end_s, f'never came true: {what}'
            self._executor.spin_once(0.05)
        return value

    def status(self, condition: Callable[[msg.LearnerStatus], Any], what: str) -> msg.LearnerStatus:
        """The learner's last status, once there is one that the condition holds for."""
        return self.wait_for(lambda: next(filter(condition, self.statuses[-1:]), None), what)

    def applied(self, reason: Reason) -> msg.LearnerStatus:
        """The same, once it applies the controller's last decision, which has this reason."""

        def is_applied(status: msg.LearnerStatus) -> bool:
            last = self.decisions[-1:]
            return [(reason, status.decision_sequence)] == [(d.reason, d.sequence) for d in last]

        return self.status(is_applied, f'a decision for {reason.name} is applied')

    def collect(self, message_type, topic: str, profile: QoSProfile = EVERY) -> list:
        """A list that grows with every message from now on, while the robot spins."""
        messages = []
        self.node.create_subscription(message_type, topic, messages.append, profile)
        return messages

    def call(self, service_type, name: str):
        """The answer to a request that may be sent again."""
        client = self.node.create_client(service_type, name)
        self.wait_for(client.service_is_ready, f'service {name}')
        future, sent_s = client.call_async(service_type.Request()), time.monotonic()

        def answered() -> bool:
            nonlocal future, sent_s
            if time.monotonic() > sent_s + ANSWER_S:
                future, sent_s = client.call_async(service_type.Request()), time.monotonic()
            return future.done()

        self.wait_for(answered, f'an answer of {name}')
        self.node.destroy_client(client)
        return future.result()

    def wait_until_active(self, *nodes: str) -> None:
        for name in nodes:
            self.wait_for(
                lambda: self.call(GetState, f'{name}/get_state').current_state.label == 'active',
                f'{name} is active',
            )

    def limit_power(self, topic: str, power_w: float) -> None:
        """Say so once, to all who hear now or later; as an operator would."""
        nan = float('nan')
        self._budget = self.node.create_publisher(msg.PowerBudget, topic, qos.STATE)
        self._budget.publish(
            msg.PowerBudget(
                source='operator',
                power=power_w,
                energy=nan,
                duration=nan,
                deadline=nan,
                min_accuracy=nan,
                lifetime=nan,
            )
        )


class Launched:
    """A launch file as a process of its own."""

    def __init__(self, folder: Path, launch_file: str, **arguments: object):
        self._log = folder / f'{launch_file}.log'
        variables = (
            os.environ
            | ENVIRONMENT
            | {'ROS_LOG_DIR': str(folder), 'PATH': f'{STAND_INS}:{os.environ["PATH"]}'}
        )
        with open(self._log, 'wb') as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    __file__,
                    launch_file,
                    *(f'{name}:={value}' for name, value in arguments.items()),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=variables,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(errors='replace')

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def interrupt(self) -> None:
        """As Ctrl-C: the signal goes to all processes of the terminal."""
        os.killpg(self._process.pid, signal.SIGINT)

    def wait(self) -> int:
        return self._process.wait(TIMEOUT_S)

    def __enter__(self) -> Launched:
        return self

    def __exit__(self, *_) -> None:
        if self.running:
            self.interrupt()
        try:
            self.wait()
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            raise


def main() -> int:
    launch_file, *arguments = sys.argv[1:]
    service = LaunchService(argv=arguments)
    service.include_launch_description(
        include(launch_file, **dict(argument.split(':=', 1) for argument in arguments))
    )
    return service.run()


if __name__ == '__main__':
    sys.exit(main())
