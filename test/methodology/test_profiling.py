"""Measuring a profile with the real engine on real digits."""

import math

import numpy as np
import pytest
from sklearn.datasets import load_digits

from topspark_ros.engine import NetworkConfig
from topspark_ros.methodology.energy import ENERGY_TABLES
from topspark_ros.methodology.profile import ProfileError, load_profile, save_profile
from topspark_ros.methodology.profiling import measure_profile

CONFIG = NetworkConfig(inputs=64, neurons=60, rule='recruiting')


@pytest.fixture(scope='module')
def digits():
    source = load_digits()
    images = source.images.reshape(-1, 64).astype(np.float32) / 16
    return images[:300], source.target[:300], images[300:500], source.target[300:500]


def measure(data, timesteps=(16, 2), seeds=(0, 1), **options):
    return measure_profile(*data, CONFIG, timesteps, seeds, ENERGY_TABLES['loihi'],
                           name='digits', **options)


@pytest.fixture(scope='module')
def measured(digits):
    calls = []
    profile = measure(digits, progress=lambda *call: calls.append(call))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    return profile


def test_figures(measured, digits):
    assert measured.timesteps == (2, 16) and measured.neurons == 60
    small, reference = measured.points
    assert reference.inference.accuracy == reference.training.accuracy > 0.8
    assert small.inference.accuracy < reference.inference.accuracy
    for point in measured.points:
        for figures in (point.inference, point.training):
            assert 1e-7 < figures.latency_s < 0.01
            assert 1e-9 < figures.energy_j < 1e-4
            assert 0 <= figures.accuracy_std < 0.2
    assert small.inference.energy_j < reference.inference.energy_j


def test_says_how_it_was_obtained(measured):
    assert measured.energy_model.startswith('loihi: estimated from operation counts, Davies')
    assert measured.obtained.startswith(
        'measured: one pass over 300 labelled training samples, 200 test samples, seeds 0, 1')


def test_file(measured, tmp_path):
    save_profile(measured, tmp_path / 'profile.yaml')
    loaded = load_profile(tmp_path / 'profile.yaml')
    for mine, theirs in zip(measured.points, loaded.points):
        assert theirs.inference.energy_j == pytest.approx(mine.inference.energy_j, rel=1e-5)


def test_accuracy_and_energy_repeat_and_one_seed_has_no_spread(digits):
    one, other = (measure(digits, timesteps=(4,), seeds=(3,), jobs=jobs) for jobs in (1, 2))
    for figures in ('accuracy', 'energy_j'):
        assert getattr(one.points[0].training, figures) == \
            getattr(other.points[0].training, figures)
    assert math.isnan(one.points[0].inference.accuracy_std)


@pytest.mark.parametrize('change, message', [
    ({'timesteps': ()}, r'timesteps is \[\], accepted is one or more, each once'),
    ({'timesteps': (4, 4)}, r'timesteps is \[4, 4\], accepted is one or more, each once'),
    ({'seeds': ()}, r'seeds is \[\], accepted is one or more, each once'),
])
def test_refused_choice(digits, change, message):
    with pytest.raises(ProfileError, match=f'^{message}$'):
        measure(digits, **change)


def test_refused_data(digits):
    train, labels, test, test_labels = digits
    with pytest.raises(ProfileError, match='^train set is 300 images and 299 labels, '
                                           'accepted is one or more, as many of each$'):
        measure((train, labels[:-1], test, test_labels))
    with pytest.raises(ProfileError, match='^test set is 0 images and 0 labels, '
                                           'accepted is one or more, as many of each$'):
        measure((train, labels, test[:0], test_labels[:0]))
