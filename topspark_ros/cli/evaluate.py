"""`topspark evaluate`: what learner and controller would have done over a recording."""

from __future__ import annotations

import argparse
import glob
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from topspark_ros.cli import live_view, ros
from topspark_ros.cli.arguments import UsageError, check_output, writing
from topspark_ros.cli.work import add_workers, progress_bar
from topspark_ros.errors import TopsparkError
from topspark_ros.methodology.profile import load_profile
from topspark_ros.perception.controller_parameters import TimestepControllerParameters
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.perception.parameters import checked, read_parameters
from topspark_ros.perception.steering import profile_mismatches
from topspark_ros.replay.archive import real_time_factor
from topspark_ros.replay.definitions import typestore
from topspark_ros.replay.figures import ACCURACY_WINDOW, figures
from topspark_ros.replay.fleet import BagRun, evaluate_bags
from topspark_ros.replay.fleet_report import by_setting, pooled, write_fleet_report
from topspark_ros.replay.jumps import described
from topspark_ros.replay.report import compare_reports, write_report
from topspark_ros.replay.results import Evaluation
from topspark_ros.replay.settings import EvaluationSettings
from topspark_ros.replay.topics import TopicNames, find_topics
from topspark_ros.streams.bags import Bag, recordings

SUMMARY = (
    'Run learner and controller over a recording as they would have run on the robot, '
    'repeatably, and write a report; or compare two reports.'
)
RESULTS = Path('results')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # Without a default of their own, the help does not say that it is None.
    parser.set_defaults(
        compare=None,
        output=None,
        config=None,
        namespace=None,
        profile='',
        timesteps='',
        seed=None,
        controller=False,
        topic='',
        label_topic='',
        battery_topic='',
        budget_topic='',
        labels=None,
        no_learning=False,
        weights=None,
        save_weights=None,
        duration=float('inf'),
    )

    def option(name: str, **details: Any) -> None:
        parser.add_argument(name, default=argparse.SUPPRESS, **details)

    parser.add_argument(
        'bags',
        type=Path,
        nargs='*',
        metavar='BAG',  # its default is not shown
        help='folder of a rosbag2 recording, or its .mcap or .db3 file; of several, of a folder '
        "that has some, or of a pattern in quotes such as 'bags/*', there is one report over "
        'all%(default).0s',
    )
    option(
        '--compare',
        type=Path,
        nargs=2,
        metavar=('A', 'B'),
        help='put the reports in two folders side by side, without a BAG',
    )
    option(
        '--output',
        type=Path,
        metavar='DIR',
        help='folder of report and runs; finished runs in it are not computed again (default: '
        f'{RESULTS}/evaluation, or comparison)',
    )
    option(
        '--config',
        type=Path,
        metavar='YAML',
        help="ROS parameters of the nodes, as config/topspark.yaml (default: the nodes' own)",
    )
    option(
        '--namespace',
        metavar='NAME',
        help='of the nodes in the file of --config (default: the only one that it has)',
    )
    option(
        '--timesteps',
        metavar='T,...',
        help='fixed T, one run each, comma-separated, or training/inference such as 64/8 '
        '(default: as parameters say)',
    )
    option(
        '--controller',
        action='store_true',
        help='a run with the controller in the loop, with the battery and budgets of the bag',
    )
    option(
        '--profile',
        metavar='YAML',
        help='file of `topspark profile`: what the controller reads, and the margins at each T '
        '(default: as parameters say; for the controller the shipped one)',
    )
    for name, what in (
        ('topic', 'to classify'),
        ('label-topic', 'of labels, topspark_ros/Label, or std_msgs/String for the next frame'),
        ('battery-topic', 'of sensor_msgs/BatteryState'),
        ('budget-topic', 'of topspark_ros/PowerBudget'),
    ):
        option(f'--{name}', metavar='NAME', help=f'{what} (default: the only one)')
    option(
        '--labels',
        type=Path,
        metavar='CSV',
        help='labels with the columns stamp,class_id, or stamp,class_id,until of spans of time, '
        'instead of a topic; times in s with a decimal point, or in ns',
    )
    option('--no-learning', action='store_true', help='classify only')
    option(
        '--weights',
        type=Path,
        metavar='FILE',
        help='to begin with (default: the checkpoint_file of the parameters if it is there)',
    )
    option('--save-weights', type=Path, metavar='FILE', help='what has been learned, of one run')
    option('--seed', type=int, help='of weights and spikes (default: as parameters say)')
    parser.add_argument(
        '--start', type=float, default=0.0, metavar='S', help='time of the bag to begin at'
    )
    option('--duration', type=float, metavar='S', help='of the bag (default: to its end)')
    add_workers(parser, '; they find bags and files under the same paths')


