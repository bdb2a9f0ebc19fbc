"""A learner that is mere arithmetic, under a controller: what it takes, and what is decided."""

from collections import deque
from dataclasses import replace

import numpy as np

from topspark_ros.control.closed_loop import LearnerReport
from topspark_ros.control.policy import PolicyConfig

STEP_S = 0.5  # a report, a look of the controller, and the frames of that time


def any_t(**config):
    """A configuration that trains at any T, however much accuracy it loses."""
    return PolicyConfig(**{'max_training_loss': 1.0, **config})


class SimulatedLearner:
    """Takes what the profile says, times a factor, for each frame.

    factor: energy over the profile's, of all T.
    factors: the same of an inference T besides.
    learned_share: of the frames that are to be learned, 0..1, evenly spread.
    encoder_j: energy of an object before it is presented, J.

    objects: in each of the frames that come next, at least 1.
    """

    def __init__(self, profile, factor=1.0, factors=None, learned_share=1.0, encoder_j=0.0):
        self.profile, self.factor, self.factors = profile, factor, factors or {}
        self.encoder_j, self.objects = encoder_j, 1
        self.learned_share = learned_share
        self.setting, self.decided = (350, 350, 1.0, 1.0), False
        self._come = self._due = self._due_to_learn = 0.0
        self.restart()

    def restart(self):
        self.classified = self.skipped = self.learned = self.further_objects = 0
        self._lately = deque([0], maxlen=5)  # classified, by the end of the last steps
        self.energy_j = self.learning_energy_j = self.active_s = 0.0

    def apply(self, decision):
        if decision is not None:
            self.setting, self.decided = decision.setting, True

    def run(self, rate_hz):
        """The frames of one step; returns what they took, J."""
        before_j = self.energy_j
        self.active_s += STEP_S
        training, inference, learning_share, share = self.setting
        self._come += rate_hz * STEP_S
        for _ in range(int(self._come)):
            self._come -= 1.0
            self._due += share
            if self._due < 1.0 - 1e-9:
                self.skipped += 1
                continue
            self._due -= 1.0
            self.classified += 1
            self.further_objects += self.objects - 1
            factor = self.factor * self.factors.get(inference, 1.0)
            for _ in range(self.objects):
                self.energy_j += self.encoder_j
                self.energy_j += self.profile.at(inference).inference.energy_j * factor
            if learning_share:
                self._due_to_learn += learning_share * self.learned_share
                if self._due_to_learn >= 1.0 - 1e-9:
                    self._due_to_learn -= 1.0
                    self.learned += 1
                    learning_j = self.profile.at(training).training.energy_j * self.factor
                    self.learning_energy_j += learning_j
                    self.energy_j += learning_j
        self._lately.append(self.classified)
        return self.energy_j - before_j

    def report(self, time_s):
        training, inference, learning_share, share = self.setting
        return LearnerReport(
            time_s=time_s,
            training_timesteps=training,
            inference_timesteps=inference,
            learning_share=learning_share,
            frame_share=share,
            classified=self.classified,
            skipped=self.skipped,
            learned=self.learned,
            further_objects=self.further_objects,
            energy_j=self.energy_j,
            learning_energy_j=self.learning_energy_j,
            frame_rate_hz=(self._lately[-1] - self._lately[0]) / (4 * STEP_S),
            decided=self.decided,
            active_s=self.active_s,
        )


class MeteredLearner(SimulatedLearner):
    """One with a meter that sees the whole process, of which the network is next to nothing.

    Its processor is slower by `load`, and each step takes a little more or less by chance.
    """

    STANDING_W, RECEIVED_J, CLASSIFIED_J, LEARNED_J = 0.07, 3e-3, 17e-3, 1.5e-3  # of a VGA camera
    FURTHER_J = 4e-3  # of another object in a frame
    NOISE = 0.1  # standard deviation, of what a step takes

    def __init__(self, profile, seed):
        super().__init__(profile)
        self.load = 1.0
        self._random = np.random.default_rng(seed)

    def run(self, rate_hz):
        before = self.classified, self.skipped, self.learned, self.energy_j
        super().run(rate_hz)
        classified, skipped, learned = (
            now - then for now, then in zip((self.classified, self.skipped, self.learned), before)
        )
        further = classified * (self.objects - 1)
        if self.setting[3] == 0.0:  # paused: nothing is even received
            self.skipped, skipped = before[1], 0
        energy_j = (
            self.STANDING_W * STEP_S
            + self.RECEIVED_J * (classified + skipped)
            + self.CLASSIFIED_J * classified
            + self.LEARNED_J * learned
            + self.FURTHER_J * further
        ) * max(0.0, self._random.normal(self.load, self.NOISE))
        self.energy_j, self.learning_energy_j = before[3] + energy_j, 0.0
        return energy_j

    def report(self, time_s):
        return replace(super().report(time_s), metered=True)


def simulate(controller, learner, times, rate_hz, heard=lambda now_s: True):
    """Let the controller hear and decide, and the learner run, at each of `times`, s.

    rate_hz: a number, or a function of the time.
    heard: whether the report of a time comes through.
    Returns the power of each step, W, float64, and the decision in each.
    """
    powers_w, decisions = [], []
    for now_s in times:
        if heard(now_s):
            controller.on_report(now_s, learner.report(now_s))
        decisions.append(controller.decide(now_s))
        learner.apply(decisions[-1])
        rate = rate_hz(now_s) if callable(rate_hz) else rate_hz
        powers_w.append(learner.run(rate) / STEP_S)
    return np.array(powers_w), decisions


def span(begin_s, end_s):
    return np.arange(begin_s, end_s, STEP_S)


def highest_mean_w(powers_w, window_s=30.0):
    """The highest mean power over any window, W."""
    steps = int(window_s / STEP_S)
    return np.convolve(powers_w, np.ones(steps) / steps, 'valid').max()


def changes(decisions):
    """How often the setting changes."""
    return sum(a.setting != b.setting for a, b in zip(decisions, decisions[1:]))
