"""Battery, operator and camera: the nodes around perception, as processes."""

from __future__ import annotations

import math

from rig import msg

import numpy as np
import pytest
from sensor_msgs.msg import BatteryState, Image

from topspark_ros.nodes import qos


def test_the_battery_is_discharged_by_the_reported_power(rig):
    rig.start(
        'battery_simulator',
        capacity=1.0,
        time_compression=3600.0,
        rate=50.0,
        voltage_empty=2.0,
        voltage_full=4.0,
    )
    states = rig.collect(BatteryState, 'battery_state')
    rig.wait_for(lambda: states)
    assert states[0].percentage == 1.0 and states[0].current == 0.0
    assert states[0].power_supply_status == BatteryState.POWER_SUPPLY_STATUS_DISCHARGING

    # 1 W of 1 Wh, an hour a second: a second from full to empty.
    rig.publish(
        'snn_learner/status',
        msg.LearnerStatus(power_estimated=1.0, power_measured=math.nan),
        qos.STATUS,
    )
    rig.wait_for(lambda: states[-1].percentage == 0.0)
    drained = [state for state in states if state.current < 0.0]
    charges = [state.percentage for state in states]
    assert charges == sorted(charges, reverse=True)
    for state in drained:
        assert state.voltage == pytest.approx(2.0 + 2.0 * state.percentage, abs=1e-4)
        assert state.voltage * state.current == pytest.approx(-1.0, rel=1e-4)
        assert state.charge == pytest.approx(state.percentage * state.capacity, rel=1e-4)
    rig.wait_for(lambda: rig.concern('battery_simulator') == 'empty')


def test_measured_power_counts_before_estimated(rig):
    rig.start('battery_simulator', rate=50.0)
    states = rig.collect(BatteryState, 'battery_state')
    rig.publish(
        'snn_learner/status', msg.LearnerStatus(power_estimated=1.0, power_measured=2.0), qos.STATUS
    )
    rig.wait_for(lambda: states and states[-1].current < 0.0)
    assert states[-1].voltage * states[-1].current == pytest.approx(-2.0, rel=1e-4)


def test_a_load_that_is_none_leaves_the_battery_as_it_is(rig):
    simulator = rig.start('battery_simulator', rate=50.0)
    states = rig.collect(BatteryState, 'battery_state')

    def rejected(power: float, before: int) -> bool:
        rig.publish(
            'snn_learner/status',
            msg.LearnerStatus(power_estimated=power, power_measured=math.nan),
            qos.STATUS,
        )
        return rig.rejected('battery_simulator', 'snn_learner/status') > before

    for power in (math.nan, math.inf, -1.0, 1e300):
        before = rig.rejected('battery_simulator', 'snn_learner/status')
        rig.wait_for(lambda: rejected(power, before))
    seen = len(states)
    rig.wait_for(lambda: len(states) > seen)
    assert states[-1].percentage == 1.0 and states[-1].current == 0.0
    assert (
        f'{rig.namespace}/snn_learner/status: power_estimated: nan W; accepted: 0 to 100000 W'
        in simulator.log
    )


def test_the_schedule_publishes_its_steps_in_order(rig):
    budgets = rig.collect(msg.PowerBudget, 'power_budget', qos.DECISIONS)
    start_s = rig.bring_up(
        'power_budget_schedule', times=[0.0, 0.3, 0.6], power=[math.nan, 2.0, 1.0], deadline=[0.5]
    )
    rig.wait_for(lambda: len(budgets) == 3)
    assert math.isnan(budgets[0].power)
    assert [budget.power for budget in budgets[1:]] == [2.0, 1.0]
    assert {budget.deadline for budget in budgets} == {0.5}
    stamps = [budget.header.stamp.sec + 1e-9 * budget.header.stamp.nanosec for budget in budgets]
    assert stamps[1] - start_s > 0.3 and stamps[2] - start_s > 0.6


def test_a_share_of_what_is_drawn_waits_until_something_is_drawn(rig):
    budgets = rig.collect(msg.PowerBudget, 'power_budget', qos.DECISIONS)
    rig.bring_up('power_budget_schedule', times=[0.0, 0.1, 0.2], power_share=[math.nan, 0.5, 0.25])
    rig.wait_for(lambda: budgets)

    def status(estimated_w: float, measured_w: float = math.nan):
        return msg.LearnerStatus(power_estimated=estimated_w, power_measured=measured_w)

    rig.publish('snn_learner/status', status(0.0), qos.STATUS)
    rig.wait_for(lambda: rig.concern('power_budget_schedule') == 'step 1 of 3')
    for _ in range(10):
        rig.spin(0.05)
    assert len(budgets) == 1  # 0.5 s later: nothing is drawn
    rig.publish('snn_learner/status', status(1.0, 8.0), qos.STATUS)
    rig.wait_for(lambda: len(budgets) == 3)
    assert math.isnan(budgets[0].power) and [budget.power for budget in budgets[1:]] == [4.0, 2.0]