def run(arguments: argparse.Namespace) -> int:
    if (not arguments.bags) == (arguments.compare is None):
        raise UsageError('accepted is either a BAG or --compare A B')
    if arguments.compare is not None:
        folder = arguments.output or RESULTS / 'comparison'
        with writing('--output', folder, 'folder'):
            print(f'{compare_reports(folder, *arguments.compare)} written')
        return 0
    runs = _runs(arguments)
    bags = _bags(arguments.bags)
    if arguments.save_weights is not None:
        check_output('--save-weights', arguments.save_weights)
        if len(bags) * len(runs) > 1:
            raise UsageError(
                f'--save-weights is {arguments.save_weights}, accepted is, for one '
                f'run, a file: there are {len(bags) * len(runs)} runs'
            )
    folder = arguments.output or RESULTS / 'evaluation'
    with writing('--output', folder, 'folder'):  # before there is any work
        folder.mkdir(parents=True, exist_ok=True)
    console = Console(highlight=False)
    by_bag, failures = _evaluate(bags, runs, folder / 'runs', arguments, console)
    for line in failures:
        print(f'topspark evaluate: {line}', file=sys.stderr)
    if not by_bag:
        return 2
    root = os.path.commonpath([path.absolute().parent for path in bags])
    named = {os.path.relpath(path, root): each for path, each in by_bag.items()}
    with writing('--output', folder, 'folder'):
        if len(bags) == 1:
            page = write_report(folder, *named.values())
        else:
            page = write_fleet_report(folder, named, failures)
    if len(bags) == 1:
        _print_bag(console, *named.popitem())
    else:
        _print_fleet(console, by_setting(named))
    print(f'{page} written')
    return 1 if failures else 0


def _bags(named: Sequence[Path]) -> list[Path]:
    """Those that are named, each once. A pattern that is no file stands for what it fits, a folder
    of bags for all of them."""
    found = (
        [Path(name) for name in sorted(glob.glob(str(path)))]
        if glob.has_magic(str(path)) and not path.exists()
        else [path]
        for path in named
    )
    bags = {bag.absolute(): bag for paths in found for path in paths for bag in recordings(path)}
    if not bags:
        raise UsageError(f'BAG is {named[0]}, accepted is a pattern that fits a recording')
    return list(bags.values())


