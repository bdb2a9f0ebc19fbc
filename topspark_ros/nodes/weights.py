"""The file that a learner's weights are resumed from and saved to."""

from __future__ import annotations

import math
import os
import time

from topspark_ros.engine import (
    AnyConfig,
    Checkpoint,
    CheckpointError,
    Filters,
    check_writable,
    create_network,
    load_checkpoint,
    save_checkpoint,
)
from topspark_ros.perception.confidence import Confidence, ConfidenceError
from topspark_ros.perception.online import OnlineLearner


class WeightsFile:
    """A checkpoint at one place, of a network of one configuration.

    path: made absolute here; empty: there is no file, and nothing is saved.
    filters: of a network that is not resumed, as of `create_network`.
    resumed: whether there was a file to resume from.
    fault: why the weights could not be saved the last time; empty: they could.
    """

    def __init__(self, path: str, config: AnyConfig, filters: Filters | None):
        self.path = os.path.abspath(path) if path else ''
        self.resumed = False
        self.fault = ''
        self._config, self._filters = config, filters
        self._saved_changes = 0  # of the learner, that the file has
        self._saved_s = math.nan  # monotonic

    @property
    def age_s(self) -> float:
        """Time since they were saved, s; NaN: they were not."""
        return time.monotonic() - self._saved_s

    def resume(self, learning: bool) -> Checkpoint:
        """What is in the file, or an untrained network where there is none.

        learning: the file has to be writable, and is tried. Raises CheckpointError if it is not,
            and for a file that is rejected.
        """
        if self.path and learning:
            check_writable(self.path)
        self.resumed = bool(self.path) and os.path.exists(self.path)
        if self.resumed:
            return self._load(self.path)
        return Checkpoint(create_network(self._config, self._filters), ())

    def restore(self, learner: OnlineLearner, other: str = '') -> str:
        """Take the weights of another file, which are to be saved then, or of this one; its path.

        Raises CheckpointError for a file that is rejected; the learner's weights stay then.
        """
        path = os.path.abspath(other) if other else self._required_path()
        learner.replace_network(*self._load(path))
        if path == self.path:
            self._saved_changes = learner.changes
        return path

    def save(self, learner: OnlineLearner) -> None:
        """Raises CheckpointError if it cannot be written; what was there is untouched then."""
        changes = learner.changes
        try:
            check_writable(self._required_path())  # makes a folder that was removed meanwhile
            save_checkpoint(self.path, *learner.snapshot())
        except CheckpointError as error:
            self.fault = str(error)
            raise
        self.fault = ''
        self._saved_changes, self._saved_s = changes, time.monotonic()

    def is_behind(self, learner: OnlineLearner) -> bool:
        """Whether the learner has changed since it was resumed or saved."""
        return bool(self.path) and learner.changes != self._saved_changes

    def _load(self, path: str) -> Checkpoint:
        checkpoint = load_checkpoint(path, self._config)
        try:
            Confidence(checkpoint.confidence)
        except ConfidenceError as error:
            raise CheckpointError(f'{path} is rejected: {error}') from None
        return checkpoint

    def _required_path(self) -> str:
        if not self.path:
            raise CheckpointError('checkpoint_file: empty; accepted: a path to write to')
        return self.path
