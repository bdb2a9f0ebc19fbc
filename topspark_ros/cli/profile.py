"""`topspark profile`: measure accuracy, latency and energy at each T, for the controller."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from topspark_ros.cli.arguments import (
    UsageError,
    add_energy_model,
    check_output,
    comma_separated,
    writing,
)
from topspark_ros.cli.work import add_workers, progress_bar
from topspark_ros.engine import (
    CODINGS,
    RULES,
    AnyConfig,
    EngineError,
    Network,
    NetworkConfig,
    NeuronConfig,
    save_checkpoint,
)
from topspark_ros.methodology.energy import energy_table
from topspark_ros.methodology.experiments import Data, Setting, train
from topspark_ros.methodology.neurobench import NeuroBenchError, measure_neurobench
from topspark_ros.methodology.profile import DISCRIMINANT, PhaseFigures, Profile, save_profile
from topspark_ros.methodology.profiling import measure_profile
from topspark_ros.perception.learner_parameters import (
    EVENT_SIDE,
    FEATURES,
    PICTURE_VIEWS,
    SnnLearnerParameters,
)
from topspark_ros.perception.samples import View
from topspark_ros.streams.datasets import DATASET_NAMES, load_dataset
from topspark_ros.streams.images import RawImage
from topspark_ros.streams.moving_scenes import event_views
from topspark_ros.streams.scenes import camera_views

SUMMARY = 'Measure accuracy, latency and energy at each timestep T, as the controller reads them.'
EVENTS = 'events'
VIEWS = {
    'camera': 'camera frames',
    EVENTS: 'a simulated event camera',
    'raw': 'raw pixels',
}
WEIGHTS_SUFFIX, CELLS_SUFFIX = '.topspark', '.cells'
# Options of what learns, and of what sees pictures, with their defaults.
SINGLE_LAYER: dict[str, Any] = {
    'neurons': 400,
    'coding': NetworkConfig.coding,
    'max_input_rate': NetworkConfig.max_input_rate,
    'inference_spikes': NeuronConfig.inference_spikes,
}
PICTURE: dict[str, Any] = {
    name: getattr(SnnLearnerParameters, name)
    for name in ('picture_side', 'picture_colour', 'picture_view')
}


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
        help='images of a named dataset as a camera in front of them sees them, as a window of '
        'events of a simulated event camera that they move before, or their own pixels; a folder '
        'holds what a camera saw',
    )
    parser.add_argument('--samples', type=int, help='so many of the training samples; None: all')
    parser.add_argument(
        '--rule',
        choices=(*RULES, DISCRIMINANT),
        default=SnnLearnerParameters.rule,
        help='learning rule',
    )
    # Without a default of their own it is known what was asked for.
    parser.set_defaults(**dict.fromkeys((*SINGLE_LAYER, *PICTURE)), encoder='')
    for name, kind, text in (
        ('neurons', int, 'excitatory neurons'),
        ('coding', str, 'how pixels become spikes'),
        ('max_input_rate', float, 'rate limit, spikes a step of a sample of unit norm'),
        (
            'inference_spikes',
            float,
            'output spikes that inference aims for, relative to learning; with rules of STDP alone',
        ),
    ):
        parser.add_argument(
            _option(name),
            type=kind,
            choices=CODINGS if name == 'coding' else None,
            default=argparse.SUPPRESS,
            help=f'{text} (default: {SINGLE_LAYER[name]}; not with {DISCRIMINANT})',
        )
    parser.add_argument(
        '--picture-side',
        type=int,
        default=argparse.SUPPRESS,
        metavar='PX',
        help='side of the picture that spiking features see; an ONNX file has its own (default: '
        f'{PICTURE["picture_side"]})',
    )
    parser.add_argument(
        '--picture-colour',
        action=argparse.BooleanOptionalAction,
        default=argparse.SUPPRESS,
        help='whether spiking features see colours and background, or the object alone, bright on '
        'dark (default: colours)',
    )
    parser.add_argument(
        '--picture-view',
        choices=PICTURE_VIEWS,
        default=argparse.SUPPRESS,
        help='whether spiking features see what stands out, or the central square of a photograph '
        f'or frame (default: {PICTURE["picture_view"]})',
    )
    parser.add_argument(
        '--encoder',
        default=argparse.SUPPRESS,
        metavar=f'FILE_OR_{FEATURES.upper()}',
        help='what the rule learns on in the place of pixels: a frozen network, ONNX; or '
        f'{FEATURES}, spiking ones, which {DISCRIMINANT} has anyway (default: none)',
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
    add_workers(parser)
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('profile.yaml'),
        help=f'file to write; the weights go beside it, with {WEIGHTS_SUFFIX} for its suffix, and '
        f'so does a folder of cells, with {CELLS_SUFFIX}; finished cells in it are not computed '
        'again',
    )
    parser.add_argument(
        '--no-weights',
        action='store_true',
        help='do not write weights, those of seed 0 at the largest T',
    )


def run(arguments: argparse.Namespace) -> int:
    timesteps = comma_separated('--timesteps', arguments.timesteps)
    weights = arguments.output.with_suffix(WEIGHTS_SUFFIX)
    check_output('--output', arguments.output)
    if weights == arguments.output:
        raise UsageError(
            f'--output is {arguments.output}, accepted is a file with another suffix '
            f'than {WEIGHTS_SUFFIX}'
        )
    energies = energy_table(arguments.energy_model)
    with progress_bar() as progress:
        config, view = _network(arguments)
        data, class_names = _load(arguments, view, progress)
        if isinstance(config, NetworkConfig) and not config.encoder:
            config = replace(config, inputs=data.training_pixels.shape[1])
        networks = progress.add_task('networks', total=None)
        profile = measure_profile(
            data,
            config,
            timesteps,
            range(arguments.seeds),
            energies,
            arguments.output.with_suffix(CELLS_SUFFIX),
            lambda finished, total: progress.update(networks, completed=finished, total=total),
            encoder_j=0.0 if view.encoder is None else view.encoder.energy_j(energies),
            max_loss=arguments.max_loss,
            jobs=arguments.jobs,
            scheduler=arguments.scheduler,
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
        network, _ = train(setting, data, seed=0)
        save_checkpoint(weights, network, class_names)
        print(f'{weights} written: weights of seed 0, trained at T = {reference.timesteps}')
        print('\n'.join(_neurobench(network, data, reference.timesteps)))
    return 0


def _neurobench(network: Network, data: Data, timesteps: int) -> list[str]:
    try:
        metrics = measure_neurobench(network, data.test_pixels, timesteps)
    except (NeuroBenchError, EngineError) as error:
        return [f'no NeuroBench metrics: {error}']
    return [
        f'NeuroBench metrics, test samples, T = {timesteps}:',
        *(f'  {name}: {value}' for name, value in metrics.shown().items()),
    ]


def _option(name: str) -> str:
    return f'--{name.replace("_", "-")}'


def _network(arguments: argparse.Namespace) -> tuple[AnyConfig, View]:
    """The network, and what it sees of a camera's frame."""
    single_layer, sees_pictures = arguments.rule != DISCRIMINANT, _sees_photographs(arguments)
    _check_view(arguments, sees_pictures)
    sees_events = arguments.view == EVENTS
    parameters = SnnLearnerParameters(
        rule=arguments.rule, encoder=arguments.encoder, input='events' if sees_events else 'image'
    )
    chooses_picture = sees_pictures and not sees_events
    own = (SINGLE_LAYER if single_layer else {}) | (PICTURE if chooses_picture else {})
    for name in SINGLE_LAYER | PICTURE:
        if name not in own and getattr(arguments, name) is not None:
            encoder = f' and the encoder {arguments.encoder}' if arguments.encoder else ''
            view = f' and --view {EVENTS}' if sees_events else ''
            accepted = ', '.join(map(_option, own)) or 'none of these'
            raise UsageError(
                f'{_option(name)} is {getattr(arguments, name)}, accepted with the rule '
                f'{arguments.rule}{encoder}{view}: {accepted}'
            )
    chosen = {
        name: default if getattr(arguments, name) is None else getattr(arguments, name)
        for name, default in own.items()
    }
    parameters = replace(
        parameters, **{name: value for name, value in chosen.items() if name in PICTURE}
    )
    encoder_file = parameters.read_encoder()
    config = parameters.network_config(encoder_file)
    if isinstance(config, NetworkConfig):
        neuron = NeuronConfig(inference_spikes=chosen['inference_spikes'])
        layer = {name: chosen[name] for name in ('neurons', 'coding', 'max_input_rate')}
        config = replace(config, neuron=neuron, **layer)
    return config, parameters.view(encoder_file)


