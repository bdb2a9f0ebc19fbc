"""What learns, on what it sees: every rule on pixels, on spiking features and on an encoder's.

    python -m benchmarks.composition lite0.onnx
    python -m benchmarks.composition --filters own.npz

The file is any that the learner's parameter `encoder` takes (benchmarks/encoder_file.py makes one);
without it those rows are left out. One pass, each picture once, T = 4; settings were chosen on
parts of the training pictures. Prints a table: accuracy on test pictures, mean over two orders of
the others, and the energy of an MNIST digit at T = 4, estimated; and one of what T changes for the
recruiting rule on features. With --filters, what learns on features alone, by the package's filters
and by those of the file (benchmarks/filters.py makes one). Needs TOPSPARK_DATA.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import cv2
import numpy as np

from topspark_ros.engine import (
    AnyConfig,
    DiscriminantConfig,
    EncodedConfig,
    FeaturesConfig,
    NetworkConfig,
    NeuronConfig,
    load_filters,
)
from topspark_ros.methodology.energy import ENERGY_TABLES, estimate_energy_j
from topspark_ros.perception.encoder import Encoder
from topspark_ros.perception.learner_parameters import GRID
from topspark_ros.streams.colours import resized

from .encoder import encoded, heading, row
from .photographs import OBJECTS, Photographs, load_photographs, taught
from .reproduce.objects import IMAGES, pictures

SETS = (*IMAGES, *OBJECTS[:3])
SHOWN = 4  # T
TIMESTEPS = (1, 2, 4, 64)
LEARNED_AT = (1, 4, 64)
ORDERS = 2
RECRUITING = NetworkConfig(max_input_rate=18.0)
SPIKES = NeuronConfig(inference_spikes=8.0)
TABLE = ENERGY_TABLES['loihi']
Seen = tuple[AnyConfig, Photographs]


def pairwise(max_input_rate: float) -> NetworkConfig:
    return NetworkConfig(rule='pairwise', max_input_rate=max_input_rate, neuron=SPIKES)


def pixels(layer: NetworkConfig) -> Callable[[str], Seen]:
    """A layer that sees a set in grey, 28 x 28."""
    return lambda name: (layer, grey(name))


def features(layer: NetworkConfig) -> Callable[[str], Seen]:
    """A layer that sees the spiking features of a set."""

    def seen(name: str) -> Seen:
        data = pictures(name)
        encoder = FeaturesConfig(data.side, data.channels)
        return replace(layer, inputs=encoder.inputs, encoder=encoder), data

    return seen


def discriminant(name: str) -> Seen:
    data = pictures(name)
    return DiscriminantConfig(data.side, data.channels), data


@cache
def grey(name: str) -> Photographs:
    data = pictures(name)
    return replace(data, training=_grey(data, data.training), test=_grey(data, data.test))


def _grey(data: Photographs, shown: np.ndarray) -> np.ndarray:
    if data.channels == 1:
        return shown
    coloured = shown.reshape(-1, data.side, data.side, data.channels)
    single = [cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in coloured]
    return np.array([resized(each, GRID, GRID).reshape(-1) for each in single])


def on_encoder(path: str) -> dict[tuple[str, str], Callable[[str], Seen]]:
    """What sees the features of an ONNX file; of photographs alone, digits are none."""
    encoder = Encoder(path)
    layer = replace(RECRUITING, inputs=encoder.features, encoder=encoder.digest)

    @cache
    def data(name: str) -> Photographs:
        seen = load_photographs(name, encoder.side)
        return replace(
            seen, training=encoded(encoder, seen.training), test=encoded(encoder, seen.test)
        )

    config = EncodedConfig(encoder.features, encoder.digest)
    return {
        ('encoder', 'recruiting'): lambda name: (layer, data(name)),
        ('encoder', 'discriminant'): lambda name: (config, data(name)),
    }


def accuracies(
    seen: Seen, learned_at: int, timesteps: tuple[int, ...], filters_file: str = ''
) -> tuple[dict[int, float], float]:
    """By T, percent, mean over the orders; energy of a picture at the last T, J.

    filters_file: of spiking features; empty: those of the package.
    """
    config, data = seen
    filters = None
    if filters_file:
        filters = load_filters(filters_file, FeaturesConfig(data.side, data.channels))
    found = dict.fromkeys(timesteps, 0.0)
    for seed in range(ORDERS):
        network = taught(config, data, learned_at, seed, filters=filters)
        for each in timesteps:
            responses = network.infer_many(data.test, each)
            found[each] += 100 * float(np.mean(responses.predicted == data.test_labels)) / ORDERS
    energy_j = estimate_energy_j(responses.total_counts(), TABLE) / len(data.test)
    return found, energy_j


def table(networks: dict[tuple[str, str], Callable[[str], Seen]], filters_file: str = '') -> None:
    """A row for each network; filters_file: as of `accuracies`."""
    for (what, rule), seen in networks.items():
        cells = dict.fromkeys(SETS, '-')
        energy = '-'
        for name in SETS if what != 'encoder' else OBJECTS[:3]:
            found, energy_j = accuracies(seen(name), SHOWN, (SHOWN,), filters_file)
            cells[name] = f'{found[SHOWN]:.1f}'
            if name == 'mnist':
                energy = f'{1e6 * energy_j:.1f}'
        row(filters_file or what, rule, *cells.values(), energy)


def main() -> int:
    parser = argparse.ArgumentParser(description='Every rule on everything that it can see.')
    either = parser.add_mutually_exclusive_group()
    either.add_argument('path', nargs='?', help='of an ONNX file')
    either.add_argument('--filters', metavar='FILE', help='compare these with those of the package')
    options = parser.parse_args()
    on_features: dict[tuple[str, str], Callable[[str], Seen]] = {
        ('features', 'recruiting'): features(RECRUITING),
        ('features', 'pairwise'): features(pairwise(30.0)),
        ('features', 'discriminant'): discriminant,
    }
    on_pixels: dict[tuple[str, str], Callable[[str], Seen]] = {
        ('pixels', 'recruiting'): pixels(RECRUITING),
        ('pixels', 'pairwise'): pixels(pairwise(4.0)),
    }
    heading('seen', 'learned by', *(f'{name}, %' for name in SETS), 'a digit, uJ')
    if options.filters is not None:
        table(on_features)
        table(on_features, options.filters)
        return 0
    table(on_pixels | on_features | ({} if options.path is None else on_encoder(options.path)))
    heading('recruiting on features, %', 'learned at', *(f'T = {each}' for each in TIMESTEPS))
    for name in SETS:
        for learned_at in LEARNED_AT:
            found, _ = accuracies(features(RECRUITING)(name), learned_at, TIMESTEPS)
            row(name, learned_at, *(f'{accuracy:.1f}' for accuracy in found.values()))
    return 0


if __name__ == '__main__':
    sys.exit(main())
