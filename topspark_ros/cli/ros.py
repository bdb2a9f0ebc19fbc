"""ROS 2 as the commands find it: where the package is installed, and a run on one machine."""

from __future__ import annotations

import os
from pathlib import Path

from topspark_ros.cli.arguments import UsageError


def installed() -> Path:
    """The prefix that the package is installed in; UsageError where there is no ROS 2."""
    try:
        from ament_index_python.packages import get_package_prefix

        return Path(get_package_prefix('topspark_ros'))
    except (ImportError, LookupError):
        raise UsageError(
            'ROS 2 is not there; source it and the built package, or env.bash of the checkout'
        ) from None


def executable(node: str) -> Path:
    return installed() / 'lib' / 'topspark_ros' / node


def configuration(name: str) -> Path:
    """A file of the package's config/."""
    return installed() / 'share' / 'topspark_ros' / 'config' / name


def keep_local() -> None:
    """This process and those that it starts: room for images, and no talk with other machines.

    What the environment says already stays.
    """
    os.environ.setdefault(
        'FASTRTPS_DEFAULT_PROFILES_FILE', str(configuration('fastdds_profile.xml'))
    )
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
