"""The learner's meter, on a machine that is made of files."""

from __future__ import annotations

import math

from rig import msg  # noqa: F401  skips without ROS

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
