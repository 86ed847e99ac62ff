"""Which media a caller may see at this moment: what rows say, for those who are told of events."""

import uuid
from collections.abc import Iterable

from sqlalchemy import Uuid, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from services.catalog import rights
from services.catalog.database import Database
from services.catalog.models import media
from shared.auth import Caller


async def seen(
    database: Database, caller: Caller, ids: Iterable[uuid.UUID], only: frozenset[str] | None = None
) -> dict[uuid.UUID, bool]:
    """Of these media the ones that the caller may see, each with whether they may change it."""
    asked = bindparam(None, list(ids), ARRAY(Uuid))
    found = select(media.c.id, rights.changeable(caller)).where(
        media.c.id == any_(asked), rights.readable(caller)
    )
    if only is not None:
        found = found.where(media.c.profile.in_(only))
    async with database.reading_for(caller) as connection:
        return {row[0]: row[1] for row in await connection.execute(found)}
