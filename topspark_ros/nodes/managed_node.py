"""What all our lifecycle nodes share: checked parameters, transitions that say why they failed,
autostart, diagnostics, and a process that ends cleanly.

A node overrides `configure`, `activate` and `report`. What these two make is undone by the base: in
reverse order, when the node is deactivated or cleaned up, when it ends, and when the transition
fails half-way. So every transition undoes exactly what it did.

An expected fault in a transition is a `NodeFault`: one clear line, and the transition fails.
Anything else is logged with its traceback (rclpy alone would swallow it).
"""
from __future__ import annotations

import dataclasses
import os
import signal
import threading
import traceback
from typing import Any, Callable, ClassVar, TypeVar

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
from rclpy.task import Future

from topspark_ros.errors import TopsparkError
from topspark_ros.nodes import diagnostics
from topspark_ros.nodes.parameters import ParameterServer, parameter

RCLError = rclpy_implementation.RCLError      # rclpy exports it nowhere else
SIGNALS = (signal.SIGINT, signal.SIGTERM)
RECEIPT_TIMEOUT = Duration(seconds=1.0)

Entity = TypeVar('Entity')


class NodeFault(TopsparkError):
    """An expected fault: its message is the one line that a user sees."""


@dataclasses.dataclass(frozen=True)
class ManagedParameters:
    """Parameters of every node."""

    autostart: bool = parameter(
        True, 'Configure and activate at start; false leaves both to a lifecycle manager.',
        fixed=True)


class _Undo:
    """What undoes a transition: steps that are run in reverse order, each of them once."""

    def __init__(self, name: str):
        self.name = name
        self._steps: list[tuple[Callable[..., Any], tuple]] = []

    def add(self, step: Callable[..., Any], *args: Any) -> None:
        self._steps.append((step, args))

    def run(self) -> list[str]:
        """Run all steps, whichever fail; returns the tracebacks of those that do."""
        failures = []
        while self._steps:
            step, args = self._steps.pop()
            try:
                step(*args)
            except Exception:
                failures.append(traceback.format_exc())
        return failures


class ManagedNode(LifecycleNodeMixin, Node):
    """Base of the package's nodes.

    THREADS: that callbacks run in. Two for a node whose transitions take seconds, so that its
        services and topics are answered meanwhile; one costs half the processor time.
    """

    Parameters: ClassVar[type[ManagedParameters]] = ManagedParameters
    THREADS: ClassVar[int] = 1

    def __init__(self, name: str, **node_options):
        self._configured, self._activated = _Undo('cleanup'), _Undo('deactivate')
        # Of the thread that a transition runs in: what other threads make meanwhile is not its.
        self._in_transition = threading.local()
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

    def report(self) -> diagnostics.Report:
        """Health while active: level, message, values."""
        return diagnostics.OK, 'active', {}

    def parameters_changed(self, parameters: ManagedParameters) -> None:
        """A running node has new, already checked parameters."""

    # What `configure` and `activate` make is undone ------------------------------------------

    def undo_with(self, step: Callable[..., Any], *args: Any) -> None:
        """Within `configure` or `activate`: `step(*args)` is called when that is undone.

        Not needed for subscriptions and the like: those that are created there are destroyed.
        """
        self._in_transition.undo.add(step, *args)

    def _undone_by(self, entity: Entity, destroy: Callable[[Entity], Any]) -> Entity:
        if hasattr(self._in_transition, 'undo'):     # else it is the node's own, for ever
            self.undo_with(destroy, entity)
        return entity

    def create_publisher(self, *args, **kwargs):
        return self._undone_by(super().create_publisher(*args, **kwargs), self.destroy_publisher)

    def create_lifecycle_publisher(self, *args, **kwargs):
        return self._undone_by(super().create_lifecycle_publisher(*args, **kwargs),
                               self.destroy_lifecycle_publisher)

    def create_subscription(self, *args, **kwargs):
        return self._undone_by(super().create_subscription(*args, **kwargs),
                               self.destroy_subscription)

    def create_service(self, *args, **kwargs):
        return self._undone_by(super().create_service(*args, **kwargs), self.destroy_service)

    def create_client(self, *args, **kwargs):
        return self._undone_by(super().create_client(*args, **kwargs), self.destroy_client)

    def create_timer(self, *args, **kwargs):
        return self._undone_by(super().create_timer(*args, **kwargs), self.destroy_timer)

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
        return self._make_transition('configure', self.configure, self._configured)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        enable, disable = super().on_activate, super().on_deactivate     # the publishers

        def activate() -> None:
            # Before and after all others: what is started, or stopped, may publish.
            self.undo_with(disable, state)
            enable(state)
            self.activate()
        return self._make_transition('activate', activate, self._activated)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._end_transition('deactivate', self._undo_all(self._activated))

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._end_transition('cleanup', self._undo_all(self._configured))

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.stop()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.stop()
        return TransitionCallbackReturn.SUCCESS

    def stop(self) -> None:
        """Undo all, from whatever state the node is in, and never raising."""
        self._undo_all(self._activated)
        self._undo_all(self._configured)

    def _make_transition(self, name: str, step: Callable[[], None],
                         undo: _Undo) -> TransitionCallbackReturn:
        self._in_transition.undo = undo
        try:
            step()
            fault = ''
        except NodeFault as expected:
            fault = str(expected)
            self.get_logger().error(f'{name}: {fault}')
        except Exception:
            fault = traceback.format_exc(limit=1)
            self.get_logger().error(f'{name} failed:\n{traceback.format_exc()}')
        finally:
            del self._in_transition.undo
        if not fault:
            return self._end_transition(name, '')
        # What is left when not even the undoing goes well is unknown: ERROR ends all of it.
        not_undone = self._undo_all(undo)
        self._end_transition(name, fault)
        return TransitionCallbackReturn.ERROR if not_undone else TransitionCallbackReturn.FAILURE

    def _undo_all(self, undo: _Undo) -> str:
        """Undo what was done; returns what of it failed, empty if nothing."""
        failures = undo.run()
        for failure in failures:
            self.get_logger().error(f'{undo.name}: a step failed:\n{failure}')
        return '\n'.join(failures)

    def _end_transition(self, name: str, fault: str) -> TransitionCallbackReturn:
        self._last_fault = f'{name}: {fault}' if fault else ''
        if fault:
            return TransitionCallbackReturn.ERROR
        self.get_logger().info(f'{name}: done')
        return TransitionCallbackReturn.SUCCESS

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
    node.stop()
    node.destroy_node()
    rclpy.shutdown()
    if failures:
        raise SystemExit(1)
