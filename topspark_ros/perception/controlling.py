"""The controller as the learner and the outside reach it, by values or by messages.

The node hears messages alone. A replay hands over the learner's status as it is, and messages only
as far as they are in the bag.
"""

from __future__ import annotations

from topspark_ros.control.accuracy import AccuracyReport
from topspark_ros.control.closed_loop import LearnerReport
from topspark_ros.control.controller import Controller, ControlSettings, ControlStatus
from topspark_ros.control.decision import Decision
from topspark_ros.control.ranges import RangeError
from topspark_ros.methodology.profile import Profile
from topspark_ros.perception.messages import (
    Message,
    MessageError,
    battery_reading,
    budget_age_s,
    budget_from,
    learner_report,
)
from topspark_ros.perception.online import OnlineStatus, Timesteps


class NumberedController:
    """A controller whose decisions have numbers. Times are as of Controller.

    decision: in force; None: none yet.
    sequence: number of the decision; 0: none yet, neither of this controller nor of one before it.
    meter: what measures the learner's power; empty: it is estimated.
    """

    def __init__(self, profile: Profile, settings: ControlSettings):
        self._controller = Controller(profile, settings)
        self.decision: Decision | None = None
        self.sequence = 0
        self.meter = ''

    def reconfigure(self, settings: ControlSettings) -> None:
        self._controller.reconfigure(settings)

    def on_battery(self, now_s: float, message: Message) -> str:
        """Take a BatteryState; returns what is rejected of it, field by field; empty: nothing."""
        return '; '.join(self._controller.on_battery(now_s, battery_reading(message)))

    def on_budget(self, now_s: float, message: Message, now_ns: int, published_ns: int) -> float:
        """Take a PowerBudget; returns how long ago it was set, s. MessageError if it is rejected.

        now_ns, published_ns: on the clock of its stamp.
        """
        age_s = budget_age_s(message, now_ns, published_ns)
        try:
            self._controller.on_budget(now_s, message.source, budget_from(message), age_s)
        except RangeError as error:
            raise MessageError(str(error)) from None
        return age_s

    def on_status(self, now_s: float, message: Message) -> None:
        """Take a LearnerStatus; MessageError if it is rejected."""
        self.on_report(now_s, learner_report(message), message.decision_sequence, message.meter)

    def on_report(
        self, now_s: float, report: LearnerReport, sequence: int, meter: str = ''
    ) -> None:
        """Take the learner's report.

        sequence: number of the decision that the learner applies; 0: none.
        meter: what measures its power; empty: it is estimated.
        """
        self.meter = meter
        # The learner may know decisions of a controller that ran before this one.
        self.sequence = max(self.sequence, sequence)
        self._controller.on_report(now_s, report)

    def decide(self, now_s: float) -> Decision | None:
        """Decide; returns the decision if it is a new one."""
        decision = self._controller.decide(now_s)
        if decision is self.decision:
            return None
        self.decision = decision
        self.sequence += 1
        return decision

    def status(self, now_s: float) -> ControlStatus:
        return self._controller.status(now_s)


def timesteps_of(decision: Decision, sequence: int) -> Timesteps:
    """A decision, by its number, as the learner applies it."""
    return Timesteps(
        decision.training_timesteps,
        decision.inference_timesteps,
        decision.learning_share,
        sequence,
        decision.frame_share,
    )


def report_of(
    status: OnlineStatus, time_s: float, *, active_s: float, skipped: int
) -> LearnerReport:
    """The controller's part of a learner's status, its energy estimated.

    time_s: of the status, s.
    active_s: time since activation, s.
    skipped: frames that were skipped by the frame share.
    """
    timesteps, totals, activity = status.timesteps, status.totals, status.activity
    return LearnerReport(
        time_s=time_s,
        training_timesteps=timesteps.training,
        inference_timesteps=timesteps.inference,
        learning_share=timesteps.learning_share,
        frame_share=timesteps.frame_share,
        classified=totals.classified,
        skipped=skipped,
        learned=totals.learned,
        further_objects=totals.further_objects,
        energy_j=totals.energy_j,
        learning_energy_j=totals.learning_energy_j,
        trial_energy_j=totals.trial_energy_j,
        frame_rate_hz=activity.frame_rate_hz,
        metered=False,
        decided=timesteps.sequence > 0,
        latency_s=activity.latency_p95_s,
        inference_s=activity.inference_s,
        active_s=active_s,
        accuracy=accuracy_of(status),
    )


def accuracy_of(status: OnlineStatus) -> AccuracyReport:
    """What a learner's status says of its accuracy."""
    return AccuracyReport(status.accuracy, status.accuracy_frames, status.trials)
