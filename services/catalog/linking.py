"""Keeps who is like whom among the media of one owner, so that groups of duplicates are found without comparing.

A new media is compared with all others of its owner, once, soon after it came. Each keeps its nearest: what is linked
to some is linked through them to all that they are linked to, so a thousand copies need no million of links.
"""

import asyncio
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress

import structlog
from sqlalchemy import Uuid, any_, bindparam, delete, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.database import LINKER, Database, try_lock
from services.catalog.models import likenesses, media, unlinked
from shared.errors import Unavailable
from shared.similar import MOST_BITS

log = structlog.get_logger()

AT_ONCE = 50
LOOK_SECONDS = 1.0
NEAREST = 20
"""To how many others a media is linked by its look, and to how many by its bytes."""

_TIMED_OUT = "57014"
_NEXT = text(
    "DELETE FROM unlinked WHERE position IN (SELECT position FROM unlinked ORDER BY position LIMIT :most)"
    " RETURNING media_id"
)
_IDS = bindparam("ids", type_=ARRAY(Uuid))
_TOUCHING = or_(likenesses.c.older == any_(_IDS), likenesses.c.newer == any_(_IDS))
_LIVING = select(media.c.id).where(media.c.id == any_(_IDS))
_NEIGHBOURS = select(likenesses.c.older, likenesses.c.newer).where(_TOUCHING)
_LINK = text(
    "INSERT INTO likenesses (older, newer, owner, distance, same_bytes)"
    " SELECT least(asked.id, found.id), greatest(asked.id, found.id), asked.owner, min(found.distance),"
    " bool_or(found.same_bytes) FROM media AS asked CROSS JOIN LATERAL ("
    "(SELECT near.id, near.distance, false AS same_bytes"
    " FROM media_near(CASE WHEN NOT asked.degenerate THEN asked.phash END, :most) AS near"
    # One by one: those that are near are few, and an owner may have very many.
    " WHERE near.id <> asked.id AND (SELECT media.owner FROM media WHERE media.id = near.id) = asked.owner"
    " ORDER BY near.distance, near.id LIMIT :nearest)"
    " UNION ALL (SELECT media.id, NULL, true FROM media WHERE media.sha256 = asked.sha256"
    " AND media.owner = asked.owner AND media.id <> asked.id ORDER BY media.id LIMIT :nearest)"
    ") AS found WHERE asked.id = ANY(:ids) GROUP BY 1, 2, 3"
).bindparams(_IDS)


async def keep_linking(database: Database, stop: asyncio.Event) -> None:
    """Look at what has come or changed, whichever catalog does it, until `stop` is set."""
    most = AT_ONCE
    while not stop.is_set():
        pause = LOOK_SECONDS
        try:
            if await link_some(database, most) == most:
                pause = 0
            most = min(AT_ONCE, 2 * most)
        except Unavailable as error:
            log.info("likenesses.not_linked", at_once=most, reason=error.detail)
            if took_too_long(error):
                with suppress(Unavailable):
                    most = await fewer(database, most)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)


async def link_some(database: Database, most: int = AT_ONCE) -> int:
    """Look at so many that wait; how many did. 0 as well while another process is at it. Raises Unavailable."""
    async with database.writing(tell=False) as connection:
        if not await try_lock(connection, LINKER):
            return 0
        waiting = (await connection.scalars(_NEXT, {"most": most})).all()
        if waiting:
            await _link(connection, set(waiting))
        return len(waiting)


def took_too_long(error: Unavailable) -> bool:
    """Whether the database answered, and what it said is that a statement was at its limit of time."""
    return getattr(getattr(error.__cause__, "orig", None), "sqlstate", None) == _TIMED_OUT


async def fewer(database: Database, most: int) -> int:
    """How many to look at next, after so many took too long: one that does so by itself is left out, for it must not
    keep the others from their turn. Raises Unavailable."""
    if most == 1:
        async with database.writing(tell=False) as connection:
            if await try_lock(connection, LINKER):
                for media_id in await connection.scalars(_NEXT, {"most": 1}):
                    log.error("likenesses.left_out", media_id=str(media_id))
    return max(1, most // 4)


async def _link(connection: AsyncConnection, ids: set[uuid.UUID]) -> None:
    """Those that were linked to what is gone are looked at again: it may have been what held them together."""
    living = set(await connection.scalars(_LIVING, {"ids": list(ids)}))
    gone = ids - living
    if gone:
        pairs = (await connection.execute(_NEIGHBOURS, {"ids": list(gone)})).all()
        await _wait(connection, {one for pair in pairs for one in pair} - ids)
    await connection.execute(delete(likenesses).where(_TOUCHING), {"ids": list(ids)})
    if living:
        asked = {"ids": sorted(living), "most": MOST_BITS, "nearest": NEAREST}
        await connection.execute(_LINK, asked)


async def _wait(connection: AsyncConnection, ids: Iterable[uuid.UUID]) -> None:
    rows: Sequence[dict[str, uuid.UUID]] = [{"media_id": media_id} for media_id in sorted(ids)]
    if rows:
        await connection.execute(unlinked.insert(), rows)
