"""`topspark profile`: figures and weights on disk, and one line for what is rejected."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx_models import filters, write_encoder
from plates import write_plates

from topspark_ros.cli.main import main
from topspark_ros.engine import OperationCounts, load_checkpoint
from topspark_ros.methodology.energy import ENERGY_TABLES, estimate_energy_j
from topspark_ros.methodology.profile import load_profile
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.perception.steering import profile_mismatches
from topspark_ros.streams.datasets import load_dataset

RECRUITING = ('--rule', 'recruiting')
RAW = (*RECRUITING, '--view', 'raw')
SMALL = (*RECRUITING, '--timesteps', '16,4', '--neurons', '60', '--seeds', '2')


@pytest.fixture
def profile(monkeypatch, capsys, tmp_path):
    """Run it; (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(
            sys,
            'argv',
            ['topspark', 'profile', '--output', str(tmp_path / 'mine.yaml'), *map(str, arguments)],
        )
        return main(), *capsys.readouterr()

    return run


def test_a_profile_and_its_weights(profile, tmp_path):
    code, printed, _ = profile(*SMALL, '--samples', 150, '--energy-model', 'cmos45')
    assert code == 0
    measured = load_profile(tmp_path / 'mine.yaml')
    assert measured.name == 'digits, camera frames' and measured.energy_model == 'cmos45'
    assert measured.timesteps == (4, 16) and measured.network['neurons'] == 60
    assert 'after one pass over 150 labelled ones, seeds 0, 1:' in measured.obtained.accuracy
    assert measured.at(4).inference.energy_j < measured.at(16).inference.energy_j
    assert all(point.inference.margin == math.inf for point in measured.points)
    assert f'{measured.at(16).inference.accuracy:.1%}' in printed

    network, names, _ = load_checkpoint(tmp_path / 'mine.topspark')
    assert names == load_dataset('digits').class_names
    assert (network.config.inputs, network.config.neurons) == (784, 60)
    assert network.recruited_neurons > 20 and network.classes == 10


def test_the_weights_are_those_that_were_measured(profile, tmp_path):
    """With margins, of raw pixels: the network in the file has seed 0's accuracy."""
    assert (
        profile(
            *RAW,
            '--timesteps',
            '16',
            '--neurons',
            60,
            '--seeds',
            1,
            '--max-loss',
            '0.05',
        )[0]
        == 0
    )
    measured = load_profile(tmp_path / 'mine.yaml')
    assert measured.name == 'digits, raw pixels'
    figures = measured.reference.inference
    assert 0 < figures.margin < 1 and figures.steps < 16
    network = load_checkpoint(tmp_path / 'mine.topspark').network
    test = load_dataset('digits', 'test')
    responses = network.infer_many(test.images.reshape(-1, 64), 16, figures.margin)
    assert (responses.predicted == test.labels).mean() == pytest.approx(figures.accuracy)
    assert responses.timesteps.mean() == pytest.approx(figures.steps, rel=1e-5)


def test_the_networks_options_are_the_profiles(profile, tmp_path):
    assert (
        profile(
            '--timesteps',
            '8',
            '--neurons',
            30,
            '--seeds',
            1,
            '--view',
            'raw',
            '--samples',
            200,
            '--rule',
            'pairwise',
            '--coding',
            'rate_bernoulli',
            '--inference-spikes',
            2,
            '--max-input-rate',
            'inf',
            '--no-weights',
        )[0]
        == 0
    )
    measured = load_profile(tmp_path / 'mine.yaml')
    assert measured.network == dict(
        rule='pairwise',
        neurons=30,
        coding='rate_bernoulli',
        max_input_rate=math.inf,
        inference_spikes=2.0,
    )
    assert {path.name for path in tmp_path.iterdir()} == {'mine.yaml', 'mine.cells'}


def test_a_folder_of_images(profile, tmp_path):
    digits = load_dataset('digits')
    folder = tmp_path / 'tools'
    for label, name in ((0, 'ring'), (1, 'bar')):
        (folder / name).mkdir(parents=True)
        for index in np.flatnonzero(digits.labels == label)[:20]:
            cv2.imwrite(
                str(folder / name / f'{index}.png'), cv2.resize(digits.images[index], (32, 32))
            )
    assert profile('--dataset', folder, *SMALL)[0] == 0
    measured = load_profile(tmp_path / 'mine.yaml')
    assert measured.name == 'tools' and measured.reference.inference.accuracy > 0.8
    assert set(load_checkpoint(tmp_path / 'mine.topspark').class_names) == {'ring', 'bar'}


def test_a_discriminant_on_an_encoder(profile, tmp_path):
    """Its energy is in each inference, whatever T is, and not in learning."""
    path = write_encoder(tmp_path / 'encoder.onnx', filters(24), side=16)
    options = ('--encoder', path, '--picture-view', 'object', '--energy-model', 'cmos45')
    code, _, _ = profile(*options, '--timesteps', '1,64', '--seeds', 1, '--samples', 300)
    assert code == 0
    measured = load_profile(tmp_path / 'mine.yaml')
    settings = SnnLearnerParameters(encoder=str(path))
    assert profile_mismatches(measured, settings.network_config()) == []
    encoder_j = settings.read_encoder().energy_j(ENERGY_TABLES['cmos45'])
    table = ENERGY_TABLES['cmos45']
    for point in measured.points:
        for phase, before_j in ((point.inference, encoder_j), (point.training, 0.0)):
            counts = OperationCounts(*(getattr(phase, name) for name in OperationCounts._fields))
            expected_j = before_j + estimate_energy_j(counts, table)
            assert phase.energy_j == pytest.approx(expected_j, rel=1e-4)
    assert measured.reference.inference.accuracy > 0.15  # means of filters at random tell little
    assert 'of the encoder' in measured.obtained.energy

    other = write_encoder(tmp_path / 'other.onnx', filters(24, seed=1), side=16)
    lines = profile_mismatches(measured, SnnLearnerParameters(encoder=str(other)).network_config())
    assert len(lines) == 1 and 'encoder' in lines[0]


def test_a_discriminant_of_what_a_camera_sees(profile, tmp_path):
    """The profile is of the network that the node makes of these settings."""
    settings = dict(picture_side=32, picture_colour=False)
    options = ('--picture-side', 32, '--no-picture-colour')
    code, _, _ = profile(*options, '--timesteps', '1,4', '--samples', 200, '--max-loss', 0.05)
    assert code == 0
    measured = load_profile(tmp_path / 'mine.yaml')
    config = SnnLearnerParameters(**settings).network_config()
    assert profile_mismatches(measured, config) == []
    assert measured.name == 'digits, camera frames'
    few, many = measured.points
    assert few.inference.accuracy > 0.8 and many.inference.accuracy > 0.8
    # What is learned does not depend on T, and no margin shortens how long a frame is looked at.
    assert few.training.accuracy == many.training.accuracy == many.inference.accuracy
    assert few.training.margin == many.training.margin == math.inf
    assert few.inference.energy_j < many.inference.energy_j
    assert few.inference.energy_j < few.training.energy_j < many.training.energy_j
    assert 0 < many.inference.margin < 1 and many.inference.steps < 4
    assert load_checkpoint(tmp_path / 'mine.topspark').network.config == config


def test_a_discriminant_of_what_an_event_camera_sees(profile, tmp_path):
    """The profile is of the network that the node makes for events."""
    options = ('--view', 'events', '--timesteps', '1,4', '--samples', 300, '--seeds', 1)
    assert profile(*options)[0] == 0
    measured = load_profile(tmp_path / 'mine.yaml')
    config = SnnLearnerParameters(input='events').network_config()
    assert profile_mismatches(measured, config) == []
    assert measured.name == 'digits, a simulated event camera'
    assert all(point.inference.accuracy > 0.6 for point in measured.points)
    assert load_checkpoint(tmp_path / 'mine.topspark').network.config == config


def test_a_layer_on_features_of_what_a_camera_sees(profile, tmp_path):
    """The profile is of the network that the node makes of these settings, and of no other."""
    settings = dict(picture_side=32, picture_colour=False, neurons=60, max_input_rate=18.0)
    options = ('--picture-side', 32, '--no-picture-colour', '--max-input-rate', 18)
    options += (*SMALL[:3], '1,4', *SMALL[4:], '--encoder', 'features', '--samples', 200)
    assert profile(*options)[0] == 0
    measured = load_profile(tmp_path / 'mine.yaml')
    own = SnnLearnerParameters(rule='recruiting', encoder='features', **settings)
    config = own.network_config()
    assert profile_mismatches(measured, config) == []
    pixels = replace(own, encoder='').network_config()
    (mismatch,) = profile_mismatches(measured, pixels)
    assert mismatch.startswith('measured with rule recruiting of features, this network has')
    smaller = replace(own, picture_side=28).network_config()
    assert 'measured with side 32, this network has 28' in profile_mismatches(measured, smaller)[0]
    few, many = measured.points
    assert many.inference.accuracy > 0.8
    assert few.inference.energy_j < 0.5 * many.inference.energy_j
    assert few.inference.input_spikes < many.inference.input_spikes
    assert load_checkpoint(tmp_path / 'mine.topspark').network.config == config


def test_a_discriminant_of_a_folder_in_colour(profile, tmp_path):
    folder = tmp_path / 'plates'
    write_plates(folder, 10)
    options = ('--picture-view', 'frame', '--timesteps', 2, '--seeds', 1)
    assert profile('--dataset', folder, *options, '--no-weights')[0] == 0
    measured = load_profile(tmp_path / 'mine.yaml')
    assert measured.name == 'plates' and measured.reference.inference.accuracy == 1
    own = SnnLearnerParameters(picture_view='frame')
    assert profile_mismatches(measured, own.network_config()) == []


@pytest.mark.parametrize(
    'arguments, message',
    [
        (('--dataset', 'cifar'), "dataset is 'cifar', accepted is one of digits, mnist, "),
        (('--samples', 0), '--samples is 0, accepted is 1 to 1297'),
        (('--samples', 1298), '--samples is 1298, accepted is 1 to 1297'),
        (('--timesteps', '4,,8'), "--timesteps is '4,,8', accepted are whole numbers"),
        ((*RAW, '--timesteps', '4,4'), 'timesteps is [4, 4], accepted is one or more'),
        ((*RAW, '--seeds', 0), 'seeds is [], accepted is one or more, each once'),
        ((*RAW, '--max-loss', 0), 'max_loss is 0.0, accepted is a fraction above 0'),
        ((*RAW, '--inference-spikes', 2), 'neuron is NeuronConfig('),
        (
            ('--neurons', 100),
            '--neurons is 100, accepted with the rule discriminant: --picture-side, --picture-',
        ),
        (
            (*RECRUITING, '--picture-side', 32),
            '--picture-side is 32, accepted with the rule recruiting: --neurons, --coding, ',
        ),
        (('--encoder', 'features'), "encoder: 'features'; accepted with the rule discriminant"),
        (
            (*RAW, '--encoder', 'features'),
            "--view is 'raw', accepted with the encoder features: camera, events",
        ),
        (
            (*RECRUITING, '--view', 'events'),
            "--view is 'events', accepted with the rule recruiting: camera, raw",
        ),
        (
            ('--view', 'events', '--dataset', Path(__file__).parent),
            f"--view is 'events', accepted with the folder {Path(__file__).parent}: camera",
        ),
        (
            ('--view', 'events', '--picture-side', 32),
            '--picture-side is 32, accepted with the rule discriminant and --view events: none',
        ),
        (('--picture-side', 33), 'side is 33, accepted is one of 28, '),
        (('--encoder', '/nowhere/net.onnx'), 'encoder: /nowhere/net.onnx'),
        ((*RECRUITING, '--encoder', '/nowhere/net.onnx'), 'encoder: /nowhere/net.onnx'),
        (('--view', 'raw'), "--view is 'raw', accepted with the rule discriminant: camera, events"),
        (('--jobs', 0, *SMALL), 'jobs is 0, accepted is 1 or more, or -1'),
        (('--output', '/nowhere/profile.yaml'), '--output is /nowhere/profile.yaml, accepted is'),
        (('--output', 'weights.topspark'), '--output is weights.topspark, accepted is'),
    ],
)
def test_what_is_rejected_is_one_line_and_leaves_nothing(profile, tmp_path, arguments, message):
    code, _, complaint = profile(*arguments)
    assert code == 2 and complaint.count('\n') == 1
    assert complaint.startswith(f'topspark profile: {message}')
    assert not list(tmp_path.iterdir())
