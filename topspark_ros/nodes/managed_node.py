"""What all our lifecycle nodes share: checked parameters, transitions that say why they failed,
autostart and diagnostics.

A node overrides `configure`, `activate` and `report`. What the first two make is undone by the
base: in reverse order, when the node is deactivated or cleaned up, when it ends, and when the
transition fails half-way. So every transition undoes exactly what it did.

An error that is raised on purpose makes a transition fail with one clear line. Any other is logged
with its traceback (rclpy alone would swallow it).
"""

from __future__ import annotations

import dataclasses
import threading
import traceback
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from lifecycle_msgs.srv import ChangeState
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import (
    LifecycleNodeMixin,
    LifecyclePublisher,
    LifecycleState,
    TransitionCallbackReturn,
)
from rclpy.logging import LoggingSeverity
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.service import Service
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from topspark_ros.errors import TopsparkError
from topspark_ros.nodes import diagnostics
from topspark_ros.nodes.executor import LongCallbackGroup
from topspark_ros.nodes.heartbeat import Heartbeat
from topspark_ros.nodes.parameters import ParameterServer, parameter
from topspark_ros.nodes.undo import Undo
from topspark_ros.nodes.wake import entity_name

RCLError = rclpy_implementation.RCLError  # rclpy exports it nowhere else
RECEIPT_TIMEOUT = Duration(seconds=1.0)

Entity = TypeVar('Entity')


class NodeFault(TopsparkError):
    """What a node rejects in a transition: one line."""


@dataclasses.dataclass(frozen=True)
class ManagedParameters:
    """Parameters of every node."""

    autostart: bool = parameter(
        True,
        'Configure and activate at start; false leaves both to a lifecycle manager.',
        at_start=True,
    )
    bond_heartbeat_period: float = parameter(
        0.0,
        "Between two messages on `bond` to Nav2's lifecycle manager; 0: none.",
        unit='s',
        low=0.0,
        high=60.0,
        fixed=True,
    )


Declared = TypeVar('Declared', bound=ManagedParameters)


