"""Parameters: the YAML files say what the nodes declare, and every one explains itself."""

from __future__ import annotations

import dataclasses
import math
from importlib import import_module
from pathlib import Path

from every_node import alive, case  # noqa: F401  (a fixture)

import pytest
import yaml
from lifecycle_msgs.msg import Transition
from rcl_interfaces.srv import SetParameters
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from topspark_ros import msg
from topspark_ros.engine import load_checkpoint
from topspark_ros.nodes.managed_node import ManagedNode
from topspark_ros.nodes.parameters import ParameterError, accept, descriptor
from topspark_ros.nodes.snn_learner import SnnLearner

SUCCESS = TransitionCallbackReturn.SUCCESS
CONFIG = Path(__file__).parents[2] / 'config'
NODES = (
    'battery_simulator',
    'dataset_camera',
    'event_simulator',
    'gazebo_battery',
    'patrol',
    'power_budget_schedule',
    'snn_learner',
    'timestep_controller',
)


def declaration(node: str) -> dict[str, dataclasses.Field]:
    module = import_module(f'topspark_ros.nodes.{node}')
    node_class = next(
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, ManagedNode)
        and value.__module__ == module.__name__
    )
    return {field.name: field for field in dataclasses.fields(node_class.Parameters)}


def listed(file: str):
    """(node, parameter, value) of every entry."""
    for pattern, content in yaml.safe_load((CONFIG / file).read_text()).items():
        for name, value in content['ros__parameters'].items():
            yield pytest.param(
                pattern.removeprefix('/**/'),
                name,
                value,
                id=f'{pattern.removeprefix("/**/")}.{name}',
            )


@pytest.mark.parametrize('node, name, value', list(listed('topspark.yaml')))
def test_the_robots_file_lists_the_defaults(node, name, value):
    default = declaration(node)[name].default
    assert (tuple(value) if isinstance(default, tuple) else value) == default


@pytest.mark.parametrize(
    'node, name, value', [*listed('demo.yaml'), *listed('demo_events.yaml'), *listed('gazebo.yaml')]
)
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
def test_what_is_outside_is_rejected_by_name(node):
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


@pytest.mark.parametrize(
    'parameters, complaint',
    [
        (dict(neurons=0), 'neurons'),
        (dict(max_input_rate=math.nan), 'max_input_rate'),
        (dict(rule='hebb'), 'rule'),
        (dict(neurons='many'), 'neurons'),
        (dict(inference_margin=0.0), 'inference_margin'),
    ],
)
def test_a_node_that_is_given_nonsense_ends_with_one_line(rig, parameters, complaint):
    process = rig.start('snn_learner', **parameters)
    assert process.wait() == 1
    assert complaint in process.log and 'Traceback' not in process.log


# What is taken by `configure` ------------------------------------------------------------


def changed(field: dataclasses.Field):
    """Another accepted value."""
    meta, value = field.metadata, field.default
    if meta['choices']:
        return next(choice for choice in meta['choices'] if choice != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, tuple):
        return [type(value[0])(1)] * (len(value) + 1)
    if isinstance(value, str):
        return 'another'
    return meta['low'] if meta['low'] != value else type(value)((meta['low'] + meta['high']) / 2)


def set_to(node, field: dataclasses.Field, value):
    return node.set_parameters([Parameter(field.name, value=value)])[0]


def test_what_configure_takes_can_be_changed_until_then(case):
    node_class, parameters = case
    fields = [
        field
        for field in dataclasses.fields(node_class.Parameters)
        if field.metadata['fixed'] and field.name not in parameters
    ]
    with alive(node_class, parameters) as node:
        for field in fields:
            before = node.get_parameter(field.name).value
            assert set_to(node, field, changed(field)).successful, field.name
            assert getattr(node.parameters, field.name) != field.default
            assert set_to(node, field, before).successful
        assert node.trigger_configure() == SUCCESS
        for transition in (None, node.trigger_activate):
            if transition is not None:
                assert transition() == SUCCESS
            for field in fields:
                before = node.get_parameter(field.name).value
                result = set_to(node, field, changed(field))
                assert not result.successful, field.name
                for word in (field.name, node.state, 'accepted', 'unconfigured'):
                    assert word in result.reason
                assert repr(node.get_parameter(field.name).value) == repr(before)  # NaN too
                assert set_to(node, field, before).successful  # it changes nothing
        assert node.trigger_deactivate() == node.trigger_cleanup() == SUCCESS
        for field in fields:
            assert set_to(node, field, changed(field)).successful, field.name


