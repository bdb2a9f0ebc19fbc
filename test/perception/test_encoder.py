"""A frozen network that OpenCV runs, as what a network of ours sees."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from onnx_models import FLOAT16, SIDE, convolution, filters, model, node, write_encoder

from topspark_ros.engine import RULES, EncodedConfig, NetworkConfig
from topspark_ros.methodology.energy import ENERGY_TABLES
from topspark_ros.perception.encoder import Encoder, EncoderError
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.perception.parameters import ParameterError
from topspark_ros.perception.samples import View

FLOAT = 1e-5  # of features, of float32 in another order; measured 4e-7
WEIGHTS = filters()


@pytest.fixture
def path(tmp_path):
    return write_encoder(tmp_path / 'tiny.onnx', WEIGHTS)


@pytest.fixture
def picture():
    return np.random.default_rng(1).random(3 * SIDE**2, np.float32)


def outputs_of(picture):
    """What the convolution says, (features, rows, columns), before it is rectified."""
    normalised = picture.reshape(SIDE, SIDE, 3).astype(float)
    normalised = (normalised - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    windows = sliding_window_view(normalised, (3, 3), (0, 1))  # (rows, columns, 3, 3, 3)
    return np.einsum('yxcij,kcij->kyx', windows, WEIGHTS)


def shares(features):
    """As a network of ours takes them."""
    return np.minimum(features / (4 * features.mean()), 1)


def test_features_are_those_of_the_network_over_their_usual_strength(path, picture):
    encoder = Encoder(str(path))
    assert (encoder.side, encoder.features) == (SIDE, 6)
    features = encoder(picture)
    assert features.dtype == np.float32
    expected = shares(np.maximum(outputs_of(picture), 0).mean(axis=(1, 2)))
    np.testing.assert_allclose(features, expected, atol=FLOAT)
    assert 0 < features.min() < features.max() <= 1


def test_the_scale_of_features_does_not_matter(path, picture, tmp_path):
    louder = write_encoder(tmp_path / 'louder.onnx', 100 * WEIGHTS)
    np.testing.assert_allclose(
        Encoder(str(louder))(picture), Encoder(str(path))(picture), atol=FLOAT
    )


def test_features_at_places_count_by_their_mean_and_both_signs_are_seen(picture, tmp_path):
    bare = tmp_path / 'bare.onnx'
    bare.write_bytes(model([convolution()], {'w': WEIGHTS}))
    encoder = Encoder(str(bare))
    means = outputs_of(picture).mean(axis=(1, 2))
    assert encoder.features == 12
    expected = shares(np.maximum(np.concatenate((means, -means)), 0))
    np.testing.assert_allclose(encoder(picture), expected, atol=FLOAT)


def test_a_black_picture_has_no_features(path):
    features = Encoder(str(path))(np.zeros(3 * SIDE**2, np.float32))
    assert features.shape == (6,) and not features.any()


def test_the_number_of_pictures_may_be_open(tmp_path, path, picture):
    several = tmp_path / 'several.onnx'
    several.write_bytes(model([convolution()], {'w': WEIGHTS}, ('N', 3, SIDE, SIDE)))
    assert Encoder(str(several))(picture).any()


def test_weights_that_are_listed_as_inputs_are_none(tmp_path, picture):
    """As in files of before 2019."""
    old = tmp_path / 'old.onnx'
    old.write_bytes(model([convolution()], {'w': WEIGHTS}, inputs=('x', 'w')))
    assert Encoder(str(old))(picture).any()


def test_other_files_are_told_apart(path, tmp_path):
    copy = tmp_path / 'copy.onnx'
    copy.write_bytes(path.read_bytes())
    other = write_encoder(tmp_path / 'other.onnx', filters(seed=1))
    digest, same, different = (Encoder(str(each)).digest for each in (path, copy, other))
    assert digest == same != different


def test_multiply_accumulates_are_counted(tmp_path):
    nodes = [
        convolution('c'),
        node('Conv', ['c', 'd'], 'e', kernel_shape=[3, 3], group=6),
        node('GlobalAveragePool', ['e'], 'p'),
        node('Flatten', ['p'], 'f'),
        node('Gemm', ['f', 'm'], 'g'),
        node('MatMul', ['g', 'n'], 'y'),
    ]
    random = np.random.default_rng(0)
    shapes = dict(d=(6, 1, 3, 3), m=(6, 10), n=(10, 4))
    weights = {name: random.random(shape, np.float32) for name, shape in shapes.items()}
    path = tmp_path / 'layers.onnx'
    path.write_bytes(model(nodes, {'w': WEIGHTS} | weights))
    encoder = Encoder(str(path))
    count = 6 * 6**2 * 27 + 6 * 4**2 * 9 + 6 * 10 + 10 * 4
    assert encoder.multiply_accumulates == count
    # Horowitz 2014: two accesses of 5 pJ, 3.7 pJ to multiply, 0.9 pJ to add.
    for table in ENERGY_TABLES.values():
        assert encoder.energy_j(table) == pytest.approx(count * 14.6e-12)


# What is rejected.

CONV = [convolution()]
SHAPE = r'accepted is 1 x 3 x side x side, of 8 to 1024 a side'


@pytest.mark.parametrize(
    'data, message',
    [
        (b'', 'it has no graph, accepted is an ONNX file'),
        (b'just some text\n', 'it is no protocol buffer.*, accepted is an ONNX file'),
        (b'\xff' * 40, 'it is no protocol buffer, or only the beginning of one'),
        (model(CONV, {'w': WEIGHTS})[:300], 'it is no protocol buffer, or only the beginning'),
        (model([node('Nonsense', ['x'], 'y')], {}), 'of type "Nonsense".*, accepted is a network'),
        (model(CONV, {'w': WEIGHTS[:, :2]}), 'accepted is a network that OpenCV can run'),
        (model(CONV, {'w': WEIGHTS}, (1, 1, 8, 8)), f'its input is 1 x 1 x 8 x 8, {SHAPE}'),
        (model(CONV, {'w': WEIGHTS}, (1, 8, 8, 3)), f'its input is 1 x 8 x 8 x 3, {SHAPE}'),
        (model(CONV, {'w': WEIGHTS}, (2, 3, 8, 8)), f'its input is 2 x 3 x 8 x 8, {SHAPE}'),
        (model(CONV, {'w': WEIGHTS}, (1, 3, 'h', 'w')), r'its input is 1 x 3 x \? x \?, accepted'),
        (model(CONV, {'w': WEIGHTS}, (1, 3, 8, 9)), 'its input is 1 x 3 x 8 x 9, accepted'),
        (model(CONV, {'w': WEIGHTS}, (1, 3, 4, 4)), 'its input is 1 x 3 x 4 x 4, accepted'),
        (model(CONV, {'w': WEIGHTS}, (192,)), 'its input is 192, accepted'),
        (
            model(CONV, {'w': WEIGHTS}, element=FLOAT16),
            'its input is of ONNX type 10, accepted is 1: float32',
        ),
        (model(CONV, {'w': WEIGHTS}, inputs=('x', 'v')), 'it has 2 inputs, accepted is one'),
        (
            model([*CONV, node('Relu', ['y'], 'z')], {'w': WEIGHTS}, outputs=('y', 'z')),
            'it has 2 outputs, accepted is one',
        ),
        (model(CONV, {'w': WEIGHTS}, external=True), 'its weights are in another file, accepted'),
        (
            model(
                [convolution('c'), node('Reshape', ['c', 's'], 'y')],
                {'w': WEIGHTS, 's': np.array([1, 6, 36])},
            ),
            'its output is 1 x 6 x 36, accepted is 1 x features, or 1 x features x rows x columns',
        ),
        (model(CONV, {'w': np.inf * WEIGHTS}), 'its features are not finite, accepted is'),
        (
            model(CONV, {'w': filters(2049)}),
            'it has 2049 features, some of them below 0, accepted is at most 2048',
        ),
    ],
    ids=lambda value: 'file' if isinstance(value, bytes) else value,
)
def test_other_files_are_rejected_in_one_line(tmp_path, data, message):
    path = tmp_path / 'bad.onnx'
    path.write_bytes(data)
    with pytest.raises(EncoderError, match=message) as raised:
        Encoder(str(path))
    assert str(raised.value).startswith(f'encoder: {path}: ') and '\n' not in str(raised.value)


def test_a_file_that_opencv_crashes_on_is_rejected(tmp_path):
    path = tmp_path / 'damaged.onnx'
    nowhere = node('Conv', ['x', 'nowhere'], 'y', kernel_shape=[3, 3])
    path.write_bytes(model([nowhere], {'w': WEIGHTS}))
    with pytest.raises(EncoderError, match='OpenCV crashes on it, accepted is a network'):
        Encoder(str(path))


def test_what_is_no_file_is_rejected(tmp_path):
    with pytest.raises(EncoderError, match='missing.onnx: No such file or directory, accepted is'):
        Encoder(str(tmp_path / 'missing.onnx'))
    with pytest.raises(EncoderError, match='a folder, accepted is an ONNX file'):
        Encoder(str(tmp_path))


# The learner's parameters.


@pytest.fixture
def parameters(path):
    return SnnLearnerParameters(rule='discriminant', encoder=str(path))


def test_network_and_view_follow_from_the_file(parameters, path):
    assert SnnLearnerParameters().read_encoder() is None
    encoder = parameters.read_encoder()
    config = EncodedConfig(6, encoder.digest)
    assert parameters.network_config(encoder) == parameters.network_config() == config
    assert parameters.view(encoder) == View(SIDE, colour=True, encoder=encoder)
    assert replace(parameters, picture_view='frame').view(encoder).whole


@pytest.mark.parametrize('rule', RULES)
def test_any_rule_learns_on_features_of_the_file(parameters, rule):
    layer = replace(parameters, rule=rule, neurons=70, max_input_rate=20.0, seed=5)
    encoder = layer.read_encoder()
    expected = NetworkConfig(6, 70, rule, 20.0, 5, encoder=encoder.digest)
    assert layer.network_config(encoder) == layer.network_config() == expected
    assert layer.view(encoder) == View(SIDE, colour=True, encoder=encoder)


@pytest.mark.parametrize(
    'values, message',
    [
        (dict(input='events'), "input: 'events'; accepted with an encoder: image, compressed"),
        (dict(picture_colour=False), 'picture_colour: False; accepted with an encoder: True'),
    ],
)
def test_what_an_encoder_does_not_go_with_is_rejected(parameters, values, message):
    with pytest.raises(ParameterError, match=message):
        replace(parameters, **values).read_encoder()
