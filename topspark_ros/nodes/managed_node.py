"""What all our lifecycle nodes share: checked parameters, transitions that say why they failed,
autostart, diagnostics, and a process that ends cleanly.

A node overrides `configure`, `activate`, `deactivate`, `cleanup` and `report`. An expected
fault in a transition is a `NodeFault`: one clear line, and the transition fails. Anything
else is logged with its traceback (rclpy alone would swallow it).
"""
from __future__ import annotations

import dataclasses
import os
import signal
import threading
import traceback
from typing import Any, Callable, ClassVar

import rclpy
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.duration import Duration
from rclpy.exceptions import ParameterException
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import (
    LifecycleNodeMixin, LifecyclePublisher, LifecycleState, TransitionCallbackReturn,
)
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from rclpy.task import Future
from rclpy.timer import Timer

from topspark_ros.errors import TopsparkError
from topspark_ros.nodes import diagnostics
from topspark_ros.nodes.parameters import ParameterServer, parameter

RCLError = rclpy_implementation.RCLError      # rclpy exports it nowhere else
SIGNALS = (signal.SIGINT, signal.SIGTERM)
RECEIPT_TIMEOUT = Duration(seconds=1.0)


class NodeFault(TopsparkError):
    """An expected fault: its message is the one line that a user sees."""


@dataclasses.dataclass(frozen=True)
class ManagedParameters:
    """Parameters of every node."""

    autostart: bool = parameter(
        True, 'Configure and activate at start; false leaves both to a lifecycle manager.',
        fixed=True)


