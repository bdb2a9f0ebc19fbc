"""A single layer that learns on spiking features, or an encoder's, in the place of pixels."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest

from topspark_ros.engine import (
    CheckpointError,
    DiscriminantConfig,
    EngineError,
    FeaturesConfig,
    NetworkConfig,
    OperationCounts,
    SpikeTrain,
    create_network,
    load_checkpoint,
    save_checkpoint,
)
from topspark_ros.engine.kernels.seeing import Filters, see_pictures

from . import reference
from . import reference_discriminant as vision
from .conftest import equal, same_responses, same_state
from .test_checkpoint import forge

FEATURES = FeaturesConfig(side=28, channels=1, edge_filters=32, surface_filters=16)
COLOUR = FeaturesConfig(side=30, channels=3, edge_filters=16, surface_filters=16, cells=2)
RULES = 'recruiting', 'pairwise'
FLOAT = 2e-5  # of features, which float32 sums over some hundred places; measured 2e-6
SCORE = 1e-4  # of scores, as the spikes of equal features are; measured 1e-6


def config_of(rule, features=FEATURES):
    return NetworkConfig(features.inputs, 30, rule, seed=3, encoder=features)


def filters_of(network):
    state = network.state()
    return Filters(*(state[name] for name in Filters._fields))


def seen(features, filters, pictures, timesteps, learning=False):
    """Features of pictures, uint8, and the operations that they take, by the kernel."""
    shown = pictures.astype(np.float32) * np.float32(1 / 255)
    result = np.empty((len(pictures), features.features), np.float32)
    counts = np.empty((len(pictures), 5), np.int64)
    see_pictures(
        features.side,
        features.channels,
        features.cells,
        *filters,
        shown,
        timesteps,
        learning,
        result,
        counts,
    )
    return result, counts


def plain_twin(config):
    """A network of the same rule that is shown features itself."""
    return create_network(replace(config, inputs=config.encoder.features, encoder=''))


@pytest.fixture(scope='module', params=RULES)
def taught(request, digits):
    """A network that has learned a few digits; not to be changed."""
    network = create_network(config_of(request.param))
    network.learn_many(digits.pixels[:200], 4, np.array(digits.labels[:200]))
    return network


@pytest.fixture
def trained(taught):
    return copy.deepcopy(taught)


def looked_at(by_hand, picture, timesteps, learning=False):
    """Features of a picture, uint8, the operations that they take, and what float32 resolves."""
    later = [64] if learning and timesteps < 64 else []
    drives = by_hand.drives(picture.astype(np.float32) * np.float32(1 / 255))
    shown = by_hand.show(drives, [timesteps], later)
    last = shown.seen[max([timesteps, *later])]
    fired = last.fired - sum(each.fired for each in shown.seen.values())  # filters compete once
    counts = vision.plus(shown.counts, OperationCounts(0, fired, fired, 0, 0))
    return last.features, counts, shown.closest


@pytest.mark.parametrize('features', [FEATURES, COLOUR], ids=['grey', 'colour'])
@pytest.mark.parametrize('learning', [False, True], ids=['inferred', 'learned'])
@pytest.mark.parametrize('timesteps', [1, 3, 64, 70])
def test_features_and_their_operations_are_those_of_the_reference(
    digits, features, timesteps, learning
):
    random = np.random.default_rng(timesteps)
    if features.channels == 1:
        pictures = digits.pixels[:24]
    else:  # coarse patterns in colour, which no noise is taken out of
        small = random.integers(0, 256, (24, 6, 6, 3), dtype=np.uint8)
        pictures = small.repeat(5, axis=1).repeat(5, axis=2).reshape(24, -1)
    network = create_network(config_of('recruiting', features))
    by_hand = vision.Features(features, network.state())
    found, counts = seen(features, filters_of(network), pictures, timesteps, learning)
    decided = 0
    for picture, one, spent in zip(pictures, found, counts):
        expected, operations, closest = looked_at(by_hand, picture, timesteps, learning)
        if closest < 1:
            continue
        decided += 1
        np.testing.assert_allclose(one, expected, atol=FLOAT)
        assert OperationCounts(*spent) == operations
    assert decided >= 6


def test_it_is_the_recruiting_rule_on_features_step_by_step(digits):
    """Both layers in NumPy, until float32 may decide otherwise."""
    config = config_of('recruiting')
    network = create_network(config)
    by_hand = vision.Features(FEATURES, network.state())
    layer = reference.Recruiting(replace(config, inputs=FEATURES.features, encoder=''))
    compared = 0
    for picture, label, timesteps in zip(digits.pixels, digits.labels, 20 * [4, 1, 7]):
        features, operations, closest = looked_at(by_hand, picture, timesteps, learning=True)
        if closest < 1:
            continue  # neither sees it
        expected = layer.learn(features.astype(np.float32), timesteps, label)
        if layer.closest < 1:
            break
        response = network.learn(picture, timesteps, label)
        assert response.predicted == expected.predicted
        assert response.counts == vision.plus(operations, OperationCounts(*expected.counts))
        np.testing.assert_allclose(response.scores, expected.scores, atol=SCORE)
        compared += 1
    assert compared >= 5


@pytest.mark.parametrize('timesteps, margin', [(1, math.inf), (4, math.inf), (20, 0.2)])
def test_answers_are_those_of_the_rule_on_the_features_of_as_many_steps(
    trained, digits, timesteps, margin
):
    """To the last bit, while it learns too; and every operation of both counts."""
    config = trained.config
    twin = plain_twin(config)
    shown, _ = seen(FEATURES, filters_of(trained), digits.pixels[:200], 4, True)
    twin.learn_many(shown, 4, np.array(digits.labels[:200]))

    pictures, labels = digits.pixels[200:240], np.array(digits.labels[200:240])
    labels[::5] = -1
    for method, *rest in (('infer_many', margin), ('learn_many', labels, margin)):
        learning = method == 'learn_many'
        shown, spent = seen(FEATURES, filters_of(trained), pictures, timesteps, learning)
        own = getattr(trained, method)(pictures, timesteps, *rest)
        plain = getattr(twin, method)(shown, timesteps, *rest)
        assert own.scores.tobytes() == plain.scores.tobytes()
        np.testing.assert_array_equal(own.predicted, plain.predicted)
        np.testing.assert_array_equal(own.timesteps, plain.timesteps)
        np.testing.assert_array_equal(own.counts, plain.counts + spent)
    learned = trained.state()
    assert same_state({name: learned[name] for name in twin.state()}, twin.state())
    shown, _ = seen(FEATURES, filters_of(trained), pictures, timesteps)
    steps, neurons = trained.raster(pictures[0], timesteps)
    plain = twin.raster(shown[0], timesteps)
    assert steps.tolist() == plain.steps.tolist() and neurons.tolist() == plain.neurons.tolist()
    assert len(steps) > 0


def test_many_are_singles_whatever_the_threads(trained, digits):
    pictures = digits.pixels[200:230]
    singles = [trained.infer(picture, 3) for picture in pictures]
    assert same_responses(trained.infer_many(pictures, 3, threads=3), singles)


def test_more_steps_take_more_spikes_of_the_features(trained, digits):
    few, some, many = (trained.infer(digits.pixels[200], T).counts for T in (1, 4, 64))
    assert few.input_spikes < some.input_spikes < many.input_spikes
    potentials = 24**2 * 32 + 12**2 * 16 + FEATURES.features  # of filters, and features
    for counts, T in ((few, 1), (some, 4), (many, 64)):
        assert counts.neuron_updates == T * (potentials + trained.recruited_neurons)


def test_it_knows_digits(digits):
    network = create_network(replace(config_of('recruiting'), neurons=200))
    network.learn_many(digits.pixels[:1200], 4, np.array(digits.labels[:1200]))
    answers = network.infer_many(digits.pixels[1200:], 4).predicted
    assert (answers == digits.labels[1200:]).mean() > 0.93  # measured 0.965


def test_bytes_are_shares_of_255(trained, digits):
    pictures = digits.pixels[200:210]
    floats = trained.infer_many(pictures.astype(np.float32) * np.float32(1 / 255), 4)
    assert equal(trained.infer_many(pictures, 4), floats)


def test_an_even_picture_teaches_nothing(trained):
    before = trained.state()
    response = trained.learn(np.full(FEATURES.inputs, 99, np.uint8), 4, 10)
    assert response.predicted is None and not response.scores.any()
    assert response.counts.input_spikes == 0
    assert same_state(trained.state(), before)


@pytest.mark.parametrize(
    'sample, message',
    [
        (SpikeTrain(np.zeros(1, int), np.zeros(1, int)), 'sample is a SpikeTrain, accepted by'),
        (np.full(FEATURES.inputs, 1.5, np.float32), 'pixels has a value of 1.5, accepted is'),
        (np.zeros(FEATURES.features, np.uint8), r'accepted is uint8 or float32 of shape \(784,\)'),
    ],
)
def test_what_is_no_picture_is_rejected(trained, sample, message):
    with pytest.raises(EngineError, match=message):
        trained.learn(sample, 4, 0)
    with pytest.raises(EngineError, match=message):
        trained.infer(sample, 4)


def test_it_is_not_quantised(trained):
    with pytest.raises(EngineError, match='a layer on spiking features is not quantised'):
        trained.quantised()


def test_reset_forgets_all_but_the_filters(trained):
    trained.reset()
    assert same_state(trained.state(), create_network(trained.config).state())


@pytest.mark.parametrize(
    'values, message',
    [
        (dict(encoder=5), 'encoder is 5, accepted is text or a FeaturesConfig'),
        (dict(encoder=DiscriminantConfig()), r'encoder is DiscriminantConfig\('),
        (dict(encoder=FEATURES, inputs=800), r'inputs is 800, accepted with FeaturesConfig\(.*784'),
        (
            dict(encoder='a', normalisation='full_scale', max_input_rate=0.06),
            "normalisation is 'full_scale', accepted with an encoder is l2",
        ),
        (dict(encoder=FEATURES, neurons=2**20), 'inputs x neurons is 432 x 1048576, accepted'),
    ],
)
def test_configurations_that_contradict_are_rejected(values, message):
    with pytest.raises(EngineError, match=message):
        NetworkConfig(**values)


def test_features_out_of_range_are_rejected():
    with pytest.raises(EngineError, match='side is 29, accepted is one of 28, '):
        FeaturesConfig(side=29)


# Checkpoints.


@pytest.fixture
def saved(trained, tmp_path):
    path = tmp_path / 'layer.topspark'
    save_checkpoint(path, trained, ['a', 'b'])
    return path


def test_a_loaded_network_continues_to_the_last_bit(trained, saved, digits):
    loaded = load_checkpoint(saved, trained.config)
    assert loaded.class_names == ('a', 'b')
    for network in (trained, loaded.network):
        network.learn_many(digits.pixels[200:240], 3, np.array(digits.labels[200:240]))
    assert same_state(loaded.network.state(), trained.state())
    assert load_checkpoint(saved).network.config == trained.config


def test_filters_stay_those_that_were_learned_on(trained, tmp_path, digits):
    """Whatever filters come with the package that loads them."""
    state = trained.state()
    state['edge_filters'] = np.ascontiguousarray(state['edge_filters'][::-1])
    before = trained.infer_many(digits.pixels[200:220], 4)
    trained.restore(state)
    changed = trained.infer_many(digits.pixels[200:220], 4)
    assert changed.scores.tobytes() != before.scores.tobytes()
    save_checkpoint(tmp_path / 'other', trained)
    loaded = load_checkpoint(tmp_path / 'other').network
    assert equal(loaded.infer_many(digits.pixels[200:220], 4), changed)


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(encoder='', inputs=784), r'its encoder is FeaturesConfig\(.*, accepted is none'),
        (
            dict(encoder=replace(FEATURES, cells=2)),
            r'its encoder is FeaturesConfig\(.*cells=3\), accepted is FeaturesConfig\(.*cells=2',
        ),
        (dict(encoder='another network'), 'accepted is another network'),
    ],
)
def test_what_was_learned_on_something_else_is_rejected(trained, saved, change, message):
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(saved, replace(trained.config, **change))


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda header: header['config']['encoder'].update(side=29), 'side is 29, accepted is'),
        (lambda header: header['config']['encoder'].update(depth=2), 'header makes no sense'),
        (lambda header: header['config'].update(encoder=''), 'it has no weights of 784 x 30'),
        (lambda header: header['config'].update(encoder=[28]), r'encoder is \[28\], accepted is'),
    ],
)
def test_headers_that_make_no_sense_are_rejected(saved, change, message):
    forge(saved, change)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(saved)


@pytest.mark.parametrize('version', [5, 6])
def test_files_from_before_encoders_hold_pixels(trained, tmp_path, version):
    path = tmp_path / 'old.topspark'
    network = plain_twin(trained.config)
    save_checkpoint(path, network)
    forge(path, lambda header: header['config'].pop('encoder'), version)
    assert load_checkpoint(path, network.config).network.config == network.config


@pytest.mark.parametrize(
    'damage, message',
    [
        (dict(usual=np.zeros(2, np.float32)), r'usual is 0, accepted is 1e-06 to 1e\+09'),
        (dict(edge_filters=np.ones((50, 16), np.float32)), r'edge_filters is float32 of shape'),
        (
            dict(surface_filters=np.zeros((18, 16), np.int8)),
            'surface_filters has a filter of zeros',
        ),
    ],
)
def test_restore_says_what_contradicts(trained, damage, message):
    before = trained.state()
    with pytest.raises(EngineError, match=message):
        trained.restore(before | damage)
    assert same_state(trained.state(), before)


# Features of another network.


def test_features_of_an_encoder_are_samples(tmp_path):
    """As pixels are; what was learned on another encoder is rejected."""
    config = NetworkConfig(40, 20, seed=1, encoder='tiny')
    network, plain = create_network(config), create_network(replace(config, encoder=''))
    samples = np.random.default_rng(0).random((60, 40), np.float32)
    labels = np.arange(60) % 3
    answers = [each.learn_many(samples, 4, labels) for each in (network, plain)]
    assert equal(*answers)
    path = tmp_path / 'encoded'
    save_checkpoint(path, network)
    assert load_checkpoint(path, config).network.config == config
    for other in ('', 'other'):
        message = f'its encoder is tiny, accepted is {other or "none"}$'
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(path, replace(config, encoder=other))
