"""The race: T = 350, 400 neurons, MNIST at 63.75 Hz, one core, against two simulators."""

from __future__ import annotations

import numpy as np

from . import peers
from .timing import Data, classic, fastest, floor_task, trained

NEURONS, TIMESTEPS = 400, 350
SAMPLES = 300
PEER_ROUNDS = 2
CODINGS = ('rate_regular', 'rate_bernoulli')


def race(data: Data, advance=lambda: None) -> dict[str, dict[str, float]]:
    """Microseconds of processor time a sample, by simulator and mode.

    The peers and we take turns; the fastest of each one's turns counts. `advance` is called
    after each round.
    """
    pixels, labels = (part[:SAMPLES] for part in data.test)
    tasks = {('floor', 'infer'): floor_task(pixels, NEURONS, TIMESTEPS)}
    for coding in CODINGS:
        network = trained(classic(NEURONS, coding=coding), data, TIMESTEPS)
        name = f'topspark, {coding}'
        tasks[name, 'learn'] = lambda n=network: n.learn_many(pixels, TIMESTEPS, labels)
        tasks[name, 'infer'] = lambda n=network: n.infer_many(pixels, TIMESTEPS)
    best: dict[tuple[str, str], float] = {}
    for _ in range(PEER_ROUNDS):
        timed = fastest(tasks, SAMPLES)
        for run in peers.race(pixels, NEURONS, TIMESTEPS):
            timed[run['simulator'], run['mode']] = run['microseconds_per_sample']
        for key, microseconds in timed.items():
            best[key] = min(microseconds, best.get(key, np.inf))
        advance()
    results: dict[str, dict[str, float]] = {}
    for (name, mode), microseconds in best.items():
        results.setdefault(name, {})[mode] = microseconds
    return results