class ManagedNode(LifecycleNodeMixin, Node):
    """Base of the package's nodes.

    THREADS: that callbacks run in. Two for a node whose transitions take seconds, so that its
        services and topics are answered meanwhile; one costs half the processor time.
    """

    Parameters: ClassVar[type[ManagedParameters]] = ManagedParameters
    THREADS: ClassVar[int] = 1

    def __init__(self, name: str, **node_options):
        # Re-entrant, so that a second thread can answer while a transition runs;
        # rclpy.lifecycle.LifecycleNode does not let one choose the group.
        self._lifecycle_group = ReentrantCallbackGroup()
        Node.__init__(self, name, **node_options)
        LifecycleNodeMixin.__init__(self, callback_group=self._lifecycle_group)
        self._change_state = self._service_change_state.callback
        self._service_change_state.callback = self._on_change_state
        self._parameter_server = ParameterServer(self, self.Parameters, self.parameters_changed)
        self._last_fault = ''
        self.diagnostics = diagnostics.Diagnostics(self, self._report)
        if self.parameters.autostart:
            self._autostart = self.create_timer(0.0, self._start, self._lifecycle_group)
        else:
            self.get_logger().info(
                'Waiting to be configured and activated: '
                f'ros2 lifecycle set {self.get_fully_qualified_name()} configure, then activate.')

    # What a node overrides -----------------------------------------------------------------

    def configure(self) -> None:
        """Read files, build state, create publishers, warm up kernels."""

    def activate(self) -> None:
        """Subscribe and start to work."""

    def deactivate(self) -> None:
        """Stop the intake; keep the state."""

    def cleanup(self) -> None:
        """Release what `configure` made."""

    def report(self) -> diagnostics.Report:
        """Health while active: level, message, values."""
        return diagnostics.OK, 'active', {}

    def parameters_changed(self, parameters: ManagedParameters) -> None:
        """A running node has new, already checked parameters."""

    # ---------------------------------------------------------------------------------------

    @property
    def parameters(self):
        return self._parameter_server.values

    @property
    def state(self) -> str:
        """Lifecycle state: unconfigured, inactive, active, ..."""
        return self._state_machine.current_state[1]

    def now_s(self) -> float:
        """Node time in seconds (simulated time under use_sim_time)."""
        return self.get_clock().now().nanoseconds * 1e-9

    def destroy_entities(self, entities: list) -> None:
        """Destroy subscriptions, timers and services, and empty the list."""
        for entity in entities:
            if isinstance(entity, Subscription):
                self.destroy_subscription(entity)
            elif isinstance(entity, Timer):
                self.destroy_timer(entity)
            else:
                self.destroy_service(entity)
        entities.clear()

    def publish_last(self, publisher: LifecyclePublisher, message: Any) -> None:
        """Publish, and wait until it has been received: the process may be about to end, and with
        it what is still on its way."""
        publisher.publish(message)
        if not publisher.wait_for_all_acked(RECEIPT_TIMEOUT):
            self.get_logger().warning(f'{publisher.topic_name}: no receipt of the last message')

    def _start(self) -> None:
        self._autostart.cancel()
        try:
            if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
                self.trigger_activate()
        except RCLError as error:
            self._refuse_transition('autostart', error)

    def _on_change_state(self, request, response):
        # On a transition that the state does not have rclpy raises, which would end the process.
        try:
            return self._change_state(request, response)
        except RCLError as error:
            self._refuse_transition(request.transition.label or request.transition.id, error)
            response.success = False
            return response

    def _refuse_transition(self, name: str | int, error: RCLError) -> None:
        self.get_logger().warning(f'transition {name}: refused while {self.state}: {error}')

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition('configure', self.configure, super().on_configure, state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        # Publishers first: what `activate` starts may publish at once.
        super().on_activate(state)
        return self._transition('activate', self.activate, None, state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition('deactivate', self.deactivate, super().on_deactivate, state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition('cleanup', self.cleanup, super().on_cleanup, state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.stop(state.label)
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.stop(state.label)     # the state before the transition that failed
        return TransitionCallbackReturn.SUCCESS

    def stop(self, state: str) -> None:
        """Best effort, from whatever state the node is in, and never raising."""
        steps: dict[str, tuple[Callable[[], None], ...]] = {
            'active': (self.deactivate, self.cleanup), 'inactive': (self.cleanup,)}
        for step in steps.get(state, ()):
            try:
                step()
            except Exception:
                self.get_logger().error(f'{step.__name__} failed:\n{traceback.format_exc()}')

    def _transition(self, name: str, step: Callable[[], None], managed, state: LifecycleState):
        try:
            step()
            result = managed(state) if managed else TransitionCallbackReturn.SUCCESS
            self.get_logger().info(f'{name}: done')
            self._last_fault = ''
            return result
        except NodeFault as fault:
            self._last_fault = f'{name}: {fault}'
            self.get_logger().error(self._last_fault)
            return TransitionCallbackReturn.FAILURE
        except Exception:
            self._last_fault = f'{name}: {traceback.format_exc(limit=1)}'
            self.get_logger().error(f'{name} failed:\n{traceback.format_exc()}')
            return TransitionCallbackReturn.ERROR

    def _report(self) -> diagnostics.Report:
        if self.state == 'active':
            return self.report()
        if self._last_fault:
            return diagnostics.ERROR, self._last_fault, {'state': self.state}
        return diagnostics.OK, self.state, {'state': self.state}


def run(node_class: Callable[[], ManagedNode]) -> None:
    """Run one node until it is asked to end (SIGINT, SIGTERM), then stop it cleanly.

    The signals are handled here, not by rclpy, whose handler takes the context away from
    callbacks and threads that still run: the node stops first, the context ends last.
    """
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    # A pipe, because a signal may come at any point of the program: a lock (of an event, say)
    # that the interrupted code holds would never be free again.
    ending, end = os.pipe()
    os.set_blocking(end, False)
    signal.set_wakeup_fd(end)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    try:
        node = node_class()
    except (ValueError, ParameterException) as error:    # of a file or of the command line
        raise SystemExit(f'{node_class.__name__}: {error}') from None
    executor = (SingleThreadedExecutor() if node.THREADS == 1
                else MultiThreadedExecutor(num_threads=node.THREADS))
    executor.add_node(node)
    stopped = Future()
    failures = []

    def spin() -> None:
        try:
            executor.spin_until_future_complete(stopped)
        except Exception as failure:
            node.get_logger().fatal(f'A callback failed:\n{traceback.format_exc()}')
            failures.append(failure)
            os.write(end, b'\0')

    spinning = threading.Thread(target=spin, name='executor')
    spinning.start()
    os.read(ending, 1)
    for number in SIGNALS:     # asked again it ends as well; Python takes handlers away at its end
        signal.signal(number, signal.SIG_IGN)
    stopped.set_result(None)
    spinning.join()
    executor.shutdown()      # waits for callbacks that still run
    node.stop(node.state)
    node.destroy_node()
    rclpy.shutdown()
    if failures:
        raise SystemExit(1)
