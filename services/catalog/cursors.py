"""Cursors of lists: the place of the last row shown, signed, so that nobody builds on what is in them."""

import base64
import binascii
import hashlib
import hmac
import uuid
from datetime import UTC, datetime, timedelta

import msgspec

from shared.errors import Invalid

_SIGNATURE = 16  # bytes
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


def write(secret: str, where: Place) -> str:
    """An opaque text of URL-safe characters."""
    payload = msgspec.json.encode(where)
    return base64.urlsafe_b64encode(_sign(secret, payload) + payload).decode().rstrip("=")


def read(secret: str, cursor: str, *, sort: str) -> Place:
    """Raises Invalid for a text that `write` did not make, and for a cursor of another order."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    signature, payload = raw[:_SIGNATURE], raw[_SIGNATURE:]
    if not hmac.compare_digest(signature, _sign(secret, payload)):
        raise Invalid("The cursor is not one that this service gave out.", field="cursor")
    found = msgspec.json.decode(payload, type=Place)
    if found.sort != sort:
        raise Invalid(
            f"The cursor belongs to sort={found.sort}, the request asks for sort={sort}.", field="cursor"
        )
    return found


def _sign(secret: str, payload: bytes) -> bytes:
    return hmac.new(secret.encode(), b"cursor\n" + payload, hashlib.sha256).digest()[:_SIGNATURE]
