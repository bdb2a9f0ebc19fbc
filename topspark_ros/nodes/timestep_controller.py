#!/usr/bin/env python3
"""Controller node: re-selects the timestep from battery, power budget and learner status."""
from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ament_index_python.packages import get_package_share_directory
from sensor_msgs.msg import BatteryState

from topspark_ros import msg
from topspark_ros.methodology.policy import (Budget, Conditions, Decision, PolicyConfig,
                                             TimestepPolicy)
from topspark_ros.methodology.profile import ProfileError, load_profile
from topspark_ros.nodes import conversions, diagnostics, qos
from topspark_ros.nodes.managed_node import ManagedNode, ManagedParameters, NodeFault, run
from topspark_ros.nodes.parameters import parameter

DEFAULTS = PolicyConfig()
FRAME_RATE_TIME_CONSTANT_S = 5.0


@dataclass(frozen=True)
class TimestepControllerParameters(ManagedParameters):
    """Parameters of the controller."""

    profile_file: str = parameter(
        '', 'Profile: accuracy, latency and energy at each T. Empty: the one that is shipped for '
        'handwritten digits.', fixed=True)
    control_period: float = parameter(0.2, 'Time between two looks at the situation.', unit='s',
                                      low=0.01, high=10.0, fixed=True)
    latency_weight: float = parameter(
        DEFAULTS.latency_weight, 'mu of the trade-off score.', low=0.0, high=100.0)
    energy_weight_full: float = parameter(
        DEFAULTS.energy_weight_full, 'epsilon of the score at a full battery.', low=0.0,
        high=100.0)
    energy_weight_empty: float = parameter(
        DEFAULTS.energy_weight_empty, 'epsilon at an empty battery, linear in between.', low=0.0,
        high=100.0)
    min_dwell: float = parameter(
        DEFAULTS.min_dwell_s, 'A decision stays at least this long while no limit is violated.',
        unit='s', low=0.0, high=3600.0)
    deadband: float = parameter(
        DEFAULTS.deadband, 'A decision stays while no other scores better by more than this.',
        low=0.0, high=1.0)
    power_margin: float = parameter(
        DEFAULTS.power_margin, 'Share of the power limit left free by a new decision.', low=0.0,
        high=0.9)
    assumed_state_of_charge: float = parameter(
        DEFAULTS.assumed_state_of_charge, 'Used while the battery is unknown.', low=0.0, high=1.0)
    assumed_frame_rate: float = parameter(
        DEFAULTS.assumed_frame_rate_hz, 'Used until the learner reports one.', unit='Hz',
        low=0.1, high=1000.0)
    full_percentage: float = parameter(
        1.0, 'What BatteryState.percentage reads at a full battery: 1, or 100 as some drivers '
        'send.', low=1.0, high=100.0, fixed=True)
    battery_timeout: float = parameter(10.0, 'A battery state older than this is unknown.',
                                       unit='s', low=0.1, high=3600.0)
    budget_timeout: float = parameter(
        0.0, 'A budget older than this is reported as stale, its limits stay in force; 0: never.',
        unit='s', low=0.0, high=86_400.0)
    learner_timeout: float = parameter(
        3.0, 'A learner that sends no status for this long is silent: decisions are held.',
        unit='s', low=0.1, high=3600.0)


