"""The controller live: processes on the wall clock, and power as /proc tells it.

A camera shows digits, 640x480 bgr8 at 30 Hz, half of them labelled. The learner meters itself
(`meter: processor`). The power limit steps over a factor of LIMIT_RANGE below what the learner
draws without a limit, and a process that keeps one core busy comes and goes. What the learner draws
is its processor time, read here from outside, times CORE_POWER_W.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rclpy

from topspark_ros import msg
from topspark_ros.cli import ros
from topspark_ros.methodology.profile import DISCRIMINANT
from topspark_ros.nodes import qos
from topspark_ros.perception.messages import stamp_ns

from ..faults.real import budget
from ..fixed.play import PROFILES
from ..processes import Robot, processor_time_s
from .metrics import CAUSE_S, window_excesses
from .parts import HOUR_S, TICK_S, Span

RATE_HZ = 30.0
LABELLED = 0.5  # share of the frames
CORE_POWER_W = 10.0
LIMIT_RANGE, LEVELS = 8.0, 7
LIMIT_S = 40.0, 50.0  # between two steps of the limit, least and most: a window of 30 s fits
LOAD_S = 15.0, 60.0  # that another process is there, or not
WARM_UP_S, UNLIMITED_S = 20.0, 20.0  # and what is drawn without a limit is measured
BUSY = 'while True: pass'
LAST_DOMAIN = 101  # the ports of higher ones may be those of other connections

Setting = tuple[int, int, float, float]  # as Decision.setting


class Plan(NamedTuple):
    """limits: begin, s, and share of what is drawn without a limit. loads: when a core is busy."""

    duration_s: float
    limits: list[tuple[float, float]]
    loads: list[Span]


class Run(NamedTuple):
    """What came of a plan. Times are from the first limit on, s.

    unlimited_w: drawn without a limit, W.
    used_j: since then, at every tick, (ticks + 1,) float64.
    settings: (time, setting) of each change, the first before 0.
    frames: (time, right) of each labelled frame that was classified.
    sent, classified: frames.
    metered_s, proc_s: processor time by the learner's meter and by /proc/PID/stat between its
        first status and its last, s.
    """

    plan: Plan
    unlimited_w: float
    used_j: np.ndarray
    settings: list[tuple[float, Setting]]
    frames: list[tuple[float, bool]]
    sent: int
    classified: int
    metered_s: float
    proc_s: float

    @property
    def limits_w(self) -> np.ndarray:
        """In each tick, (ticks,)."""
        begins_s = [begin_s for begin_s, _ in self.plan.limits]
        ticks_s = TICK_S * (np.arange(len(self.used_j) - 1) + 0.5)
        shares = np.array([share for _, share in self.plan.limits])
        return self.unlimited_w * shares[np.searchsorted(begins_s, ticks_s) - 1]


class Level(NamedTuple):
    """What was done at one limit; shares of its time, by setting, the most frequent first."""

    limit: float  # of what is drawn without one
    power: float  # drawn, of the limit
    accuracy: float
    settings: list[tuple[Setting, float]]


class LiveFigures(NamedTuple):
    """excess: of the worst window of 30 s, see `metrics`. mean: power over limit, of all.

    changes, share_changes: of T or learning, and of the share of frames alone, an hour, without a
        step of the limit or of the load in the CAUSE_S before.
    processed: of all frames that came, 0..1.
    metered: the learner's meter over /proc.
    """

    excess: float
    mean: float
    changes: float
    share_changes: float
    accuracy: float
    processed: float
    metered: float
    unlimited_w: float
    core_power_w: float
    levels: list[Level]


def make_plan(seed: int, duration_s: float) -> Plan:
    rng = np.random.default_rng(seed)
    shares = LIMIT_RANGE ** -np.linspace(0.0, 1.0, LEVELS)
    limits: list[tuple[float, float]] = []
    begin_s = 0.0
    while begin_s < duration_s:
        if len(limits) % LEVELS == 0:
            order = rng.permutation(LEVELS)
        limits.append((begin_s, float(shares[order[len(limits) % LEVELS]])))
        begin_s += rng.uniform(*LIMIT_S)
    loads, begin_s = [], rng.uniform(*LOAD_S)
    while begin_s < duration_s:
        end_s = begin_s + rng.uniform(*LOAD_S)
        loads.append(Span(begin_s, min(end_s, duration_s), 'load'))
        begin_s = end_s + rng.uniform(*LOAD_S)
    return Plan(duration_s, limits, loads)


def run_live(seed: int, duration_s: float) -> Run:
    with lonely_robot() as robot:
        return Live(robot, seed).run(make_plan(seed, duration_s))


@contextmanager
def lonely_robot() -> Iterator[Robot]:
    """Whoever else starts nodes in a domain makes all of its processes work: discovery."""
    ros.keep_local()
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % LAST_DOMAIN))
    rclpy.init()
    try:
        with tempfile.TemporaryDirectory() as folder, Robot(Path(folder)) as robot:
            yield robot
    finally:
        rclpy.shutdown()


def start_camera(robot: Robot, seed: int) -> None:
    robot.start(
        'dataset_camera',
        width=640,
        height=480,
        frame_rate=RATE_HZ,
        label_share=LABELLED,
        seed=seed,
    )


class Live:
    """The processes, and what is heard of them."""

    def __init__(self, robot: Robot, seed: int) -> None:
        self._robot = robot
        self._statuses = robot.collect(msg.LearnerStatus, 'snn_learner/status')
        self._decisions = robot.collect(msg.TimestepDecision, 'timestep_decision', qos.DECISIONS)
        self._labels = robot.collect(msg.Label, 'label')
        self._seen = robot.collect(msg.Classification, 'classification')
        self._budgets = robot.node.create_publisher(msg.PowerBudget, 'power_budget', qos.BUDGETS)
        metered = dict(meter='processor', core_power=CORE_POWER_W)
        self._pid = robot.start('snn_learner', **metered).pid
        robot.start(
            'timestep_controller', core_power=CORE_POWER_W, profile_file=str(PROFILES[DISCRIMINANT])
        )
        robot.wait_until_active('snn_learner')
        robot.wait_until_active('timestep_controller')
        start_camera(robot, seed)
        robot.wait_for(lambda: len(self._seen) > RATE_HZ, 'classified frames')

    def run(self, plan: Plan) -> Run:
        robot = self._robot
        robot.spin(WARM_UP_S)
        before_s, began_s = processor_time_s(self._pid), time.monotonic()
        robot.spin(UNLIMITED_S)
        unlimited_w = (
            CORE_POWER_W * (processor_time_s(self._pid) - before_s) / (time.monotonic() - began_s)
        )
        first_status, first_proc_s = self._next_status()
        shown = self._frames_shown()
        began_s, began_ns = time.monotonic(), time.time_ns()
        used_j = self._live_through(plan, unlimited_w, began_s)
        shown = self._frames_shown() - shown
        last_status, last_proc_s = self._next_status()

        def since(message) -> float:
            return (stamp_ns(message.header.stamp) - began_ns) * 1e-9

        right = {stamp_ns(label.header.stamp): label.class_id for label in self._labels}
        return Run(
            plan,
            unlimited_w,
            used_j,
            self._settings(since),
            [
                (since(seen), right[stamp] == seen.class_id)
                for seen in self._seen
                if 0.0 <= since(seen) < plan.duration_s
                and (stamp := stamp_ns(seen.header.stamp)) in right
            ],
            shown,
            last_status.frames_classified - first_status.frames_classified,
            (last_status.energy_total_measured - first_status.energy_total_measured) / CORE_POWER_W,
            last_proc_s - first_proc_s,
        )

    def _live_through(self, plan: Plan, unlimited_w: float, began_s: float) -> np.ndarray:
        """What the learner has used at every tick, J."""
        limits, times_s, spent_s = iter(plan.limits), [], []
        limit = next(limits)
        with busy_core() as load:
            while (now_s := time.monotonic() - began_s) < plan.duration_s + TICK_S:
                times_s.append(now_s)
                spent_s.append(processor_time_s(self._pid))
                if limit is not None and limit[0] <= now_s:
                    self._budgets.publish(budget('operator', unlimited_w * limit[1]))
                    limit = next(limits, None)
                load(any(span.begin_s <= now_s < span.end_s for span in plan.loads))
                self._robot.spin(TICK_S / 2)
        ticks_s = TICK_S * np.arange(round(plan.duration_s / TICK_S) + 1)
        return CORE_POWER_W * (np.interp(ticks_s, times_s, spent_s) - spent_s[0])

    def _settings(self, since) -> list[tuple[float, Setting]]:
        settings: list[tuple[float, Setting]] = []
        for decision in self._decisions:
            setting = (
                decision.training_timesteps,
                decision.inference_timesteps,
                decision.learning_share,
                decision.frame_share,
            )
            if not settings or setting != settings[-1][1]:
                settings.append((since(decision), setting))
        return settings

    def _next_status(self) -> tuple[msg.LearnerStatus, float]:
        """And the learner's processor time by /proc, s."""
        count = len(self._statuses)
        self._robot.wait_for(lambda: len(self._statuses) > count, 'a status')
        return self._statuses[-1], proc_time_s(self._pid)

    def _frames_shown(self) -> int:
        return int(self._robot.fresh_health('dataset_camera').values['frames published'])


