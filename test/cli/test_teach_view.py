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
    heard = {
        'classes': KNOWN,
        'status': None,
        'result': None,
        'image': None,
        'frames': {'mug': 10}.get,
    } | known
    return SimpleNamespace(**heard)


def lines(shown) -> list[str]:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(shown)
    return [line.strip('│╭╮╰╯─ ') for line in console.export_text().splitlines()]


def seen(class_id: str, score: float = 0.75):
    return msg.Classification(class_id=class_id, score=score)


@pytest.mark.parametrize(
    'result, shown, sure',
    [
        (None, 'no frame yet', None),
        (seen('', math.nan), 'no class yet', None),
        (seen('mug'), 'mug   right', 0.75),
        (seen('cup'), 'cup   wrong', 0.75),
        (
            msg.Classification(empty=True, score=math.nan),
            'nothing   nothing stands out in the frame',
            None,
        ),
    ],
)
def test_what_is_seen_is_right_or_wrong(result, shown, sure):
    view = lines(teach_view.view(teacher(result=result), 'mug', math.inf, title='robot'))
    assert [line.partition('Seen as')[2].strip() for line in view if 'Seen as' in line] == [shown]
    bars = [line for line in view if 'Sure' in line]
    assert len(bars) == (sure is not None)
    said = ', '.join(shown.split('   '))
    if sure is not None:
        assert bars[0].count('█') == sure * BAR_CELLS and bars[0].endswith(' 75.0%')
        said = said.replace(', ', ' 75.0%, ')
    assert f'seen as {said} | ' in teach_view.line(teacher(result=result), 'mug', math.inf)


def test_it_fits_a_narrow_terminal_and_uses_a_wide_one():
    asked = teacher(result=seen('mug'), image=image(np.full((48, 48, 3), 90)))
    for width, columns in ((80, 28), (100, 48), (200, 48)):
        console = Console(width=width, record=True, file=io.StringIO())
        view = teach_view.view(asked, 'mug', math.inf, title='robot', width=width)
        console.print(view)
        rows = console.export_text().splitlines()
        assert max(line.count('▀') for line in rows) == columns
        assert any('Sure' in line and line.count('█') == 18 and '75.0%' in line for line in rows)
        assert any('cup' in line and line.count('█') == BAR_CELLS for line in rows)


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


OFF = msg.Classes(class_ids=['mug'], frames=[0], not_learning='little power [7]')


@pytest.mark.parametrize(
    'heard, told',
    [
        ({'classes': OFF}, 'nothing: little power [7]'),
        ({'classes': OFF, 'status': msg.LearnerStatus()}, 'nothing: little power [7]'),
        (
            {'status': msg.LearnerStatus(learning_share=0.25)},
            '25.0% of the frames, mistakes first',
        ),
        ({'status': msg.LearnerStatus(learning_share=1.0)}, ''),
        ({}, ''),
    ],
)
def test_it_is_told_where_not_every_frame_is_learned(heard, told):
    view = lines(teach_view.view(teacher(**heard), 'mug', math.inf, title='robot'))
    assert any('Learned' in line for line in view) == bool(told)
    assert any(told in line for line in view)
    assert teach_view.line(teacher(**heard), 'mug', 1.0).endswith(
        f' | learned: {told}' if told else ' examples'
    )


def test_a_character_shows_two_pixels():
    pixels = np.zeros((4, 2, 3), np.uint8)
    pixels[0, 0] = 255, 0, 0
    pixels[1, 0] = 0, 0, 255
    pixels[3, 1] = 7, 8, 9
    text = teach_view.picture(image(pixels), 48)
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
    text = teach_view.picture(image(np.zeros((height, width, 3))), 48)
    assert [len(line) for line in text.plain.split('\n')] == [columns] * rows


@pytest.mark.parametrize('duration', ['0', '-1', 'nan'])
def test_a_time_that_is_none_is_rejected(duration):
    parser = argparse.ArgumentParser()
    teach.add_arguments(parser)
    with pytest.raises(ValueError, match='^--for is .*, accepted is above 0$'):
        teach.run(parser.parse_args(['mug', '--for', duration]))


def test_a_question_is_shown_with_its_likeliest_candidates():
    image = Image(height=2, width=2, encoding='rgb8', step=6, data=bytes(range(12)))
    names, scores = [f'class{number}' for number in range(9)], np.linspace(0.4, 0.0, 9)
    asked = msg.Question(image=image, class_ids=names, scores=scores)
    shown = '\n'.join(lines(teach_view.question(asked, 100)))
    assert 'Not sure' in shown and 'class0' in shown and '40.0%' in shown
    assert 'class4' in shown and 'class5' not in shown
    nothing = lines(teach_view.question(msg.Question(image=image, unknown=True), 100))
    assert 'Like nothing known' in nothing[0] and any('no class yet' in line for line in nothing)
