"""Exact duplicates: what an upload gets that asks not to be a second copy (`on_duplicate`).

A copy is a media of the same owner, with the same SHA-256, in the same place: the profile, and the entity with its
field. The catalog knows it, also one that was acknowledged a moment ago: it is asked for its rows up to the newest
event. Of uploads that are under way at once the first to have its digest goes on, and the others wait for its end.
"""

import asyncio
import hashlib
import time
import uuid
from typing import NoReturn

import msgspec
import structlog

from services.ingest.attempt import Wish
from services.ingest.context import Ingest
from services.ingest.fields import OnDuplicate
from services.ingest.idempotency import Answer
from services.ingest.source import Source
from shared.duplicates import Answered, Asked
from shared.errors import Conflict, Unavailable
from shared.events import topology
from shared.events.bus import KeyConflict, NoAnswer
from shared.events.messages import EntityLink, MediaUploaded
from shared.media import Media

log = structlog.get_logger()

_CATALOG_SECONDS = 1.0
_TRIES = 3
_WAIT_SECONDS = 5.0
_LOOK_SECONDS = 0.05
_RETRY_SECONDS = 2


class Duplicate(Conflict):
    """The caller has the file there, and asked for that to be refused; `existing` names it."""

    code = "duplicate"
    title = "Already there"


class Reused(Exception):
    """The caller has the file there, and is answered with it instead of a second copy."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.location)
        self.answer = answer


async def look_early(ingest: Ingest, wish: Wish, source: Source, media_id: uuid.UUID) -> None:
    """What can be told before the file is read. Raises Unavailable where nobody could tell afterwards, Duplicate and
    Reused where the client says itself what the bytes hash to and all else that counts."""
    options = source.early
    if options.on_duplicate == "allow":
        return
    _require_catalog(ingest)
    promised = wish.promised.sha256
    if not source.complete or promised is None:
        return
    found = await _ask(
        ingest,
        Asked(
            owner=options.owner or wish.owner,
            sha256=promised,
            profile=options.profile,
            entity=options.entity,
            besides=media_id,
            through=await ingest.bus.last_sequence(topology.MEDIA),
        ),
    )
    if found is not None:
        _answer(options.on_duplicate, found)


async def look(ingest: Ingest, event: MediaUploaded, on_duplicate: OnDuplicate) -> None:
    """Before a stored upload is announced. Raises Duplicate and Reused for a second copy, Unavailable where nobody can
    tell or an equal upload takes too long; what was stored is then to be erased."""
    if on_duplicate == "allow":
        return
    _require_catalog(ingest)
    await _be_first(ingest, event)
    asked = Asked(
        owner=event.owner,
        sha256=event.sha256,
        profile=event.profile,
        entity=event.entity,
        besides=event.id,
        through=await ingest.bus.last_sequence(topology.MEDIA),
    )
    found = await _ask(ingest, asked)
    if found is not None:
        _answer(on_duplicate, found)


def _require_catalog(ingest: Ingest) -> None:
    if not ingest.heartbeat.alive:
        raise Unavailable(
            "Whether you have this file already cannot be told now, because the catalog is away. Try again, or send it "
            "with on_duplicate=allow.",
            retry_after=_RETRY_SECONDS,
        )


def _answer(on_duplicate: OnDuplicate, found: Media) -> NoReturn:
    if on_duplicate == "reuse":
        raise Reused(
            Answer(status=200, location=found.url, body=msgspec.json.encode(found).decode()),
        )
    raise Duplicate(
        f"You have this file already: {found.public_id} has the same SHA-256.",
        existing={"id": str(found.id), "public_id": found.public_id, "url": found.url},
    )


async def _ask(ingest: Ingest, asked: Asked) -> Media | None:
    """Raises Unavailable where the catalog does not answer, or not yet for all that was told."""
    question = msgspec.json.encode(asked)
    for _ in range(_TRIES):
        try:
            answer = await ingest.bus.request(
                topology.CATALOG_FIND_DIGEST, question, timeout=_CATALOG_SECONDS
            )
        except NoAnswer:
            break
        if answer:
            return msgspec.json.decode(answer, type=Answered).media
    log.warning("duplicates.not_told", through=asked.through)
    raise Unavailable(
        "Whether you have this file already cannot be told now. Try again, or send it with on_duplicate=allow.",
        retry_after=_RETRY_SECONDS,
    )


async def _be_first(ingest: Ingest, event: MediaUploaded) -> None:
    """Return when no other upload of this file into this place is under way: those that come later wait for this one.

    The claim is never given back. It counts as long as its upload has an intent, which goes with its acknowledgement,
    or with its end without one.
    """
    bucket, where, ours = ingest.bus.kv(topology.DIGESTS), _where(event), str(event.id).encode()
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        entry = await bucket.get(where)
        if entry is not None and entry.value == ours:
            return
        if entry is not None and await ingest.intents.get(entry.value.decode()) is not None:
            if time.monotonic() > deadline:
                raise Unavailable(
                    "The same file is being uploaded at this moment; ask again.", retry_after=_RETRY_SECONDS
                )
            await asyncio.sleep(_LOOK_SECONDS)
            continue
        try:
            if entry is None:
                await bucket.create(where, ours)
            else:
                await bucket.update(where, ours, entry.revision)
        except KeyConflict:
            continue  # somebody was faster: look again
        return


def _where(event: MediaUploaded) -> str:
    """The key of one file in one place of one owner."""
    link: EntityLink | None = event.entity
    place = (link.type, link.id, link.field) if link else ()
    told = msgspec.json.encode((event.owner, event.profile, place, event.sha256))
    return hashlib.sha256(told).hexdigest()
