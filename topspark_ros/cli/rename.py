"""`topspark rename`: a class that the learner knows has another name."""

from __future__ import annotations

import argparse

from topspark_ros.cli import ros

SUMMARY = 'Give a class that a running learner knows another name. What was learned of it stays.'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('name', metavar='NAME', help='of the class')
    parser.add_argument('new_name', metavar='NEW_NAME', help='that no other class has')
    ros.add_namespace(parser)


def run(arguments: argparse.Namespace) -> int:
    ros.installed()
    with ros.teacher(arguments) as teacher:
        print(teacher.rename(arguments.name, arguments.new_name))
    return 0
