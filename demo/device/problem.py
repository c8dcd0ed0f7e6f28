"""What ends the demonstration with one line."""


class Problem(Exception):
    """The text says what failed, why, and what to do."""
