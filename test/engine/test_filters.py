"""Filters of a user's own: the file, what they see, and that they stay with what was learned."""

import io
import zipfile

import numpy as np
import pytest

from topspark_ros.engine import (
    EncodedConfig,
    EngineError,
    FeaturesConfig,
    Filters,
    NetworkConfig,
    compilations,
    create_network,
    load_checkpoint,
    load_filters,
    save_checkpoint,
    warm_up,
)
from topspark_ros.engine.filters import MAX_BYTES, PACKAGED

from . import reference_discriminant as reference
from .conftest import equal, same_state
from .test_discriminant import COLOUR, GREY, features_of, probe_of, samples_of, smooth

LAYER = NetworkConfig(GREY.inputs, 20, seed=3, encoder=FeaturesConfig(28, 1, 16, 16, 2))
KINDS = pytest.mark.parametrize('config', [GREY, LAYER], ids=['discriminant', 'layer'])
NAMES = 'grey_edges', 'grey_surfaces', 'grey_usual'


def whole(config):
    """Filters of int8 of both signs: those of the package, less something in places."""
    packaged = load_filters(PACKAGED, config)
    random = np.random.default_rng(0)
    banks = []
    for filters in packaged[:2]:
        less = 0.3 * (random.random(filters.shape) < 0.2)
        banks.append(np.rint(100 * (filters / filters.max() - less)).astype(np.int8))
    assert all((bank < 0).any() for bank in banks)
    return Filters(*banks, np.array([120, 70], np.float32))


def as_float32(filters):
    return Filters(*(array.astype(np.float32) for array in filters))


OWN = whole(GREY)
TYPES = pytest.mark.parametrize('filters', [OWN, as_float32(OWN)], ids=['int8', 'float32'])


def write(path, arrays):
    np.savez(path, **arrays)
    return path


@pytest.fixture
def arrays():
    return dict(zip(NAMES, OWN))


# What they see.


@pytest.mark.parametrize('config', [GREY, COLOUR], ids=['grey', 'colour'])
@pytest.mark.parametrize('label', [None, 1], ids=['inferred', 'learned'])
def test_features_and_counts_of_int8_are_those_of_the_reference(config, label):
    """Its sums are exact, so inputs alone may be on the verge of a spike."""
    probe = probe_of(config, whole(config))
    assert probe.state()['edge_filters'].dtype == np.int8
    plain = reference.Features(config, probe.state())
    decided = 0
    for picture in smooth(config, 4, seed=1):
        for timesteps in (1, 4, 64):
            expected = plain.present(picture, timesteps, np.ones(probe.classes), label)
            if label is None:
                response = probe.infer(picture, timesteps)
            else:
                response = probe_of(config, whole(config)).learn(picture, timesteps, label)
            if expected.closest >= 1:
                decided += 1
                assert response.counts == expected.counts
                np.testing.assert_allclose(
                    features_of(response.scores) ** 2, expected.features**2, atol=3e-5
                )
    assert decided >= 6


@KINDS
def test_int8_is_the_same_numbers_in_less_memory_and_compiles_nothing(config):
    samples = samples_of(GREY, 60)
    networks = [create_network(config, filters) for filters in (as_float32(OWN), OWN)]
    warm_up(networks[0])
    before = compilations()
    answers = [network.learn_many(samples.pixels, 4, samples.labels) for network in networks]
    answers += [network.infer_many(samples.pixels, 2) for network in networks]
    assert compilations() == before
    for one, other in zip(answers[::2], answers[1::2]):
        assert equal(one, other)
    one, other = (network.state() for network in networks)
    for name, stored in zip(Filters._fields, OWN):
        assert one[name].dtype == np.float32 and other[name].dtype == stored.dtype
        np.testing.assert_array_equal(other[name], stored)
        np.testing.assert_array_equal(one.pop(name), other.pop(name))
    assert same_state(one, other)
    fields = sum(filters.size for filters in OWN[:2])
    assert networks[0].memory_bytes - networks[1].memory_bytes == 3 * fields
    views = [network.receptive_fields() for network in networks]
    assert views[0].dtype == np.float32 and np.array_equal(*views)


def test_a_factor_that_a_bank_shares_makes_no_difference():
    """A power of two, which rounds alike."""
    samples = samples_of(GREY, 40)
    plain = as_float32(OWN)
    networks = [
        create_network(GREY, filters) for filters in (plain, Filters(*(a / 64 for a in plain)))
    ]
    one, other = (network.learn_many(samples.pixels, 4, samples.labels) for network in networks)
    assert equal(one, other)


def test_filters_that_see_something_else_learn_something_else():
    samples = samples_of(GREY, 40)
    means = []
    for filters in (None, OWN):
        network = create_network(GREY, filters)
        network.learn_many(samples.pixels, 4, samples.labels)
        means.append(network.state()['means'])
    assert np.abs(means[0] - means[1]).max() > 0.1


