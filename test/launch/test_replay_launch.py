"""A bag in the place of the robot: all of it is heard, all ends with it, and what fails says so."""

from __future__ import annotations

import math

from bringup import Launched, Robot

import pytest

from topspark_ros import msg
from topspark_ros.control.decision import Reason
from topspark_ros.engine import load_checkpoint
from topspark_ros.nodes import conversions, qos
from topspark_ros.replay.recording import START_NS, RecordingSettings, record

FRAMES, RATE_HZ = 80, 20.0
LIMIT_W, LIMIT_FROM_S = 5e-6, 2.0


def frame_of(message) -> int:
    """The number of the frame that is shown at a message's stamp."""
    return round((conversions.stamp_ns(message.header.stamp) - START_NS) * 1e-9 * RATE_HZ)


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp('recorded') / 'bag'
    record(
        path,
        RecordingSettings(
            frames=FRAMES,
            rate_hz=RATE_HZ,
            label_share=1.0,
            width=160,
            height=120,
            battery_start=0.9,
            battery_end=0.899,
            budget=((0.0, math.nan), (LIMIT_FROM_S, LIMIT_W)),
        ),
    )
    return path


def test_a_bag_is_replayed_on_its_own_time_and_all_ends_with_it(bag, tmp_path):
    weights, parameters = tmp_path / 'weights.topspark', tmp_path / 'parameters.yaml'
    parameters.write_text('/**/snn_learner: {ros__parameters: {queue_depth: 50}}')
    with (
        Robot('robot') as robot,
        Launched(
            tmp_path,
            'replay.launch.py',
            bag=bag,
            namespace='robot',
            params_file=parameters,
            checkpoint_file=weights,
        ) as launch,
    ):
        controller = robot.collect(msg.ControllerStatus, 'timestep_controller/status', qos.STATUS)
        robot.wait_for(lambda: not launch.running, 'the end')
        assert launch.wait() == 0, launch.log
    assert 'process has died' not in launch.log
    assert launch.log.count('process has finished cleanly') == 3

    shown = [frame_of(result) for result in robot.results]
    assert shown == sorted(set(shown)) and set(shown) <= set(range(FRAMES))
    # The clock stops with the bag, and so do these; on a busy machine they run ahead of the input.
    last = robot.statuses[-1]
    assert last.frames_received == pytest.approx(frame_of(last), abs=8)
    assert last.labels_received == pytest.approx(frame_of(last), abs=8)
    assert len(shown) >= last.frames_classified

    assert controller[-1].battery == msg.ControllerStatus.BATTERY_KNOWN
    assert controller[-1].power_limit == pytest.approx(LIMIT_W)
    limited = [decision for decision in robot.decisions if decision.reason == Reason.POWER]
    assert limited and frame_of(limited[0]) >= LIMIT_FROM_S * RATE_HZ
    assert last.decision_sequence >= limited[0].sequence
    network, names, _ = load_checkpoint(weights)
    assert network.recruited_neurons >= last.recruited_neurons > 0 and len(names) == 10


def test_it_begins_later_and_interrupted_it_ends_well(bag, tmp_path):
    weights = tmp_path / 'weights.topspark'
    with (
        Robot('robot') as robot,
        Launched(
            tmp_path,
            'replay.launch.py',
            bag=bag,
            namespace='robot',
            checkpoint_file=weights,
            start_offset=1.0,
            rate=0.5,
        ) as launch,
    ):
        robot.status(lambda status: status.recruited_neurons, 'a frame learned')
        launch.interrupt()
        assert launch.wait() == 0, launch.log
    assert RATE_HZ <= frame_of(robot.results[0]) < LIMIT_FROM_S * RATE_HZ
    assert 'process has died' not in launch.log
    assert launch.log.count('process has finished cleanly') == 3
    assert load_checkpoint(weights)


@pytest.mark.parametrize(
    'fault, complaint',
    [
        (dict(checkpoint_file='broken'), 'broken is rejected'),
        (dict(params_file='missing.yaml'), 'params_file: missing.yaml: no such file'),
        (dict(log_level='warn'), '"log_level" provided value "warn" is not valid'),
    ],
)
def test_what_cannot_start_ends_it_with_one_line(bag, tmp_path, fault, complaint):
    (tmp_path / 'broken').write_bytes(b'no weights')
    with Launched(tmp_path, 'replay.launch.py', bag=bag, **fault) as launch:
        assert launch.wait() == 1
    assert complaint in launch.log and 'Traceback' not in launch.log
