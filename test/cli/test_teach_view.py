"""What `topspark teach` and `topspark classes` show, of messages as a learner sends them."""

from __future__ import annotations

import argparse
import array
import io
import math
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 and the built package: run `make test`')

import numpy as np
from rich.console import Console
from sensor_msgs.msg import Image

from topspark_ros import msg
from topspark_ros.cli import teach, teach_view
from topspark_ros.cli.live_view import BAR_CELLS

KNOWN = msg.Classes(class_ids=['cup', 'mug'], frames=[40, 10], taught='mug')


def image(pixels) -> Image:
    pixels = np.asarray(pixels, np.uint8)
    height, width = pixels.shape[:2]
    data = array.array('B', pixels.tobytes())
    return Image(height=height, width=width, encoding='rgb8', step=3 * width, data=data)


def teacher(**known):
    """What a Teacher has heard."""
    heard = {'classes': KNOWN, 'result': None, 'image': None, 'frames': {'mug': 10}.get} | known
    return SimpleNamespace(**heard)


def lines(shown) -> list[str]:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(shown)
    return [line.strip('│╭╮╰╯─ ') for line in console.export_text().splitlines()]


def seen(class_id: str, score: float = 0.75):
    return msg.Classification(class_id=class_id, score=score)


@pytest.mark.parametrize(
    'result, shown, full',
    [
        (None, 'no frame yet', 0),
        (seen('', math.nan), 'no class yet', 0),
        (seen('mug'), 'mug 75.0% right', 0.75),
        (seen('cup'), 'cup 75.0% wrong', 0.75),
        (msg.Classification(empty=True, score=math.nan), 'nothing nothing stands out', 0),
    ],
)
def test_what_is_seen_is_right_or_wrong(result, shown, full):
    view = teach_view.view(teacher(result=result), 'mug', math.inf, title='robot')
    row = next(line for line in lines(view) if 'Seen as' in line)
    assert row.count('█') == full * BAR_CELLS
    words = row.translate({ord(cell): None for cell in '█░'}).partition('Seen as')[2].split()
    assert words == shown.split()
    assert f'seen as {shown}' in teach_view.line(teacher(result=result), 'mug', math.inf)


@pytest.mark.parametrize('left_s, shown', [(math.inf, 'until Ctrl-C'), (2.1, '3 s left')])
def test_it_is_told_when_it_ends(left_s, shown):
    view = lines(teach_view.view(teacher(), 'mug', left_s, title='robot'))
    assert any('Taught' in line and f'mug   {shown}' in line for line in view)
    assert teach_view.line(teacher(), 'mug', left_s).startswith(f'mug: {shown} | ')


def test_examples_are_bars_of_the_most():
    shown = {line.split()[0]: line for line in lines(teach_view.classes(KNOWN)) if line}
    assert shown['cup'].count('█') == BAR_CELLS and shown['cup'].endswith(' 40')
    assert shown['mug'].count('█') == BAR_CELLS // 4 and shown['mug'].endswith(' 10')
    assert '10 examples' in teach_view.line(teacher(), 'mug', math.inf)


def test_no_class_is_none():
    assert lines(teach_view.classes(msg.Classes())) == ['no class yet']
    shown = lines(teach_view.classes(msg.Classes(class_ids=['cup'], frames=[0])))
    assert shown[-1].split()[0] == 'cup' and '█' not in shown[-1]


def test_why_nothing_is_learned_is_told():
    known = msg.Classes(class_ids=['mug'], frames=[0], not_learning='little power [7]')
    asked = teacher(classes=known)
    view = lines(teach_view.view(asked, 'mug', math.inf, title='robot'))
    assert any('Not learned' in line and 'little power [7]' in line for line in view)
    assert teach_view.line(asked, 'mug', 1.0).endswith(' | not learned: little power [7]')
    assert not any(
        'Not learned' in line
        for line in lines(teach_view.view(teacher(), 'mug', 1.0, title='robot'))
    )


def test_a_character_shows_two_pixels():
    pixels = np.zeros((4, 2, 3), np.uint8)
    pixels[0, 0] = 255, 0, 0
    pixels[1, 0] = 0, 0, 255
    pixels[3, 1] = 7, 8, 9
    text = teach_view.picture(image(pixels))
    assert text.plain == '▀▀\n▀▀'
    colours = [(span.style.color.triplet, span.style.bgcolor.triplet) for span in text.spans]
    black = 0, 0, 0
    assert colours == [
        ((255, 0, 0), (0, 0, 255)),
        (black, black),
        (black, black),
        (black, (7, 8, 9)),
    ]


@pytest.mark.parametrize(
    'height, width, rows, columns',
    [(28, 28, 14, 28), (48, 48, 24, 48), (260, 346, 18, 48), (1, 1, 1, 1), (2000, 3, 24, 1)],
)
def test_a_picture_fits_a_terminal(height, width, rows, columns):
    text = teach_view.picture(image(np.zeros((height, width, 3))))
    assert [len(line) for line in text.plain.split('\n')] == [columns] * rows


@pytest.mark.parametrize('duration', ['0', '-1', 'nan'])
def test_a_time_that_is_none_is_rejected(duration):
    parser = argparse.ArgumentParser()
    teach.add_arguments(parser)
    with pytest.raises(ValueError, match='^--for is .*, accepted is above 0$'):
        teach.run(parser.parse_args(['mug', '--for', duration]))
