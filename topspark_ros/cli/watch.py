"""`topspark watch`: what a running robot's perception does, live."""

from __future__ import annotations

import argparse
import math
import os
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.panel import Panel

from topspark_ros.cli import live_view, ros
from topspark_ros.cli.arguments import UsageError

if TYPE_CHECKING:  # which needs ROS
    from topspark_ros.nodes.observer import Observer

SUMMARY = (
    'Show live what the perception of a running robot does: T, accuracy, power against '
    'budget, battery, and why. It changes nothing.'
)
REFRESH_S = 0.25
ONCE_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--namespace', default='/', help='of learner and controller')
    parser.add_argument(
        '--battery-topic',
        default='battery_state',
        metavar='TOPIC',
        help='as given to the launch file',
    )
    parser.add_argument(
        '--once',
        action='store_true',
        help='show it once, as soon as every topic was heard, and end',
    )
    # Without a default of its own, the help does not say that it is None.
    parser.set_defaults(duration=None)
    parser.add_argument(
        '--duration',
        type=float,
        default=argparse.SUPPRESS,
        metavar='S',
        help='end after this time (default: until Ctrl-C, with --once '
        f'{ONCE_S:g} s at most), with 1 if neither learner nor controller was '
        'heard',
    )


def run(arguments: argparse.Namespace) -> int:
    if arguments.duration is not None and not arguments.duration > 0.0:
        raise UsageError(f'--duration is {arguments.duration}, accepted is above 0')
    ros.installed()
    from rclpy.exceptions import NameValidationException
    from rclpy.validate_namespace import validate_namespace
    from rclpy.validate_topic_name import validate_topic_name

    from topspark_ros.nodes.observer import Observer, observing

    namespace, battery_topic = f'/{arguments.namespace.strip("/")}', arguments.battery_topic
    for option, name, validate in (
        ('--namespace', namespace, validate_namespace),
        ('--battery-topic', battery_topic, validate_topic_name),
    ):
        try:
            validate(name)
        except NameValidationException as error:
            raise UsageError(
                f'{option} is {name!r}, accepted is a ROS name: '
                f'{str(error).splitlines()[0].rstrip(":")}'
            ) from None
    try:
        with observing(lambda: Observer(namespace, battery_topic)) as observer:
            return watch(observer, arguments.once, arguments.duration)
    except KeyboardInterrupt:
        return 0


def watch(observer: Observer, once: bool, duration_s: float | None) -> int:
    """The exit code."""
    title = f'topspark watch {observer.get_namespace()}'
    hint = (
        f'Is the namespace {observer.get_namespace()} right (--namespace), and ROS_DOMAIN_ID '
        f'{os.environ.get("ROS_DOMAIN_ID", "0")} that of the robot?'
    )

    def view() -> Panel:
        return live_view.view(observer.snapshot(), title=title, hint=hint)

    console = Console()
    if once:
        end_s = time.monotonic() + (duration_s or ONCE_S)
        while time.monotonic() < end_s and any(
            math.isnan(topic.received_s) for topic in observer.snapshot().topics
        ):
            observer.spin(REFRESH_S)
        console.print(view())
    else:
        end_s = time.monotonic() + (duration_s or math.inf)
        with live_view.Display(
            console, view, lambda: live_view.line(observer.snapshot(), hint)
        ) as display:
            while time.monotonic() < end_s:
                observer.spin(REFRESH_S)
                display.show()
    return 0 if observer.snapshot().received else 1
