"""`topspark classes`: what a running learner can tell apart."""

from __future__ import annotations

import argparse

from rich.console import Console

from topspark_ros.cli import ros, teach_view

SUMMARY = 'List the classes that a running learner knows, and the examples of each that it learned.'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    ros.add_namespace(parser)


def run(arguments: argparse.Namespace) -> int:
    ros.installed()
    with ros.teacher(arguments) as teacher:
        Console().print(teach_view.classes(teacher.classes))
    return 0
