"""Entities: who owns and administers the things of other systems that media hang on."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import RowMapping, Text, cast, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import commands, outbox, queries
from services.catalog.database import Database, lock_media, lock_text
from services.catalog.models import entities, media
from shared.entities import Entity
from shared.errors import Malformed, NotFound

BATCH = 100  # media in one transaction
AHEAD = timedelta(minutes=5)
"""By which the clock of another system may be before ours."""
NAMING = "users in entities"
"""Locked by who writes names, shared, and by the leaving of a user."""
_DEPARTED = text(
    "SELECT name FROM unnest(CAST(:names AS text[])) AS name JOIN departed_users"
    " ON digest = sha256(convert_to(name, 'UTF8')) AND left_at >= :at"
)
_told_at = func.coalesce(entities.c.told_at, entities.c.updated_at)  # older catalogs noted it for events only


async def put_entity(database: Database, wanted: Entity, *, told_at: datetime | None = None) -> Entity:
    """Make it so; the state with its version. Repeating the same changes nothing, and neither does an event that is
    older than the newest word there was (`told_at`: its time; without one it is a request, newer than all). Users who
    have left since it was told are left out: only what is told after that can mean somebody who has come back."""
    async with database.writing(entity=True) as connection:
        known, newest = await _locked(connection, wanted.type, wanted.id)
        wanted = await _without_departed(connection, wanted, told_at or datetime.now(UTC))
        if known is not None and _is_late(known, newest, wanted, told_at):
            return known
        return await _store(connection, known, wanted, told_at or _after(newest))


async def delete_entity(
    database: Database,
    entity_type: str,
    entity_id: str,
    *,
    cascading: frozenset[str] = frozenset(),
    base_url: str,
    told_at: datetime | None = None,
) -> bool:
    """Whether there was one. Nobody has a right by it from here on. Its media of the `cascading` profiles are deleted
    as each DELETE would; the others hang on nothing any more.

    The deleted state is kept, so that a late upload for it is not hung on it again. `told_at`: as in `put_entity`.
    """
    async with database.writing(entity=True) as connection:
        known, newest = await _locked(connection, entity_type, entity_id)
        gone = Entity(type=entity_type, id=entity_id, deleted=True)
        if known is not None and _is_late(known, newest, gone, told_at):
            return False
        await _store(connection, known, gone, told_at or _after(newest))
    await release(database, entity_type, entity_id, cascading=cascading, base_url=base_url)
    return known is not None and not known.deleted


async def find_entity(
    connection: AsyncConnection, entity_type: str, entity_id: str, *, keep: bool = False
) -> Entity | None:
    """Deleted ones included. `keep`: it stays as it is until the end of the transaction."""
    found = select(entities).where(entities.c.type == entity_type, entities.c.id == entity_id)
    if keep:
        found = found.with_for_update(read=True)
    row = (await connection.execute(found)).mappings().first()
    return None if row is None else _entity(row)


async def get_entity(database: Database, entity_type: str, entity_id: str) -> Entity:
    """Raises NotFound."""
    async with database.reading() as connection:
        found = await find_entity(connection, entity_type, entity_id)
    if found is None or found.deleted:
        raise no_entity(entity_type, entity_id)
    return found


def no_entity(entity_type: str, entity_id: str) -> NotFound:
    return NotFound(f"There is no entity {entity_type}/{entity_id[:80]}.")


async def release(
    database: Database, entity_type: str, entity_id: str, *, cascading: frozenset[str], base_url: str
) -> int:
    """Take all media off an entity, or delete them where their profile cascades; how many."""
    count = 0
    while True:
        async with database.writing() as connection:
            found = await queries.entity_media_ids(connection, entity_type, entity_id, BATCH)
            for media_id in sorted(found):
                await lock_media(connection, media_id)
                row = await _row(connection, media_id)
                if row is None or (row["entity_type"], row["entity_id"]) != (entity_type, entity_id):
                    continue
                if row["profile"] in cascading:
                    await commands.bury(connection, row)
                else:
                    await _detach(connection, media_id, base_url)
                count += 1
        if len(found) < BATCH:
            return count


async def _detach(connection: AsyncConnection, media_id: uuid.UUID, base_url: str) -> None:
    await connection.execute(
        update(media)
        .where(media.c.id == media_id)
        .values(
            entity_type=None, entity_id=None, entity_field=None, is_primary=False, sort_order=0,
            edited_at=datetime.now(UTC),
        )
    )  # fmt: skip
    await commands.tell_updated(connection, media_id, base_url)


async def _row(connection: AsyncConnection, media_id: uuid.UUID) -> RowMapping | None:
    return (await connection.execute(select(media).where(media.c.id == media_id))).mappings().first()


async def forget_user(database: Database, sub: str, until: datetime) -> int:
    """Take a user out of the owners and admins of every entity of which nothing was told after `until`; of how many.
    When they were told of stays: what comes late is held against that, and is without the user by itself."""
    who = cast([sub], ARRAY(Text))
    named = select(entities.c.type, entities.c.id).where(
        or_(entities.c.owners.contains(who), entities.c.admins.contains(who)), _told_at <= until
    )
    async with database.reading() as connection:
        found = (await connection.execute(named)).all()
    for entity_type, entity_id in found:
        async with database.writing(entity=True) as connection:
            known, newest = await _locked(connection, entity_type, entity_id)
            if known is not None and newest is not None and newest <= until:
                await _store(connection, known, without(known, {sub}), newest)
    return len(found)


async def _without_departed(connection: AsyncConnection, wanted: Entity, at: datetime) -> Entity:
    """Without those who have left since. Whoever leaves meanwhile waits, and then finds what was stored here."""
    names = sorted({*wanted.owners, *wanted.admins})
    if not names:
        return wanted
    await lock_text(connection, NAMING, shared=True)
    gone = (await connection.scalars(_DEPARTED, {"names": names, "at": at})).all()
    return without(wanted, set(gone)) if gone else wanted


def without(entity: Entity, gone: set[str]) -> Entity:
    """The entity without these as owners and admins."""
    return msgspec.structs.replace(
        entity,
        owners=tuple(one for one in entity.owners if one not in gone),
        admins=tuple(one for one in entity.admins if one not in gone),
    )


def plausible(time: datetime) -> datetime:
    """When an event of another system was told: what its clock has more than `AHEAD` before ours counts as told now, or
    all that comes later on would be older. Raises Malformed for a time without a zone."""
    if time.tzinfo is None:
        raise Malformed(
            f"The event's time {time.isoformat()} does not say its zone, as in {time.isoformat()}Z."
        )
    now = datetime.now(UTC)
    return time if time <= now + AHEAD else now


def _is_late(known: Entity, newest: datetime | None, wanted: Entity, told_at: datetime | None) -> bool:
    if told_at is None or newest is None:
        return False
    return (told_at, *rank(wanted)) < (newest, *rank(known))


def rank(entity: Entity) -> tuple[bool, bytes]:
    """Of two states told of one moment the greater holds, whichever comes first: a deletion, else the greater text."""
    return entity.deleted, msgspec.json.encode((entity.owners, entity.admins, entity.display_id))


def _after(newest: datetime | None) -> datetime:
    """Now, yet behind whatever was told: nothing of that, told again, may undo what a request says."""
    now = datetime.now(UTC)
    return now if newest is None else max(now, newest + timedelta(microseconds=1))


async def _locked(
    connection: AsyncConnection, entity_type: str, entity_id: str
) -> tuple[Entity | None, datetime | None]:
    """The entity and when the newest word of it was said."""
    await lock_text(connection, f"entity {entity_type} {entity_id}")
    newest = select(_told_at).where(entities.c.type == entity_type, entities.c.id == entity_id)
    return await find_entity(connection, entity_type, entity_id), await connection.scalar(newest)


async def _store(
    connection: AsyncConnection, known: Entity | None, wanted: Entity, told_at: datetime
) -> Entity:
    new = Entity(
        type=wanted.type,
        id=wanted.id,
        owners=wanted.owners,
        admins=wanted.admins,
        display_id=wanted.display_id,
        deleted=wanted.deleted,
        version=known.version if known else 1,
    )
    if new == known:
        await _note_told(connection, new, told_at)
        return new
    values: dict[str, Any] = {
        "owners": list(new.owners),
        "admins": list(new.admins),
        "display_id": new.display_id,
        "deleted": new.deleted,
        "version": known.version + 1 if known else 1,
        "updated_at": datetime.now(UTC),
        "told_at": told_at,
    }
    stored = upsert(entities).values(type=new.type, id=new.id, **values)
    row = await connection.execute(
        stored.on_conflict_do_update(index_elements=[entities.c.type, entities.c.id], set_=values).returning(
            entities
        )
    )
    entity = _entity(row.mappings().one())
    await outbox.registry(connection, entity)
    return entity


async def _note_told(connection: AsyncConnection, entity: Entity, told_at: datetime) -> None:
    """What repeats the state is still the newest that was told."""
    await connection.execute(
        update(entities)
        .where(entities.c.type == entity.type, entities.c.id == entity.id)
        .values(told_at=told_at)
    )


def _entity(row: RowMapping) -> Entity:
    return Entity(
        type=row["type"],
        id=row["id"],
        owners=tuple(row["owners"]),
        admins=tuple(row["admins"]),
        display_id=row["display_id"],
        version=row["version"],
        deleted=row["deleted"],
    )
