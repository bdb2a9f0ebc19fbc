"""Every node of the package, in this process."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

from rig import msg  # noqa: F401  skips without ROS

import pytest
from rclpy.parameter import Parameter

from topspark_ros.nodes.battery_simulator import BatterySimulator
from topspark_ros.nodes.dataset_camera import DatasetCamera
from topspark_ros.nodes.event_simulator import EventSimulator
from topspark_ros.nodes.gazebo_battery import GazeboBattery
from topspark_ros.nodes.managed_node import ManagedNode
from topspark_ros.nodes.patrol import Patrol
from topspark_ros.nodes.power_budget_schedule import PowerBudgetSchedule
from topspark_ros.nodes.snn_learner import SnnLearner
from topspark_ros.nodes.timestep_controller import TimestepController
from topspark_ros.replay.worlds import PANELS_FILE, make_world
from topspark_ros.streams.datasets import load_dataset


def learner_of(source: str):
    def parameters(folder: Path) -> dict:
        return dict(
            input=source,
            picture_side=28,
            meter='battery',
            checkpoint_file=str(folder / 'weights.topspark'),
        )

    return parameters


def nothing(folder: Path) -> dict:
    return {}


def small_world(folder: Path) -> dict:
    make_world(load_dataset('digits'), 8, 0, folder)
    return dict(panels_file=str(folder / PANELS_FILE))


CASES = {
    'learner of images': (SnnLearner, learner_of('image')),
    'learner of compressed images': (SnnLearner, learner_of('compressed')),
    'learner of events': (SnnLearner, learner_of('events')),
    'controller': (TimestepController, nothing),
    'battery': (BatterySimulator, nothing),
    'Gazebo battery': (GazeboBattery, nothing),
    'camera': (DatasetCamera, nothing),
    'event camera': (EventSimulator, nothing),
    'patrol': (Patrol, small_world),
    'schedule': (PowerBudgetSchedule, nothing),
}


@pytest.fixture(scope='module', params=CASES, ids=lambda name: name.replace(' ', '_'))
def case(request, domain, tmp_path_factory):
    """A node class, and the parameters that it needs."""
    node_class, parameters = CASES[request.param]
    return node_class, parameters(tmp_path_factory.mktemp('files'))


@contextmanager
def alive(node_class: type[ManagedNode], parameters: dict, **more):
    """A node of its own, in no executor: the test triggers its transitions."""
    parameters = dict(autostart=False, bond_heartbeat_period=1.0) | parameters
    node = node_class(
        parameter_overrides=[
            Parameter(name, value=value) for name, value in (parameters | more).items()
        ]
    )
    try:
        yield node
    finally:
        node.destroy_node()
