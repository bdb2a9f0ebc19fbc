"""The base of the errors that are raised on purpose; every room may import it."""

MAX_CHARACTERS = 1000


class TopsparkError(ValueError):
    """Something was rejected: one line that names it, says what was wrong and what is accepted.

    Any other exception is a fault of the program, whose traceback is to be seen.

    A line that quotes a stranger's file or message may be endless: its middle is skipped.
    """

    def __init__(self, line: str = ''):
        if len(line) > MAX_CHARACTERS:
            line = f'{line[: MAX_CHARACTERS // 2]} ... {line[-MAX_CHARACTERS // 2 :]}'
        super().__init__(line)
