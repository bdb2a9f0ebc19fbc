"""Learner and controller on a robot.

    ros2 launch topspark_ros topspark.launch.py image_topic:=/camera/image_raw

Every topic is relative, so each camera has a namespace, and a robot may share what its cameras
have in common by absolute names: launch twice, with

    namespace:=robot1/left battery_topic:=/robot1/battery_state budget_topic:=/robot1/power_budget
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import Parameter, ParameterValue

CONFIG = Path(get_package_share_directory('topspark_ros')) / 'config'
SAVING_S = '30'  # weights, on a slow card: not to be killed meanwhile
AS_FILE = 'Empty: as params_file says'

ARGUMENTS = [
    DeclareLaunchArgument(
        'namespace',
        default_value='',
        description='Namespace of both nodes: of the robot (robot1) or, with '
        'several cameras, of one of them (robot1/left).',
    ),
    DeclareLaunchArgument(
        'params_file',
        default_value=str(CONFIG / 'topspark.yaml'),
        description='ROS parameters of both nodes. A file of your own needs '
        'only what differs: what it skips has its default.',
    ),
    DeclareLaunchArgument(
        'profile_file',
        default_value='',
        description='Profile: accuracy, latency and energy at each T. '
        f'{AS_FILE}, or else the one that is shipped for handwritten digits and the rule '
        'discriminant, as a camera sees them, or with input:=events as an event camera does; '
        'profile_recruiting.yaml is for the rule recruiting.',
    ),
    DeclareLaunchArgument(
        'checkpoint_file',
        default_value='',
        description=f'Weights: resumed from and saved to. {AS_FILE}, or else none.',
    ),
    DeclareLaunchArgument(
        'input',
        default_value='',
        choices=['', 'image', 'compressed', 'events'],
        description='sensor_msgs/Image, sensor_msgs/CompressedImage or '
        f'event_camera_msgs/EventPacket. {AS_FILE}, or else image.',
    ),
    DeclareLaunchArgument(
        'image_topic', default_value='image', description='Camera topic (sensor_msgs/Image).'
    ),
    DeclareLaunchArgument(
        'compressed_topic',
        default_value='image/compressed',
        description='Camera topic (sensor_msgs/CompressedImage).',
    ),
    DeclareLaunchArgument(
        'event_topic',
        default_value='events',
        description='Event camera topic (event_camera_msgs/EventPacket).',
    ),
    DeclareLaunchArgument(
        'label_topic',
        default_value='label',
        description='Topic of the teacher (topspark_ros/Label).',
    ),
    DeclareLaunchArgument(
        'battery_topic',
        default_value='battery_state',
        description='Battery topic (sensor_msgs/BatteryState).',
    ),
    DeclareLaunchArgument(
        'budget_topic',
        default_value='power_budget',
        description='Topic of the limits (topspark_ros/PowerBudget).',
    ),
    DeclareLaunchArgument(
        'use_sim_time',
        default_value='false',
        choices=['true', 'false'],
        description='Time from /clock.',
    ),
    DeclareLaunchArgument(
        'autostart',
        default_value='true',
        choices=['true', 'false'],
        description='Configure and activate the nodes; false leaves both to a lifecycle manager.',
    ),
    DeclareLaunchArgument(
        'respawn',
        default_value='false',
        choices=['true', 'false'],
        description='Start a node that has ended again: the learner resumes '
        'from checkpoint_file. With autostart: a manager would have to '
        'configure it anew.',
    ),
    DeclareLaunchArgument('respawn_delay', default_value='2.0', description='Time until then, s.'),
    DeclareLaunchArgument(
        'enclaves',
        default_value='',
        description='Where the SROS 2 keystore has an enclave named like each '
        'node, such as /topspark (docs/security.md). Empty: none is named.',
    ),
    DeclareLaunchArgument(
        'log_level',
        default_value='info',
        choices=['debug', 'info', 'warn', 'error'],
        description='Least severity that is logged.',
    ),
]


def start_nodes(context: LaunchContext) -> list[Node]:
    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    def flag(name: str) -> bool:
        return value(name) == 'true'

    def given(*names: str) -> dict[str, ParameterValue]:
        return {name: ParameterValue(value(name), value_type=str) for name in names if value(name)}

    if not Path(value('params_file')).is_file():  # launch would only warn, and go on without it
        raise RuntimeError(
            f'params_file: {value("params_file")}: no such file; accepted: a YAML '
            'file of ROS parameters'
        )

    shown = 'events' if value('input') == 'events' else 'digits'

    def node(executable: str, own: dict[str, ParameterValue], topics: dict[str, str]) -> Node:
        # Its name makes launch address the last entry to it alone, which counts before the
        # wildcards of a file; the first one is a wildcard for all, which counts after them.
        enclave = ['--enclave', f'{value("enclaves")}/{executable}'] if value('enclaves') else []
        return Node(
            package='topspark_ros',
            executable=executable,
            name=executable,
            namespace=value('namespace'),
            parameters=[
                Parameter('profile_file', str(CONFIG / f'profile_{shown}.yaml')),
                value('params_file'),
                {
                    'use_sim_time': flag('use_sim_time'),
                    'autostart': flag('autostart'),
                    **given('profile_file'),
                    **own,
                },
            ],
            remappings=[(topic, value(argument)) for topic, argument in topics.items()],
            ros_arguments=['--log-level', value('log_level'), *enclave],
            respawn=flag('respawn'),
            respawn_delay=float(value('respawn_delay')),
            sigkill_timeout=SAVING_S,
            output='screen',
        )

    return [
        node(
            'snn_learner',
            given('input', 'checkpoint_file'),
            {
                'image': 'image_topic',
                'image/compressed': 'compressed_topic',
                'events': 'event_topic',
                'label': 'label_topic',
                'battery_state': 'battery_topic',
            },
        ),
        node(
            'timestep_controller',
            {},
            {'battery_state': 'battery_topic', 'power_budget': 'budget_topic'},
        ),
    ]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *ARGUMENTS,
            # Camera images do not fit the default shared-memory segment of Fast DDS.
            SetEnvironmentVariable(
                'FASTRTPS_DEFAULT_PROFILES_FILE',
                EnvironmentVariable(
                    'FASTRTPS_DEFAULT_PROFILES_FILE',
                    default_value=str(CONFIG / 'fastdds_profile.xml'),
                ),
            ),
            OpaqueFunction(function=start_nodes),
        ]
    )
