"""Results as vision_msgs and as a picture: what they say of a frame, and who they are made for."""

from __future__ import annotations

from every_node import alive
from rig import Camera, image, msg

import cv2
import numpy as np
import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from several_pictures import HEIGHT, SHAPES, WIDTH, picture
from vision_msgs.msg import Classification, Detection2DArray, LabelInfo

from topspark_ros.nodes import qos
from topspark_ros.nodes.snn_learner import SnnLearner
from topspark_ros.nodes.sources import Frame
from topspark_ros.nodes.vision import MAX_HYPOTHESES
from topspark_ros.perception import online
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.streams import cdr
from topspark_ros.streams.annotation import COLOUR
from topspark_ros.streams.colours import Square
from topspark_ros.streams.images import RawImage

LEARNER = 'snn_learner'
FAST = dict(status_period=0.05, queue_depth=20, label_wait=1.0)
EVEN = np.full((240, 320, 3), 180, np.uint8)


@pytest.fixture(scope='module')
def taught(shared_rig):
    """A camera before a learner that knows some digits."""
    rig = shared_rig
    rig.start(LEARNER, **FAST)
    rig.wait_until_active(LEARNER)
    camera = Camera(rig)
    camera.meet(lambda: image(camera.next_digit()[0]))
    camera.teach(40)
    rig.wait_for(lambda: camera.show(image(camera.next_digit()[0])).class_id, 'a known digit')
    return camera


def of_frame(rig, messages, stamp):
    return rig.wait_for(
        lambda: next((each for each in messages if each.header.stamp == stamp), None),
        f'a message for {stamp}',
    )


def subscribed(rig, kind, topic, profile=qos.RESULT) -> list:
    """What comes, from the next frame on."""
    messages = rig.collect(kind, topic, profile)
    rig.be_known(f'{rig.namespace}/{LEARNER}')
    return messages


def test_an_object_is_detected_where_the_network_looks(shared_rig, taught):
    detections = subscribed(shared_rig, Detection2DArray, 'vision/detections')
    frame, _ = taught.next_digit()
    result = taught.show(image(frame))
    message = of_frame(shared_rig, detections, result.header.stamp)
    (detection,) = message.detections
    assert message.header == detection.header == result.header

    box = detection.bbox
    seen = SnnLearnerParameters().view().look(RawImage.of(frame, 'bgr'))[0].square
    assert (box.center.position.x, box.center.position.y) == (seen.x, seen.y)
    assert box.size_x == box.size_y == seen.extent
    best, *others = detection.results
    assert best.hypothesis.class_id == result.class_id
    assert best.hypothesis.score == pytest.approx(result.score)
    scores = [each.hypothesis.score for each in (best, *others)]
    assert scores == sorted(scores, reverse=True)
    assert {each.hypothesis.class_id for each in detection.results} == set(result.class_ids)


def test_a_classification_has_the_same_hypotheses(shared_rig, taught):
    classifications = subscribed(shared_rig, Classification, 'vision/classification')
    detections = subscribed(shared_rig, Detection2DArray, 'vision/detections')
    result = taught.show(image(taught.next_digit()[0]))
    classification = of_frame(shared_rig, classifications, result.header.stamp)
    (detection,) = of_frame(shared_rig, detections, result.header.stamp).detections
    assert classification.header == result.header
    assert classification.results == [each.hypothesis for each in detection.results]
    assert len(classification.results) == len(result.class_ids)


def test_nothing_is_detected_in_an_even_frame(shared_rig, taught):
    classifications = subscribed(shared_rig, Classification, 'vision/classification')
    detections = subscribed(shared_rig, Detection2DArray, 'vision/detections')
    result = taught.show(image(EVEN))
    assert result.empty
    message = of_frame(shared_rig, detections, result.header.stamp)
    assert message.header == result.header and not message.detections
    assert not of_frame(shared_rig, classifications, result.header.stamp).results


def test_every_object_is_detected_and_the_most_salient_one_is_taught(rig):
    rig.start(LEARNER, **FAST, max_objects=4)
    rig.wait_until_active(LEARNER)
    camera, random = Camera(rig), np.random.default_rng(0)
    detections = subscribed(rig, Detection2DArray, 'vision/detections')
    pictures = subscribed(rig, Image, 'vision/annotated_image', qos.sensor(10))
    statuses = rig.collect(msg.LearnerStatus, f'{LEARNER}/status')
    camera.meet(lambda: image(picture('disc', (), random)))
    for number in range(24):
        shape = SHAPES[number % 3]
        camera.label(camera.send(image(picture(shape, (), random))), shape)
    rig.latest(statuses, lambda status: status.frames_learned >= 24)

    frame = picture('disc', ('box', 'star'), random)
    result = camera.show(image(frame))
    found = of_frame(rig, detections, result.header.stamp).detections
    sights = SnnLearnerParameters(max_objects=4).view().look(RawImage.of(frame, 'bgr'))
    places = [(each.bbox.center.position.x, each.bbox.center.position.y) for each in found]
    assert places == [(sight.square.x, sight.square.y) for sight in sights]
    assert [each.results[0].hypothesis.class_id for each in found] == ['disc', *by_place(found[1:])]
    assert result.class_id == 'disc' and result.further_objects == 2

    # A label is of the most salient one.
    known = rig.latest(statuses).frames_learned
    camera.label(camera.send(image(picture('star', ('box', 'box'), random))), 'star')
    rig.latest(statuses, lambda status: status.frames_learned > known)
    last = camera.show(image(frame))
    assert last.class_id == 'disc' and set(last.class_ids) == set(SHAPES)
    one, other = (each.energy for each in (camera.show(image(picture('disc', (), random))), last))
    assert other > 2 * one  # as much for each, about
    rig.latest(statuses, lambda status: status.further_objects == 6)

    stamps = []

    def one_comes():
        """Best effort: one may be lost."""
        stamps.append(camera.show(image(frame)).header.stamp)
        return next((each for each in pictures if each.header.stamp in stamps), None)

    shown = np.frombuffer(rig.wait_for(one_comes).data, np.uint8).reshape(480, 640, 3)
    for sight in sights:
        left, top, _ = sight.square.scaled(640 / WIDTH).whole_pixels
        assert tuple(shown[max(top, 0) + 60, left]) == COLOUR


