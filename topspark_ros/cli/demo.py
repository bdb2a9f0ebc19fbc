"""`topspark demo`: the whole system on one machine, one process a node, in a minute or two."""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import yaml
from rich.console import Console, Group
from rich.table import Table

from topspark_ros.cli import live_view, report, ros
from topspark_ros.cli.arguments import writing
from topspark_ros.errors import TopsparkError
from topspark_ros.files import write_text
from topspark_ros.methodology.profile import DISCRIMINANT
from topspark_ros.perception.controller_parameters import TimestepControllerParameters
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.perception.parameters import read_parameters
from topspark_ros.replay.archive import write_json
from topspark_ros.streams.datasets import DATASET_NAMES, load_dataset

if TYPE_CHECKING:  # which needs ROS
    from topspark_ros.nodes.observer import History, Recorder, Snapshot
    from topspark_ros.perception.messages import Message

SUMMARY = (
    'Run camera, learner, controller, battery and operator as ROS 2 nodes for a minute and '
    'report what they did.'
)
MIN_RESELECTIONS = 3
START_TIMEOUT_S = 120.0  # kernels are compiled at the first start
LAST_TIMEOUT_S = 20.0  # of what is still under way when the camera has finished
REFRESH_S = 0.1
ABOVE_CHANCE = 4.0  # times as accurate as by chance, with a dataset of the user's
OWN_PARAMETERS = 'own_parameters.yaml'  # file, of what is set before the parameters
HINT = 'The learner compiles its kernels, which may take a minute at the first start.'

Declaration = TypeVar('Declaration')  # of parameters


@dataclasses.dataclass(frozen=True)
class Variant:
    """What sets one demo apart.

    name: of its parameter file, and of the folder of its results.
    sample: what the learner classifies: frame or window.
    nodes: between the camera and the learner.
    accuracy_bound: to be reached at the end.
    """

    name: str
    sample: str
    nodes: tuple[str, ...]
    accuracy_bound: float


IMAGES = Variant('demo', 'frame', (), 0.9)
EVENTS = Variant('demo_events', 'window', ('event_simulator',), 0.8)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # Without a default of their own, the help does not say that it is None.
    parser.set_defaults(events=False, dataset=None, parameters=None, results=None)
    parser.add_argument(
        '--dataset',
        default=argparse.SUPPRESS,
        metavar='NAME_OR_FOLDER',
        help=f'what the camera shows: one of {", ".join(DATASET_NAMES)}, or a folder with a '
        'sub-folder of photographs for each class, which are seen in colour (default: as the '
        'parameters say, digits)',
    )
    parser.add_argument(
        '--events',
        action='store_true',
        default=argparse.SUPPRESS,
        help='two minutes with an event camera in the place of the camera: digits '
        'that move, and windows of events instead of frames',
    )
    parser.add_argument(
        '--parameters',
        type=Path,
        default=argparse.SUPPRESS,
        help=f'ROS parameters of the nodes (default: config/{IMAGES.name}.yaml of '
        f'the package, {EVENTS.name}.yaml with --events)',
    )
    parser.add_argument(
        '--results',
        type=Path,
        default=argparse.SUPPRESS,
        help=f'folder for report, JSON and logs (default: results/{IMAGES.name}, or {EVENTS.name})',
    )


def run(arguments: argparse.Namespace) -> int:
    variant = EVENTS if arguments.events else IMAGES
    parameters = arguments.parameters or ros.configuration(f'{variant.name}.yaml')
    results = arguments.results or Path('results') / variant.name
    ros.keep_local()
    return prepared(Demo, variant, parameters, results, arguments.dataset).run()