class ManagedNode(LifecycleNodeMixin, Node, Generic[Declared]):
    """Base of the package's nodes. Each names its parameters."""

    Parameters: type[Declared]

    def __init__(self, name: str, **node_options: Any) -> None:
        self._undo = {'configure': Undo(), 'activate': Undo()}
        # Of the thread that a transition runs in: what other threads make meanwhile is not its.
        self._in_transition = threading.local()
        self._one_transition = threading.RLock()
        self._ending = False
        # Re-entrant, so that what is asked while a transition runs is answered;
        # rclpy.lifecycle.LifecycleNode does not let one choose the group.
        self._lifecycle_group = LongCallbackGroup()
        Node.__init__(self, name, **node_options)
        LifecycleNodeMixin.__init__(self, callback_group=self._lifecycle_group)
        self._change_state = self._service_change_state.callback
        self._service_change_state.callback = self._on_change_state
        self._parameter_server = ParameterServer(
            self, self.Parameters, lambda: self.state, self.parameters_changed
        )
        self._last_fault = ''
        self.diagnostics = diagnostics.Diagnostics(self, self._report)
        if self.parameters.autostart:
            # Not by the node's clock, which may not run yet.
            self._autostart = self.create_timer(
                0.0, self._start, self._lifecycle_group, Clock(clock_type=ClockType.STEADY_TIME)
            )
        else:
            self.get_logger().info(
                'Waiting to be configured and activated: '
                f'ros2 lifecycle set {self.get_fully_qualified_name()} configure, then activate.'
            )

    # What a node overrides -----------------------------------------------------------------

    def configure(self) -> None:
        """Read files, build state, create publishers, warm up kernels."""

    def activate(self) -> None:
        """Subscribe and start to work."""

    def report(self) -> diagnostics.Report:
        """Health while active: level, message, values."""
        return diagnostics.OK, 'active', {}

    def concern(self) -> str:
        """What is wrong while it is not active; empty: nothing."""
        return ''

    def parameters_changed(self, parameters: Declared) -> None:
        """There are new, already checked parameters, in whatever state the node is."""

    # What a node uses ----------------------------------------------------------------------

    @property
    def parameters(self) -> Declared:
        return self._parameter_server.values

    @property
    def state(self) -> str:
        """Lifecycle state: unconfigured, inactive, active, ..."""
        return self._state_machine.current_state[1]

    @property
    def debugging(self) -> bool:
        """Whether lines at the debug level are wanted: to be asked before one is made."""
        return self.get_logger().is_enabled_for(LoggingSeverity.DEBUG)

    def now_s(self) -> float:
        """Node time in seconds (simulated time under use_sim_time)."""
        return self.get_clock().now().nanoseconds * 1e-9

    def publish_last(self, publisher: Publisher | LifecyclePublisher, message: Any) -> None:
        """Publish, and wait until it has been received: the process may be about to end, and with
        it what is still on its way."""
        publisher.publish(message)
        if not publisher.wait_for_all_acked(RECEIPT_TIMEOUT):
            self.get_logger().warning(f'{publisher.topic_name}: no receipt of the last message')

    # What `configure` and `activate` make is undone ------------------------------------------

    def undo_with(self, step: Callable[..., Any], *args: Any) -> None:
        """Within `configure` or `activate`: `step(*args)` is called when that is undone.

        Not needed for subscriptions and the like: those that are created there are destroyed.
        """
        self._in_transition.undo.add(step, *args)

    def _guarded(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        undo = getattr(self._in_transition, 'undo', None)
        return callback if undo is None else undo.guarded(callback)

    def _made(self, entity: Entity, destroy: Callable[[Entity], Any]) -> Entity:
        if hasattr(self._in_transition, 'undo'):  # else it is the node's own, for ever
            self.undo_with(destroy, entity)
            if self.debugging:
                self.get_logger().debug(f'made: {_described(entity)}')
        return entity

    # rclpy would tell of what does not match by names before they were remapped, and not of polled
    # subscriptions; the diagnostics tell of all.

    def create_publisher(self, *args: Any, **kwargs: Any) -> Publisher:
        kwargs.setdefault('event_callbacks', PublisherEventCallbacks(use_default_callbacks=False))
        return self._made(super().create_publisher(*args, **kwargs), self.destroy_publisher)

    def create_lifecycle_publisher(self, *args: Any, **kwargs: Any) -> LifecyclePublisher:
        kwargs.setdefault('event_callbacks', PublisherEventCallbacks(use_default_callbacks=False))
        return self._made(
            super().create_lifecycle_publisher(*args, **kwargs), self.destroy_lifecycle_publisher
        )

    def create_subscription(
        self, msg_type: type, topic: str, callback: Callable[..., None], *args: Any, **kwargs: Any
    ) -> Subscription:
        kwargs.setdefault(
            'event_callbacks', SubscriptionEventCallbacks(use_default_callbacks=False)
        )
        return self._made(
            super().create_subscription(msg_type, topic, self._guarded(callback), *args, **kwargs),
            self.destroy_subscription,
        )

    def destroy_subscription(self, subscription: Subscription) -> bool:
        for undo in self._undo.values():
            undo.forget(subscription)
        return super().destroy_subscription(subscription)

    def create_service(
        self, srv_type: type, srv_name: str, callback: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Service:
        return self._made(
            super().create_service(srv_type, srv_name, self._guarded(callback), *args, **kwargs),
            self.destroy_service,
        )

    def create_timer(
        self, timer_period_sec: float, callback: Callable[..., None], *args: Any, **kwargs: Any
    ) -> Timer:
        return self._made(
            super().create_timer(timer_period_sec, self._guarded(callback), *args, **kwargs),
            self.destroy_timer,
        )

    # Transitions ---------------------------------------------------------------------------

    def _start(self) -> None:
        self.destroy_timer(self._autostart)
        try:
            if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
                self.trigger_activate()
        except RCLError as error:
            self._reject_transition('autostart', error)

    def _on_change_state(
        self, request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        # On a transition that the state does not have rclpy raises, which would end the process.
        try:
            return self._change_state(request, response)
        except RCLError as error:
            self._reject_transition(request.transition.label or request.transition.id, error)
            response.success = False
            return response

    def _reject_transition(self, name: str | int, error: Exception) -> None:
        self.get_logger().warning(f'transition {name}: rejected while {self.state}: {error}')

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._do('configure', self.configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        enable, disable = super().on_activate, super().on_deactivate  # the publishers

        def activate() -> None:
            # Before and after all others: what is started, or stopped, may publish.
            self.undo_with(disable, state)
            enable(state)
            self.activate()
            if period_s := self.parameters.bond_heartbeat_period:
                Heartbeat(self, period_s)

        return self._do('activate', activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._ended('deactivate', self._undone('activate'))

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._ended('cleanup', self._undone('configure'))

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._undo_all()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._undo_all()
        return TransitionCallbackReturn.SUCCESS

    def end(self) -> None:
        """Begin no transition any more."""
        self._ending = True

    def stop(self) -> None:
        """End, wait for a transition that runs, and undo all. Never raises."""
        self.end()
        self._undo_all()

    def destroy_node(self) -> None:
        self.stop()
        super().destroy_node()

    def abandon(self) -> None:
        """Leave the graph, whatever transition runs: the process is about to end."""
        self.end()
        super().destroy_node()
        del self._state_machine  # which holds the node's handle

    def _undo_all(self) -> None:
        self._undone('activate')
        self._undone('configure')

    def _do(self, name: str, step: Callable[[], None]) -> TransitionCallbackReturn:
        with self._one_transition:
            if self._ending:
                return TransitionCallbackReturn.FAILURE
            fault = self._faulty(name, step)
            # What is left when not even the undoing goes well is unknown: ERROR ends all of it.
            undone = not fault or not self._undone(name)
        result = self._ended(name, fault)
        return TransitionCallbackReturn.FAILURE if fault and undone else result

    def _faulty(self, name: str, step: Callable[[], None]) -> str:
        """Run the step; returns what failed, empty if nothing."""
        self._in_transition.undo = self._undo[name]
        try:
            step()
        except TopsparkError as fault:
            self.get_logger().error(f'{name}: {fault}')
            return str(fault)
        except Exception:
            if not self._ending:  # else it is no wonder, for the node has been abandoned
                self.get_logger().error(f'{name} failed:\n{traceback.format_exc()}')
            return traceback.format_exc(limit=1)
        finally:
            del self._in_transition.undo
        return ''

    def _undone(self, name: str) -> str:
        """Undo what the transition of this name did; returns what of it failed, empty if
        nothing."""
        with self._one_transition:
            failures = self._undo[name].run(self._tell_of_undoing)
        for failure in failures:
            self.get_logger().error(f'{name} could not be undone wholly:\n{failure}')
        return '\n'.join(failures)

    def _tell_of_undoing(self, step: Callable[..., Any], args: tuple) -> None:
        if self.debugging:
            self.get_logger().debug(' '.join(['undoing:', step.__name__, *map(_described, args)]))

    def _ended(self, name: str, fault: str) -> TransitionCallbackReturn:
        self._last_fault = f'{name}: {fault}' if fault else ''
        if fault:
            return TransitionCallbackReturn.ERROR
        self.get_logger().info(f'{name}: done')
        return TransitionCallbackReturn.SUCCESS

    def _report(self) -> diagnostics.Report:
        if self.state == 'active':
            return self.report()
        if fault := self._last_fault or self.concern():
            return diagnostics.ERROR, fault, {'state': self.state}
        return diagnostics.OK, self.state, {'state': self.state}


def _described(entity: Any) -> str:
    return f'{type(entity).__name__} {entity_name(entity)}'.rstrip()
