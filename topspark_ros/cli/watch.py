"""`topspark watch`: what a running robot's perception does, live."""

from __future__ import annotations

import argparse
import math
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
    ros.add_namespace(parser)
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
    from rclpy.validate_topic_name import validate_topic_name

    from topspark_ros.nodes.observer import Observer, observing

    namespace, battery_topic = ros.namespace_of(arguments), arguments.battery_topic
    ros.require_name('--battery-topic', battery_topic, validate_topic_name)
    try:
        with observing(lambda: Observer(namespace, battery_topic)) as observer:
            return watch(observer, arguments.once, arguments.duration)
    except KeyboardInterrupt:
        return 0


def watch(observer: Observer, once: bool, duration_s: float | None) -> int:
    """The exit code."""
    title = f'topspark watch {observer.get_namespace()}'
    hint = ros.hint(observer.get_namespace())

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
