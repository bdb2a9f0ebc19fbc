"""Tells of kernels that are being compiled, which takes a minute on the first start."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event

COMPILATION = 'numba:compile'  # not fired for what comes from the cache
PERIOD_S = 5.0


class _Compilation(event.Listener):
    """The kernels that Python calls, and the functions compiled into them, as they come."""

    def __init__(self, tell: Callable[[str], None], period_s: float) -> None:
        self._tell = tell
        self._period_s = period_s
        self._over = threading.Event()
        self._teller: threading.Thread | None = None
        self._began_s = 0.0
        self._now: list[str] = []  # the kernel, and within it what is compiled
        self._done = 0

    def on_start(self, event: Any) -> None:
        self._now.append(event.data['dispatcher'].__name__)
        if self._teller is None:
            self._tell('compiling kernels, once: their machine code is kept for later starts')
            self._began_s = time.monotonic()
            # A thread, because one kernel alone may take half a minute.
            self._teller = threading.Thread(target=self._report, name='progress', daemon=True)
            self._teller.start()

    def on_end(self, event: Any) -> None:
        self._now.pop()
        self._done += not self._now

    def close(self) -> None:
        self._over.set()
        if self._teller is not None:
            self._teller.join()

    def _report(self) -> None:
        while not self._over.wait(self._period_s):
            now = self._now[:1]
            if now:
                self._tell(
                    f'compiling kernels for {time.monotonic() - self._began_s:.0f} s: '
                    f'{now[0]}, {self._done} done'
                )


@contextmanager
def report_compilation(tell: Callable[[str], None], period_s: float = PERIOD_S) -> Iterator[None]:
    """Within: `tell` a line before the first kernel that is compiled, and one every period while
    it lasts; nothing where all come from the cache. `tell` is called from another thread too."""
    compilation = _Compilation(tell, period_s)
    with event.install_listener(COMPILATION, compilation):
        try:
            yield
        finally:
            compilation.close()
