"""The learner as a process: frames in, classifications out, and everything that may go wrong."""

from __future__ import annotations

import array
import math
import os
from types import SimpleNamespace

from rig import Camera, Rig, image, msg

import cv2
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from sensor_msgs.msg import BatteryState, Image
from std_srvs.srv import SetBool, Trigger

from topspark_ros.nodes import qos

LEARNER = 'snn_learner'
FAST = dict(
    status_period=0.05,
    queue_depth=20,
    training_timesteps=16,
    inference_timesteps=16,
    label_wait=1.0,
)  # however late a busy machine lets a label be


def start_learner(rig: Rig, **parameters):
    process = rig.start(LEARNER, **FAST, **parameters)
    rig.wait_until_active(LEARNER)
    return process


def any_digit(camera: Camera) -> Image:
    return image(camera.next_digit()[0])


def decide(
    rig: Rig,
    sequence: int,
    training: int = 16,
    inference: int = 16,
    learning_share: float = 1.0,
    frame_share: float = 1.0,
) -> None:
    rig.publish(
        'timestep_decision',
        msg.TimestepDecision(
            sequence=sequence,
            training_timesteps=training,
            inference_timesteps=inference,
            learning_share=learning_share,
            frame_share=frame_share,
        ),
        qos.STATE,
    )


def concern(rig: Rig) -> tuple[bytes, str] | None:
    """Level and line of the learner's next diagnostics."""
    arrays = rig.collect(DiagnosticArray, '/diagnostics')
    name = f'{rig.namespace}/{LEARNER}'.lstrip('/')
    return rig.wait_for(
        lambda: next(
            (
                (status.level, status.message)
                for array in arrays
                for status in array.status
                if status.name == name
            ),
            None,
        )
    )


@pytest.fixture(scope='module')
def taught(shared_rig, tmp_path_factory):
    """A learner that has learned some digits, and what it answered while it did."""
    rig = shared_rig
    checkpoint = tmp_path_factory.mktemp('weights') / 'digits.ckpt'
    process = start_learner(rig, checkpoint_file=str(checkpoint))
    statuses = rig.collect(msg.LearnerStatus, 'snn_learner/status')
    camera = Camera(rig)
    camera.meet(lambda: any_digit(camera))
    # Those have no label, which is waited for: what comes behind them waits as well.
    rig.latest(statuses, lambda status: status.frames_learned == status.frames_classified > 0)
    first, last = camera.teach(100), 0
    camera.teach(100)
    last = camera.teach(100)
    return SimpleNamespace(
        rig=rig,
        process=process,
        camera=camera,
        statuses=statuses,
        checkpoint=checkpoint,
        hits=(first, last),
    )


@pytest.fixture
def inferring(taught):
    """The taught learner with learning switched off: equal frames give equal results."""
    set_learning(taught, False)
    yield taught
    set_learning(taught, True)


def set_learning(taught, on: bool) -> None:
    assert taught.rig.call(SetBool, 'snn_learner/set_learning', SetBool.Request(data=on)).success
    taught.rig.wait_for(lambda: (status_after_now(taught).learning_share > 0) == on)


def status_after_now(taught) -> msg.LearnerStatus:
    """A status that was made after this call."""
    rig = taught.rig
    now = rig.node.get_clock().now().to_msg()

    def fresh():
        last = taught.statuses[-1] if taught.statuses else None
        return (
            last
            and (last.header.stamp.sec, last.header.stamp.nanosec) > (now.sec, now.nanosec)
            and last
        )

    return rig.wait_for(fresh, 'a fresh status')


# Learning.


def test_a_result_carries_its_frames_header(taught):
    result = taught.camera.show(any_digit(taught.camera))
    assert result.header.frame_id == 'eye'
    assert result.timesteps == 16 and result.learning
    assert 0 < result.latency and 0 < result.energy < 1e-3
    assert len(result.scores) == len(result.class_ids)
    assert result.score == max(result.scores)


