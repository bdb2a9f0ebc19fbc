#!/usr/bin/env python3
"""Controller node: re-selects the timestep from battery, power budget and learner status."""
from __future__ import annotations

import math
from dataclasses import dataclass

from ament_index_python.packages import get_package_share_directory
from sensor_msgs.msg import BatteryState

from topspark_ros import msg
from topspark_ros.methodology.battery import BatteryError, BatterySettings
from topspark_ros.methodology.battery import BatteryState as Battery
from topspark_ros.methodology.control import Controller, ControlSettings
from topspark_ros.methodology.policy import Decision, PolicyConfig
from topspark_ros.methodology.profile import ProfileError, load_profile
from topspark_ros.nodes import conversions, diagnostics, qos
from topspark_ros.nodes.managed_node import ManagedNode, ManagedParameters, NodeFault, run
from topspark_ros.nodes.parameters import parameter
from topspark_ros.nodes.polling import PolledSubscription

DEFAULTS = PolicyConfig()


@dataclass(frozen=True)
class TimestepControllerParameters(ManagedParameters):
    """Parameters of the controller."""

    profile_file: str = parameter(
        '', 'Profile: accuracy, latency and energy at each T. Empty: the one that is shipped for '
        'handwritten digits.', fixed=True)
    control_period: float = parameter(
        0.5, 'Time between two looks at the situation; a new budget is looked at when it comes.',
        unit='s', low=0.01, high=10.0, fixed=True)
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
    limit_margin: float = parameter(
        DEFAULTS.limit_margin, 'Share of power limit and deadline left free by a new decision.',
        low=0.0, high=0.9)
    min_frame_share: float = parameter(
        DEFAULTS.min_frame_share, 'No smaller share of the frames is processed, even if the power '
        'limit demands it; 0: perception may be paused.', low=0.0, high=1.0)
    assumed_state_of_charge: float = parameter(
        DEFAULTS.assumed_state_of_charge, 'Used while the battery is unknown.', low=0.0, high=1.0)
    assumed_frame_rate: float = parameter(
        DEFAULTS.assumed_frame_rate_hz, 'Used until the learner reports one.', unit='Hz',
        low=0.1, high=1000.0)
    core_power: float = parameter(
        10.0, 'What a busy core draws: what metered power is first predicted with.', unit='W',
        low=1e-3, high=1e3, fixed=True)
    full_percentage: float = parameter(
        1.0, 'What BatteryState.percentage reads at a full battery: 1, or 100 as some drivers '
        'send.', low=1.0, high=100.0, fixed=True)
    voltage_curve: tuple[float, ...] = parameter(
        (0.0, 0.0), 'Voltage of the battery at equal steps of its state of charge, from empty to '
        'full, for batteries that tell nothing else. Zeros: none.', unit='V', low=0.0, high=1e4,
        fixed=True)
    battery_timeout: float = parameter(10.0, 'A battery state older than this is unknown.',
                                       unit='s', low=0.1, high=3600.0, fixed=True)
    battery_min_discharge: float = parameter(
        BatterySettings.min_discharge_s, 'Least time in which the battery could be emptied, or '
        'charged; a faster change is not believed at once.', unit='s', low=0.001, high=1e6,
        fixed=True)
    mission_duration: float = parameter(
        0.0, 'Time from activation on that the battery has to last; 0: no mission.', unit='s',
        low=0.0, high=1e7, fixed=True)
    mission_battery_share: float = parameter(
        1.0, "Share of the battery's energy that perception may use in the mission.", low=0.0,
        high=1.0, fixed=True)
    budget_timeout: float = parameter(
        0.0, 'A budget without a lifetime that is older is reported as stale, its limits stay in '
        'force; 0: never.', unit='s', low=0.0, high=86_400.0)
    learner_timeout: float = parameter(
        3.0, 'A learner that sends no status for this long is silent: decisions are held.',
        unit='s', low=0.1, high=3600.0)


