"""What the network is shown of a camera's frame."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from filter_files import write_filters
from onnx_models import filters, write_encoder

from topspark_ros.engine import (
    RULES,
    DiscriminantConfig,
    EngineError,
    FeaturesConfig,
    NetworkConfig,
)
from topspark_ros.perception.encoder import Encoder
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.perception.parameters import ParameterError
from topspark_ros.perception.samples import ImageSamples, View
from topspark_ros.streams.images import ImageError, RawImage

RED, WALL = (200, 40, 40), (150, 150, 150)


def frame(rgb, second=1):
    """A sensor_msgs/Image."""
    return SimpleNamespace(
        header=SimpleNamespace(stamp=SimpleNamespace(sec=second, nanosec=0)),
        encoding='bgr8',
        height=rgb.shape[0],
        width=rgb.shape[1],
        step=3 * rgb.shape[1],
        is_bigendian=0,
        data=rgb[..., ::-1].tobytes(),
    )


@pytest.fixture
def mug():
    """A red block left of the middle, on a grey wall."""
    rgb = np.full((120, 160, 3), WALL, np.uint8)
    rgb[40:80, 30:70] = RED
    return rgb


def test_an_object_in_colour_fills_the_picture(mug):
    sample = ImageSamples(View(32, colour=True)).take(frame(mug))[0].sample
    assert sample.dtype == np.float32
    shown = sample.reshape(32, 32, 3)
    assert np.allclose(shown[8:24, 8:24], np.array(RED) / 255, atol=0.01)
    assert np.allclose(shown[[0, -1]], np.array(WALL) / 255, atol=0.01)


def test_the_whole_frame_is_its_central_square(mug):
    shown = (
        ImageSamples(View(32, colour=True, whole=True))
        .take(frame(mug))[0]
        .sample.reshape(32, 32, 3)
    )
    # The square leaves out 20 pixels on either side; four of its pixels are one.
    assert np.allclose(shown[12:18, 4:11], np.array(RED) / 255, atol=0.01)
    assert np.allclose(shown[:, 16:], np.array(WALL) / 255, atol=0.01)


def test_without_colour_the_object_is_bright_on_dark(mug):
    shown = ImageSamples(View(32)).take(frame(mug))[0].sample.reshape(32, 32)
    assert shown[16, 16] > 0.9
    assert not shown[[0, -1]].any()


@pytest.mark.parametrize('whole', [False, True])
def test_an_even_frame_is_empty(whole):
    even = np.full((120, 160, 3), WALL, np.uint8)
    sample = ImageSamples(View(32, colour=True, whole=whole)).take(frame(even))[0].sample
    assert sample.shape == (3 * 32 * 32,)
    assert not sample.any()


@pytest.mark.parametrize('view', [View(32), View(32, colour=True)])
def test_of_several_objects_each_is_seen_and_those_alone(mug, view):
    alone = view.look(RawImage.of(mug))[0]
    mug[20:40, 120:140] = 60
    first, second = view._replace(max_objects=4).look(RawImage.of(mug))
    assert (first.square.x, first.square.y) == pytest.approx((49.5, 59.5), abs=1)
    assert (second.square.x, second.square.y) == pytest.approx((129.5, 29.5), abs=1)
    assert np.corrcoef(first.sample, alone.sample)[0, 1] > 0.97
    assert len(view.look(RawImage.of(mug))) == 1


@pytest.mark.parametrize(
    'parameters, told',
    [
        ({'picture_view': 'frame'}, "max_objects: 2; accepted with picture_view: 'frame': 1"),
        (
            {'picture_view': 'frame', 'input': 'events'},
            "max_objects: 2; accepted with picture_view: 'frame': 1",
        ),
        (
            {'event_centring': False, 'input': 'events'},
            'max_objects: 2; accepted without event_centring: 1',
        ),
    ],
)
def test_several_objects_in_a_view_of_all_are_rejected(parameters, told):
    for most in 1, 2:
        settings = SnnLearnerParameters(**parameters, max_objects=most)
        look = settings.event_settings if settings.input == 'events' else settings.view
        if most == 1:
            look()
        else:
            with pytest.raises(ParameterError, match=f'^{told}$'):
                look()


def test_compressed_frames_show_the_same(mug):
    message = frame(mug)
    compressed = SimpleNamespace(
        header=message.header,
        format='png',
        data=cv2.imencode('.png', mug[..., ::-1])[1].tobytes(),
    )
    view = View(32, colour=True)
    assert np.array_equal(
        ImageSamples(view).take(compressed)[0].sample, ImageSamples(view).take(message)[0].sample
    )


@pytest.mark.parametrize('view', [View(32), View(32, colour=True)])
@pytest.mark.parametrize('scale', [1, 8])
def test_the_square_of_a_sight_is_where_the_object_is(mug, view, scale):
    large = cv2.resize(mug, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    for message in frame(large), compressed(large):
        x, y, extent = ImageSamples(view).take(message)[0].square
        assert (x, y) == pytest.approx((49.5 * scale, 59.5 * scale), abs=1.5 * scale)
        assert extent == pytest.approx(40 * scale * 28 / 20, rel=0.1)


def test_the_square_of_the_whole_frame_is_the_central_one(mug):
    view = View(8, colour=True, whole=True)
    assert ImageSamples(view).take(frame(mug))[0].square == (79.5, 59.5, 120.0)
    large = cv2.resize(mug, (1280, 960))
    square = ImageSamples(view).take(compressed(large))[0].square
    assert square == pytest.approx((639.5, 479.5, 960.0))


@pytest.mark.parametrize('view', [View(32), View(32, colour=True)])
def test_an_even_frame_has_no_square(view):
    even = np.full((120, 160, 3), WALL, np.uint8)
    assert ImageSamples(view).take(frame(even))[0].square is None


def compressed(rgb, second=1):
    """A sensor_msgs/CompressedImage, a JPEG file."""
    message = frame(rgb, second)
    data = cv2.imencode('.jpg', rgb[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 100))[1].tobytes()
    return SimpleNamespace(header=message.header, format='jpeg', data=data)


@pytest.mark.parametrize('message_of', [frame, compressed])
@pytest.mark.parametrize('whole', [False, True])
def test_an_encoder_sees_the_same_picture_in_full(mug, tmp_path, message_of, whole):
    """A large JPEG file is not read at the size that suffices to find an object."""
    large = cv2.resize(mug, (960, 720), interpolation=cv2.INTER_NEAREST)
    large[::2] //= 2  # that is only seen in full
    encoder = Encoder(str(write_encoder(tmp_path / 'tiny.onnx', filters(), 240)))
    view = View(240, True, whole)
    expected = encoder(ImageSamples(view).take(frame(large))[0].sample)
    features = ImageSamples(view._replace(encoder=encoder)).take(message_of(large))[0].sample
    assert features.shape == (6,) and features.any()
    np.testing.assert_allclose(features, expected, atol=0.02)


def test_an_even_frame_has_no_features(tmp_path):
    encoder = Encoder(str(write_encoder(tmp_path / 'tiny.onnx', filters())))
    even = np.full((120, 160, 3), WALL, np.uint8)
    assert not ImageSamples(View(8, True, True, encoder)).take(frame(even))[0].sample.any()


@pytest.mark.parametrize('colour', [True, False])
def test_people_are_shown_what_the_network_sees(mug, colour):
    samples = ImageSamples(View(32, colour))
    (sight,) = samples.take(frame(mug))
    seen, shown = sight.sample, sight.picture_rgb()
    assert shown.shape == (32, 32, 3) and shown.dtype == np.uint8
    if colour:
        np.testing.assert_allclose(shown.ravel() / 255, seen, atol=0.003)
    else:
        assert shown.max() == 255 and (shown[..., 0] == shown[..., 2]).all()
        np.testing.assert_allclose(shown[..., 0].ravel() / 255, seen / seen.max(), atol=0.003)


def test_a_frame_that_is_sent_twice_is_taken_once(mug):
    samples = ImageSamples(View(32, colour=True))
    samples.take(frame(mug))
    with pytest.raises(ImageError, match='the same as of the frame before'):
        samples.take(frame(mug))
    samples.take(frame(mug, second=2))


def test_the_parameters_of_the_discriminant():
    parameters = SnnLearnerParameters(picture_side=32)
    assert parameters.network_config() == DiscriminantConfig(32, 3)
    assert parameters.view() == View(32, colour=True)
    grey = SnnLearnerParameters(picture_colour=False)
    assert grey.network_config() == DiscriminantConfig(48, 1)
    assert grey.view() == View(48)
    assert SnnLearnerParameters(rule='recruiting').view() == View(28)
    events = SnnLearnerParameters(input='events')
    assert events.network_config() == DiscriminantConfig(32, 1, clutter=0.0)
    assert events.event_settings().size == 32 and events.event_settings().as_picture


@pytest.mark.parametrize('rule', RULES)
def test_the_parameters_of_a_layer_on_features(rule):
    """It sees what the discriminant does."""
    parameters = SnnLearnerParameters(
        rule=rule, encoder='features', neurons=70, picture_side=32, picture_view='frame'
    )
    features = FeaturesConfig(32, 3)
    assert parameters.network_config() == NetworkConfig(3072, 70, rule, encoder=features)
    assert parameters.view() == View(32, colour=True, whole=True)
    assert parameters.read_encoder() is None
    grey = SnnLearnerParameters(rule=rule, encoder='features', picture_colour=False)
    assert grey.network_config().encoder == FeaturesConfig(48, 1)
    assert grey.view() == View(48)
    events = SnnLearnerParameters(rule=rule, encoder='features', input='events')
    assert events.network_config().encoder == FeaturesConfig(32, 1)
    assert events.event_settings().size == 32 and events.event_settings().as_picture


@pytest.mark.parametrize(
    'parameters, kind',
    [
        ({}, 'colour'),
        (dict(picture_colour=False), 'grey'),
        (dict(input='events'), 'grey'),
        (dict(rule='pairwise', encoder='features'), 'colour'),
        (dict(rule='recruiting', encoder='features', input='events'), 'grey'),
    ],
)
def test_filters_of_a_file_are_read_for_what_is_seen(parameters, kind, tmp_path):
    own = write_filters(tmp_path / 'own.npz')
    assert SnnLearnerParameters(**parameters).read_filters() is None
    read = SnnLearnerParameters(**parameters, filters_file=str(tmp_path / 'own.npz')).read_filters()
    expected = [own[f'{kind}_{name}'] for name in ('edges', 'surfaces', 'usual')]
    assert all(map(np.array_equal, read, expected))


@pytest.mark.parametrize(
    'parameters', [dict(rule='recruiting'), dict(encoder='a.onnx'), dict(rule='pairwise')]
)
def test_filters_of_a_file_are_rejected_where_nothing_sees_by_them(parameters):
    with pytest.raises(ParameterError, match="^filters_file: 'own.npz'; accepted without spiking"):
        SnnLearnerParameters(**parameters, filters_file='own.npz').read_filters()


@pytest.mark.parametrize(
    'parameters, message',
    [
        (
            dict(encoder='features'),
            "encoder: 'features'; accepted with the rule discriminant, which has",
        ),
        (
            dict(input='events', event_by_polarity=True, rule='pairwise', encoder='features'),
            'event_by_polarity: True; accepted with the encoder features: False',
        ),
        (
            dict(input='events', event_by_polarity=True),
            'event_by_polarity: True; accepted with the rule discriminant: False',
        ),
        (dict(picture_view='frame', picture_colour=False), "picture_view: 'frame'; accepted"),
        (dict(picture_side=33), 'side is 33, accepted is one of 28, 30'),
    ],
)
def test_what_does_not_fit_together_is_rejected(parameters, message):
    with pytest.raises((ParameterError, EngineError), match=message):
        SnnLearnerParameters(**parameters).network_config()
