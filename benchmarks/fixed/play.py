"""One stream through the learner at a fixed setting, or under the controller, on a virtual clock.

The learner begins with an untrained network. The battery is full.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from topspark_ros.control.closed_loop import LearnerReport
from topspark_ros.engine import create_network
from topspark_ros.methodology.profile import DISCRIMINANT, load_profile
from topspark_ros.perception.assembly import assemble
from topspark_ros.perception.controller_parameters import TimestepControllerParameters
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.perception.online import OnlineStatus, Timesteps
from topspark_ros.perception.steering import Steering, profile_margins
from topspark_ros.replay.controlling import ReplayedController
from topspark_ros.replay.periods import Periods
from topspark_ros.replay.results import Decided
from topspark_ros.streams.share import FrameShare

from .streams import RATE_HZ, Frames

CONFIG = Path(__file__).parents[2] / 'config'
PROFILES = {  # of the rule of a network that sees images
    DISCRIMINANT: CONFIG / 'profile_digits.yaml',
    'recruiting': CONFIG / 'profile_recruiting.yaml',
}
EVENT_PROFILE = CONFIG / 'profile_events.yaml'
BATTERY_S = 1.0  # between two of its messages


class Setting(NamedTuple):
    """Training T, inference T, learning and frame share, as of Decision."""

    training: int
    inference: int
    learning_share: float = 1.0
    frame_share: float = 1.0

    def __str__(self) -> str:
        shares = f', {self.learning_share:g} learned' if self.learning_share != 1.0 else ''
        shares += f', {self.frame_share:g} of frames' if self.frame_share != 1.0 else ''
        return f'{self.training} / {self.inference}{shares}'


class Step(NamedTuple):
    """A power limit, W, from a time on, s; NaN: none."""

    begin_s: float
    power_w: float


class Played(NamedTuple):
    """What became of a stream.

    taken: whether each frame was processed, (frames,) bool.
    right: whether it was classified right, (frames,) bool; False: it may have been skipped.
    used_j: estimated, up to the end of each frame, (frames,) float64, J.
    processor_s: processor time of the learner's calls, s.
    decisions: of the controller.
    """

    taken: np.ndarray
    right: np.ndarray
    used_j: np.ndarray
    processor_s: float
    decisions: list[Decided]


def play_fixed(frames: Frames, rule: str, seed: int, setting: Setting) -> Played:
    # Nobody asks what other T are worth.
    steering = _learner(frames, rule, seed, trial_share=0.0)
    steering.apply(
        Timesteps(
            setting.training,
            setting.inference,
            setting.learning_share,
            sequence=1,
            frame_share=setting.frame_share,
        )
    )
    return _play(frames, steering, None, [])


def play_controlled(
    frames: Frames, rule: str, seed: int, limits: list[Step], metered: bool = False
) -> Played:
    """metered: the learner has the meter `processor`, which sees its calls; else the energy is
    estimated."""
    steering = _learner(frames, rule, seed, trial_share=SnnLearnerParameters.trial_share)
    parameters = TimestepControllerParameters(profile_file=str(_profile(frames, rule)))
    make = _MeteredController if metered else ReplayedController
    return _play(frames, steering, make(parameters, steering, 0.0), limits)


class _MeteredController(ReplayedController):
    """processor_s: processor time that the learner has taken so far, s."""

    processor_s = 0.0

    def _learner_report(self, now_s: float, status: OnlineStatus, skipped: int) -> LearnerReport:
        return replace(
            super()._learner_report(now_s, status, skipped),
            energy_j=self.processor_s * SnnLearnerParameters.core_power,
            learning_energy_j=0.0,
            trial_energy_j=0.0,
            metered=True,
        )


def _profile(frames: Frames, rule: str) -> Path:
    return EVENT_PROFILE if frames.input == 'events' else PROFILES[rule]


def _learner(frames: Frames, rule: str, seed: int, trial_share: float) -> Steering:
    profile = _profile(frames, rule)
    parameters = SnnLearnerParameters(
        rule=rule,
        input=frames.input,
        seed=seed,
        profile_file=str(profile),
        trial_share=trial_share,
    )
    network = create_network(parameters.network_config())
    return assemble(parameters, network, (), profile_margins(load_profile(profile)))


def _play(
    frames: Frames, steering: Steering, controller: ReplayedController | None, limits: list[Step]
) -> Played:
    learner, share = steering.learner, FrameShare()
    count = len(frames.labels)
    taken, right, used_j = np.zeros(count, bool), np.zeros(count, bool), np.zeros(count)
    statuses = Periods(0.0, SnnLearnerParameters.status_period)
    decisions = Periods(0.0, TimestepControllerParameters.control_period)
    batteries = Periods(-BATTERY_S, BATTERY_S)
    steps = iter(limits)
    step = next(steps, None)
    skipped, processor_s = 0, 0.0
    for number, (sample, label) in enumerate(zip(frames.samples, map(str, frames.labels))):
        now_s = number / RATE_HZ
        if controller is not None:
            if batteries.due_s <= now_s:
                batteries.go_on()
                controller.on_battery(now_s, _FULL_BATTERY)
            if step is not None and step.begin_s <= now_s:
                controller.on_budget(now_s, _budget(step.power_w), 0, 0)
                controller.decide(now_s)
                step = next(steps, None)
            if statuses.due_s <= now_s:
                statuses.go_on()
                if isinstance(controller, _MeteredController):
                    controller.processor_s = processor_s
                controller.on_status(now_s, learner.status(now_s), skipped)
            if decisions.due_s <= now_s:
                decisions.go_on()
                controller.decide(now_s)
        taken[number] = share.takes(steering.decided.frame_share)
        if taken[number]:
            stamp_ns = round((now_s + 1.0) * 1e9)  # 0 would be none
            began_s = time.thread_time()
            learner.add_label(stamp_ns, label)
            seen = learner.classify(stamp_ns, sample, now_s)
            processor_s += time.thread_time() - began_s
            right[number] = seen.class_name == label
        else:
            skipped += 1
        used_j[number] = learner.totals.energy_j
    return Played(
        taken, right, used_j, processor_s, [] if controller is None else controller.decisions
    )


def _budget(power_w: float) -> SimpleNamespace:
    """A PowerBudget."""
    return SimpleNamespace(
        header=SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=0)),
        source='operator',
        power=power_w,
        energy=math.nan,
        duration=math.nan,
        deadline=math.nan,
        min_accuracy=math.nan,
        lifetime=math.nan,
    )


# sensor_msgs/BatteryState.
_FULL_BATTERY = SimpleNamespace(
    percentage=1.0,
    voltage=math.nan,
    current=math.nan,
    charge=math.nan,
    capacity=math.nan,
    design_capacity=math.nan,
    present=True,
    power_supply_status=0,
)
