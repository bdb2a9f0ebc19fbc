"""Learner and controller on a robot.

    ros2 launch topspark_ros topspark.launch.py image_topic:=/camera/image_raw

Two cameras or two robots: launch twice with another `namespace`; every topic is relative.
"""
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

CONFIG = Path(get_package_share_directory('topspark_ros')) / 'config'

ARGUMENTS = [
    DeclareLaunchArgument('namespace', default_value='', description='Namespace of both nodes.'),
    DeclareLaunchArgument('params_file', default_value=str(CONFIG / 'topspark.yaml'),
                          description='ROS parameters of both nodes.'),
    DeclareLaunchArgument('profile_file', default_value=str(CONFIG / 'profile_digits.yaml'),
                          description='Profile: accuracy, latency and energy at each T.'),
    DeclareLaunchArgument('checkpoint_file', default_value='',
                          description='Weights: resumed from and saved to. Empty: none.'),
    DeclareLaunchArgument('input', default_value='image',
                          choices=['image', 'compressed', 'events'],
                          description='sensor_msgs/Image, sensor_msgs/CompressedImage or '
                          'event_camera_msgs/EventPacket.'),
    DeclareLaunchArgument('image_topic', default_value='image',
                          description='Camera topic (sensor_msgs/Image).'),
    DeclareLaunchArgument('compressed_topic', default_value='image/compressed',
                          description='Camera topic (sensor_msgs/CompressedImage).'),
    DeclareLaunchArgument('event_topic', default_value='events',
                          description='Event camera topic (event_camera_msgs/EventPacket).'),
    DeclareLaunchArgument('battery_topic', default_value='battery_state',
                          description='Battery topic (sensor_msgs/BatteryState).'),
    DeclareLaunchArgument('use_sim_time', default_value='false', choices=['true', 'false'],
                          description='Time from /clock.'),
    DeclareLaunchArgument('autostart', default_value='true', choices=['true', 'false'],
                          description='Configure and activate the nodes; false leaves both to a '
                          'lifecycle manager.'),
    DeclareLaunchArgument('log_level', default_value='info',
                          choices=['debug', 'info', 'warn', 'error'],
                          description='Least severity that is logged.'),
]


def generate_launch_description() -> LaunchDescription:
    argument = LaunchConfiguration
    common = {
        'use_sim_time': ParameterValue(argument('use_sim_time'), value_type=bool),
        'autostart': ParameterValue(argument('autostart'), value_type=bool),
        'profile_file': argument('profile_file'),
    }
    logging = ['--ros-args', '--log-level', argument('log_level')]

    learner = Node(
        package='topspark_ros', executable='snn_learner', namespace=argument('namespace'),
        # Later entries win: the arguments of this file over the parameter file.
        parameters=[argument('params_file'), common, {
            'input': argument('input'), 'checkpoint_file': argument('checkpoint_file')}],
        remappings=[('image', argument('image_topic')),
                    ('image/compressed', argument('compressed_topic')),
                    ('events', argument('event_topic'))],
        arguments=logging, output='screen')
    controller = Node(
        package='topspark_ros', executable='timestep_controller',
        namespace=argument('namespace'), parameters=[argument('params_file'), common],
        remappings=[('battery_state', argument('battery_topic'))],
        arguments=logging, output='screen')

    return LaunchDescription([
        *ARGUMENTS,
        # Camera images do not fit the default shared-memory segment of Fast DDS.
        SetEnvironmentVariable('FASTRTPS_DEFAULT_PROFILES_FILE',
                               str(CONFIG / 'fastdds_profile.xml')),
        learner, controller])
