"""Whole numbers as the older systems write them in paths and forms."""

_DIGITS = 18  # what fits a 64-bit integer whatever the digits


def whole(text: str) -> int | None:
    """None for what is no decimal number, or longer than any of theirs."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None
