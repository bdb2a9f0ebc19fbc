"""Short missions of the controller, as users start them, and how they are judged."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

CHECKOUT = Path(__file__).parents[2]
sys.path.append(str(CHECKOUT))  # last, or its source folder would hide the built package

from benchmarks.control.metrics import window_excesses  # noqa: E402
from benchmarks.control.mission import run_mission  # noqa: E402
from benchmarks.control.policies import OURS  # noqa: E402
from benchmarks.control.trace import make_trace  # noqa: E402
from benchmarks.fixed.play import PROFILES  # noqa: E402
from topspark_ros.methodology.profile import DISCRIMINANT, load_profile  # noqa: E402


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp('control')
    path = os.pathsep.join([*filter(None, [os.environ.get('PYTHONPATH')]), str(CHECKOUT)])
    run = subprocess.run(
        [
            sys.executable,
            '-m',
            'benchmarks.control',
            '--seeds',
            '1',
            '--duration',
            '90',
            '--output',
            str(folder / 'out'),
        ],
        cwd=folder,
        env=os.environ | {'PYTHONPATH': path},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return folder / 'out'


def test_report_shows_its_pictures(results):
    report = (results / 'report.md').read_text()
    for name in ('mission', 'missions'):
        assert f'({name}.png)' in report
        assert (results / f'{name}.png').stat().st_size > 10_000


def test_only_the_controller_lasts_to_the_end(results):
    mission = json.loads((results / 'figures.json').read_text())['missions']['0']
    assert mission[OURS]['ran_out_s'] is None
    assert mission['T = 64']['ran_out_s'] < mission['T = 2']['ran_out_s'] < 90
    assert mission['T = 64']['energy'] == pytest.approx(1.0, abs=0.02)
    assert mission[OURS]['energy'] <= 1.0
    assert mission['T = 2']['right'] == pytest.approx(
        mission['T = 2']['accuracy'] * mission['T = 2']['processed']
    )


def test_a_mission_repeats():
    first, again = (run_mission(DISCRIMINANT, 1, 20.0, OURS) for _ in range(2))
    assert np.array_equal(first.used_j, again.used_j) and first.settings == again.settings


def test_every_trace_is_hard():
    profile = load_profile(PROFILES[DISCRIMINANT])
    for seed in range(3):
        trace = make_trace(seed, 3600.0, profile)
        assert 40_000 < len(trace.frames_s) < 220_000 and np.all(np.diff(trace.frames_s) >= 0)
        powers_w = [
            message.budget.power_w for message in trace.messages if message.source == 'operator'
        ]
        assert np.nanmax(powers_w) > 25 * np.nanmin(powers_w)
        assert trace.messages[0].source == 'mission' and len(trace.faults) == 5
        ratio = trace.profile.reference.inference.energy_j / profile.reference.inference.energy_j
        assert ratio > 1.6 or ratio < 0.6


def test_windows_that_count():
    limits_w = np.full(1000, 2.0)  # ticks of 0.1 s
    used_j = 0.1 * np.append(0.0, np.cumsum(np.full(1000, 3.0)))
    assert window_excesses(limits_w, used_j) == pytest.approx(np.full(701, 0.5))
    limits_w[500:] = 1.0  # windows end before the step or begin 10 s after it
    excesses = window_excesses(limits_w, used_j)
    assert excesses == pytest.approx(np.repeat([0.5, 2.0], [201, 101]))
    limits_w[100] = math.inf  # and what follows is a step too: no window fits before the other
    assert window_excesses(limits_w, used_j) == pytest.approx(np.repeat(2.0, 101))
