"""Gazebo's launch file without Gazebo: the robot patrols, learns and discharges its battery.

`gz` and the bridge are stand-ins (stand_ins/gazebo/) with the topics of the real ones; all else is
real.
"""

from __future__ import annotations

import os

from bringup import SHARE, STAND_INS, Launched, Robot

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from launch.launch_description_sources import get_launch_description_from_python_launch_file
from nav_msgs.msg import Odometry
from sensor_msgs.msg import BatteryState

from topspark_ros import msg
from topspark_ros.nodes import qos

SIMULATION = STAND_INS / 'gazebo'
NODES = {'snn_learner', 'timestep_controller', 'patrol', 'gazebo_battery'}


@pytest.fixture
def gazebo(tmp_path, monkeypatch):
    """`gz` and the package ros_gz_bridge, found first; the folder of the world."""
    world, prefix = tmp_path / 'world', tmp_path / 'prefix'
    index = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages'
    programs = prefix / 'lib' / 'ros_gz_bridge'
    for folder in (world, index, programs):
        folder.mkdir(parents=True)
    (index / 'ros_gz_bridge').touch()
    (programs / 'parameter_bridge').symlink_to(SIMULATION / 'parameter_bridge')
    monkeypatch.setenv('PATH', str(SIMULATION), prepend=os.pathsep)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(prefix), prepend=os.pathsep)
    monkeypatch.setenv('TOPSPARK_STAND_IN_WORLD', str(world))
    return world


def test_the_robot_patrols_learns_what_it_sees_and_its_battery_falls(gazebo, tmp_path):
    with (
        Robot('robot') as robot,
        Launched(
            tmp_path, 'gazebo.launch.py', namespace='robot', world=gazebo, panels=10, gui='false'
        ) as launch,
    ):
        health = {}

        def note(message: DiagnosticArray) -> None:
            for status in message.status:
                health[status.name] = {item.key: item.value for item in status.values}

        robot.node.create_subscription(DiagnosticArray, '/diagnostics', note, 10)
        odometry = robot.collect(Odometry, 'odom')
        states = robot.collect(BatteryState, 'battery_state')
        controller = robot.collect(msg.ControllerStatus, 'timestep_controller/status', qos.STATUS)

        robot.wait_for(
            lambda: float(health.get('robot/patrol', {}).get('laps', 0)) > 0.3,
            f'a third of a lap\n{launch.log}',
        )
        assert abs(float(health['robot/patrol']['off the path [m]'])) < 0.05
        assert 0.1 < odometry[-1].twist.twist.linear.x < 1.0
        robot.wait_for(
            lambda: (
                robot.statuses[-1].frames_learned > 100 and robot.statuses[-1].labels_received > 20
            ),
            'labelled frames learned',
        )
        learner = robot.statuses[-1]
        # Most frames show what the frame before showed: learned, it is known.
        assert learner.accuracy > 0.5
        assert learner.labels_unmatched < 0.2 * learner.labels_received
        assert learner.frames_rejected == 0
        assert {result.class_id for result in robot.results} - {''} <= set('0123456789')

        robot.wait_for(
            lambda: states[-1].percentage < states[0].percentage - 0.2, 'the battery falls'
        )
        assert controller[-1].battery == msg.ControllerStatus.BATTERY_KNOWN
        assert abs(controller[-1].state_of_charge - states[-1].percentage / 100) < 0.02
        robot.wait_for(lambda: robot.statuses[-1].decision_sequence > 0, 'a decision is applied')

        launch.interrupt()
        assert launch.wait() == 0, launch.log
    assert 'process has died' not in launch.log
    assert launch.log.count('process has finished cleanly') == len(NODES) + 2


def test_every_argument_explains_itself():
    listed = get_launch_description_from_python_launch_file(
        str(SHARE / 'launch' / 'gazebo.launch.py')
    ).get_launch_arguments()
    assert {'world', 'dataset', 'panels', 'seed', 'gui', 'params_file'} <= {
        argument.name for argument in listed
    }
    assert all(len(argument.description) > 10 for argument in listed)


@pytest.mark.parametrize(
    'fault, complaint',
    [
        (dict(dataset='none'), "dataset is 'none', accepted is one of digits"),
        (dict(panels=3), 'panels is 3, accepted is 8 to 200'),
    ],
)
def test_a_world_that_cannot_be_made_ends_it_with_one_line(gazebo, tmp_path, fault, complaint):
    with Launched(tmp_path, 'gazebo.launch.py', world=gazebo, gui='false', **fault) as launch:
        assert launch.wait() == 1
    assert complaint in launch.log and 'Traceback' not in launch.log
    assert 'process started' not in launch.log


def test_without_gazebo_it_says_so(tmp_path, monkeypatch, gazebo):
    monkeypatch.setenv('PATH', os.environ['PATH'].replace(str(SIMULATION), ''))
    with Launched(tmp_path, 'gazebo.launch.py', world=gazebo) as launch:
        assert launch.wait() == 1
    assert 'gz: no such command; accepted: that of Gazebo Harmonic' in launch.log
    assert 'process started' not in launch.log


def test_without_the_bridge_it_says_so(tmp_path, monkeypatch, gazebo):
    prefixes = os.environ['AMENT_PREFIX_PATH'].split(os.pathsep)
    monkeypatch.setenv('AMENT_PREFIX_PATH', os.pathsep.join(prefixes[1:]))
    with Launched(tmp_path, 'gazebo.launch.py', world=gazebo) as launch:
        assert launch.wait() == 1
    assert "'ros_gz_bridge' not found" in launch.log and 'process started' not in launch.log