@pytest.mark.parametrize(
    'parameters, complaint',
    [
        (dict(times=[0.0, 2.0, 1.0], power=[1.0]), 'times: [0.0, 2.0, 1.0]; accepted: rising'),
        (dict(times=[0.0, 1.0], power=[1.0, 2.0, 3.0]), 'power: 3 entries; accepted: 2'),
    ],
)
def test_a_schedule_that_makes_no_sense_is_rejected(rig, parameters, complaint):
    process = rig.start('power_budget_schedule', **parameters)
    rig.wait_for(lambda: complaint in process.log)
    assert rig.state('power_budget_schedule') == 'unconfigured'


def test_the_camera_shows_its_frames_with_labels_and_finishes(rig):
    images = rig.collect(Image, 'image', qos.sensor(100))
    labels = rig.collect(msg.Label, 'label', qos.LABEL)
    rig.bring_up(
        'dataset_camera',
        frames=20,
        frame_rate=50.0,
        label_share=0.5,
        wait_for_subscribers=True,
        width=160,
        height=120,
        frame_id='eye',
    )
    rig.wait_for(lambda: rig.concern('dataset_camera') == 'finished')
    assert rig.health('dataset_camera', 'frames published') == '20'
    rig.wait_for(lambda: len(labels) == int(rig.health('dataset_camera', 'labels published')))
    assert 0 < len(labels) < 20
    rig.wait_for(lambda: len(images) == 20)
    for frame in images:
        assert (frame.width, frame.height, frame.step) == (160, 120, 480)
        assert frame.encoding == 'bgr8' and len(frame.data) == 160 * 120 * 3
        assert frame.header.frame_id == 'eye'
    stamps = [(frame.header.stamp.sec, frame.header.stamp.nanosec) for frame in images]
    assert stamps == sorted(set(stamps))
    named = [(label.header.stamp.sec, label.header.stamp.nanosec) for label in labels]
    assert set(named) <= set(stamps)
    assert {label.class_id for label in labels} <= set('0123456789')


def test_the_camera_turns_each_image_and_labels_the_time_that_it_shows_it(rig):
    images = rig.collect(Image, 'image', qos.sensor(100))
    labels = rig.collect(msg.Label, 'label', qos.LABEL)
    rig.bring_up(
        'dataset_camera',
        frames=40,
        frames_per_image=8,
        frame_rate=50.0,
        label_share=1.0,
        wait_for_subscribers=True,
        width=160,
        height=120,
    )
    rig.wait_for(lambda: rig.concern('dataset_camera') == 'finished')
    assert rig.health('dataset_camera', 'frames published') == '40'
    assert rig.health('dataset_camera', 'labels published') == '5'
    rig.wait_for(lambda: len(labels) == 5 and len(images) == 40)
    stamps = [(frame.header.stamp.sec, frame.header.stamp.nanosec) for frame in images]

    def places(named):
        return [stamps.index((stamp.sec, stamp.nanosec)) for stamp in named]

    assert places(label.header.stamp for label in labels) == [0, 8, 16, 24, 32]
    assert places(label.until for label in labels) == [7, 15, 23, 31, 39]
    # Within an image the ink moves by a few pixels, from image to image it is another digit's.
    frames = [np.frombuffer(frame.data, np.uint8).astype(float) for frame in images]
    changes = [np.abs(later - earlier).mean() for earlier, later in zip(frames, frames[1:])]
    switches = [changes.pop(last) for last in (31, 23, 15, 7)]
    assert min(switches) > max(changes)


def test_frames_that_are_late_have_the_stamp_of_when_they_were_due(rig):
    labels = rig.collect(msg.Label, 'label', qos.LABEL)
    # Drawing a frame takes longer than 1/240 s: some are skipped, the others are late.
    rig.bring_up(
        'dataset_camera', frames=20, frame_rate=240.0, label_share=1.0, width=1920, height=1440
    )
    rig.wait_for(lambda: rig.concern('dataset_camera') == 'finished' and len(labels) == 20)
    times = np.array(
        [label.header.stamp.sec * 10**9 + label.header.stamp.nanosec for label in labels]
    )
    periods = (times - times[0]) * 240e-9
    assert np.round(np.diff(periods)).min() >= 1 and periods[-1] > 30
    assert np.median(np.abs(periods - np.round(periods))) < 0.02


def test_a_dataset_that_is_not_there_is_said_in_one_line(rig, monkeypatch):
    monkeypatch.delenv('TOPSPARK_DATA', raising=False)
    process = rig.start('dataset_camera', dataset='mnist')
    rig.wait_for(lambda: 'TOPSPARK_DATA' in process.log)
    assert rig.state('dataset_camera') == 'unconfigured' and 'Traceback' not in process.log
