"""What several networks have learned apart, in one: as if that one had seen everything."""

from dataclasses import replace

import numpy as np
import pytest

from topspark_ros.engine import (
    Checkpoint,
    EncodedConfig,
    EngineError,
    MergingError,
    NetworkConfig,
    create_network,
    load_filters,
    merge_networks,
)
from topspark_ros.engine.filters import PACKAGED

from . import reference_discriminant as reference
from .conftest import same_state
from .test_discriminant import COLOUR, KINDS, ROUNDING, samples_of, smooth
from .test_encoded import CONFIG as ENCODED
from .test_encoded import sparse

NAMES = ('bolt', 'cup', 'hand', 'nut', 'screw')
PLAIN = replace(COLOUR, clutter=0.0)
RECRUITING = NetworkConfig(neurons=60)


def taught(config, pixels, labels, names):
    """A network that learned samples whose labels are indices of NAMES, and knows them by `names`
    alone, in that order."""
    network = create_network(config)
    own = [names.index(NAMES[label]) for label in labels]
    network.learn_many(pixels, 4, np.array(own))
    return Checkpoint(network, names)


def in_order(network, names):
    """What a network of a discriminant has learned, classes in the order of NAMES."""
    state = network.state()
    order = [names.index(name) for name in NAMES]
    learned = {name: state[name][:, order] for name in ('means', 'weights', 'overlaps')}
    learned['precision'] = reference.mirrored(state['precision'])
    learned['scatter'] = state['scatter']
    return learned | {'class_frames': state['class_frames'][order]}


def assert_same_learned(one, other):
    for name, bound in ROUNDING.items():
        # Two inversions more than one network that learned everything: some digits.
        atol = 100 * bound * np.abs(other[name]).max()
        np.testing.assert_allclose(one[name], other[name], rtol=0, atol=atol, err_msg=name)


def parts(samples):
    """Of three robots: the first two know other classes each, the third some of both, and all of
    them in orders of their own."""
    pixels, labels = samples
    of_first = np.flatnonzero(labels <= 1)
    of_second = np.flatnonzero(labels >= 2)
    third = np.concatenate((of_first[::3], of_second[::2]))
    first, second = np.setdiff1d(of_first, third), np.setdiff1d(of_second, third)
    for chosen, names in (
        (first, ('cup', 'bolt')),
        (second, ('screw', 'hand', 'nut')),
        (third, ('hand', 'nut', 'bolt', 'screw', 'cup')),
    ):
        yield pixels[chosen], labels[chosen], names


@pytest.mark.parametrize('config', [PLAIN, ENCODED], ids=['features', 'encoder'])
def test_a_merged_discriminant_is_one_that_saw_everything(config):
    if config == PLAIN:
        samples = samples_of(PLAIN, 200)
        more = samples_of(PLAIN, 40, seed=9)
    else:
        labels = np.random.default_rng(1).integers(KINDS, size=240)
        pixels = (sparse(KINDS, 2)[labels] + sparse(labels.size, 3)) / 2
        samples, more = (pixels[:200], labels[:200]), (pixels[200:], labels[200:])
    apart = [taught(config, *part) for part in parts(samples)]
    merged, names, _ = merge_networks(dict(zip('abc', apart)))
    together = taught(config, *samples, NAMES).network
    assert names == ('cup', 'bolt', 'screw', 'hand', 'nut')
    assert_same_learned(in_order(merged, names), in_order(together, NAMES))
    # And it goes on as that one does.
    merged.learn_many(more[0], 4, np.array([names.index(NAMES[each]) for each in more[1]]))
    together.learn_many(more[0], 4, more[1])
    assert_same_learned(in_order(merged, names), in_order(together, NAMES))
    assert merged.state()['precision'].tobytes() != together.state()['precision'].tobytes()


