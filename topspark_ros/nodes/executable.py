#!/usr/bin/env python3
"""Runs the node whose name this file is installed under."""

import os
import signal

if __name__ == '__main__':
    # First of all: what comes next is imported for a second or two, and nothing is to be saved.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))

    import sys
    from importlib import import_module
    from pathlib import Path

    from topspark_ros.nodes.process import run

    name = Path(sys.argv[0]).name
    # A class has the name of its module, written as classes are.
    run(getattr(import_module(f'topspark_ros.nodes.{name}'), name.title().replace('_', '')))
