#!/usr/bin/env python3
"""The `topspark` command."""
from __future__ import annotations

import argparse
import importlib
import sys

VERBS = ('demo', 'watch', 'profile', 'analyse', 'tradeoff', 'events', 'make-bag', 'evaluate',
         'make-world')


def main() -> int:
    """Run one verb; each is a module beside this one with `SUMMARY`, `add_arguments`, `run`."""
    parser = argparse.ArgumentParser(
        prog='topspark', description='Spiking perception that learns on the job and fits its '
        'timestep to the battery.')
    verbs = parser.add_subparsers(dest='verb', required=True, metavar='VERB')
    modules = {name: importlib.import_module(f'topspark_ros.cli.{name.replace("-", "_")}')
               for name in VERBS}
    for name, module in modules.items():
        verb = verbs.add_parser(name, help=module.SUMMARY, description=module.SUMMARY,
                                formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        module.add_arguments(verb)
    arguments = parser.parse_args()
    try:
        return modules[arguments.verb].run(arguments)
    except ValueError as error:      # every room's errors are: one line, for the user
        print(f'topspark {arguments.verb}: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == '__main__':
    sys.exit(main())
