"""What the engine raises."""

from topspark_ros.errors import TopsparkError


class EngineError(TopsparkError):
    """A configuration or an input was rejected; nothing has changed."""


class CheckpointError(EngineError):
    """A checkpoint could not be written, or was rejected when read."""


class ExchangeError(EngineError):
    """A network cannot be written as NIR, or a file's graph is none of ours: what, and why."""


class MergingError(EngineError):
    """Networks cannot become one: which of them, why not, and what is accepted."""
