"""What loading a dataset raises."""

from topspark_ros.errors import TopsparkError


class DatasetError(TopsparkError):
    """A dataset that cannot be loaded: one line that says what to put where."""
