"""Perceptual hashes as PostgreSQL keeps them: the search among them is the function `media_near` of the database.

A 64-bit hash is four bands of 16 bits, each with an index. When two hashes differ in at most r = 4k + a bits
(a < 4), then one of the first a + 1 bands differs in at most k bits or one of the others in at most k - 1:
otherwise the sum were at least (a + 1)(k + 1) + (3 - a)k = r + 1. So all neighbours of each band within that
distance are looked up, and what is found is measured (Norouzi, Punjani, Fleet: Fast Search in Hamming Space with
Multi-Index Hashing, 2012).
"""

import re

from services.catalog.models import BAND_BITS, BANDS
from shared.errors import Malformed

_BITS = BAND_BITS * BANDS
_DIGITS = re.compile(r"[0-9a-fA-F]{16}")


def from_hex(digits: str | None) -> int | None:
    """16 hex digits as the signed integer that PostgreSQL keeps. Raises Malformed."""
    if digits is None:
        return None
    if not _DIGITS.fullmatch(digits):
        raise Malformed(f"The perceptual hash {digits[:40]!r} is not 16 hex digits.")
    value = int(digits, 16)
    return value - 2**_BITS if value >= 2 ** (_BITS - 1) else value


def to_hex(value: int | None) -> str | None:
    """The 16 hex digits of a kept hash."""
    return None if value is None else f"{value % 2**_BITS:016x}"
