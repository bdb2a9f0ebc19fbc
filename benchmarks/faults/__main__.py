"""Try faults on purpose on real nodes over DDS, and write down what was lost.

    python -m benchmarks.faults [--only NAME] [--times N] [--minutes N] [--output FOLDER]

Each family's findings are kept in FOLDER as NAME.json; report.md is made of all that are there.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

import rclpy
from rich.console import Console

from topspark_ros.cli import ros

from . import Extent, report

# In the order of the report.
FAMILIES = ('kills', 'restarts', 'garbage', 'overload', 'disk', 'clock', 'endurance', 'decoders')


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.faults', description=__doc__.split('\n')[0]
    )
    parser.add_argument(
        '--only',
        choices=FAMILIES,
        action='append',
        help='a family of faults; may be given again (default: all)',
    )
    parser.add_argument('--times', type=int, help='to try what is tried a number of times')
    parser.add_argument('--minutes', type=float, help='to try what is tried for a time')
    parser.add_argument(
        '--output', type=Path, default=Path('results/faults'), help='folder to write'
    )
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    console = Console()
    ros.keep_local()
    rclpy.init()
    met = True
    for name in options.only or FAMILIES:
        family = importlib.import_module(f'{__package__}.{name}')
        with (
            tempfile.TemporaryDirectory(prefix='topspark_faults_') as folder,
            console.status(name) as status,
        ):
            findings = family.run(
                Extent(options.times, options.minutes),
                Path(folder),
                lambda line, name=name, status=status: status.update(f'{name}: {line}'),
            )
        report.keep(options.output, name, findings)
        for finding in findings:
            console.print(
                f'{"yes" if finding.met else "NO "} {finding.tried}, {finding.times}: '
                f'{finding.lost}',
                highlight=False,
            )
        met &= all(finding.met for finding in findings)
    report.write(options.output, FAMILIES)
    rclpy.shutdown()
    return 0 if met else 1


if __name__ == '__main__':
    sys.exit(main())
