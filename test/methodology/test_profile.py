"""Profiles: their arithmetic, their file, and every way a file can be wrong."""

import math
from dataclasses import replace

import pytest
import yaml

from topspark_ros.engine import DiscriminantConfig
from topspark_ros.methodology.profile import (
    ProfileError,
    load_profile,
    network_properties,
    save_profile,
)


@pytest.fixture
def path(profile, tmp_path):
    path = tmp_path / 'profile.yaml'
    save_profile(profile, path)
    return path


def rejection(path):
    with pytest.raises(ProfileError) as error:
        load_profile(path)
    message = str(error.value)
    assert message.startswith(f'{path}: ') and '\n' not in message
    return message[len(f'{path}: ') :]


def test_expected_accuracy_adds_losses(profile):
    assert profile.expected_accuracy(350, 350) == pytest.approx(0.97)
    assert profile.expected_accuracy(16, 350) == pytest.approx(0.93)
    assert profile.expected_accuracy(350, 16) == pytest.approx(0.92)
    assert profile.expected_accuracy(16, 16) == pytest.approx(0.97 - 0.04 - 0.05)
    assert profile.timesteps == (4, 16, 64, 350) and profile.reference.timesteps == 350


def test_expected_accuracy_is_a_fraction(profile):
    poor = replace(
        profile.points[0],
        timesteps=2,
        inference=replace(profile.points[0].inference, accuracy=0.1),
        training=replace(profile.points[0].training, accuracy=0.1),
    )
    assert replace(profile, points=(poor, *profile.points)).expected_accuracy(2, 2) == 0


def test_unknown_timestep(profile):
    with pytest.raises(ProfileError, match='^timesteps is 5, accepted is one of 4, 16, 64, 350$'):
        profile.at(5)


def test_file_round_trip(profile, path):
    loaded = load_profile(path)
    # NaN is not equal to itself, and all spreads are NaN here.
    assert str(loaded) == str(profile)
    spread = replace(profile.points[0].inference, accuracy_std=0.01)
    measured = replace(
        profile,
        network=profile.network | {'max_input_rate': math.inf},
        points=(replace(profile.points[0], inference=spread),),
    )
    save_profile(measured, path)
    assert str(load_profile(path)) == str(measured)


def test_a_discriminant_in_the_file(profile, path):
    network = network_properties(DiscriminantConfig(side=32, channels=1))
    assert network['rule'] == 'discriminant' and network['side'] == 32
    save_profile(replace(profile, network=network), path)
    assert load_profile(path).network == network
    text = path.read_text()
    path.write_text(text.replace('side: 32', 'side: large'))
    assert rejection(path) == "side is 'large', accepted is an integer from 1"
    path.write_text(text.replace('side: 32', 'neurons: 400'))
    assert rejection(path) == 'side is missing, accepted is a value'


def test_file_is_readable_and_says_its_units(path):
    text = path.read_text()
    assert text.startswith('# Profile: accuracy (0..1), latency (s a sample)')
    assert list(yaml.safe_load(text)) == [
        'name',
        'rule',
        'neurons',
        'coding',
        'max_input_rate',
        'inference_spikes',
        'energy_model',
        'obtained',
        'points',
    ]
    assert '    latency_s: 0.001\n' in text


def test_a_failed_save_leaves_the_old_file(profile, path, monkeypatch):
    before = path.read_text()
    monkeypatch.setattr('os.replace', lambda *_: (_ for _ in ()).throw(OSError('disk')))
    with pytest.raises(OSError, match='disk'):
        save_profile(replace(profile, name='new'), path)
    assert path.read_text() == before and list(path.parent.iterdir()) == [path]


def test_missing_or_unreadable_file(tmp_path):
    path = tmp_path / 'profile.yaml'
    assert rejection(path) == 'No such file or directory, accepted is a profile in YAML'
    path.write_text('points: [')
    assert rejection(path).endswith(', accepted is a profile in YAML')
    path.write_bytes(b'\xff\xfe\xff')
    assert rejection(path).endswith(', accepted is a profile in YAML')
    path.write_text('')
    assert rejection(path) == (
        'profile is None, accepted is a mapping of name, rule, neurons, '
        'coding, max_input_rate, inference_spikes, energy_model, obtained, '
        'points'
    )


NUMBER = 'accepted is a finite number from 0'


