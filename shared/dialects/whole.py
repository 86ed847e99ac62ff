"""Whole numbers as the older systems write them in paths and forms."""

_DIGITS = 18  # what fits a 64-bit integer whatever the digits


def whole(text: str) -> int | None:
    """None for what is no decimal number, or longer than any of theirs."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def number_or_text(entity_id: str) -> int | str:
    """A number only where it says the same as the text: 007 is not 7."""
    number = whole(entity_id)
    return number if number is not None and str(number) == entity_id else entity_id
