"""What an evaluation leaves: rows of frames, of status and of decisions, all in bag time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from topspark_ros.methodology.neurobench import NeuroBenchMetrics

NONE = -1  # index of no class: without a label, or not predicted

# One row a frame that came, those that the frame share skipped too.
FRAMES = np.dtype(
    [
        ('time_s', 'f8'),  # since the beginning of the bag
        ('stamp_ns', 'i8'),
        ('taken', '?'),  # False: skipped by the frame share; what follows is 0 or NONE
        ('label', 'i4'),  # index in class_names, NONE: not labelled
        ('predicted', 'i4'),  # the same, before it was learned
        ('score', 'f4'),  # 0..1
        ('confidence', 'f4'),  # 0..1, NaN: not predicted
        ('unknown', '?'),
        ('timesteps', 'i4'),  # taken, steps
        ('learning', '?'),
        ('energy_j', 'f8'),  # estimated, of its inferences
    ]
)

# One row a status_period.
STATUS = np.dtype(
    [
        ('time_s', 'f8'),
        ('training_timesteps', 'i4'),
        ('inference_timesteps', 'i4'),
        ('learning_share', 'f8'),  # 0..1
        ('frame_share', 'f8'),  # 0..1
        ('frame_rate_hz', 'f8'),  # classified
        ('power_w', 'f8'),  # estimated
        ('energy_j', 'f8'),  # estimated, since the beginning, inference and learning
        ('accuracy', 'f8'),  # prequential, 0..1, NaN: nothing labelled yet
        ('recruited_neurons', 'i4'),
        ('power_limit_w', 'f8'),  # strictest in force, NaN: none, or no controller
        ('mission_power_w', 'f8'),  # of a plan, NaN: none
        ('state_of_charge', 'f8'),  # 0..1, NaN: unknown
    ]
)


@dataclass(frozen=True)
class Decided:
    """A decision of the controller. time_s: since the beginning of the run, s."""

    time_s: float
    sequence: int
    training_timesteps: int
    inference_timesteps: int
    learning_share: float
    frame_share: float
    reason: str
    detail: str


@dataclass(frozen=True)
class TimeJump:
    """A clock that did not go on evenly, or a time without a message.

    source: `recorded time`, or header stamps of a topic.
    at_s: the message before it, since the beginning of the bag, s.
    step_s: how far; of stamps, beyond the recorded time. Below 0: it was set back.
    """

    source: str
    at_s: float
    step_s: float


# Of Evaluation.counts: what came and what became of it. All others: what was lost or rejected.
PROCESSED = {
    'messages',
    'frames',
    'classified',
    'skipped',
    'learned',
    'further objects',
    'labels',
    'questions',
    'answers',
    'battery states',
    'budgets',
    'decisions',
    'events: packets',
    'events: words',
    'events: events',
}


@dataclass(frozen=True)
class Evaluation:
    """One run over a bag.

    name: of the run: `T = 8`, `controller`.
    settings: how it was evaluated, plain values by name; `energy_source` says where the
        energies of its `energy_model` come from.
    class_names: what labels and predictions are indices of.
    frames, status: of the dtypes FRAMES and STATUS.
    receptive_fields: of the neurons in use, (neurons, inputs) float32, best used first.
    neurobench: of the network at the end and the frames that were classified last; None: there is
        no frame, or NeuroBench does not know such a network.
    lost: what of the bag could not be used, one line each.
    jumps: of the recording's clocks.
    counts: messages and frames by name: what came, was classified, learned, rejected.
    bag_s: length of what was evaluated, s of the bag's clock, without gaps in the recorded time.
    took_s: time the evaluation took, s; with `bag_s` the factor of real time. The only value that
        differs from run to run.
    """

    name: str
    settings: dict[str, object]
    class_names: tuple[str, ...]
    frames: np.ndarray
    status: np.ndarray
    decisions: tuple[Decided, ...]
    receptive_fields: np.ndarray
    neurobench: NeuroBenchMetrics | None
    lost: tuple[str, ...]
    jumps: tuple[TimeJump, ...]
    counts: dict[str, int]
    bag_s: float
    took_s: float

    @property
    def losses(self) -> dict[str, int]:
        """Of the counts, those above 0 of what was lost or rejected."""
        return {
            name: count for name, count in self.counts.items() if count and name not in PROCESSED
        }