def _check_view(arguments: argparse.Namespace, sees_pictures: bool) -> None:
    """UsageError for images that the network cannot be shown in this way."""
    accepted: tuple[str, ...]
    if arguments.dataset not in DATASET_NAMES:
        accepted, where = ('camera',), f'folder {arguments.dataset}'
    elif sees_pictures:
        accepted = 'camera', EVENTS
        where = f'encoder {arguments.encoder}' if arguments.encoder else f'rule {DISCRIMINANT}'
    else:
        accepted, where = ('camera', 'raw'), f'rule {arguments.rule}'
    if arguments.view not in accepted:
        raise UsageError(
            f'--view is {arguments.view!r}, accepted with the {where}: {", ".join(accepted)}'
        )


def _sees_photographs(arguments: argparse.Namespace) -> bool:
    """Whether images are shown as they are, not only what is bright or dark in them."""
    return arguments.rule == DISCRIMINANT or bool(arguments.encoder)


def _load(
    arguments: argparse.Namespace, view: View, progress: Progress
) -> tuple[Data, tuple[str, ...]]:
    """The samples, and the names of their classes."""
    photographs = _sees_photographs(arguments)

    def see(rgb: np.ndarray) -> np.ndarray:
        return view.of(RawImage.of(rgb))

    training, test = (
        load_dataset(arguments.dataset, split, photographs=photographs)
        for split in ('train', 'test')
    )
    samples = len(training.labels) if arguments.samples is None else arguments.samples
    if not 1 <= samples <= len(training.labels):
        raise UsageError(f'--samples is {samples}, accepted is 1 to {len(training.labels)}')
    parts = [training.images[:samples], test.images]
    name = Path(arguments.dataset).name
    if arguments.dataset in DATASET_NAMES:
        name += f', {VIEWS[arguments.view]}'
        if arguments.view != 'raw':
            shown = progress.add_task('images', total=sum(map(len, parts)))

            def advance() -> None:
                progress.advance(shown)

            parts = [
                event_views(images, seed, EVENT_SIDE, advance)
                if arguments.view == EVENTS
                else camera_views(images, seed, see=see, advance=advance)
                for seed, images in enumerate(parts)
            ]
    elif photographs:
        parts = [np.stack([see(image) for image in images]) for images in parts]
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
