"""`ros2 launch --show-args` lists every argument, and each explains itself."""

from __future__ import annotations

from bringup import SHARE

import bag_player
import pytest
from launch.launch_description_sources import get_launch_description_from_python_launch_file

ROBOT = {
    'namespace',
    'params_file',
    'profile_file',
    'checkpoint_file',
    'input',
    'image_topic',
    'compressed_topic',
    'event_topic',
    'label_topic',
    'battery_topic',
    'budget_topic',
    'use_sim_time',
    'autostart',
    'respawn',
    'respawn_delay',
    'enclaves',
    'log_level',
}


def arguments(launch_file: str) -> dict:
    description = get_launch_description_from_python_launch_file(
        str(SHARE / 'launch' / launch_file)
    )
    return {argument.name: argument for argument in description.get_launch_arguments()}


@pytest.mark.parametrize(
    'launch_file, own',
    [
        ('topspark.launch.py', set()),
        ('demo.launch.py', {'dataset'}),
        ('replay.launch.py', {'bag', 'rate', 'start_offset', 'qos_file'}),
    ],
)
def test_every_argument_is_listed_and_explains_itself(launch_file, own):
    listed = arguments(launch_file)
    assert set(listed) == ROBOT | own
    assert all(len(argument.description) > 10 for argument in listed.values())


def test_every_topic_that_is_played_has_its_qos():
    overrides = bag_player.read_qos_overrides(SHARE / 'config' / 'qos_overrides.yaml')
    topics = {
        argument.default_value[0].text
        for name, argument in arguments('replay.launch.py').items()
        if name.endswith('_topic')
    }
    assert set(overrides) == topics
