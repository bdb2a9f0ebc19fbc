"""What the controller decides: a setting, the reason for it, and what is expected of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple


class Reason(IntEnum):
    """Why a decision is what it is; the numbers are those of TimestepDecision.msg."""

    STARTUP = 0
    SCORE = 1
    POWER = 2
    DEADLINE = 3
    ACCURACY = 4
    INFEASIBLE = 5
    BATTERY_UNKNOWN = 6
    BUDGET_STALE = 7
    LEARNER_SILENT = 8
    ENERGY = 9
    MISSION = 10


class Outlook(NamedTuple):
    """What is expected of one T of inference: the profile, as corrected on this robot.

    Parameters
    ----------
    timesteps
        T, simulation steps.
    accuracy
        0..1.
    energy_j
        Energy of a processed frame that is not learned, J.
    latency_s
        From a frame to its classification, s.
    """

    timesteps: int
    accuracy: float
    energy_j: float
    latency_s: float


@dataclass(frozen=True)
class Decision:
    """The setting to use, and what was expected of it when it was chosen.

    Parameters
    ----------
    training_timesteps, inference_timesteps
        T, numbers of simulation steps, both of the profile.
    learning_share
        Share of the processed frames that is learned, 0..1; 0: none.
    frame_share
        Share of the frames that is processed, 0..1; 0: paused.
    reason
        What decided.
    detail
        One sentence with the numbers that decided.
    expected_accuracy
        Of the processed frames, 0..1.
    expected_latency_s
        From a frame to its classification, s.
    expected_energy_j
        Energy of a processed frame, J; learning counts with the share of the frames that is
        learned.
    expected_power_w
        That energy times the rate of processed frames, W.
    """

    training_timesteps: int
    inference_timesteps: int
    learning_share: float
    frame_share: float
    reason: Reason
    detail: str
    expected_accuracy: float
    expected_latency_s: float
    expected_energy_j: float
    expected_power_w: float

    @property
    def setting(self) -> tuple[int, int, float, float]:
        """What the learner does, as training T, inference T, learning share, frame share."""
        return (
            self.training_timesteps,
            self.inference_timesteps,
            self.learning_share,
            self.frame_share,
        )

    @property
    def learning(self) -> bool:
        return self.learning_share > 0.0
