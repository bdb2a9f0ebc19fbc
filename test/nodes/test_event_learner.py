"""The learner as a process that sees by an event camera."""

from __future__ import annotations

import array

from rig import Rig, msg

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from topspark_ros import srv
from topspark_ros.nodes import conversions, qos
from topspark_ros.streams.annotation import COLOUR
from topspark_ros.streams.datasets import load_dataset
from topspark_ros.streams.events import EVENT, EventCamera, Evt3Encoder
from topspark_ros.streams.scenes import SceneRenderer

EventPacket = pytest.importorskip(
    'event_camera_msgs.msg', reason='needs event_camera_msgs: run `make test`'
).EventPacket

LEARNER = 'snn_learner'
WIDTH, HEIGHT = 160, 120
FRAME_NS = 20_000_000
FRAMES = 8  # of one digit
AHEAD = 4  # digits that are shown at most before the learner has classified what it saw
PARAMETERS = dict(
    rule='recruiting',
    input='events',
    event_window=0.08,
    status_period=0.05,
    queue_depth=20,
    training_timesteps=16,
    inference_timesteps=16,
)


class EventEye:
    """Shows moving digits to an event camera whose packets go to the learner."""

    def __init__(self, rig: Rig):
        self.rig = rig
        self.digits = load_dataset('digits')
        self.scenes = SceneRenderer(self.digits.images, HEIGHT, WIDTH)
        self.camera = EventCamera(WIDTH, HEIGHT)
        self.encoder = Evt3Encoder(WIDTH, HEIGHT)
        self.results = rig.collect(msg.Classification, 'classification')
        self.time_ns = 1_700_000_000_000_000_000
        self.seq = self.shown = 0

    def stamp(self) -> Time:
        return Time(sec=self.time_ns // 10**9, nanosec=self.time_ns % 10**9)

    def send(self, encoding: str, payload: bytes, seq: int | None = None) -> None:
        packet = EventPacket(
            width=WIDTH,
            height=HEIGHT,
            encoding=encoding,
            seq=self.seq if seq is None else seq,
            events=array.array('B', payload),
        )
        packet.header.stamp, packet.header.frame_id = self.stamp(), 'eye'
        self.rig.publish('events', packet, qos.EVENTS)

    def show(self) -> None:
        """One digit, labelled in the middle of its frames."""
        index = self.shown % len(self.digits.labels)
        self.shown += 1
        for frame in range(FRAMES):
            self.time_ns += FRAME_NS
            image = self.scenes.render(index)[:, :, 1]
            events = self.camera.observe(np.ascontiguousarray(image), self.time_ns)
            self.send('evt3', self.encoder.encode(events))
            self.seq += 1
            if frame == FRAMES // 2:
                label = msg.Label(class_id=self.digits.class_names[self.digits.labels[index]])
                label.header.stamp = self.stamp()
                self.rig.publish('label', label, qos.LABEL)
            self.rig.spin(0.005)
        # At the pace of the learner, whatever that is.
        seen_ns = self.time_ns - AHEAD * FRAMES * FRAME_NS
        self.rig.wait_for(
            lambda: (
                not self.results or conversions.stamp_ns(self.results[-1].header.stamp) > seen_ns
            ),
            'a window of the last digits',
        )


@pytest.fixture
def eye(rig):
    rig.start(LEARNER, **PARAMETERS)
    rig.wait_until_active(LEARNER)
    eye = EventEye(rig)

    def seen():
        eye.show()
        return eye.results

    rig.wait_for(seen, 'a first window')
    return eye


def test_windows_are_classified_learned_and_taught_by_labels(rig, eye):
    statuses = rig.collect(msg.LearnerStatus, f'{LEARNER}/status')
    for _ in range(60):
        eye.show()
    status = rig.latest(statuses, lambda status: status.frames_classified > 90)
    rig.latest(statuses, lambda status: status.accuracy_window > 40)
    assert status.frames_dropped == status.frames_rejected == 0
    assert status.mean_input_spikes > 100 and status.recruited_neurons > 10
    stamps = [
        result.header.stamp.sec * 10**9 + result.header.stamp.nanosec for result in eye.results
    ]
    # A window of 80 ms ends with its last event.
    assert np.median(np.diff(stamps)) == pytest.approx(80e6, abs=20e6)
    assert stamps[-1] <= eye.time_ns and {r.header.frame_id for r in eye.results} == {'eye'}
    assert {r.timesteps for r in eye.results} == {16}
    assert statuses[-1].accuracy > 0.3  # of ten classes, after 60 digits


def test_a_share_of_windows_of_equally_many_events(rig):
    rig.start(LEARNER, **PARAMETERS, event_window_count=1000)
    rig.wait_until_active(LEARNER)
    statuses = rig.collect(msg.LearnerStatus, f'{LEARNER}/status')
    eye = EventEye(rig)

    def adds_up():
        last = statuses[-1]
        return (
            last.frames_received
            == (last.frames_classified + last.frames_dropped + last.frames_skipped)
            and last
        )

    def shown(windows: int):
        received = statuses[-1].frames_received if statuses else 0

        def enough():
            eye.show()
            return statuses and statuses[-1].frames_received >= received + windows

        rig.wait_for(enough)
        return rig.wait_for(adds_up)

    assert shown(20).frames_skipped == 0

    def every_window_was_counted():
        events = rig.health(LEARNER, 'events: events')
        return events and int(events) // 1000 == int(rig.health(LEARNER, 'frames received'))

    rig.wait_for(every_window_was_counted)

    rig.publish(
        'timestep_decision',
        msg.TimestepDecision(
            sequence=1, training_timesteps=16, inference_timesteps=16, frame_share=0.25
        ),
        qos.STATE,
    )
    before = rig.wait_for(lambda: statuses[-1].frame_share == 0.25 and adds_up())
    after = shown(20)
    windows = after.frames_received - before.frames_received
    assert after.frames_classified - before.frames_classified == pytest.approx(windows / 4, abs=1)


def test_what_cannot_be_decoded_is_counted_and_the_node_goes_on(rig, eye):
    eye.send('evt9', b'1234')
    rig.wait_for(lambda: rig.rejected(LEARNER, 'events') == 1)
    eye.send('evt3', bytes(range(251)) * 40)  # nonsense, and a gap in seq after it
    eye.seq += 5
    before = len(eye.results)

    def goes_on():
        eye.show()
        return len(eye.results) > before + 3

    rig.wait_for(goes_on)
    rig.wait_for(lambda: int(rig.health(LEARNER, 'events: lost packets') or 0) >= 4)


def test_sizes_that_are_none_are_rejected_and_the_node_goes_on(rig, eye):
    for count, (width, height) in enumerate(((0, 0), (2**32 - 1, 1), (65535, 65535)), 1):
        rig.publish(
            'events',
            EventPacket(width=width, height=height, encoding='evt3', seq=eye.seq),
            qos.EVENTS,
        )
        rig.wait_for(lambda: rig.rejected(LEARNER, 'events') == count)
    assert rig.health(LEARNER, 'frames failed') == '0'
    before = len(eye.results)

    def goes_on():
        eye.show()
        return len(eye.results) > before + 3

    rig.wait_for(goes_on)


def test_a_stream_with_unknown_words_is_never_in_order_in_silence(rig, eye):
    encode = eye.encoder.encode
    eye.encoder.encode = lambda events: encode(events) + bytes([0, 0xB0]) * 50
    before = len(eye.results)

    def is_said():
        eye.show()
        return len(eye.results) > before + 3 and rig.concern(LEARNER).startswith(
            f'{rig.namespace}/events: '
        )

    rig.wait_for(is_said)
    assert rig.concern(LEARNER).endswith(' words of events are unknown')
    assert int(rig.health(LEARNER, 'events: unknown words')) >= 50


def test_the_debug_image_shows_the_window(rig, eye):
    pictures = rig.collect(Image, f'{LEARNER}/debug_image', qos.sensor(10))

    def shown():
        eye.show()
        return pictures

    rig.wait_for(shown)
    picture = pictures[-1]
    assert (picture.width, picture.height, picture.encoding) == (WIDTH, HEIGHT, 'rgb8')
    pixels = np.frombuffer(picture.data, np.uint8).reshape(HEIGHT, WIDTH, 3)
    assert (pixels == 255).all(axis=2).any()  # nothing happened
    assert (pixels[..., 2] > pixels[..., 0] + 50).any()  # brighter
    assert (pixels[..., 0] > pixels[..., 2] + 50).any()  # darker


def test_a_picture_shows_the_window_and_the_box_of_what_moves(rig, eye):
    pictures = rig.collect(Image, 'vision/annotated_image', qos.sensor(10))
    detections = rig.collect(Detection2DArray, 'vision/detections')

    def shown():
        eye.show()
        stamps = {each.header.stamp.nanosec for each in detections if each.detections}
        return next((each for each in pictures if each.header.stamp.nanosec in stamps), None)

    picture = rig.wait_for(shown)
    header = picture.header
    (box,) = next(each for each in detections if each.header == header).detections
    assert header.frame_id == 'eye' and picture.encoding == 'rgb8'
    assert (picture.width, picture.height) == (4 * WIDTH, 4 * HEIGHT)
    pixels = np.frombuffer(picture.data, np.uint8).reshape(4 * HEIGHT, 4 * WIDTH, 3)
    drawn = np.argwhere((pixels == COLOUR).all(axis=2))
    across = drawn[drawn[:, 0] == drawn[:, 0].max()][:, 1]  # the lower side of the box
    middle, half = box.bbox.center.position.x, box.bbox.size_x / 2
    assert across.min() == pytest.approx(max(0, 4 * (middle - half)), abs=6)
    assert across.max() == pytest.approx(min(4 * WIDTH, 4 * (middle + half)), abs=6)
    assert (pixels == 255).all(axis=2).any()  # nothing happened
    assert (pixels[..., 2] > pixels[..., 0] + 50).any()  # brighter
    assert (pixels[..., 0] > pixels[..., 2] + 50).any()  # darker


def test_windows_are_taught_while_the_object_is_in_view(rig, eye):
    classes = rig.collect(msg.Classes, f'{LEARNER}/classes', qos.STATE)
    labels = rig.collect(msg.Label, 'label')
    answer = rig.call(srv.Teach, f'{LEARNER}/teach', srv.Teach.Request(class_id='thing'))
    assert answer.success, answer.message

    def learned():
        eye.show()
        known = dict(zip(classes[-1].class_ids, classes[-1].frames)) if classes else {}
        return known.get('thing', 0) >= 3

    rig.wait_for(learned, 'windows are learned as a thing')
    seen = {conversions.stamp_ns(result.header.stamp) for result in eye.results}
    taught = [each for each in labels if each.class_id == 'thing']
    assert taught and {conversions.stamp_ns(each.header.stamp) for each in taught} <= seen


def test_a_region_that_is_none_is_rejected(rig):
    process = rig.start(LEARNER, **PARAMETERS, event_roi=[0, 0, 10])
    rig.wait_for(lambda: 'event_roi: [0, 0, 10]; accepted: left, top' in process.log)
    rig.wait_for(lambda: 'event_roi' in rig.concern(LEARNER))


def test_a_learner_that_falls_behind_drops_whole_windows_and_goes_on(rig):
    rig.start(LEARNER, **PARAMETERS | {'queue_depth': 1})
    rig.wait_until_active(LEARNER)
    statuses = rig.collect(msg.LearnerStatus, f'{LEARNER}/status')
    eye = EventEye(rig)

    # A hundred windows in one packet: nobody could have classified any of them before.
    random = np.random.default_rng(0)
    events = np.zeros(100 * 200, EVENT)
    events['x'], events['y'] = random.integers(40, 80, (2, len(events)))
    events['t'] = np.arange(len(events)) * 400_000

    def burst():
        eye.send('evt3', Evt3Encoder(WIDTH, HEIGHT).encode(events))
        rig.spin(0.5)
        return statuses and statuses[-1].frames_dropped

    rig.wait_for(burst)
    assert statuses[-1].frames_dropped > 0.9 * statuses[-1].frames_received > 80

    classified = len(eye.results)

    def goes_on():
        eye.seq += 1
        eye.show()
        return len(eye.results) > classified + 5

    rig.wait_for(goes_on)

    def adds_up():
        status = statuses[-1]
        return status.frames_received == status.frames_classified + status.frames_dropped

    rig.wait_for(adds_up)