def prepared(
    kind: type[Demo],
    variant: Variant,
    parameters: Path,
    results: Path,
    dataset: str | None = None,
) -> Demo:
    """A demo of this kind, with its parameters read and the folder of its results made.

    dataset: takes the place of the one in the parameters.
    """
    from topspark_ros.nodes.dataset_camera import DatasetCameraParameters

    own: dict[str, dict[str, str]] = {}
    if dataset is not None:
        classes = len(load_dataset(dataset, photographs=True).class_names)
        variant = dataclasses.replace(
            variant, accuracy_bound=min(variant.accuracy_bound, ABOVE_CHANCE / classes)
        )
        own['dataset_camera'] = {'dataset': dataset}
        if dataset not in DATASET_NAMES and variant.sample == IMAGES.sample:
            own['snn_learner'] = {'rule': DISCRIMINANT, 'picture_view': 'frame'}

    namespace = f'/demo_{os.getpid()}'  # keeps it apart from other runs

    def read(node: str, declaration: type[Declaration]) -> Declaration:
        return declaration(**read_parameters(parameters, node, declaration, namespace).values)

    camera = read('dataset_camera', DatasetCameraParameters)
    learner = read('snn_learner', SnnLearnerParameters)
    if variant.sample == EVENTS.sample and not (
        read('timestep_controller', TimestepControllerParameters).profile_file
    ):
        profile = ros.configuration('profile_events.yaml')
        own['timestep_controller'] = {'profile_file': str(profile)}
    if not camera.frames:
        raise DemoFault(f'{parameters}: frames of dataset_camera is 0, accepted is 1 or more')
    with writing('--results', results, 'folder'):
        results.mkdir(parents=True, exist_ok=True)
        files = [parameters]
        if own:  # by the nodes' whole names, which count before the wildcards of a file
            files.append(results / OWN_PARAMETERS)
            values = {f'{namespace}/{node}': {'ros__parameters': own[node]} for node in own}
            write_text(files[-1], yaml.safe_dump(values))

    duration_s = camera.frames / camera.frame_rate
    window_s = learner.event_window if variant is EVENTS else 0.0
    return kind(
        variant,
        files,
        results,
        namespace=namespace,
        frames=camera.frames,
        duration_s=duration_s,
        expected=round(duration_s / window_s) if window_s else camera.frames,
        accuracy_window=learner.accuracy_window,
    )


class DemoFault(TopsparkError):
    """The run could not be brought to its end."""


