"""`topspark answer`: a person answers what a running learner asks."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rich.console import Console

from topspark_ros.cli import ros, teach_view
from topspark_ros.perception.teaching import LabelError, check_name

if TYPE_CHECKING:  # which needs ROS
    from topspark_ros.nodes.teacher import Teacher
    from topspark_ros.perception.messages import Message

SUMMARY = (
    'Answer the questions of a running learner: shows each frame that a label would help most '
    'with, and asks for its class, until Ctrl-C.'
)
LOOK_S = 0.25
SKIP = '-'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    ros.add_namespace(parser)


def run(arguments: argparse.Namespace) -> int:
    """The exit code: 1 if no answer was learned."""
    ros.installed()
    console = Console()
    given = learned = 0
    with ros.teacher(arguments) as teacher:
        teacher.look()
        teacher.hear_questions()
        try:
            while True:
                question = _next_question(console, teacher)
                name = _ask(console, question)
                if name is None:
                    teacher.questions.remove(question)
                    continue
                given += 1
                if teacher.answer(question, name):
                    learned += 1
                    console.print(f'learned as {name!r}', highlight=False)
                else:
                    console.print('not learned: no longer open, or nothing is learned now')
        except (KeyboardInterrupt, EOFError):
            console.print()
    print(f'{given} answers, {learned} of them learned')
    return 0 if learned else 1


def _next_question(console: Console, teacher: Teacher) -> Message:
    """The latest one: what it shows may still be in view."""
    teacher.spin(LOOK_S)
    if not teacher.questions:
        console.print('No question is open. Waiting for one, until Ctrl-C.')
    latest = None
    while latest is None or latest is not teacher.questions[-1]:  # they come one by one
        latest = teacher.questions[-1] if teacher.questions else None
        teacher.spin(LOOK_S)
    return latest


def _ask(console: Console, question: Message) -> str | None:
    """What the person says that it is; None: nothing."""
    console.print(teach_view.question(question, console.width))
    offered = question.class_ids[0] if question.class_ids else ''
    hint = f'Enter: {offered}, {SKIP}: skip' if offered else f'Enter or {SKIP}: skip'
    while True:
        name = console.input(f'What is it? ({hint}) ', markup=False).strip() or offered
        if name in ('', SKIP):
            return None
        try:
            check_name(name)
        except LabelError as error:
            console.print(str(error), markup=False)
        else:
            return name
