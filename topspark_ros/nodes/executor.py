"""How the callbacks of a node's process are run."""

from __future__ import annotations

import threading
import time

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.task import Task

InvalidHandle = rclpy_implementation.InvalidHandle
START_POLL_S = 1e-4


class LongCallbackGroup(ReentrantCallbackGroup):
    """For callbacks that may take seconds."""


class ExclusiveLongCallbackGroup(MutuallyExclusiveCallbackGroup):
    """For callbacks that may take seconds, one of them at a time."""


class NodeExecutor(SingleThreadedExecutor):
    """Runs callbacks one after another in the thread that spins; those that may take seconds in
    threads of their own, so that services and topics are answered meanwhile.

    rclpy's MultiThreadedExecutor would do that as well, but queues a callback again and again,
    as fast as it can, until a thread of its pool has taken it: at 20 frames/s that took a whole
    core.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ended = False

    def spin(self) -> None:
        """Run callbacks until `end`. Raises what a callback raises."""
        # Not spin_until_future_complete, which adds a callback to the future at each turn: memory
        # would grow for ever.
        while not self._ended:
            self.spin_once()

    def end(self) -> None:
        """Let `spin` return, from any thread."""
        self._ended = True
        self.create_task(lambda: None)  # or it would wait for the next callback

    def spin_once(self, timeout_sec: float | None = None) -> None:
        try:
            task, entity, _ = self.wait_for_ready_callbacks(timeout_sec)
        except InvalidHandle:  # destroyed, by a transition, while it was about to be waited for
            return
        group = getattr(entity, 'callback_group', None)
        if isinstance(group, (LongCallbackGroup, ExclusiveLongCallbackGroup)):
            threading.Thread(target=self._run_aside, args=(task,), daemon=True).start()
            # One that has not begun would be found ready again.
            while not (task.executing() or task.done()):
                time.sleep(START_POLL_S)
        else:
            task()
            task.result()  # raises what the callback raised

    def _run_aside(self, task: Task) -> None:
        task()
        if task.exception() is not None:
            self.create_task(task.result)  # is raised where callbacks are
