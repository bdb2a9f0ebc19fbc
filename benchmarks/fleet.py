"""Bags evaluated by one worker of a Dask cluster, and by two: speed-up, and whether results agree.

    python -m benchmarks.fleet [--bags 8] [--frames 400] [--timesteps 64] [--rounds 3]

Both clusters have had their first calls before time is taken. Rounds alternate, and the load of the
machine before each is printed: two workers need two unloaded cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dask.distributed import LocalCluster

from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.replay.fleet import BagRun, evaluate_bags
from topspark_ros.replay.recording import RecordingSettings, record
from topspark_ros.replay.settings import EvaluationSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--bags', type=int, default=8)
    parser.add_argument('--frames', type=int, default=400, help='of each bag')
    parser.add_argument('--timesteps', type=int, default=64, help='T of training and inference')
    parser.add_argument('--rounds', type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = recorded(Path(folder), arguments.bags, arguments.frames, arguments.timesteps)
        with cluster(1) as one, cluster(2) as two:
            for each in (one, two):
                timed(runs, each)
            print('| load before | one worker, s | two workers, s | speed-up | same frames |')
            print('|---|---|---|---|---|')
            speed_ups = []
            for _ in range(arguments.rounds):
                load = os.getloadavg()[0]
                (one_s, alone), (two_s, both) = timed(runs, one), timed(runs, two)
                speed_ups.append(one_s / two_s)
                print(
                    f'| {load:.1f} | {one_s:.1f} | {two_s:.1f} | {speed_ups[-1]:.2f} '
                    f'| {"yes" if alone == both else "NO"} |',
                    flush=True,
                )
    print(f'median speed-up {statistics.median(speed_ups):.2f}')


def cluster(workers: int) -> LocalCluster:
    return LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=':0'
    )


def recorded(folder: Path, bags: int, frames: int, timesteps: int) -> list[BagRun]:
    learner = replace(
        SnnLearnerParameters(), training_timesteps=timesteps, inference_timesteps=timesteps
    )
    for number in range(bags):
        record(folder / f'bag_{number}', RecordingSettings(frames=frames, seed=number))
    return [
        BagRun(bag, EvaluationSettings(f'T = {timesteps}', learner))
        for bag in sorted(folder.iterdir())
    ]


def timed(runs: Sequence[BagRun], workers: LocalCluster) -> tuple[float, list[bytes]]:
    """Seconds for all runs, and their frames; nothing is kept from one call to the next."""
    with tempfile.TemporaryDirectory() as store:
        began_s = time.perf_counter()
        evaluations, _ = evaluate_bags(runs, Path(store), scheduler=workers.scheduler_address)
        passed_s = time.perf_counter() - began_s
    return passed_s, [each.frames.tobytes() for each in evaluations.values()]


if __name__ == '__main__':
    main()