class TimestepController(ManagedNode):
    """Chooses T for inference and training by TopSpark's score, under the budgets; what the
    learner reports corrects what the profile predicts.

    Safe states: battery unknown, stale or implausible: scored with `assumed_state_of_charge`.
    Budget stale: its last limits stay in force. Learner silent: the decision is held. Each is
    the reason of a decision and a warning in /diagnostics.

    ROS Parameters:
        see :class:`TimestepControllerParameters`, or `ros2 param describe`

    Subscribers:
        * battery_state (sensor_msgs/BatteryState): percentage, charge and capacity, or voltage
        * power_budget (topspark_ros/PowerBudget, latched): the limits, of any number of sources
        * snn_learner/status (topspark_ros/LearnerStatus): what was done, and what it took

    Publishers:
        * timestep_decision (topspark_ros/TimestepDecision, latched): T, learning, share of the
          frames, and the reason
        * ~/status (topspark_ros/ControllerStatus): what is known, planned and corrected
        * /diagnostics (diagnostic_msgs/DiagnosticArray)
    """

    Parameters = TimestepControllerParameters

    def __init__(self, **node_options):
        super().__init__('timestep_controller', **node_options)

    # Lifecycle -----------------------------------------------------------------------------

    def configure(self) -> None:
        path = (self.parameters.profile_file or
                f'{get_package_share_directory("topspark_ros")}/config/profile_digits.yaml')
        try:
            self._profile = load_profile(path)
            self._settings()
        except (ProfileError, BatteryError) as error:
            raise NodeFault(str(error)) from None
        self._decisions = self.create_lifecycle_publisher(
            msg.TimestepDecision, 'timestep_decision', qos.STATE)
        self._status = self.create_lifecycle_publisher(
            msg.ControllerStatus, '~/status', qos.STATUS)

    def activate(self) -> None:
        self._controller = Controller(self._profile, self._settings())
        self._decision: Decision | None = None
        self._sequence = 0
        self._meter = ''
        self._battery = PolledSubscription(self, BatteryState, 'battery_state', qos.BATTERY)
        self._learner = PolledSubscription(self, msg.LearnerStatus, 'snn_learner/status',
                                           qos.STATUS)
        self._active = [
            self.create_subscription(msg.PowerBudget, 'power_budget', self._on_budget,
                                     qos.BUDGETS),
            self.create_timer(self.parameters.control_period, self._look),
        ]

    def deactivate(self) -> None:
        self.destroy_entities(self._active)
        self._battery.destroy()
        self._learner.destroy()

    def cleanup(self) -> None:
        self.destroy_lifecycle_publisher(self._decisions)
        self.destroy_lifecycle_publisher(self._status)

    def parameters_changed(self, parameters: TimestepControllerParameters) -> None:
        if self.state == 'active':
            self._controller.reconfigure(self._settings())

    def _settings(self) -> ControlSettings:
        p = self.parameters
        return ControlSettings(
            policy=PolicyConfig(
                latency_weight=p.latency_weight, energy_weight_full=p.energy_weight_full,
                energy_weight_empty=p.energy_weight_empty,
                assumed_state_of_charge=p.assumed_state_of_charge,
                assumed_frame_rate_hz=p.assumed_frame_rate, min_dwell_s=p.min_dwell,
                deadband=p.deadband, limit_margin=p.limit_margin,
                min_frame_share=p.min_frame_share),
            battery=BatterySettings(
                full_percentage=p.full_percentage, timeout_s=p.battery_timeout,
                min_discharge_s=p.battery_min_discharge,
                voltage_curve=p.voltage_curve if any(p.voltage_curve) else ()),
            learner_timeout_s=p.learner_timeout, budget_timeout_s=p.budget_timeout,
            mission_duration_s=p.mission_duration,
            mission_battery_share=p.mission_battery_share, core_power_w=p.core_power)

    # Input ---------------------------------------------------------------------------------

    def _on_battery(self, message: BatteryState) -> None:
        try:
            self._controller.hear_battery(self.now_s(), conversions.battery_reading(message))
        except BatteryError as error:
            self.diagnostics.reject('battery_state', error)

    def _on_budget(self, message: msg.PowerBudget) -> None:
        try:
            budget = conversions.budget_from(message)
        except ValueError as error:
            self.diagnostics.reject('power_budget', error)
            return
        now_s, set_ns = self.now_s(), conversions.stamp_ns(message.header.stamp)
        self._controller.hear_budget(now_s, message.source, budget,
                                     now_s - set_ns * 1e-9 if set_ns else 0.0)
        self._decide()     # a new limit is not to wait for the next look

    def _on_status(self, message: msg.LearnerStatus) -> None:
        try:
            report = conversions.learner_report(message)
        except ValueError as error:
            self.diagnostics.reject('snn_learner/status', error)
            return
        self._meter = message.meter
        # A controller before this one may have numbered decisions that the learner knows.
        self._sequence = max(self._sequence, message.decision_sequence)
        self._controller.hear_learner(self.now_s(), report)

    # Output --------------------------------------------------------------------------------

    def _look(self) -> None:
        for battery in self._battery.take():
            self._on_battery(battery)
        for status in self._learner.take():
            self._on_status(status)
        self._decide()
        self._status.publish(conversions.controller_status_message(
            self._controller.status(self.now_s()), self._decision, self._sequence, self._meter,
            self.get_clock().now().to_msg()))

    def _decide(self) -> None:
        decision = self._controller.decide(self.now_s())
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

    def report(self) -> diagnostics.Report:
        decision, status = self._decision, self._controller.status(self.now_s())
        concerns = [text for holds, text in (
            (status.learner_silent, 'the learner is silent'),
            (status.battery != Battery.KNOWN, f'the battery is {status.battery.name.lower()}'),
            (status.budget_stale, 'the budget is stale'),
            (self.diagnostics.rejected > 0, 'some input was refused')) if holds]
        return (diagnostics.WARN if concerns else diagnostics.OK,
                ', '.join(concerns) or 'controlling', {
            'state': self.state, 'decision': self._sequence,
            'reason': decision.reason.name if decision else 'none',
            'detail': decision.detail if decision else '',
            'training T': decision.training_timesteps if decision else 0,
            'inference T': decision.inference_timesteps if decision else 0,
            'learning': decision.learning if decision else False,
            'frame share': decision.frame_share if decision else 1.0,
            'expected power [W]': decision.expected_power_w if decision else math.nan,
            'power [W]': status.power_w,
            'power limit [W]': status.limits.strictest_power_w,
            'mission power [W]': status.limits.mission_power_w,
            'energy left [J]': status.limits.energy_j,
            'budget sources': ', '.join(source or 'unnamed' for source in status.sources),
            'state of charge': status.state_of_charge,
            'battery': status.battery.name.lower(),
            'energy, measured over profile': status.energy_ratio,
            'inference time, measured over profile': status.latency_ratio})


if __name__ == '__main__':
    run(TimestepController)
