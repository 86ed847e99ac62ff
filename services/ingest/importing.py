"""Which ids a media gets that comes from an older system: its own there where they are free, else new ones.

Who has taken an id is noted for ever in a bucket, by the row of the older system, so that the row finds its ids again
whatever broke off; the catalog is asked for those that were taken otherwise. An id of a deleted media stays taken.
"""

import hashlib
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.ingest import records
from services.ingest.answers import Answering
from services.ingest.attempt import Wish
from services.ingest.context import Ingest
from services.ingest.duplicates import Reused
from services.ingest.idempotency import Answer
from services.ingest.import_notes import note, taker
from services.ingest.import_numbers import can_have, ranges
from services.ingest.imported import Import
from services.ingest.limits import RETRY_SECONDS
from shared.dialects.view import View
from shared.errors import Gone, Unavailable
from shared.events import topology
from shared.events.bus import NoAnswer
from shared.events.messages import Imported, MediaUploaded
from shared.ids import public_id
from shared.imports import Answered, Asked, ImportedMedia, StillThere
from shared.media import Media, from_upload

_CATALOG_SECONDS = 2.0
_PER_KEY = 64  # numbers whose takers share one key: each key costs the broker memory
_DIGITS = 16


async def ids(ingest: Ingest, row: Import) -> tuple[uuid.UUID, int]:
    """The id and number that the row is uploaded under. Raises Reused where it is there already, Gone where it was and
    has been deleted, Unavailable where nobody can tell."""
    bound, known = await _looked_up(ingest, row)
    media_id = await _former(ingest, row, bound, known) or await _of_number(ingest, row, known)
    if media_id is None:
        media_id = await _claimed_id(ingest, row, free=row.id not in {*known.known, *known.gone})
    there = await _already(ingest, row, media_id, known)
    if there is not None:
        body = _shown(row, there, row.public_id if known.public_id == media_id else None, there=there)
        raise Reused(Answer(status=200, location=there.url, body=msgspec.json.encode(body).decode()))
    if row.public_id is not None:
        await _claim(ingest, *_named(row.public_id), row.identity, free=known.public_id in {None, media_id})
    if row.number is not None:
        free = known.number in {None, media_id} and (await ranges(ingest)).has(row.number)
        if await _claim(ingest, *_numbered(row.number), row.identity, free=free):
            return media_id, row.number
    return media_id, await ingest.numbers.take()


async def would_be(ingest: Ingest, row: Import) -> tuple[dict[str, bool], Media | None]:
    """Which ids the row would have if it came now, after room was made, and the media that it is already; nothing is
    noted. Raises Gone where its media was deleted since, Unavailable."""
    bound, known = await _looked_up(ingest, row)
    media_id = await _former(ingest, row, bound, known) or await _of_number(ingest, row, known)
    kept = {}
    if row.id is not None:
        free = row.id not in {*known.known, *known.gone}
        kept["id"] = await _may_have(ingest, row, *_named(str(row.id)), free=free)
        if media_id is None and kept["id"]:
            media_id = row.id
    media_id = media_id or row.own_id
    there = await _already(ingest, row, media_id, known)
    if there is not None:
        name = row.public_id if known.public_id == media_id else None
        return _shown(row, there, name).kept, there
    if row.public_id is not None:
        free = known.public_id is None
        kept["public_id"] = await _may_have(ingest, row, *_named(row.public_id), free=free)
    if row.number is not None:
        free = known.number is None and await can_have(ingest, row.number)
        kept["number"] = await _may_have(ingest, row, *_numbered(row.number), free=free)
    return kept, None


async def _looked_up(ingest: Ingest, row: Import) -> tuple[uuid.UUID | None, Answered]:
    """The id that the row was given once, where that is not made of the row; and what the catalog has."""
    bound = None
    if not _names_itself(row):
        found = await taker(ingest, *_bound(row))
        bound = uuid.UUID(found) if found else None
    wanted = dict.fromkeys(one for one in (bound, row.id, row.own_id) if one is not None)
    return bound, await _ask(ingest, Asked(ids=(*wanted,), number=row.number, public_id=row.public_id))


async def _former(ingest: Ingest, row: Import, bound: uuid.UUID | None, known: Answered) -> uuid.UUID | None:
    """The id under which the row came before, perhaps when the export did not say its own."""
    if bound is not None:
        return bound
    if row.own_id in {*known.known, *known.gone}:
        return row.own_id
    return row.own_id if row.id and await records.find(ingest, row.own_id) else None


async def _of_number(ingest: Ingest, row: Import, known: Answered) -> uuid.UUID | None:
    """The media that has the row's number, if it was the row that took it: then it is the row's."""
    if row.number is None or known.number is None:
        return None
    ours = await taker(ingest, *_numbered(row.number)) == row.identity[:_DIGITS]
    return known.number if ours else None


async def _claimed_id(ingest: Ingest, row: Import, *, free: bool) -> uuid.UUID:
    """Its own there if it can have that. What an export says may change, so it is noted which one it was."""
    if row.id is None:
        return row.own_id
    free = free and await records.find(ingest, row.id) is None  # the catalog may not have it yet
    if not await _claim(ingest, *_named(str(row.id)), row.identity, free=free):
        return row.own_id
    if _names_itself(row):
        return row.id
    return uuid.UUID(await note(ingest, *_bound(row), str(row.id)))


def _names_itself(row: Import) -> bool:
    """Whether what the row is known by is its id."""
    return row.id is not None and str(row.id) == row.old_id


async def _already(ingest: Ingest, row: Import, media_id: uuid.UUID, known: Answered) -> Media | None:
    """What the row has become, in the catalog or on its way there. Raises Gone, Unavailable."""
    if media_id in known.gone:
        name = f"{row.dialect} {row.old_id}"
        raise Gone(f"{name} was imported as {public_id(media_id)}, which was deleted since.")
    if media_id in {*known.known, known.number}:
        question = msgspec.json.encode({"id": str(media_id)})
        found = await _request(ingest, topology.CATALOG_FIND_UPLOAD, question)
        if not found:
            raise Gone(f"{row.dialect} {row.old_id} was imported, and was deleted at this very moment.")
        return msgspec.json.decode(found, type=Media)
    former = await records.find(ingest, media_id)
    return None if former is None else from_upload(former.event, ingest.settings.http.base_url)


async def still_there(ingest: Ingest, ids: tuple[uuid.UUID, ...]) -> StillThere:
    """As the catalog has it: what was acknowledged a moment ago may be missing. Raises Unavailable."""
    found = await _ask(ingest, Asked(ids=ids))
    return StillThere(there=found.known, gone=found.gone)


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


def _shown(
    row: Import, media: Media, imported_as: str | None, *, there: Media | None = None
) -> ImportedMedia:
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
        there=there,
    )


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


def _bound(row: Import) -> tuple[str, str]:
    return f"row.{row.identity[:4]}", row.identity[4 : 4 + _DIGITS]


async def _may_have(ingest: Ingest, row: Import, key: str, name: str, *, free: bool) -> bool:
    """Whether the name is this row's, or could be."""
    found = await taker(ingest, key, name)
    return free if found is None else found == row.identity[:_DIGITS]


async def _claim(ingest: Ingest, key: str, name: str, identity: str, *, free: bool) -> bool:
    """Whether the name is this row's, from now on if nobody has it and it is `free`. Raises Unavailable."""
    row = identity[:_DIGITS]
    return (await note(ingest, key, name, row) if free else await taker(ingest, key, name)) == row
