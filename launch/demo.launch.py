"""The demo as a launch file: camera, battery and operator around learner and controller.

    ros2 launch topspark_ros demo.launch.py

Ends when the camera has shown its frames; `topspark watch` shows meanwhile what they do.
`topspark demo` runs the same nodes, and judges and draws it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    SetLaunchConfiguration,
    Shutdown,
    TimerAction,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessIO
from launch.events.process import ProcessIO
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import EqualsSubstitution, IfElseSubstitution, LaunchConfiguration
from launch_ros.actions import Node, SetParameter

from topspark_ros.streams.datasets import DATASET_NAMES

SHARE = Path(get_package_share_directory('topspark_ros'))
SHOWN = b'frames shown'  # says the camera when it is done
LAST_FRAMES_S = 1.0  # to classify and learn what came last
WITH_EVENTS = EqualsSubstitution(LaunchConfiguration('input'), 'events')

ARGUMENTS = [
    DeclareLaunchArgument(
        'input',
        default_value='image',
        choices=['image', 'events'],
        description='A minute with a camera, or two with an event camera.',
    ),
    DeclareLaunchArgument(
        'dataset',
        default_value='',
        description='What the camera shows: digits, mnist, fashion_mnist, or a folder with a '
        'sub-folder of photographs for each class, which are seen in colour and whole. Empty: as '
        'params_file says, or else digits.',
    ),
    DeclareLaunchArgument(
        'params_file',
        default_value='',
        description='ROS parameters of the nodes. Empty: config/demo.yaml of '
        'the package, or demo_events.yaml.',
    ),
]


def node(executable: str, own: Mapping[str, str] = {}, **options) -> Node:
    return Node(
        package='topspark_ros',
        executable=executable,
        # As in topspark.launch.py: with its name its own parameters count before a file's.
        name=executable if own else None,
        namespace=LaunchConfiguration('namespace'),
        parameters=[LaunchConfiguration('params_file'), *([dict(own)] if own else [])],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')],
        output='screen',
        **options,
    )


def see_photographs(context: LaunchContext) -> list[SetParameter]:
    """They fill the frame. What params_file says of the view counts all the same."""
    dataset, input = (LaunchConfiguration(each).perform(context) for each in ('dataset', 'input'))
    if dataset in ('', *DATASET_NAMES) or input == 'events':
        return []
    return [SetParameter('picture_view', 'frame')]


def start_camera(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    dataset = LaunchConfiguration('dataset').perform(context)
    camera = node('dataset_camera', {'dataset': dataset} if dataset else {})

    def read(event: ProcessIO) -> TimerAction | None:
        if SHOWN not in event.text:
            return None
        return TimerAction(
            period=LAST_FRAMES_S, actions=[Shutdown(reason='the camera has shown its frames')]
        )

    return [
        RegisterEventHandler(OnProcessIO(target_action=camera, on_stdout=read, on_stderr=read)),
        camera,
    ]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *ARGUMENTS,
            SetLaunchConfiguration(
                'params_file',
                [
                    str(SHARE / 'config' / 'demo'),
                    IfElseSubstitution(WITH_EVENTS, '_events', ''),
                    '.yaml',
                ],
                condition=IfCondition(EqualsSubstitution(LaunchConfiguration('params_file'), '')),
            ),
            OpaqueFunction(function=see_photographs),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SHARE / 'launch' / 'topspark.launch.py'))
            ),
            OpaqueFunction(function=start_camera),
            node('event_simulator', condition=IfCondition(WITH_EVENTS)),
            node('battery_simulator'),
            node('power_budget_schedule'),
        ]
    )
