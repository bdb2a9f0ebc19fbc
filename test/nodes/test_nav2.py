"""Our nodes under Nav2: its lifecycle manager's protocol, and its condition on the battery.

What the manager does is written down here from its source (nav2_lifecycle_manager 1.3, Jazzy):
which services it calls in which order, what it expects of them, and when a bond is formed.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from rig import Rig

import pytest
import yaml
from bond.msg import Status
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import GetState
from rclpy.qos import QoSPresetProfiles, QoSProfile
from sensor_msgs.msg import BatteryState

CONFIG = Path(__file__).parents[2] / 'config'
PARAMETERS = {
    name.rpartition('/')[2]: entry['ros__parameters']
    for name, entry in yaml.safe_load((CONFIG / 'nav2.yaml').read_text()).items()
}
MANAGER = PARAMETERS.pop('lifecycle_manager_perception')
TREE = ElementTree.parse(CONFIG / 'nav2_navigate_while_charged.xml').getroot()

EXPECTED = {
    Transition.TRANSITION_CONFIGURE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_CLEANUP: State.PRIMARY_STATE_UNCONFIGURED,
    Transition.TRANSITION_ACTIVATE: State.PRIMARY_STATE_ACTIVE,
    Transition.TRANSITION_DEACTIVATE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_UNCONFIGURED_SHUTDOWN: State.PRIMARY_STATE_FINALIZED,
}
UP = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE
DOWN = (
    Transition.TRANSITION_DEACTIVATE,
    Transition.TRANSITION_CLEANUP,
    Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
)


class Manager:
    """The manager's part."""

    def __init__(self, rig: Rig):
        self._rig = rig
        # bondcpp subscribes with this profile.
        self._heard: list[Status] = rig.collect(Status, 'bond', QoSProfile(depth=100))
        self.instances: dict[str, str] = {}  # node -> of the bond that is formed

    def change(self, *transitions: int) -> None:
        """Of all nodes: `changeStateForAllNodes`."""
        for transition in transitions:
            names = MANAGER['node_names']
            for name in names if transition in UP else reversed(names):
                assert self._rig.transit(name, transition)
                state = self._rig.call(GetState, f'{name}/get_state').current_state
                assert state.id == EXPECTED[transition]
                if transition == Transition.TRANSITION_ACTIVATE:
                    self._form_bond(name)
                if transition == Transition.TRANSITION_DEACTIVATE:
                    self.instances.pop(name)

    def _form_bond(self, name: str) -> None:
        self._heard.clear()
        alive = self._rig.wait_for(lambda: self.messages_of(name), f'a heartbeat of {name}')[0]
        assert alive.active
        self.instances[name] = alive.instance_id

    def messages_of(self, name: str) -> list[Status]:
        return [each for each in self._heard if each.id == name]


@pytest.fixture
def manager(rig):
    for name in MANAGER['node_names']:
        rig.start(name, autostart=False, **PARAMETERS[name])
    return Manager(rig)


def test_the_manager_starts_pauses_resumes_resets_and_shuts_down(rig, manager):
    manager.change(*UP)
    first = dict(manager.instances)
    assert len(first) == 2
    manager.change(Transition.TRANSITION_DEACTIVATE)  # pause
    manager.change(Transition.TRANSITION_ACTIVATE)  # resume
    # Each bond is a new one: the manager would take one that has ended for dead.
    assert not set(first.values()) & set(manager.instances.values())
    manager.change(*DOWN[:2])  # reset
    manager.change(*UP)
    manager.change(*DOWN)  # shutdown


def test_a_bond_lasts_while_its_node_is_active_and_ends_with_a_message(rig, manager):
    manager.change(*UP)
    instance = manager.instances['snn_learner']

    def of_instance():
        return [each for each in manager.messages_of('snn_learner') if each.instance_id == instance]

    rig.wait_for(lambda: len(of_instance()) > 3)
    assert all(each.active for each in of_instance())
    period_s = PARAMETERS['snn_learner']['bond_heartbeat_period']
    assert {each.heartbeat_period for each in of_instance()} == {period_s}
    # A message may be lost or late: several come in the time that the manager waits.
    assert 2 * period_s <= MANAGER['bond_timeout'] / 2

    manager.change(Transition.TRANSITION_DEACTIVATE)
    rig.wait_for(lambda: not of_instance()[-1].active)
    assert rig.state('snn_learner') == 'inactive'
    assert all(each.active for each in of_instance()[:-1])


def test_a_node_that_is_stopped_ends_its_bond(rig):
    heard = rig.collect(Status, 'bond', QoSProfile(depth=100))
    process = rig.start('battery_simulator', bond_heartbeat_period=0.1)
    rig.wait_for(lambda: heard and heard[-1].active)
    process.stop()
    rig.latest(heard, lambda last: not last.active)


def test_without_the_parameter_there_is_no_bond(rig):
    rig.start('timestep_controller')
    rig.wait_until_active('timestep_controller')
    assert not rig.node.count_publishers(f'{rig.namespace}/bond')


# Of nav2_behavior_tree 1.3: the nodes that the tree uses, and their ports.
PORTS = {
    'IsBatteryLow': {'min_battery', 'battery_topic', 'is_voltage'},
    'RateController': {'hz'},
    'ComputePathToPose': {'start', 'goal', 'planner_id', 'path', 'error_code_id'},
    'FollowPath': {'path', 'controller_id', 'goal_checker_id', 'error_code_id'},
    'PipelineSequence': {'name'},
}
OF_THE_LIBRARY = {'Inverter', 'ReactiveSequence'}


def test_the_tree_uses_what_nav2_has():
    (tree,) = TREE
    assert tree.get('ID') == TREE.get('main_tree_to_execute')
    nodes = [each for each in tree.iter() if each is not tree]
    assert {each.tag for each in nodes} == set(PORTS) | OF_THE_LIBRARY
    for each in nodes:
        assert set(each.attrib) <= PORTS.get(each.tag, set())


# What the condition subscribes with in Jazzy, and later.
@pytest.mark.parametrize('profile', [QoSPresetProfiles.SYSTEM_DEFAULT.value, QoSProfile(depth=10)])
@pytest.mark.parametrize('state_of_charge, is_low', [(0.9, False), (0.1, True)])
def test_the_condition_of_the_tree_reads_the_battery_of_the_controller(
    rig, profile, state_of_charge, is_low
):
    condition = next(TREE.iter('IsBatteryLow'))
    topic = condition.get('battery_topic').lstrip('/')  # of a robot without a namespace
    states = rig.collect(BatteryState, topic, profile)
    rig.start('battery_simulator', initial_state_of_charge=state_of_charge)
    rig.start('timestep_controller')
    state = rig.wait_for(lambda: states and states[-1], 'a state')
    assert (state.percentage <= float(condition.get('min_battery'))) == is_low
    rig.wait_for(
        lambda: rig.health('timestep_controller', 'state of charge') not in (None, 'nan'),
        'the controller hears the same',
    )
