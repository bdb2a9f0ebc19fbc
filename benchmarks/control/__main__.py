"""`make bench-control`: our controller and simple rules through the same hard missions, and our
controller live, on the power that is measured."""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
from pathlib import Path

import joblib
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from topspark_ros.methodology.profile import DISCRIMINANT, load_profile
from topspark_ros.replay.archive import write_json

from ..fixed.play import PROFILES
from . import pictures, report
from .camera import load_images
from .metrics import judge
from .mission import History, run_mission
from .policies import STATIC, fixed_name, policies, static_timesteps
from .trace import make_trace

LIVE_S, LIVE_SEED = 600.0, 1  # the controller was made with seed 0


def run_missions(
    rule: str, seeds: range, duration_s: float, jobs: int, console: Console
) -> dict[int, dict[str, History]]:
    """Every policy in every mission, by seed and name."""
    names = policies(load_profile(PROFILES[rule]))
    histories: dict[int, dict[str, History]] = {seed: {} for seed in seeds}
    missions = [(seed, name) for seed in seeds for name in names]
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task('missions', total=len(missions))
        results = joblib.Parallel(jobs, return_as='generator')(
            joblib.delayed(run_mission)(rule, seed, duration_s, name) for seed, name in missions
        )
        for (seed, name), history in zip(missions, results):
            histories[seed][name] = history
            progress.advance(task)
    return histories


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='make bench-control', description=__doc__)
    parser.add_argument('--seeds', type=int, default=5, help='missions; 0: none')
    parser.add_argument(
        '--duration',
        type=float,
        default=600.0,
        help='of a mission, s of its own clock; an hour in as much time (default: %(default)g s)',
    )
    parser.add_argument(
        '--rule', default=DISCRIMINANT, choices=PROFILES, help='of the network, in missions'
    )
    parser.add_argument('--jobs', type=int, default=1, help='processes')
    parser.add_argument(
        '--live',
        type=float,
        nargs='?',
        const=LIVE_S,
        default=0.0,
        metavar='SECONDS',
        help='run nodes as processes as well, by the wall clock (default: %(const)g s); needs ROS',
    )
    parser.add_argument(
        '--output', type=Path, default=Path('results/control'), help='folder to write'
    )
    options = parser.parse_args(arguments)
    console = Console()
    options.output.mkdir(parents=True, exist_ok=True)
    parts = []
    if options.live:
        parts.append(run_live_part(options.live, options.output))
    if options.seeds:
        parts.append(run_virtual_part(options, console))
    claims = [claim for part in parts for claim in part.claims]
    report.write(options.output / 'report.md', parts)
    write_json(
        options.output / 'figures.json',
        {'claims': [claim._asdict() | {'met': claim.met} for claim in claims]}
        | {part.name: part.figures for part in parts},
    )
    for claim in claims:
        console.print(
            f'{claim.met}: {claim.what}: {claim.figure:.2f}, bound {claim.bound:g}, '
            f'aim {claim.aim:g}'
        )
    return 0


def run_virtual_part(options: argparse.Namespace, console: Console) -> report.Part:
    profile = load_profile(PROFILES[options.rule])
    histories = run_missions(
        options.rule, range(options.seeds), options.duration, options.jobs, console
    )
    traces = {seed: make_trace(seed, options.duration, profile) for seed in histories}
    for seed, of_seed in histories.items():
        of_seed[STATIC] = of_seed[fixed_name(static_timesteps(traces[seed].profile))]
    table = {
        seed: {name: judge(traces[seed], history) for name, history in of_seed.items()}
        for seed, of_seed in histories.items()
    }
    best = report.best_by_seed(table, profile.timesteps, math.inf)
    pictures.draw_mission(options.output / 'mission.png', traces[0], histories[0], best[0])
    pictures.draw_missions(options.output / 'missions.png', table)
    return report.report_missions(
        table,
        profile.timesteps,
        f'Missions of {options.duration:g} s on a virtual clock, seeds 0 to {options.seeds - 1}; '
        f'{load_images()[0]}, {profile.network["rule"]}; {platform.machine()}, '
        f'{platform.system()}.',
    )


def run_live_part(duration_s: float, output: Path) -> report.Part:
    from . import levers, live  # which need ROS

    run = live.run_live(LIVE_SEED, duration_s)
    part = report.report_live(
        live.judge_live(run),
        levers.describe(levers.measure_levers(LIVE_SEED)),
        f'{duration_s:g} s by the wall clock, seed {LIVE_SEED}; {os.cpu_count()} cores, '
        f'{platform.machine()}, {platform.system()}.',
    )
    pictures.draw_live(output / 'live.png', run)
    return part


if __name__ == '__main__':
    sys.exit(main())
