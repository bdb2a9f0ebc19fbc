"""`make bench`: every measurement, as tables and pictures in results/bench."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from topspark_ros.plotting import drawing, log_axis
from topspark_ros.streams.datasets import DatasetError

from . import cost, crosscheck, events, race, reduced, startup
from .peers import PeerError
from .timing import Data

RESULTS = Path('results') / 'bench'


def shown(value: object) -> str:
    """A figure as tables print it."""
    if isinstance(value, float):
        return f'{value:.3g}' if abs(value) < 100 else f'{value:.0f}'
    return str(value)


def report(console: Console, name: str, title: str, rows: list[dict]) -> None:
    """A table on the terminal and in a CSV file."""
    columns = list(rows[0])
    table = Table(title=title, title_justify='left')
    for column in columns:
        table.add_column(column.replace('_', ' '))
    for row in rows:
        table.add_row(*(shown(row[column]) for column in columns))
    console.print(table)
    with open(RESULTS / f'{name}.csv', 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def race_rows(results: dict[str, dict[str, float]]) -> list[dict]:
    """Milliseconds a sample, and how many times slower than ours and than the floor."""
    floor = results['floor']['infer']
    rows = []
    for name, modes in results.items():
        row = dict(simulator=name)
        for mode in ('learn', 'infer'):
            row[f'{mode}_ms'] = modes[mode] / 1e3 if mode in modes else ''
            for coding in race.CODINGS:
                ours = results[f'topspark, {coding}'][mode]
                row[f'{mode} / {coding}'] = modes[mode] / ours if mode in modes else ''
            row[f'{mode} / floor'] = modes[mode] / floor if mode in modes else ''
        rows.append(row)
    return rows


def draw_race(rows: list[dict]) -> None:
    """Bars of milliseconds a sample on a logarithmic axis."""
    with drawing(RESULTS / 'race.png', 9, 4) as figure:
        axis = figure.subplots()
        places = range(len(rows))
        for shift, mode in ((-0.2, 'learn'), (0.2, 'infer')):
            values = [row[f'{mode}_ms'] or float('nan') for row in rows]
            bars = axis.barh([place + shift for place in places], values, 0.38, label=mode)
            axis.bar_label(
                bars, [f'{v:.2f}' if v == v else '' for v in values], padding=3, fontsize=8
            )
        axis.set_yticks(places, [row['simulator'] for row in rows])
        log_axis(axis, 'x', (1,))
        axis.margins(x=0.15)
        axis.invert_yaxis()
        axis.set_xlabel('processor time a sample [ms]')
        figure.suptitle('784 inputs, 400 neurons, T = 350, MNIST at 63.75 Hz, one core')
        axis.legend()


def draw_cost(timesteps: list[dict], neurons: list[dict], activity: list[dict]) -> None:
    """Microseconds a sample against T, N and input spikes."""
    with drawing(RESULTS / 'cost.png', 13, 4) as figure:
        axes = figure.subplots(1, 3, sharey=True)
        for name in dict.fromkeys(row['network'] for row in timesteps):
            rows = [row for row in timesteps if row['network'] == name]
            for mode, style in (('learn', '-'), ('infer', '--')):
                axes[0].plot(
                    [row['timesteps'] for row in rows],
                    [row[mode] for row in rows],
                    style,
                    marker='.',
                    label=f'{name}, {mode}',
                )
        for axis, rows, key in ((axes[1], neurons, 'neurons'), (axes[2], activity, 'input_spikes')):
            for mode, style in (('learn', '-'), ('infer', '--'), ('floor', ':')):
                if mode in rows[0]:
                    axis.plot(
                        [row[key] for row in rows],
                        [row[mode] for row in rows],
                        style,
                        marker='.',
                        label=mode,
                    )
        titles = ('T [steps], N = 400', 'neurons N, T = 350', 'input spikes a sample, T = 64')
        for axis, title in zip(axes, titles):
            for direction in 'xy':
                log_axis(axis, direction, (1,))
            axis.set_xlabel(title)
            axis.grid(which='both')
            axis.legend(fontsize=7)
        axes[0].set_ylabel('processor time a sample [µs]')


def main() -> int:
    console = Console()
    console.width = max(console.width, 110)  # the widest table
    try:
        data = Data()
    except DatasetError as error:
        console.print(f'make bench: {error}', style='red', highlight=False)
        return 2
    RESULTS.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn('{task.description}'), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        total = race.PEER_ROUNDS + len(reduced.SETTINGS) * len(reduced.SEEDS) + 8
        task = progress.add_task('start', total=total)

        def step(description: str) -> None:
            progress.update(task, description=description)

        def advance() -> None:
            progress.advance(task)

        step('cross-check')
        checked = crosscheck.cross_check()
        report(console, 'crosscheck', 'The same spikes as Brian2', checked)
        advance()
        step('race')
        rows = race_rows(race.race(data, advance))
        report(console, 'race', 'The race: T = 350, N = 400, MNIST at 63.75 Hz, one core', rows)
        draw_race(rows)
        step('reduced timesteps')
        rows = [row for rule in reduced.SETTINGS for row in reduced.compare(rule, advance)]
        report(console, 'reduced', 'Reduced timesteps, N = 400, MNIST [us a sample]', rows)
        step('cost')
        costs = []
        for function in (cost.against_timesteps, cost.against_neurons, cost.against_activity):
            costs.append(function(data))
            advance()
        for name, rows in zip(('timesteps', 'neurons', 'activity'), costs):
            report(console, f'cost_{name}', f'Cost against {name} [us a sample]', rows)
        draw_cost(*costs)
        for name, title, measure in (
            ('starts', 'First call', startup.starts),
            ('threads', 'Batched inference, T = 350', lambda: startup.threads(data)),
            ('calls', 'Calls, T = 16 [us a sample]', lambda: startup.single_calls(data)),
            ('events', 'Event decoding [M events/s]', events.decoding),
        ):
            step(title.lower())
            try:
                report(console, name, title, measure())
            except DatasetError as error:  # only the events are a dataset of their own
                console.print(f'{title}: skipped, {error}', highlight=False)
            advance()
    console.print(f'Tables and pictures are in {RESULTS}/.')
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except PeerError as error:
        sys.exit(f'make bench: {error}')
