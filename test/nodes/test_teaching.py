"""What people teach by showing it: the learner's services, and what they leave on the topics."""

from __future__ import annotations

from types import SimpleNamespace

from rig import Camera, image, msg

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool, Trigger

from topspark_ros import srv
from topspark_ros.engine import load_checkpoint
from topspark_ros.nodes import qos
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.perception.messages import stamp_ns
from topspark_ros.replay.definitions import typestore
from topspark_ros.replay.evaluation import evaluate
from topspark_ros.replay.settings import EvaluationSettings
from topspark_ros.streams.datasets import load_dataset
from topspark_ros.streams.scenes import SceneRenderer

LEARNER = 'snn_learner'
PARAMETERS = dict(picture_side=28, label_wait=1.0)
MORE = dict(status_period=0.05, queue_depth=20)


class Person(Camera):
    """Somebody who holds digits into view, one after the other, and calls the services."""

    def __init__(self, rig):
        super().__init__(rig)
        self.rig = rig
        self.labels = rig.collect(msg.Label, 'label')
        self.classes = rig.collect(msg.Classes, f'{LEARNER}/classes', qos.STATE)
        digits = load_dataset('digits')
        self._of_class = {
            name: np.flatnonzero(digits.labels == label).tolist()
            for label, name in enumerate(digits.class_names)
        }
        self._scenes = SceneRenderer(digits.images, seed=2)
        self.shown: list[Image] = []
        self._known: set[str] = set()  # services that know this person

    def hold(self, digit: str, frames: int = 1) -> list[msg.Classification]:
        """Show pictures of one digit, each until it is classified."""
        results = []
        for _ in range(frames):
            index = self._of_class[digit].pop(0)
            self.shown.append(image(self._scenes.render(index)))
            results.append(self.show(self.shown[-1]))
        return results

    def teach(self, class_id: str = '', duration: float = 0.0):
        return self.call(srv.Teach, 'teach', class_id=class_id, duration=duration)

    def call(self, kind, name, **fields):
        """Asked once: a class that has been renamed or forgotten is none any more."""
        service = f'{LEARNER}/{name}'
        if name not in self._known:  # first, a duration or a name that no learner takes
            wrong = dict(class_id='mug', duration=-1.0) if kind is srv.Teach else {}
            assert not self.rig.call(kind, service, kind.Request(**wrong)).success
            self._known.add(name)
        return self.rig.answer(self.rig.call_once(kind, service, kind.Request(**fields)))

    def labelled(self, stamps) -> dict[int, str]:
        """What the frames with these stamps were labelled, once all of them were."""
        wanted = {stamp_ns(stamp) for stamp in stamps}

        def found():
            by_stamp = {stamp_ns(each.header.stamp): each.class_id for each in self.labels}
            return wanted <= set(by_stamp) and by_stamp

        return self.rig.wait_for(found, 'all labels')

    def told(self, condition, what: str = '') -> msg.Classes:
        return self.rig.latest(self.classes, condition, what)

    def frames(self) -> dict[str, int]:
        return dict(zip(self.classes[-1].class_ids, self.classes[-1].frames))


def stamps(results):
    return [result.header.stamp for result in results]


@pytest.fixture
def person(shared_rig, learner):
    """With a learner that knows nothing, and to whom nothing is being taught."""
    person = learner.person
    person.teach()
    assert person.rig.call(Trigger, f'{LEARNER}/reset_weights').success
    person.told(lambda classes: not classes.class_ids and not classes.taught)
    return person


@pytest.fixture(scope='module')
def learner(shared_rig):
    process = shared_rig.start(LEARNER, **PARAMETERS, **MORE)
    shared_rig.wait_until_active(LEARNER)
    person = Person(shared_rig)
    person.meet(lambda: image(person.next_digit()[0]))
    return SimpleNamespace(process=process, person=person)


def test_what_is_in_view_is_learned_until_it_is_stopped(person):
    assert person.teach('mug').message == "'mug' is taught until it is stopped"
    mugs = person.hold('3', 4)
    assert person.teach('bus').success
    buses = person.hold('8', 3)
    assert person.teach().message == "'bus' is no longer taught"
    others = person.hold('5', 3)
    labels = person.labelled(stamps(mugs + buses))
    named = [labels.get(stamp_ns(stamp)) for stamp in stamps(mugs + buses + others)]
    assert named == ['mug'] * 4 + ['bus'] * 3 + [None] * 3
    person.told(lambda classes: list(classes.frames) == [4, 3] and not classes.taught)
    assert person.frames() == {'mug': 4, 'bus': 3}
    assert person.teach().message == 'nothing was taught'


