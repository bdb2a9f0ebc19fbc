"""The faults of benchmarks/faults, each tried a few times: what may not be lost is not.

How fast the machine is does not count.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # last, or its source would hide the built package

pytest.importorskip('rclpy', reason='needs ROS 2 and the built package: run `make test`')
pytest.importorskip('event_camera_msgs.msg', reason='needs event_camera_msgs: run `make test`')

from benchmarks.faults import (
    Extent,
    clock,
    decoders,
    disk,
    endurance,
    garbage,
    kills,
    overload,
    restarts,
)

PATIENCE = 20.0


def find(family, folder, **extent):
    """The findings of one family, all of which have to be met."""
    findings = family.run(Extent(**extent, patience=PATIENCE), folder, lambda line: None)
    assert not [finding for finding in findings if not finding.met]
    return findings


def test_a_learner_that_is_killed_keeps_what_it_has_saved(domain, tmp_path):
    find(kills, tmp_path, times=2)


def test_the_others_of_a_robot_killed_and_back(domain, tmp_path):
    find(restarts, tmp_path, times=1)


def test_garbage_on_every_topic(domain, tmp_path):
    find(garbage, tmp_path, minutes=0.05)


def test_a_camera_that_is_too_fast(domain, tmp_path):
    find(overload, tmp_path, minutes=0.03)


@pytest.mark.skipif(os.geteuid() != 0, reason='needs root, to mount a disk of its own')
def test_a_disk_that_is_full_or_read_only(domain, tmp_path):
    find(disk, tmp_path, times=1)


def test_a_clock_that_is_set(domain, tmp_path):
    find(clock, tmp_path, times=2)


def test_no_thread_and_no_handle_is_left_behind(domain, tmp_path):
    """Memory takes longer to judge than a test may last."""
    findings = endurance.run(Extent(minutes=0.05), tmp_path, lambda line: None)
    assert all(
        ' +0 threads, ' in finding.lost and finding.lost.endswith(' +0 handles')
        for finding in findings[1:]
    )


def test_damaged_event_packets(tmp_path):
    find(decoders, tmp_path, times=6 * 4096)
