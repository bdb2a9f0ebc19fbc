"""What a run leaves behind: a JSON of its figures and a picture of its course."""
from __future__ import annotations

import json
import math
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt    # noqa: E402  (after the backend is chosen)


def write_json(path: Path, figures: dict) -> None:
    """`figures` as JSON; NaN, which JSON does not know, as null."""
    path.write_text(json.dumps(_plain(figures), indent=1) + '\n', encoding='utf-8')


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def draw_course(path: Path, series: dict, *, sample: str, accuracy_window: int,
                accuracy_bound: float) -> None:
    """T, accuracy, power with its budget, and state of charge over time.

    series: of the JSON: `decisions` (dicts), `accuracy`, `power_w`, `budget_w`,
        `state_of_charge`, `{sample}s` (each a list of (time in s, value, ...)).
    sample: what was classified: frame or window.
    accuracy_window: labelled ones behind each point of `accuracy`.
    accuracy_bound: what it had to reach.
    """
    samples = series[f'{sample}s']
    duration_s = samples[-1][0] if samples else 1.0
    figure, (steps, accuracy, power, battery) = plt.subplots(
        4, 1, sharex=True, figsize=(10, 9), layout='constrained',
        gridspec_kw={'height_ratios': (3, 3, 3, 2)})
    decisions = series['decisions']
    times = [max(0.0, decision['time_s']) for decision in decisions] + [duration_s]

    for key, label, style in (('inference_timesteps', 'inference', '-'),
                              ('training_timesteps', 'training', '--')):
        values = [decision[key] for decision in decisions]
        steps.step(times, values + values[-1:], style, where='post', label=label, linewidth=2)
    steps.set_yscale('log', base=2)
    steps.yaxis.set_major_formatter('{x:g}')
    steps.set_ylabel('T  [steps]')
    steps.set_title('Timestep, re-selected by the controller')
    top = steps.get_xaxis_transform()
    for decision, time_s, until_s in zip(decisions, times, times[1:]):
        if until_s - time_s < duration_s / 100:     # a start-up decision, soon replaced
            continue
        for axis in (steps, power):
            axis.axvline(time_s, color='0.8', linewidth=1, zorder=0)
        steps.text(time_s, 0.03, ' ' + decision['reason'].lower().replace('_', ' '),
                   transform=top, fontsize=8, color='0.35')
    steps.margins(y=0.25)
    steps.legend(loc='upper right')

    accuracy.plot(*_columns(series['accuracy']), color='tab:green')
    accuracy.axhline(accuracy_bound, color='0.5', linestyle=':', linewidth=1)
    accuracy.set_ylim(0, 1.02)
    accuracy.set_ylabel('accuracy')
    accuracy.set_title(f'Prequential accuracy: each {sample} classified before it is learned '
                       f'(last {accuracy_window} labelled {sample}s)')

    power.plot(*_columns(series['power_w'], 1e6), color='tab:blue',
               label='perception, estimated')
    budget = series['budget_w'] + [(duration_s, series['budget_w'][-1][1])] \
        if series['budget_w'] else []
    if budget:
        power.step(*_columns(budget, 1e6), where='post', color='tab:red', label='budget')
    power.set_ylim(bottom=0)
    power.set_ylabel('power  [µW]')
    power.set_title('Power against budget')
    power.legend(loc='upper left')

    battery.plot(*_columns(series['state_of_charge'], 100), color='tab:purple')
    battery.set_ylim(0, 102)
    battery.set_ylabel('charge  [%]')
    battery.set_title('Battery')
    battery.set_xlabel('time  [s]')
    battery.set_xlim(0, duration_s)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _columns(points: list[tuple[float, float]], factor: float = 1.0) -> tuple[list, list]:
    return [time_s for time_s, _ in points], [value * factor for _, value in points]
