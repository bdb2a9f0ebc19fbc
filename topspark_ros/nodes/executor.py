"""How the callbacks of a node's process are run."""

from __future__ import annotations

import functools
import math
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

from rclpy.callback_groups import (
    CallbackGroup,
    MutuallyExclusiveCallbackGroup,
    ReentrantCallbackGroup,
)
from rclpy.clock import ROSClock
from rclpy.exceptions import InvalidHandle
from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.service import Service
from rclpy.subscription import Subscription
from rclpy.task import Task
from rclpy.timer import Timer

from topspark_ros.nodes.wake import Wake, count_arrivals, new_counter


class LongCallbackGroup(ReentrantCallbackGroup):
    """For callbacks that may take seconds."""


class ExclusiveLongCallbackGroup(MutuallyExclusiveCallbackGroup):
    """For callbacks that may take seconds, one of them at a time."""


class UnscheduledCallbackGroup(CallbackGroup):
    """No executor takes the messages of its subscriptions."""

    def can_execute(self, entity: object) -> bool:
        return False

    def beginning_execution(self, entity: object) -> bool:
        return False

    def ending_execution(self, entity: object) -> None:
        pass


Arrival: TypeAlias = Subscription | Service
Work: TypeAlias = Callable[[], object]


class NodeExecutor(Executor):
    """Runs callbacks one after another in the thread that spins; those that may take seconds in
    threads of their own, so that services and topics are answered meanwhile.

    rclpy's executors gather everything that a node has into a wait set, in Python, before each
    callback and after it: a millisecond of processor time, whatever the callback does. Its
    EventsExecutor does not, but has no place for callbacks that take long. So here the middleware
    itself raises a counter for each message and request, and this looks at what was raised.

    Clients and waitables (actions, events of publishers) are not run: no node of ours has any.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ended = False
        self._wake = Wake()
        self._changed = False  # nodes, or what they have
        self._pending: deque[Task] = deque()
        self._timers: list[Timer] = []
        self._watched: dict[int, Arrival] = {}  # by the descriptor of its counter
        self._ready: dict[Arrival, None] = {}  # in which something may wait; in their order
        # Counters of what is gone. The middleware may raise one once more, so that its descriptor
        # must never become that of something else; another entity may have it.
        self._spare: list[int] = []
        self._poll = select.epoll()
        self._poll.register(self._wake.descriptor, select.EPOLLIN)

    # What rclpy calls, from any thread -------------------------------------------------------

    def wake(self) -> None:
        self._changed = True
        self._wake.up()

    def add_node(self, node: Node) -> bool:
        added = super().add_node(node)
        self.wake()
        return added

    def remove_node(self, node: Node) -> None:
        super().remove_node(node)
        self.wake()

    def create_task(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> Task:
        task = Task(callback, args, kwargs, executor=self)
        self._pending.append(task)
        self._wake.up()
        return task

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        self.end()
        return super().shutdown(timeout_sec)

    def end(self) -> None:
        """Let `spin` return, from any thread."""
        self._ended = True
        self._wake.up()

    # In the thread that spins ----------------------------------------------------------------

    def spin(self) -> None:
        """Run callbacks until `end`. Raises what a callback raises."""
        while self._context.ok() and not self._ended:
            self.spin_once()

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait until there is work, and do one piece of each kind that waits."""
        self._wait(math.inf if timeout_sec is None else timeout_sec)
        for _ in range(len(self._pending)):
            task = self._pending.popleft()
            task()
            task.result()  # raises what the callback raised
        for timer in self._timers:
            if _due_in_s(timer) <= 0.0:
                self._run(timer)
        for entity in list(self._ready):
            if entity.callback_group.can_execute(entity) and not self._run(entity):
                del self._ready[entity]

    def _wait(self, timeout_s: float) -> None:
        if self._pending or any(
            entity.callback_group.can_execute(entity) for entity in self._ready
        ):
            timeout_s = 0.0
        for timer in self._timers:
            if not _is_simulated(timer):  # else /clock, which is a topic, wakes
                timeout_s = min(timeout_s, _due_in_s(timer))
        for counter, _ in self._poll.poll(None if timeout_s == math.inf else max(0.0, timeout_s)):
            os.eventfd_read(counter)
            if counter in self._watched:
                self._ready[self._watched[counter]] = None
        if self._changed:
            self._changed = False
            self._watch()

    def _watch(self) -> None:
        nodes = self.get_nodes()
        self._timers = [timer for node in nodes for timer in node.timers]
        there = {
            entity
            for node in nodes
            for entity in (*node.subscriptions, *node.services)
            if not isinstance(entity.callback_group, UnscheduledCallbackGroup)
        }
        for counter, entity in list(self._watched.items()):
            if entity not in there:
                del self._watched[counter]
                self._ready.pop(entity, None)
                self._spare.append(counter)
        for entity in there.difference(self._watched.values()):
            with suppress(InvalidHandle):  # gone again
                counter = self._spare.pop() if self._spare else self._add_counter()
                self._watched[counter] = entity
                count_arrivals(entity, counter)

    def _add_counter(self) -> int:
        counter = new_counter()
        self._poll.register(counter, select.EPOLLIN)
        return counter

    def _run(self, entity: Timer | Arrival) -> bool:
        """One callback, now or in a thread of its own; whether there was anything to do."""
        try:
            work = _TAKE[type(entity)](entity)
        except InvalidHandle:  # destroyed, by a transition, meanwhile
            work = None
        if work is None:
            return False
        group = entity.callback_group
        if isinstance(group, (LongCallbackGroup, ExclusiveLongCallbackGroup)):
            group.beginning_execution(entity)
            threading.Thread(target=self._run_aside, args=(work, entity), daemon=True).start()
        else:
            work()
        return True

    def _run_aside(self, work: Work, entity: Timer | Arrival) -> None:
        try:
            work()
        except Exception as failure:
            self.create_task(_raise, failure)  # where callbacks are
        finally:
            entity.callback_group.ending_execution(entity)
            self._wake.up()


def _due_in_s(timer: Timer) -> float:
    """Time on the timer's clock, s; infinite for one that is cancelled or may not run now."""
    try:
        due_in_ns = timer.time_until_next_call()
    except InvalidHandle:
        return math.inf
    if due_in_ns is None or not timer.callback_group.can_execute(timer):
        return math.inf
    return due_in_ns * 1e-9


def _is_simulated(timer: Timer) -> bool:
    return isinstance(timer.clock, ROSClock) and timer.clock.ros_time_is_active


def _raise(failure: Exception) -> None:
    raise failure


# What there is to do, already taken out of the middleware's queue; None: nothing.


def _take_timer(timer: Timer) -> Work | None:
    with timer.handle:
        timer.handle.call_timer()
    return timer.callback


def _take_message(subscription: Subscription) -> Work | None:
    with subscription.handle:
        taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
    if taken is None:
        return None
    with_info = subscription._callback_type is Subscription.CallbackType.WithMessageInfo
    return functools.partial(subscription.callback, *(taken if with_info else taken[:1]))


def _take_request(service: Service) -> Work | None:
    with service.handle:
        request, header = service.handle.service_take_request(service.srv_type.Request)
    if header is None:
        return None

    def answer() -> None:
        response = service.callback(request, service.srv_type.Response())
        with suppress(InvalidHandle):  # the callback may have ended the service
            service.send_response(response, header)

    return answer


_TAKE: dict[type, Callable[[Any], Work | None]] = {
    Timer: _take_timer,
    Subscription: _take_message,
    Service: _take_request,
}
