"""Hours of work: memory, threads and file handles of all nodes, once a second."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import NodeProcess, Robot, resident_bytes
from topspark_ros import msg

from . import Extent, Finding, Show, real

MINUTES = 30.0
FRAME_RATE_HZ = 60.0
WARM_UP_S = 60.0
MAX_GROWTH = 5 * 2**20
BUDGET_S, POWERS_W = 20.0, (2e-2, 1.6e-3, 1.5e-2)  # each for so long, over and over


class Sample(NamedTuple):
    """What a process has at a moment. memory: bytes."""

    memory: int
    threads: int
    handles: int


def run(extent: Extent, folder: Path, show: Show) -> list[Finding]:
    minutes = MINUTES if extent.minutes is None else extent.minutes
    seconds, warm_up_s = 60.0 * minutes, min(WARM_UP_S, 15.0 * minutes)
    steps = 1 + int(seconds // BUDGET_S)
    nodes = {
        'snn_learner': dict(
            input='compressed',
            queue_depth=4,
            checkpoint_period=10.0,
            checkpoint_file=str(folder / 'weights.topspark'),
        ),
        'timestep_controller': {},
        'battery_simulator': dict(time_compression=1000.0),
        'power_budget_schedule': dict(
            times=[number * BUDGET_S for number in range(steps)],
            power=[POWERS_W[number % len(POWERS_W)] for number in range(steps)],
        ),
    }
    with Robot(folder) as robot:
        statuses = robot.collect(msg.LearnerStatus, 'snn_learner/status')
        processes = [robot.start(name, **values) for name, values in nodes.items()]
        camera = real.Camera(robot, FRAME_RATE_HZ, compressed=True)
        camera.show_until(lambda: statuses and statuses[-1].frames_learned, 'learning')
        begin_s = time.monotonic()
        before, sent = statuses[-1], camera.sent
        samples: list[dict[str, Sample]] = []
        while (passed_s := time.monotonic() - begin_s) < seconds:
            show(f'{(seconds - passed_s) / 60:.1f} min to go')
            camera.show(1.0)
            samples.append({process.name: sample(process) for process in processes})
            del statuses[:-1]
        sent, took_s = camera.sent - sent, time.monotonic() - begin_s
        robot.spin(1.0)  # for the status that counts the last ones
        classified = statuses[-1].frames_classified - before.frames_classified
        dropped = statuses[-1].frames_dropped - before.frames_dropped
    findings = [
        Finding(
            f'{FRAME_RATE_HZ:g} JPEG frames a second to be classified and learned',
            f'{minutes:g} min',
            f'{sent:,} frames sent at {sent / took_s:.1f} a second, {classified:,} classified, '
            f'{dropped:,} dropped',
            'all nodes stay up',
            True,
        )
    ]
    # Medians, since a garbage collector comes and goes.
    first = int(warm_up_s)
    width = max(1, min(60, (len(samples) - first) // 3))
    for name in nodes:
        course = [entry[name] for entry in samples]
        figures = []
        met = True
        for field, unit, most in (
            ('memory', 2**20, MAX_GROWTH / 2**20),
            ('threads', 1, 0),
            ('handles', 1, 0),
        ):
            values = [getattr(entry, field) / unit for entry in course]
            start = statistics.median(values[first : first + width])
            end = statistics.median(values[-width:])
            met &= end - start <= most
            figures.append(
                f'{start:.0f} {end - start:+.1f} MB'
                if field == 'memory'
                else f'{start:.0f} {end - start:+.0f} {field}'
            )
        findings.append(
            Finding(
                f'the same: memory, threads and file handles of {name}, after {warm_up_s:g} s',
                f'{len(course):,} samples',
                ', '.join(figures),
                f'{MAX_GROWTH // 2**20} MB, no thread and no handle more',
                met,
            )
        )
    return findings


def sample(process: NodeProcess) -> Sample:
    folder = Path(f'/proc/{process.pid}')
    return Sample(
        resident_bytes(process.pid),
        sum(1 for _ in (folder / 'task').iterdir()),
        sum(1 for _ in (folder / 'fd').iterdir()),
    )
