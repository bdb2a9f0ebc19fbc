"""Measuring a profile with the real engine on real digits."""

import math
from dataclasses import replace

import pytest

from topspark_ros.engine import NetworkConfig
from topspark_ros.methodology.energy import ENERGY_TABLES
from topspark_ros.methodology.experiments import ExperimentError, Setting, run_experiments
from topspark_ros.methodology.profile import load_profile, save_profile
from topspark_ros.methodology.profiling import measure_profile

CONFIG = NetworkConfig(inputs=64, neurons=60, rule='recruiting')
LOIHI = ENERGY_TABLES['loihi']


def measure(data, store, timesteps=(16, 2), seeds=(0, 1), **options):
    return measure_profile(data, CONFIG, timesteps, seeds, LOIHI, store, **options)


@pytest.fixture(scope='module')
def measured(digits, tmp_path_factory):
    calls = []
    store = tmp_path_factory.mktemp('measured')
    profile = measure(digits, store, progress=lambda *call: calls.append(call))
    # The network of the largest T is tested at both.
    assert calls == [(done, 6) for done in (0, 1, 2, 4, 6)]
    return profile


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    """Of `stopped`."""
    return tmp_path_factory.mktemp('stopped')


@pytest.fixture(scope='module')
def stopped(digits, store):
    """The same with early exit."""
    calls = []
    profile = measure(digits, store, max_loss=0.06, progress=lambda *call: calls.append(call))
    assert sorted(set(calls)) == calls[:1] + [
        (done, 12) for done in (1, 2, 3, 4, 5, 6, 7, 8, 10, 12)
    ]
    return profile


def phases(profile):
    return [figures for point in profile.points for figures in (point.inference, point.training)]


def test_figures(measured):
    assert measured.timesteps == (2, 16) and measured.network['neurons'] == 60
    small, reference = measured.points
    assert reference.inference.accuracy == reference.training.accuracy > 0.8
    assert small.inference.accuracy < reference.inference.accuracy
    for figures in phases(measured):
        assert figures.accuracy_worst <= figures.accuracy and 0 <= figures.accuracy_std < 0.2
        assert 1e-7 < figures.latency_s < 0.01
        assert 1e-9 < figures.energy_j < 1e-4
        assert figures.margin == math.inf
    assert small.inference.energy_j < reference.inference.energy_j
    assert [point.training.steps for point in measured.points] == [2, 16]


def test_figures_are_those_of_the_experiments(measured, digits):
    settings = [Setting(CONFIG, 16, 2), Setting(CONFIG, 16, 16)]
    runs = [run_experiments(settings, digits, seed) for seed in (0, 1)]
    accuracies = [run[0].inference.accuracy for run in runs]
    inference = measured.at(2).inference
    assert inference.accuracy == pytest.approx(sum(accuracies) / 2)
    assert inference.accuracy_worst == min(accuracies)
    assert inference.energy_j == pytest.approx(
        sum(run[0].inference.energy_j(LOIHI) for run in runs) / 2
    )
    training = measured.at(16).training
    for name in (
        'input_spikes',
        'output_spikes',
        'synaptic_operations',
        'neuron_updates',
        'synaptic_updates',
    ):
        assert getattr(training, name) == pytest.approx(
            sum(getattr(run[0].training.counts, name) for run in runs) / 2
        )


def test_says_how_it_was_obtained(measured, stopped):
    obtained = measured.obtained
    assert measured.name == 'digits' and measured.energy_model == 'loihi'
    assert obtained.accuracy.startswith(
        'tested: 200 samples after one pass over 300 labelled ones, seeds 0, 1:'
    )
    assert obtained.latency.startswith('measured: processor time')
    assert obtained.energy.startswith('estimated: operations times the energy of each, Davies')
    assert obtained.margin == 'none: every presentation takes T steps'
    assert stopped.obtained.margin == (
        'calibrated: at most 0.06 of accuracy lost in each phase, with 95 % confidence, on 2 of '
        '5 parts of the training samples, each held back from a network'
    )


def test_early_exit_saves_steps_and_energy_for_little_accuracy(measured, stopped):
    full, early = measured.at(16).inference, stopped.at(16).inference
    assert 0 < early.margin < 1 and early.steps < 0.8 * full.steps
    assert early.energy_j < 0.8 * full.energy_j
    assert early.input_spikes < 0.8 * full.input_spikes
    assert early.accuracy > full.accuracy - 0.12  # either phase may lose its 0.06
    # What ended none of the presentations is not used: a margin stands for steps saved.
    for point in stopped.points:
        for figures in (point.inference, point.training):
            assert figures.margin == math.inf or figures.steps < point.timesteps


def test_what_is_kept_is_not_measured_again(digits, stopped, store, tmp_path):
    kept = {path: path.stat().st_mtime_ns for path in store.iterdir()}
    assert len(kept) == 12
    again = measure(digits, store, max_loss=0.06)
    assert phases(again) == phases(stopped)  # their times, too
    assert {path: path.stat().st_mtime_ns for path in store.iterdir()} == kept
    # A calibration that was killed half-way goes on, with the networks that were kept.
    for path in list(kept)[::2]:
        path.unlink()
    timeless = [replace(each, latency_s=0.0) for each in phases(stopped)]
    rest = phases(measure(digits, store, max_loss=0.06))
    assert [replace(each, latency_s=0.0) for each in rest] == timeless
    assert {path.name for path in store.iterdir()} == {path.name for path in kept}


def test_a_cluster_measures_the_same(digits, stopped, tmp_path):
    distributed = pytest.importorskip('dask.distributed')
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=':0'
    ) as cluster:
        profile = measure(digits, tmp_path, max_loss=0.06, scheduler=cluster.scheduler_address)
    for mine, theirs in zip(phases(profile), phases(stopped)):
        assert replace(mine, latency_s=0.0) == replace(theirs, latency_s=0.0)


def test_file(stopped, tmp_path):
    save_profile(stopped, tmp_path / 'profile.yaml')
    loaded = load_profile(tmp_path / 'profile.yaml')
    assert loaded.obtained == stopped.obtained
    for mine, theirs in zip(phases(stopped), phases(loaded)):
        assert theirs.energy_j == pytest.approx(mine.energy_j, rel=1e-5)
        assert theirs.margin == mine.margin


def test_everything_but_time_repeats_and_one_seed_has_no_spread(digits, tmp_path):
    one, other = (
        measure(digits, tmp_path / str(jobs), (4,), (3,), jobs=jobs, max_loss=0.06)
        for jobs in (1, 2)
    )
    for mine, theirs in zip(phases(one), phases(other)):
        assert math.isnan(mine.accuracy_std)
        same = dict(latency_s=0.0, accuracy_std=0.0)
        assert replace(mine, **same) == replace(theirs, **same)


@pytest.mark.parametrize(
    'change, message',
    [
        ({'timesteps': ()}, r'timesteps is \[\], accepted is one or more, each once'),
        ({'timesteps': (4, 4)}, r'timesteps is \[4, 4\], accepted is one or more, each once'),
        ({'timesteps': (0, 4)}, 'training_timesteps is 0, accepted is 1 to 10000'),
        ({'seeds': ()}, r'seeds is \[\], accepted is one or more, each once'),
        ({'max_loss': 1.5}, 'max_loss is 1.5, accepted is a fraction above 0, below 1'),
    ],
)
def test_rejected_choice(digits, tmp_path, change, message):
    with pytest.raises(ExperimentError, match=f'^{message}$'):
        measure(digits, tmp_path, **change)
