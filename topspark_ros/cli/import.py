"""`topspark import`: the weights of a NIR graph, for the learner."""

from __future__ import annotations

import argparse
from pathlib import Path

from topspark_ros.cli.arguments import check_output
from topspark_ros.engine import Time, import_nir, save_checkpoint
from topspark_ros.engine.exchange import INTEGRATIONS

SUMMARY = 'Make weights of a NIR graph, one layer of spiking neurons, to go on learning with.'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # Without a default of their own, the help does not say that it is None.
    parser.set_defaults(timesteps=None, step=None)
    parser.add_argument('graph', type=Path, metavar='GRAPH', help='file of NIR')
    parser.add_argument(
        '--timesteps',
        type=int,
        default=argparse.SUPPRESS,
        help='T that its thresholds are for (default: as it was exported)',
    )
    parser.add_argument(
        '--step',
        type=float,
        default=argparse.SUPPRESS,
        metavar='S',
        help=f'that the graph is for, s (default: as it was exported, else {Time.step_s})',
    )
    parser.add_argument(
        '--integration',
        choices=INTEGRATIONS,
        default=Time.integration,
        help="with --step: how a step goes through a neuron's equation",
    )
    parser.add_argument(
        '--output', type=Path, default=Path('imported.topspark'), help='checkpoint to write'
    )


def run(arguments: argparse.Namespace) -> int:
    check_output('--output', arguments.output)
    time = None if arguments.step is None else Time(arguments.step, arguments.integration)
    network, class_names, _ = import_nir(arguments.graph, arguments.timesteps, time)
    save_checkpoint(arguments.output, network, class_names)
    config = network.config
    print(
        f'{arguments.output} written: {config.inputs} inputs, {config.neurons} neurons, '
        f'{network.classes} classes'
    )
    return 0
