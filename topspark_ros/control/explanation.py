"""Decisions in words: one sentence with the numbers that decided."""

from __future__ import annotations

import math

from .decision import Decision, Reason
from .filters import Assessment

_FAULTS = {
    Reason.STARTUP: 'no learner heard yet: ',
    Reason.BUDGET_STALE: 'the budget is stale, its limits stay: ',
    Reason.BATTERY_UNKNOWN: 'the battery is {battery}: ',
}


def name_fault(reason: Reason, battery: str) -> str:
    """What goes before the grounds of a decision made under a fault; '' if there is none.

    battery: what the battery is, in a word.
    """
    return _FAULTS.get(reason, '').format(battery=battery)


def explain_choice(cause: Reason, assessment: Assessment, row: int) -> str:
    """Why `row` was chosen, `cause` being what decided, without the fault that came with it."""
    candidates, limits = assessment.candidates, assessment.limits
    power = _power(assessment, row)
    latency = f'latency {assessment.latency_s[row]:.3g} s'
    accuracy = f'accuracy {candidates.accuracy[row]:.3f}'
    if assessment.labelled_frames:
        accuracy += f' by {assessment.labelled_frames} labelled frames'
    save = f' less {limits.overdraft_w:.3g} W overdrawn' if limits.overdraft_w > 0 else ''
    if cause == Reason.SCORE:
        best = 'cheapest of the best scores' if assessment.doubt.any() else 'best score'
        return (
            f'{best} {assessment.score[row]:.3f} at state of charge '
            f'{assessment.state_of_charge:.2f}: {accuracy}, {power}'
        )
    if cause == Reason.POWER:
        return f'power limit {limits.power_w:.3g} W{save}: {power}, {accuracy}'
    if cause == Reason.MISSION:
        return (
            f'{limits.mission_power_w:.3g} W{save} lasts to the end of the mission: {power}, '
            f'{accuracy}'
        )
    if cause == Reason.DEADLINE:
        return f'deadline {limits.deadline_s:.3g} s: {latency}, {accuracy}'
    if cause == Reason.ACCURACY:
        return f'least accuracy {limits.min_accuracy:.3f}: {accuracy}, {power}'
    if cause == Reason.ENERGY:
        return f'energy left {limits.energy_j:.3g} J is used up: {power}'
    named = [
        f'{name} {value:.3g} {unit}'
        for name, value, unit in (
            ('power limit', limits.strictest_power_w, 'W'),
            ('deadline', limits.deadline_s, 's'),
        )
        if not math.isnan(value)
    ]
    return f'no setting meets {" and ".join(named)}: at best {power}, {latency}'


def explain_silence(decision: Decision) -> str:
    """Why `decision` stays while the learner is silent."""
    return f'the learner is silent: {_setting(decision)} stays until it is back'


def _power(assessment: Assessment, row: int) -> str:
    frame_share = assessment.candidates.frame_share[row]
    learning_share = assessment.candidates.learning_share[row]
    power = f'{assessment.power_w[row]:.3g} W at {assessment.frame_rate_hz:.3g} frames/s'
    if frame_share == 0:
        standing_w = assessment.power_w[row]
        return f'paused, {standing_w:.3g} W without a frame' if standing_w > 0 else 'paused'
    if frame_share < 1:
        unlearned = '' if learning_share else ', without learning'
        return f'{power}, {frame_share:.0%} of them{unlearned}'
    if learning_share == 0:
        return f'{power} without learning'
    if learning_share < 1:
        return f'{power}, {learning_share:.3g} of them learned'
    return power


def _setting(decision: Decision) -> str:
    if decision.frame_share == 0:
        return 'the pause'
    share = f', {decision.frame_share:.0%} of the frames' if decision.frame_share < 1 else ''
    learning = f'training T {decision.training_timesteps}' if decision.learning else 'no learning'
    if 0 < decision.learning_share < 1:
        learning += f' of {decision.learning_share:.3g} of the frames'
    return f'inference T {decision.inference_timesteps}, {learning}{share}'
