"""Nodes of the package as processes in a namespace of their own, and a node that talks to them."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import rclpy
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile

from topspark_ros.cli import ros

START_TIMEOUT_S = 120.0  # kernels are compiled at the first start
ANSWER_TIMEOUT_S = 20.0
END_TIMEOUT_S = 30.0
RESEND_S = 5.0  # an answer that takes longer is lost in discovery: ask again
EVERY = QoSProfile(depth=1000)

Value = TypeVar('Value')


class Health(NamedTuple):
    """The last diagnostics of a node. number: of the message, from 1."""

    level: int
    message: str
    values: dict[str, str]
    number: int


class NodeProcess:
    """One executable of the package; what it writes goes to a file."""

    def __init__(
        self,
        executable: str,
        arguments: list[str],
        log: Path,
        environment: dict[str, str],
        preexec: Callable[[], None] | None,
    ):
        self.name = executable
        self._log = log
        with open(log, 'wb') as file:
            self._process = subprocess.Popen(
                [ros.executable(executable), *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | environment,
                preexec_fn=preexec,
            )
        self.pid = self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text(encoding='utf-8', errors='replace')

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """At once, without a chance to say goodbye."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> float:
        """Ctrl-C; returns how long it took to end, s.

        Raises RuntimeError for a process that does not end by it, and well.
        """
        begin_s = time.monotonic()
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            code = f'none within {END_TIMEOUT_S:g} s'
        if code != 0:
            raise RuntimeError(f'{self.name}: exit code {code}\n{self.log[-3000:]}')
        return time.monotonic() - begin_s


class Robot:
    """One namespace. Needs rclpy to be initialised; ends what it started.

    folder: for parameter files and logs.
    """

    _number = itertools.count(1)

    def __init__(self, folder: Path):
        self.folder = folder
        self.namespace = f'/robot_{os.getpid()}_{next(self._number)}'
        self.node = rclpy.create_node('operator', namespace=self.namespace)
        self.health: dict[str, Health] = {}
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._processes: list[NodeProcess] = []
        self._clients: dict[str, Any] = {}
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, EVERY)

    def __enter__(self) -> Robot:
        return self

    def __exit__(self, kind, *_) -> None:
        try:
            for process in self._processes:
                if process.running and kind is None:
                    process.stop()
        finally:
            for process in self._processes:
                if process.running:
                    process.kill()
            self._executor.shutdown()
            self.node.destroy_node()

    def start(
        self,
        executable: str,
        *,
        environment: dict[str, str] | None = None,
        preexec: Callable[[], None] | None = None,
        remappings: dict[str, str] | None = None,
        **parameters,
    ) -> NodeProcess:
        """environment, preexec: as of subprocess.Popen, beside this process's environment."""
        stem = f'{executable}_{len(self._processes)}'
        configuration = self.folder / f'{stem}.yaml'
        configuration.write_text(
            yaml.safe_dump({'/**': {'ros__parameters': parameters}}), encoding='utf-8'
        )
        process = NodeProcess(
            executable,
            [
                '--ros-args',
                '-r',
                f'__ns:={self.namespace}',
                *(
                    word
                    for name, other in (remappings or {}).items()
                    for word in ('-r', f'{name}:={other}')
                ),
                '--params-file',
                str(configuration),
            ],
            self.folder / f'{stem}.log',
            environment or {},
            preexec,
        )
        self._processes.append(process)
        return process

    # Time -----------------------------------------------------------------------------------

    def spin(self, seconds: float, until: Callable[[], object] = lambda: False) -> bool:
        """Take messages until then; whether `until` came true."""
        end_s = time.monotonic() + seconds
        while not until():
            left_s = end_s - time.monotonic()
            if left_s <= 0.0:
                return False
            self._executor.spin_once(min(left_s, 0.02))
        return True

    def wait_for(
        self, condition: Callable[[], Value], what: str, timeout_s: float = START_TIMEOUT_S
    ) -> Value:
        """What `condition` returns once it is true; TimeoutError, with all logs, if never."""
        found = None

        def holds() -> Value:
            nonlocal found
            found = condition()
            return found

        if not self.spin(timeout_s, holds):
            raise TimeoutError(
                f'not within {timeout_s:g} s: {what}\n'
                + '\n'.join(
                    f'--- {process.name}\n{process.log[-3000:]}' for process in self._processes
                )
            )
        return found

    # Talk -----------------------------------------------------------------------------------

    def collect(self, message_type: type, topic: str, profile: QoSProfile = EVERY) -> list:
        """A list that grows by every message from now on, while the robot spins."""
        messages: list = []
        self.node.create_subscription(message_type, topic, messages.append, profile)
        return messages

    def call(
        self,
        service_type: type,
        name: str,
        request: Any = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> Any:
        """The answer to a request that may be sent again; TimeoutError without one."""
        if name not in self._clients:
            self._clients[name] = self.node.create_client(service_type, name)
        client = self._clients[name]
        self.wait_for(client.service_is_ready, f'service {name}', timeout_s)
        future, sent_s = None, 0.0

        def answered() -> bool:
            nonlocal future, sent_s
            if future is None or time.monotonic() > sent_s + RESEND_S:
                future = client.call_async(request or service_type.Request())
                sent_s = time.monotonic()
            return future.done()

        self.wait_for(answered, f'an answer of {name}', timeout_s)
        return future.result()

    def state(self, node: str, timeout_s: float = ANSWER_TIMEOUT_S) -> str:
        """Of its lifecycle: unconfigured, inactive, active, finalized."""
        return self.call(GetState, f'{node}/get_state', timeout_s=timeout_s).current_state.label

    def wait_until_active(self, node: str) -> None:
        self.wait_for(
            lambda: self.state(node, START_TIMEOUT_S) == 'active', f'{node} becomes active'
        )

    def fresh_health(self, node: str, timeout_s: float = ANSWER_TIMEOUT_S) -> Health:
        """The diagnostics that the node sends next but one: all that is in it came after now."""
        seen = self.health[node].number if node in self.health else 0
        return self.wait_for(
            lambda: (
                node in self.health and self.health[node].number >= seen + 2 and self.health[node]
            ),
            f'diagnostics of {node}',
            timeout_s,
        )

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        prefix = self.namespace.lstrip('/') + '/'
        for status in message.status:
            if status.name.startswith(prefix):
                name = status.name.removeprefix(prefix)
                number = self.health[name].number + 1 if name in self.health else 1
                self.health[name] = Health(
                    int.from_bytes(status.level, 'little'),
                    status.message,
                    {value.key: value.value for value in status.values},
                    number,
                )


def processor_time_s(pid: int) -> float:
    """Of a process with all its threads, also those that have ended, user and system."""
    # As clock_getcpuclockid(3) makes it: /proc/PID/stat counts in hundredths of a second.
    return time.clock_gettime(~pid << 3 | 2)


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had in RAM."""
    lines = Path(f'/proc/{pid}/status').read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith('VmHWM'))


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM."""
    return int(Path(f'/proc/{pid}/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')
