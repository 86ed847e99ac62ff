"""Turns what ingest and processor tell into rows. Any order and repetition of events ends in the same row.

A row is the greatest of all that was told: its status that of the greatest (generation, rank, time), what was
derived that of the greatest (generation, time). Taking a maximum asks for no order and minds no repetition. A media
of which something was ever derived does not fail any more: it stays ready, with the error of the newest attempt.
"""

import uuid
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec
from sqlalchemy import bindparam, delete, exists, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import commands, contested, moderation_flags, outbox, rows, slots
from services.catalog.database import Database, lock_media, lock_uploads
from services.catalog.hashes import from_hex
from services.catalog.models import early_results, entities, media, stored_events, tombstones, variants
from services.catalog.rows import Record
from shared.dialects.users import uuid_id
from shared.errors import Unavailable
from shared.events import topology
from shared.events.messages import (
    EntityLink,
    MediaDeleted,
    MediaFailed,
    MediaProcessed,
    MediaUploaded,
    VariantRef,
)
from shared.media import Media
from shared.storage import keys

Result: TypeAlias = MediaProcessed | MediaFailed
Told: TypeAlias = MediaUploaded | Result
T = TypeVar("T", bound=Told)
Outcome: TypeAlias = Literal["created", "updated", "early", "behind", "repeated", "buried", "replaced"]

_TRIES = 3
RANKS = {"processing": 0, "failed": 1, "ready": 2}
_RESULTS: dict[str, type[Result]] = {"processed": MediaProcessed, "failed": MediaFailed}
_NEVER = datetime.min.replace(tzinfo=UTC)

# Built once: for the short statements that every event runs, building costs more than running.
_NOTE_STORED = upsert(stored_events).on_conflict_do_nothing()
_IS_DELETED = select(exists().where(tombstones.c.media_id == bindparam("media_id")))
_ROW = select(media).where(media.c.id == bindparam("media_id"))
_TAKE_EARLY = (
    delete(early_results)
    .where(early_results.c.media_id == bindparam("media_id"))
    .returning(early_results.c.event)
)
_HAS_LEFT = text(
    "SELECT EXISTS (SELECT FROM departed_users WHERE digest = sha256(convert_to(:owner, 'UTF8')) AND left_at >= :at)"
)
_DELETE_VARIANTS = delete(variants).where(variants.c.media_id == bindparam("media_id"))


async def project(
    database: Database,
    event: Told,
    *,
    sequence: int,
    base_url: str,
    cascading: frozenset[str] = frozenset(),
    single: frozenset[str] = frozenset(),
    distance: int = moderation_flags.DISTANCE,
) -> tuple[Outcome, Media | None]:
    """Take in one event from place `sequence` of the media stream, in one transaction with what follows from it.

    The media is the committed state, None where there is none. An upload of a `cascading` profile for an entity that
    is gone, or of a user who has left, is deleted at once, as the going would have done; of a `single` profile's slot
    the newest media that was ever processed is kept; what is within `distance` bits of something rejected is flagged.
    Raises Unavailable, then nothing has happened or (when the commit's answer got lost) all of it: repeating is
    harmless.
    """
    slot = slots.of_told(event, single)
    for _ in range(_TRIES):
        try:
            async with database.writing() as connection:
                if slot is not None:
                    await slots.lock(connection, slot, event.id)
                moved: list[uuid.UUID] = []
                outcome = await take_in(connection, event, sequence, cascading, moved=moved)
                await _tell_moved(connection, moved, base_url)
                if outcome in {"buried", "early"}:
                    return outcome, None
                was_public = False
                if outcome in {"created", "updated"}:
                    was_public = await moderation_flags.look(connection, event.id, distance)
                shown = await rows.load(connection, event.id, base_url)
                if (found := slots.of_shown(shown, single)) is not None:
                    if found != slot:
                        raise slots.Elsewhere(found)  # noqa: TRY301 - what was done is to be rolled back
                    if event.id in await slots.keep_newest(connection, found):
                        return "replaced", shown
                if shown is not None:
                    await _tell(connection, outcome, shown, was_public=was_public)
                return outcome, shown
        except slots.Elsewhere as error:
            slot = (
                error.slot
            )  # a result does not say of what slot its media is, and a slot is locked before its media
    raise Unavailable("The media moves from slot to slot; its event is taken in later.", retry_after=1)


async def _tell_moved(connection: AsyncConnection, moved: list[uuid.UUID], base_url: str) -> None:
    for other in moved:
        await commands.tell_updated(connection, other, base_url)


