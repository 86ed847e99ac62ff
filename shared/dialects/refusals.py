"""Which refusals the older systems have words of their own for: those of the file itself."""

from shared.errors import TooLarge, TripodError, UnsupportedType

MIB = 2**20


def is_too_large(error: TripodError) -> bool:
    """Whether a file, or a request for its sake, is over `limit`; a field that is too long is told as one."""
    return isinstance(error, TooLarge) and "limit" in error.extra and "field" not in error.extra


def is_wrong_type(error: TripodError) -> bool:
    """Whether a file is of a type that is not taken, or not what it is `claimed` to be."""
    return isinstance(error, UnsupportedType) and bool(error.extra.keys() & {"claimed", "found"})


def megabytes(limit: int) -> str:
    """A limit as their documents write it: in units of 1024^2 bytes."""
    return f"{limit / MIB:g} MB"
