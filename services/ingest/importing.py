"""Which ids a media gets that comes from an older system: its own there where they are free, else new ones.

Who has taken an id is noted for ever in a bucket, by the row of the older system, so that the row finds its ids again
whatever broke off; the catalog is asked for those that were taken otherwise. An id of a deleted media stays taken.
"""

import asyncio
import hashlib
import random
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.ingest.answers import Answering
from services.ingest.attempt import Wish
from services.ingest.context import Ingest
from services.ingest.duplicates import Reused
from services.ingest.idempotency import Answer
from services.ingest.import_numbers import can_have, ranges
from services.ingest.imported import Import
from services.ingest.limits import RETRY_SECONDS
from shared.dialects.view import View
from shared.errors import Gone, Unavailable
from shared.events import topology
from shared.events.bus import KeyConflict, NoAnswer
from shared.events.messages import Imported, MediaUploaded
from shared.ids import public_id
from shared.imports import Answered, Asked, ImportedMedia
from shared.media import Media

_CATALOG_SECONDS = 2.0
_TRIES = 50
_PER_KEY = 64  # numbers whose takers share one key: each key costs the broker memory
_DIGITS = 16


async def ids(ingest: Ingest, row: Import) -> tuple[uuid.UUID, int]:
    """The id and number that the row is uploaded under. Raises Reused where it is there already, Gone where it was and
    has been deleted, Unavailable where nobody can tell."""
    wanted = (row.own_id,) if row.id is None else (row.id, row.own_id)
    known = await _ask(ingest, Asked(ids=wanted, number=row.number, public_id=row.public_id))
    media_id = row.own_id
    if row.id is not None:
        free = row.id not in {*known.known, *known.gone}
        if await _claim(ingest, *_named(str(row.id)), row.identity, free=free):
            media_id = row.id
    if media_id in known.gone:
        raise _gone(row, media_id)
    if media_id in known.known:
        raise Reused(await _there(ingest, row, media_id, known))
    if row.public_id is not None:
        await _claim(ingest, *_named(row.public_id), row.identity, free=known.public_id in {None, media_id})
    if row.number is not None:
        free = known.number in {None, media_id} and (await ranges(ingest)).has(row.number)
        if await _claim(ingest, *_numbered(row.number), row.identity, free=free):
            return media_id, row.number
    return media_id, await ingest.numbers.take()


async def would_keep(ingest: Ingest, row: Import) -> dict[str, bool]:
    """Which ids the row would have if it came now, after room was made; nothing is noted. Raises Gone where its media
    was deleted since, Unavailable."""
    wanted = (row.own_id,) if row.id is None else (row.id, row.own_id)
    known = await _ask(ingest, Asked(ids=wanted, number=row.number, public_id=row.public_id))
    kept = {}
    if row.id is not None:
        kept["id"] = await _may_have(ingest, row, *_named(str(row.id)), free=row.id not in known.known)
    if row.own_id in known.gone:
        raise _gone(row, row.own_id)
    if row.public_id is not None:
        kept["public_id"] = await _may_have(ingest, row, *_named(row.public_id), free=known.public_id is None)
    if row.number is not None:
        free = known.number is None and await can_have(ingest, row.number)
        kept["number"] = await _may_have(ingest, row, *_numbered(row.number), free=free)
    return kept


async def told(ingest: Ingest, wish: Wish, event: MediaUploaded) -> MediaUploaded:
    """The event with what an import says of it; as it is for every other upload."""
    row = wish.imported
    if row is None:
        return event
    name = row.public_id
    if name is not None and not await _claim(ingest, *_named(name), row.identity, free=False):
        name = None
    return msgspec.structs.replace(
        event,
        owner_name=row.owner_name,
        moderation=row.moderation or event.moderation,
        created_at=row.created_at,
        imported=Imported(received_at=datetime.now(UTC), public_id=name),
    )


