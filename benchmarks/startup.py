"""The first call: seconds and compilations of a cold and of a warm start; threads; one call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

from topspark_ros.engine import NetworkConfig

from .timing import Data, classic, fastest, trained

PROGRAM = """
import json, sys, time
from topspark_ros.engine import NetworkConfig, compilations, create_network, warm_up
start = time.perf_counter()
warm_up(create_network(NetworkConfig(rule=sys.argv[1])))
print(json.dumps(dict(seconds=time.perf_counter() - start, compilations=compilations())))
"""


def starts() -> list[dict]:
    """Warm-ups in processes of their own: with an empty cache, then with what the first left."""
    rows = []
    for rule in ('recruiting', 'pairwise'):
        with tempfile.TemporaryDirectory() as cache:
            for kind in ('cold', 'warm'):
                done = subprocess.run(
                    [sys.executable, '-c', PROGRAM, rule],
                    check=True,
                    text=True,
                    env={**os.environ, 'NUMBA_CACHE_DIR': cache},
                    stdout=subprocess.PIPE,
                )
                rows.append(dict(rule=rule, start=kind, **json.loads(done.stdout)))
    return rows


def threads(data: Data) -> list[dict]:
    """Wall-clock samples a second of batched inference, T = 350; equal results are checked."""
    network = trained(classic(), data, 350)
    pixels = data.test[0]
    reference = network.infer_many(pixels, 350)
    rows = []
    for count in (1, 2):
        least = np.inf
        for _ in range(5):
            start = time.perf_counter()
            responses = network.infer_many(pixels, 350, threads=count)
            least = min(least, time.perf_counter() - start)
        same = all(np.array_equal(a, b) for a, b in zip(reference, responses))
        rows.append(dict(threads=count, samples_a_second=len(pixels) / least, same_results=same))
    return rows


def single_calls(data: Data) -> list[dict]:
    """What a call for one sample costs on top, and a change of T between any two."""
    pixels, _ = data.test
    pixels = pixels[:300]
    rows = []
    for rule in ('recruiting', 'pairwise'):
        network = trained(NetworkConfig(rule=rule, max_input_rate=2.0), data, 16)
        timed = fastest(
            {
                'together': lambda n=network: n.infer_many(pixels, 16),
                'one by one': lambda n=network: [n.infer(one, 16) for one in pixels],
                'T changes': lambda n=network: [
                    n.infer(one, 16 if k % 2 else 15) for k, one in enumerate(pixels)
                ],
            },
            len(pixels),
            rounds=5,
        )
        rows.append(dict(rule=rule, **timed))
    return rows
