"""The launch file: both nodes come up, a frame is classified, Ctrl-C ends everything well."""
from __future__ import annotations

import array
import time
import unittest

import pytest

REASON = 'needs launch, launch_ros and launch_testing: there on any ROS machine, not as wheels'
for package in ('launch', 'launch_ros', 'launch_testing'):
    pytest.importorskip(package, reason=REASON)

import launch_testing.actions
import launch_testing.asserts
import rclpy
from ament_index_python.packages import get_package_share_directory
from domain_coordinator import domain_id
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription, SetEnvironmentVariable
from launch.launch_description_sources import (PythonLaunchDescriptionSource,
                                               get_launch_description_from_python_launch_file)
from lifecycle_msgs.srv import GetState
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image

from topspark_ros import msg
from topspark_ros.nodes import qos
from topspark_ros.streams.datasets import load_dataset
from topspark_ros.streams.scenes import SceneRenderer

LAUNCH_FILE = get_package_share_directory('topspark_ros') + '/launch/topspark.launch.py'
RESERVATION = domain_id()      # held as long as this module lives: a domain of its own
DOMAIN = RESERVATION.__enter__()
TIMEOUT_S = 60.0
NODES = ('snn_learner', 'timestep_controller')


@pytest.mark.launch_test
def generate_test_description():
    return LaunchDescription([
        SetEnvironmentVariable('ROS_DOMAIN_ID', str(DOMAIN)),
        SetEnvironmentVariable('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST'),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(LAUNCH_FILE),
            launch_arguments={'namespace': 'robot', 'image_topic': 'eye/image'}.items()),
        launch_testing.actions.ReadyToTest(),
    ])


class WhileItRuns(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.context = rclpy.Context()
        rclpy.init(context=cls.context, domain_id=DOMAIN)
        cls.node = rclpy.create_node('tester', namespace='robot', context=cls.context)
        cls.executor = SingleThreadedExecutor(context=cls.context)
        cls.executor.add_node(cls.node)

    @classmethod
    def tearDownClass(cls):
        cls.executor.shutdown()
        cls.node.destroy_node()
        cls.context.shutdown()

    def wait_for(self, condition, what: str):
        end_s = time.monotonic() + TIMEOUT_S
        while not (value := condition()):
            self.assertLess(time.monotonic(), end_s, f'never came true: {what}')
            self.executor.spin_once(0.05)
        return value

    def state(self, client) -> str:
        future = client.call_async(GetState.Request())
        self.wait_for(future.done, 'the answer of get_state')
        return future.result().current_state.label

    def test_1_both_nodes_become_active(self):
        for name in NODES:
            client = self.node.create_client(GetState, f'{name}/get_state')
            self.wait_for(client.service_is_ready, f'{name} is there')
            self.wait_for(lambda: self.state(client) == 'active', f'{name} is active')

    def test_2_a_frame_in_gives_a_classification_out(self):
        results = []
        self.node.create_subscription(msg.Classification, 'classification', results.append,
                                      qos.RESULT)
        camera = self.node.create_publisher(Image, 'eye/image', qos.sensor(10))
        self.wait_for(camera.get_subscription_count, 'the learner looks at the camera')
        frame = SceneRenderer(load_dataset('digits').images).render(0)
        height, width, _ = frame.shape
        image = Image(height=height, width=width, encoding='bgr8', step=3 * width,
                      data=array.array('B', frame.tobytes()))

        def classified():      # best effort loses what comes before discovery
            image.header.stamp = self.node.get_clock().now().to_msg()
            camera.publish(image)
            return results
        self.wait_for(classified, 'a classification')
        self.assertGreater(results[0].timesteps, 0)

    def test_3_the_controllers_decision_reaches_the_learner(self):
        statuses = []
        self.node.create_subscription(msg.LearnerStatus, 'snn_learner/status', statuses.append,
                                      qos.STATUS)
        self.wait_for(lambda: statuses and statuses[-1].decision_sequence > 0, 'a decision')


class TheFile(unittest.TestCase):

    def test_every_argument_explains_itself(self):
        arguments = {argument.name: argument for argument in
                     get_launch_description_from_python_launch_file(LAUNCH_FILE)
                     .get_launch_arguments()}
        self.assertLessEqual(
            {'namespace', 'params_file', 'profile_file', 'use_sim_time', 'autostart', 'log_level',
             'input', 'image_topic', 'battery_topic'}, set(arguments))
        for name, argument in arguments.items():
            self.assertTrue(argument.description, name)


@launch_testing.post_shutdown_test()
class AfterCtrlC(unittest.TestCase):

    def test_every_process_ended_well(self, proc_info):
        self.assertEqual(len(proc_info.processes()), len(NODES))
        launch_testing.asserts.assertExitCodes(proc_info)
