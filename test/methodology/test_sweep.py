"""Sweeps: in parallel and on a cluster as alone, resumed after a kill, nothing computed twice."""

import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from topspark_ros.engine import NetworkConfig
from topspark_ros.methodology import running
from topspark_ros.methodology import sweep as module
from topspark_ros.methodology.experiments import Setting, run_experiments
from topspark_ros.methodology.running import RunningError, source_digest
from topspark_ros.methodology.sweep import Cell, sweep, work_on

CONFIG = NetworkConfig(inputs=64, neurons=20)
CELLS = [
    Cell(Setting(replace(CONFIG, rule=rule), timesteps, timesteps), seed)
    for rule in ('recruiting', 'pairwise')
    for timesteps in (16, 4)
    for seed in (0, 1)
]


@pytest.fixture
def computed(monkeypatch):
    """The settings and seeds that were really run in this process, one entry a training."""
    runs = []

    def counting(settings, data, seed):
        runs.append((*settings, seed))
        return run_experiments(settings, data, seed)

    monkeypatch.setattr(module, 'run_experiments', counting)
    return runs


@pytest.fixture(scope='module')
def alone(digits):
    return {cell: timeless(run_experiments([cell.setting], digits, cell.seed)[0]) for cell in CELLS}


def timeless(outcome):
    return outcome._replace(
        training=outcome.training._replace(processor_time_s=0),
        inference=outcome.inference._replace(processor_time_s=0),
    )


def all_timeless(outcomes):
    return {cell: timeless(outcome) for cell, outcome in outcomes.items()}


def test_outcomes_are_kept_and_reused(digits, alone, computed, tmp_path):
    steps = []
    first = sweep(CELLS, digits, tmp_path, lambda *counts: steps.append(counts))
    assert all_timeless(first) == alone
    assert steps == [(done, 8) for done in range(9)] and len(computed) == 8
    assert len(list(tmp_path.iterdir())) == 8

    again = sweep(CELLS, digits, tmp_path, lambda *counts: steps.append(counts))
    assert again == first and len(computed) == 8 and steps[-1] == (8, 8)

    more = Cell(replace(CELLS[0].setting, inference_timesteps=2), 0)
    assert set(sweep([*CELLS, more], digits, tmp_path)) == {*CELLS, more}
    assert computed[8:] == [(more.setting, 0)]


def test_cells_that_train_alike_train_once(digits, computed, tmp_path):
    settings = [replace(CELLS[0].setting, inference_timesteps=t) for t in (2, 4, 8)]
    outcomes = sweep([Cell(setting, 3) for setting in settings], digits, tmp_path)
    assert computed == [(*settings, 3)]
    for setting in settings:
        assert timeless(outcomes[setting, 3]) == timeless(run_experiments([setting], digits, 3)[0])


def test_the_seed_of_the_configuration_does_not_matter(digits, computed, tmp_path):
    setting = CELLS[0].setting
    sweep([Cell(setting, 0)], digits, tmp_path)
    sweep([Cell(replace(setting, config=replace(CONFIG, seed=9)), 0)], digits, tmp_path)
    assert len(computed) == 1


def test_nothing_of_other_samples_or_another_engine_is_reused(
    digits, computed, tmp_path, monkeypatch
):
    sweep(CELLS[:1], digits, tmp_path)
    sweep(CELLS[:1], digits.validation(), tmp_path)
    assert len(computed) == 2
    monkeypatch.setattr(module, 'SOURCE', 'of another engine')
    sweep(CELLS[:1], digits, tmp_path)
    assert len(computed) == 3


def test_the_source_digest_follows_every_file_of_a_folder(tmp_path):
    (tmp_path / 'kernels').mkdir()
    digests = [source_digest([tmp_path])]
    for name, content in (
        ('__init__.py', 'a = 1'),
        ('kernels/one.py', 'b = 1'),
        ('kernels/one.py', 'b = 2'),
    ):
        (tmp_path / name).write_text(content)
        digests.append(source_digest([tmp_path]))
    (tmp_path / 'notes.txt').write_text('no code')
    (tmp_path / 'stale.py').symlink_to(tmp_path / 'gone.py')
    assert len(set(digests)) == 4 and source_digest([tmp_path]) == digests[-1]


