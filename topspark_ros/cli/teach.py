"""`topspark teach`: whatever is in view of a running learner is labelled, and shown meanwhile."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from rich.console import Console

from topspark_ros.cli import live_view, ros, teach_view
from topspark_ros.cli.arguments import UsageError

if TYPE_CHECKING:  # which needs ROS
    from topspark_ros.nodes.teacher import Teacher

SUMMARY = (
    'Teach a running learner a class: whatever is in view is labelled with it, until Ctrl-C. '
    'Shows what is seen, what it is taken for, and the examples of each class.'
)
REFRESH_S = 0.25
# Asked for again and again, so that it ends soon where this terminal is cut off from the robot.
LEASE_S, RENEWAL_S = 5.0, 1.0
LAST_FRAMES_S = 1.0  # in which they are learned, once nothing more is taught


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('name', metavar='NAME', help='of the class; a new one becomes a new class')
    parser.set_defaults(duration=math.inf)
    parser.add_argument(
        '--for',
        dest='duration',
        type=float,
        default=argparse.SUPPRESS,
        metavar='S',
        help='end after this time (default: until Ctrl-C)',
    )
    ros.add_namespace(parser)


def run(arguments: argparse.Namespace) -> int:
    """The exit code: 1 if no example was learned."""
    if not arguments.duration > 0.0:
        raise UsageError(f'--for is {arguments.duration:g}, accepted is above 0')
    ros.installed()
    with ros.teacher(arguments) as teacher:
        name, before = arguments.name, teacher.frames(arguments.name)
        teach(teacher, name, arguments.duration)
        learned = teacher.frames(name)
        print(f'{learned - before} examples of {name!r} were learned, {learned} in all')
        return 0 if learned > before else 1


def teach(teacher: Teacher, name: str, duration_s: float) -> None:
    """Have a class taught for so long, inf: until Ctrl-C, and show how it goes."""
    teacher.look()
    console = Console()
    end_s, renewal_s = teacher.elapsed_s + duration_s, 0.0

    def left_s() -> float:
        return end_s - teacher.elapsed_s

    display = live_view.Display(
        console,
        lambda: teach_view.view(
            teacher,
            name,
            left_s(),
            title=f'topspark teach {teacher.get_namespace()}',
            width=console.width,
        ),
        lambda: teach_view.line(teacher, name, left_s()),
    )
    try:
        with display:
            while (remaining_s := left_s()) > 0.0:
                if teacher.elapsed_s >= renewal_s:
                    teacher.teach(name, min(remaining_s, LEASE_S))
                    renewal_s = teacher.elapsed_s + RENEWAL_S
                teacher.spin(min(REFRESH_S, remaining_s))
                display.show()
    except KeyboardInterrupt:
        pass
    teacher.stop()
    teacher.spin(LAST_FRAMES_S)