def test_what_was_taught_is_recognised(person):
    for name, digit in (('mug', '0'), ('bus', '7')):
        person.teach(name)
        person.hold(digit, 6)
    person.teach()
    person.hold('1')  # those before it are learned now
    person.told(lambda classes: list(classes.frames) == [6, 6])
    assert [result.class_id for result in person.hold('0', 3) + person.hold('7', 3)] == (
        ['mug'] * 3 + ['bus'] * 3
    )


def test_it_stops_by_itself_after_its_time(person):
    answer = person.teach('mug', duration=0.2)
    assert answer.message == "'mug' is taught for 0.2 s"
    person.rig.wait_for(
        lambda: any(each.taught == 'mug' and each.until.sec > 0 for each in person.classes)
    )
    person.told(lambda classes: not classes.taught, 'the end')
    (result,) = person.hold('3')
    assert person.teach().message == 'nothing was taught'
    assert stamp_ns(result.header.stamp) not in {
        stamp_ns(each.header.stamp) for each in person.labels
    }


def test_an_empty_frame_is_not_labelled(person):
    person.teach('mug')
    even = person.show(image(np.full((240, 320, 3), 190, np.uint8)))
    results = person.hold('3', 2)
    labels = person.labelled(stamps(results))
    assert even.empty and stamp_ns(even.header.stamp) not in labels


def test_frames_without_a_stamp_are_not_taught_and_that_is_said(person):
    person.teach('mug')
    before = len(person.labels)
    unstamped = image(person.next_digit()[0])
    person.rig.publish('image', unstamped, qos.sensor(10))
    person.told(lambda classes: classes.not_learning.startswith('frames have no stamp '))
    assert len(person.labels) == before
    person.hold('3', 2)
    person.told(lambda classes: not classes.not_learning)


@pytest.mark.parametrize(
    'class_id, duration, told',
    [
        ('  ', 0.0, 'class_id: empty; accepted: '),
        ('x' * 300, 0.0, 'class_id: 300 characters; accepted: '),
        ('mug', -1.0, 'duration: -1 s; accepted: 0 '),
        ('mug', float('nan'), 'duration: nan s; accepted: 0 '),
        ('mug', float('inf'), 'duration: inf s; accepted: 0 '),
    ],
)
def test_what_cannot_be_taught_is_rejected(person, class_id, duration, told):
    answer = person.teach(class_id, duration)
    assert not answer.success and answer.message.startswith(told)
    assert '\n' not in answer.message and not person.classes[-1].taught


def test_a_class_is_forgotten_and_taught_no_more(person):
    for name, digit in (('mug', '3'), ('bus', '8')):
        person.teach(name)
        person.hold(digit, 3)
    person.hold('1')
    person.told(lambda classes: list(classes.frames) == [3, 3])
    answer = person.call(srv.ForgetClass, 'forget_class', class_id='bus')
    assert answer.success
    assert answer.message == "'bus' is forgotten, of which 3 frames were learned"
    results = person.hold('8', 3)
    person.told(lambda classes: classes.class_ids == ['mug'] and not classes.taught)
    assert all(list(result.class_ids) == ['mug'] for result in results)


def test_a_class_is_renamed_while_it_is_taught(person):
    person.teach('mug')
    person.hold('3', 2)
    answer = person.call(srv.RenameClass, 'rename_class', class_id='mug', new_class_id='beaker')
    assert answer.success and answer.message == "'mug' is 'beaker' from now on"
    more = person.hold('3', 2)
    assert set(person.labelled(stamps(more)).values()) >= {'beaker'}
    person.teach()
    person.hold('1', 1)
    person.told(lambda classes: list(classes.frames) == [4])
    assert person.frames() == {'beaker': 4}


def test_a_class_that_is_not_known_is_named_with_those_that_are(person):
    person.teach('mug')
    person.teach('bus')
    for kind, name, fields, told in (
        (srv.ForgetClass, 'forget_class', {'class_id': 'car'}, "class_id: 'car'; accepted: "),
        (
            srv.RenameClass,
            'rename_class',
            {'class_id': 'car', 'new_class_id': 'cab'},
            "class_id: 'car'; accepted: ",
        ),
        (
            srv.RenameClass,
            'rename_class',
            {'class_id': 'bus', 'new_class_id': 'mug'},
            "new_class_id: 'mug' is a class already; accepted: ",
        ),
    ):
        answer = person.call(kind, name, **fields)
        assert not answer.success and answer.message.startswith(told)
    assert person.frames() == {'mug': 0, 'bus': 0}


