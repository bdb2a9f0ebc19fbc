"""Controller, battery and camera killed and started again, in turn, in a running robot."""

from __future__ import annotations

import itertools
import random
import time
from pathlib import Path

from benchmarks.processes import Robot
from topspark_ros import msg
from topspark_ros.nodes import qos

from . import Extent, Finding, Show, real

TIMES = 10  # each of the nodes
MAX_AWAY_S = 3.0
RECOVERY_S = 30.0  # to be itself again, once it has started
MAX_PAUSE_S = 2.0  # between two classifications on a busy machine, while the camera runs
END_S = 10.0
POWERS_W = 6e-4, 1e-2  # with the shipped profile at that rate: learning is off, and on
CAMERA = {'frame_rate': 20.0, 'label_share': 1.0}


def run(extent: Extent, folder: Path, show: Show) -> list[Finding]:
    times = extent.times or TIMES
    recovery_s = RECOVERY_S * extent.patience
    chance = random.Random(0)
    heard: dict[str, list[float]] = {'classification': [], 'decision': []}
    findings = []
    with Robot(folder) as robot:
        node = robot.node
        node.create_subscription(
            msg.Classification,
            'classification',
            lambda message: heard['classification'].append(time.monotonic()),
            qos.RESULT,
        )
        decisions = robot.collect(msg.TimestepDecision, 'timestep_decision', qos.DECISIONS)
        statuses = robot.collect(msg.LearnerStatus, 'snn_learner/status')
        states = robot.collect(msg.ControllerStatus, 'timestep_controller/status')
        budgets = node.create_publisher(msg.PowerBudget, 'power_budget', qos.STATE)
        powers_w = itertools.cycle(POWERS_W)

        processes = {'snn_learner': robot.start('snn_learner', status_period=0.1)}
        parameters = {'timestep_controller': {}, 'battery_simulator': {}, 'dataset_camera': CAMERA}
        for name, values in parameters.items():
            processes[name] = robot.start(name, **values)
        robot.wait_for(lambda: statuses and statuses[-1].frames_learned and decisions, 'learning')

        def decides() -> bool:
            """A new limit is answered, and what was decided is applied."""
            seen = len(decisions)
            budgets.publish(real.budget(power_w=next(powers_w)))
            return robot.spin(
                recovery_s,
                lambda: (
                    len(decisions) > seen
                    and statuses
                    and statuses[-1].decision_sequence == decisions[-1].sequence
                ),
            )

        def battery_is_known() -> bool:
            states.clear()
            return robot.spin(
                recovery_s,
                lambda: states and states[-1].battery == msg.ControllerStatus.BATTERY_KNOWN,
            )

        def sees() -> bool:
            seen = len(heard['classification'])
            return robot.spin(recovery_s, lambda: len(heard['classification']) > seen + 20)

        recovers = {
            'timestep_controller': decides,
            'battery_simulator': battery_is_known,
            'dataset_camera': sees,
        }
        for name, values in parameters.items():
            stuck, pauses_s, took_s, stopped = 0, [], [], 0
            for number in range(times):
                show(f'{name}, {number} of {times}')
                processes[name].kill()
                statuses.clear()
                seen = len(heard['classification'])
                robot.spin(chance.uniform(1.0, MAX_AWAY_S))
                processes[name] = robot.start(name, **values)
                robot.wait_until_active(name)
                begin_s = time.monotonic()
                stuck += not recovers[name]()
                took_s.append(time.monotonic() - begin_s)
                if name != 'dataset_camera':
                    times_s = heard['classification'][max(seen - 1, 0) :]
                    pauses_s += [b - a for a, b in zip(times_s, times_s[1:])]
                    stuck += not sees()
                stopped += not processes['snn_learner'].running
            pause = (
                f'; at most {max(pauses_s):.2f} s between two classifications' if pauses_s else ''
            )
            findings.append(
                Finding(
                    f'{name} killed, away for 1 to {MAX_AWAY_S:g} s, and back',
                    f'{times} times',
                    f'{stuck} times something stayed stuck; well again after at most '
                    f'{max(took_s):.1f} s{pause}',
                    f'the learner goes on'
                    f'{f", no pause above {MAX_PAUSE_S:g} s" if pauses_s else ""}; nothing stuck',
                    not stuck
                    and not stopped
                    and max(pauses_s, default=0.0) <= MAX_PAUSE_S * extent.patience,
                )
            )
        ends_s = [process.stop() for process in processes.values()]
        findings.append(
            Finding(
                'all nodes asked to end after that',
                f'{len(ends_s)} nodes',
                f'the slowest took {max(ends_s):.1f} s',
                f'{END_S:g} s',
                max(ends_s) <= END_S * extent.patience,
            )
        )
    return findings