@pytest.mark.parametrize(
    'damage',
    [
        lambda whole: b'',
        lambda whole: whole[: len(whole) // 2],
        lambda whole: b'\xff\x00' * 50,
        lambda whole: b'[]',
        lambda whole: b'null',
        lambda whole: b'{"training": {}}',
        lambda whole: whole.replace(b'"accuracy"', b'"accurate"'),
    ],
    ids=['empty', 'half', 'garbage', 'list', 'null', 'fields missing', 'field renamed'],
)
def test_a_broken_file_is_computed_again(digits, computed, tmp_path, damage):
    first = sweep(CELLS[:1], digits, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    again = sweep(CELLS[:1], digits, tmp_path)
    assert len(computed) == 2 and all_timeless(again) == all_timeless(first)
    sweep(CELLS[:1], digits, tmp_path)
    assert len(computed) == 2


KILLED = """
import sys
from pathlib import Path
from sklearn.datasets import load_digits
from topspark_ros.engine import NetworkConfig
from topspark_ros.methodology.experiments import Data, Setting
from topspark_ros.methodology.sweep import Cell, sweep

pixels, labels = load_digits(return_X_y=True)
pixels, labels = pixels.astype('uint8'), labels.astype('int64')
data = Data('digits', pixels[:1500], labels[:1500], pixels[1500:], labels[1500:])
setting = Setting(NetworkConfig(inputs=64, neurons=200, rule='pairwise'), 350, 350)
cells = [Cell(setting, seed) for seed in range(12)]
"""


def test_a_sweep_that_was_killed_goes_on(computed, tmp_path):
    # Not in the checkout, whose source folder would hide the built package and its kernels.
    process = subprocess.Popen(
        [sys.executable, '-c', KILLED + 'sweep(cells, data, Path(sys.argv[1]))', str(tmp_path)],
        cwd=tmp_path,
    )
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob('*.json'))) < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL

    names = {}
    exec(KILLED, names)
    cells, data = names['cells'], names['data']
    work = work_on(data)
    done = [cell for cell in cells if running._load(work, running._file(work, tmp_path, cell)[0])]
    assert 3 <= len(done) < len(cells)
    assert set(sweep(cells, data, tmp_path)) == set(cells)
    assert sorted(seed for _, seed in computed) == sorted(
        cell.seed for cell in set(cells) - set(done)
    )


def test_processes_give_the_same(digits, alone, tmp_path):
    assert all_timeless(sweep(CELLS, digits, tmp_path, jobs=2)) == alone


@pytest.fixture(scope='module')
def cluster():
    distributed = pytest.importorskip('dask.distributed')
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=':0'
    ) as cluster:
        yield cluster


def test_a_cluster_gives_the_same(digits, alone, computed, cluster, tmp_path):
    steps = []
    outcomes = sweep(
        CELLS,
        digits,
        tmp_path,
        lambda *counts: steps.append(counts),
        scheduler=cluster.scheduler_address,
    )
    assert all_timeless(outcomes) == alone
    assert steps == [(done, 8) for done in range(9)]
    assert sweep(CELLS, digits, tmp_path) == outcomes
    assert not computed  # in this process


def test_workers_with_another_engine_are_rejected(digits, cluster, tmp_path, monkeypatch):
    there = module.SOURCE
    monkeypatch.setattr(module, 'SOURCE', 'this')
    with pytest.raises(RunningError) as error:
        sweep(CELLS[:1], digits, tmp_path, scheduler=cluster.scheduler_address)
    assert str(error.value) == (
        f'source code of a worker of {cluster.scheduler_address} is '
        f'{there}, accepted is the same as here, this'
    )
    assert not list(tmp_path.iterdir())


def test_a_scheduler_without_workers(digits, tmp_path, monkeypatch):
    distributed = pytest.importorskip('dask.distributed')
    monkeypatch.setattr(running, 'CLUSTER_TIMEOUT_S', 0.5)
    with distributed.LocalCluster(n_workers=0, dashboard_address=':0') as cluster:
        with pytest.raises(RunningError, match='accepted is one with a worker: none came within'):
            sweep(CELLS, digits, tmp_path, scheduler=cluster.scheduler_address)


@pytest.mark.parametrize(
    'address, line',
    [
        (
            'tcp://127.0.0.1:1',
            "scheduler is 'tcp://127.0.0.1:1', accepted is the address of a Dask "
            'scheduler that answers: Timed out',
        ),
        ('somewhere', "scheduler is 'somewhere', accepted is an address such as tcp://host:8786"),
    ],
)
def test_an_address_where_nobody_answers(digits, tmp_path, monkeypatch, address, line):
    pytest.importorskip('dask.distributed')
    monkeypatch.setattr(running, 'CLUSTER_TIMEOUT_S', 0.5)
    with pytest.raises(RunningError) as error:
        sweep(CELLS, digits, tmp_path, scheduler=address)
    assert str(error.value).startswith(line) and '\n' not in str(error.value)


def test_a_cluster_without_dask(digits, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'dask.distributed', None)
    with pytest.raises(RunningError, match="accepted with Dask installed: pip install 'dask"):
        sweep(CELLS, digits, tmp_path, scheduler='tcp://host:8786')


def test_a_store_that_cannot_be_written(digits, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(RunningError, match='^store is .*file/cells, accepted is a folder that can'):
        sweep(CELLS, digits, tmp_path / 'file' / 'cells')


@pytest.mark.parametrize('jobs', [0, -2])
def test_rejected_jobs(digits, tmp_path, jobs):
    with pytest.raises(RunningError) as error:
        sweep(CELLS, digits, tmp_path, jobs=jobs)
    assert str(error.value) == f'jobs is {jobs}, accepted is 1 or more, or -1'