def test_who_teaches_is_told_that_learning_is_off(person):
    switch = SetBool.Request(data=False)
    assert person.rig.call(SetBool, f'{LEARNER}/set_learning', switch).success
    answer = person.teach('mug')
    person.told(lambda classes: classes.not_learning.startswith('the parameter learning is false'))
    assert person.rig.call(SetBool, f'{LEARNER}/set_learning', SetBool.Request(data=True)).success
    person.told(lambda classes: not classes.not_learning)
    assert answer.success
    assert answer.message.startswith(
        "'mug' is taught until it is stopped, but nothing is learned now: the parameter learning "
    )


@pytest.mark.parametrize(
    'shares, told',
    [
        ({'learning_share': 0.0}, 'learning is off by decision 7: little power'),
        ({'frame_share': 0.0}, 'all frames are skipped by decision 7: little power'),
    ],
)
def test_who_teaches_is_told_what_was_decided(rig, shares, told):
    rig.start(LEARNER, **PARAMETERS, **MORE)
    rig.wait_until_active(LEARNER)
    decision = msg.TimestepDecision(
        sequence=7,
        training_timesteps=4,
        inference_timesteps=4,
        detail='little power',
        **{'learning_share': 1.0, 'frame_share': 1.0} | shares,
    )
    rig.publish('timestep_decision', decision, qos.STATE)
    person = Person(rig)
    person.told(lambda classes: classes.not_learning == told, told)
    answer = person.teach('mug')
    assert answer.success and answer.message.endswith(f'but nothing is learned now: {told}')


def test_nothing_is_taught_by_a_learner_that_is_not_active(rig):
    rig.start(LEARNER, **PARAMETERS, **MORE)
    rig.wait_until_active(LEARNER)
    person = Person(rig)
    assert person.teach('mug').success
    assert rig.transit(LEARNER, Transition.TRANSITION_DEACTIVATE)
    answer = person.teach('mug')
    assert not answer.success
    assert answer.message == (
        "class_id: 'mug', while the learner is inactive; accepted: while it is active"
    )
    assert person.call(srv.RenameClass, 'rename_class', class_id='mug', new_class_id='cup').success
    assert rig.transit(LEARNER, Transition.TRANSITION_ACTIVATE)
    person.told(lambda classes: list(classes.class_ids) == ['cup'])
    assert not person.classes[-1].taught


def test_the_picture_of_what_is_learned_is_published(person):
    pictures = person.rig.collect(Image, f'{LEARNER}/debug_image', qos.sensor(10))

    def seen():
        person.hold('0')
        return pictures

    person.rig.wait_for(seen)
    picture = pictures[-1]
    assert (picture.height, picture.width, picture.encoding) == (28, 28, 'rgb8')
    pixels = np.frombuffer(picture.data, np.uint8).reshape(28, 28, 3)
    assert pixels.max() - pixels.min() > 50  # a stroke before its background


def test_a_recording_of_the_topics_has_all_that_was_taught(rig, tmp_path):
    """Its evaluation ends with the weights that the learner had."""
    weights = tmp_path / 'live.topspark'
    rig.start(LEARNER, **PARAMETERS, **MORE, checkpoint_file=str(weights))
    rig.wait_until_active(LEARNER)
    person = Person(rig)
    person.meet(lambda: image(person.next_digit()[0]))
    results = []
    for name, digit, frames in (('mug', '3', 5), ('bus', '8', 4), ('mug', '3', 2), ('', '5', 2)):
        person.teach(name)
        results += person.hold(digit, frames)
    person.labelled(stamps(results[:11]))
    assert rig.transit(LEARNER, Transition.TRANSITION_DEACTIVATE)  # it saves its weights

    path = tmp_path / 'bag'
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {
            Image: writer.add_connection('/image', 'sensor_msgs/msg/Image', typestore=typestore()),
            msg.Label: writer.add_connection(
                '/label', 'topspark_ros/msg/Label', typestore=typestore()
            ),
        }
        for message in (*person.shown, *person.labels):
            time_ns = stamp_ns(message.header.stamp) + isinstance(message, msg.Label)
            writer.write(topics[type(message)], time_ns, serialize_message(message))
    replayed = tmp_path / 'replayed.topspark'
    settings = EvaluationSettings('T', SnnLearnerParameters(**PARAMETERS), save_weights=replayed)
    evaluate(path, settings)

    live, again = (load_checkpoint(file) for file in (weights, replayed))
    assert live.class_names == again.class_names == ('mug', 'bus')
    assert live.network.class_frames.tolist() == [7, 4]
    for name, array in live.network.state().items():
        assert np.array_equal(array, again.network.state()[name]), name
