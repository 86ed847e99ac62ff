"""Flags what is like something that was rejected: the same bytes, or a perceptual hash within a few bits.

Both ways: a media is held against the rejected ones in the transaction that takes its result in, and a rejection is
held against what is there already, by a duty right behind it. What a person has decided on stays as they decided.
"""

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Text,
    Uuid,
    bindparam,
    cast,
    exists,
    func,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import commands
from services.catalog.database import Database, lock_media
from services.catalog.models import media, moderation_decisions
from services.catalog.moderation import Verdict, last_decision, record
from services.catalog.sight import is_public
from services.catalog.similar import near
from shared.errors import Unavailable
from shared.events.consumer import unless

log = structlog.get_logger()

DISTANCE = 5
"""Bits of the perceptual hash, unless a setting says otherwise."""
REASON = "It is to be looked at by a person."
"""All that its owner is told: what it is like may be somebody else's."""
IN_ONE_ROUND = 200
LOOK_SECONDS = 1.0
SETTLE_SECONDS = 0.1
_OPEN = ("approved", "pending")
_rejected = media.alias("rejected")
_ID = bindparam("media_id", type_=Uuid)

# Most catalogs have rejected nothing, and most media are asked about once: one short statement says so.
_ASKED = select(media).where(
    media.c.id == _ID,
    media.c.derived_generation > 0,
    media.c.moderation.in_(_OPEN),
    exists(select(_rejected.c.id).where(_rejected.c.moderation == literal("rejected", literal_execute=True))),
)


class Match(msgspec.Struct, frozen=True):
    """A rejected media, and in how many bits the other differs from it; None where the bytes are the same."""

    id: uuid.UUID
    distance: int | None


async def look(connection: AsyncConnection, media_id: uuid.UUID, distance: int) -> bool:
    """Flag a locked media whose result has just been taken in, if it is like something rejected; whether it was
    and everybody could see it until now. Whoever calls tells the new state."""
    row = (await connection.execute(_ASKED, {"media_id": media_id})).mappings().first()
    if row is None:
        return False
    match = await _match(connection, row, distance)
    return match is not None and await _flag(connection, row, match) and is_public(row)


async def _match(connection: AsyncConnection, row: Any, distance: int) -> Match | None:
    """The rejected media that is nearest, the same bytes before all."""
    rejected = (media.c.moderation == "rejected", media.c.id != row["id"])
    same = select(media.c.id).where(media.c.sha256 == row["sha256"], *rejected).order_by(media.c.id).limit(1)
    if (found := await connection.scalar(same)) is not None:
        return Match(found, None)
    if row["phash"] is None or row["degenerate"]:
        return None
    close = near(row["phash"], distance).subquery()
    nearest = (
        select(media.c.id, close.c.distance)
        .join(close, close.c.id == media.c.id)
        .where(*rejected)
        .order_by(close.c.distance, media.c.id)
        .limit(1)
    )
    first = (await connection.execute(nearest)).first()
    return None if first is None else Match(first[0], first[1])


async def _flag(connection: AsyncConnection, row: Any, match: Match) -> bool:
    if await connection.scalar(select(_decided_by_a_person(row["id"]))):
        return False
    verdict = Verdict(state="flagged", reason=REASON, matched=match.id, distance=match.distance)
    await record(connection, row, verdict, last=await last_decision(connection, row["id"]))
    return True


def _decided_by_a_person(media_id: Any) -> ColumnElement[bool]:
    return exists(
        select(moderation_decisions.c.id).where(
            moderation_decisions.c.media_id == media_id, moderation_decisions.c.reviewer.is_not(None)
        )
    )


async def keep_spreading(database: Database, *, distance: int, base_url: str, stop: asyncio.Event) -> None:
    """Hold each rejection against what is there, until `stop` is set."""
    spreading = Spreading(database, distance=distance, base_url=base_url)
    settling = 0.0  # seconds until the next look, where a transaction is still under way
    while not stop.is_set():
        try:
            left = await spreading.look()
            settling = (min(settling * 2, LOOK_SECONDS) or SETTLE_SECONDS) if left else 0.0
        except Unavailable as error:
            log.info("moderation.waits", reason=error.detail)
        await unless(stop, asyncio.sleep(settling or LOOK_SECONDS))


