"""Perceptual hashes as PostgreSQL keeps them, and the search among them without a scan (multi-index hashing).

A 64-bit hash is four bands of 16 bits, each with an index. When two hashes differ in at most r = 4k + a bits
(a < 4), then one of the first a + 1 bands differs in at most k bits or one of the others in at most k - 1:
otherwise the sum were at least (a + 1)(k + 1) + (3 - a)k = r + 1. So all neighbours of each band within that
distance are looked up, and what is found is measured (Norouzi, Punjani, Fleet: Fast Search in Hamming Space with
Multi-Index Hashing, 2012).
"""

import re
from functools import cache
from itertools import combinations

from services.catalog.models import BAND_BITS, BANDS
from shared.errors import Malformed

_BITS = BAND_BITS * BANDS
_DIGITS = re.compile(r"[0-9a-fA-F]{16}")
_BAND_MASK = 2**BAND_BITS - 1


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


def neighbours(value: int, distance: int) -> list[list[int]]:
    """Per band, the band values of everything within `distance` bits of `value`; empty where none need be tried."""
    whole, rest = divmod(distance, BANDS)
    found = []
    for band in range(BANDS):
        own = value >> BAND_BITS * band & _BAND_MASK
        found.append([own ^ mask for mask in _masks(whole if band <= rest else whole - 1)])
    return found


@cache
def _masks(most: int) -> tuple[int, ...]:
    """All 16-bit masks with at most that many bits set."""
    return tuple(
        sum(1 << bit for bit in bits)
        for count in range(most + 1)
        for bits in combinations(range(BAND_BITS), count)
    )
