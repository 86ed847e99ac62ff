"""What an owner's originals amount to, for the quotas that ingest keeps: asked over the broker, answered from rows."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from sqlalchemy import BigInteger, cast, func, select

from services.catalog.database import Database
from services.catalog.models import media
from shared.events.bus import Bus, Message
from shared.events.topology import Durable
from shared.ids import parse_ref

log = structlog.get_logger()

_PATIENCE_SECONDS = 0.3
_LOOK_SECONDS = 0.02


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Without the media of these ids (uploads under way, which may have a row already); `through`: the place in the
    stream that the rows have to know of."""

    owner: str
    besides: tuple[str, ...] = ()
    through: int = 0


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Originals alone: variants are ours, not the owner's."""

    bytes: int
    objects: int


def using(database: Database, bus: Bus, projector: Durable) -> Callable[[Message], Awaitable[bytes]]:
    """Answers `catalog.v1.usage`; with nothing while the rows do not know the stream up to the place asked for."""

    async def answer(message: Message) -> bytes:
        asked = msgspec.json.decode(message.data, type=Asked)
        if not await known_through(bus, projector, asked.through):
            log.info("usage.behind", owner=asked.owner, through=asked.through)
            return b""
        return msgspec.json.encode(await usage(database, asked))

    return answer


async def usage(database: Database, asked: Asked) -> Usage:
    """Counted row by row. Raises Unavailable."""
    besides = [found for ref in asked.besides if (found := parse_ref(ref))]
    weight = cast(func.coalesce(func.sum(media.c.size), 0), BigInteger)
    query = select(func.count(), weight).where(media.c.owner == asked.owner)
    if besides:
        query = query.where(media.c.id.not_in(besides))
    async with database.reading() as connection:
        objects, size = (await connection.execute(query)).one()
    return Usage(bytes=size, objects=objects)


async def known_through(bus: Bus, projector: Durable, place: int) -> bool:
    """Whether every event up to there is taken in, or is within a moment."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while place and await bus.handled_through(projector) < place:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_LOOK_SECONDS)
    return True
