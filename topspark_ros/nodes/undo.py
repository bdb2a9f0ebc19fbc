"""What undoes a transition of a lifecycle node."""

from __future__ import annotations

import functools
import threading
import traceback
from collections.abc import Callable
from typing import Any


class Undo:
    """The steps that undo what a transition has made, and the callbacks of what it has made.

    An executor with several threads may run a callback while another thread undoes what the
    callback uses. So a callback that runs is waited for, and one that comes later does nothing.
    """

    def __init__(self) -> None:
        self._steps: list[tuple[Callable[..., Any], tuple]] = []
        self._changed = threading.Condition()
        self._callers: list[int] = []  # threads that run a callback
        self._times = 0  # that all was undone

    def add(self, step: Callable[..., Any], *args: Any) -> None:
        """`step(*args)` is one more step: it will be run before those that are there."""
        self._steps.append((step, args))

    def forget(self, *args: Any) -> None:
        """A step with these arguments has been run otherwise."""
        self._steps = [(step, given) for step, given in self._steps if given != args]

    def guarded(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        """The callback, for as long as nothing is undone. Of a service that is gone the answer
        stays as it was made."""
        valid = self._times

        @functools.wraps(callback)
        def call(*args: Any) -> Any:
            with self._changed:
                if self._times != valid:
                    return args[-1] if args else None
                self._callers.append(threading.get_ident())
            try:
                return callback(*args)
            finally:
                with self._changed:
                    self._callers.remove(threading.get_ident())
                    self._changed.notify_all()

        return call

    def run(
        self, tell: Callable[[Callable[..., Any], tuple], None] = lambda step, args: None
    ) -> list[str]:
        """Run all steps in reverse order, each of them once, whichever fail; returns the
        tracebacks of those that do. `tell` is called before each of them."""
        with self._changed:
            self._times += 1
            here = threading.get_ident()
            self._changed.wait_for(lambda: all(caller == here for caller in self._callers))
        failures = []
        while self._steps:
            step, args = self._steps.pop()
            try:
                tell(step, args)
                step(*args)
            except Exception:
                failures.append(traceback.format_exc())
        return failures