def test_labels_teach(taught):
    first, last = taught.hits
    assert last > first and last >= 80
    status = status_after_now(taught)
    assert status.labels_received >= 300 and status.frames_learned >= 300
    assert status.accuracy_window == 200 and status.accuracy > 0.7
    assert status.labelled_neurons > 0


def test_a_name_never_heard_before_becomes_a_class(taught):
    camera = taught.camera
    frame, _ = camera.next_digit()
    blank_but_for_a_cross = cv2.line(frame * 0 + 200, (60, 60), (180, 180), (10, 10, 10), 8)
    cross = cv2.line(blank_but_for_a_cross, (180, 60), (60, 180), (10, 10, 10), 8)
    for _ in range(3):
        camera.label(camera.show(image(cross)).header.stamp, 'cross')
    taught.rig.wait_for(lambda: camera.show(image(cross)).class_id == 'cross')
    assert 'cross' in camera.show(image(cross)).class_ids


def test_an_empty_label_is_rejected(taught):
    before = taught.rig.rejected(LEARNER, 'label')
    result = taught.camera.show(any_digit(taught.camera))
    taught.camera.label(result.header.stamp, '')
    taught.rig.wait_for(lambda: taught.rig.rejected(LEARNER, 'label') == before + 1)
    assert 'class_id: empty' in taught.process.log


def test_set_learning_off_infers_only(inferring):
    before = status_after_now(inferring)
    assert not inferring.camera.show(any_digit(inferring.camera)).learning
    after = status_after_now(inferring)
    assert after.frames_classified > before.frames_classified
    assert after.frames_learned == before.frames_learned


# Images.


@pytest.mark.parametrize(
    'encoding, big_endian',
    [
        ('mono8', False),
        ('bgr8', False),
        ('rgb8', False),
        ('bgra8', False),
        ('rgba8', False),
        ('mono16', False),
        ('mono16', True),
    ],
)
def test_every_encoding_shows_the_same(inferring, encoding, big_endian):
    frame, _ = inferring.camera.next_digit()
    frame[0, 0] = 255  # the brightest level, which counts as 1 where there are 16 bits
    plain = inferring.camera.show(image(frame))
    padded = inferring.camera.show(image(frame, encoding, padding=6, big_endian=big_endian))
    assert padded.class_id == plain.class_id
    # Colours are rounded in another order. 16 bits are not rounded where the object is looked for,
    # so that the square around it may lie a pixel aside.
    tolerance = 0.3 if encoding == 'mono16' else 1e-4
    assert list(padded.scores) == pytest.approx(list(plain.scores), abs=tolerance)


def broken(frame, **fields) -> Image:
    message = image(frame)
    for name, value in fields.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    'fields, complaint',
    [
        (dict(encoding='32FC1'), "encoding is '32FC1'"),
        (dict(step=10), 'step is 10 bytes'),
        (dict(data=array.array('B', b'abc')), 'data is 3 bytes'),
        (dict(height=0, data=array.array('B')), 'height is 0'),
        (dict(width=0), 'width is 0'),
        (dict(data=array.array('B')), 'data is 0 bytes'),
    ],
)
def test_a_bad_image_is_counted_and_the_next_one_classified(inferring, fields, complaint):
    before = status_after_now(inferring)
    neurons = before.recruited_neurons
    rejected = int(inferring.rig.rejected(LEARNER, 'image'))
    frame, _ = inferring.camera.next_digit()
    inferring.camera.send(broken(frame, **fields))
    inferring.camera.show(image(frame))
    after = status_after_now(inferring)
    assert after.frames_rejected == before.frames_rejected + 1
    assert after.frames_received == before.frames_received + 2
    assert after.recruited_neurons == neurons
    inferring.rig.wait_for(lambda: inferring.rig.rejected(LEARNER, 'image') >= max(1, rejected))
    assert f'{inferring.rig.namespace}/image: ' in inferring.process.log


