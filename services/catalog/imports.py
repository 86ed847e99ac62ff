"""What an import may not take: ids, numbers and public ids that media have, and ids of deleted ones."""

from collections.abc import Awaitable, Callable

import msgspec
from sqlalchemy import Uuid, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import queries
from services.catalog.database import Database
from services.catalog.models import media, tombstones
from shared.events.bus import Message
from shared.imports import Answered, Asked


def finding_imports(database: Database) -> Callable[[Message], Awaitable[bytes]]:
    """Answers `catalog.v1.find_import`."""

    async def answer(message: Message) -> bytes:
        asked = msgspec.json.decode(message.data, type=Asked)
        async with database.reading() as connection:
            return msgspec.json.encode(await find(connection, asked))

    return answer


async def find(connection: AsyncConnection, asked: Asked) -> Answered:
    """Whoever owns them: who may import may know."""
    ids = bindparam("ids", list(asked.ids), ARRAY(Uuid))
    known = await connection.scalars(select(media.c.id).where(media.c.id == any_(ids)))
    gone = await connection.scalars(select(tombstones.c.media_id).where(tombstones.c.media_id == any_(ids)))
    number = public_id = None
    if asked.number is not None:
        number = await connection.scalar(select(media.c.id).where(media.c.number == asked.number))
    if asked.public_id is not None:
        public_id = await queries.imported_as(connection, asked.public_id)
    return Answered(known=tuple(known), gone=tuple(gone), number=number, public_id=public_id)