def _evaluate(
    bags: Sequence[Path],
    runs: Sequence[EvaluationSettings],
    store: Path,
    arguments: argparse.Namespace,
    console: Console,
) -> tuple[dict[Path, list[Evaluation]], list[str]]:
    """The runs of each bag that has any, by its absolute path, and a line for each failure."""
    work: list[BagRun] = []
    failures: list[str] = []
    mismatches: dict[str, None] = {}
    for path in bags:
        try:
            with Bag(path, typestore()) as bag:
                kind = find_topics(bag, runs[0].topics, runs[0].kind).kind
        except (TopsparkError, OSError) as error:
            line = str(error)
            failures.append(line if str(path) in line else f'{path}: {line}')
            continue
        own = [_absolute(_with_profile(each, kind)) for each in runs]
        mismatches |= dict.fromkeys(_mismatches(own, kind))
        work += [BagRun(path.absolute(), each) for each in own]
    for line in mismatches:
        print(f'topspark evaluate: {line}', file=sys.stderr)
    with progress_bar(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task('runs', total=len(work))
        evaluations, rejected = evaluate_bags(
            work,
            store,
            lambda finished, total: progress.update(task, completed=finished, total=total),
            jobs=arguments.jobs,
            scheduler=arguments.scheduler,
        )
    failures += dict.fromkeys(each.reason for each in rejected)
    by_bag: dict[Path, list[Evaluation]] = {}
    for each, evaluation in evaluations.items():
        by_bag.setdefault(each.bag, []).append(evaluation)
        if not evaluation.counts['classified']:
            failures.append(f'{each.bag}: {evaluation.name}: {_why_nothing(evaluation)}')
    return by_bag, failures


def _print_bag(console: Console, name: str, evaluations: Sequence[Evaluation]) -> None:
    console.print(_table(name, evaluations))
    for line in dict.fromkeys(
        line
        for each in evaluations
        for line in (*each.lost, *(f'{name}: {count}' for name, count in each.losses.items()))
    ):
        print(f'lost: {line}')
    for line in dict.fromkeys(line for each in evaluations for line in described(each.jumps)):
        print(f'clock: {line}')


def _print_fleet(console: Console, settings: Mapping[str, Sequence[Evaluation]]) -> None:
    for name, together in settings.items():
        of = pooled(together)
        console.print(
            Text(
                f'{name}: {of.bags} bags, {of.frames:,} frames, '
                f'accuracy {live_view.share(of.accuracy)}, '
                f'{live_view.quantity(of.frame_j, "J")} a frame'
            )
        )


def _absolute(settings: EvaluationSettings) -> EvaluationSettings:
    """The same for a process in another working folder."""

    def absolute(path: str) -> str:
        return str(Path(path).absolute()) if path and Path(path).is_file() else path

    learner, controller = settings.learner, settings.controller
    return replace(
        settings,
        labels=settings.labels and settings.labels.absolute(),
        weights=settings.weights and settings.weights.absolute(),
        learner=replace(
            learner,
            encoder=absolute(learner.encoder),
            filters_file=absolute(learner.filters_file),
            profile_file=absolute(learner.profile_file),
        ),
        controller=controller
        and replace(controller, profile_file=absolute(controller.profile_file)),
    )


def _why_nothing(run: Evaluation) -> str:
    """Of a run that has classified no frame."""
    reasons = (
        run.lost
        or tuple(f'{name}: {count}' for name, count in run.losses.items())
        or (
            'too little moves for a window of events'
            if run.settings['input'] == 'events'
            else 'the share of the frames to be processed skipped all',
        )
    )
    return f'no frame was evaluated, of {run.counts["messages"]} messages: {reasons[0]}'


def _given(arguments: argparse.Namespace, node: str, declaration: type) -> dict[str, Any]:
    """The parameters of a node that --config sets."""
    if arguments.config is None:
        return {}
    values, warnings = read_parameters(arguments.config, node, declaration, arguments.namespace)
    for warning in warnings:
        print(f'topspark evaluate: {arguments.config}: {warning}', file=sys.stderr)
    return values


def _runs(arguments: argparse.Namespace) -> list[EvaluationSettings]:
    """Those that were asked for."""
    learner, controller = (
        _given(arguments, node, declaration)
        for node, declaration in (
            ('snn_learner', SnnLearnerParameters),
            ('timestep_controller', TimestepControllerParameters),
        )
    )
    kind = '' if arguments.topic else learner.get('input', '')
    if arguments.seed is not None:
        learner |= checked(SnnLearnerParameters, {'seed': arguments.seed})
    if arguments.no_learning:
        learner['learning'] = False
    if arguments.profile:
        learner['profile_file'] = controller['profile_file'] = arguments.profile
    parameters = SnnLearnerParameters(**learner)
    checkpoint = Path(parameters.checkpoint_file)
    common = EvaluationSettings(
        '',
        kind=kind,
        labels=arguments.labels,
        topics=TopicNames(
            arguments.topic, arguments.label_topic, arguments.battery_topic, arguments.budget_topic
        ),
        weights=arguments.weights or (checkpoint if checkpoint.is_file() else None),
        save_weights=arguments.save_weights,
        start_s=arguments.start,
        duration_s=arguments.duration,
    )
    own = parameters.training_timesteps, parameters.inference_timesteps
    pairs = _pairs(arguments.timesteps) or ([] if arguments.controller else [own])
    runs = [
        replace(
            common,
            name=f'T = {pair[0]}' if pair[0] == pair[1] else f'T = {pair[0]}/{pair[1]}',
            learner=replace(
                parameters,
                **checked(
                    SnnLearnerParameters,
                    dict(zip(('training_timesteps', 'inference_timesteps'), pair)),
                ),
            ),
        )
        for pair in dict.fromkeys(pairs)
    ]
    if arguments.controller:
        runs.append(
            replace(
                common,
                name='controller',
                learner=parameters,
                controller=TimestepControllerParameters(**controller),
            )
        )
    return runs


def _with_profile(settings: EvaluationSettings, kind: str) -> EvaluationSettings:
    """The same, its controller and learner with a profile, if need be the shipped one.

    kind: of the input.
    """
    learner, controller = settings.learner, settings.controller
    if controller is None:
        return settings
    path = controller.profile_file or _shipped_profile(kind)
    return replace(
        settings,
        learner=replace(learner, profile_file=learner.profile_file or path),
        controller=replace(controller, profile_file=path),
    )


def _pairs(text: str) -> list[tuple[int, int]]:
    """(training T, inference T) of each run."""
    pairs = []
    for part in text.split(',') if text else ():
        values = part.split('/')
        if len(values) > 2 or not all(value.strip().isdecimal() for value in values):
            raise UsageError(
                f'--timesteps is {text!r}, accepted are whole numbers or '
                'training/inference, comma-separated, such as 4,16,64/16'
            )
        pairs.append((int(values[0]), int(values[-1])))
    return pairs


def _shipped_profile(kind: str) -> str:
    try:
        return str(ros.configuration(f'profile_{"events" if kind == "events" else "digits"}.yaml'))
    except UsageError:
        raise UsageError(
            '--profile is not given, accepted is a file of `topspark profile` where '
            'the package is not installed with ROS 2'
        ) from None


def _mismatches(runs: Sequence[EvaluationSettings], kind: str) -> Iterator[str]:
    """What a profile was measured otherwise. kind: of the input."""
    for settings in runs:
        path = settings.learner.profile_file
        if path:
            for mismatch in profile_mismatches(
                load_profile(path), replace(settings.learner, input=kind).network_config()
            ):
                yield f'{path}: {mismatch}'


def _table(title: str, evaluations: Sequence[Evaluation]) -> Table:
    table = Table(title=Text(title))
    table.add_column('run', no_wrap=True)
    for name in ('frames', 'accuracy', f'last {ACCURACY_WINDOW}', 'a frame', 'power', 'real time'):
        table.add_column(name, justify='right')
    for run in evaluations:
        of = figures(run)
        table.add_row(
            Text(run.name),
            f'{of.frames:,}',
            live_view.share(of.accuracy),
            live_view.share(of.late_accuracy),
            live_view.quantity(of.frame_j, 'J'),
            live_view.quantity(of.power_w, 'W'),
            f'{real_time_factor(run):.1f} x',
        )
    return table
