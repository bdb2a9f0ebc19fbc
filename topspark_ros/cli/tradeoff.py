"""`topspark tradeoff`: what the controller chooses from a profile as its weights move."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from topspark_ros.cli.arguments import (
    PICTURES,
    UsageError,
    check_output,
    comma_separated,
    writing,
)
from topspark_ros.control.budgets import Budget, Limits
from topspark_ros.control.decision import Decision
from topspark_ros.control.policy import Conditions, PolicyConfig, TimestepPolicy
from topspark_ros.methodology.profile import Profile, load_profile
from topspark_ros.methodology.tradeoff import Candidates, enumerate_candidates, pareto_front
from topspark_ros.plotting import COLOURS, drawing, legend_below, log_axis, steps_axis

SUMMARY = (
    "Show which T the controller chooses from a profile as the weights of TopSpark's score "
    'A - (mu L/L0 + epsilon E/E0) move, in a table and a picture.'
)
CURVE = np.linspace(0, 1, 201)  # epsilon of the picture
LABEL_PIXELS = 22  # a label closer to another is skipped

Choose = Callable[[float, float], Decision]  # of mu and epsilon


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('profile', type=Path, metavar='PROFILE', help='file of `topspark profile`')
    parser.add_argument(
        '--mu',
        default=f'{PolicyConfig.latency_weight:g}',
        help='weights of the latency, comma-separated',
    )
    parser.add_argument(
        '--epsilon', default='0,0.02,0.1,0.5,1', help='weights of the energy, comma-separated'
    )
    parser.add_argument(
        '--learned-share',
        type=float,
        default=1.0,
        help='share of the frames that is learned, 0 to 1',
    )
    parser.add_argument(
        '--power',
        type=float,
        default=math.nan,
        metavar='W',
        help='limit of the mean power; nan: none',
    )
    parser.add_argument(
        '--rate',
        type=float,
        default=PolicyConfig.assumed_frame_rate_hz,
        metavar='HZ',
        help='frames a second',
    )
    parser.add_argument(
        '--deadline',
        type=float,
        default=math.nan,
        metavar='S',
        help='limit of the latency of an inference; nan: none',
    )
    parser.add_argument(
        '--min-accuracy',
        type=float,
        default=math.nan,
        metavar='A',
        help='least accuracy, 0 to 1; nan: none',
    )
    parser.add_argument(
        '--output', type=Path, default=Path('tradeoff.png'), help='picture to write'
    )


def run(arguments: argparse.Namespace) -> int:
    check_output('--output', arguments.output, PICTURES)
    profile = load_profile(arguments.profile)
    mus = comma_separated('--mu', arguments.mu, float)
    epsilons = comma_separated('--epsilon', arguments.epsilon, float)
    if not 0 <= arguments.learned_share <= 1:
        raise UsageError(f'--learned-share is {arguments.learned_share}, accepted is 0 to 1')
    budget = Budget(
        power_w=arguments.power, deadline_s=arguments.deadline, min_accuracy=arguments.min_accuracy
    )
    limits = Limits(
        power_w=budget.power_w, deadline_s=budget.deadline_s, min_accuracy=budget.min_accuracy
    )
    conditions = Conditions(state_of_charge=1.0, learned_share=arguments.learned_share)

    def choose(mu: float, epsilon: float) -> Decision:
        # A policy without a past: neither deadband nor dwell hold it back.
        config = PolicyConfig(
            latency_weight=mu,
            energy_weight_full=epsilon,
            energy_weight_empty=epsilon,
            assumed_frame_rate_hz=arguments.rate,
            limit_margin=0.0,
        )
        return TimestepPolicy(profile, config).decide(0.0, limits, conditions)

    print('\n'.join(_table(mus, epsilons, choose)))
    with writing('--output', arguments.output, 'file'):
        _draw(
            arguments.output,
            profile,
            enumerate_candidates(profile, arguments.learned_share),
            mus,
            epsilons,
            choose,
            budget.power_w / arguments.rate,
            budget.min_accuracy,
        )
    print(f'{arguments.output} written')
    return 0


def _table(mus: Sequence[float], epsilons: Sequence[float], choose: Choose) -> list[str]:
    lines = [
        f'{"mu":>6} {"epsilon":>8} {"training T":>11} {"inference T":>12} {"accuracy":>9} '
        f'{"latency":>10} {"energy":>10} {"power":>10} {"frames":>7} {"learned":>8}  reason'
    ]
    for mu in mus:
        for epsilon in epsilons:
            d = choose(mu, epsilon)
            lines.append(
                f'{mu:6g} {epsilon:8g} {d.training_timesteps if d.learning else "off":>11} '
                f'{d.inference_timesteps:12d} {d.expected_accuracy:9.1%} '
                f'{d.expected_latency_s * 1e6:7.3g} us {d.expected_energy_j * 1e6:7.3g} uJ '
                f'{d.expected_power_w * 1e6:7.3g} uW {d.frame_share:7.0%} '
                f'{d.learning_share:8.1%}  {d.reason.name.lower()}'
            )
    return lines


def _draw(
    path: Path,
    profile: Profile,
    candidates: Candidates,
    mus: Sequence[float],
    epsilons: Sequence[float],
    choose: Choose,
    energy_limit_j: float,
    min_accuracy: float,
) -> None:
    """A row for each mu: all pairs of T with the choices among them, and T against epsilon.

    energy_limit_j, min_accuracy: limits to show; NaN: none.
    """
    with drawing(path, 11, 4.2 * len(mus) + 0.9) as figure:
        rows = figure.subplots(len(mus), 2, squeeze=False)
        for mu, (pairs, steps) in zip(mus, rows):
            chosen = [choose(mu, epsilon) for epsilon in epsilons]
            _draw_pairs(pairs, candidates, chosen)
            for draw, limit, name in (
                (pairs.axvline, energy_limit_j * 1e6, 'power limit'),
                (pairs.axhline, 100 * min_accuracy, 'minimum accuracy'),
            ):
                if not math.isnan(limit):
                    draw(limit, color='0.3', linestyle=':', linewidth=1.5, label=name)
            _draw_steps(steps, profile, [choose(mu, epsilon) for epsilon in CURVE])
            for index, (epsilon, decision) in enumerate(zip(epsilons, chosen)):
                colour = COLOURS[(index + 2) % len(COLOURS)]  # not those of the curves of T
                # Rings that grow, so that equal choices are seen one around the other.
                pairs.plot(
                    *_place(decision),
                    'o',
                    markersize=8 + 4 * index,
                    markeredgewidth=2,
                    markerfacecolor='none',
                    color=colour,
                    label=f'chosen at ε = {epsilon:g}',
                )
                steps.axvline(epsilon, color=colour, linewidth=1, zorder=0)
            steps.set_title(f'Chosen T as the weight of energy grows, μ = {mu:g}')
        legend_below(
            figure, rows[0, 0].get_legend_handles_labels()[0], ncols=5, fontsize=8, markerscale=0.6
        )
        network = ', '.join(f'{name} {value}' for name, value in profile.network.items())
        figure.suptitle(
            f'{profile.name}: {network}\nenergy estimated with the {profile.energy_model} table',
            fontsize=10,
            color='0.3',
        )


def _place(decision: Decision) -> tuple[float, float]:
    return decision.expected_energy_j * 1e6, 100 * decision.expected_accuracy


def _draw_pairs(axis: Axes, candidates: Candidates, chosen: Sequence[Decision]) -> None:
    def points(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return candidates.energy_j[rows] * 1e6, 100 * candidates.accuracy[rows]

    front = pareto_front(candidates)
    axis.plot(*points(candidates.whole), '.', color='0.7', label='all pairs of T')
    axis.plot(*points(front), '.-', color='black', label='Pareto front: training / inference T')
    log_axis(axis, 'x')
    axis.margins(0.13)
    named = {
        _place(each): f'{each.training_timesteps if each.learning else "off"}/'
        f'{each.inference_timesteps}'
        for each in chosen
    }
    named |= {
        place: f'{candidates.training_timesteps[row]}/{candidates.inference_timesteps[row]}'
        for row, place in zip(front, zip(*points(front)))
    }
    taken: list[np.ndarray] = []
    for place, name in named.items():
        pixel = axis.transData.transform(place)
        if all(abs(pixel - other).max() > LABEL_PIXELS for other in taken):
            taken.append(pixel)
            axis.annotate(
                name, place, xytext=(-9, 9), textcoords='offset points', ha='right', fontsize=8
            )
    axis.set_xlabel('energy of a frame, its learning included  [µJ]')
    axis.set_ylabel('expected accuracy  [%]')
    axis.set_title('Accuracy against energy')


def _draw_steps(axis: Axes, profile: Profile, decisions: Sequence[Decision]) -> None:
    axis.step(
        CURVE,
        [d.inference_timesteps for d in decisions],
        where='post',
        linewidth=2,
        label='inference',
    )
    learning = [d.training_timesteps if d.learning else math.nan for d in decisions]
    axis.step(CURVE, learning, '--', where='post', linewidth=2, label='training')
    steps_axis(axis, 'y', profile.timesteps)
    axis.set_ylim(profile.timesteps[0] / 1.3, profile.timesteps[-1] * 1.3)
    axis.set_xlim(0, 1)
    axis.set_xlabel('ε')
    axis.legend(loc='upper right')
    if not all(d.learning for d in decisions):
        axis.text(
            0.02,
            0.03,
            'learning is off where training has no line',
            transform=axis.transAxes,
            fontsize=8,
            color='0.35',
        )