class TimestepController(ManagedNode):
    """Chooses T for inference and training by TopSpark's score, under the budget.

    Safe states: battery unknown or stale: scored with `assumed_state_of_charge`. Budget
    stale: its last limits stay in force. Learner silent: the decision is held. Each is the
    reason of a decision and a warning in /diagnostics.

    ROS Parameters:
        see :class:`TimestepControllerParameters`, or `ros2 param describe`

    Subscribers:
        * battery_state (sensor_msgs/BatteryState): percentage, or charge and capacity
        * power_budget (topspark_ros/PowerBudget, latched): the limits
        * snn_learner/status (topspark_ros/LearnerStatus): frame rate, share of learned frames,
          power that the energy budget is charged with

    Publishers:
        * timestep_decision (topspark_ros/TimestepDecision, latched): T, learning and the reason
        * /diagnostics (diagnostic_msgs/DiagnosticArray)
    """

    Parameters = TimestepControllerParameters

    def __init__(self, **node_options):
        super().__init__('timestep_controller', **node_options)
        self._sequence = 0

    # Lifecycle -----------------------------------------------------------------------------

    def configure(self) -> None:
        path = (self.parameters.profile_file or
                f'{get_package_share_directory("topspark_ros")}/config/profile_digits.yaml')
        try:
            self._profile = load_profile(path)
        except ProfileError as error:
            raise NodeFault(str(error)) from None
        self._policy_config = self._weighing()
        self._policy = TimestepPolicy(self._profile, self._policy_config)
        self._decisions = self.create_lifecycle_publisher(
            msg.TimestepDecision, 'timestep_decision', qos.STATE)

    def activate(self) -> None:
        self._state_of_charge = math.nan
        self._budget = Budget()
        self._status: msg.LearnerStatus | None = None
        self._frame_rate_hz = math.nan     # NaN: nothing heard
        self._decision: Decision | None = None
        self._heard_s: dict[str, float] = {}
        self._active = [
            self.create_subscription(BatteryState, 'battery_state', self._on_battery,
                                     qos.BATTERY),
            self.create_subscription(msg.PowerBudget, 'power_budget', self._on_budget, qos.STATE),
            self.create_subscription(msg.LearnerStatus, 'snn_learner/status', self._on_status,
                                     qos.STATUS),
            self.create_timer(self.parameters.control_period, self._decide),
        ]

    def deactivate(self) -> None:
        self.destroy_entities(self._active)

    def cleanup(self) -> None:
        self.destroy_lifecycle_publisher(self._decisions)

    def parameters_changed(self, parameters: TimestepControllerParameters) -> None:
        # A new policy remembers nothing, so only what it depends on makes one.
        if self.state in ('inactive', 'active') and self._weighing() != self._policy_config:
            self._policy_config = self._weighing()
            self._policy = TimestepPolicy(self._profile, self._policy_config)

    def _weighing(self) -> PolicyConfig:
        p = self.parameters
        return PolicyConfig(
            latency_weight=p.latency_weight, energy_weight_full=p.energy_weight_full,
            energy_weight_empty=p.energy_weight_empty,
            assumed_state_of_charge=p.assumed_state_of_charge,
            assumed_frame_rate_hz=p.assumed_frame_rate, min_dwell_s=p.min_dwell,
            deadband=p.deadband, power_margin=p.power_margin)

    # Input ---------------------------------------------------------------------------------

    def _on_battery(self, message: BatteryState) -> None:
        try:
            self._state_of_charge = conversions.state_of_charge_from(
                message, self.parameters.full_percentage)
        except ValueError as error:
            self.diagnostics.reject('battery_state', error)
            return
        self._heard_s['battery_state'] = self.now_s()

    def _on_budget(self, message: msg.PowerBudget) -> None:
        try:
            self._budget = conversions.budget_from(message)
        except ValueError as error:
            self.diagnostics.reject('power_budget', error)
            return
        self._heard_s['power_budget'] = self.now_s()
        self._decide()     # a new limit is not to wait for the next look

    def _on_status(self, message: msg.LearnerStatus) -> None:
        if not math.isnan(self._budget.energy_j):
            # A learner that was away is not taken to have drawn this power all the time.
            passed_s = min(self._age_s('snn_learner/status'), self.parameters.learner_timeout)
            used_j = conversions.drawn_power_w(message) * passed_s
            self._budget = replace(self._budget,
                                   energy_j=max(0.0, self._budget.energy_j - used_j))
        self._frame_rate_hz = self._smoothed_rate(message.frame_rate)
        self._status = message
        self._heard_s['snn_learner/status'] = self.now_s()

    def _smoothed_rate(self, frame_rate_hz: float) -> float:
        """A low-pass filter: a camera that stalls for a moment and catches up changes nothing."""
        passed_s = self._age_s('snn_learner/status')
        if not (self._frame_rate_hz > 0.0 and frame_rate_hz > 0.0):
            return frame_rate_hz
        return self._frame_rate_hz + (frame_rate_hz - self._frame_rate_hz) * (
            1.0 - math.exp(-passed_s / FRAME_RATE_TIME_CONSTANT_S))

    # Output --------------------------------------------------------------------------------

    def _decide(self) -> None:
        decision = self._policy.decide(self.now_s(), self._budget, self._conditions())
        if decision is self._decision:
            return
        self._decision = decision
        self._sequence += 1
        self._decisions.publish(conversions.decision_message(
            decision, self._sequence, self.get_clock().now().to_msg()))
        self.get_logger().info(
            f'decision {self._sequence}: {decision.reason.name}, training T '
            f'{decision.training_timesteps}, inference T {decision.inference_timesteps}, '
            f'learning {"on" if decision.learning else "off"}: {decision.detail}')

    def _conditions(self) -> Conditions:
        p, status = self.parameters, self._status
        return Conditions(
            state_of_charge=self._state_of_charge,
            battery_stale=self._age_s('battery_state') > p.battery_timeout,
            budget_stale=(0.0 < p.budget_timeout < self._age_s('power_budget') < math.inf),
            learner_silent=self._age_s('snn_learner/status') > p.learner_timeout,
            frame_rate_hz=self._frame_rate_hz,
            # What is not learned now, because a decision says so, counts as learned again
            # when learning is considered: NaN.
            learned_share=status.learned_share if status and status.learning else math.nan)

    def _age_s(self, topic: str) -> float:
        """Time since the last accepted message; infinite when there was none.

        A clock that was set back makes everything heard before it unknown.
        """
        heard_s = self._heard_s.get(topic, -math.inf)
        age_s = self.now_s() - heard_s
        return age_s if age_s >= 0.0 else math.inf

    def report(self) -> diagnostics.Report:
        decision, conditions = self._decision, self._conditions()
        concerns = [text for holds, text in (
            (conditions.learner_silent, 'the learner is silent'),
            (conditions.battery_stale, 'the battery is unknown'),
            (conditions.budget_stale, 'the budget is stale'),
            (self.diagnostics.rejected > 0, 'some input was refused')) if holds]
        return (diagnostics.WARN if concerns else diagnostics.OK,
                ', '.join(concerns) or 'controlling', {
            'state': self.state, 'decision': self._sequence,
            'reason': decision.reason.name if decision else 'none',
            'detail': decision.detail if decision else '',
            'training T': decision.training_timesteps if decision else 0,
            'inference T': decision.inference_timesteps if decision else 0,
            'learning': decision.learning if decision else False,
            'expected power [W]': decision.expected_power_w if decision else math.nan,
            'power limit [W]': self._budget.power_w,
            'energy left [J]': self._budget.energy_j,
            'state of charge': self._state_of_charge,
            'battery age [s]': self._age_s('battery_state'),
            'budget age [s]': self._age_s('power_budget'),
            'learner status age [s]': self._age_s('snn_learner/status')})


if __name__ == '__main__':
    run(TimestepController)