def proc_time_s(pid: int) -> float:
    """Processor time of a process by /proc/PID/stat, to one tick, s."""
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


@contextmanager
def busy_core() -> Iterator:
    """Called with whether a process that keeps one core busy is to be there."""
    process: subprocess.Popen | None = None

    def load(wanted: bool) -> None:
        nonlocal process
        if wanted and process is None:
            process = subprocess.Popen([sys.executable, '-c', BUSY])
        elif not wanted and process is not None:
            process.kill()
            process.wait()
            process = None

    try:
        yield load
    finally:
        load(False)


# Judgement -------------------------------------------------------------------------------------


def judge_live(run: Run) -> LiveFigures:
    limits_w = run.limits_w
    allowed_j = TICK_S * limits_w.sum()
    excesses = window_excesses(limits_w, run.used_j)
    changes = unprovoked(run)
    return LiveFigures(
        excess=float(excesses.max()) if len(excesses) else math.nan,
        mean=float(run.used_j[-1] / allowed_j),
        changes=changes[False] * HOUR_S / run.plan.duration_s,
        share_changes=changes[True] * HOUR_S / run.plan.duration_s,
        accuracy=_accuracy(run.frames),
        processed=run.classified / run.sent,
        metered=run.metered_s / run.proc_s,
        unlimited_w=run.unlimited_w,
        core_power_w=CORE_POWER_W,
        levels=[_level(run, share) for share in sorted({share for _, share in run.plan.limits})],
    )


