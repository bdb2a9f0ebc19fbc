"""The bridge's topics are those of the world on one side and of our nodes on the other."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from pinhole import ROBOT

from topspark_ros.replay.worlds import make_world
from topspark_ros.streams.datasets import load_dataset

ROOT = Path(__file__).parents[2]
BRIDGES = yaml.safe_load((ROOT / 'config' / 'gazebo_bridge.yaml').read_text())
NODES = ('snn_learner', 'sources', 'timestep_controller', 'patrol', 'gazebo_battery')

# From the table of pairs in the README of ros_gz_bridge, branch jazzy:
# https://github.com/gazebosim/ros_gz/blob/jazzy/ros_gz_bridge/README.md
PAIRS = {
    'geometry_msgs/msg/PoseStamped': 'gz.msgs.Pose',
    'geometry_msgs/msg/Twist': 'gz.msgs.Twist',
    'nav_msgs/msg/Odometry': 'gz.msgs.Odometry',
    'rosgraph_msgs/msg/Clock': 'gz.msgs.Clock',
    'sensor_msgs/msg/BatteryState': 'gz.msgs.BatteryState',
    'sensor_msgs/msg/CameraInfo': 'gz.msgs.CameraInfo',
    'sensor_msgs/msg/Image': 'gz.msgs.Image',
    'std_msgs/msg/Empty': 'gz.msgs.Empty',
}
ANY = 'any type'
FOR_OTHERS = {'odom'}  # none of our nodes hears it


def world_topics(world: ElementTree.Element) -> tuple[dict[str, str], dict[str, str]]:
    """gz topics that the world's systems publish and subscribe to, with their types.

    As in the sources of gz-sim 8 and gz-sensors 8, without those that are never bridged.
    """
    publishes = {f'/world/{world.attrib["name"]}/clock': 'gz.msgs.Clock'}
    subscribes = {}
    for sensor in ElementTree.parse(ROBOT).iter('sensor'):
        assert sensor.attrib['type'] == 'camera'
        publishes[sensor.findtext('topic')] = 'gz.msgs.Image'
        publishes[sensor.findtext('camera/camera_info_topic')] = 'gz.msgs.CameraInfo'
    for model in ElementTree.parse(ROBOT).iter('model'):
        for plugin in model.findall('plugin'):
            kind = plugin.attrib['name'].rsplit('::', 1)[1]
            if kind == 'DiffDrive':
                subscribes[plugin.findtext('topic')] = 'gz.msgs.Twist'
                publishes[plugin.findtext('odom_topic')] = 'gz.msgs.Odometry'
            elif kind == 'PosePublisher':
                assert plugin.findtext('use_pose_vector_msg') == 'false'
                publishes[plugin.findtext('topic')] = 'gz.msgs.Pose'
            elif kind == 'LinearBatteryPlugin':
                publishes[
                    f'/model/{model.attrib["name"]}/battery/{plugin.findtext("battery_name")}/state'
                ] = 'gz.msgs.BatteryState'
                subscribes[plugin.findtext('power_draining_topic')] = ANY
                subscribes[plugin.findtext('stop_power_draining_topic')] = ANY
    return publishes, subscribes


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp('world')
    make_world(load_dataset('digits'), 8, 0, folder)
    return ElementTree.parse(folder / 'world.sdf').getroot().find('world')


def our_topics() -> dict[str, set[str]]:
    """Topics that the launched nodes name, and whether they publish or subscribe."""
    topics = {'create_subscription': {'/clock'} | FOR_OTHERS, 'create_lifecycle_publisher': set()}
    for node in NODES:
        source = (ROOT / 'topspark_ros' / 'nodes' / f'{node}.py').read_text()
        for call in ast.walk(ast.parse(source)):
            if isinstance(call, ast.Call) and getattr(call.func, 'attr', '') in topics:
                topics[call.func.attr] |= {
                    argument.value
                    for argument in call.args[1:]
                    if isinstance(argument, ast.Constant)
                }
        if node == 'sources':  # its topic is one of two
            assert "'image/compressed' if compressed else 'image'" in source
            topics['create_subscription'].add('image')
    return topics


@pytest.mark.parametrize('bridge', BRIDGES, ids=lambda bridge: bridge['ros_topic_name'])
def test_both_ends_are_there(bridge, world):
    publishes, subscribes = world_topics(world)
    ours, theirs, types = {
        'GZ_TO_ROS': ('create_subscription', 'publishes', publishes),
        'ROS_TO_GZ': ('create_lifecycle_publisher', 'subscribes', subscribes),
    }[bridge['direction']]
    assert bridge['gz_topic_name'] in types, theirs
    assert types[bridge['gz_topic_name']] in (bridge['gz_type_name'], ANY)
    assert bridge['ros_topic_name'] in our_topics()[ours]


def test_each_pair_of_types_is_one_that_the_bridge_converts():
    assert {bridge['ros_type_name']: bridge['gz_type_name'] for bridge in BRIDGES} == PAIRS


def test_each_entry_has_the_keys_that_the_bridge_reads():
    for bridge in BRIDGES:
        assert list(bridge) == [
            'ros_topic_name',
            'gz_topic_name',
            'ros_type_name',
            'gz_type_name',
            'direction',
        ]


@pytest.mark.parametrize('ros_type', PAIRS)
def test_each_ros_type_exists(ros_type):
    pytest.importorskip('rclpy', reason='needs ROS 2')
    package, _, name = ros_type.split('/')
    assert hasattr(import_module(f'{package}.msg'), name)


def test_every_system_of_the_world_is_one_of_gazebo(world):
    """By the names under which gz-sim 8 registers them."""
    plugins = [*world.iter('plugin'), *ElementTree.parse(ROBOT).iter('plugin')]
    assert {(plugin.attrib['filename'], plugin.attrib['name']) for plugin in plugins} == {
        (f'gz-sim-{file}-system', f'gz::sim::systems::{name}')
        for file, name in (
            ('physics', 'Physics'),
            ('user-commands', 'UserCommands'),
            ('scene-broadcaster', 'SceneBroadcaster'),
            ('sensors', 'Sensors'),
            ('diff-drive', 'DiffDrive'),
            ('pose-publisher', 'PosePublisher'),
            ('linearbatteryplugin', 'LinearBatteryPlugin'),
        )
    }


def test_the_battery_is_not_drained_by_the_wheels():
    """The plugin drains whenever a joint of its own model is driven."""
    robot = ElementTree.parse(ROBOT).getroot().find('model')
    battery = next(
        model
        for model in robot.iter('model')
        if any(
            plugin.attrib['name'].endswith('LinearBatteryPlugin')
            for plugin in model.findall('plugin')
        )
    )
    assert battery is not robot and battery.find('joint') is None
    children = [element.tag for element in battery.find('plugin')]
    # The plugin takes a draining topic that follows the stop topic for a stop topic.
    assert children.index('power_draining_topic') < children.index('stop_power_draining_topic')


def test_the_robots_file_lists_accepted_values():
    pytest.importorskip('topspark_ros.msg', reason='needs ROS 2 and the built package')
    from topspark_ros.nodes import gazebo_battery, patrol, snn_learner, timestep_controller
    from topspark_ros.nodes.parameters import accept

    classes = {
        'patrol': patrol.PatrolParameters,
        'gazebo_battery': gazebo_battery.GazeboBatteryParameters,
        'snn_learner': snn_learner.SnnLearner.Parameters,
        'timestep_controller': timestep_controller.TimestepController.Parameters,
    }
    content = yaml.safe_load((ROOT / 'config' / 'gazebo.yaml').read_text())
    assert {pattern.removeprefix('/**/') for pattern in content} == set(classes)
    for pattern, node in content.items():
        fields = classes[pattern.removeprefix('/**/')].__dataclass_fields__
        for name, value in node['ros__parameters'].items():
            assert type(value) is type(fields[name].default), name
            accept(fields[name], value)


def test_the_load_of_a_busy_learner_is_below_what_the_plugin_draws():
    profile = yaml.safe_load((ROOT / 'config' / 'profile_digits.yaml').read_text())
    largest = max(profile['points'], key=lambda point: point['timesteps'])
    parameters = yaml.safe_load((ROOT / 'config' / 'gazebo.yaml').read_text())[
        '/**/gazebo_battery'
    ]['ros__parameters']
    rate_hz = float(next(ElementTree.parse(ROBOT).iter('update_rate')).text)
    load_w = (
        parameters['time_compression']
        * rate_hz
        * (largest['inference']['energy_j'] + largest['training']['energy_j'])
    )
    assert load_w < float(next(ElementTree.parse(ROBOT).iter('power_load')).text)