def test_configure_uses_the_values_that_were_set_before(rig):
    rig.start('snn_learner', rule='recruiting', neurons=20)
    rig.wait_until_active('snn_learner')

    def set_neurons(number: int):
        return rig.call(
            SetParameters,
            'snn_learner/set_parameters',
            SetParameters.Request(
                parameters=[Parameter('neurons', value=number).to_parameter_msg()]
            ),
        ).results[0]

    rejected = set_neurons(30)
    assert not rejected.successful
    assert rejected.reason == (
        'neurons: cannot be changed while active; accepted: a change while the node is unconfigured'
    )
    checkpoint = rig.folder / 'weights.topspark'
    assert rig.transit('snn_learner', Transition.TRANSITION_DEACTIVATE)
    assert rig.transit('snn_learner', Transition.TRANSITION_CLEANUP)
    assert set_neurons(30).successful
    assert (
        rig.call(
            SetParameters,
            'snn_learner/set_parameters',
            SetParameters.Request(
                parameters=[Parameter('checkpoint_file', value=str(checkpoint)).to_parameter_msg()]
            ),
        )
        .results[0]
        .successful
    )
    assert rig.transit('snn_learner', Transition.TRANSITION_CONFIGURE)
    assert rig.transit('snn_learner', Transition.TRANSITION_ACTIVATE)
    assert rig.call(Trigger, 'snn_learner/save_weights').success
    assert load_checkpoint(checkpoint).network.config.neurons == 30


def test_energies_of_a_table_of_ones_own(rig, tmp_path):
    shipped = (CONFIG / 'energy' / 'loihi.yaml').read_text()
    path = tmp_path / 'mine.yaml'
    path.write_text(shipped.replace('name: loihi', 'name: mine'))
    statuses = rig.collect(msg.LearnerStatus, 'snn_learner/status')
    rig.start('snn_learner', energy_model=str(path), status_period=0.05)
    assert rig.wait_for(lambda: statuses)[-1].energy_model == 'mine'


def test_an_energy_table_that_is_none_is_one_line(rig, tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text('name: mine\n')
    process = rig.start('snn_learner', energy_model=str(path))
    complaint = f'energy_model: {path}: source is missing, accepted is a value'
    rig.wait_for(lambda: complaint in process.log)
    assert rig.state('snn_learner') == 'unconfigured' and 'Traceback' not in process.log


def test_what_is_taken_at_the_start_alone_is_read_only(case):
    with alive(*case) as node:
        shown = node.describe_parameter('autostart')
        assert shown.read_only
        result = node.set_parameters([Parameter('autostart', value=True)])[0]
        assert not result.successful and 'read-only' in result.reason
        for field in dataclasses.fields(node.Parameters):
            shown = node.describe_parameter(field.name)
            assert shown.read_only == (field.name == 'autostart')
            assert ('unconfigured' in shown.additional_constraints) == field.metadata['fixed']


def test_the_name_of_the_version_before_is_still_taken_with_a_warning(domain, capfd):
    with alive(SnnLearner, {}, event_region=[1, 2, 3, 4]) as node:
        assert node.parameters.event_roi == (1, 2, 3, 4)
        assert list(node.get_parameter('event_roi').value) == [1, 2, 3, 4]
        assert not node.has_parameter('event_region')
    assert 'event_region is now event_roi' in capfd.readouterr().err


def test_a_value_under_the_former_name_is_checked_as_any_other(domain):
    with pytest.raises(ParameterError, match='^event_least_count: .*0'):
        with alive(SnnLearner, {}, event_least_count=0):
            pass


def test_a_misspelt_name_is_worth_a_warning_and_one_of_another_node_is_not(domain, capfd):
    with alive(SnnLearner, {}, neuron=7, event_centering=True, wheel_radius=0.1):
        pass
    printed = capfd.readouterr().err
    assert 'neuron is no parameter; is neurons meant?' in printed
    assert 'event_centering is no parameter; is event_centring meant?' in printed
    assert 'wheel_radius' not in printed
