"""The controller on the clock of a recording, and the decisions that it made."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

from topspark_ros.control.closed_loop import LearnerReport
from topspark_ros.control.controller import ControlStatus
from topspark_ros.methodology.profile import load_profile
from topspark_ros.perception.controller_parameters import TimestepControllerParameters
from topspark_ros.perception.controlling import NumberedController, report_of, timesteps_of
from topspark_ros.perception.messages import Message
from topspark_ros.perception.online import OnlineStatus
from topspark_ros.perception.steering import Steering
from topspark_ros.replay.periods import Periods
from topspark_ros.replay.results import Decided


class ReplayedController:
    """Decides on the recording's clock and steers the learner.

    begin_s: when the learner was activated. Times are in s of the bag.
    decisions: that the learner took.
    """

    def __init__(
        self, parameters: TimestepControllerParameters, steering: Steering, begin_s: float
    ):
        profile = load_profile(parameters.profile_file)
        self._inference_s = {point.timesteps: point.inference.latency_s for point in profile.points}
        self._controller = NumberedController(profile, parameters.control_settings())
        self._steering, self._begin_s = steering, begin_s
        self._last_report: tuple[OnlineStatus, int] | None = None
        self.decisions: list[Decided] = []

    def on_battery(self, now_s: float, message: Message) -> str:
        """As of NumberedController."""
        return self._controller.on_battery(now_s, message)

    def on_budget(self, now_s: float, message: Message, now_ns: int, published_ns: int) -> None:
        """As of NumberedController."""
        self._controller.on_budget(now_s, message, now_ns, published_ns)

    def on_status(self, now_s: float, status: OnlineStatus, skipped: int) -> None:
        """Take the learner's status. skipped: frames, by the frame share."""
        self._last_report = status, skipped
        self._report(self._controller, now_s)

    def status(self, now_s: float) -> ControlStatus:
        return self._controller.status(now_s)

    def decide(self, now_s: float) -> None:
        """Decide, and set what is new; DecisionError if the learner rejects it."""
        decision = self._controller.decide(now_s)
        if decision is None:
            return
        self._steering.apply(timesteps_of(decision, self._controller.sequence))
        self.decisions.append(
            Decided(
                now_s,
                self._controller.sequence,
                decision.training_timesteps,
                decision.inference_timesteps,
                decision.learning_share,
                decision.frame_share,
                decision.reason.name,
                decision.detail,
            )
        )

    def would_decide(self, statuses: Periods, decisions: Periods, until_s: float) -> bool:
        """Whether a new decision is made by then, if no message arrives."""
        controller = copy.deepcopy(self._controller)
        statuses, decisions = copy.copy(statuses), copy.copy(decisions)
        while (now_s := min(statuses.due_s, decisions.due_s)) <= until_s:
            if statuses.due_s == now_s:
                statuses.go_on()
                self._report(controller, now_s)
            else:
                decisions.go_on()
                if controller.decide(now_s) is not None:
                    return True
        return False

    def _report(self, controller: NumberedController, now_s: float) -> None:
        if self._last_report is not None:
            status, skipped = self._last_report
            report = self._learner_report(now_s, status, skipped)
            controller.on_report(now_s, report, status.timesteps.sequence)

    def _learner_report(self, now_s: float, status: OnlineStatus, skipped: int) -> LearnerReport:
        """With the inference time of the profile: a measured one differs from run to run."""
        inference_s = self._inference_s.get(status.timesteps.inference, math.nan)
        report = report_of(status, now_s, active_s=now_s - self._begin_s, skipped=skipped)
        return replace(report, inference_s=inference_s, latency_s=inference_s)
