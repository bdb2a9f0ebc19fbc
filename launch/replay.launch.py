"""A recording in the place of the robot: learner and controller on the time of a bag.

    ros2 launch topspark_ros replay.launch.py bag:=my_bag checkpoint_file:=weights.topspark

Takes the arguments of topspark.launch.py too. The bag plays once both nodes are active; when it is
over all ends, and the weights are saved.
"""

from __future__ import annotations

import re
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    RegisterEventHandler,
    Shutdown,
    TimerAction,
)
from launch.event_handlers import OnProcessExit, OnProcessIO
from launch.events.process import ProcessExited, ProcessIO
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

SHARE = Path(get_package_share_directory('topspark_ros'))
NODES = 2  # learner and controller
CLOCK_HZ = 100
DISCOVERY_S = 5.0  # what comes before it is lost; DDS announces itself every 3 s
LAST_LABELS_MS = 5000  # to be received; else they go with the player
LAST_FRAMES_S = 1.0  # to classify and learn what came last

# What our nodes log. Not the transition events of launch_ros: nodes that start themselves may be
# active before anybody listens to those.
ACTIVE = b'activate: done'
FAULT = re.compile(rb'(configure|activate)(: (?!done)| failed)')

# Absolute, as in the bag.
TOPICS = {
    'image_topic': ('/image', 'Camera topic of the bag (sensor_msgs/Image).'),
    'compressed_topic': (
        '/image/compressed',
        'Camera topic of the bag (sensor_msgs/CompressedImage).',
    ),
    'event_topic': ('/events', 'Event camera topic of the bag (event_camera_msgs/EventPacket).'),
    'label_topic': ('/label', "Teacher's topic of the bag (topspark_ros/Label)."),
    'battery_topic': ('/battery_state', 'Battery topic of the bag (sensor_msgs/BatteryState).'),
    'budget_topic': ('/power_budget', 'Topic of the limits (topspark_ros/PowerBudget).'),
}

ARGUMENTS = [
    DeclareLaunchArgument('bag', description='Recording (rosbag2): its folder or storage file.'),
    DeclareLaunchArgument('rate', default_value='1.0', description='Times real time, > 0.'),
    DeclareLaunchArgument(
        'start_offset', default_value='0.0', description='Begin so many seconds into the bag.'
    ),
    DeclareLaunchArgument(
        'qos_file',
        default_value=str(SHARE / 'config' / 'qos_overrides.yaml'),
        description='What the player offers on each topic, in the format of '
        'ros2 bag play. For topics of other names make a copy with theirs.',
    ),
    *(
        DeclareLaunchArgument(name, default_value=topic, description=description)
        for name, (topic, description) in TOPICS.items()
    ),
    # Of topspark.launch.py, and not free here.
    DeclareLaunchArgument(
        'use_sim_time',
        default_value='true',
        choices=['true'],
        description='Time is that of the bag.',
    ),
    DeclareLaunchArgument(
        'autostart',
        default_value='true',
        choices=['true'],
        description='The player waits for the nodes to become active.',
    ),
    DeclareLaunchArgument(
        'respawn',
        default_value='false',
        choices=['false'],
        description='A node that ends, ends the replay.',
    ),
    DeclareLaunchArgument(
        'log_level',
        default_value='info',
        choices=['debug', 'info'],
        description='Least severity that is logged. By a line of info the '
        'player knows that a node is active.',
    ),
]


def generate_launch_description() -> LaunchDescription:
    player = ExecuteProcess(
        # Only what the nodes hear: recorded decisions would mix with those that are made now.
        cmd=[
            'ros2',
            'bag',
            'play',
            LaunchConfiguration('bag'),
            '--clock',
            str(CLOCK_HZ),
            '--rate',
            LaunchConfiguration('rate'),
            '--start-offset',
            LaunchConfiguration('start_offset'),
            '--delay',
            str(DISCOVERY_S),
            '--wait-for-all-acked',
            str(LAST_LABELS_MS),
            '--disable-keyboard-controls',
            '--qos-profile-overrides-path',
            LaunchConfiguration('qos_file'),
            '--topics',
            *map(LaunchConfiguration, TOPICS),
        ],
        output='screen',
    )
    active = set()

    def read(event: ProcessIO) -> ExecuteProcess | None:
        if FAULT.search(event.text):
            raise RuntimeError(f'{event.process_name} could not start: see above')
        if ACTIVE not in event.text or event.pid in active:
            return None
        active.add(event.pid)
        return player if len(active) == NODES else None

    def end(event: ProcessExited, context: LaunchContext) -> TimerAction | None:
        if context.is_shutdown:
            return None
        if event.action is not player or event.returncode:
            raise RuntimeError(f'{event.process_name} ended with code {event.returncode}')
        return TimerAction(period=LAST_FRAMES_S, actions=[Shutdown(reason='the bag is over')])

    return LaunchDescription(
        [
            *ARGUMENTS,
            RegisterEventHandler(OnProcessIO(on_stdout=read, on_stderr=read)),
            RegisterEventHandler(OnProcessExit(on_exit=end)),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SHARE / 'launch' / 'topspark.launch.py'))
            ),
        ]
    )