# They stay.


@KINDS
@TYPES
def test_they_are_saved_and_resumed_with_what_was_learned(config, filters, tmp_path):
    samples = samples_of(GREY, 60)
    network = create_network(config, filters)
    network.learn_many(samples.pixels[:30], 4, samples.labels[:30])
    save_checkpoint(tmp_path / 'own.topspark', network)
    resumed = load_checkpoint(tmp_path / 'own.topspark', config).network
    assert same_state(resumed.state(), network.state())
    for name, given in zip(Filters._fields, filters):
        assert resumed.state()[name].dtype == given.dtype
        np.testing.assert_array_equal(resumed.state()[name], given)
    rest = [
        each.learn_many(samples.pixels[30:], 4, samples.labels[30:]) for each in (network, resumed)
    ]
    assert equal(*rest)
    assert same_state(resumed.state(), network.state())
    for each in (network, resumed):
        each.reset()
        assert same_state(each.state(), create_network(config, filters).state())


@KINDS
def test_a_network_takes_a_state_with_filters_of_either_type(config):
    packaged = create_network(config)
    state = create_network(config, OWN).state()
    packaged.restore(state)
    assert same_state(packaged.state(), state)
    packaged.restore(create_network(config).state())
    assert packaged.state()['edge_filters'].dtype == np.float32
    for wrong in (np.int16, np.float64):
        with pytest.raises(EngineError, match='^state edge_filters is .*, accepted is float32 or'):
            packaged.restore(state | dict(edge_filters=OWN.edge_filters.astype(wrong)))
    with pytest.raises(EngineError, match='^state usual is int8 .*, accepted is float32 of'):
        packaged.restore(state | dict(usual=OWN.usual.astype(np.int8)))


@pytest.mark.parametrize(
    'config, message',
    [
        (EncodedConfig(64), 'filters are given, accepted are none'),
        (NetworkConfig(9, 4), 'filters are given, accepted are none'),
        (COLOUR, r'surface_filters is int8 of shape \(18, 16\), accepted is .* \(54, 16\)'),
    ],
)
def test_filters_that_do_not_fit_are_rejected(config, message):
    with pytest.raises(EngineError, match=message):
        create_network(config, OWN)


# The file.


@TYPES
def test_a_file_gives_its_filters(filters, tmp_path):
    """Compressed or not; of more than are wanted the first."""
    path = write(tmp_path / 'own.npz', dict(zip(NAMES, filters)))
    for loaded in (load_filters(path, GREY), load_filters(str(path), LAYER.encoder)):
        assert all(map(np.array_equal, loaded, filters))
        assert [array.dtype for array in loaded] == [array.dtype for array in filters]
    more = {
        name: array if array.ndim == 1 else np.asfortranarray(np.hstack((array, array[:, :3])))
        for name, array in zip(NAMES, filters)
    }
    np.savez_compressed(path, **more, colour_edges=np.zeros(1))
    assert all(map(np.array_equal, load_filters(path, GREY), filters))


def put(name, change):
    def damage(arrays):
        arrays[name] = change(arrays[name])

    return damage


def spoil(name, value):
    def damage(arrays):
        arrays[name] = arrays[name].astype(np.float32)
        arrays[name].flat[0] = value

    return damage


def blank(arrays):
    arrays['grey_surfaces'][:, 3] = 0


EDGES = 'accepted is float32 or int8 of (50, 16 or more)'


@pytest.mark.parametrize(
    'damage, message',
    [
        (lambda arrays: arrays.pop('grey_usual'), 'it has no grey_usual, accepted is an .npz file'),
        (put('grey_edges', np.float64), f'grey_edges is float64 of shape (50, 16), {EDGES}'),
        (put('grey_edges', np.uint8), f'grey_edges is uint8 of shape (50, 16), {EDGES}'),
        (put('grey_edges', lambda a: a.astype('>f4')), 'grey_edges is >f4 of shape (50, 16)'),
        (put('grey_edges', lambda a: a.astype(object)), 'grey_edges is object of shape (50, 16)'),
        (put('grey_edges', lambda a: a[:, 1:]), f'grey_edges is int8 of shape (50, 15), {EDGES}'),
        (put('grey_edges', lambda a: a[1:]), f'grey_edges is int8 of shape (49, 16), {EDGES}'),
        (put('grey_edges', lambda a: a[0]), f'grey_edges is int8 of shape (16,), {EDGES}'),
        (
            put('grey_surfaces', lambda a: np.vstack((a, a, a))),
            'grey_surfaces is int8 of shape (54, 16), accepted is float32 or int8 of (18, 16 or',
        ),
        (
            put('grey_usual', lambda a: a.astype(np.int8)),
            'grey_usual is int8 of shape (2,), accepted is float32 of (2,)',
        ),
        (put('grey_usual', lambda a: a[:1]), 'grey_usual is float32 of shape (1,), accepted is'),
        (
            put('grey_edges', lambda a: np.tile(a, 2000)),
            f'grey_edges is larger than the {MAX_BYTES}',
        ),
        (spoil('grey_edges', np.nan), 'grey_edges is not finite, accepted is finite'),
        (spoil('grey_surfaces', np.inf), 'grey_surfaces is not finite'),
        (spoil('grey_edges', -2e6), 'grey_edges has a weight of 2e+06, accepted is at most 1e+06'),
        (spoil('grey_usual', np.nan), 'grey_usual is not finite'),
        (spoil('grey_usual', 0), 'grey_usual is 0, accepted is 1e-06 to 1e+09'),
        (spoil('grey_usual', -3), 'grey_usual is -3, accepted is 1e-06 to 1e+09'),
        (blank, 'grey_surfaces has a filter of zeros, accepted is none'),
    ],
)
def test_a_file_that_makes_no_sense_is_rejected_in_one_line(damage, message, arrays, tmp_path):
    arrays = {name: array.copy() for name, array in arrays.items()}
    damage(arrays)
    path = tmp_path / 'own.npz'
    np.savez_compressed(path, **arrays)
    assert message in rejection(path)


