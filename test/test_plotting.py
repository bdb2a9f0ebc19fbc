"""What all pictures share: no global state of Matplotlib is touched, and axes can be read."""

import subprocess
import sys

import numpy as np
import pytest

from topspark_ros.plotting import drawing, log_axis, picture, prefixed_axis, steps_axis


def tick_labels(axis, direction: str) -> list[str]:
    axis.figure.canvas.draw()
    return [
        label.get_text()
        for label in getattr(axis, f'get_{direction}ticklabels')()
        if label.get_visible() and label.get_text()
    ]


def test_pictures_are_drawn_without_pyplot(tmp_path):
    code = (
        'import sys\nfrom pathlib import Path\n'
        'import topspark_ros.cli.pictures, topspark_ros.cli.report\n'
        'import topspark_ros.cli.tradeoff\n'
        'import topspark_ros.replay.pictures, topspark_ros.replay.world_picture\n'
        'from topspark_ros.plotting import picture\n'
        f'with picture(Path({str(tmp_path / "drawn.png")!r})) as (axis,):\n'
        '    axis.plot([1, 2])\n'
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / 'drawn.png').stat().st_size > 1000


@pytest.mark.parametrize(
    'suffix, first_bytes', [('.png', b'\x89PNG'), ('.pdf', b'%PDF'), ('.svg', b'<?xml')]
)
def test_the_suffix_is_the_format(tmp_path, suffix, first_bytes):
    path = tmp_path / f'drawn{suffix}'
    with drawing(path, 2, 2) as figure:
        figure.subplots().set_title('costs $5_{\\bad}')  # of a class, and no formula
    assert path.read_bytes().startswith(first_bytes)


def test_what_was_not_drawn_to_the_end_is_not_written(tmp_path):
    with pytest.raises(ZeroDivisionError), picture(tmp_path / 'none.png'):
        1 / 0
    assert not (tmp_path / 'none.png').exists()


@pytest.mark.parametrize('direction', ['x', 'y'])
def test_logarithmic_axes_have_plain_numbers(tmp_path, direction):
    values = np.array([0.2, 3.0, 400.0])
    with drawing(tmp_path / 'log.png', 6, 6) as figure:
        axis = figure.subplots()
        axis.plot(values, values)
        log_axis(axis, direction, (1,))
        assert {'1', '10', '100'} <= set(tick_labels(axis, direction))
        prefixed_axis(axis, direction, 'W', ratio=2000.0)
        assert {'1 W', '100 W'} <= set(tick_labels(axis, direction))


@pytest.mark.parametrize('direction', ['x', 'y'])
def test_the_axis_of_timesteps_names_each(tmp_path, direction):
    with drawing(tmp_path / 'steps.png', 6, 6) as figure:
        axis = figure.subplots()
        axis.plot([2, 350], [2, 350])
        steps_axis(axis, direction, (2, 16, 350))
        assert tick_labels(axis, direction) == ['2', '16', '350']
        assert getattr(axis, f'get_{direction}label')() == 'T  [steps]'
