"""`topspark demo`: the whole system on one machine, one process a node, in about a minute."""
from __future__ import annotations

import argparse
import dataclasses
import math
import os
import signal
import subprocess
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import yaml
from rich.console import Console
from rich.live import Live
from rich.table import Table

from topspark_ros.cli import live_view, report

SUMMARY = ('Run camera, learner, controller, battery and operator as ROS 2 nodes for a minute and '
           'report what they did.')
ACCURACY_BOUND = 0.9
LEAST_RESELECTIONS = 3
START_TIMEOUT_S = 120.0   # kernels are compiled at the first start
LINE_PERIOD_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--parameters', type=Path, help='ROS parameters of the nodes (default: '
                        'config/demo.yaml of the package)')
    parser.add_argument('--results', type=Path, default=Path('results/demo'),
                        help='folder for picture, JSON and logs')


def run(arguments: argparse.Namespace) -> int:
    try:
        from ament_index_python.packages import get_package_prefix
    except ImportError:
        raise ValueError('ROS 2 is not there; source it, or run `make demo`') from None
    prefix = Path(get_package_prefix('topspark_ros'))
    share = prefix / 'share' / 'topspark_ros'
    parameters = arguments.parameters or share / 'config' / 'demo.yaml'
    with open(parameters, encoding='utf-8') as file:
        configured = yaml.safe_load(file)
    arguments.results.mkdir(parents=True, exist_ok=True)

    os.environ.setdefault('FASTRTPS_DEFAULT_PROFILES_FILE',
                          str(share / 'config' / 'fastdds_profile.xml'))
    # The demo stays on this machine and, by its namespace, apart from other runs.
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    demo = Demo(prefix / 'lib' / 'topspark_ros', parameters, arguments.results,
                namespace=f'/demo_{os.getpid()}',
                frames=configured['/**/dataset_camera']['ros__parameters']['frames'],
                frame_rate=configured['/**/dataset_camera']['ros__parameters']['frame_rate'],
                accuracy_window=configured['/**/snn_learner']['ros__parameters'][
                    'accuracy_window'])
    return demo.run()


class DemoFault(ValueError):
    """The run could not be brought to its end."""


