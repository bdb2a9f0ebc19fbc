"""The access control policy gives each node what it uses, and nothing else."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from rig import rclpy

import pytest
from ament_index_python.packages import get_package_prefix
from rclpy.parameter import Parameter

from topspark_ros.nodes.battery_simulator import BatterySimulator
from topspark_ros.nodes.dataset_camera import DatasetCamera
from topspark_ros.nodes.event_simulator import EventSimulator
from topspark_ros.nodes.gazebo_battery import GazeboBattery
from topspark_ros.nodes.patrol import Patrol
from topspark_ros.nodes.power_budget_schedule import PowerBudgetSchedule
from topspark_ros.nodes.snn_learner import SnnLearner
from topspark_ros.nodes.timestep_controller import TimestepController
from topspark_ros.streams.panels import CameraPose, CircularPath, Gallery, Panel, save_gallery

CHECKOUT = Path(__file__).parents[2]
POLICY = CHECKOUT / 'config' / 'security' / 'policy.xml'
INCLUDE = '{http://www.w3.org/2001/XInclude}include'
# What sros2's schema has (0.2.0): an attribute of a group -> the group and its members.
GROUPS = {
    'publish': ('topics', 'topic'),
    'subscribe': ('topics', 'topic'),
    'reply': ('services', 'service'),
    'request': ('services', 'service'),
}

USED_BY_ALL = {'autostart': False, 'use_sim_time': True, 'bond_heartbeat_period': 1.0}
# Node -> parameters that between them make it use all that it ever does.
NODES = {
    BatterySimulator: [{}],
    DatasetCamera: [{}],
    EventSimulator: [{}],
    GazeboBattery: [{}],
    Patrol: [{'panels_file': 'panels.yaml'}],
    PowerBudgetSchedule: [{}],
    SnnLearner: [
        {'input': 'image'},
        {'input': 'compressed'},
        {'input': 'events', 'meter': 'battery'},
    ],
    TimestepController: [{}],
}


def read_policy() -> dict[str, ElementTree.Element]:
    """The profile of each node; the policy is checked as sros2's schema has it, and more."""
    policy = ElementTree.parse(POLICY).getroot()
    assert (policy.tag, policy.attrib) == ('policy', {'version': '0.2.0'})
    (enclaves,) = policy
    assert enclaves.tag == 'enclaves'
    profiles = {}
    for enclave in enclaves:
        (group,) = enclave
        (profile,) = group
        node = profile.get('node')
        assert (enclave.tag, enclave.attrib) == ('enclave', {'path': f'/topspark/{node}'})
        assert (group.tag, group.attrib) == ('profiles', {})
        assert (profile.tag, profile.attrib) == ('profile', {'ns': '/', 'node': node})
        assert node not in profiles
        profiles[node] = profile
    return profiles


def rights(profile: ElementTree.Element, namespace: str) -> set[tuple[str, str]]:
    """(publish, subscribe, reply or request; full name) of a profile, in this namespace."""
    found = []
    for group in profile:
        if group.tag == INCLUDE:
            assert group.get('xpointer') == 'xpointer(/profile/*)'
            common = ElementTree.parse(POLICY.parent / group.get('href')).getroot()
            shared = ElementTree.Element('profile', profile.attrib)
            shared.extend(common)
            found += rights(shared, namespace)
            continue
        ((right, value),) = group.attrib.items()
        assert value == 'ALLOW' and group.tag == GROUPS[right][0] and len(group)
        for member in group:
            assert member.tag == GROUPS[right][1] and not member.attrib
            name = member.text
            assert not set(name) & set('*?[ ')  # nobody gets a wildcard
            found.append(
                (
                    right,
                    name
                    if name.startswith('/')
                    else f'{namespace}/'
                    + (f'{profile.get("node")}{name[1:]}' if name.startswith('~') else name),
                )
            )
    assert len(found) == len(set(found))
    return set(found)


def used(node) -> set[tuple[str, str]]:
    """What a node of this process has open."""
    queries = {
        'publish': node.get_publisher_names_and_types_by_node,
        'subscribe': node.get_subscriber_names_and_types_by_node,
        'reply': node.get_service_names_and_types_by_node,
        'request': node.get_client_names_and_types_by_node,
    }
    return {
        (right, name)
        for right, query in queries.items()
        for name, _ in query(node.get_name(), node.get_namespace())
    }


def test_every_executable_has_an_enclave():
    folder = Path(get_package_prefix('topspark_ros')) / 'lib' / 'topspark_ros'
    assert set(read_policy()) == {path.name for path in folder.iterdir()}


@pytest.mark.parametrize('node_class', NODES, ids=lambda node_class: node_class.__name__)
def test_the_policy_gives_what_the_node_uses_and_no_more(domain, node_class, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_gallery(
        Gallery(
            CircularPath(1.0),
            CameraPose(0.0, 0.0, 0.5, 0.0),
            (Panel('cup', 2.0, 0.0, 0.5, 3.0, 0.4),),
        ),
        tmp_path / 'panels.yaml',
    )
    seen, allowed = set(), set()
    for number, parameters in enumerate(NODES[node_class]):
        namespace = f'/policy{number}'
        node = node_class(
            namespace=namespace,
            parameter_overrides=[
                Parameter(name, value=value) for name, value in (USED_BY_ALL | parameters).items()
            ],
        )
        try:
            succeeded = rclpy.lifecycle.TransitionCallbackReturn.SUCCESS
            assert node.trigger_configure() == succeeded
            assert node.trigger_activate() == succeeded
            allowed = rights(read_policy()[node.get_name()], namespace)
            assert used(node) <= allowed
            seen |= {(right, name.removeprefix(namespace)) for right, name in used(node)}
        finally:
            node.stop()
            node.destroy_node()
    assert seen == {(right, name.removeprefix(namespace)) for right, name in allowed}