@pytest.mark.parametrize(
    'damage',
    [
        lambda serialised: serialised[:-1],
        lambda serialised: serialised[:9],
        lambda serialised: serialised[:12] + b'\xff' * 4 + serialised[16:],
        lambda serialised: b'\x00\x07' + serialised[2:],
    ],
    ids=['one byte short', 'cut off', 'endless string', 'another encoding'],
)
def test_what_is_no_image_is_counted_and_the_next_one_classified(inferring, damage):
    rig = inferring.rig
    before = status_after_now(inferring)
    frame, _ = inferring.camera.next_digit()
    publisher = rig.node.create_publisher(Image, 'image', qos.sensor(10))
    rig.be_known(LEARNER)
    publisher.publish(damage(serialize_message(image(frame))))
    rig.wait_for(lambda: status_after_now(inferring).frames_rejected > before.frames_rejected)
    inferring.camera.show(image(frame))
    after = status_after_now(inferring)
    assert after.frames_rejected == before.frames_rejected + 1
    assert after.frames_received == before.frames_received + 2
    assert after.frames_classified == before.frames_classified + 1
    rig.node.destroy_publisher(publisher)


def test_the_same_frame_twice_is_classified_once(inferring):
    before = status_after_now(inferring)
    message = any_digit(inferring.camera)
    inferring.camera.show(message)
    inferring.rig.publish('image', message, qos.sensor(10))
    inferring.camera.show(any_digit(inferring.camera))
    after = status_after_now(inferring)
    assert after.frames_rejected == before.frames_rejected + 1
    assert after.frames_classified == before.frames_classified + 2


# Decisions.


def test_a_decision_is_applied_to_the_next_frame_and_echoed(taught):
    decide(taught.rig, 7, training=8, inference=4)
    taught.rig.wait_for(lambda: status_after_now(taught).decision_sequence == 7)
    status = status_after_now(taught)
    assert (status.training_timesteps, status.inference_timesteps) == (8, 4)
    assert taught.camera.show(any_digit(taught.camera)).timesteps == 4

    decide(taught.rig, 8, training=32, inference=32, learning_share=0.0)
    taught.rig.wait_for(lambda: status_after_now(taught).decision_sequence == 8)
    result = taught.camera.show(any_digit(taught.camera))
    assert result.timesteps == 32 and not result.learning
    decide(taught.rig, 9, training=16, inference=16)
    taught.rig.wait_for(lambda: status_after_now(taught).decision_sequence == 9)


def test_a_decision_of_no_steps_is_rejected(taught):
    sequence = status_after_now(taught).decision_sequence
    before = taught.rig.rejected(LEARNER, 'timestep_decision')
    decide(taught.rig, 99, training=16, inference=0)
    taught.rig.wait_for(lambda: taught.rig.rejected(LEARNER, 'timestep_decision') == before + 1)
    assert status_after_now(taught).decision_sequence == sequence
    assert taught.camera.show(any_digit(taught.camera)).timesteps == 16


@pytest.mark.parametrize('frame_share', [-0.1, 1.5, math.nan])
def test_a_share_that_is_none_is_rejected(taught, frame_share):
    sequence = status_after_now(taught).decision_sequence
    before = taught.rig.rejected(LEARNER, 'timestep_decision')
    decide(taught.rig, 99, frame_share=frame_share)
    taught.rig.wait_for(lambda: taught.rig.rejected(LEARNER, 'timestep_decision') == before + 1)
    status = status_after_now(taught)
    assert status.decision_sequence == sequence and status.frame_share == 1.0


def adds_up(status: msg.LearnerStatus) -> bool:
    return status.frames_received == (
        status.frames_classified
        + status.frames_dropped
        + status.frames_rejected
        + status.frames_skipped
    )


