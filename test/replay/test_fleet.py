"""Many bags: on a cluster as alone, with a worker killed; kept, resumed and pooled."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest

from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.replay import fleet
from topspark_ros.replay.evaluation import evaluate
from topspark_ros.replay.fleet import BagRun, evaluate_bags
from topspark_ros.replay.fleet_report import pooled
from topspark_ros.replay.recording import RecordingSettings, record
from topspark_ros.replay.settings import EvaluationSettings

LEARNER = SnnLearnerParameters(rule='recruiting', neurons=30)


@pytest.fixture(scope='module')
def bags(tmp_path_factory):
    folder = tmp_path_factory.mktemp('fleet')
    for number in range(3):
        settings = RecordingSettings(width=96, height=72, rate_hz=10, frames=60, seed=number)
        record(folder / f'day{number}', settings)
    return sorted(folder.iterdir())


def runs_over(bags, timesteps=(2, 8)):
    return [
        BagRun(
            bag,
            EvaluationSettings(
                f'T = {t}', replace(LEARNER, training_timesteps=t, inference_timesteps=t)
            ),
        )
        for bag in bags
        for t in timesteps
    ]


@pytest.fixture(scope='module')
def alone(bags):
    return {run: evaluate(*run) for run in runs_over(bags)}


def assert_same(run, other):
    """But for the time that it took."""
    for name, value in vars(run).items():
        if isinstance(value, np.ndarray):
            assert value.dtype == getattr(other, name).dtype
            assert value.tobytes() == getattr(other, name).tobytes()
        elif name != 'took_s':
            assert value == getattr(other, name), name


def test_a_cluster_with_a_killed_worker_gives_the_same(bags, alone, tmp_path):
    distributed = pytest.importorskip('dask.distributed')
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=':0'
    ) as cluster:
        with distributed.Client(cluster) as client:
            processes = client.run(os.getpid)
        assert len(processes) == 2
        killed, steps = [], []

        def kill_one(finished, total):
            steps.append((finished, total))
            if finished == 1:
                deadline = time.monotonic() + 60
                while not killed and time.monotonic() < deadline:
                    for address, worker in dict(cluster.scheduler.workers).items():
                        if worker.processing and not killed:
                            os.kill(processes[address], signal.SIGKILL)
                            killed.append(address)

        evaluations, rejected = evaluate_bags(
            list(alone), tmp_path, kill_one, scheduler=cluster.scheduler_address
        )
    assert len(killed) == 1 and not rejected
    assert steps == [(done, 6) for done in range(7)]
    assert list(evaluations) == list(alone)
    for run, evaluation in evaluations.items():
        assert_same(evaluation, alone[run])


def test_runs_are_kept_and_taken_up_again(bags, alone, tmp_path, monkeypatch):
    first, _ = evaluate_bags(runs_over(bags[:2]), tmp_path)
    computed = []

    def counting(bag, settings, progress):
        computed.append((bag, settings.name))
        return evaluate(bag, settings, progress)

    monkeypatch.setattr(fleet, 'evaluate', counting)
    damaged = sorted(tmp_path.iterdir())[0]
    damaged.write_bytes(damaged.read_bytes()[:100])
    again, _ = evaluate_bags(runs_over(bags), tmp_path)
    assert len(computed) == 3  # of the third bag two, and the damaged one
    assert list(again) == list(alone)
    for run, evaluation in again.items():
        assert_same(evaluation, alone[run])
    assert sum(first[run].took_s == again[run].took_s for run in first) == 3  # read back
    evaluate_bags(runs_over(bags), tmp_path)
    assert len(computed) == 3


def test_a_bag_or_file_that_has_changed_is_another(bags, tmp_path):
    labels = tmp_path / 'labels.csv'
    labels.write_text('stamp,class_id\n')
    run = BagRun(bags[0], EvaluationSettings('a', labels=labels))
    before = fleet._identity(run)
    assert fleet._identity(run) == before
    labels.write_text('stamp,class_id\n1.0,dog\n')
    assert fleet._identity(run) != before
    copied = tmp_path / 'bag'
    copied.mkdir()
    (copied / 'part').write_bytes(b'1')
    before = fleet._identity(run._replace(bag=copied))
    (copied / 'part').write_bytes(b'12')
    assert fleet._identity(run._replace(bag=copied)) != before


def test_pooled_figures_count_every_frame_the_same(alone):
    runs = [evaluation for run, evaluation in alone.items() if run.settings.name == 'T = 8']
    of = pooled(runs)
    frames = np.concatenate([run.frames[run.frames['taken']] for run in runs])
    labelled = frames[frames['label'] >= 0]
    assert of.bags == 3 and of.frames == 180 and of.labelled == len(labelled) > 50
    right = sum(
        int(np.sum((run.frames['label'] >= 0) & (run.frames['label'] == run.frames['predicted'])))
        for run in runs
    )
    assert of.right == right and of.accuracy == right / of.labelled
    assert of.inference_j == pytest.approx(frames['energy_j'].mean())
    assert of.latency_s == pytest.approx(sum(run.took_s for run in runs) / 180)
