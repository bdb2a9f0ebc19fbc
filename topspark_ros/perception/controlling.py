"""The controller as messages reach it, and its decisions with their numbers."""
from __future__ import annotations

from topspark_ros.control.controller import Controller, ControlSettings, ControlStatus
from topspark_ros.control.decision import Decision
from topspark_ros.control.ranges import RangeError
from topspark_ros.methodology.profile import Profile
from topspark_ros.perception.messages import (
    Message, MessageError, battery_reading, budget_age_s, budget_from, learner_report,
)


class MessageController:
    """Hears messages and decides. What it is told of them, and all times, as of Controller.

    decision: in force; None: none yet.
    sequence: its number; 0: none yet, and nobody has decided before.
    meter: what the learner's power is measured with; empty: it is estimated.
    """

    def __init__(self, profile: Profile, settings: ControlSettings):
        self._controller = Controller(profile, settings)
        self.decision: Decision | None = None
        self.sequence = 0
        self.meter = ''

    def reconfigure(self, settings: ControlSettings) -> None:
        self._controller.reconfigure(settings)

    def hear_battery(self, now_s: float, message: Message) -> str:
        """What was refused of a BatteryState, field by field; empty: nothing."""
        return '; '.join(self._controller.hear_battery(now_s, battery_reading(message)))

    def hear_budget(self, now_s: float, message: Message, now_ns: int, published_ns: int) -> float:
        """How long ago a PowerBudget was set, s; MessageError for one that is refused.

        now_ns, published_ns: on the clock of its stamp.
        """
        age_s = budget_age_s(message, now_ns, published_ns)
        try:
            self._controller.hear_budget(now_s, message.source, budget_from(message), age_s)
        except RangeError as error:
            raise MessageError(str(error)) from None
        return age_s

    def hear_learner(self, now_s: float, message: Message) -> None:
        """MessageError for a LearnerStatus that is refused."""
        report = learner_report(message)
        self.meter = message.meter
        # A controller before this one may have numbered decisions that the learner knows.
        self.sequence = max(self.sequence, message.decision_sequence)
        self._controller.hear_learner(now_s, report)

    def decide(self, now_s: float) -> bool:
        """Whether there is a new decision."""
        decision = self._controller.decide(now_s)
        if decision is self.decision:
            return False
        self.decision = decision
        self.sequence += 1
        return True

    def status(self, now_s: float) -> ControlStatus:
        return self._controller.status(now_s)
