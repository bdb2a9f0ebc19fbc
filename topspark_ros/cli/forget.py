"""`topspark forget`: the learner forgets a class."""

from __future__ import annotations

import argparse

from topspark_ros.cli import ros

SUMMARY = (
    'Let a running learner forget a class: it is never predicted again, and taught again it '
    'starts from nothing. All others stay as they are.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('name', metavar='NAME', help='of the class')
    ros.add_namespace(parser)


def run(arguments: argparse.Namespace) -> int:
    ros.installed()
    with ros.teacher(arguments) as teacher:
        print(teacher.forget(arguments.name))
    return 0
