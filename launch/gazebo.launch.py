"""A robot in Gazebo Harmonic that drives past panels and learns what they show.

    ros2 launch topspark_ros gazebo.launch.py
    ros2 launch topspark_ros gazebo.launch.py dataset:=fashion_mnist gui:=false

Takes the arguments of topspark.launch.py too. Needs ros_gz_sim and ros_gz_bridge.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ament_index_python.packages import get_package_prefix, get_package_share_directory
from launch import Condition, LaunchContext, LaunchDescription, Substitution
from launch.actions import (
    AppendEnvironmentVariable,
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    SetLaunchConfiguration,
    Shutdown,
)
from launch.conditions import IfCondition, UnlessCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node

from topspark_ros.replay.worlds import PANELS_FILE, WORLD_FILE, make_world
from topspark_ros.streams.datasets import load_dataset

SHARE = Path(get_package_share_directory('topspark_ros'))
CONFIG = SHARE / 'config'

ARGUMENTS = [
    DeclareLaunchArgument(
        'world',
        default_value='',
        description='Folder of a world of `topspark make-world`; if there is '
        'none in it, one is made. Empty: a temporary one.',
    ),
    DeclareLaunchArgument(
        'dataset',
        default_value='digits',
        description='Of a world that is made: digits, mnist, fashion_mnist or a folder.',
    ),
    DeclareLaunchArgument('panels', default_value='40', description='Of a world that is made.'),
    DeclareLaunchArgument('seed', default_value='0', description='Of a world that is made.'),
    DeclareLaunchArgument(
        'gui',
        default_value='true',
        choices=['true', 'false'],
        description='false: no window; the camera needs no display.',
    ),
    # Of topspark.launch.py, with another default, or not free here.
    DeclareLaunchArgument(
        'params_file',
        default_value=str(CONFIG / 'gazebo.yaml'),
        description='ROS parameters of all nodes.',
    ),
    DeclareLaunchArgument(
        'use_sim_time',
        default_value='true',
        choices=['true'],
        description='Time is that of the simulation.',
    ),
]


def prepare(context: LaunchContext) -> list[SetLaunchConfiguration]:
    """Find or make the world, before anything is started."""

    def argument(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    if shutil.which('gz') is None:
        raise RuntimeError(
            'gz: no such command; accepted: that of Gazebo Harmonic, which comes with ros_gz_sim'
        )
    get_package_prefix('ros_gz_bridge')
    world = Path(argument('world') or tempfile.mkdtemp(prefix='topspark_world_'))
    if not (world / WORLD_FILE).exists():
        make_world(
            load_dataset(argument('dataset')), int(argument('panels')), int(argument('seed')), world
        )
    return [SetLaunchConfiguration('world', str(world))]


def in_world(file: str) -> Substitution:
    return PathJoinSubstitution([LaunchConfiguration('world'), file])


def gazebo(*options: str, condition: Condition) -> ExecuteProcess:
    return ExecuteProcess(
        cmd=['gz', 'sim', '-r', *options, in_world(WORLD_FILE)],
        name='gazebo',
        output='screen',
        condition=condition,
        on_exit=Shutdown(reason='Gazebo has ended'),
    )


def node(executable: str, package: str = 'topspark_ros', **own: Substitution | str) -> Node:
    return Node(
        package=package,
        executable=executable,
        name=executable,
        namespace=LaunchConfiguration('namespace'),
        parameters=[LaunchConfiguration('params_file'), {'use_sim_time': True, **own}],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')],
        output='screen',
    )


def generate_launch_description() -> LaunchDescription:
    gui = LaunchConfiguration('gui')
    return LaunchDescription(
        [
            *ARGUMENTS,
            OpaqueFunction(function=prepare),
            AppendEnvironmentVariable('GZ_SIM_RESOURCE_PATH', str(SHARE / 'gazebo' / 'models')),
            # First, for it gives the bridge room for camera images too.
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SHARE / 'launch' / 'topspark.launch.py'))
            ),
            gazebo(condition=IfCondition(gui)),
            gazebo('-s', '--headless-rendering', condition=UnlessCondition(gui)),
            node(
                'parameter_bridge',
                package='ros_gz_bridge',
                config_file=str(CONFIG / 'gazebo_bridge.yaml'),
            ),
            node('gazebo_battery'),
            node('patrol', panels_file=in_world(PANELS_FILE)),
        ]
    )
