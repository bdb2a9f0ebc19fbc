"""What each lever saves: the learner live at fixed settings, by processor time and by the estimate.

The camera is that of `live`. Settings take turns, so that what else the machine does hits all.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from topspark_ros import msg
from topspark_ros.nodes import qos

from ..faults.real import decision
from ..processes import Robot, processor_time_s
from .live import Setting, lonely_robot, start_camera

SETTINGS: tuple[Setting, ...] = (
    (64, 64, 1.0, 1.0),
    (8, 8, 1.0, 1.0),
    (1, 1, 1.0, 1.0),
    (64, 64, 0.0, 1.0),
    (1, 1, 0.0, 1.0),
    (1, 1, 0.0, 0.5),
    (1, 1, 0.0, 0.25),
    (1, 1, 0.0, 0.0),
)
ROUNDS = 3
SETTLING_S, TURN_S = 2.5, 5.0  # the learner's figures are of the last 2 s
LEARNED = 300  # frames, before the first turn


class Turn(NamedTuple):
    """processor: share of a core. estimated_w: of the network's operations, NaN in a pause."""

    processor: float
    estimated_w: float


def measure_levers(seed: int) -> dict[Setting, list[Turn]]:
    """The turns of each setting, one a round."""
    with lonely_robot() as robot:
        return _take_turns(robot, seed)


def _take_turns(robot: Robot, seed: int) -> dict[Setting, list[Turn]]:
    statuses = robot.collect(msg.LearnerStatus, 'snn_learner/status')
    decisions = robot.node.create_publisher(msg.TimestepDecision, 'timestep_decision', qos.STATE)
    pid = robot.start('snn_learner').pid
    robot.wait_until_active('snn_learner')
    start_camera(robot, seed)
    robot.wait_for(lambda: statuses and statuses[-1].frames_learned > LEARNED, 'learned frames')
    turns: dict[Setting, list[Turn]] = {setting: [] for setting in SETTINGS}
    for _ in range(ROUNDS):
        for setting in SETTINGS:
            message = decision()
            (
                message.training_timesteps,
                message.inference_timesteps,
                message.learning_share,
                message.frame_share,
            ) = setting
            decisions.publish(message)
            robot.spin(SETTLING_S)
            before_s, began_s = processor_time_s(pid), time.monotonic()
            robot.spin(TURN_S)
            turns[setting].append(
                Turn(
                    (processor_time_s(pid) - before_s) / (time.monotonic() - began_s),
                    statuses[-1].power_estimated,
                )
            )
    return turns


def describe(turns: dict[Setting, list[Turn]]) -> list[str]:
    """A table, each figure of that of the first setting in the same round: median and range."""
    lines = [
        '| training T / inference T, frames processed, of these learned | processor time, of the '
        'first | estimated for neuromorphic hardware, of the first |',
        '|---|---|---|',
    ]
    first = turns[SETTINGS[0]]
    for (training, inference, learning, frames), of_setting in turns.items():
        cells = []
        for field in Turn._fields:
            ratios = [
                getattr(turn, field) / getattr(whole, field)
                for turn, whole in zip(of_setting, first)
            ]
            cells.append(f'{np.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})')
        lines.append(
            f'| {training} / {inference}, {frames:.0%}, {learning:.0%} | {" | ".join(cells)} |'
        )
    return lines
