"""What sets the learner's T: its parameters until a decision comes, the decisions from then on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from topspark_ros.engine import MAX_TIMESTEPS, AnyConfig
from topspark_ros.errors import TopsparkError
from topspark_ros.methodology.profile import Profile, network_properties
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.perception.online import Margins, OnlineLearner, Timesteps


class DecisionError(TopsparkError):
    """A decision is rejected: one line with the field, the value and what is accepted."""


class Steering:
    """Sets the learner's T, its early-exit margins and whether it learns.

    profile_margins: by T of the profile; decisions may name these T alone; empty: any T.

    learner: that is steered.
    decided: what the last decision set, or else the parameters.
    """

    def __init__(
        self,
        learner: OnlineLearner,
        parameters: SnnLearnerParameters,
        profile_margins: Mapping[int, Margins],
    ):
        self.learner = learner
        self._profile_margins = profile_margins
        self.decided = parameters.timesteps()
        self.reconfigure(parameters)

    def apply(self, decided: Timesteps) -> None:
        """Set what a decision says; DecisionError, with nothing changed, if it is out of range."""
        for field, steps in (
            ('training_timesteps', decided.training),
            ('inference_timesteps', decided.inference),
        ):
            if self._profile_margins and steps not in self._profile_margins:
                raise DecisionError(
                    f"{field}: {steps}; accepted: one of the profile's "
                    f'{", ".join(map(str, self._profile_margins))}'
                )
            if not 1 <= steps <= MAX_TIMESTEPS:
                raise DecisionError(f'{field}: {steps}; accepted: 1 to {MAX_TIMESTEPS}')
        for field in ('learning_share', 'frame_share'):
            share = getattr(decided, field)
            if not 0.0 <= share <= 1.0:
                raise DecisionError(f'{field}: {share:g}; accepted: 0 to 1')
        self.decided = decided
        self._set()

    def reconfigure(self, parameters: SnnLearnerParameters) -> None:
        """Take changed parameters; a decision stays in force."""
        self._own_margins = parameters.margins()
        self._learning_allowed = parameters.learning
        if self.decided.sequence == 0:
            self.decided = parameters.timesteps()
        self._set()

    def _set(self) -> None:
        decided, own = self.decided, self._own_margins
        self.learner.set_timesteps(
            replace(decided, learning_share=decided.learning_share * self._learning_allowed),
            Margins(
                self._profile_margins.get(decided.training, own).training,
                self._profile_margins.get(decided.inference, own).inference,
            ),
        )


def profile_margins(profile: Profile) -> dict[int, Margins]:
    """The margins of each T of the profile."""
    return {
        point.timesteps: Margins(point.training.margin, point.inference.margin)
        for point in profile.points
    }


def profile_mismatches(profile: Profile, config: AnyConfig) -> list[str]:
    """A line for each property in which the network differs from the one of the profile."""
    measured, own = profile.network, network_properties(config)
    return [
        f'measured with {name} {measured[name]}, this network has {own[name]}: what decisions '
        'expect will be off'
        for name in own
        if name in measured and measured[name] != own[name]
    ]
