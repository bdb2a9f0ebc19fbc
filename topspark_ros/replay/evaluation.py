"""Evaluation of a bag: what the learner, and the controller if wanted, would have done.

The clock is that of the recording, so a run is repeatable to the last digit: each message is heard
at its time, in between frames are learned when they have waited for their label for long enough,
and status and looks of the controller come in their periods. No frame is lost to a slow machine.
What becomes of messages is decided by `perception`, as it is in the nodes.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from topspark_ros.replay.definitions import typestore
from topspark_ros.replay.results import Evaluation
from topspark_ros.replay.run import Progress, Run
from topspark_ros.replay.settings import EvaluationSettings
from topspark_ros.streams.bags import Bag


def evaluate(
    path: Path, settings: EvaluationSettings, progress: Progress = lambda share: None
) -> Evaluation:
    """Run over a bag.

    path: as of Bag.
    progress: called after each message of the input topic with the share of the time that is over,
        0..1.

    Raises BagError, LabelError, EvaluationError, and what files of weights or profiles raise.
    """
    with Bag(path, typestore()) as bag:
        run = Run(bag, settings, progress)
        began_s = time.perf_counter()
        return replace(run.run(), took_s=time.perf_counter() - began_s)