def answering(row: Import) -> Answering:
    """Nobody looks at an import one by one: the acknowledgement is enough."""

    def shape(view: View) -> Any:
        return _shown(row, view.media, view.imported_as)

    return Answering(until="acknowledged", shape=shape)


def _shown(row: Import, media: Media, imported_as: str | None) -> ImportedMedia:
    asked = {"number": row.number, "id": row.id, "public_id": row.public_id}
    has = {"number": media.number, "id": media.id, "public_id": imported_as}
    return ImportedMedia(
        id=media.id,
        public_id=imported_as or media.public_id,
        number=media.number,
        profile=media.profile,
        mime_type=media.mime_type,
        size=media.size,
        sha256=media.sha256,
        kept={name: has[name] == value for name, value in asked.items() if value is not None},
        url=media.url,
    )


async def _there(ingest: Ingest, row: Import, media_id: uuid.UUID, known: Answered) -> Answer:
    """The answer for a row that was imported before."""
    question = msgspec.json.encode({"id": str(media_id)})
    found = await _request(ingest, topology.CATALOG_FIND_UPLOAD, question)
    if not found:
        raise Gone(f"{row.dialect} {row.old_id} was imported, and was deleted at this very moment.")
    media = msgspec.json.decode(found, type=Media)
    shown = _shown(row, media, row.public_id if known.public_id == media_id else None)
    return Answer(status=200, location=media.url, body=msgspec.json.encode(shown).decode())


def _gone(row: Import, media_id: uuid.UUID) -> Gone:
    name = f"{row.dialect} {row.old_id}"
    return Gone(f"{name} was imported as {public_id(media_id)}, which was deleted since.")


async def _ask(ingest: Ingest, asked: Asked) -> Answered:
    answer = await _request(ingest, topology.CATALOG_FIND_IMPORT, msgspec.json.encode(asked))
    return msgspec.json.decode(answer, type=Answered)


async def _request(ingest: Ingest, subject: str, question: bytes) -> bytes:
    try:
        return await ingest.bus.request(subject, question, timeout=_CATALOG_SECONDS)
    except NoAnswer as error:
        raise Unavailable(
            "Which ids are free cannot be told while the catalog does not answer; try again.",
            retry_after=RETRY_SECONDS,
        ) from error


def _named(name: str) -> tuple[str, str]:
    digits = hashlib.sha256(name.encode()).hexdigest()
    return f"name.{digits[:4]}", digits[4 : 4 + _DIGITS]


def _numbered(number: int) -> tuple[str, str]:
    return f"number.{number // _PER_KEY}", str(number)


async def _may_have(ingest: Ingest, row: Import, key: str, name: str, *, free: bool) -> bool:
    """Whether the name is this row's, or could be."""
    entry = await ingest.bus.kv(topology.IMPORTS).get(key)
    takers: dict[str, str] = msgspec.json.decode(entry.value) if entry else {}
    return takers[name] == row.identity[:_DIGITS] if name in takers else free


async def _claim(ingest: Ingest, key: str, name: str, identity: str, *, free: bool) -> bool:
    """Whether the name is this row's, from now on if nobody has it and it is `free`. Raises Unavailable."""
    bucket, row = ingest.bus.kv(topology.IMPORTS), identity[:_DIGITS]
    for attempt in range(_TRIES):
        entry = await bucket.get(key)
        takers: dict[str, str] = msgspec.json.decode(entry.value) if entry else {}
        if name in takers:
            return takers[name] == row
        if not free:
            return False
        value = msgspec.json.encode({**takers, name: row})
        try:
            await (bucket.create(key, value) if entry is None else bucket.update(key, value, entry.revision))
        except KeyConflict:  # a neighbour was faster
            await asyncio.sleep(random.uniform(0, 0.005 * (attempt + 1)))  # noqa: S311 - jitter
            continue
        return True
    raise Unavailable("The ids beside this one are contended; try again.", retry_after=RETRY_SECONDS)
