#!/usr/bin/env python3
"""The `topspark` command."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from topspark_ros.engine import report_compilation
from topspark_ros.errors import TopsparkError

VERBS = (
    'demo',
    'watch',
    'teach',
    'answer',
    'forget',
    'rename',
    'classes',
    'profile',
    'analyse',
    'tradeoff',
    'events',
    'make-bag',
    'evaluate',
    'merge',
    'export',
    'import',
    'make-world',
)
FIRST = (
    'To begin with: `topspark demo`, a minute of the whole system, where ROS 2 is sourced;\n'
    'without ROS `topspark make-bag day`, then `topspark evaluate day`.'
)
REJECTED, INTERRUPTED = 2, 130  # exit codes


def main(words: Sequence[str] | None = None) -> int:
    """Run one verb, and return the exit code.

    words: of the command line; None: those of this process.

    What was raised on purpose is one line, anything else keeps its traceback.
    """
    words = sys.argv[1:] if words is None else words
    try:
        arguments = command_line(words[:1]).parse_args(words)
        if arguments.verb is None:
            command_line().print_help(sys.stderr)
            return REJECTED
        with report_compilation(
            lambda line: print(f'topspark {arguments.verb}: {line}', file=sys.stderr)
        ):
            return verb_module(arguments.verb).run(arguments)
    except TopsparkError as error:
        return _fail(arguments.verb, str(error), REJECTED)
    except OSError as error:
        if not _is_named(error, arguments):
            raise
        return _fail(arguments.verb, f'{error.filename}: {error.strerror}', REJECTED)
    except KeyboardInterrupt:
        return _fail(None, 'interrupted', INTERRUPTED)


def command_line(wanted: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Of the verbs that are wanted, or of all if none of them is: to load them takes a second."""
    parser = argparse.ArgumentParser(
        prog='topspark',
        description='Spiking perception that learns on the job and fits its '
        'timestep to the battery.',
        epilog=FIRST,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest='verb', metavar='VERB')
    for name in [name for name in VERBS if name in wanted] or VERBS:
        module = verb_module(name)
        verb = verbs.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        module.add_arguments(verb)
    return parser


def verb_module(name: str) -> ModuleType:
    """The module beside this one with `SUMMARY`, `add_arguments` and `run`."""
    return importlib.import_module(f'topspark_ros.cli.{name.replace("-", "_")}')


def _is_named(error: OSError, arguments: argparse.Namespace) -> bool:
    """Whether a file that failed is one that the arguments name, or in a folder that they name."""
    named = [value for value in vars(arguments).values() if isinstance(value, Path)]
    return isinstance(error.filename, (str, os.PathLike)) and any(
        Path(error.filename).absolute().is_relative_to(path.absolute()) for path in named
    )


def _fail(verb: str | None, line: str, code: int) -> int:
    print(f'topspark {verb}: {line}' if verb else f'topspark: {line}', file=sys.stderr)
    return code


if __name__ == '__main__':
    sys.exit(main())
