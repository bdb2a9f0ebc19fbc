"""`topspark merge`: one network of what several robots have learned apart."""

from __future__ import annotations

import argparse
from pathlib import Path

from topspark_ros.cli.arguments import UsageError, check_output
from topspark_ros.engine import load_checkpoint, merge_networks, save_checkpoint

SUMMARY = 'Make one network of what several robots have learned apart, without their images.'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # Without a default of their own, the help does not say that it is None.
    parser.set_defaults(neurons=None, common=None)
    parser.add_argument(
        'weights',
        type=Path,
        nargs='+',
        metavar='WEIGHTS',
        help='checkpoints of the robots; classes with the same name are one',
    )
    parser.add_argument(
        '--output', type=Path, default=Path('fleet.topspark'), help='checkpoint to write'
    )
    parser.add_argument(
        '--common',
        type=Path,
        default=argparse.SUPPRESS,
        metavar='WEIGHTS',
        help='checkpoint that all of them have gone on from, as of the merge before: it counts '
        'once, not in each of them; of discriminants alone (default: none)',
    )
    parser.add_argument(
        '--neurons',
        type=int,
        default=argparse.SUPPRESS,
        help='of the merged network, with the rule recruiting alone; robots that are to load it '
        'have as many (default: those of the first)',
    )


def run(arguments: argparse.Namespace) -> int:
    check_output('--output', arguments.output)
    common = None if arguments.common is None else str(arguments.common)
    paths = [str(path) for path in arguments.weights] + ([] if common is None else [common])
    networks = {path: load_checkpoint(path) for path in paths}
    if len(networks) < len(paths):
        raise UsageError('WEIGHTS name a file twice, accepted is once: it would count twice')
    network, class_names, _ = merge_networks(networks, arguments.neurons, common)
    save_checkpoint(arguments.output, network, class_names)
    print(
        f'{arguments.output} written: {len(class_names)} classes of {len(arguments.weights)} '
        f'networks, {network.recruited_neurons} neurons in use'
    )
    return 0
