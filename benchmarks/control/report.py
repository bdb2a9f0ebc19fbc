"""The report: claims and tables of all missions, and of the live run."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .metrics import CAUSES, Figures, best_fixed
from .policies import OURS, fixed_name

if TYPE_CHECKING:
    from .live import LiveFigures  # which needs ROS

Table = dict[int, dict[str, Figures]]  # by seed and policy


class Claim(NamedTuple):
    """The fewer the better. figure: NaN where there was nothing to compare with."""

    what: str
    figure: float
    bound: float
    aim: float

    @property
    def met(self) -> str:
        if math.isnan(self.figure):
            return 'nothing to compare with'
        return (
            'aim' if self.figure <= self.aim else 'bound' if self.figure <= self.bound else 'missed'
        )


class Part(NamedTuple):
    """Of the report. lines: below the table of the claims. figures: for figures.json."""

    name: str
    title: str
    claims: list[Claim]
    lines: list[str]
    figures: dict


def claims(table: Table, timesteps: tuple[int, ...]) -> list[Claim]:
    """Of the worst seed each."""
    ours = {seed: of_seed[OURS] for seed, of_seed in table.items()}

    def lost(max_excess: float, field: str) -> float:
        """Points of accuracy lost against the best fixed T, of the worst seed that has one."""
        losses = [
            100 * (getattr(table[seed][best], field) - getattr(ours[seed], field))
            for seed, best in best_by_seed(table, timesteps, max_excess).items()
            if best
        ]
        return max(losses, default=math.nan)

    return [
        Claim(
            'power above the limit, worst 30 s window [%]',
            100 * max(figures.excess for figures in ours.values()),
            5,
            1,
        ),
        Claim(
            'missions that run out of energy',
            sum(not math.isnan(figures.ran_out_s) for figures in ours.values()),
            0,
            0,
        ),
        Claim(
            'points lost to the best fixed T that keeps every window within 5 %',
            lost(0.05, 'accuracy'),
            0.5,
            -1,
        ),
        Claim(
            'points lost to the best fixed T that does not run out',
            lost(math.inf, 'accuracy'),
            0.5,
            -1,
        ),
        Claim('the same in the last third', lost(math.inf, 'late_accuracy'), 0.5, -1),
        Claim(
            'changes of T an hour without a cause',
            max(figures.changes['none'] for figures in ours.values()),
            6,
            0,
        ),
    ]


def best_by_seed(
    table: Table, timesteps: tuple[int, ...], max_excess: float
) -> dict[int, str | None]:
    names = [fixed_name(each) for each in timesteps]
    return {
        seed: best_fixed({name: of_seed[name] for name in names}, max_excess)
        for seed, of_seed in table.items()
    }


_COLUMNS: dict[str, Callable[[list[Figures]], str]] = {
    'worst window [%]': lambda all_: f'{100 * max(each.excess for each in all_):+.0f}',
    'windows above 5 % [%]': lambda all_: _mean(all_, 'excess_windows'),
    'ran out': lambda all_: f'{sum(not math.isnan(each.ran_out_s) for each in all_)}',
    'accuracy [%]': lambda all_: _mean(_lasting(all_), 'accuracy'),
    'last third [%]': lambda all_: _mean(_lasting(all_), 'late_accuracy'),
    'right of all frames [%]': lambda all_: _mean(all_, 'right'),
    'processed [%]': lambda all_: _mean(all_, 'processed'),
    'learned [%]': lambda all_: _mean(all_, 'learned'),
    'energy [%]': lambda all_: _mean(all_, 'energy'),
    ', '.join(CAUSES): lambda all_: ', '.join(
        f'{np.mean([each.changes[cause] for each in all_]):.1f}' for cause in CAUSES
    ),
}


def report_missions(table: Table, timesteps: tuple[int, ...], how: str) -> Part:
    lines = [how]
    for words, max_excess in (
        ('keeps every window within 5 %', 0.05),
        ('does not run out', math.inf),
    ):
        best = best_by_seed(table, timesteps, max_excess)
        lines += [
            '',
            f'Best fixed T in hindsight that {words}: '
            + '; '.join(f'seed {seed}: {name or "none"}' for seed, name in best.items())
            + '.',
        ]
    lines += [
        '',
        'Means over the seeds; the worst window is that of the worst '
        'seed, accuracies are of missions that did not run out. Energy is of what the '
        'mission had. The last column: changes of T an hour by cause, and of the share of '
        'frames alone.',
        '',
        '| policy | ' + ' | '.join(_COLUMNS) + ' |',
        '|---' * (1 + len(_COLUMNS)) + '|',
    ]
    for policy in next(iter(table.values())):
        of_policy = [of_seed[policy] for of_seed in table.values()]
        lines.append(
            f'| {policy} | ' + ' | '.join(show(of_policy) for show in _COLUMNS.values()) + ' |'
        )
    lines += ['', '![One mission](mission.png)', '', '![All missions](missions.png)']
    return Part(
        'missions',
        'On a virtual clock: each claim of the worst seed',
        claims(table, timesteps),
        lines,
        {
            seed: {name: figures._asdict() for name, figures in of_seed.items()}
            for seed, of_seed in table.items()
        },
    )


def report_live(figures: LiveFigures, saved: list[str], how: str) -> Part:
    """Of the figures of live.py, and the table of levers.py."""
    lines = [
        how,
        '',
        f'Without a limit the learner draws {figures.unlimited_w:.3g} W, at '
        f'{figures.core_power_w:g} W for a busy core. Under the limits it drew '
        f'{figures.mean:.1%} of what they allow, processed {figures.processed:.1%} of the '
        f'frames and classified {figures.accuracy:.1%} of those right. The share of frames alone '
        f'changed {figures.share_changes:.0f} times an hour without a cause.',
        '',
        '| limit, of what is drawn without one | drawn, of the limit | accuracy [%] | settings: '
        'training T / inference T, frames processed, of these learned; share of the time |',
        '|---|---|---|---|',
    ]
    for level in figures.levels:
        settings = '; '.join(
            f'{training} / {inference}, {frames:.0%}, {learning:.3g}: {share:.0%}'
            for (training, inference, learning, frames), share in level.settings[:3]
        )
        lines.append(
            f'| {level.limit:.3f} | {level.power:.3f} | {100 * level.accuracy:.1f} | {settings} |'
        )
    lines += [
        '',
        '![The run](live.png)',
        '',
        'What each lever saves, at fixed settings:',
        '',
        *saved,
    ]
    return Part(
        'live',
        'Live, by the wall clock',
        [
            Claim(
                'measured power above the limit, worst 30 s window [%]', 100 * figures.excess, 5, 2
            ),
            Claim('changes of T or learning an hour without a cause', figures.changes, 6, 0),
            Claim(
                "the learner's meter against /proc [%]", 100 * abs(figures.metered - 1.0), 2, 0.5
            ),
        ],
        lines,
        figures._asdict() | {'levels': [level._asdict() for level in figures.levels]},
    )


def write(path: Path, parts: list[Part]) -> None:
    lines = ['# The controller through hard missions']
    for part in parts:
        lines += [
            '',
            f'## {part.title}',
            '',
            '| what | figure | bound | aim | met |',
            '|---' * 5 + '|',
        ]
        lines += [
            f'| {claim.what} | {claim.figure:.2f} | {claim.bound:g} | {claim.aim:g} | {claim.met} |'
            for claim in part.claims
        ]
        lines += ['', *part.lines]
    path.write_text('\n'.join(lines) + '\n', encoding='utf-8')


def _lasting(figures: list[Figures]) -> list[Figures]:
    """Those with energy to the end: the first frames are the easiest."""
    return [each for each in figures if math.isnan(each.ran_out_s)]


def _mean(figures: list[Figures], field: str) -> str:
    values = 100 * np.array([getattr(each, field) for each in figures])
    return '' if not np.isfinite(values).any() else f'{np.nanmean(values):.1f}'
