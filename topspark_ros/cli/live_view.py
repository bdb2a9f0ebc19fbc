"""The terminal view of a running system."""
from __future__ import annotations

import math

from rich.console import Group
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

UNITS = ((1.0, ''), (1e-3, 'm'), (1e-6, 'µ'), (1e-9, 'n'))


def quantity(value: float, unit: str) -> str:
    """A value with an SI prefix: 0.00042 W is 420 µW; NaN is a dash."""
    if math.isnan(value):
        return '–'
    factor, prefix = next(((f, p) for f, p in UNITS if abs(value) >= f), UNITS[-1])
    return f'{0.0 if value == 0 else value / factor:.3g} {prefix if value else ""}{unit}'


def share(value: float) -> str:
    return '–' if math.isnan(value) else f'{value:.1%}'


def latest(points: list[tuple[float, float]]) -> float:
    """The last value of a time series; NaN while there is none."""
    return points[-1][1] if points else math.nan


def view(record, *, sample: str, expected: int, title: str):
    """What a rich Live shows of an observer's record.

    sample: what is classified: frame or window.
    expected: about how many of them there will be at the end.
    """
    status = record.status
    classified = len(record.results)
    if status is None or not record.decisions:
        return Panel(Text('Waiting for the learner: its kernels are being compiled ...'),
                     title=title)
    decision = record.decisions[-1]
    budget_w = latest(record.budget_w)
    power_w = status.power_estimated
    within = not power_w > budget_w
    table = Table.grid(padding=(0, 3))
    for _ in range(4):
        table.add_column()
    accuracy = latest(record.accuracy)
    latency_s = record.results[-1].latency_s if record.results else math.nan
    charge = latest(record.state_of_charge)
    learning = f'{decision.training_timesteps} steps' if decision.learning else 'off'
    table.add_row('T inference', f'[bold cyan]{decision.inference_timesteps} steps',
                  'T training', f'[bold cyan]{learning}')
    table.add_row('accuracy', f'[bold green]{share(accuracy)}', f'labelled {sample}s',
                  f'{record.labelled}')
    table.add_row('latency', quantity(latency_s, 's'), 'neurons in use',
                  f'{status.recruited_neurons}')
    table.add_row(f'energy a {sample}', quantity(status.energy_estimated, 'J'), f'{sample} rate',
                  quantity(status.frame_rate, 'Hz'))
    table.add_row('power', f'[{"green" if within else "red"}]{quantity(power_w, "W")}', 'budget',
                  'unlimited' if math.isnan(budget_w) else quantity(budget_w, 'W'))
    table.add_row('state of charge', share(charge), f'{sample}s lost',
                  f'{status.frames_dropped}')
    reasons = Table.grid(padding=(0, 2))
    for made in record.decisions[-5:]:
        reasons.add_row(f'{made.time_s:5.1f} s', f'[bold]{made.reason}',
                        f'T {made.inference_timesteps}/{made.training_timesteps}', made.detail)
    bar = ProgressBar(total=expected, completed=classified, width=60)
    progress = Table.grid(padding=(0, 2))
    progress.add_row(bar, f'{classified} of {expected} {sample}s')
    return Panel(Group(progress, Text(), table, Text(), Text('Decisions', style='bold'), reasons),
                 title=title)


def line(record, *, sample: str, expected: int) -> str:
    """The same in one line, where there is no terminal."""
    status, decisions = record.status, record.decisions
    if status is None or not decisions:
        return 'waiting for the learner: its kernels are being compiled'
    accuracy = latest(record.accuracy)
    budget_w = latest(record.budget_w)
    charge = latest(record.state_of_charge)
    return (f'{len(record.results):5d}/{expected} {sample}s | '
            f'T {decisions[-1].inference_timesteps:3d} infer '
            f'{decisions[-1].training_timesteps:3d} train | accuracy {share(accuracy)} | '
            f'{quantity(status.energy_estimated, "J")} a {sample} | '
            f'{quantity(status.power_estimated, "W")} of {quantity(budget_w, "W")} | '
            f'charge {share(charge)} | {decisions[-1].reason}')
