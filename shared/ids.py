"""Ids: a media is a UUIDv7, shown to people as `MED-` and Crockford base32 of the same 128 bits."""

import os
import time
import uuid
from datetime import UTC, datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PREFIX = "MED-"
_LENGTH = 26  # 26 digits of 5 bits hold 128 bits, the first digit at most 7
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = {c: i for i, c in enumerate(_ALPHABET)} | {"O": 0, "I": 1, "L": 1}


def new_id(now_ms: int | None = None) -> uuid.UUID:
    """A UUIDv7 (RFC 9562, 5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    random = int.from_bytes(os.urandom(10))
    value = (ms & (2**48 - 1)) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def id_time(media_id: uuid.UUID) -> datetime:
    """The moment a UUIDv7 was made, in UTC. A key's date comes from here, so that a retry finds the same key. Ids of
    older systems have none: for those it is always the same one."""
    if media_id.version != 7:
        return _EPOCH
    return datetime.fromtimestamp((media_id.int >> 80) / 1000, UTC)


def public_id(media_id: uuid.UUID) -> str:
    """`MED-` and 26 Crockford digits."""
    value = media_id.int
    digits = [_ALPHABET[value >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5)]
    return _PREFIX + "".join(digits)


def parse_ref(ref: str) -> uuid.UUID | None:
    """The id that a `{ref}` of a URL means: a UUID or a `MED-...`; None where it is neither."""
    if ref[:4].upper() == _PREFIX:
        return _parse_public(ref[4:].upper())
    if len(ref) != 36:
        return None
    try:
        return uuid.UUID(ref)
    except ValueError:
        return None


def _parse_public(digits: str) -> uuid.UUID | None:
    if len(digits) != _LENGTH or any(c not in _DIGITS for c in digits):
        return None
    value = 0
    for c in digits:
        value = value << 5 | _DIGITS[c]
    return uuid.UUID(int=value) if value < 2**128 else None
