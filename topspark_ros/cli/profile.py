"""`topspark profile`: measure accuracy, latency and energy at each T, for the controller."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from topspark_ros.cli.arguments import (
    UsageError,
    add_energy_model,
    check_output,
    comma_separated,
    writing,
)
from topspark_ros.engine import (
    CODINGS,
    RULES,
    NetworkConfig,
    NeuronConfig,
    save_checkpoint,
)
from topspark_ros.methodology.energy import ENERGY_TABLES
from topspark_ros.methodology.experiments import Data, Setting, train
from topspark_ros.methodology.profile import PhaseFigures, Profile, save_profile
from topspark_ros.methodology.profiling import measure_profile
from topspark_ros.streams.datasets import DATASET_NAMES, load_dataset
from topspark_ros.streams.scenes import camera_views

SUMMARY = 'Measure accuracy, latency and energy at each timestep T, as the controller reads them.'
VIEWS = {'camera': 'camera frames', 'raw': 'raw pixels'}
WEIGHTS_SUFFIX = '.topspark'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--dataset',
        default='digits',
        metavar='NAME_OR_FOLDER',
        help=f'one of {", ".join(DATASET_NAMES)}, or a folder with a sub-folder '
        'of images for each class',
    )
    parser.add_argument(
        '--view',
        choices=tuple(VIEWS),
        default='camera',
        help='images of a named dataset as a camera in front of them sees them, '
        'or their own pixels; a folder holds what a camera saw',
    )
    parser.add_argument('--samples', type=int, help='so many of the training samples; None: all')
    parser.add_argument('--rule', choices=RULES, default='recruiting', help='learning rule')
    parser.add_argument('--neurons', type=int, default=400, help='excitatory neurons')
    parser.add_argument(
        '--coding', choices=CODINGS, default='rate_regular', help='how pixels become spikes'
    )
    parser.add_argument(
        '--max-input-rate',
        type=float,
        default=NetworkConfig.max_input_rate,
        help='rate limit, spikes a step of a sample of unit norm',
    )
    parser.add_argument(
        '--inference-spikes',
        type=float,
        default=1.0,
        help='output spikes that inference aims for, relative to learning; not '
        'with the recruiting rule',
    )
    parser.add_argument('--timesteps', default='1,2,4,8,16,32,64', help='T, comma-separated')
    parser.add_argument('--seeds', type=int, default=3, help='seeds 0 to SEEDS - 1')
    parser.add_argument(
        '--max-loss',
        type=float,
        metavar='SHARE',
        help='accuracy, such as 0.01, that ending presentations early may cost '
        'in learning, and again in inference; the margins for that are found '
        'first. None: all T steps are taken',
    )
    add_energy_model(parser)
    parser.add_argument(
        '--jobs',
        type=int,
        default=1,
        help='threads; more than there are free cores falsify the latencies',
    )
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('profile.yaml'),
        help=f'file to write; the weights go beside it, with {WEIGHTS_SUFFIX} for its suffix',
    )
    parser.add_argument(
        '--no-weights',
        action='store_true',
        help='do not write weights, those of seed 0 at the largest T',
    )


def run(arguments: argparse.Namespace) -> int:
    timesteps = comma_separated('--timesteps', arguments.timesteps)
    weights = arguments.output.with_suffix(WEIGHTS_SUFFIX)
    if arguments.jobs < 1 and arguments.jobs != -1:
        raise UsageError(f'--jobs is {arguments.jobs}, accepted is 1 or more, or -1: one a core')
    check_output('--output', arguments.output)
    if weights == arguments.output:
        raise UsageError(
            f'--output is {arguments.output}, accepted is a file with another suffix '
            f'than {WEIGHTS_SUFFIX}'
        )
    with Progress(
        TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    ) as progress:
        data, class_names = _load(arguments, progress)
        config = NetworkConfig(
            inputs=data.training_pixels.shape[1],
            neurons=arguments.neurons,
            rule=arguments.rule,
            coding=arguments.coding,
            max_input_rate=arguments.max_input_rate,
            neuron=NeuronConfig(inference_spikes=arguments.inference_spikes),
        )
        networks = progress.add_task('networks', total=None)
        profile = measure_profile(
            data,
            config,
            timesteps,
            range(arguments.seeds),
            ENERGY_TABLES[arguments.energy_model],
            lambda finished, total: progress.update(networks, completed=finished, total=total),
            max_loss=arguments.max_loss,
            jobs=arguments.jobs,
        )
    with writing('--output', arguments.output, 'file'):
        save_profile(profile, arguments.output)
    print(f'{arguments.output} written:')
    print('\n'.join(_table(profile)))
    if not arguments.no_weights:
        reference = profile.reference
        setting = Setting(
            config, reference.timesteps, reference.timesteps, reference.training.margin
        )
        save_checkpoint(weights, train(setting, data, seed=0)[0], class_names)
        print(f'{weights} written: weights of seed 0, trained at T = {reference.timesteps}')
    return 0


def _load(arguments: argparse.Namespace, progress: Progress) -> tuple[Data, tuple[str, ...]]:
    """The samples, and the names of their classes."""
    training, test = (load_dataset(arguments.dataset, split) for split in ('train', 'test'))
    samples = len(training.labels) if arguments.samples is None else arguments.samples
    if not 1 <= samples <= len(training.labels):
        raise UsageError(f'--samples is {samples}, accepted is 1 to {len(training.labels)}')
    parts = [training.images[:samples], test.images]
    name = Path(arguments.dataset).name
    if arguments.dataset in DATASET_NAMES:
        name += f', {VIEWS[arguments.view]}'
        if arguments.view == 'camera':
            frames = progress.add_task('frames', total=sum(map(len, parts)))
            parts = [
                camera_views(images, seed, advance=lambda: progress.advance(frames))
                for seed, images in enumerate(parts)
            ]
    pixels = [images.reshape(len(images), -1) for images in parts]
    data = Data(name, pixels[0], training.labels[:samples], pixels[1], test.labels)
    return data, training.class_names


def _table(profile: Profile) -> list[str]:
    title = f'{"accuracy":>9} {"worst":>6} {"margin":>6} {"steps":>6} {"us":>7} {"uJ":>8}'
    return [f'{"":6}{"inference":^47} | {"training":^47}', f'{"T":>6}{title} | {title}'] + [
        f'{point.timesteps:6d}{_row(point.inference)} | {_row(point.training)}'
        for point in profile.points
    ]


def _row(figures: PhaseFigures) -> str:
    return (
        f'{figures.accuracy:9.1%} {figures.accuracy_worst:6.1%} {figures.margin:6g} '
        f'{figures.steps:6.1f} {figures.latency_s * 1e6:7.1f} {figures.energy_j * 1e6:8.3f}'
    )
