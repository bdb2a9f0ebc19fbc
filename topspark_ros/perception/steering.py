"""What sets the learner's T: its parameters until a decision comes, then the decisions."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from topspark_ros.engine import MAX_TIMESTEPS, NetworkConfig
from topspark_ros.methodology.profile import Profile
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.perception.messages import Message, timesteps_from
from topspark_ros.perception.online import Margins, OnlineLearner, Timesteps


class Steering:
    """Sets T, margins and whether to learn.

    profile_margins: at each T of a profile, the only ones that decisions may name; empty: any T.

    decided: by the last decision, or else by the parameters.
    """

    def __init__(self, learner: OnlineLearner, parameters: SnnLearnerParameters,
                 profile_margins: Mapping[int, Margins]):
        self._learner = learner
        self._profile_margins = profile_margins
        self.decided = parameters.timesteps()
        self.reconfigure(parameters)

    def decide(self, message: Message) -> Timesteps:
        """Apply a TimestepDecision; MessageError, with nothing changed, for one that is refused."""
        self.decided = timesteps_from(message, tuple(self._profile_margins), MAX_TIMESTEPS)
        self._apply()
        return self.decided

    def reconfigure(self, parameters: SnnLearnerParameters) -> None:
        """Parameters have changed while it runs; a decision stays in force."""
        self._own_margins = parameters.margins()
        self._learning_allowed = parameters.learning
        if self.decided.sequence == 0:
            self.decided = parameters.timesteps()
        self._apply()

    def _apply(self) -> None:
        decided, own = self.decided, self._own_margins
        self._learner.set_timesteps(
            replace(decided, learning_share=decided.learning_share * self._learning_allowed),
            Margins(self._profile_margins.get(decided.training, own).training,
                    self._profile_margins.get(decided.inference, own).inference))


def profile_margins(profile: Profile) -> dict[int, Margins]:
    """At each T."""
    return {point.timesteps: Margins(point.training.margin, point.inference.margin)
            for point in profile.points}


def profile_mismatches(profile: Profile, config: NetworkConfig) -> list[str]:
    """In what a profile was measured for another network than this one, one line each."""
    measured_and_own = {
        name: (getattr(profile, name), getattr(config, name))
        for name in ('rule', 'neurons', 'coding', 'max_input_rate')
    } | {
        'inference_spikes': (profile.inference_spikes, config.neuron.inference_spikes)}
    return [f'measured with {name} {measured}, this network has {own}: what decisions expect will '
            'be off'
            for name, (measured, own) in measured_and_own.items() if measured != own]