class Demo:
    """Starts the nodes, watches them through their topics, stops them, and judges the run."""

    def __init__(self, executables: Path, parameters: Path, results: Path, *, namespace: str,
                 frames: int, frame_rate: float, accuracy_window: int):
        self._executables = executables
        self._parameters = parameters
        self._results = results
        self._namespace = namespace
        self._frames = frames
        self._frame_rate = frame_rate
        self._accuracy_window = accuracy_window
        self._processes: dict[str, subprocess.Popen] = {}
        self._console = Console()

    def run(self) -> int:
        import rclpy
        from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

        from topspark_ros.nodes.observer import Observer

        rclpy.init()
        observer = Observer('demo_observer', self._accuracy_window, namespace=self._namespace)
        executor = SingleThreadedExecutor()
        executor.add_node(observer)

        def spin() -> None:
            try:
                executor.spin()
            except ExternalShutdownException:
                pass

        spinning = threading.Thread(target=spin, daemon=True)
        spinning.start()
        try:
            with ExitStack() as stack:
                stack.callback(self._stop)
                show = stack.enter_context(self._display(observer))
                self._follow(observer, show)
        finally:
            executor.shutdown()
            spinning.join(timeout=5.0)
            observer.destroy_node()
            rclpy.try_shutdown()
        return self._conclude(observer.record, self._camera_health(observer))

    # The course ----------------------------------------------------------------------------

    def _follow(self, observer, show) -> None:
        for node in ('snn_learner', 'timestep_controller', 'battery_simulator'):
            self._start(node)
        self._wait(lambda: observer.record.status is not None and observer.record.decisions,
                   'the learner to be ready', START_TIMEOUT_S, show)
        for node in ('dataset_camera', 'power_budget_schedule'):
            self._start(node)
        self._wait(lambda: self._camera_health(observer).get('message') == 'finished',
                   'the camera to finish', self._frames / self._frame_rate + START_TIMEOUT_S, show)
        published = int(self._camera_health(observer)['frames published'])
        try:
            self._wait(lambda: len(observer.record.results) == published
                       and observer.record.status.frames_classified == published,
                       'the last classifications', 3.0, show)
        except DemoFault:
            pass       # frames were lost: the verdict says how many

    def _camera_health(self, observer) -> dict[str, str]:
        return observer.health.get(f'{self._namespace}/dataset_camera'.lstrip('/'), {})

    def _wait(self, done, what: str, timeout_s: float, show) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not done():
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise DemoFault(f'{name} ended with code {process.returncode}:\n'
                                    + self._log(name).read_text(encoding='utf-8')[-2000:])
            if time.monotonic() > deadline_s:
                raise DemoFault(f'waited {timeout_s:g} s for {what}; logs: {self._results}')
            show()
            time.sleep(0.1)

    def _display(self, observer):
        title = 'topspark: a robot that sees, learns and saves energy'

        class Lines:
            def __enter__(self):
                self._next_s = 0.0
                return self.show

            def __exit__(self, *_):
                pass

            def show(self):
                if time.monotonic() >= self._next_s:
                    self._next_s = time.monotonic() + LINE_PERIOD_S
                    console.print(observer.read(lambda r: live_view.line(r, frames)),
                                  highlight=False, soft_wrap=True)

        class Screen:
            def __enter__(self):
                self._live = Live(console=console, refresh_per_second=5)
                self._live.__enter__()
                return self.show

            def __exit__(self, *exception):
                self._live.__exit__(*exception)

            def show(self):
                self._live.update(observer.read(
                    lambda r: live_view.view(r, frames=frames, title=title)))

        console, frames = self._console, self._frames
        return Screen() if console.is_terminal else Lines()

    # Processes -----------------------------------------------------------------------------

    def _start(self, node: str) -> None:
        with open(self._log(node), 'wb') as log:
            self._processes[node] = subprocess.Popen(
                [self._executables / node, '--ros-args', '-r', f'__ns:={self._namespace}',
                 '--params-file', self._parameters], stdout=log, stderr=log,
                start_new_session=True)

    def _stop(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self._processes.values():
            try:
                process.wait(timeout=10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _log(self, node: str) -> Path:
        return self._results / f'{node}.log'

    # The verdict ---------------------------------------------------------------------------

    def _conclude(self, record, camera: dict[str, str]) -> int:
        figures = self._figures(record, int(camera['frames published']))
        report.write_json(self._results / 'demo.json', figures)
        report.draw_course(self._results / 'demo.png', figures['series'])

        summary = figures['summary']
        table = Table(title='What the robot did', show_header=False)
        for name, value in summary.items():
            if isinstance(value, float):
                unit = name[name.rfind('[') + 1:-1] if name.endswith(']') else ''
                text = live_view.quantity(value, unit) if unit else live_view.share(value)
                table.add_row(name.split(' [')[0], text)
            else:
                table.add_row(name, str(value))
        self._console.print(table)
        for name, holds in figures['verdict'].items():
            self._console.print(f'[{"green" if holds else "bold red"}]'
                                f'{"yes" if holds else "NO "}[/] {name}', highlight=False)
        self._console.print(f'Picture, figures and logs: {self._results}', highlight=False)
        return 0 if all(figures['verdict'].values()) else 1

    def _figures(self, record, published: int) -> dict:
        status = record.status
        accuracy = live_view.latest(record.accuracy)
        settings = [(d.training_timesteps, d.inference_timesteps, d.learning)
                    for d in record.decisions]
        reselections = sum(before != after for before, after in zip(settings, settings[1:]))
        lost = published - len(record.results)
        energy = [result.energy_j for result in record.results]
        latency = sorted(result.latency_s for result in record.results)
        applied = {sequence for _, sequence in record.applied}
        summary = {
            'frames published': published,
            'frames classified': len(record.results),
            'frames lost': lost,
            'frames learned': int(status.frames_learned),
            'frames labelled': record.labelled,
            'accuracy, last labelled frames': accuracy,
            'accuracy, whole run': record.correct / record.labelled if record.labelled
            else math.nan,
            'neurons in use': int(status.recruited_neurons),
            'T re-selected': reselections,
            'latency, median [s]': latency[len(latency) // 2] if latency else math.nan,
            'latency, 95 % [s]': latency[int(0.95 * len(latency))] if latency else math.nan,
            'energy of an inference, estimated [J]': sum(energy) / len(energy) if energy
            else math.nan,
            'power at the end, estimated [W]': status.power_estimated,
            'state of charge at the end': live_view.latest(record.state_of_charge),
            'energy model': status.energy_model,
        }
        verdict = {
            'frames were learned': status.frames_learned > 0,
            f'the controller re-selected T at least {LEAST_RESELECTIONS} times, each with a '
            'reason, and the learner applied its last decision':
                reselections >= LEAST_RESELECTIONS and all(d.detail for d in record.decisions)
                and record.decisions[-1].sequence in applied,
            'no frame was lost': lost == 0 and status.frames_dropped == 0
                and status.frames_classified == published,
            f'accuracy reached {ACCURACY_BOUND:.0%}': accuracy >= ACCURACY_BOUND,
        }
        # The course begins with the first frame; what was decided before holds from then on.
        began_s = record.results[0].time_s if record.results else 0.0

        def since(points):
            return [(time_s - began_s, *rest) for time_s, *rest in points]

        series = {
            'decisions': [dataclasses.asdict(decision) | {'time_s': decision.time_s - began_s}
                          for decision in record.decisions],
            'accuracy': since(record.accuracy), 'power_w': since(record.power_w),
            'budget_w': since(record.budget_w),
            'state_of_charge': since(record.state_of_charge),
            'frames': since(map(dataclasses.astuple, record.results)),
        }
        return {'summary': summary, 'verdict': verdict, 'series': series}