@pytest.mark.parametrize(
    'where, value, message',
    [
        (('points',), [], 'points is (), accepted is one or more'),
        (('points',), 'none', "points is 'none', accepted is a list"),
        (
            ('points', 1),
            16,
            'points[1] is 16, accepted is a mapping of timesteps, inference, training',
        ),
        (
            ('points', 1, 'timesteps'),
            None,
            'points[1].timesteps is None, accepted is an integer from 1',
        ),
        (
            ('points', 1, 'timesteps'),
            16.0,
            'points[1].timesteps is 16.0, accepted is an integer from 1',
        ),
        (('points', 0, 'timesteps'), 0, 'points[0].timesteps is 0, accepted is an integer from 1'),
        (
            ('points', 1, 'timesteps'),
            4,
            'points[1].timesteps is 4, accepted is more than the 4 before (T rises, each once)',
        ),
        (
            ('points', 2, 'timesteps'),
            8,
            'points[2].timesteps is 8, accepted is more than the 16 before (T rises, each once)',
        ),
        (
            ('points', 0, 'inference', 'accuracy'),
            1.5,
            'points[0].inference.accuracy is 1.5, accepted is a fraction from 0 to 1',
        ),
        (
            ('points', 0, 'training', 'accuracy'),
            math.nan,
            'points[0].training.accuracy is nan, accepted is a fraction from 0 to 1',
        ),
        (
            ('points', 0, 'training', 'latency_s'),
            -0.1,
            f'points[0].training.latency_s is -0.1, {NUMBER}',
        ),
        (
            ('points', 3, 'inference', 'energy_j'),
            math.inf,
            f'points[3].inference.energy_j is inf, {NUMBER}',
        ),
        (
            ('points', 3, 'inference', 'energy_j'),
            '5e-05',
            f"points[3].inference.energy_j is '5e-05', {NUMBER}",
        ),
        (
            ('points', 0, 'inference', 'accuracy_std'),
            -1,
            'points[0].inference.accuracy_std is -1, accepted is a number from 0 to 1, or .nan',
        ),
        (
            ('points', 0, 'inference', 'power'),
            1,
            'points[0].inference.power is unknown, accepted is accuracy, accuracy_std, '
            'accuracy_worst, margin, steps, latency_s, energy_j, input_spikes, output_spikes, '
            'synaptic_operations, neuron_updates, synaptic_updates',
        ),
        (
            ('points', 1, 'training', 'accuracy_worst'),
            95,
            'points[1].training.accuracy_worst is 95, accepted is a fraction from 0 to 1',
        ),
        (
            ('points', 1, 'training', 'margin'),
            0,
            'points[1].training.margin is 0, accepted is a number above 0',
        ),
        (
            ('points', 2, 'inference', 'steps'),
            math.nan,
            'points[2].inference.steps is nan, accepted is a finite number from 0',
        ),
        (
            ('points', 2, 'inference', 'input_spikes'),
            -1,
            'points[2].inference.input_spikes is -1, accepted is a finite number from 0',
        ),
        (('inference_spikes',), math.nan, 'inference_spikes is nan, accepted is a number above 0'),
        (
            ('obtained',),
            'measured',
            "obtained is 'measured', accepted is a mapping of accuracy, "
            'latency, operations, energy, margin',
        ),
        (('obtained', 'energy'), 1, 'obtained.energy is 1, accepted is a text'),
        (('neurons',), True, 'neurons is True, accepted is an integer from 1'),
        (('max_input_rate',), 0, 'max_input_rate is 0, accepted is a number above 0'),
        (('name',), 4, 'name is 4, accepted is a text'),
    ],
)
def test_rejected_value(path, where, value, message):
    content = yaml.safe_load(path.read_text())
    *parents, last = where
    target = content
    for key in parents:
        target = target[key]
    target[last] = value
    path.write_text(yaml.safe_dump(content))
    assert rejection(path) == message


@pytest.mark.parametrize(
    'where, message',
    [
        (('points',), 'points is missing, accepted is a value'),
        (('points', 2, 'timesteps'), 'points[2].timesteps is missing, accepted is a value'),
        (
            ('points', 2, 'training', 'energy_j'),
            'points[2].training.energy_j is missing, accepted is a value',
        ),
        (
            ('points', 2, 'inference', 'accuracy_std'),
            'points[2].inference.accuracy_std is missing, accepted is a value',
        ),
        (('obtained', 'margin'), 'obtained.margin is missing, accepted is a value'),
    ],
)
def test_missing_field(path, where, message):
    content = yaml.safe_load(path.read_text())
    *parents, last = where
    target = content
    for key in parents:
        target = target[key]
    del target[last]
    path.write_text(yaml.safe_dump(content))
    assert rejection(path) == message
