"""Parameters: the YAML files say what the nodes declare, and every one explains itself."""
from __future__ import annotations

import dataclasses
import math
from importlib import import_module
from pathlib import Path

import pytest

from rig import msg  # noqa: F401  skips without ROS

import yaml

from topspark_ros.nodes.managed_node import ManagedNode
from topspark_ros.nodes.parameters import accept, descriptor

CONFIG = Path(__file__).parents[2] / 'config'
NODES = ('battery_simulator', 'dataset_camera', 'event_simulator', 'gazebo_battery', 'patrol',
         'power_budget_schedule', 'snn_learner', 'timestep_controller')


def declaration(node: str) -> dict[str, dataclasses.Field]:
    module = import_module(f'topspark_ros.nodes.{node}')
    node_class = next(value for value in vars(module).values() if isinstance(value, type)
                      and issubclass(value, ManagedNode) and value.__module__ == module.__name__)
    return {field.name: field for field in dataclasses.fields(node_class.Parameters)}


def listed(file: str):
    """(node, parameter, value) of every entry."""
    for pattern, content in yaml.safe_load((CONFIG / file).read_text()).items():
        for name, value in content['ros__parameters'].items():
            yield pytest.param(pattern.removeprefix('/**/'), name, value,
                               id=f'{pattern.removeprefix("/**/")}.{name}')


@pytest.mark.parametrize('node, name, value', list(listed('topspark.yaml')))
def test_the_robots_file_lists_the_defaults(node, name, value):
    default = declaration(node)[name].default
    assert (tuple(value) if isinstance(default, tuple) else value) == default


@pytest.mark.parametrize('node, name, value', [
    *listed('demo.yaml'), *listed('demo_events.yaml'), *listed('gazebo.yaml')])
def test_the_demos_files_list_accepted_values(node, name, value):
    field = declaration(node)[name]
    assert type(value) is (list if isinstance(field.default, tuple) else type(field.default))
    accept(field, value)


@pytest.mark.parametrize('node', NODES)
def test_every_parameter_explains_itself(node):
    for field in declaration(node).values():
        assert descriptor(field).description, field.name


@pytest.mark.parametrize('node', NODES)
def test_every_number_has_a_range_and_its_default_lies_in_it(node):
    for field in declaration(node).values():
        accept(field, field.default)
        ranges = descriptor(field)
        if isinstance(field.default, float):
            assert ranges.floating_point_range, field.name
        elif isinstance(field.default, int) and not isinstance(field.default, bool):
            assert ranges.integer_range, field.name


@pytest.mark.parametrize('node', NODES)
def test_what_is_outside_is_refused_by_name(node):
    for field in declaration(node).values():
        if field.metadata['high'] is not None:
            low, high = field.metadata['low'], field.metadata['high']
            outside = [math.nextafter(low, -math.inf)]
            if high < math.inf:
                outside.append(math.nextafter(high, math.inf))
            for value in outside + ([] if isinstance(field.default, tuple) else [math.nan]):
                with pytest.raises(ValueError, match=f'{field.name}: '):
                    accept(field, value)
        if field.metadata['choices']:
            with pytest.raises(ValueError, match=f'{field.name}: '):
                accept(field, 'none of them')


@pytest.mark.parametrize('parameters, complaint', [
    (dict(neurons=0), 'neurons'), (dict(max_input_rate=math.nan), 'max_input_rate'),
    (dict(rule='hebb'), 'rule'), (dict(neurons='many'), 'neurons'),
    (dict(inference_margin=0.0), 'inference_margin')])
def test_a_node_that_is_given_nonsense_ends_with_one_line(rig, parameters, complaint):
    process = rig.start('snn_learner', **parameters)
    assert process.wait() == 1
    assert complaint in process.log and 'Traceback' not in process.log
