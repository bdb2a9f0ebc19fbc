"""The learner's meter, on a machine that is made of files and on this one."""

from __future__ import annotations

import math

from rig import Camera, image, msg

import pytest

from topspark_ros.control.meters import MeterSettings
from topspark_ros.nodes.metering import Metering


def test_a_meter_that_fails_for_a_while_is_read_again(rig, tmp_path):
    sensor, stat = tmp_path / 'sys/class/hwmon/hwmon0/power1_input', tmp_path / 'proc/stat'
    sensor.parent.mkdir(parents=True)
    stat.parent.mkdir()
    (sensor.parent / 'name').write_text('board\n')
    sensor.write_text('3000000\n')  # uW
    ticks = 0

    def read():
        nonlocal ticks
        ticks += 1
        stat.write_text(f'cpu  {ticks} 0 0 0 0 0 0 0 0 0\n')
        return metering.read()

    stat.write_text('cpu  0 0 0 0 0 0 0 0 0 0\n')
    metering = Metering(
        rig.node, 'hwmon', MeterSettings(10.0, 0.0, root=tmp_path), 2.0, lambda: ticks
    )
    before = read()
    assert before.power_w > 0 and metering.name == 'hwmon'

    sensor.rename(sensor.with_name('gone'))
    assert all(math.isnan(value) for value in read())
    assert metering.name == '' and metering.fault.startswith(f'meter hwmon: {sensor}')

    sensor.with_name('gone').rename(sensor)
    assert read().total_j > before.total_j > 0
    assert metering.name == 'hwmon' and metering.fault == ''


def test_processor_time_is_that_of_the_process(rig):
    """By /proc too: between two statuses in which it rests, with frames between them."""
    process = rig.start(
        'snn_learner',
        meter='processor',
        core_power=1.0,
        status_period=0.2,
        inference_timesteps=1000,  # a few frames are enough
    )
    statuses = rig.collect(msg.LearnerStatus, 'snn_learner/status')
    camera = Camera(rig)
    camera.meet(lambda: image(camera.next_digit()[0]))

    def spent_s() -> tuple[float, float]:
        """Processor time by the meter and by /proc, as of a status that is yet to come."""
        count = len(statuses)
        rig.wait_for(lambda: len(statuses) > count + 1, 'a status')
        return statuses[-1].energy_total_measured, process.processor_s

    metered_s, proc_s = spent_s()
    while statuses[-1].energy_total_measured < metered_s + 0.5:
        camera.teach(1)
    metered_s, proc_s = (after - before for after, before in zip(spent_s(), (metered_s, proc_s)))
    assert statuses[-1].meter == 'processor'
    assert metered_s / proc_s == pytest.approx(1.0, abs=0.1)  # /proc counts ticks of 0.01 s
