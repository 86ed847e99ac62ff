"""Idempotency keys: the same key means the same upload, whoever of us answers and however often it is asked.

A record is bound to the request's method, path and length, and to the beginning of its file. While its holder works
it is leased; a holder that died is replaced under the same id and number; the answer is kept for as long as the bucket
keeps its values. When the media is deleted, its record stays without all that was said of it.
"""

import hashlib
import re
import secrets
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Literal

import msgspec

from services.ingest.leases import Lease, Leased, now_plus
from services.ingest.sniff import HEAD_BYTES
from shared.errors import Conflict, Gone, Invalid, Malformed, Unavailable
from shared.events.bus import Entry, KeyConflict, KeyValue
from shared.ids import public_id

_ALLOWED = re.compile(r"[\x21-\x7e]{1,255}")
_TRIES = 3


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a client was, or is to be, told of an upload that succeeded; `body` is JSON."""

    status: int
    location: str
    body: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What makes two requests the same. `path` includes the query; `length` is the Content-Length."""

    method: str
    path: str
    length: int | None


class Record(Leased, frozen=True, kw_only=True):
    """One key of one owner. `head`: the fingerprint of the file that was answered. `gone`: the media was deleted,
    and nothing else is kept."""

    state: Literal["running", "done", "gone"]
    id: uuid.UUID
    number: int
    asked: Asked | None = None
    head: str | None = None
    answer: Answer | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered before, to a file with this fingerprint; None where it is not known."""

    answer: Answer
    head: str | None


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The key is ours. `resumed`: its former holder died, and may have got anywhere."""

    lease: Lease[Record]
    resumed: bool


def check_key(key: str) -> str:
    """The key of a header. Raises Malformed."""
    if not _ALLOWED.fullmatch(key):
        raise Malformed("An Idempotency-Key is 1 to 255 visible ASCII characters, a UUID for example.")
    return key


def token(owner: str, key: str) -> str:
    """Where the bucket keeps the key of an owner."""
    return hashlib.sha256(f"{owner}\0{key}".encode()).hexdigest()


def fingerprint(filename: str, head: bytes) -> str:
    """What tells two files apart after their first bytes: the name and as much as is held back to look at."""
    name = filename.encode()
    return hashlib.sha256(b"%d %b" % (len(name), name) + head[:HEAD_BYTES]).hexdigest()


def check_same(known: str | None, seen: str) -> None:
    """Raises Invalid where a retry brings another file than the first request with its key."""
    if known is not None and known != seen:
        raise Invalid(
            "This Idempotency-Key was used for another file: its name or its first bytes differ. Use a new key for "
            "a new file."
        )


async def bury(bucket: KeyValue, where: str, media_id: uuid.UUID) -> None:
    """The media was deleted: forget what its record says, but not that the key was used. Raises Unavailable."""
    for _ in range(_TRIES):
        entry = await bucket.get(where)
        former = msgspec.json.decode(entry.value, type=Record) if entry else None
        if entry is None or former is None or former.id != media_id:
            return
        gone = Record(
            holder=secrets.token_hex(8), until=now_plus(0), state="gone", id=former.id, number=former.number
        )
        try:
            await bucket.update(where, msgspec.json.encode(gone), entry.revision)
        except KeyConflict:
            continue  # its holder wrote at this very moment
        return
    raise Unavailable("The record of a deleted upload is contended; try again.", retry_after=1)


async def claim(
    bucket: KeyValue,
    where: str,
    asked: Asked,
    fresh: Callable[[], Awaitable[tuple[uuid.UUID, int]]],
    *,
    lasting: float,
) -> Claim | Done:
    """Take the key, or get the answer that was given before. `fresh` makes the id and number of a new upload.

    Raises Conflict while the first request runs, Invalid when the key was used for another request, Gone when what
    it made was deleted.
    """
    for _ in range(_TRIES):
        entry = await bucket.get(where)
        try:
            if entry is None:
                media_id, number = await fresh()
                record = _running(media_id, number, asked, lasting)
                return Claim(lease=await Lease.create(bucket, where, record), resumed=False)
            return await _known(bucket, where, asked, entry, lasting)
        except KeyConflict:
            continue  # somebody was faster: look again
    raise Unavailable("The Idempotency-Key is contended; try again.", retry_after=1)


async def _known(bucket: KeyValue, where: str, asked: Asked, entry: Entry, lasting: float) -> Claim | Done:
    former = msgspec.json.decode(entry.value, type=Record)
    if former.state == "gone" or former.asked is None:
        raise Gone(
            f"The media {public_id(former.id)} that this Idempotency-Key made was deleted. To upload the file again, "
            "use a new key.",
            id=str(former.id),
        )
    if former.asked != asked:
        raise Invalid(
            f"This Idempotency-Key was used for {former.asked.method} {former.asked.path} with "
            f"{_length(former.asked.length)}; this is {asked.method} {asked.path} with {_length(asked.length)}. "
            "Use a new key for a new request.",
        )
    if former.answer is not None:
        return Done(answer=former.answer, head=former.head)
    if not former.expired:
        left = (former.until - datetime.now(UTC)).total_seconds()
        raise Conflict(
            "A request with this Idempotency-Key is still running; ask again for its answer.",
            retry_after=max(1, min(5, round(left))),
            id=str(former.id),
        )
    record = _running(former.id, former.number, asked, lasting)
    return Claim(lease=await Lease.take_over(bucket, where, record, entry.revision), resumed=True)


def _running(media_id: uuid.UUID, number: int, asked: Asked, lasting: float) -> Record:
    return Record(
        holder=secrets.token_hex(8),
        until=now_plus(lasting),
        state="running",
        id=media_id,
        number=number,
        asked=asked,
    )


def _length(length: int | None) -> str:
    return "a body of unknown length" if length is None else f"{length} bytes"