def test_of_a_half_every_second_frame_is_classified(taught):
    rig, camera, statuses = taught.rig, taught.camera, taught.statuses
    decide(rig, 10, frame_share=0.5)
    before = rig.latest(statuses, lambda status: status.frame_share == 0.5)
    known = len(camera.results)
    for number in range(1, 21):
        camera.send(any_digit(camera))
        rig.latest(
            statuses, lambda status: status.frames_received == before.frames_received + number
        )
    after = rig.latest(statuses, adds_up)
    assert after.frames_classified == before.frames_classified + 10
    assert after.frames_skipped == before.frames_skipped + 10
    rig.wait_for(lambda: len(camera.results) == known + 10)
    seconds = [result.header.stamp.sec for result in camera.results[known:]]
    assert seconds == list(range(seconds[0], seconds[0] + 20, 2))
    decide(rig, 11)
    rig.latest(statuses, lambda status: status.frame_share == 1.0)


# Early exit.


def set_margin(taught, margin: float):
    return taught.rig.call(
        SetParameters,
        'snn_learner/set_parameters',
        SetParameters.Request(
            parameters=[Parameter('inference_margin', value=margin).to_parameter_msg()]
        ),
    ).results[0]


def test_a_margin_ends_inferences_early_at_once(inferring):
    camera = inferring.camera
    frames = [any_digit(camera) for _ in range(10)]
    full = [camera.show(frame) for frame in frames]
    assert {result.timesteps for result in full} == {16}
    assert set_margin(inferring, 0.2).successful
    early = [camera.show(frame) for frame in frames]
    assert min(result.timesteps for result in early) < 8
    assert sum(result.energy for result in early) < 0.8 * sum(result.energy for result in full)
    rejected = set_margin(inferring, 0.0)
    assert not rejected.successful and 'inference_margin' in rejected.reason
    assert [camera.show(frame).timesteps for frame in frames] == [
        result.timesteps for result in early
    ]
    assert set_margin(inferring, math.inf).successful
    assert {camera.show(frame).timesteps for frame in frames} == {16}


def test_each_t_of_a_profile_brings_its_margin(rig, shipped_profile, tmp_path):
    profile = yaml.safe_load(shipped_profile.read_text())
    points = {point['timesteps']: point for point in profile['points']}
    points[16]['inference']['margin'] = 0.02  # any lead ends it
    path = tmp_path / 'profile.yaml'
    path.write_text(yaml.safe_dump(profile))
    start_learner(rig, profile_file=str(path))
    camera = Camera(rig)
    camera.meet(lambda: any_digit(camera))
    camera.teach(60)
    rig.wait_for(lambda: camera.show(any_digit(camera)).timesteps < 16)
    decide(rig, 1, training=16, inference=32)
    rig.wait_for(lambda: camera.show(any_digit(camera)).timesteps == 32)
    assert {camera.show(any_digit(camera)).timesteps for _ in range(10)} == {32}


# Energy.


def test_energy_and_time_of_the_inferences_are_counted(inferring):
    camera = inferring.camera
    before = status_after_now(inferring)
    energies = [camera.show(any_digit(camera)).energy for _ in range(5)]
    after = status_after_now(inferring)
    assert after.energy_total_estimated - before.energy_total_estimated == pytest.approx(
        sum(energies)
    )
    assert 0 < after.inference_time < max(result.latency for result in camera.results)
    (at,) = (
        index
        for index, timesteps in enumerate(after.cost_timesteps)
        if timesteps == after.inference_timesteps
    )
    assert after.cost_frames[at] >= 5 and after.cost_time[at] > 0
    assert after.cost_energy[at] == pytest.approx(sum(energies) / 5, rel=0.5)
    assert after.meter == ''
    assert math.isnan(after.power_measured) and math.isnan(after.energy_measured)
    assert math.isnan(after.energy_total_measured)


# Weights.


