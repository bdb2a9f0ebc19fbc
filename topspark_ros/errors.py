"""The base of the errors that are raised on purpose; every room may import it."""

MOST_CHARACTERS = 1000


class TopsparkError(ValueError):
    """Something was refused: one line that names it, says what was wrong and what is accepted.

    Any other exception is a fault of the program, whose traceback is to be seen.

    A line that quotes a stranger's file or message may be endless: its middle is left out.
    """

    def __init__(self, line: str = ''):
        if len(line) > MOST_CHARACTERS:
            line = f'{line[:MOST_CHARACTERS // 2]} ... {line[-MOST_CHARACTERS // 2:]}'
        super().__init__(line)
