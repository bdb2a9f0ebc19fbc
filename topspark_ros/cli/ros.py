"""ROS 2 as the commands find it: where the package is installed, and a run on one machine."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from topspark_ros.cli.arguments import UsageError

if TYPE_CHECKING:  # which needs ROS
    from topspark_ros.nodes.teacher import Teacher


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


def add_namespace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--namespace', default='/', help='of learner and controller')


def namespace_of(arguments: argparse.Namespace) -> str:
    """The namespace that was given, with a slash before it; UsageError for what is none."""
    from rclpy.validate_namespace import validate_namespace

    namespace = f'/{arguments.namespace.strip("/")}'
    require_name('--namespace', namespace, validate_namespace)
    return namespace


def require_name(option: str, name: str, validate: Callable[[str], object]) -> None:
    """UsageError, naming the option, for what ROS does not take as a name."""
    from rclpy.exceptions import NameValidationException

    try:
        validate(name)
    except NameValidationException as error:
        raise UsageError(
            f'{option} is {name!r}, accepted is a ROS name: '
            f'{str(error).splitlines()[0].rstrip(":")}'
        ) from None


@contextmanager
def teacher(arguments: argparse.Namespace) -> Iterator[Teacher]:
    """Who asks the learner of the namespace that was given, once it is found."""
    from topspark_ros.nodes.observer import observing
    from topspark_ros.nodes.teacher import Teacher

    namespace = namespace_of(arguments)
    with observing(lambda: Teacher(namespace)) as asking:
        asking.find(hint(namespace))
        yield asking


def hint(namespace: str) -> str:
    """What may be wrong where nothing is heard."""
    return (
        f'Is the namespace {namespace} right (--namespace), and ROS_DOMAIN_ID '
        f'{os.environ.get("ROS_DOMAIN_ID", "0")} that of the robot?'
    )
