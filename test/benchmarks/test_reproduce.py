"""The reproduction's quick run, as users start it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from html_reports import self_contained

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    # Run from elsewhere: in the checkout its source folder would hide the built package.
    folder = tmp_path_factory.mktemp('reproduce')
    path = os.pathsep.join([*filter(None, [os.environ.get('PYTHONPATH')]), str(CHECKOUT)])
    run = subprocess.run(
        [sys.executable, '-m', 'benchmarks.reproduce', '--quick', '--output', str(folder / 'out')],
        cwd=folder,
        env=os.environ | {'PYTHONPATH': path},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1].startswith(f'{folder}/out/report.html: ')
    return folder / 'out'


def test_report_shows_its_pictures(results):
    report = (results / 'report.md').read_text()
    for name in ('reductions', 'first_frames', 'paper', 'objects'):
        assert f'({name}.png)' in report
        assert (results / f'{name}.png').stat().st_size > 10_000


def test_the_html_has_all_of_it_inside(results):
    report = self_contained(results / 'report.html')
    assert len(report.pictures()) == 4
    told = json.loads((results / 'figures.json').read_text())
    shown = [words.strip() for words in report.texts]
    assert {claim['what'] for claim in told['claims']} <= set(shown)


def test_fewer_timesteps_cost_little_on_digits(results):
    rows = json.loads((results / 'figures.json').read_text())[
        'Fewer timesteps, less energy and time'
    ]
    (recruiting,) = (row for row in rows if row['rule'] == 'recruiting')
    assert recruiting['training steps'] >= 40 and recruiting['inference steps'] >= 40
    assert recruiting['loss'] < 3  # points; 500 test samples, two seeds
    assert all(row['training energy'] > 2 for row in rows)


def test_learning_claims(results):
    claims = {
        claim['what']: claim['figure']
        for claim in json.loads((results / 'figures.json').read_text())['claims']
    }
    for start, least in (
        ('100% of the frames labelled, last', 94),
        ('10% of the frames labelled, last', 85),
        ('class by class, labels guide', 90),
        ('class by class, labels for the read-out only', 85),
    ):
        (figure,) = (value for what, value in claims.items() if what.startswith(start))
        assert figure > least
    assert all(figure < 3 for what, figure in claims.items() if what.startswith('switched T'))
