"""The base of the errors that are raised on purpose; every room may import it."""


class TopsparkError(ValueError):
    """Something was refused: one line that names it, says what was wrong and what is accepted.

    Any other exception is a fault of the program, whose traceback is to be seen.
    """