def test_made_up_backgrounds_of_all_are_kept():
    """Their scatter is summed, too: precision is the inverse of the sum, whatever is in it."""
    apart = [taught(COLOUR, *part) for part in parts(samples_of(COLOUR, 200))]
    merged, *_ = merge_networks(dict(zip('ab', apart[:2])))  # no class in common
    size = COLOUR.features
    scatters = [
        np.linalg.inv(reference.mirrored(each.state()['precision']))
        for each in (apart[0].network, apart[1].network, merged)
    ]
    expected = scatters[0] + scatters[1] - reference.first_scatter(size) * np.eye(size)
    np.testing.assert_allclose(scatters[2], expected, rtol=0, atol=1e-9 * expected.max())


@pytest.mark.parametrize('config', [PLAIN, COLOUR], ids=['plain', 'made-up backgrounds'])
def test_what_all_went_on_from_counts_once(config):
    pixels, labels = samples_of(config, 240)
    before = taught(config, pixels[:80], labels[:80], NAMES)
    apart = [before]
    for part in (slice(80, 160), slice(160, 240)):
        network = create_network(config)
        network.restore(before.network.state())
        network.learn_many(pixels[part], 4, labels[part])
        apart.append(Checkpoint(network, NAMES))
    merged, names, _ = merge_networks(dict(zip('abc', apart)), common='a')
    counts = np.bincount(labels, minlength=KINDS)
    np.testing.assert_array_equal(merged.state()['class_frames'], counts)
    if config == PLAIN:
        together = taught(config, pixels, labels, NAMES).network
        assert_same_learned(in_order(merged, names), in_order(together, NAMES))
    alone, *_ = merge_networks({'a': before, 'b': apart[1]}, common='a')
    assert_same_learned(in_order(alone, NAMES), in_order(apart[1].network, NAMES))


def test_what_they_did_not_go_on_from_is_rejected():
    pixels, labels = samples_of(PLAIN, 120)
    one, two = (taught(PLAIN, pixels[k::2], labels[k::2], NAMES) for k in range(2))
    few = taught(PLAIN, pixels[:9], labels[:9], NAMES)
    with pytest.raises(MergingError, match="^a: it has more frames of '.*' than the others have"):
        merge_networks({'a': one, 'b': few, 'c': few}, common='a')
    noise = np.random.default_rng(0).random((20, PLAIN.inputs), np.float32).round()
    other = taught(PLAIN, noise, np.zeros(20, np.int64), NAMES)
    with pytest.raises(MergingError, match='^a: what it knows is no scatter of samples, or not'):
        merge_networks({'a': other, 'b': two, 'c': one}, common='a')


def test_a_precision_that_is_none_is_named():
    network = create_network(PLAIN)
    state = network.state()
    state['precision'][0, 1] = state['precision'][1, 0] = 2 * state['precision'][0, 0]
    network.restore(state)
    with pytest.raises(MergingError, match='^b: what it knows is no scatter of samples'):
        merge_networks({'a': other(PLAIN), 'b': Checkpoint(network, ())})


def test_one_network_merged_is_itself():
    samples = samples_of(COLOUR, 60)
    alone = taught(COLOUR, *samples, NAMES)
    merged, names, _ = merge_networks({'a': alone})
    assert names == NAMES
    assert_same_learned(in_order(merged, names), in_order(alone.network, NAMES))
    np.testing.assert_array_equal(merged.state()['exemplars'], alone.network.state()['exemplars'])