class Demo:
    """Starts the nodes, watches them through their topics, stops them, and judges the run."""

    def __init__(
        self,
        variant: Variant,
        parameters: Sequence[Path],
        results: Path,
        *,
        namespace: str,
        frames: int,
        duration_s: float,
        expected: int,
        accuracy_window: int,
    ):
        self._variant = variant
        self._parameters = parameters
        self._results = results
        self._namespace = namespace
        self._frames = frames  # of the camera
        self._duration_s = duration_s
        self._expected = expected  # samples, if the camera keeps its rate
        self._accuracy_window = accuracy_window
        self._processes: dict[str, subprocess.Popen] = {}
        self._console = Console()

    def run(self) -> int:
        from topspark_ros.nodes.observer import Recorder, observing

        with observing(
            lambda: Recorder(self._namespace, self._accuracy_window, self._frames)
        ) as recorder:
            with ExitStack() as stack:
                stack.callback(self._stop)
                display = stack.enter_context(self._display(recorder))
                self._follow(recorder, display)
            return self._conclude(recorder)

    # The run -------------------------------------------------------------------------------

    def _follow(self, recorder: Recorder, display: live_view.Display) -> None:
        snapshot, history = recorder.snapshot(), recorder.history
        for node in (
            'snn_learner',
            'timestep_controller',
            'battery_simulator',
            *self._variant.nodes,
        ):
            self._start(node)
        self._wait(
            lambda: snapshot.learner is not None and history.decisions,
            'the learner to be ready',
            START_TIMEOUT_S,
            recorder,
            display,
        )
        for node in ('dataset_camera', 'power_budget_schedule'):
            self._start(node)
        self._wait(
            lambda: (
                'dataset_camera' in snapshot.health
                and snapshot.health['dataset_camera'].message == 'finished'
            ),
            'the camera to finish',
            self._duration_s + START_TIMEOUT_S,
            recorder,
            display,
        )
        statuses = len(history.power_w)
        try:
            # The second status from now on counts what was still under way.
            self._wait(
                lambda: (
                    len(history.power_w) >= statuses + 2
                    and self._is_complete(snapshot.learner, self._published(snapshot), history)
                ),
                'the last classifications',
                LAST_TIMEOUT_S,
                recorder,
                display,
            )
        except DemoFault:
            pass  # some were lost: the verdict says how many

    def _is_complete(self, status: Message, published: int, history: History) -> bool:
        """Whether all that was due was classified. status: LearnerStatus."""
        return len(history.results) == status.frames_classified == self._due(status, published)

    def _due(self, status: Message, published: int) -> int:
        """How many samples were there to be classified, without those that decisions skipped.

        status: LearnerStatus.
        published: frames of the camera.
        """
        received = status.frames_received if self._variant is EVENTS else published
        return received - status.frames_skipped

    def _published(self, snapshot: Snapshot) -> int:
        """Frames of the camera."""
        return int(snapshot.health['dataset_camera'].values['frames published'])

    def _wait(
        self,
        done: Callable[[], object],
        what: str,
        timeout_s: float,
        recorder: Recorder,
        display: live_view.Display,
    ) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not done():
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise DemoFault(
                        f'{name} ended with code {process.returncode}:\n'
                        + self._log(name).read_text(encoding='utf-8')[-2000:]
                    )
            if time.monotonic() > deadline_s:
                raise DemoFault(f'waited {timeout_s:g} s for {what}; logs: {self._results}')
            display.show()
            recorder.spin(REFRESH_S)

    def _display(self, recorder: Recorder) -> live_view.Display:
        def done() -> str:
            return f'{len(recorder.history.results)} of {self._expected} {self._variant.sample}s'

        def view() -> Group:
            progress = live_view.bar(len(recorder.history.results) / self._expected, 'magenta')
            return Group(
                progress.append(f'   {done()}', 'bold'),
                live_view.view(
                    recorder.snapshot(),
                    hint=HINT,
                    title='topspark: a robot that sees, learns and saves energy',
                ),
            )

        def line() -> str:
            return f'{done()} | {live_view.line(recorder.snapshot(), HINT)}'

        return live_view.Display(self._console, view, line)

    # Processes -----------------------------------------------------------------------------

    def _start(self, node: str) -> None:
        with open(self._log(node), 'wb') as log:
            self._processes[node] = subprocess.Popen(
                [ros.executable(node), '--ros-args', *self._arguments(node)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _arguments(self, node: str) -> list[str]:
        files = [text for file in self._parameters for text in ('--params-file', str(file))]
        return ['-r', f'__ns:={self._namespace}', *files]

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

    def _conclude(self, recorder: Recorder) -> int:
        snapshot, history = recorder.snapshot(), recorder.history
        figures = self._figures(snapshot.learner, self._published(snapshot), history)
        write_json(self._results / 'demo.json', figures)
        summary = [_shown(name, value) for name, value in figures['summary'].items()]
        page = report.write_report(
            self._results,
            figures,
            summary,
            sample=self._variant.sample,
            accuracy_window=self._accuracy_window,
            accuracy_bound=self._variant.accuracy_bound,
            frames=[
                dataclasses.replace(frame, time_s=frame.time_s - self._began_s(history))
                for frame in recorder.shown()
            ],
        )

        table = Table(title='What the robot did', show_header=False)
        for row in summary:
            table.add_row(*row)
        self._console.print(table)
        for name, holds in figures['verdict'].items():
            self._console.print(
                f'[{"green" if holds else "bold red"}]{"yes" if holds else "NO "}[/] {name}',
                highlight=False,
            )
        self._console.print(
            f'{page} written, figures and logs beside it', highlight=False, soft_wrap=True
        )
        return 0 if all(figures['verdict'].values()) else 1

    @staticmethod
    def _began_s(history: History) -> float:
        """Time of the first result, from which times of the report count."""
        return history.results[0].time_s if history.results else 0.0

    def _figures(self, status: Message, published: int, history: History) -> dict:
        """status: LearnerStatus, the last one. published: frames of the camera."""
        due = self._due(status, published)
        sample, bound = self._variant.sample, self._variant.accuracy_bound
        accuracy = _latest(history.accuracy)
        settings = [
            (d.training_timesteps, d.inference_timesteps, d.learning_share)
            for d in history.decisions
        ]
        reselections = sum(before != after for before, after in zip(settings, settings[1:]))
        lost = due - len(history.results)
        energy = [result.energy_j for result in history.results]
        latency = sorted(result.latency_s for result in history.results)
        began_s = self._began_s(history)
        ended_s = history.results[-1].time_s if history.results else 0.0
        applied = {sequence for _, sequence in history.applied}
        summary = {
            'frames published': published,
            f'{sample}s classified': len(history.results),
            f'{sample}s skipped': int(status.frames_skipped),
            f'{sample}s lost': lost,
            f'{sample}s dropped by the learner': int(status.frames_dropped),
            f'{sample}s learned': int(status.frames_learned),
            f'{sample}s labelled': history.labelled,
            f'accuracy, last labelled {sample}s': accuracy,
            'accuracy, whole run': history.correct / history.labelled
            if history.labelled
            else math.nan,
            'neurons in use': int(status.recruited_neurons),
            'T or learning re-selected': reselections,
            'latency, median [s]': latency[len(latency) // 2] if latency else math.nan,
            'latency, 95 % [s]': latency[int(0.95 * len(latency))] if latency else math.nan,
            'energy of an inference, estimated [J]': sum(energy) / len(energy)
            if energy
            else math.nan,
            'power at the end, estimated [W]': _latest(
                [point for point in history.power_w if point[0] <= ended_s]
            ),
            'state of charge at the end': _latest(history.state_of_charge),
            'energy model': status.energy_model,
        }
        verdict = {
            f'{sample}s were learned': status.frames_learned > 0,
            f'the controller re-selected T or learning at least {MIN_RESELECTIONS} times, each '
            'with a reason, and the learner applied its last decision': reselections
            >= MIN_RESELECTIONS
            and all(d.detail for d in history.decisions)
            and history.decisions[-1].sequence in applied,
            f'no {sample} was lost': lost == 0
            and status.frames_dropped == 0
            and status.frames_classified == due,
            f'accuracy reached {bound:.0%}': accuracy >= bound,
        }

        # The history begins with the first result; what was decided before holds from then on.
        def since(points: Iterable[tuple[float, ...]]) -> list[tuple[float, ...]]:
            return [(time_s - began_s, *rest) for time_s, *rest in points]

        series = {
            'decisions': [
                dataclasses.asdict(decision) | {'time_s': decision.time_s - began_s}
                for decision in history.decisions
            ],
            'accuracy': since(history.accuracy),
            'power_w': since(history.power_w),
            'budget_w': since(history.limit_w),
            'state_of_charge': since(history.state_of_charge),
            f'{sample}s': since(map(dataclasses.astuple, history.results)),
        }
        return {'summary': summary, 'verdict': verdict, 'series': series}


def _shown(name: str, value: float | int | str) -> tuple[str, str]:
    """A figure's name without its unit, and its value with it."""
    if not isinstance(value, float):
        return name, str(value)
    name, _, unit = name.removesuffix(']').partition(' [')
    return name, live_view.quantity(value, unit) if unit else live_view.share(value)


def _latest(points: list[tuple[float, float]]) -> float:
    """The last value of a time series; NaN while there is none."""
    return points[-1][1] if points else math.nan
