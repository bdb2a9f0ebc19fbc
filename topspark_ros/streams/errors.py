"""What loading a dataset raises."""


class DatasetError(ValueError):
    """A dataset that cannot be loaded: one line that says what to put where."""