def test_exemplars_of_all_are_kept_that_are_spread_out():
    """Of one class 60 frames, of another 10, of the last none in one of the networks."""
    labels = np.repeat([0, 1, 2], [60, 10, 20])
    pixels = smooth(PLAIN, labels.size, 1)
    one = taught(PLAIN, pixels[:65], labels[:65], NAMES[:3])
    other = taught(PLAIN, pixels[40:], labels[40:], NAMES[:3])
    merged, *_ = merge_networks({'a': one, 'b': other})

    def exemplars(network):
        """Of each class, (exemplars, L, K)."""
        state = network.state()
        kept = np.minimum(state['class_frames'], reference.EXEMPLARS)
        return [np.moveaxis(state['exemplars'][:, c, :, :k], 2, 0) for c, k in enumerate(kept)]

    def closest(exemplars):
        apart = np.linalg.norm(exemplars[:, np.newaxis, -1] - exemplars[:, -1], axis=2)
        return apart[np.triu_indices(len(apart), 1)].min()

    of_one, of_other, of_both = map(exemplars, (one.network, other.network, merged))
    assert [len(kept) for kept in of_both] == [32, 15, 20]
    union = np.concatenate((of_one[0], of_other[0])).astype(float)
    assert all((each == union).all(axis=(1, 2)).any() for each in of_both[0])
    assert closest(union) == 0 < closest(of_both[0].astype(float))  # frames 40 to 59 are in both
    np.testing.assert_array_equal(of_both[2], of_other[2])


def test_a_name_that_was_heard_and_never_learned_stays_a_name():
    pixels, labels = samples_of(PLAIN, 40)
    few = labels < 2
    one = taught(PLAIN, pixels[few], labels[few], ('bolt', 'cup', 'hand'))
    other = taught(PLAIN, pixels[~few], labels[~few], ('nut', 'screw', 'hand'))
    merged, names, _ = merge_networks({'a': one, 'b': other})
    assert names == ('bolt', 'cup', 'hand', 'nut', 'screw')
    assert (merged.infer_many(pixels[few], 4).predicted < 2).mean() > 0.9


# The recruiting rule.


@pytest.fixture(scope='module')
def robots(digits):
    """Two that know five digits each, and one that knows all; learned on 900 in all."""
    pixels, labels = digits.pixels[:900], np.array(digits.labels[:900])
    names = tuple(map(str, range(10)))
    low = labels < 5
    one, other, everything = (create_network(RECRUITING) for _ in range(3))
    one.learn_many(pixels[low], 4, labels[low])
    other.learn_many(pixels[~low], 4, labels[~low] - 5)
    everything.learn_many(pixels, 4, labels)
    return dict(
        one=Checkpoint(one, names[:5]),
        other=Checkpoint(other, names[5:]),
        everything=Checkpoint(everything, names),
    )


def accuracy(network, digits):
    labels = np.array(digits.labels[900:])
    return (network.infer_many(digits.pixels[900:], 4).predicted == labels).mean()


def test_all_prototypes_fit_where_there_is_room(robots):
    apart = {name: robots[name] for name in ('one', 'other')}
    merged, names, _ = merge_networks(apart, neurons=130)
    assert names == tuple(map(str, range(10))) and merged.config.neurons == 130
    fields = np.concatenate([each.network.receptive_fields() for each in apart.values()])
    np.testing.assert_allclose(merged.receptive_fields(), fields, atol=1e-6)
    state = merged.state()
    used = len(fields)
    np.testing.assert_allclose(state['gram'][:used, :used], fields @ fields.T, atol=1e-5)
    assert not state['gram'][used:].any() and not state['label_counts'][used:].any()
    expected = np.concatenate([each.network.state()['class_frames'] for each in apart.values()])
    np.testing.assert_array_equal(state['class_frames'], expected)


@pytest.mark.parametrize('neurons', [130, 60, 30])
def test_merged_prototypes_know_what_both_knew(robots, digits, neurons):
    merged, *_ = merge_networks({name: robots[name] for name in ('one', 'other')}, neurons)
    assert merged.recruited_neurons <= neurons and merged.labelled_neurons <= neurons
    expected = accuracy(robots['everything'].network, digits)
    assert accuracy(merged, digits) > expected - (0.02 if neurons >= 60 else 0.06)


