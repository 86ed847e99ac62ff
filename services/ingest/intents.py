"""Intents: what ingest is about to do, written down before it is done, so that a restart can finish or undo it."""

import uuid
from datetime import datetime
from typing import Literal

import msgspec

from services.ingest.leases import Lease, Leased
from shared.errors import Conflict, Unavailable
from shared.events.bus import KeyConflict, KeyValue
from shared.events.messages import MediaType


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is ready to be published: `envelope` are its bytes as text, always the same for one id."""

    subject: str
    message_id: str
    envelope: str
    traceparent: str | None = None


class Intent(Leased, frozen=True, kw_only=True):
    """One upload under way. `receiving`: bytes flow to `key`; `stored`: they are there and `announcement` is to be
    published; `erasing`: the lease had run out, and what is under `key` goes.
    `head`: the fingerprint of the file, where a key makes it worth knowing."""

    id: uuid.UUID
    number: int
    owner: str
    profile: str
    filename: str
    mime_type: str
    media_type: MediaType
    key: str
    state: Literal["receiving", "stored", "erasing"]
    received: int = 0
    size: int | None = None
    started_at: datetime
    idempotency: str | None = None
    head: str | None = None
    announcement: Announcement | None = None


def decode(value: bytes) -> Intent:
    return msgspec.json.decode(value, type=Intent)


async def keys_in(bucket: KeyValue) -> set[str]:
    """The keys of all objects that somebody is about to write. Raises Unavailable."""
    found = [await bucket.get(key) for key in await bucket.keys()]
    return {decode(entry.value).key for entry in found if entry is not None}


async def begin(bucket: KeyValue, intent: Intent) -> tuple[Lease[Intent], Intent | None]:
    """Write an intent; where the id has one whose holder is gone, take it over and return that, too.

    Raises Conflict while another holds it.
    """
    key = str(intent.id)
    try:
        return await Lease.create(bucket, key, intent), None
    except KeyConflict:
        entry = await bucket.get(key)
    if entry is None:
        raise Unavailable("The upload's intent was cleared at this very moment; try again.", retry_after=1)
    former = decode(entry.value)
    if not former.expired:
        raise Conflict("This upload is under way elsewhere; try again.", retry_after=5)
    try:
        return await Lease.take_over(bucket, key, intent, entry.revision), former
    except KeyConflict as error:
        raise Conflict("This upload was just taken over elsewhere; try again.", retry_after=5) from error