def by_place(detections: list) -> list[str]:
    """A box above, a star below."""
    return ['box' if each.bbox.center.position.y < HEIGHT / 2 else 'star' for each in detections]


def test_who_comes_late_is_told_the_classes_and_their_numbers(shared_rig, taught):
    infos = subscribed(shared_rig, LabelInfo, 'vision/label_info', qos.STATE)
    result = taught.show(image(taught.next_digit()[0]))
    info = shared_rig.latest(infos)
    assert [(each.class_id, each.class_name) for each in info.class_map] == list(
        enumerate(result.class_ids)
    )
    taught.label(taught.send(image(taught.next_digit()[0])), 'something new')
    shared_rig.latest(infos, lambda info: info.class_map[-1].class_name == 'something new')
    assert infos[-1].class_map[:-1] == info.class_map


def test_a_picture_shows_the_frame_and_the_box(shared_rig, taught):
    pictures = subscribed(shared_rig, Image, 'vision/annotated_image', qos.sensor(10))
    frame, _ = taught.next_digit()

    def shown(frame):
        """The picture of a frame. Best effort: one may be lost."""
        stamps = []

        def one_comes():
            stamps.append(taught.show(image(frame)).header.stamp)
            return next((each for each in pictures if each.header.stamp in stamps), None)

        return shared_rig.wait_for(one_comes)

    picture = shown(frame)
    assert (picture.height, picture.width, picture.encoding) == (480, 640, 'rgb8')
    pixels = np.frombuffer(picture.data, np.uint8).reshape(480, 640, 3)
    drawn = np.argwhere((pixels == COLOUR).all(axis=2))
    square = SnnLearnerParameters().view().look(RawImage.of(frame, 'bgr'))[0].square
    assert np.ptp(drawn[:, 1]) == pytest.approx(2 * square.extent, abs=4)
    plain = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    assert np.array_equal(pixels[1::2, 1::2][:, :4], plain[:, :4])  # beside the box

    picture = shown(EVEN)
    assert (np.frombuffer(picture.data, np.uint8) == 180).all()


def known(class_names: tuple[str, ...]) -> online.Classification:
    scores = np.linspace(0, 1, len(class_names), dtype=np.float32)
    return online.Classification(
        class_names[-1], 1.0, 0.99, False, class_names, scores, 4, False, 1e-6, label=None
    )


class Asked:
    """An image that counts how often somebody wants to see it."""

    count = 0

    def rgb(self) -> np.ndarray:
        self.count += 1
        return EVEN


def test_what_nobody_subscribes_to_is_not_made(rig):
    shown = Asked()
    frame = Frame(
        (np.ones(4, np.float32),),
        cdr.Header(cdr.Time(1, 0), 'eye'),
        1,
        1,
        0.0,
        (Square(100.0, 100.0, 50.0),),
        shown.rgb,
        shown.rgb,
    )
    with alive(SnnLearner, {}) as node:
        assert node.trigger_configure() == node.trigger_activate()
        node._vision.publish(known(('cup',)), frame)
        assert shown.count == 0
        topic = node.resolve_topic_name('vision/annotated_image')
        pictures = rig.collect(Image, topic, qos.sensor(1))
        rig.wait_for(lambda: node.count_subscribers(topic))

        def one_comes():
            node._vision.publish(known(('cup',)), frame)
            return pictures

        rig.wait_for(one_comes)
        assert shown.count > 0


def test_hypotheses_are_the_likeliest_and_not_all(rig):
    names = tuple(f'kind {number}' for number in range(2 * MAX_HYPOTHESES))
    frame = Frame((), cdr.Header(cdr.Time(1, 0), 'eye'), 1, 1, 0.0, (None,), None, None)
    with alive(SnnLearner, {}) as node:
        assert node.trigger_configure() == node.trigger_activate()
        topic = node.resolve_topic_name('vision/classification')
        classifications = rig.collect(Classification, topic)

        def one_comes():
            node._vision.publish(known(names), frame)
            return classifications

        rig.wait_for(one_comes)
        classes = [each.class_id for each in classifications[0].results]
        assert classes == list(names[: -MAX_HYPOTHESES - 1 : -1])

        unknown = known(names)
        unknown = online.Classification(
            None,
            np.nan,
            np.nan,
            True,
            names,
            np.zeros_like(unknown.scores),
            4,
            False,
            1e-6,
            label=None,
        )
        node._vision.publish(unknown, frame)
        rig.latest(classifications, lambda message: not message.results)


@pytest.mark.parametrize(
    'parameters', [{'picture_view': 'frame'}, {'input': 'events', 'event_centring': False}]
)
def test_several_objects_in_a_view_of_all_are_rejected_before_weights_are_read(rig, parameters):
    with alive(SnnLearner, parameters | {'max_objects': 2}) as node:
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert node.set_parameters([Parameter('max_objects', value=1)])[0].successful
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
