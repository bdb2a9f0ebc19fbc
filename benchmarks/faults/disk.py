"""The disk that weights are saved to: full, and read-only. Needs root, to mount one of its own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import Robot
from topspark_ros.engine import load_checkpoint

from . import Extent, Finding, Show, real

TIMES = 5
PERIOD_S = 1.0  # of checkpoints
NOTICE_S = 20.0  # for diagnostics to tell, and to be well again
OUTAGE_S = 3.0  # of which diagnostics have told
DISK_BYTES = 16 * 2**20
LOG_PERIOD_S = 5.0  # an error that lasts is logged once in
ERROR, OK = 2, 0


def run(extent: Extent, folder: Path, show: Show) -> list[Finding]:
    if os.geteuid() != 0:
        return [
            Finding(
                'a full and a read-only disk', 'not tried', 'needs root, to mount one', '', False
            )
        ]
    mount = folder / 'disk'
    mount.mkdir()
    with mounted(mount):
        return [
            fail('a full disk', 'no space left', mount, extent, folder, show, filled),
            fail(
                'a disk that is read-only from now on',
                'read-only',
                mount,
                extent,
                folder,
                show,
                read_only,
            ),
        ]


def fail(
    what: str,
    complaint: str,
    mount: Path,
    extent: Extent,
    folder: Path,
    show: Show,
    broken: Callable[[Path], object],
) -> Finding:
    times, notice_s = extent.times or TIMES, NOTICE_S * extent.patience
    weights = mount / 'weights.topspark'
    weights.unlink(missing_ok=True)
    unsaid, damaged, unwell, left, told_s = 0, 0, 0, 0, []
    with Robot(folder) as robot:
        learner = robot.start(
            'snn_learner', checkpoint_file=str(weights), checkpoint_period=PERIOD_S
        )
        camera = real.Camera(robot, 20.0)
        camera.show_until(weights.exists, 'a first checkpoint')
        lines, outages_s = 0, 0.0
        for number in range(times):
            show(f'{what}, {number} of {times}')
            camera.show(2.0 * PERIOD_S)
            begin_s = time.monotonic()
            with broken(mount):
                before = digest(weights)
                if camera.show(notice_s, lambda: is_told(robot, weights, complaint)):
                    told_s.append(time.monotonic() - begin_s)
                else:
                    unsaid += 1
                camera.show(OUTAGE_S)
                damaged += digest(weights) != before
                load_checkpoint(weights)
            outages_s += time.monotonic() - begin_s
            unwell += not camera.show(
                notice_s,
                lambda: robot.health['snn_learner'].level == OK and digest(weights) != before,
            )
            left = max(left, sum(path.suffix == '.tmp' for path in mount.iterdir()))
        lines = learner.log.lower().count(complaint)
        learner.stop()
    most = times + outages_s / LOG_PERIOD_S
    return Finding(
        f'{what}, while a learner saves its weights each {PERIOD_S:g} s',
        f'{times} times',
        f'{damaged} checkpoints damaged, {unsaid} times not told in diagnostics (told after at '
        f'most {max(told_s, default=0.0):.1f} s), {unwell} times not well afterwards, {left} files '
        f'left behind, {lines} log lines in {outages_s:.0f} s',
        f'ERROR in diagnostics, the old checkpoint whole, saved and well again when it can be, a '
        f'log line each {LOG_PERIOD_S:g} s at most',
        not (damaged or unsaid or unwell or left) and 0 < lines <= most,
    )


def is_told(robot: Robot, weights: Path, complaint: str) -> bool:
    health = robot.health.get('snn_learner')
    return (
        health is not None
        and health.level == ERROR
        and complaint in health.message.lower()
        and str(weights) in health.message
    )


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def mounted(mount: Path) -> Iterator[None]:
    """A small disk in memory."""
    subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={DISK_BYTES}', 'tmpfs', mount], check=True)
    try:
        yield
    finally:
        subprocess.run(['umount', mount], check=True)


@contextmanager
def filled(mount: Path) -> Iterator[None]:
    filler = mount / 'filler'
    with open(filler, 'wb', buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:  # as intended
            pass
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def read_only(mount: Path) -> Iterator[None]:
    def remount(how: str) -> None:
        # A save that is under way keeps it busy for a moment.
        end_s = time.monotonic() + NOTICE_S
        while subprocess.run(
            ['mount', '-o', f'remount,{how}', mount], capture_output=True
        ).returncode:
            if time.monotonic() > end_s:
                raise RuntimeError(f'{mount} cannot be remounted {how}')

    remount('ro')
    try:
        yield
    finally:
        remount('rw')