def test_weights_are_saved_reset_and_loaded(inferring):
    rig, camera = inferring.rig, inferring.camera
    frame, _ = camera.next_digit()
    expected = camera.show(image(frame))
    assert rig.call(Trigger, 'snn_learner/save_weights').success

    assert rig.call(Trigger, 'snn_learner/reset_weights').success
    assert camera.show(image(frame)).class_id == ''
    assert status_after_now(inferring).recruited_neurons == 0

    assert rig.call(Trigger, 'snn_learner/load_weights').success
    again = camera.show(image(frame))
    assert again.class_ids == expected.class_ids and again.scores == expected.scores


def test_a_truncated_checkpoint_is_rejected_and_the_weights_stay(inferring):
    rig, camera = inferring.rig, inferring.camera
    frame, _ = camera.next_digit()
    expected = camera.show(image(frame))
    assert rig.call(Trigger, 'snn_learner/save_weights').success
    content = inferring.checkpoint.read_bytes()
    inferring.checkpoint.write_bytes(content[: len(content) // 2])

    answer = rig.call(Trigger, 'snn_learner/load_weights')
    assert not answer.success and str(inferring.checkpoint) in answer.message
    assert camera.show(image(frame)).scores == expected.scores
    assert rig.call(Trigger, 'snn_learner/save_weights').success  # whole again


# A fresh process each.


def test_compressed_images(rig):
    from sensor_msgs.msg import CompressedImage

    process = start_learner(rig, input='compressed')
    camera = Camera(rig, 'image/compressed')

    def jpeg(data: bytes | None = None) -> CompressedImage:
        content = cv2.imencode('.jpg', camera.next_digit()[0])[1].tobytes()
        return CompressedImage(format='jpeg', data=array.array('B', data or content))

    camera.meet(jpeg)
    camera.send(jpeg(b'no image'))
    camera.show(jpeg())
    rig.wait_for(lambda: rig.rejected(LEARNER, 'image/compressed') == 1)
    assert f'{rig.namespace}/image/compressed: ' in process.log


def test_a_decision_outside_the_profile_is_rejected(rig, shipped_profile):
    process = start_learner(rig, profile_file=str(shipped_profile))
    statuses = rig.collect(msg.LearnerStatus, 'snn_learner/status')
    decide(rig, 1, training=16, inference=5)
    rig.wait_for(lambda: rig.rejected(LEARNER, 'timestep_decision') == 1)
    assert 'inference_timesteps: 5' in process.log
    decide(rig, 2, training=8, inference=4)
    rig.latest(statuses, lambda status: status.decision_sequence == 2)
    assert {(s.training_timesteps, s.inference_timesteps) for s in statuses} <= {(16, 16), (8, 4)}


def test_a_paused_learner_learns_what_waits_and_takes_the_next_frame_when_resumed(rig):
    start_learner(rig)
    statuses = rig.collect(msg.LearnerStatus, 'snn_learner/status')
    camera = Camera(rig)
    camera.meet(lambda: any_digit(camera))
    decide(rig, 1, frame_share=0.0)
    before = rig.latest(statuses, lambda status: status.frame_share == 0.0)
    rig.wait_for(lambda: rig.node.count_subscribers(f'{rig.namespace}/image') == 0, 'nobody')
    rig.latest(statuses, lambda status: status.frames_learned == before.frames_classified)
    # Nothing has come for 2 s: a learner that is not paused would miss its frames by now.
    rig.latest(statuses, lambda status: status.power_estimated == 0.0)
    assert concern(rig) == (DiagnosticStatus.OK, 'paused')
    assert rig.health(LEARNER, 'frame share') == '0'
    paused = rig.latest(statuses, adds_up)
    assert paused.frames_received == before.frames_received
    decide(rig, 2, frame_share=0.3)
    rig.wait_for(
        lambda: rig.node.count_subscribers(f'{rig.namespace}/image') == 1, 'subscribed again'
    )
    rig.latest(statuses, lambda status: status.frame_share == pytest.approx(0.3))
    camera.results.clear()

    def classified_again() -> bool:
        camera.send(any_digit(camera))
        rig.spin(0.1)
        return bool(camera.results)

    rig.wait_for(classified_again)


def test_labels_of_skipped_frames_are_no_concern_those_of_no_frame_are(rig):
    start_learner(rig)
    statuses = rig.collect(msg.LearnerStatus, 'snn_learner/status')
    camera = Camera(rig)
    camera.meet(lambda: any_digit(camera))
    decide(rig, 1, frame_share=0.25)
    rig.latest(statuses, lambda status: status.frame_share == 0.25)
    for _ in range(20):
        frame, name = camera.next_digit()
        camera.label(camera.send(image(frame)), name)
    rig.latest(statuses, lambda status: status.labels_unmatched >= 12)
    assert 'named no frame' not in concern(rig)[1]
    for _ in range(40):
        camera.label(camera.next_stamp(), 'ghost')
        camera.send(any_digit(camera))
    rig.wait_for(lambda: 'labels named no frame' in concern(rig)[1])


def test_a_meter_of_processor_time(rig):
    start_learner(rig, meter='processor', core_power=8.0)
    statuses = rig.collect(msg.LearnerStatus, 'snn_learner/status')
    camera = Camera(rig)
    camera.meet(lambda: any_digit(camera))
    camera.teach(20)
    measured = rig.latest(statuses, lambda status: status.energy_measured > 0)
    assert measured.meter == 'processor'
    # 10 % more: times of threads are added up, and read one after the other.
    assert 0 < measured.power_measured < 1.1 * 8.0 * os.cpu_count()
    camera.teach(10)
    later = rig.latest(
        statuses, lambda status: status.frames_classified > measured.frames_classified
    )
    assert later.energy_total_measured > measured.energy_total_measured > 0
    rig.wait_for(lambda: rig.health(LEARNER, 'meter') == 'processor')


def test_a_meter_that_cannot_be_read_is_said_once_and_the_estimate_stays(rig):
    process = start_learner(rig, meter='hwmon', meter_channel='no such rail')
    statuses = rig.collect(msg.LearnerStatus, 'snn_learner/status')
    camera = Camera(rig)
    camera.meet(lambda: any_digit(camera))
    camera.teach(10)
    status = rig.latest(statuses, lambda status: status.power_estimated > 0)
    assert status.meter == '' and math.isnan(status.power_measured)
    assert math.isnan(status.energy_measured) and math.isnan(status.energy_total_measured)

    def warned():
        camera.show(any_digit(camera))
        return 'meter hwmon: ' in rig.concern(LEARNER)

    rig.wait_for(warned)
    camera.show(any_digit(camera))
    level, line = concern(rig)
    assert level == DiagnosticStatus.WARN and line.startswith('meter hwmon: ')
    assert rig.health(LEARNER, 'meter') == 'estimated'
    assert process.log.count('meter hwmon: ') == 1


def test_a_battery_as_meter(rig):
    start_learner(rig, meter='battery', base_power=0.5)
    statuses = rig.collect(msg.LearnerStatus, 'snn_learner/status')
    camera = Camera(rig)
    camera.meet(lambda: any_digit(camera))
    unmeasured = rig.latest(statuses)
    assert unmeasured.meter == '' and math.isnan(unmeasured.power_measured)

    def measured():
        camera.show(any_digit(camera))
        rig.publish('battery_state', BatteryState(voltage=4.0, current=-0.5), qos.STATUS)
        return statuses[-1].energy_measured > 0

    rig.wait_for(measured)
    assert statuses[-1].meter == 'battery'
    assert statuses[-1].power_measured == pytest.approx(4.0 * 0.5 - 0.5)
    rig.publish('battery_state', BatteryState(voltage=4.0, current=math.nan), qos.STATUS)
    rig.wait_for(lambda: rig.rejected(LEARNER, 'battery_state') == 1)