async def _tell(connection: AsyncConnection, outcome: Outcome, shown: Media, *, was_public: bool) -> None:
    if outcome == "created":
        await outbox.created(connection, shown)
    if outcome == "updated":
        await outbox.updated(connection, shown, was_public=was_public)


async def take_in(
    connection: AsyncConnection,
    event: Told,
    sequence: int,
    cascading: frozenset[str] = frozenset(),
    *,
    alone: bool = False,
    moved: list[uuid.UUID] | None = None,
) -> Outcome:
    """The rows alone: nobody is told of them. `alone`: nobody else writes to these tables, so nothing is locked. Whose
    number had to be another one is added to `moved`."""
    event = without_nul(event)
    if not alone and isinstance(event, MediaUploaded):
        await lock_uploads(connection, [event.id], [event.owner])
    elif not alone:
        await lock_media(connection, event.id)
    await note_stored(connection, event.id, sequence)
    row = None
    if not isinstance(event, MediaUploaded):  # what has a row has no tombstone
        row = (await connection.execute(_ROW, {"media_id": event.id})).mappings().first()
    if row is None and await _is_deleted(connection, event.id):
        await _bury_again(connection, event)
        return "buried"
    if isinstance(event, MediaUploaded):
        outcome, other = await _insert(connection, event, cascading, alone=alone)
        if other is not None and moved is not None:
            moved.append(other)
        return outcome
    if row is None:
        return await _keep_early(connection, event, sequence)
    return "updated" if await _apply(connection, row, event) else "behind"


async def _insert(
    connection: AsyncConnection, event: MediaUploaded, cascading: frozenset[str], *, alone: bool
) -> tuple[Outcome, uuid.UUID | None]:
    """With the media that had its number and has another one now."""
    entity = await _living(connection, event.entity)
    new, moved = await contested.insert(connection, row_of(event, entity), alone=alone)
    if not new:
        return "repeated", None
    orphaned = event.entity is not None and entity is None and event.profile in cascading
    # A replay hears of the deletions later on.
    asked = {"owner": event.owner, "at": event.created_at}
    if orphaned or (not alone and await connection.scalar(_HAS_LEFT, asked)):
        await commands.bury(
            connection, (await connection.execute(_ROW, {"media_id": event.id})).mappings().one()
        )
        return "buried", moved
    for told in (await connection.scalars(_TAKE_EARLY, {"media_id": event.id})).all():
        row = (await connection.execute(_ROW, {"media_id": event.id})).mappings().one()
        await _apply(connection, row, msgspec.convert(told["data"], _RESULTS[told["type"]]))
    return "created", moved


async def _keep_early(connection: AsyncConnection, event: Result, sequence: int) -> Outcome:
    kind = "processed" if isinstance(event, MediaProcessed) else "failed"
    told = {"type": kind, "data": msgspec.to_builtins(event)}
    keep = upsert(early_results).values(media_id=event.id, sequence=sequence, event=told)
    await connection.execute(keep.on_conflict_do_nothing())
    return "early"


async def _apply(connection: AsyncConnection, row: Record, event: Result) -> bool:
    """Whether the result was greater than what the row held, in any respect."""
    values = {**status_part(row, event), **derived_part(row, event)}
    if not values:
        return False
    await connection.execute(update(media).where(media.c.id == event.id).values(values))
    if "derived_generation" in values and isinstance(event, MediaProcessed):
        if row["derived_generation"]:  # else there are none
            await connection.execute(_DELETE_VARIANTS, {"media_id": event.id})
        if event.variants:
            await connection.execute(insert(variants), variant_rows(event.id, event.variants))
    return True


def status_part(row: Record, event: Result) -> dict[str, Any]:
    """The columns that change when this result is the newest word on where the pipeline stands."""
    processed = isinstance(event, MediaProcessed)
    told = "ready" if processed else "failed"
    known = row["status"] if row["error_code"] is None else "failed"
    at = event.processed_at if isinstance(event, MediaProcessed) else event.failed_at
    if (event.generation, RANKS[told], at) <= (row["generation"], RANKS[known], row["status_at"]):
        return {"status": "ready"} if processed and row["status"] == "failed" else {}
    return {
        "generation": event.generation,
        "status": "ready" if row["derived_generation"] else told,
        "status_at": at,
        "error_code": None if isinstance(event, MediaProcessed) else event.code,
        "error_detail": None if isinstance(event, MediaProcessed) else event.detail,
    }


