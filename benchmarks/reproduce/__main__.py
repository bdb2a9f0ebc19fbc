"""`make reproduce`: the paper's claims and ours on this machine, as a report with pictures."""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from topspark_ros.cli.work import add_workers, progress_bar
from topspark_ros.errors import TopsparkError
from topspark_ros.replay.archive import write_json

from . import disturbances, learning, objects, paper, recordings, reductions, report
from .common import Plan, Runner, Section, full, quick


def measure(
    plan: Plan, store: Path, progress: Progress, jobs: int, scheduler: str | None
) -> tuple[list[Section], dict, dict, dict]:
    """Every section, and what the other pictures are drawn from."""
    task = progress.add_task('', total=None)

    def told(finished: float, total: int) -> None:
        progress.update(task, description=title, completed=finished, total=total)

    runner = Runner(store, told, jobs, scheduler)
    title = 'fewer timesteps'
    reduced = reductions.run(plan, runner)
    title = 'learning'
    learned, hits = learning.run(plan, runner)
    title = "the paper's setting"
    papers, accuracy = paper.run(plan, runner)
    title = 'disturbances'
    disturbed = disturbances.run(plan, runner)
    title = 'objects'
    seen, curves = objects.run(plan, runner)
    title = 'event cameras'
    events = recordings.run(plan, runner)
    sections = [reduced, *learned, seen, *([events] if events else []), papers, disturbed]
    return sections, hits, accuracy, curves


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='make reproduce', description=__doc__)
    parser.add_argument(
        '--quick',
        action='store_true',
        help="a look at everything on scikit-learn's digits, in a minute",
    )
    add_workers(parser, '; they find this checkout and TOPSPARK_DATA under the same paths')
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('results/reproduce'),
        help='folder for report and cells; finished cells in it are not computed again',
    )
    options = parser.parse_args(arguments)
    plan = quick() if options.quick else full()
    console = Console()
    try:
        with progress_bar(console=console) as progress:
            sections, hits, accuracy, curves = measure(
                plan, options.output / 'cells', progress, options.jobs, options.scheduler
            )
    except TopsparkError as error:
        console.print(f'make reproduce: {error}', style='red', highlight=False)
        return 2
    options.output.mkdir(parents=True, exist_ok=True)
    report.draw_reductions(options.output / 'reductions.png', sections[0].rows)
    report.draw_first_frames(options.output / 'first_frames.png', hits)
    report.draw_paper(options.output / 'paper.png', accuracy)
    report.draw_objects(options.output / 'objects.png', curves)
    page = report.write(
        options.output / 'report.md',
        sections,
        {
            'Fewer timesteps, less energy and time': 'reductions.png',
            'Learning from nothing, digits': 'first_frames.png',
            "The paper's own setting": 'paper.png',
            'Objects': 'objects.png',
        },
        f'{", ".join(plan.datasets)}; seeds 0 to {plan.seeds[-1]} for {max(plan.neurons)} neurons, '
        f'0 to {plan.small_seeds[-1]} otherwise; {platform.machine()}, {platform.system()}.',
    )
    claims = [claim for section in sections for claim in section.claims]
    write_json(
        options.output / 'figures.json',
        {
            'claims': [claim._asdict() | {'met': claim.met} for claim in claims],
            **{section.title: section.rows for section in sections},
        },
    )
    missed = [claim for claim in claims if claim.met == 'missed']
    for claim in missed:
        console.print(
            f'missed: {claim.what}: {claim.figure:.2f} {claim.unit}, bound {claim.bound:g}'
        )
    promised = sum(claim.promised for claim in claims)
    console.print(f'{page}: {len(missed)} of {promised} bounds missed', soft_wrap=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
