"""What changes a media at somebody's wish. Each is one transaction with the events that follow from it."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Column, ColumnElement, Uuid, any_, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import edits, outbox, queries, rows
from services.catalog.conditions import etag_of, matches
from services.catalog.database import Database, lock_media
from services.catalog.delivery import VERSION_DIGITS
from services.catalog.models import early_results, marks, media, tombstones, variants
from services.catalog.rows import Record
from services.catalog.schemas import MediaPatch, Reprocessing
from services.catalog.sight import is_public
from shared.auth import Caller
from shared.errors import Forbidden, PreconditionFailed, TripodError
from shared.events.messages import MediaDeleted, PictureLimits, ReprocessRequested
from shared.ids import public_id
from shared.imports import MOST_NUMBER
from shared.media import Media
from shared.storage import keys

HIGHEST_NUMBER = "highest_number"
"""The mark that keeps the number of deleted media from being given out again."""


async def edit(
    database: Database,
    caller: Caller,
    media_id: uuid.UUID,
    patch: MediaPatch,
    *,
    if_match: str | None = None,
    replace_metadata: bool = False,
    base_url: str,
) -> Media:
    """The media as it is afterwards. `replace_metadata`: the patch holds all of it, instead of what changes of it.
    Raises NotFound, Forbidden, Invalid, PreconditionFailed."""
    async with database.writing() as connection:
        row = await _own(connection, caller, media_id)
        before = rows.show(row, base_url)
        if if_match is not None and not matches(if_match, etag_of(before)):
            raise PreconditionFailed(
                f"{public_id(media_id)} has changed since: its ETag is {etag_of(before)}, "
                f"If-Match says {if_match[:200]}."
            )
        changed = edits.columns(patch, row, replace_metadata=replace_metadata)
        if not changed:
            return before
        await connection.execute(
            update(media).where(media.c.id == media_id).values(**changed, edited_at=datetime.now(UTC))
        )
        return await tell_updated(connection, media_id, base_url, was_public=is_public(row))


async def remove(database: Database, caller: Caller, media_id: uuid.UUID) -> None:
    """Raises NotFound, Forbidden."""
    async with database.writing() as connection:
        await bury(connection, await _own(connection, caller, media_id))


async def take_back(database: Database, media_id: uuid.UUID) -> bool:
    """Delete a media whose first processing has failed, because its upload is refused for that; whether it was so."""
    async with database.writing() as connection:
        await lock_media(connection, media_id)
        found = select(media).where(
            media.c.id == media_id, media.c.status == "failed", media.c.generation == 1
        )
        row = (await connection.execute(found)).mappings().first()
        if row is not None:
            await bury(connection, row)
    return row is not None


async def remove_many(
    database: Database, caller: Caller, ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, TripodError | None]:
    """Each stands alone: why it is still there, or None for one that is gone. In the order given, each once."""
    outcomes: dict[uuid.UUID, TripodError | None] = {}
    for media_id in dict.fromkeys(ids):
        try:
            await remove(database, caller, media_id)
            outcomes[media_id] = None
        except TripodError as error:
            outcomes[media_id] = error
    return outcomes


async def reprocess(
    database: Database, caller: Caller, media_id: uuid.UUID, *, base_url: str
) -> Reprocessing:
    """Run the pipeline again as the next generation. Raises NotFound, Forbidden."""
    async with database.writing() as connection:
        row = await _own(connection, caller, media_id)
        return await begin_again(connection, row, base_url=base_url)


async def begin_again(connection: AsyncConnection, row: Record, *, base_url: str) -> Reprocessing:
    """Ask for the next generation of a locked media."""
    now = datetime.now(UTC)
    generation = row["generation"] + 1
    await connection.execute(
        update(media)
        .where(media.c.id == row["id"])
        .values(generation=generation, status="processing", status_at=now, error_code=None, error_detail=None)
    )
    await outbox.reprocess_requested(connection, await _request(connection, row, generation, now))
    return Reprocessing(media=await tell_updated(connection, row["id"], base_url), generation=generation)


async def announce_again(connection: AsyncConnection, row: Record, now: datetime) -> None:
    """Ask once more for the generation that a row waits for."""
    await connection.execute(update(media).where(media.c.id == row["id"]).values(announced_at=now))
    await outbox.reprocess_requested(connection, await _request(connection, row, row["generation"], now))


async def tell_updated(
    connection: AsyncConnection, media_id: uuid.UUID, base_url: str, *, was_public: bool = False
) -> Media:
    """The media as this transaction leaves it, which is told to others with it. `was_public`: everybody could see it
    before, which need not be said where nothing of that changes."""
    shown = await rows.load(connection, media_id, base_url)
    if shown is None:
        raise queries.absent(str(media_id))
    await outbox.updated(connection, shown, was_public=was_public)
    return shown


async def bury(connection: AsyncConnection, row: Record) -> None:
    """Leave nothing of a locked media but a tombstone, and tell the erasers. What the outbox still holds of it
    the relay drops, because only the broker knows whether it was told."""
    await bury_all(connection, (row,))


async def bury_all(connection: AsyncConnection, found: Sequence[Record]) -> None:
    """`bury` of each, in as many statements as for one."""
    if not found:
        return
    now, gone = datetime.now(UTC), [row["id"] for row in found]
    await raise_mark(connection, *(row["number"] for row in found))
    await connection.execute(
        insert(tombstones), [{"media_id": media_id, "deleted_at": now} for media_id in gone]
    )
    await connection.execute(delete(early_results).where(_among(early_results.c.media_id, gone)))
    paths = await _paths(connection, found)
    # What hangs on them goes with them, by cascade.
    await connection.execute(delete(media).where(_among(media.c.id, gone)))
    await outbox.insert_many(
        connection, [outbox.deleted_row(_deletion(row, paths[row["id"]], now)) for row in found]
    )


async def _paths(connection: AsyncConnection, found: Sequence[Record]) -> dict[uuid.UUID, tuple[str, ...]]:
    """Where caches may have kept files of each, below its address."""
    paths = {row["id"]: [f"download?v={row['sha256'][:VERSION_DIGITS]}"] for row in found}
    made = select(variants.c.media_id, variants.c.name, variants.c.spec).where(
        _among(variants.c.media_id, [*paths])
    )
    for media_id, name, spec in await connection.execute(made.order_by(variants.c.position)):
        paths[media_id].append(f"variants/{name}?v={spec}")
    return {media_id: tuple(known) for media_id, known in paths.items()}


def _deletion(row: Record, paths: tuple[str, ...], now: datetime) -> MediaDeleted:
    return MediaDeleted(
        id=row["id"],
        number=row["number"],
        owner=row["owner"],
        media_type=row["media_type"],
        key=row["key"],
        variants=keys.variants(row["id"]),
        paths=paths,
        profile=row["profile"],
        public=is_public(row),
        deleted_at=now,
    )


def _among(column: Column[Any], ids: Sequence[uuid.UUID]) -> ColumnElement[bool]:
    return column == any_(bindparam(None, list(ids), ARRAY(Uuid)))


async def raise_mark(connection: AsyncConnection, *numbers: int) -> None:
    """Numbers that only stand in for others are not counted."""
    highest = max((number for number in numbers if number <= MOST_NUMBER), default=None)
    if highest is None:
        return
    new = upsert(marks).values(name=HIGHEST_NUMBER, value=highest)
    await connection.execute(
        new.on_conflict_do_update(
            index_elements=[marks.c.name], set_={"value": func.greatest(marks.c.value, new.excluded.value)}
        )
    )


async def _own(connection: AsyncConnection, caller: Caller, media_id: uuid.UUID) -> Record:
    """The row, locked. Raises NotFound where the caller may not read it, Forbidden where they may only read."""
    await lock_media(connection, media_id)
    row = await queries.row_to_change(connection, caller, media_id)
    if not row["may_change"]:
        raise Forbidden(f"You may see {public_id(media_id)} but not change it.")
    return row


async def _request(
    connection: AsyncConnection, row: Record, generation: int, now: datetime
) -> ReprocessRequested:
    return ReprocessRequested(
        id=row["id"],
        generation=generation,
        owner=row["owner"],
        key=row["key"],
        size=row["size"],
        mime_type=row["mime_type"],
        media_type=row["media_type"],
        recipe=row["recipe"],
        limits=msgspec.convert(row["limits"], PictureLimits | None),
        variants=await rows.stored_variants(connection, row["id"]),
        requested_at=now,
    )
