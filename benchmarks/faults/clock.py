"""The clock of a simulation set back and forth under running nodes."""

from __future__ import annotations

import math
import random
import time
from pathlib import Path

from builtin_interfaces.msg import Time
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock

from benchmarks.processes import Robot
from topspark_ros import msg
from topspark_ros.nodes import qos

from . import Extent, Finding, Show, real

TIMES = 50
NODES = 'snn_learner', 'timestep_controller', 'battery_simulator'
JUMPS_S = 315_360_000.0, 0.5, 3600.0, 3.0, 86_400.0, 60.0, 31_536_000.0
BEGIN_S = 1_700_000_000.0
LATEST_S = 4_000_000_000.0  # the seconds of a stamp have 32 bits, one for the sign, here
TICK_S = 0.02
YEAR_S = 31_536_000.0
RECOVERY_S = 15.0
NOTHING_W, UNLIMITED_W = 1e-9, math.nan  # a limit that no setting keeps, and none


class SimulatedClock:
    """Goes on as the machine's, from a moment that can be set. Published while its timer runs."""

    def __init__(self, robot: Robot):
        self._began_s, self._offset_s = time.monotonic(), BEGIN_S
        self._publisher = robot.node.create_publisher(Clock, '/clock', QoSProfile(depth=10))
        robot.node.create_timer(TICK_S, self._tick)

    @property
    def now_s(self) -> float:
        return self._offset_s + time.monotonic() - self._began_s

    def set(self, now_s: float) -> None:
        self._offset_s += now_s - self.now_s
        self._tick()

    def stamp(self) -> Time:
        sec, nanosec = divmod(round(self.now_s * 1e9), 10**9)
        return Time(sec=sec, nanosec=nanosec)

    def _tick(self) -> None:
        self._publisher.publish(Clock(clock=self.stamp()))


def run(extent: Extent, folder: Path, show: Show) -> list[Finding]:
    times, recovery_s = extent.times or TIMES, RECOVERY_S * extent.patience
    chance = random.Random(0)
    troubles: list[str] = []
    took_s = []
    with Robot(folder) as robot:
        clock = SimulatedClock(robot)
        camera = real.Camera(robot, 20.0, stamp=clock.stamp)
        statuses = robot.collect(msg.LearnerStatus, 'snn_learner/status')
        decisions = robot.collect(msg.TimestepDecision, 'timestep_decision', qos.DECISIONS)
        states = robot.collect(msg.ControllerStatus, 'timestep_controller/status')
        budgets = robot.node.create_publisher(msg.PowerBudget, 'power_budget', qos.STATE)
        processes = [robot.start(name, use_sim_time=True) for name in NODES]
        camera.show_until(
            lambda: (
                statuses
                and statuses[-1].frames_learned
                and states
                and decisions
                and all(name in robot.health for name in NODES)
            ),
            'learning, decisions and diagnostics',
        )
        for number in range(times):
            jump_s = JUMPS_S[number // 2 % len(JUMPS_S)] * (1 if number % 2 == 0 else -1)
            show(f'{number} of {times}: {jump_s:+g} s')
            camera.show(chance.uniform(0.5, 1.5))
            clock.set(min(max(clock.now_s + jump_s, 1.0), LATEST_S / 2))
            begin_s = time.monotonic()
            for what, holds in expectations(robot, statuses, decisions, states, budgets):
                if not camera.show(recovery_s, holds):
                    troubles.append(f'after {jump_s:+g} s: no {what} within {recovery_s:g} s')
            took_s.append(time.monotonic() - begin_s)
        for process in processes:
            if 'Traceback' in process.log:
                troubles.append(f'{process.name}: a traceback')
            process.stop()
    return [
        Finding(
            f'/clock set by {min(JUMPS_S):g} s to {max(JUMPS_S) / YEAR_S:g} years, forth and back, '
            f'under {", ".join(NODES)}',
            f'{times} times',
            '; '.join(troubles)
            or 'nothing: classified, learned, decided, reported and well again '
            f'after at most {max(took_s):.1f} s',
            f'all of it goes on within {RECOVERY_S:g} s',
            not troubles,
        )
    ]


def expectations(robot: Robot, statuses: list, decisions: list, states: list, budgets):
    """(what, condition) that comes true with what is heard from now on."""
    last = statuses[-1]
    heard = len(statuses), len(states), len(decisions)
    health = {name: robot.health[name].number for name in NODES}
    yield 'status', lambda: len(statuses) > heard[0] + 2 and len(states) > heard[1] + 2
    yield 'classification', lambda: statuses[-1].frames_classified > last.frames_classified + 10
    yield 'learning', lambda: statuses[-1].frames_learned > last.frames_learned + 10
    budgets.publish(real.budget(power_w=NOTHING_W))
    yield 'decision', lambda: len(decisions) > heard[2]
    limited = len(decisions)
    budgets.publish(real.budget(power_w=UNLIMITED_W))
    yield 'decision without a limit', lambda: len(decisions) > limited
    yield 'application of it', lambda: statuses[-1].decision_sequence == decisions[-1].sequence
    yield (
        'diagnostics without an error',
        lambda: all(
            robot.health[name].number > health[name] + 1 and robot.health[name].level < 2
            for name in NODES
        ),
    )
