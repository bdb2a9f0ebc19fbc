"""Real processes over real DDS, on a domain of their own."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

PROFILE = Path(__file__).parents[2] / 'config' / 'fastdds_profile.xml'


@contextmanager
def own_domain():
    """A ROS domain that no other test run on this machine uses."""
    try:
        from domain_coordinator import domain_id
    except ImportError:
        yield os.getpid() % 100 + 1
    else:
        with domain_id() as domain:
            yield domain


@pytest.fixture(scope='session')
def domain(tmp_path_factory):
    """rclpy, initialised on a domain of its own; the processes inherit the environment."""
    import rclpy

    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv('ROS_DOMAIN_ID', str(stack.enter_context(own_domain())))
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        patch.setenv('ROS_LOG_DIR', str(tmp_path_factory.mktemp('ros_log')))
        patch.setenv('FASTRTPS_DEFAULT_PROFILES_FILE', str(PROFILE))
        rclpy.init()
        yield
        rclpy.shutdown()


def _rig(folder):
    from rig import Rig

    rig = Rig(folder)
    try:
        yield rig
    finally:
        rig.close()


@pytest.fixture(scope='module')
def shared_rig(domain, tmp_path_factory):
    """One rig for a module: its processes run from test to test."""
    yield from _rig(tmp_path_factory.mktemp('shared'))


@pytest.fixture
def rig(domain, tmp_path):
    yield from _rig(tmp_path)


@pytest.fixture(scope='session')
def shipped_profile():
    return PROFILE.with_name('profile_digits.yaml')
