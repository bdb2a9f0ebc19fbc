"""`topspark profile`: measure accuracy, latency and energy at each T, for the controller."""
from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from topspark_ros.engine import RULES, NetworkConfig
from topspark_ros.methodology.energy import ENERGY_TABLES
from topspark_ros.methodology.profile import save_profile
from topspark_ros.methodology.profiling import measure_profile
from topspark_ros.streams.datasets import DATASET_NAMES, load_dataset
from topspark_ros.streams.images import to_gray
from topspark_ros.streams.objects import centre_object
from topspark_ros.streams.scenes import SceneRenderer

SUMMARY = 'Measure accuracy, latency and energy at each timestep T, as the controller reads them.'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--dataset', choices=DATASET_NAMES, default='digits',
                        help='images, shown as camera frames')
    parser.add_argument('--rule', choices=RULES, default='recruiting', help='learning rule')
    parser.add_argument('--neurons', type=int, default=400, help='excitatory neurons')
    parser.add_argument('--max-input-rate', type=float, default=2.0,
                        help='rate limit, spikes a step of a sample of unit norm')
    parser.add_argument('--timesteps', default='2,4,8,16,32,64', help='T, comma-separated')
    parser.add_argument('--seeds', type=int, default=3, help='seeds 0 to SEEDS - 1')
    parser.add_argument('--energy-model', choices=tuple(ENERGY_TABLES), default='loihi',
                        help='energies per operation')
    parser.add_argument('--jobs', type=int, default=1, help='processes')
    parser.add_argument('--output', type=Path, default=Path('profile.yaml'), help='file to write')


def run(arguments: argparse.Namespace) -> int:
    config = NetworkConfig(neurons=arguments.neurons, rule=arguments.rule,
                           max_input_rate=arguments.max_input_rate)
    try:
        timesteps = [int(text) for text in arguments.timesteps.split(',')]
    except ValueError:
        raise ValueError(f'--timesteps: {arguments.timesteps!r}; accepted: whole numbers, '
                         'comma-separated') from None
    train, test = (load_dataset(arguments.dataset, split) for split in ('train', 'test'))
    with Progress(TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
                  TimeRemainingColumn()) as progress:
        frames = progress.add_task('frames', total=len(train.labels) + len(test.labels))
        views = [_camera_views(dataset.images, seed, lambda: progress.advance(frames))
                 for seed, dataset in enumerate((train, test))]
        runs = progress.add_task('networks', total=None)
        profile = measure_profile(
            views[0], train.labels, views[1], test.labels, config, timesteps,
            range(arguments.seeds), ENERGY_TABLES[arguments.energy_model],
            lambda finished, total: progress.update(runs, completed=finished, total=total),
            name=f'{arguments.dataset}, camera frames', jobs=arguments.jobs)
    save_profile(profile, arguments.output)
    print(f'{arguments.output} written:')
    for point in profile.points:
        print(f'  T {point.timesteps:4d}: inference accuracy {point.inference.accuracy:.3f}, '
              f'{point.inference.latency_s * 1e6:6.1f} us, {point.inference.energy_j * 1e6:7.3f} '
              f'uJ; training accuracy {point.training.accuracy:.3f}, '
              f'{point.training.latency_s * 1e6:6.1f} us, {point.training.energy_j * 1e6:7.3f} uJ')
    return 0


def _camera_views(images: np.ndarray, seed: int, advance) -> np.ndarray:
    """Each image as the learner gets it: seen by the camera, found and centred."""
    scenes = SceneRenderer(images, seed=seed)
    views = []
    for index in range(len(images)):
        frame = scenes.render(index)
        height, width, channels = frame.shape
        gray = to_gray('bgr8', height, width, channels * width, False, frame.tobytes())
        views.append(centre_object(gray))
        advance()
    return np.stack(views)