class Spreading:
    """Rejections that are still to be held against what is there.

    A media whose result is taken in while another is being rejected may see nothing of the rejection, and be seen by
    nobody yet. So a rejection is done with only after a look behind whose back no transaction is left that was under
    way when the rejection had been committed: `_bounds` holds the first transaction that came later, per rejection.
    """

    def __init__(self, database: Database, *, distance: int, base_url: str) -> None:
        self._database = database
        self._distance = distance
        self._base_url = base_url
        self._bounds: dict[uuid.UUID, int] = {}

    async def look(self) -> bool:
        """Look for what is like each of them; whether any is left."""
        table = moderation_decisions
        waiting = (
            select(table.c.id, table.c.media_id)
            .where(table.c.state == literal("rejected", literal_execute=True), table.c.spread_at.is_(None))
            .order_by(table.c.decided_at)
            .limit(IN_ONE_ROUND)
        )
        async with self._database.reading() as connection:
            due = (await connection.execute(waiting)).all()
        for decision, media_id in due:
            await self._spread(decision, media_id)
        return bool(due)

    async def _spread(self, decision: uuid.UUID, media_id: uuid.UUID) -> None:
        async with self._database.reading() as connection:
            snapshot = (await connection.execute(_SNAPSHOT)).one()
        settled = snapshot[0] >= self._bounds.setdefault(decision, snapshot[1])
        while await self._flag_some(media_id) == IN_ONE_ROUND:
            pass
        if not settled:
            return
        done = update(moderation_decisions).where(moderation_decisions.c.id == decision)
        async with self._database.writing(tell=False) as connection:
            await connection.execute(done.values(spread_at=datetime.now(UTC)))
        self._bounds.pop(decision, None)

    async def _flag_some(self, media_id: uuid.UUID) -> int:
        """Of what is like a rejected media, and not decided on by a person; how many were looked at."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(media).where(media.c.id == media_id))).mappings().first()
            if row is None or row["moderation"] != "rejected":
                return 0
            rows = (await connection.execute(_alike(row, self._distance))).all()
        for found, distance in rows:
            await self._flag_one(found, Match(media_id, distance))
        return len(rows)

    async def _flag_one(self, media_id: uuid.UUID, match: Match) -> None:
        async with self._database.writing() as connection:
            await lock_media(connection, media_id)
            open_still = select(media).where(media.c.id == media_id, media.c.moderation.in_(_OPEN))
            row = (await connection.execute(open_still)).mappings().first()
            if row is not None and await _flag(connection, row, match):
                await commands.tell_updated(connection, media_id, self._base_url, was_public=is_public(row))


_SNAPSHOT = select(
    *(
        cast(cast(edge(func.pg_current_snapshot()), Text), BigInteger)
        for edge in (func.pg_snapshot_xmin, func.pg_snapshot_xmax)
    )
)


def _alike(row: Any, distance: int) -> Any:
    """Ids and distances of what is like a rejected media and still to be looked at by somebody."""
    still_open = (media.c.moderation.in_(_OPEN), media.c.id != row["id"], ~_decided_by_a_person(media.c.id))
    same = select(media.c.id, null().label("distance")).where(media.c.sha256 == row["sha256"], *still_open)
    if row["phash"] is None or row["degenerate"]:
        return same.limit(IN_ONE_ROUND)
    close = near(row["phash"], distance).subquery()
    differing = media.c.sha256 != row["sha256"]
    alike = (
        select(media.c.id, close.c.distance)
        .join(close, close.c.id == media.c.id)
        .where(differing, *still_open)
    )
    return same.union_all(alike).limit(IN_ONE_ROUND)
