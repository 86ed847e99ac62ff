"""Cursors of lists: the place of the last row looked at, encrypted, because it may be of a row that nobody is shown.

A cursor is the caller's own: whoever may see other rows has no use for the place.
"""

import base64
import binascii
import hashlib
import hmac
import os
import uuid
from datetime import UTC, datetime, timedelta

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.auth import Caller
from shared.errors import Invalid

_NONCE, _TAG = 12, 16  # bytes
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Stretch(msgspec.Struct, frozen=True, array_like=True):
    """Of a list by relevance: media older than `upper` (microseconds, id) and not older than `lower`, which is None
    while nobody has looked how far a page gets, and for the last stretch."""

    upper: tuple[int, uuid.UUID]
    lower: tuple[int, uuid.UUID] | None = None


class Place(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """Behind which row a page starts. `sort` is the order that it is a place of, `value` what that looks at, moments as
    microseconds; None is the begin of a stretch."""

    sort: str
    value: int | float | str | None
    id: uuid.UUID
    stretch: Stretch | None = None

    @property
    def at(self) -> datetime:
        """The value of an order of moments."""
        return moment(int(self.value or 0))


def place(sort: str, value: datetime | float | str, media_id: uuid.UUID) -> Place:
    """The place of a row whose value this is."""
    return Place(sort, micros(value) if isinstance(value, datetime) else value, media_id)


def micros(at: datetime) -> int:
    """Since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def moment(since: int) -> datetime:
    """The other way round."""
    return _EPOCH + timedelta(microseconds=since)


def write(secret: str, where: Place, caller: Caller) -> str:
    """An opaque text of URL-safe characters, for this caller alone."""
    nonce = os.urandom(_NONCE)
    sealed = _cipher(secret).encrypt(nonce, msgspec.json.encode(where), _whose(caller))
    return base64.urlsafe_b64encode(nonce + sealed).decode().rstrip("=")


def read(secret: str, cursor: str, caller: Caller, *, sort: str) -> Place:
    """Raises Invalid for a text that `write` did not make for this caller, and for a cursor of another order."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        if len(raw) < _NONCE + _TAG:
            raise _foreign()
        payload = _cipher(secret).decrypt(raw[:_NONCE], raw[_NONCE:], _whose(caller))
    except (binascii.Error, ValueError, InvalidTag):
        raise _foreign() from None
    found = msgspec.json.decode(payload, type=Place)
    if found.sort != sort:
        raise Invalid(
            f"The cursor belongs to sort={found.sort}, the request asks for sort={sort}.", field="cursor"
        )
    return found


def _foreign() -> Invalid:
    return Invalid("The cursor is not one that this service gave out to you.", field="cursor")


def _cipher(secret: str) -> AESGCM:
    """With a key of its own: the secret signs links, too."""
    return AESGCM(hmac.new(secret.encode(), b"cursors, encrypted", hashlib.sha256).digest())


def _whose(caller: Caller) -> bytes:
    return b"" if caller.sub is None else b"of " + caller.sub.encode(errors="surrogatepass")