def test_prototypes_of_a_class_become_one_and_stand_for_as_many_samples(robots):
    apart = {name: robots[name] for name in ('one', 'other')}
    merged, *_ = merge_networks(apart, neurons=10)
    state = merged.state()
    assert merged.recruited_neurons == 10
    assert sorted(state['label_counts'].argmax(axis=1)) == list(range(10))
    before = [each.network.state() for each in apart.values()]
    for name in ('attractions', 'label_counts', 'class_frames', 'frames'):
        assert state[name].sum() == pytest.approx(sum(each[name].sum() for each in before))


def test_a_merged_network_goes_on_learning(robots, digits):
    merged, *_ = merge_networks({name: robots[name] for name in ('one', 'other')}, 60)
    before = accuracy(merged, digits)
    merged.learn_many(digits.pixels[:900], 4, np.array(digits.labels[:900]))
    assert accuracy(merged, digits) > max(before - 0.01, 0.85)
    merged.restore(merged.state())  # which checks that it does not contradict itself


def test_networks_that_are_merged_do_not_change(robots):
    before = robots['one'].network.state()
    merge_networks({name: robots[name] for name in ('one', 'other')}, 20)
    assert same_state(robots['one'].network.state(), before)


# What is rejected.


def named(config, names=(), **checkpoints):
    return dict(a=Checkpoint(create_network(config), names), **checkpoints)


def other(config, names=()):
    return Checkpoint(create_network(config), names)


def of_other_filters():
    filters = load_filters(PACKAGED, PLAIN)
    filters = filters._replace(usual=filters.usual * np.float32(2))
    return Checkpoint(create_network(PLAIN, filters), ())


def unnamed():
    network = create_network(PLAIN)
    network.learn(samples_of(PLAIN, 1).pixels[0], 4, label=1)
    return Checkpoint(network, ('bolt',))


@pytest.mark.parametrize(
    'networks, neurons, complaint',
    [
        ({}, None, 'networks are none, accepted is one or more'),
        (named(NetworkConfig(rule='pairwise')), None, '^a: its rule is pairwise, accepted are'),
        (named(PLAIN, b=other(COLOUR)), None, '^b: its clutter is 0.02, accepted is none, as of a'),
        (
            named(ENCODED, b=other(replace(ENCODED, encoder='huge'))),
            None,
            '^b: its encoder is huge, accepted is tiny, as of a',
        ),
        (named(PLAIN, b=other(EncodedConfig())), None, '^b: its configuration is EncodedConfig'),
        (named(PLAIN, b=of_other_filters()), None, '^b: its usual differ from those of a'),
        (named(PLAIN, b=unnamed()), None, '^b: it has 2 classes and 1 names of them'),
        (named(PLAIN, ('cup', 'cup')), None, '^a: two of its classes have the same name'),
        (
            named(
                PLAIN,
                tuple(map(str, range(600))),
                b=other(PLAIN, tuple(map(str, range(900, 1500)))),
            ),
            None,
            'together they have 1200 classes, accepted are 1000',
        ),
        (named(PLAIN), 400, 'neurons is 400, accepted with a discriminant is none'),
        (named(RECRUITING), 0, 'neurons is 0, accepted is an integer from 1'),
    ],
)
def test_what_cannot_be_merged_is_one_line(networks, neurons, complaint):
    with pytest.raises(EngineError, match=complaint):
        merge_networks(networks, neurons)


def test_prototypes_have_nothing_in_common_that_could_be_subtracted(robots):
    with pytest.raises(MergingError, match='common is one, accepted with the rule recruiting is n'):
        merge_networks(robots, common='one')


def test_every_class_needs_a_neuron(robots):
    with pytest.raises(MergingError, match='neurons is 9, accepted is at least 10: one for each'):
        merge_networks({name: robots[name] for name in ('one', 'other')}, 9)


def test_seeds_and_sizes_may_differ(robots):
    small = other(replace(RECRUITING, neurons=7, seed=5), ())
    merged, names, _ = merge_networks(dict(small=small, one=robots['one']))
    assert merged.config == small.network.config and names == robots['one'].class_names
    assert merged.recruited_neurons == 7
