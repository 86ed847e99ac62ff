"""Slots that hold one media: a new one takes the place of the former once it is ready, and never before.

What is kept depends on what was told, not on its order: of the media of a slot, those that are older than the newest
which was ever processed are deleted. One that failed or is still to be processed takes nobody's place.
"""

import uuid
from collections.abc import Iterable
from typing import Any

import msgspec
import structlog
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import commands
from services.catalog.database import Database, lock_all_media, lock_text
from services.catalog.models import media
from shared.events.messages import EntityLink, MediaUploaded
from shared.media import Media

log = structlog.get_logger()


class Slot(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """The place of one profile at one field of an entity."""

    entity_type: str
    entity_id: str
    entity_field: str
    profile: str


class Elsewhere(Exception):
    """The media is of another slot than was locked; nothing of the transaction may stay."""

    def __init__(self, slot: Slot) -> None:
        super().__init__(str(slot))
        self.slot = slot


def of_told(event: object, single: frozenset[str]) -> Slot | None:
    """The slot that an upload names, where its profile is `single`. A result does not name one."""
    return _slot(event.profile, event.entity, single) if isinstance(event, MediaUploaded) else None


def of_shown(shown: Media | None, single: frozenset[str]) -> Slot | None:
    return None if shown is None else _slot(shown.profile, shown.entity, single)


def _slot(profile: str, link: EntityLink | None, single: frozenset[str]) -> Slot | None:
    if link is None or profile not in single:
        return None
    return Slot(entity_type=link.type, entity_id=link.id, entity_field=link.field, profile=profile)


async def lock(connection: AsyncConnection, slot: Slot, *others: Any) -> None:
    """Lock a slot, its media and `others` by id, in the one order that every transaction keeps: a slot before all
    media, media by their ids."""
    await lock_all(connection, (slot,), others)


async def lock_all(connection: AsyncConnection, wanted: Iterable[Slot], others: Iterable[Any]) -> None:
    """`lock` of several slots."""
    held = set(others)
    for slot in sorted(wanted):
        await lock_text(connection, f"slot {slot}")
        held |= set((await connection.scalars(select(media.c.id).where(*_of(slot)))).all())
    await lock_all_media(connection, held)


async def holder(connection: AsyncConnection, slot: Slot) -> uuid.UUID | None:
    """The newest media of a locked slot, whatever became of it."""
    found = select(media.c.id).where(*_of(slot)).order_by(media.c.id.desc()).limit(1)
    media_id: uuid.UUID | None = await connection.scalar(found)
    return media_id


async def keep_newest(connection: AsyncConnection, slot: Slot) -> set[Any]:
    """Delete what a newer media of a locked slot has replaced; the ids of those."""
    newest = await connection.scalar(
        select(media.c.id)
        .where(*_of(slot), media.c.derived_generation > 0)
        .order_by(media.c.id.desc())
        .limit(1)
    )
    if newest is None:
        return set()
    found = select(media).where(*_of(slot), media.c.id < newest).order_by(media.c.id)
    replaced = (await connection.execute(found)).mappings().all()
    for row in replaced:
        await commands.bury(connection, row)
        log.info("media.replaced", media_id=str(row["id"]), by=str(newest), profile=slot.profile)
    return {row["id"] for row in replaced}


async def settle(database: Database, single: frozenset[str]) -> int:
    """Delete what was replaced in any slot, as after a rebuild; how many."""
    columns = (media.c.entity_type, media.c.entity_id, media.c.entity_field, media.c.profile)
    crowded = (
        select(*columns)
        .where(media.c.profile.in_(sorted(single)), media.c.entity_type.is_not(None))
        .group_by(*columns)
        .having(func.count() > 1)
    )
    async with database.reading() as connection:
        found = [Slot(**row) for row in (await connection.execute(crowded)).mappings()]
    count = 0
    for slot in found:
        async with database.writing() as connection:
            await lock(connection, slot)
            count += len(await keep_newest(connection, slot))
    return count


def _of(slot: Slot) -> tuple[ColumnElement[bool], ...]:
    return (
        media.c.entity_type == slot.entity_type,
        media.c.entity_id == slot.entity_id,
        media.c.entity_field == slot.entity_field,
        media.c.profile == slot.profile,
    )
