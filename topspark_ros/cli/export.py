"""`topspark export`: a network for other simulators and for neuromorphic chips."""

from __future__ import annotations

import argparse
from pathlib import Path

from topspark_ros.cli.arguments import check_output
from topspark_ros.engine import Time, export_nir, load_checkpoint
from topspark_ros.engine.exchange import INTEGRATIONS

SUMMARY = 'Write the inference of a single layer as a NIR graph, which other simulators read.'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('weights', type=Path, metavar='WEIGHTS', help='checkpoint of the network')
    parser.add_argument(
        '--format', choices=('nir',), default='nir', help="NIR takes the extra 'nir'"
    )
    parser.add_argument('--timesteps', type=int, default=350, help='T that thresholds are for')
    parser.add_argument(
        '--step', type=float, default=Time.step_s, metavar='S', help='of the reader, s'
    )
    parser.add_argument(
        '--integration',
        choices=INTEGRATIONS,
        default=Time.integration,
        help="how the reader steps through a neuron's equation",
    )
    parser.add_argument('--output', type=Path, default=Path('network.nir'), help='file to write')


def run(arguments: argparse.Namespace) -> int:
    check_output('--output', arguments.output)
    time = Time(arguments.step, arguments.integration)
    missing = export_nir(
        load_checkpoint(arguments.weights), arguments.output, arguments.timesteps, time
    )
    print(f'{arguments.output} written, for T = {arguments.timesteps}. NIR cannot say:')
    print('\n'.join(f'- {each}' for each in missing))
    return 0
