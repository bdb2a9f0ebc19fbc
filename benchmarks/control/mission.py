"""One mission: a trace, lived through by the learner with real engine work on a virtual clock.

What perception uses is counted, operation by operation, while the camera's frames are classified
and learned. How long that takes is the right profile's inference times and a fixed overhead, times
the processor load of the trace: measured times would differ from run to run.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from topspark_ros.control.closed_loop import LearnerReport
from topspark_ros.engine import (
    AnyConfig,
    DiscriminantConfig,
    NetworkConfig,
    NeuronConfig,
    create_network,
)
from topspark_ros.methodology.energy import ENERGY_TABLES
from topspark_ros.methodology.profile import DISCRIMINANT, Profile, load_profile
from topspark_ros.perception.controlling import accuracy_of
from topspark_ros.perception.online import OnlineLearner, OnlineSettings, Timesteps
from topspark_ros.perception.trials import TrialSettings
from topspark_ros.streams.share import FrameShare

from ..fixed.play import PROFILES
from .battery import Battery
from .camera import SIDE, Camera
from .parts import TICK_S, part_at
from .policies import Deciding, Fixed, Setting, policies
from .trace import Trace, make_trace

OVERHEAD_S = 0.3e-3  # of a frame beyond its inference
DECIDE_TICKS, STATUS_TICKS, BATTERY_TICKS = 2, 5, 10
LEFT_OUT, WRONG, RIGHT = -1, 0, 1


class History(NamedTuple):
    """What became of a mission.

    used_j: since the beginning, at every tick, (ticks + 1,) float64.
    outcomes: LEFT_OUT, WRONG or RIGHT, (frames,) int8.
    learned: frames.
    settings: (time, setting) of each change.
    charges: (time, state of charge, what was told of it), told NaN: nothing, or no percentage.
    plans: (time, mean power) of each plan that makes the energy last; none by simple rules.
    ran_out_s: when the energy did not do for another frame; NaN: never.
    """

    used_j: np.ndarray
    outcomes: np.ndarray
    learned: int
    settings: list[tuple[float, Setting]]
    charges: list[tuple[float, float, float]]
    plans: list[tuple[float, float]]
    ran_out_s: float


def run_mission(rule: str, seed: int, duration_s: float, name: str) -> History:
    """rule: of the network. name: of the policy."""
    profile = load_profile(PROFILES[rule])
    trace = make_trace(seed, duration_s, profile)
    return Mission(trace, seed, profile, policies(profile)[name](trace.profile)).run()


def _network(profile: Profile, seed: int) -> tuple[AnyConfig, int, int]:
    """The network of a profile, and side and channels of the pictures that it sees."""
    measured = dict(profile.network)
    if measured.pop('rule') == DISCRIMINANT:
        config = DiscriminantConfig(**measured)
        return config, config.side, config.channels
    neuron = NeuronConfig(inference_spikes=measured.pop('inference_spikes'))
    single = NetworkConfig(rule=profile.network['rule'], seed=seed, neuron=neuron, **measured)
    return single, SIDE, 1


class Mission:
    def __init__(self, trace: Trace, seed: int, profile: Profile, policy: Deciding) -> None:
        config, side, channels = _network(profile, seed)
        self._camera = Camera(trace, seed, side, channels)
        self._trace, self._policy = trace, policy
        self._inference_s = {point.timesteps: point.inference.latency_s for point in profile.points}
        self._min_j = profile.points[0].inference.energy_j
        largest = profile.reference.timesteps
        # Who chooses whatever the learner reports has no use for trials.
        trials = TrialSettings(
            {point.timesteps: point.inference.margin for point in profile.points},
            0.0 if isinstance(policy, Fixed) else TrialSettings.energy_share,
        )
        self._learner = OnlineLearner(
            create_network(config),
            tuple(map(str, range(10))),
            Timesteps(largest, largest),
            OnlineSettings(trials=trials),
            ENERGY_TABLES[profile.energy_model],
        )
        self._share = FrameShare()
        self._setting: Setting = largest, largest, 1.0, 1.0
        self._skipped = self._learned = 0
        self._used_before_j = 0.0  # the learner's last restart
        self._battery = Battery(trace)
        self._ran_out_s = math.nan
        self._outcomes = np.full(len(trace.frames_s), LEFT_OUT, np.int8)
        self._settings: list[tuple[float, Setting]] = []
        self._charges: list[tuple[float, float, float]] = []

    def run(self) -> History:
        trace = self._trace
        ticks = round(trace.duration_s / TICK_S)
        used_j = np.zeros(ticks + 1)
        messages, frames, dead = iter(trace.messages), 0, False
        message = next(messages, None)
        for tick in range(ticks + 1):
            now_s = tick * TICK_S
            while frames < len(trace.frames_s) and trace.frames_s[frames] <= now_s:
                if not dead:
                    self._see(frames, trace.frames_s[frames])
                frames += 1
            dead, was_dead = trace.fault('dead', now_s), dead
            if dead and not was_dead:
                self._restart()
            used_j[tick] = self._used_j
            if not dead:
                if not self._is_out:
                    self._learner.learn_due(now_s)
                if tick % STATUS_TICKS == 0:
                    self._report(now_s)
            if tick % BATTERY_TICKS == 0:
                self._tell_charge(now_s)
            heard = False
            while message is not None and message.time_s <= now_s + TICK_S / 2:
                self._policy.on_budget(now_s, message.source, message.budget)
                message, heard = next(messages, None), True
            if heard or tick % DECIDE_TICKS == 0:
                self._decide(now_s)
        return History(
            used_j,
            self._outcomes,
            self._learned + self._learner.totals.learned,
            self._settings,
            self._charges,
            self._policy.plans,
            self._ran_out_s,
        )

    @property
    def _is_out(self) -> bool:
        """Whether what is left of the mission's energy is too little for another frame."""
        return self._used_j + self._min_j > self._trace.mission_j

    @property
    def _used_j(self) -> float:
        return self._used_before_j + self._learner.totals.energy_j

    def _see(self, number: int, now_s: float) -> None:
        camera, learner = self._camera, self._learner
        if self._is_out:
            if math.isnan(self._ran_out_s):
                self._ran_out_s = now_s
            return
        if not self._share.takes(self._setting[3]):
            self._skipped += 1
            return
        stamp_ns = round((now_s + 1.0) * 1e9)  # 0 would be none
        label = str(camera.labels[number])
        if camera.labelled[number]:
            learner.add_label(stamp_ns, label)
        seen = learner.classify(stamp_ns, camera.frame(number), now_s)
        self._outcomes[number] = RIGHT if seen.class_name == label else WRONG
        learner.learn_due(now_s)

    def _restart(self) -> None:
        """It counts from 0, and goes on with the weights of its checkpoint."""
        self._used_before_j = self._used_j
        self._learned += self._learner.totals.learned
        self._skipped = 0
        self._learner.reset_counts()

    def _report(self, now_s: float) -> None:
        totals = self._learner.totals
        load = part_at(self._trace.loads, now_s)
        training, inference, learning, share = self._setting
        inference_s = self._inference_s[inference] * load
        self._policy.on_report(
            now_s,
            LearnerReport(
                time_s=now_s,
                training_timesteps=training,
                inference_timesteps=inference,
                learning_share=learning,
                frame_share=share,
                classified=totals.classified,
                skipped=self._skipped,
                learned=totals.learned,
                energy_j=totals.energy_j,
                learning_energy_j=totals.learning_energy_j,
                trial_energy_j=totals.trial_energy_j,
                latency_s=inference_s + OVERHEAD_S * load,
                inference_s=inference_s,
                accuracy=accuracy_of(self._learner.status(now_s)),
            ),
        )

    def _tell_charge(self, now_s: float) -> None:
        reading = self._battery.read(now_s, self._used_j)
        if reading is not None:
            self._policy.on_battery(now_s, reading)
        self._charges.append(
            (now_s, self._battery.charge, math.nan if reading is None else reading.percentage)
        )

    def _decide(self, now_s: float) -> None:
        setting = self._policy.choose(now_s)
        if setting is None or setting == self._setting and self._settings:
            return
        training, inference, learning, share = self._setting = setting
        self._settings.append((now_s, setting))
        self._learner.set_timesteps(Timesteps(training, inference, learning, frame_share=share))