def unprovoked(run: Run) -> Counter[bool]:
    """How often the setting changed without a step of limit or load in the CAUSE_S before, by
    whether the share of frames alone did."""
    causes_s = [begin_s for begin_s, _ in run.plan.limits]
    causes_s += [time_s for span in run.plan.loads for time_s in (span.begin_s, span.end_s)]
    return Counter(
        before[:3] == setting[:3]
        for (_, before), (time_s, setting) in zip(run.settings, run.settings[1:])
        if 0.0 <= time_s < run.plan.duration_s
        and not any(cause_s <= time_s <= cause_s + CAUSE_S for cause_s in causes_s)
    )


def _level(run: Run, share: float) -> Level:
    limits_w = run.limits_w
    here = np.isclose(limits_w, share * run.unlimited_w)
    ticks_s = TICK_S * (np.arange(len(limits_w)) + 0.5)
    begins_s = [begin_s for begin_s, _ in run.settings]
    of_tick = np.searchsorted(begins_s, ticks_s[here]) - 1
    count = Counter(run.settings[max(number, 0)][1] for number in of_tick)
    return Level(
        share,
        float(np.diff(run.used_j)[here].sum() / (TICK_S * limits_w[here].sum())),
        _accuracy([(time_s, right) for time_s, right in run.frames if here[int(time_s / TICK_S)]]),
        [(setting, ticks / here.sum()) for setting, ticks in count.most_common()],
    )


def _accuracy(frames: list[tuple[float, bool]]) -> float:
    return float(np.mean([right for _, right in frames])) if frames else math.nan
