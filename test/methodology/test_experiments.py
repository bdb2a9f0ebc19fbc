"""Experiments: what they measure is what the network does, sample by sample."""

import math
from dataclasses import replace

import numpy as np
import pytest

from topspark_ros.engine import NetworkConfig, NeuronConfig, OperationCounts, create_network
from topspark_ros.methodology.energy import ENERGY_TABLES, estimate_energy_j
from topspark_ros.methodology.experiments import (
    Data,
    ExperimentError,
    Pass,
    Setting,
    for_inference,
    run_experiments,
    train,
)

CONFIG = NetworkConfig(inputs=64, neurons=40)
SETTING = Setting(CONFIG, 16, 8)


def test_an_experiment_is_a_pass_of_learning_and_one_of_inference(digits):
    (outcome,) = run_experiments([SETTING], digits, seed=5)

    network = create_network(replace(CONFIG, seed=5))
    order = np.random.default_rng(5).permutation(300)
    learned = [
        network.learn(digits.training_pixels[i], 16, label=int(digits.training_labels[i]))
        for i in order
    ]
    inferred = [network.infer(pixels, 8) for pixels in digits.test_pixels]
    for each, responses, labels in (
        (outcome.training, learned, digits.training_labels[order]),
        (outcome.inference, inferred, digits.test_labels),
    ):
        assert each.accuracy == np.mean([r.predicted == y for r, y in zip(responses, labels)])
        assert each.timesteps == np.mean([r.timesteps for r in responses])
        assert each.counts == pytest.approx(np.mean([r.counts for r in responses], axis=0))
        assert 0 < each.processor_time_s < 0.01
    assert outcome.inference.accuracy > 0.7


def test_settings_that_train_alike_share_a_network(digits):
    settings = [
        SETTING,
        replace(SETTING, inference_timesteps=2),
        replace(SETTING, inference_margin=0.2),
        replace(SETTING, quantised=True),
    ]
    assert len({setting.training_key for setting in settings}) == 1
    together = run_experiments(settings, digits, seed=0)
    for setting, outcome in zip(settings, together):
        (alone,) = run_experiments([setting], digits, seed=0)
        assert timeless(alone.inference) == timeless(outcome.inference)
        assert timeless(alone.training) == timeless(outcome.training)
    steps = [outcome.inference.timesteps for outcome in together]
    assert steps[:2] == [8, 2] and 1 <= steps[2] < 8


def test_a_quantised_setting_tests_the_int8_copy(digits):
    setting = replace(SETTING, quantised=True)
    network, _ = train(setting, digits, seed=0)
    scores = for_inference(network, setting).infer_many(digits.test_pixels, 8).scores
    copied = network.quantised().infer_many(digits.test_pixels, 8).scores
    assert (scores == copied).all()
    assert (scores != network.infer_many(digits.test_pixels, 8).scores).any()


@pytest.mark.parametrize(
    'change',
    [
        {'training_timesteps': 8},
        {'training_margin': 0.5},
        {'config': replace(CONFIG, neurons=41)},
    ],
)
def test_settings_that_train_otherwise_do_not(change):
    assert replace(SETTING, **change).training_key != SETTING.training_key


def test_without_enhancement_the_gain_is_the_one_that_settles_at_the_full_timestep(digits):
    config = NetworkConfig(inputs=64, neurons=40, rule='pairwise')
    plain = replace(config, neuron=NeuronConfig(enhancement=False))
    gains = [
        train(Setting(each, timesteps, timesteps), digits, seed=3)[0].state()['gain']
        for each, timesteps in ((plain, 16), (plain, 350), (config, 350))
    ]
    assert gains[0] == gains[1] == gains[2] != create_network(config).state()['gain']


def timeless(each: Pass) -> Pass:
    return each._replace(processor_time_s=0)


def test_mean_of_passes():
    counts = [
        OperationCounts(1, 2, 3, 4, 5),
        OperationCounts(3, 2, 1, 0, 5),
        OperationCounts(2, 2, 2, 2, 5),
    ]
    times = (1.0, 9.0, 2.0)
    passes = [
        Pass(accuracy, 4, each, time_s)
        for accuracy, each, time_s in zip((0.5, 0.7, 0.9), counts, times)
    ]
    mean = Pass.mean(passes)
    assert mean == (pytest.approx(0.7), 4, (2, 2, 2, 2, 5), 2.0)
    table = ENERGY_TABLES['loihi']
    assert mean.energy_j(table) == estimate_energy_j(OperationCounts(2, 2, 2, 2, 5), table)


def test_validation_part_comes_from_the_training_samples(digits):
    part = digits.validation(share=0.25)
    assert part.name == 'digits, validation part'
    assert len(part.training_labels) == 225 and len(part.test_labels) == 75
    for kind in ('pixels', 'labels'):
        whole = np.concatenate([getattr(part, f'training_{kind}'), getattr(part, f'test_{kind}')])
        assert (whole == getattr(digits, f'training_{kind}')).all()


def test_digest_names_exactly_these_samples(digits):
    labels = digits.test_labels.copy()
    labels[3] += 1
    digests = {
        digits.digest(),
        replace(digits, test_labels=labels).digest(),
        replace(digits, test_pixels=digits.test_pixels.astype(np.float32)).digest(),
        digits.validation().digest(),
    }
    assert len(digests) == 4
    assert (
        replace(digits, name='other', test_pixels=digits.test_pixels.copy()).digest()
        == digits.digest()
    )


def test_rejected_data(digits):
    with pytest.raises(ExperimentError, match='^test set is 200 images and 199 labels, accepted'):
        replace(digits, test_labels=digits.test_labels[1:])
    with pytest.raises(ExperimentError, match='^training set is 0 images and 0 labels'):
        Data(
            'none',
            *(array[:0] for array in (digits.training_pixels, digits.training_labels)),
            digits.test_pixels,
            digits.test_labels,
        )


@pytest.mark.parametrize('field', ['training_timesteps', 'inference_timesteps'])
@pytest.mark.parametrize('value', [0, 10_001, math.nan])
def test_rejected_timesteps(field, value):
    with pytest.raises(ExperimentError) as error:
        replace(SETTING, **{field: value})
    assert str(error.value) == f'{field} is {value}, accepted is 1 to 10000'
