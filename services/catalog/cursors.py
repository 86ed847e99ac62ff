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


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Behind which row a page starts. `sort` is the order that it is a place of."""

    sort: str
    micros: int
    id: uuid.UUID

    @property
    def at(self) -> datetime:
        return _EPOCH + timedelta(microseconds=self.micros)


def place(sort: str, at: datetime, media_id: uuid.UUID) -> Place:
    return Place(sort, (at - _EPOCH) // timedelta(microseconds=1), media_id)


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
