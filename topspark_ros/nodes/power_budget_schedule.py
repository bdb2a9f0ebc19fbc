"""Budget node: publishes power budgets at set times, as an operator or a mission plan would."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from topspark_ros import msg
from topspark_ros.nodes import conversions, diagnostics, qos
from topspark_ros.nodes.managed_node import ManagedNode, ManagedParameters, NodeFault
from topspark_ros.nodes.parameters import parameter

UNLIMITED = math.nan


@dataclass(frozen=True)
class PowerBudgetScheduleParameters(ManagedParameters):
    """Parameters of the schedule: lists, with an entry for each step or one for all."""

    source: str = parameter('schedule', 'Who the budgets come from.', fixed=True)
    times: tuple[float, ...] = parameter(
        (0.0,),
        'When each step begins, after activation, rising.',
        unit='s',
        low=0.0,
        high=1e9,
        fixed=True,
    )
    power: tuple[float, ...] = parameter(
        (UNLIMITED,),
        'Power limit of each step; NaN: unlimited.',
        unit='W',
        low=1e-9,
        high=1e6,
        fixed=True,
    )
    power_share: tuple[float, ...] = parameter(
        (UNLIMITED,),
        'Power limit of each step, or one for all, as a share of what the learner '
        'draws when the step begins; the step waits until it draws something. NaN: as `power` '
        'says.',
        low=0.001,
        high=1000.0,
        fixed=True,
    )
    deadline: tuple[float, ...] = parameter(
        (UNLIMITED,),
        'Latency limit of each step, or one for all; NaN: none.',
        unit='s',
        low=1e-9,
        high=1e6,
        fixed=True,
    )
    min_accuracy: tuple[float, ...] = parameter(
        (UNLIMITED,),
        'Accuracy floor of each step, or one for all; NaN: none.',
        low=0.0,
        high=1.0,
        fixed=True,
    )


class PowerBudgetSchedule(ManagedNode[PowerBudgetScheduleParameters]):
    """Publishes each step's budget when its time has come.

    ROS Parameters:
        see :class:`PowerBudgetScheduleParameters`, or `ros2 param describe`

    Subscribers:
        * snn_learner/status (topspark_ros/LearnerStatus): what it draws, for `power_share`

    Publishers:
        * power_budget (topspark_ros/PowerBudget, latched)
        * /diagnostics (diagnostic_msgs/DiagnosticArray)
    """

    Parameters = PowerBudgetScheduleParameters

    def __init__(self, **node_options: Any) -> None:
        super().__init__('power_budget_schedule', **node_options)

    def configure(self) -> None:
        p = self.parameters
        steps = len(p.times)
        if any(not earlier < later for earlier, later in zip(p.times, p.times[1:])):
            raise NodeFault(f'times: {list(p.times)}; accepted: rising')
        columns = []
        for name in ('power', 'power_share', 'deadline', 'min_accuracy'):
            column = getattr(p, name)
            if len(column) not in (1, steps):
                raise NodeFault(
                    f'{name}: {len(column)} entries; accepted: {steps} as in times, or 1 for all'
                )
            columns.append(column * (steps if len(column) == 1 else 1))
        self._steps = list(zip(p.times, *columns))
        self._publisher = self.create_lifecycle_publisher(
            msg.PowerBudget, 'power_budget', qos.STATE
        )

    def activate(self) -> None:
        self._then_s = self.now_s()
        self._passed_s = 0.0  # since activation; a clock that is set back adds nothing
        self._done = 0
        self._drawn_w = math.nan
        self.create_subscription(
            msg.LearnerStatus, 'snn_learner/status', self._on_status, qos.STATUS
        )
        self.create_timer(0.05, self._look)

    def _on_status(self, message: msg.LearnerStatus) -> None:
        self._drawn_w = conversions.drawn_power_w(message)

    def _look(self) -> None:
        if self._done == len(self._steps):
            return
        now_s = self.now_s()
        self._passed_s += max(0.0, now_s - self._then_s)
        self._then_s = now_s
        time_s, power, power_share, deadline, min_accuracy = self._steps[self._done]
        if self._passed_s < time_s:
            return
        if not math.isnan(power_share):
            if not self._drawn_w > 0.0:
                return
            power = power_share * self._drawn_w
        budget = msg.PowerBudget(
            source=self.parameters.source,
            power=power,
            energy=UNLIMITED,
            duration=UNLIMITED,
            deadline=deadline,
            min_accuracy=min_accuracy,
            lifetime=UNLIMITED,
        )
        budget.header.stamp = self.get_clock().now().to_msg()
        self._publisher.publish(budget)
        self._done += 1
        self.get_logger().info(
            f'step {self._done} of {len(self._steps)}: power {power:g} W, '
            f'deadline {deadline:g} s, accuracy from {min_accuracy:g}'
        )

    def report(self) -> diagnostics.Report:
        return diagnostics.OK, f'step {self._done} of {len(self._steps)}', {}