def rejection(path):
    with pytest.raises(EngineError) as raised:
        load_filters(path, GREY)
    text = str(raised.value)
    assert text.startswith(f'{path}: ') and '\n' not in text and 'accepted' in text
    return text


class Trap:
    """Code that a pickle would run."""

    def __reduce__(self):
        return pytest.fail, ('a pickle was opened',)


def test_no_pickle_is_opened(arrays, tmp_path):
    path = tmp_path / 'own.npz'
    trap = np.empty((50, 16), object)
    trap[0, 0] = Trap()
    np.savez(path, allow_pickle=True, **arrays | dict(grey_edges=trap))
    assert 'grey_edges is object of shape (50, 16)' in rejection(path)


def test_a_shape_that_is_only_claimed_takes_no_memory(arrays, tmp_path):
    path = tmp_path / 'own.npz'
    np.savez(path, **arrays)
    claimed = tmp_path / 'claimed.npz'
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(claimed, 'w') as target:
        for name in source.namelist():
            data = source.read(name).replace(
                b'(50, 16), }' + 16 * b' ', b'(50, 10000000000000), }    '
            )
            target.writestr(name, data)
    assert 'buffer is smaller than requested' in rejection(claimed)


def test_what_is_no_file_of_arrays_is_rejected(arrays, tmp_path):
    path = write(tmp_path / 'own.npz', arrays)
    whole_file = path.read_bytes()
    for content in (b'', b'filters', whole_file[:-40], whole_file[: len(whole_file) // 2]):
        path.write_bytes(content)
        assert 'zip' in rejection(path)
    np.save(tmp_path / 'one.npy', arrays['grey_edges'])
    assert 'not a zip file' in rejection(tmp_path / 'one.npy')
    assert 'No such file' in rejection(tmp_path / 'none.npz')
    assert 'a folder' in rejection(tmp_path)
    path.write_bytes(bytes(MAX_BYTES + 1))
    assert f'of at most {MAX_BYTES} bytes' in rejection(path)


def test_a_damaged_file_is_rejected_in_one_line(arrays, tmp_path):
    path = write(tmp_path / 'own.npz', arrays)
    content = path.read_bytes()
    random = np.random.default_rng(0)
    rejected = 0
    for place in random.integers(len(content), size=150).tolist():
        changed = bytearray(content)
        changed[place] ^= 1 << int(random.integers(8))
        path.write_bytes(changed)
        rejected += read_or_rejected(path)
    assert rejected > 100


@pytest.mark.filterwarnings('ignore')  # of NumPy, of a header as if from Python 2
def test_an_array_with_a_damaged_header_is_rejected_in_one_line(arrays, tmp_path):
    """Its checksum is right: somebody wrote it like this."""
    data = io.BytesIO()
    np.save(data, arrays['grey_edges'])
    random = np.random.default_rng(0)
    path = tmp_path / 'own.npz'
    np.savez(path, **{name: arrays[name] for name in NAMES[1:]})
    others = path.read_bytes()
    rejected = 0
    for _ in range(400):
        header = bytearray(data.getvalue())
        for place in random.integers(8, 70, size=random.integers(1, 4)):
            header[place] = random.integers(10, 127)
        path.write_bytes(others)
        with zipfile.ZipFile(path, 'a') as archive:
            archive.writestr('grey_edges.npy', header)
        rejected += read_or_rejected(path)
    assert rejected > 300


def read_or_rejected(path):
    """Whether it is rejected, in one line."""
    try:
        load_filters(path, GREY)
    except EngineError as error:
        assert str(error).startswith(f'{path}: ') and '\n' not in str(error)
        return True
    return False
