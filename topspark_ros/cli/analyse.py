"""`topspark analyse`: what a smaller timestep T costs, and which neuron parameters matter then."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from topspark_ros import pages
from topspark_ros.cli import pictures
from topspark_ros.cli.arguments import UsageError, add_energy_model, comma_separated, writing
from topspark_ros.cli.work import add_workers, progress_bar
from topspark_ros.engine import CODINGS, RULES, NetworkConfig
from topspark_ros.methodology.analysis import (
    Grid,
    Summary,
    reductions,
    sensitivities,
    summarise,
    table,
)
from topspark_ros.methodology.energy import EnergyTable, energy_table
from topspark_ros.methodology.experiments import Data, Pass, Setting
from topspark_ros.methodology.neurobench import NeuroBenchMetrics
from topspark_ros.methodology.sweep import sweep
from topspark_ros.replay.metrics import neurobench_section
from topspark_ros.streams.datasets import DATASET_NAMES, load_dataset

SUMMARY = (
    'Train and test networks at each timestep T, without and with parameter enhancement, '
    'and with each neuron parameter varied; draw, tabulate and recommend.'
)
TOLERANCE = 0.01  # accuracy that the recommended T may lose
NAMED_PARAMETERS = 4  # in the recommendation, those that matter most


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # Without a default of their own, the help does not say that it is None.
    parser.set_defaults(samples=None)
    parser.add_argument(
        '--dataset',
        default='digits',
        metavar='NAME_OR_FOLDER',
        help=f'one of {", ".join(DATASET_NAMES)}, or a folder with a sub-folder '
        'of images for each class; with the default arguments, digits take some '
        '3 minutes of one core, 5,200 images of mnist 10',
    )
    parser.add_argument(
        '--neurons', default='100,400', help='sizes; the parameters are varied at the first'
    )
    parser.add_argument(
        '--timesteps', default='350,175,100,64,32,16,8,4', help='T of training and inference, steps'
    )
    parser.add_argument(
        '--rules',
        default='pairwise,adaptive,recruiting',
        help=f'learning rules of {", ".join(RULES)}',
    )
    parser.add_argument(
        '--encoders',
        default='rate_regular,rate_bernoulli',
        help=f'spike codings of {", ".join(CODINGS)}; the parameters are varied at the first',
    )
    parser.add_argument('--seeds', type=int, default=3, help='seeds 0 to SEEDS - 1')
    parser.add_argument(
        '--max-input-rate',
        type=float,
        default=NetworkConfig.max_input_rate,
        help='rate limit, spikes a step of a sample of unit norm; inf: the '
        'spikes of 350 steps whatever T is',
    )
    parser.add_argument(
        '--samples',
        type=int,
        default=argparse.SUPPRESS,
        help='so many of the training samples (default: all)',
    )
    parser.add_argument(
        '--part',
        choices=('validation', 'test'),
        default='validation',
        help='samples that give the accuracy: a fifth of the training samples, '
        'held back, or the test samples',
    )
    add_energy_model(parser)
    add_workers(parser)
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('results/analysis'),
        help='folder for report, table and cells; finished cells in it are not computed again',
    )


def run(arguments: argparse.Namespace) -> int:
    timesteps = _integers('--timesteps', arguments.timesteps)
    if arguments.seeds < 1:
        raise UsageError(f'--seeds is {arguments.seeds}, accepted is 1 or more')
    neurons = _integers('--neurons', arguments.neurons)
    rules = _names('--rules', arguments.rules, RULES)
    encoders = _names('--encoders', arguments.encoders, CODINGS)
    data = load_data(arguments.dataset, arguments.part, arguments.samples)
    grid = Grid(
        data.training_pixels.shape[1], rules, neurons, encoders, timesteps, arguments.max_input_rate
    )
    energy = energy_table(arguments.energy_model)
    with writing('--output', arguments.output, 'folder'):  # before there is any work
        arguments.output.mkdir(parents=True, exist_ok=True)
    with progress_bar() as progress:
        networks = progress.add_task('networks', total=None)
        summaries = summarise(
            sweep(
                grid.cells(range(arguments.seeds)),
                data,
                arguments.output / 'cells',
                lambda finished, total: progress.update(networks, completed=finished, total=total),
                jobs=arguments.jobs,
                scheduler=arguments.scheduler,
            )
        )
    recommendation = _recommendation(grid, summaries, energy)
    metrics = {
        _setting_name(setting): summaries[setting].neurobench
        for pair in reductions(grid, summaries, TOLERANCE)
        for setting in pair
    }
    with writing('--output', arguments.output, 'folder'):
        rows = table(summaries, data, energy)
        _write_table(arguments.output / 'table.csv', rows)
        pictures.draw_analysis(arguments.output, grid, summaries, data, energy)
        page = _write_page(
            arguments.output,
            grid,
            pictures.origin_of(summaries, data),
            recommendation,
            metrics,
            rows,
        )
    print('\n'.join(recommendation))
    print(f'{page} written')
    return 0


def load_data(name: str, part: str, samples: int | None = None) -> Data:
    """Samples to learn from, and those of a part to test with.

    name: of a dataset, or the path of a folder, as of load_dataset.
    part: 'test', or 'validation' for a fifth of the training samples.
    samples: so many of the training samples.

    Raises DatasetError, and UsageError for a number of samples that are not there.
    """
    training, test = (load_dataset(name, split) for split in ('train', 'test'))
    data = Data(
        Path(name).name,
        training.images.reshape(len(training.labels), -1),
        training.labels,
        test.images.reshape(len(test.labels), -1),
        test.labels,
    )
    if part == 'validation':
        data = data.validation()
    if samples is None:
        return data
    if not 1 <= samples <= len(data.training_labels):
        raise UsageError(f'--samples is {samples}, accepted is 1 to {len(data.training_labels)}')
    return replace(
        data,
        training_pixels=data.training_pixels[:samples],
        training_labels=data.training_labels[:samples],
    )


def _integers(option: str, text: str) -> tuple[int, ...]:
    """Comma-separated numbers, each once."""
    return tuple(dict.fromkeys(comma_separated(option, text)))


def _names(option: str, text: str, accepted: Sequence[str]) -> tuple[str, ...]:
    """Comma-separated names, each once."""
    names = tuple(dict.fromkeys(text.split(',')))
    if not set(names) <= set(accepted):
        raise UsageError(
            f'{option} is {text!r}, accepted are {", ".join(accepted)}, comma-separated'
        )
    return names


def _write_table(path: Path, rows: list[dict[str, object]]) -> None:
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def _write_page(
    folder: Path,
    grid: Grid,
    origin: str,
    recommendation: Sequence[str],
    metrics: Mapping[str, NeuroBenchMetrics | None],
    rows: Sequence[Mapping[str, object]],
) -> Path:
    """The page of all that was found, beside its pictures. Returns it as HTML."""
    lines = ['# What a smaller timestep T costs', '', f'{pages.escaped(origin)}.', '']
    for line in recommendation:
        depth = len(line) - len(line.lstrip())
        lines.append(f'{" " * depth}- {pages.escaped(line)}')
    shown = [
        ('Accuracy against T', 'accuracy', 'A panel a rule and size; a band is all seeds.'),
        (
            'Accuracy against energy',
            'energy',
            'Energy of an inference, estimated; upper left is better.',
        ),
        *(
            (
                f'Neuron parameters, {rule}',
                f'sensitivity_{rule}',
                'Accuracy when one parameter is varied; black: its default.',
            )
            for rule in grid.varied_rules
        ),
    ]
    for title, name, sentence in shown:
        lines += ['', f'## {title}', '', f'![{title}]({name}.png)', '', sentence]
    lines += neurobench_section(
        metrics,
        'Of the recommended settings and of those that they are compared with, for the samples '
        'that give the accuracy, means of the seeds.',
    )
    told = [name for name in rows[0] if len({row[name] for row in rows}) > 1] or list(rows[0])
    cells = [
        [
            f'{row[name]:.4g}' if isinstance(row[name], float) else pages.escaped(str(row[name]))
            for name in told
        ]
        for row in rows
    ]
    lines += [
        '',
        '## All settings',
        '',
        'In which they differ, and what they came to; units are in the names, but for those of '
        'NeuroBench, whose footprint is in bytes. `table.csv` has all columns and digits.',
        '',
        *pages.table([pages.escaped(name) for name in told], cells),
    ]
    return pages.write_page(folder / 'README.md', lines)


def _recommendation(
    grid: Grid, summaries: Mapping[Setting, Summary], energy: EnergyTable
) -> list[str]:
    least, most = min(grid.timesteps), max(grid.timesteps)
    lines = [f'Smallest T within {TOLERANCE:.0%} of the best accuracy at T = {most}:']
    for full, reduced in reductions(grid, summaries, TOLERANCE):
        before, after = summaries[full], summaries[reduced]
        lines.append(
            f'  {_setting_name(reduced)}, {after.accuracy:.1%} instead of {before.accuracy:.1%}'
        )
        for phase in ('inference', 'training'):
            lines.append(
                f'    {phase}: ' + _savings(getattr(before, phase), getattr(after, phase), energy)
            )
    for rule in grid.varied_rules:
        lines.append(
            f'Neuron parameters that accuracy depends on most, {rule}, '
            f'N = {grid.neurons[0]}, {grid.codings[0]}:'
        )
        for timesteps in dict.fromkeys((most, least)):
            named = sensitivities(grid, summaries, rule, timesteps)[:NAMED_PARAMETERS]
            lines.append(
                f'  T = {timesteps}: '
                + ', '.join(
                    f'{each.parameter} {100 * each.spread:.1f} points (best {each.best:g}, '
                    f'{100 * each.gain:+.1f})'
                    for each in named
                )
            )
    return lines


def _setting_name(setting: Setting) -> str:
    config = setting.config
    how = '' if config.neuron.enhancement else ', without enhancement'
    return (
        f'{config.rule}, N = {config.neurons}: T = {setting.inference_timesteps} '
        f'({config.coding}{how})'
    )


def _savings(before: Pass, after: Pass, energy: EnergyTable) -> str:
    figures = (
        (before.timesteps, after.timesteps, 'steps'),
        (before.energy_j(energy) * 1e6, after.energy_j(energy) * 1e6, 'uJ'),
        (before.processor_time_s * 1e6, after.processor_time_s * 1e6, 'us'),
    )
    return ', '.join(
        f'{now:.3g} instead of {was:.3g} {unit} ({was / now:.1f}x)' for was, now, unit in figures
    )
