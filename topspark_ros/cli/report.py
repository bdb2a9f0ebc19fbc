"""What a run leaves behind: a picture of its course."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from topspark_ros.plotting import (
    BLUE,
    GREEN,
    LIMIT_STYLES,
    ORANGE,
    PURPLE,
    accuracy_panel,
    charge_panel,
    legend_beside,
    mark,
    picture,
    power_axis,
    spoken,
    timestep_panel,
)


def draw_history(
    path: Path, series: dict, *, sample: str, accuracy_window: int, accuracy_bound: float
) -> None:
    """T, accuracy, power with its budget, and state of charge over time.

    series: of the JSON: `decisions` (dicts), `accuracy`, `power_w`, `budget_w`,
        `state_of_charge`, `{sample}s` (each a list of (time in s, value, ...)).
    sample: what was classified: frame or window.
    accuracy_window: labelled ones behind each point of `accuracy`.
    accuracy_bound: what it had to reach.
    """
    samples = series[f'{sample}s']
    duration_s = samples[-1][0] if samples else 1.0
    decisions = series['decisions']
    times_s = [max(0.0, decision['time_s']) for decision in decisions]
    power, budget = _columns(series['power_w']), _columns(series['budget_w'])
    with picture(path, (2.6, 2.4, 2.4, 1.6)) as panels:
        steps, accuracy, against, battery = panels
        battery.set_xlim(0, duration_s)
        battery.set_xlabel('time  [s]')
        timestep_panel(
            steps,
            [*times_s, duration_s],
            *(
                [decision[key] for decision in (*decisions, *decisions[-1:])]
                for key in ('inference_timesteps', 'training_timesteps')
            ),
            (BLUE, ORANGE),
        )
        steps.set_title('Timestep, re-selected by the controller')
        mark(
            [steps, against],
            times_s,
            [spoken(decision['reason']) for decision in decisions],
            duration_s,
        )
        legend_beside(steps)

        accuracy_panel(accuracy, *_columns(series['accuracy']), GREEN)
        accuracy.axhline(100 * accuracy_bound, color='0.5', linestyle=':', linewidth=1)
        accuracy.set_title(
            f'Prequential accuracy: each {sample} classified before it is learned '
            f'(last {accuracy_window} labelled {sample}s)'
        )

        against.plot(*power, color=BLUE, label='perception, estimated')
        if len(budget[0]):
            against.step(
                *np.append(budget, [[duration_s], budget[1, -1:]], axis=1),
                where='post',
                **LIMIT_STYLES['power_limit_w'] | {'label': 'budget'},
            )
        power_axis(against, power[1], budget[1])
        against.set_title('Power against budget')
        legend_beside(against)

        charge_panel(battery, *_columns(series['state_of_charge']), PURPLE)


def _columns(points: list[tuple[float, float]]) -> np.ndarray:
    """Times and values, (2, points) float64."""
    return np.array([point[:2] for point in points], float).reshape(-1, 2).T
