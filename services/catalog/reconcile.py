"""Finds what fell between the parts and sets it going again (invariant 13)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import structlog
from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import commands, departures, registry
from services.catalog.database import RECONCILER, Database, lock_media, try_lock
from services.catalog.models import entities, media

log = structlog.get_logger()

MOST = 200  # rows announced in one run


class Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has done, in numbers of media."""

    announced: int = 0
    detached: int = 0
    departed: int = 0


async def reconcile(
    database: Database,
    *,
    stale: timedelta,
    base_url: str,
    cascading: frozenset[str] = frozenset(),
    now: datetime | None = None,
) -> Reconciled:
    """Announce again what has waited for a result for longer than `stale`, take media off deleted entities, or delete
    them with these where their profile is among the `cascading`, and delete those of users who have left.

    Does nothing while another process is at it. Raises Unavailable.
    """
    moment = now or datetime.now(UTC)
    async with database.writing() as connection:
        if not await try_lock(connection, RECONCILER):
            return Reconciled()
        announced = await _announce(connection, moment, stale)
        left = (await connection.execute(_left_behind())).all()
    detached = 0
    for entity_type, entity_id in left:
        detached += await registry.release(
            database, entity_type, entity_id, cascading=cascading, base_url=base_url
        )
    departed = await departures.delete_remaining(database)
    if announced or detached or departed:
        log.info("reconcile.done", announced=announced, detached=detached, departed=departed)
    return Reconciled(announced=announced, detached=detached, departed=departed)


async def due(database: Database, *, stale: timedelta, now: datetime | None = None) -> Reconciled:
    """What a run would do. Raises Unavailable."""
    overdue = select(media.c.id).where(*_overdue(now or datetime.now(UTC), stale)).limit(MOST)
    gone = exists().where(
        entities.c.deleted, entities.c.type == media.c.entity_type, entities.c.id == media.c.entity_id
    )
    async with database.reading() as connection:
        waiting = await connection.scalar(select(func.count()).select_from(overdue.subquery())) or 0
        hanging = await connection.scalar(select(func.count()).select_from(media).where(gone)) or 0
        departed = await departures.count_remaining(connection)
    return Reconciled(announced=waiting, detached=hanging, departed=departed)


def _overdue(now: datetime, stale: timedelta) -> tuple[ColumnElement[bool], ...]:
    # Each wait is as long as all before it together: what never gets a result does not fill the stream.
    waited = func.coalesce(media.c.announced_at, media.c.status_at) - media.c.status_at
    return (
        media.c.status == "processing",
        func.greatest(media.c.announced_at, media.c.status_at) < now - func.greatest(waited, stale),
    )


async def _announce(connection: AsyncConnection, now: datetime, stale: timedelta) -> int:
    overdue = _overdue(now, stale)
    oldest = select(media.c.id).where(*overdue).order_by(media.c.status_at).limit(MOST)
    count = 0
    for media_id in sorted((await connection.scalars(oldest)).all()):
        await lock_media(connection, media_id)
        found = await connection.execute(select(media).where(media.c.id == media_id, *overdue))
        row = found.mappings().first()
        if row is not None:
            await commands.announce_again(connection, row, now)
            count += 1
    return count


def _left_behind() -> Select[Any]:
    hanging = exists().where(media.c.entity_type == entities.c.type, media.c.entity_id == entities.c.id)
    return select(entities.c.type, entities.c.id).where(entities.c.deleted, hanging).limit(MOST)
