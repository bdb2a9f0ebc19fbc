"""Controller node: re-selects the timestep from battery, power budget and learner status."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from ament_index_python.packages import get_package_share_directory
from sensor_msgs.msg import BatteryState

from topspark_ros import msg
from topspark_ros.control.battery import BatteryValidity
from topspark_ros.methodology.profile import ProfileError, load_profile
from topspark_ros.nodes import conversions, diagnostics, qos
from topspark_ros.nodes.managed_node import ManagedNode, ManagedParameters, NodeFault
from topspark_ros.nodes.polling import PolledSubscription
from topspark_ros.perception.controller_parameters import TimestepControllerParameters
from topspark_ros.perception.controlling import NumberedController
from topspark_ros.perception.messages import MessageError


@dataclass(frozen=True)
class NodeParameters(ManagedParameters, TimestepControllerParameters):
    """Those of every node, and the controller's."""


class TimestepController(ManagedNode[NodeParameters]):
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

    Parameters = NodeParameters

    def __init__(self, **node_options: Any) -> None:
        super().__init__('timestep_controller', **node_options)

    # Lifecycle -----------------------------------------------------------------------------

    def configure(self) -> None:
        path = (
            self.parameters.profile_file
            or f'{get_package_share_directory("topspark_ros")}/config/profile_digits.yaml'
        )
        try:
            self._profile = load_profile(path)
        except ProfileError as error:
            raise NodeFault(f'profile_file: {error}') from None
        self.parameters.control_settings()  # rejected here, not when it is activated
        self._decisions = self.create_lifecycle_publisher(
            msg.TimestepDecision, 'timestep_decision', qos.STATE
        )
        self._status = self.create_lifecycle_publisher(msg.ControllerStatus, '~/status', qos.STATUS)

    def activate(self) -> None:
        self._controller = NumberedController(self._profile, self.parameters.control_settings())
        self._battery = PolledSubscription(self, BatteryState, 'battery_state', qos.BATTERY)
        self._learner = PolledSubscription(
            self, msg.LearnerStatus, 'snn_learner/status', qos.STATUS
        )
        self.create_subscription(msg.PowerBudget, 'power_budget', self._on_budget, qos.BUDGETS)
        self.create_timer(self.parameters.control_period, self._on_control_period)

    def parameters_changed(self, parameters: NodeParameters) -> None:
        if self.state == 'active':
            self._controller.reconfigure(parameters.control_settings())

    # Input ---------------------------------------------------------------------------------

    def _on_battery(self, message: BatteryState) -> None:
        rejected = self._controller.on_battery(self.now_s(), message)
        if rejected:
            self.diagnostics.reject('battery_state', rejected)

    def _on_budget(self, message: msg.PowerBudget, info: dict[str, int]) -> None:
        now_ns = self.get_clock().now().nanoseconds
        # DDS tells when it was published, on the system's clock; this node's may be a simulation's.
        system_ns = time.time_ns()
        since_published_ns = system_ns - (info['source_timestamp'] or system_ns)
        try:
            age_s = self._controller.on_budget(
                now_ns * 1e-9, message, now_ns, now_ns - since_published_ns
            )
        except MessageError as error:
            self.diagnostics.reject('power_budget', error)
            return
        if age_s > 1.0:  # not only under way
            self.get_logger().info(f'budget of {message.source!r}: set {age_s:.3g} s ago')
        self._decide()  # a new limit does not wait for the next period

    def _on_status(self, message: msg.LearnerStatus) -> None:
        try:
            self._controller.on_status(self.now_s(), message)
        except MessageError as error:
            self.diagnostics.reject('snn_learner/status', error)

    # Output --------------------------------------------------------------------------------

    def _on_control_period(self) -> None:
        for battery in self._battery.take():
            self._on_battery(battery)
        for status in self._learner.take():
            self._on_status(status)
        self._decide()
        controller = self._controller
        self._status.publish(
            conversions.controller_status_message(
                controller.status(self.now_s()),
                controller.decision,
                controller.sequence,
                controller.meter,
                self.get_clock().now().to_msg(),
            )
        )

    def _decide(self) -> None:
        decision = self._controller.decide(self.now_s())
        if decision is None:
            return
        sequence = self._controller.sequence
        self._decisions.publish(
            conversions.decision_message(decision, sequence, self.get_clock().now().to_msg())
        )
        self.get_logger().info(
            f'decision {sequence}: {decision.reason.name}, training T '
            f'{decision.training_timesteps}, inference T {decision.inference_timesteps}, '
            f'learning share {decision.learning_share:g}, frame share '
            f'{decision.frame_share:g}: {decision.detail}'
        )

    def report(self) -> diagnostics.Report:
        decision, status = self._controller.decision, self._controller.status(self.now_s())
        concerns = [
            text
            for holds, text in (
                (status.learner_silent, 'the learner is silent'),
                (
                    status.battery != BatteryValidity.KNOWN,
                    f'the battery is {status.battery.name.lower()}',
                ),
                (status.budget_stale, 'the budget is stale'),
            )
            if holds
        ]
        return (
            diagnostics.WARN if concerns else diagnostics.OK,
            ', '.join(concerns) or 'controlling',
            {
                'state': self.state,
                'decision': self._controller.sequence,
                'reason': decision.reason.name if decision else 'none',
                'detail': decision.detail if decision else '',
                'training T': decision.training_timesteps if decision else 0,
                'inference T': decision.inference_timesteps if decision else 0,
                'learning share': decision.learning_share if decision else 0.0,
                'frame share': decision.frame_share if decision else 1.0,
                'expected power [W]': decision.expected_power_w if decision else math.nan,
                'power [W]': status.power_w,
                'power limit [W]': status.limits.strictest_power_w,
                'mission power [W]': status.limits.mission_power_w,
                'energy left [J]': status.limits.energy_j,
                'budget sources': ', '.join(source or 'unnamed' for source in status.sources),
                'state of charge': status.state_of_charge,
                'state of charge from': status.battery_source or 'nothing',
                'battery': status.battery.name.lower(),
                'energy, measured over profile': status.energy_ratio,
                'inference time, measured over profile': status.latency_ratio,
            },
        )