def derived_part(row: Record, event: Result) -> dict[str, Any]:
    """The columns that change when this result holds the newest derived data. A later failure leaves those of
    an earlier success as they are: their objects are still there."""
    if isinstance(event, MediaFailed):
        return {}
    known = (row["derived_generation"], row["derived_at"] or _NEVER)
    if (event.generation, event.processed_at) <= known:
        return {}
    return {
        "derived_generation": event.generation,
        "derived_at": event.processed_at,
        "width": event.width,
        "height": event.height,
        "duration": event.duration,
        "bitrate": event.bitrate,
        "exif": event.exif,
        "taken_at": event.taken_at,
        "phash": from_hex(event.phash),
        "phash_turned": [from_hex(digits) for digits in event.phash_turned] or None,
        "dhash": from_hex(event.dhash),
        "ahash": from_hex(event.ahash),
        "colour_hash": event.colour_hash,
        "colours": msgspec.to_builtins(event.colours),
        "degenerate": event.degenerate,
        "placeholder": event.placeholder,
        "variant_count": len(event.variants),
        "variant_bytes": sum(ref.size for ref in event.variants),
        "timings": event.timings,
        "warnings": list(event.warnings),
    }


def variant_rows(media_id: uuid.UUID, refs: tuple[VariantRef, ...]) -> list[dict[str, Any]]:
    return [
        {"media_id": media_id, "position": position, **msgspec.structs.asdict(ref)}
        for position, ref in enumerate(refs)
    ]


def row_of(event: MediaUploaded, entity: EntityLink | None) -> dict[str, Any]:
    """The columns that an upload tells."""
    return {
        "id": event.id,
        "number": event.number,
        "generation": event.generation,
        "status": "processing",
        # What is imported is as old as it was, but nobody has waited for it since.
        "status_at": event.imported.received_at if event.imported else event.created_at,
        "imported_as": (event.imported.public_id or None) if event.imported else None,
        "owner": event.owner,
        "owner_uid": event.owner_uid,
        "owner_name": event.owner_name,
        "owner_uuid": uuid_id(event.owner),
        "profile": event.profile,
        "recipe": event.recipe,
        "key": event.key,
        "filename": event.filename,
        "mime_type": event.mime_type,
        "media_type": event.media_type,
        "size": event.size,
        "sha256": event.sha256,
        "limits": msgspec.to_builtins(event.limits),
        "is_public": event.is_public,
        "moderation": event.moderation,
        "entity_type": entity.type if entity else None,
        "entity_id": entity.id if entity else None,
        "entity_field": entity.field if entity else None,
        "is_primary": entity.is_primary if entity else False,
        "sort_order": entity.sort_order if entity else 0,
        "description": event.description,
        "alt_text": event.alt_text,
        "caption": event.caption,
        "tags": list(event.tags),
        "metadata": event.metadata,
        "created_at": event.created_at,
    }


async def _living(connection: AsyncConnection, entity: EntityLink | None) -> EntityLink | None:
    """The entity, unless it went before the upload came here: then the media hangs on nothing, as it would have
    after the other order."""
    if entity is None:
        return None
    gone = select(
        exists().where(entities.c.type == entity.type, entities.c.id == entity.id, entities.c.deleted)
    )
    return None if await connection.scalar(gone) else entity


async def note_stored(connection: AsyncConnection, media_id: uuid.UUID, sequence: int) -> None:
    note = {"stream": topology.MEDIA, "sequence": sequence, "media_id": media_id}
    await connection.execute(_NOTE_STORED, note)


async def _is_deleted(connection: AsyncConnection, media_id: uuid.UUID) -> bool:
    return bool(await connection.scalar(_IS_DELETED, {"media_id": media_id}))


async def _bury_again(connection: AsyncConnection, event: Told) -> None:
    """Objects may have been written after the erasers passed: send both again."""
    await outbox.deleted(
        connection,
        MediaDeleted(
            id=event.id,
            number=event.number if isinstance(event, MediaUploaded) else None,
            owner=event.owner,
            media_type=event.media_type,
            key=event.key if isinstance(event, MediaUploaded) else None,
            variants=keys.variants(event.id),
            deleted_at=datetime.now(UTC),
        ),
    )


def without_nul(event: T) -> T:
    """The event without NUL characters, which PostgreSQL cannot keep; hostile EXIF has them."""
    if b"\\u0000" not in msgspec.json.encode(event):
        return event
    return msgspec.convert(_strip(msgspec.to_builtins(event)), type(event))


def _strip(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {_strip(key): _strip(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strip(item) for item in value]
    return value
