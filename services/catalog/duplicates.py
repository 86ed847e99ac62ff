"""Exact duplicates: the media that an owner has of these bytes in this place, asked over the broker."""

from collections.abc import Awaitable, Callable

import msgspec
import structlog
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import rights, rows
from services.catalog.database import Database
from services.catalog.models import media
from services.catalog.usage import known_through
from shared.auth import Caller
from shared.duplicates import Answered, Asked
from shared.events.bus import Bus, Message
from shared.events.topology import Durable
from shared.media import Media

log = structlog.get_logger()


def finding_duplicates(
    database: Database, bus: Bus, projector: Durable, base_url: str
) -> Callable[[Message], Awaitable[bytes]]:
    """Answers `catalog.v1.find_digest`; with nothing while the rows are behind the place asked for."""

    async def answer(message: Message) -> bytes:
        asked = msgspec.json.decode(message.data, type=Asked)
        if not await known_through(bus, projector, asked.through):
            log.info("duplicates.behind", through=asked.through)
            return b""
        async with database.reading() as connection:
            return msgspec.json.encode(Answered(media=await find(connection, asked, base_url)))

    return answer


async def find(connection: AsyncConnection, asked: Asked, base_url: str) -> Media | None:
    """The oldest of them, whose id stays the answer however often it is asked; one that failed is no copy to use.

    Only the owner's own rows are looked at, so that neither the answer nor its time tells of anybody else's.
    """
    link = asked.entity
    there: tuple[ColumnElement[bool], ...] = (
        media.c.sha256 == asked.sha256,
        media.c.owner == asked.owner,
        media.c.profile == asked.profile,
        media.c.status != "failed",
        media.c.id != asked.besides,
        rights.readable(Caller(sub=asked.owner)),
    )
    if link is None:
        there += (media.c.entity_type.is_(None),)
    else:
        there += (
            media.c.entity_type == link.type,
            media.c.entity_id == link.id,
            media.c.entity_field == link.field,
        )
    found = await connection.scalar(select(media.c.id).where(*there).order_by(media.c.id).limit(1))
    return None if found is None else await rows.load(connection, found, base_url)
