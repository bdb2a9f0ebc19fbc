"""The terminal view of teaching: what is seen, what it is taken for, the examples so far, and what
the learner asks."""

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

# Columns of a picture; a character shows two pixels, one above the other.
LEAST_SIDE, MOST_SIDE = 24, 48
BESIDE = 52  # columns of the panel that are beside the picture
MOST_CANDIDATES = 5
NO_CLASS = 'no class yet'


def view(
    teacher: Teacher, class_name: str, left_s: float, *, title: str, width: int = 100
) -> Panel:
    """As a panel. left_s: until the teaching ends; inf: until Ctrl-C. width: columns there are."""
    result, known = teacher.result, teacher.classes
    answer, verdict = _said(result, class_name)
    style = {'right': GOOD, 'wrong': BAD}.get(verdict, HEED)
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style='bold', no_wrap=True)
    facts.add_row('Taught', Text.assemble((class_name, MAIN), f'   {_end(left_s)}'))
    facts.add_row('Seen as', Text.assemble(f'{answer}   ', (verdict, style)))
    if result is not None and result.class_id:
        facts.add_row('Sure', Text.assemble(bar(result.score, style), f'   {share(result.score)}'))
    if learned := _learned(teacher):
        facts.add_row(Text('Learned', HEED), Text(learned, HEED))
    parts: list[RenderableType] = [facts, Text()]
    if known is not None:
        parts.append(classes(known))
    image = teacher.image
    shown = Text('no picture yet') if image is None else picture(image, picture_side(width))
    return Panel(_side_by_side(shown, *parts), title=title)


def line(teacher: Teacher, class_name: str, left_s: float) -> str:
    """The same in one line."""
    answer, verdict = _said(teacher.result, class_name)
    result = teacher.result
    if result is not None and result.class_id:
        answer += f' {share(result.score)}'
    parts = [
        f'{class_name}: {_end(left_s)}',
        f'seen as {answer}{verdict and f", {verdict}"}',
        f'{teacher.frames(class_name)} examples',
    ]
    if learned := _learned(teacher):
        parts.append(f'learned: {learned}')
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


def question(asked: Message, width: int) -> RenderableType:
    """The picture of a Question message, and its candidates with their scores."""
    table = Table.grid(padding=(0, 2))
    for name, score in zip(asked.class_ids[:MOST_CANDIDATES], asked.scores):
        table.add_row(name, bar(score, MAIN), share(score))
    heading = Text('Like nothing known' if asked.unknown else 'Not sure', HEED)
    candidates = table if asked.class_ids else Text(NO_CLASS)
    shown = picture(asked.image, picture_side(width))
    return _side_by_side(shown, heading, Text(), candidates)


def _side_by_side(shown: RenderableType, *parts: RenderableType) -> Table:
    """A picture, and what is said of it."""
    table = Table.grid(padding=(0, 3))
    table.add_row(shown, Group(*parts))
    return table


def picture_side(width: int) -> int:
    """Columns of a picture, where there are so many in all."""
    return min(max(width - BESIDE, LEAST_SIDE), MOST_SIDE)


def picture(message: Message, side: int) -> Text:
    """A sensor_msgs/Image in half blocks, each of two colours, one above the other.

    side: of the picture, columns at most.
    """
    pixels = camera_image(message, 0).rgb()
    height, width = pixels.shape[:2]
    scale = min(1.0, side / max(height, width))
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


def _learned(teacher: Teacher) -> str:
    """What part of the frames is learned, if not all of them."""
    known, status = teacher.classes, teacher.status
    if known is not None and known.not_learning:
        return f'nothing: {known.not_learning}'
    if status is not None and 0.0 < status.learning_share < 1.0:
        return f'{share(status.learning_share)} of the frames, mistakes first'
    return ''


def _said(result: Message | None, class_name: str) -> tuple[str, str]:
    """What was said of the frame, and whether it is right."""
    if result is None:
        return 'no frame yet', ''
    if result.empty:
        return 'nothing', 'nothing stands out in the frame'
    if not result.class_id:
        return NO_CLASS, ''
    return result.class_id, 'right' if result.class_id == class_name else 'wrong'


def _end(left_s: float) -> str:
    return 'until Ctrl-C' if math.isinf(left_s) else f'{period(max(0.0, math.ceil(left_s)))} left'
