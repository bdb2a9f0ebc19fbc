"""A learner with spiking features and a discriminant, as a process."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

from rig import Camera, image, msg

import cv2
import numpy as np
import pytest
from filter_files import write_filters
from lifecycle_msgs.msg import Transition
from onnx_models import filters, write_encoder
from std_srvs.srv import Trigger

from topspark_ros.engine import load_checkpoint
from topspark_ros.methodology.energy import ENERGY_TABLES
from topspark_ros.nodes import qos
from topspark_ros.perception.encoder import Encoder

LEARNER = 'snn_learner'
SETTINGS = dict(rule='discriminant', status_period=0.05, queue_depth=20, label_wait=1.0)
# Blue, green, red; of one brightness, so that colour alone tells them apart.
COLOURS = {'plum': (150, 60, 150), 'leaf': (60, 130, 60), 'brick': (60, 85, 150)}


class Discs(Camera):
    """Discs of one shape in three colours, somewhere in the frame."""

    def __init__(self, rig):
        super().__init__(rig)
        self._names = itertools.cycle(COLOURS)
        self._random = np.random.default_rng(0)

    def next_digit(self):
        name = next(self._names)
        frame = np.full((240, 320, 3), 190, np.uint8)
        centre = self._random.integers((90, 80), (230, 160)).tolist()
        cv2.circle(frame, centre, int(self._random.integers(35, 60)), COLOURS[name], cv2.FILLED)
        noise = self._random.integers(-3, 4, frame.shape)
        return (frame + noise).astype(np.uint8), name


def start(rig, **parameters):
    process = rig.start(LEARNER, **SETTINGS | parameters)
    rig.wait_until_active(LEARNER)
    return process


@pytest.fixture(scope='module')
def taught(shared_rig, tmp_path_factory):
    """A learner that has seen each colour a few times."""
    rig = shared_rig
    checkpoint = tmp_path_factory.mktemp('weights') / 'discs.ckpt'
    process = start(rig, checkpoint_file=str(checkpoint))
    camera = Discs(rig)
    camera.meet(lambda: image(camera.next_digit()[0]))
    # The first labels are lost, while DDS has not told the learner of who sends them.
    rig.wait_for(lambda: camera.teach(3) == 3, 'all colours are known')
    camera.teach(9)
    return SimpleNamespace(rig=rig, process=process, camera=camera, checkpoint=checkpoint)


def shown(camera: Discs) -> tuple[msg.Classification, str]:
    frame, name = camera.next_digit()
    return camera.show(image(frame)), name


def test_it_tells_objects_apart_by_their_colour(taught):
    assert taught.camera.teach(15) == 15
    result, name = shown(taught.camera)
    assert result.class_id == name
    assert result.score > 0.5
    assert sorted(result.class_ids) == sorted(COLOURS)


def test_an_even_frame_is_empty(taught):
    result = taught.camera.show(image(np.full((240, 320, 3), 190, np.uint8)))
    assert result.class_id == ''


def test_weights_survive_a_restart(taught):
    rig = taught.rig
    assert rig.call(Trigger, f'{LEARNER}/save_weights', Trigger.Request()).success
    taught.process.stop()
    taught.process = start(rig, checkpoint_file=str(taught.checkpoint))
    assert '3 neurons, 3 classes' in taught.process.log
    camera = taught.camera
    camera.results.clear()
    camera.meet(lambda: image(camera.next_digit()[0]))
    for _ in COLOURS:
        result, name = shown(camera)
        assert result.class_id == name


def test_weights_of_another_rule_are_refused(taught):
    rig = taught.rig
    assert rig.call(Trigger, f'{LEARNER}/save_weights', Trigger.Request()).success
    taught.process.stop()
    process = rig.start(
        LEARNER, rule='recruiting', checkpoint_file=str(taught.checkpoint), autostart=False
    )
    assert not rig.transit(LEARNER, Transition.TRANSITION_CONFIGURE)
    assert 'it holds a discriminant, accepted is a single layer' in process.log
    process.stop()


def test_polarities_are_refused_by_name(shared_rig):
    process = shared_rig.start(
        LEARNER, rule='discriminant', input='events', event_by_polarity=True, autostart=False
    )
    assert not shared_rig.transit(LEARNER, Transition.TRANSITION_CONFIGURE)
    assert 'event_by_polarity: True; accepted with the rule discriminant: False' in process.log
    process.stop()


# What it does not know.


def test_it_asks_about_what_it_was_never_taught_and_learns_a_late_answer(shared_rig, tmp_path):
    rig = shared_rig
    weights = str(tmp_path / 'asking.ckpt')
    process = start(rig, questions_per_hour=3600, label_wait=0.2, checkpoint_file=weights)
    questions = rig.collect(msg.Question, f'{LEARNER}/question', qos.QUESTION)
    camera = Discs(rig)
    camera.meet(lambda: image(camera.next_digit()[0]))
    first = rig.wait_for(lambda: questions, 'the first frame is asked about')[0]
    assert (first.class_ids, first.unknown) == ([], True) and np.isnan(first.confidence)
    rig.wait_for(lambda: camera.teach(3) == 3, 'all colours are known')
    camera.teach(60)
    result, name = shown(camera)
    assert result.class_id == name and result.confidence > 0.9 and not result.unknown

    def orange():
        frame = np.full((240, 320, 3), 190, np.uint8)
        cv2.rectangle(frame, (100, 60), (220, 180), (20, 110, 240), cv2.FILLED)
        return camera.show(image(frame))

    questions.clear()
    strange = orange()
    assert strange.unknown and strange.confidence < result.confidence - 0.05
    asked = rig.wait_for(
        lambda: next((q for q in questions if q.header.stamp == strange.header.stamp), None),
        'the strange object is asked about',
    )
    assert asked.header.frame_id == 'eye'
    assert (asked.image.width, asked.image.height, asked.image.encoding) == (48, 48, 'rgb8')
    red, green, blue = np.array(asked.image.data).reshape(48, 48, 3)[24, 24].tolist()
    assert red > green > blue + 60
    assert asked.class_ids[0] == strange.class_id and list(asked.scores)[0] == strange.score
    assert asked.confidence == strange.confidence

    statuses = rig.collect(msg.LearnerStatus, f'{LEARNER}/status')
    for _ in range(5):  # seconds of stamps, far more than label_wait
        shown(camera)
    camera.label(strange.header.stamp, 'box')
    rig.wait_for(lambda: orange().class_id == 'box', 'the late answer is learned')
    status = rig.latest(statuses, lambda status: status.answers)
    assert status.questions >= status.answers

    # What it knows of itself is kept.
    process.stop()
    process = start(rig, checkpoint_file=weights)
    camera.results.clear()
    camera.meet(lambda: image(camera.next_digit()[0]))
    result, name = shown(camera)
    assert result.class_id == name and result.confidence > 0.8
    process.stop()


# Filters of one's own.


def test_it_sees_by_the_filters_of_a_file_and_keeps_them(shared_rig, tmp_path):
    rig = shared_rig
    path, weights = tmp_path / 'own.npz', tmp_path / 'own.ckpt'
    own = write_filters(path)
    settings = dict(filters_file=str(path), checkpoint_file=str(weights))
    process = start(rig, **settings)
    camera = Discs(rig)
    camera.meet(lambda: image(camera.next_digit()[0]))
    rig.wait_for(lambda: camera.teach(3) == 3, 'all colours are known')
    assert camera.teach(9) == 9
    result, name = shown(camera)
    assert result.class_id == name

    def saved():
        assert rig.call(Trigger, f'{LEARNER}/save_weights', Trigger.Request()).success
        network = load_checkpoint(weights).network
        edges = network.state()['edge_filters']
        assert edges.dtype == np.int8 and np.array_equal(edges, own['colour_edges'])
        return network.classes

    assert saved() == 3
    assert rig.call(Trigger, f'{LEARNER}/reset_weights', Trigger.Request()).success
    assert saved() == 0
    process.stop()

    write_filters(path, colour_usual=np.ones(2, np.float32))
    process = start(rig, **settings)  # the weights bring their own
    assert ', and their own filters, not those of filters_file\n' in process.log
    assert saved() == 0
    process.stop()

    write_filters(path, colour_usual=np.zeros(2, np.float32))
    for other, complaint in (
        ({}, f'filters_file: {path}: colour_usual is 0, accepted is'),
        (dict(filters_file=str(tmp_path / 'none.npz')), 'none.npz: No such file or directory'),
        (dict(rule='recruiting'), f"filters_file: '{path}'; accepted without spiking features"),
    ):
        process = rig.start(LEARNER, autostart=False, **SETTINGS | settings | other)
        assert not rig.transit(LEARNER, Transition.TRANSITION_CONFIGURE)
        assert complaint in process.log and 'Traceback' not in process.log
        process.stop()


# Other rules, and other encoders.


def test_a_layer_learns_on_spiking_features(shared_rig, tmp_path):
    rig = shared_rig
    features = dict(rule='recruiting', encoder='features', max_input_rate=18.0)
    weights = str(tmp_path / 'layer.ckpt')
    process = start(rig, **features, checkpoint_file=weights)
    camera = Discs(rig)
    camera.meet(lambda: image(camera.next_digit()[0]))
    rig.wait_for(lambda: camera.teach(3) == 3, 'all colours are known')
    camera.teach(15)
    result, name = shown(camera)
    assert result.class_id == name
    assert rig.call(Trigger, f'{LEARNER}/save_weights', Trigger.Request()).success
    process.stop()

    for settings, complaint in (
        (features | dict(encoder=''), 'its encoder is FeaturesConfig(side=48, channels=3,'),
        (features | dict(rule='discriminant'), "encoder: 'features'; accepted with the rule"),
    ):
        parameters = SETTINGS | dict(checkpoint_file=weights) | settings
        process = rig.start(LEARNER, autostart=False, **parameters)
        assert not rig.transit(LEARNER, Transition.TRANSITION_CONFIGURE)
        assert complaint in process.log
        process.stop()

    process = start(rig, **features, checkpoint_file=weights)
    assert ' neurons, 3 classes' in process.log
    process.stop()


def test_it_learns_on_the_features_of_an_encoder(shared_rig, tmp_path):
    rig = shared_rig
    path = write_encoder(tmp_path / 'tiny.onnx', filters(32), 64)
    weights = str(tmp_path / 'encoded.ckpt')
    process = start(rig, encoder=str(path), checkpoint_file=weights)
    camera = Discs(rig)
    camera.meet(lambda: image(camera.next_digit()[0]))
    rig.wait_for(lambda: camera.teach(3) == 3, 'all colours are known')
    camera.teach(9)
    assert camera.teach(15) == 15
    result, name = shown(camera)
    assert result.class_id == name
    encoder = Encoder(str(path))
    encoder_j = encoder.energy_j(ENERGY_TABLES['loihi'])
    assert encoder_j < result.energy < 1.2 * encoder_j
    assert camera.show(image(np.full((240, 320, 3), 190, np.uint8))).energy == 0
    assert rig.call(Trigger, f'{LEARNER}/save_weights', Trigger.Request()).success
    process.stop()

    other = write_encoder(tmp_path / 'other.onnx', filters(32, seed=1), 64)
    for settings, complaint in (
        (dict(encoder=str(other)), f'its encoder is {encoder.digest}, accepted is'),
        (dict(encoder=str(tmp_path / 'none.onnx')), 'none.onnx: No such file or directory'),
        (dict(encoder=weights), f'encoder: {weights}: it is no protocol buffer'),
        (dict(encoder=str(path), input='events'), "input: 'events'; accepted with an encoder"),
    ):
        parameters = SETTINGS | dict(checkpoint_file=weights) | settings
        process = rig.start(LEARNER, autostart=False, **parameters)
        assert not rig.transit(LEARNER, Transition.TRANSITION_CONFIGURE)
        assert complaint in process.log
        process.stop()
