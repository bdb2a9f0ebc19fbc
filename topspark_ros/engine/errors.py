"""What the engine raises."""


class EngineError(ValueError):
    """A configuration or an input was refused; nothing has changed."""


class CheckpointError(EngineError):
    """A checkpoint could not be written, or was refused when read."""
