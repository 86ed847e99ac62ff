"""The one error of the embedded stack: a text for the person who started it."""


class StackError(Exception):
    """The stack cannot start or had to stop; the text says what, where and what to do."""
