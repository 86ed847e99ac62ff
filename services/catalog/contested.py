"""Two uploads that were told with one number: which of them has it, and what the other one gets instead.

Ingest gives every number once, but a catalog must be able to take in whatever the stream holds. The number stays with
the upload that the stream told first, in whatever order both come here; the other one gets a number that follows from
its id. What was decided is told in the state of each media, and a rebuild goes by that: the first one may be deleted
by then, and its upload erased from the stream.
"""

import hashlib
import uuid
from typing import Any

import structlog
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.database import lock_media
from services.catalog.models import media, stored_events
from shared.errors import Unavailable
from shared.events import topology
from shared.imports import MOST_NUMBER

log = structlog.get_logger()

_TRIES = 5
_STAND_INS = 2**53 - 1 - MOST_NUMBER

# Built once: every upload runs the first one.
_INSERT = upsert(media).on_conflict_do_nothing().returning(media.c.id)
_HOLDER = select(media.c.id).where(media.c.number == bindparam("held"))
_IS_THERE = select(media.c.id).where(media.c.id == bindparam("media_id"))


def stand_in(media_id: uuid.UUID) -> int:
    """The number of a media whose own one another media has: above all that are given, below 2**53."""
    digits = hashlib.blake2b(media_id.bytes, digest_size=8).digest()
    return MOST_NUMBER + 1 + int.from_bytes(digits) % _STAND_INS


async def insert(
    connection: AsyncConnection, values: dict[str, Any], *, alone: bool
) -> tuple[bool, uuid.UUID | None]:
    """Whether the media is new, and who had its number until now and has another one instead. `alone`: nobody else
    writes, so nothing is locked. The place of its event is noted. Raises Unavailable."""
    moved = None
    for _ in range(_TRIES):
        if (await connection.execute(_INSERT, values)).first() is not None:
            return True, moved
        if await connection.scalar(_IS_THERE, {"media_id": values["id"]}) is not None:
            return False, None
        holder = await connection.scalar(_HOLDER, {"held": values["number"]})
        if holder is None:  # it is gone, this very moment
            continue
        if await _came_first(connection, values["id"], holder):
            if not alone:
                await lock_media(connection, holder)
            moved = await _move(connection, holder, values["number"]) or moved
        else:
            values = {**values, "number": stand_in(values["id"])}
        log.warning(
            "media.number_contested", media_id=str(values["id"]), holder=str(holder), number=values["number"]
        )
    raise Unavailable("Who has a number changes all the time; the event is taken in later.", retry_after=1)


async def assign(connection: AsyncConnection, media_id: uuid.UUID, number: int) -> None:
    """As it was told; who has the number makes room. Nobody else writes."""
    holder = await connection.scalar(_HOLDER, {"held": number})
    if holder is not None:
        await _move(connection, holder, number)
    await connection.execute(update(media).where(media.c.id == media_id).values(number=number))


async def _move(connection: AsyncConnection, holder: uuid.UUID, number: int) -> uuid.UUID | None:
    """The holder, which has a stand-in now; None where it has the number no more."""
    change = update(media).where(media.c.id == holder, media.c.number == number)
    found = await connection.execute(change.values(number=stand_in(holder)))
    return holder if found.rowcount else None


async def _came_first(connection: AsyncConnection, media_id: uuid.UUID, holder: uuid.UUID) -> bool:
    """Whether the stream told of the media before it told of the holder."""
    first = func.min(stored_events.c.sequence)
    asked = select(stored_events.c.media_id, first).where(
        stored_events.c.stream == topology.MEDIA, stored_events.c.media_id.in_((media_id, holder))
    )
    rows = await connection.execute(asked.group_by(stored_events.c.media_id))
    found: dict[uuid.UUID, int] = {row.media_id: row[1] for row in rows}
    return media_id in found and holder in found and found[media_id] < found[holder]
