"""The terminal view of teaching: what is seen, what it is taken for, and the examples so far."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
from rich.color import Color
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.style import Style
from rich.table import Table
from rich.text import Text

from topspark_ros.cli.live_view import BAD, GOOD, HEED, MAIN, bar, period, share
from topspark_ros.perception.messages import camera_image

if TYPE_CHECKING:  # which needs ROS
    from topspark_ros.nodes.teacher import Teacher
    from topspark_ros.perception.messages import Message

PICTURE_SIDE = 48  # columns of a picture at most; a character shows two pixels, one above the other
NO_CLASS = 'no class yet'


def view(teacher: Teacher, class_name: str, left_s: float, *, title: str) -> Panel:
    """As a panel for some 100 columns. left_s: until the teaching ends; inf: until Ctrl-C."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style='bold', no_wrap=True)
    facts.add_row('Taught', Text.assemble((class_name, MAIN), f'   {_end(left_s)}'))
    facts.add_row('Seen as', _seen_as(teacher.result, class_name))
    known = teacher.classes
    if known is not None and known.not_learning:
        facts.add_row(Text('Not learned', HEED), Text(known.not_learning, HEED))
    parts: list[RenderableType] = [facts, Text()]
    if known is not None:
        parts.append(classes(known))
    side_by_side = Table.grid(padding=(0, 3))
    side_by_side.add_row(
        Text('no picture yet') if teacher.image is None else picture(teacher.image), Group(*parts)
    )
    return Panel(side_by_side, title=title)


def line(teacher: Teacher, class_name: str, left_s: float) -> str:
    """The same in one line."""
    parts = [
        f'{class_name}: {_end(left_s)}',
        f'seen as {" ".join(_said(teacher.result, class_name))}',
        f'{teacher.frames(class_name)} examples',
    ]
    known = teacher.classes
    if known is not None and known.not_learning:
        parts.append(f'not learned: {known.not_learning}')
    return ' | '.join(parts)


def classes(known: Message) -> RenderableType:
    """Names and examples of the classes in a Classes message."""
    if not known.class_ids:
        return Text(NO_CLASS)
    most = max(*known.frames, 1)
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column()
    table.add_column(justify='right')
    table.add_row(Text('Classes', 'bold'), '', Text('examples', 'dim'))
    for name, frames in zip(known.class_ids, known.frames):
        style = MAIN if name == known.taught else ''
        table.add_row(
            Text(name, style), bar(frames / most, style or GOOD), Text(f'{frames}', style)
        )
    return table


def picture(message: Message) -> Text:
    """A sensor_msgs/Image in half blocks, each of two colours, one above the other."""
    pixels = camera_image(message, 0).rgb()
    height, width = pixels.shape[:2]
    scale = min(1.0, PICTURE_SIDE / max(height, width))
    rows, columns = 2 * max(1, round(scale * height / 2)), max(1, round(scale * width))
    pixels = cv2.resize(np.ascontiguousarray(pixels), (columns, rows), interpolation=cv2.INTER_AREA)
    text = Text(no_wrap=True)
    for upper, lower in zip(pixels[::2].tolist(), pixels[1::2].tolist()):
        if text:
            text.append('\n')
        for above, below in zip(upper, lower):
            colours = Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below))
            text.append('▀', colours)
    return text


def _seen_as(result: Message | None, class_name: str) -> Text:
    answer, verdict = _said(result, class_name)
    style = {'right': GOOD, 'wrong': BAD}.get(verdict, HEED)
    score = math.nan if result is None else result.score
    return Text.assemble(bar(score, style), f'   {answer}   ', (verdict, style))


def _said(result: Message | None, class_name: str) -> tuple[str, str]:
    """What was said of the frame, and whether it is right."""
    if result is None:
        return 'no frame yet', ''
    if result.empty:
        return 'nothing', 'nothing stands out'
    if not result.class_id:
        return NO_CLASS, ''
    right = result.class_id == class_name
    return f'{result.class_id} {share(result.score)}', 'right' if right else 'wrong'


def _end(left_s: float) -> str:
    return 'until Ctrl-C' if math.isinf(left_s) else f'{period(max(0.0, math.ceil(left_s)))} left'
