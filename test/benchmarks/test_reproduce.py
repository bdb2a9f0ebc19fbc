"""The reproduction's quick run, as users start it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from html_reports import self_contained

CHECKOUT = Path(__file__).parents[2]


def reproduce(folder, *options):
    """A quick run, from elsewhere: in the checkout its source would hide the built package."""
    path = os.pathsep.join([*filter(None, [os.environ.get('PYTHONPATH')]), str(CHECKOUT)])
    words = ['--quick', '--output', str(folder / 'out'), *options]
    return subprocess.run(
        [sys.executable, '-m', 'benchmarks.reproduce', *words],
        cwd=folder,
        env=os.environ | {'PYTHONPATH': path},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('reproduce')


@pytest.fixture(scope='module')
def results(folder):
    run = reproduce(folder)
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


def test_what_is_kept_is_not_computed_again(folder, results):
    told = (results / 'figures.json').read_bytes()
    kept = {path: path.stat().st_mtime_ns for path in (results / 'cells').iterdir()}
    for path in list(kept)[::10]:
        if 'processor_times' not in path.read_text():
            path.unlink()
    missing = [path for path in kept if not path.exists()]
    assert missing
    assert reproduce(folder, '--jobs', '2').returncode == 0
    assert (results / 'figures.json').read_bytes() == told  # processor times, too
    now = {path: path.stat().st_mtime_ns for path in (results / 'cells').iterdir()}
    assert [path for path in kept if now[path] != kept[path]] == missing


def test_a_wrong_number_of_jobs_is_one_line(tmp_path):
    run = reproduce(tmp_path, '--jobs', '0')
    assert run.returncode == 2 and not (tmp_path / 'out').exists()
    assert 'make reproduce: jobs is 0, accepted is 1 or more, or -1' in run.stdout
