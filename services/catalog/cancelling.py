"""Stops the processing of a media: the processors are told, and what becomes of it comes back as their event."""

import uuid

from services.catalog import queries
from services.catalog.database import Database, lock_media
from services.catalog.rows import show
from shared.auth import Caller
from shared.errors import Conflict, Forbidden
from shared.events import topology
from shared.events.bus import Bus
from shared.ids import public_id
from shared.media import Media


async def cancel(
    database: Database, bus: Bus, caller: Caller, media_id: uuid.UUID, *, base_url: str
) -> Media:
    """The media as it is now; it fails as `cancelled` within moments, or when its turn would have come.

    Raises NotFound, Forbidden, Conflict where nothing is under way, Unavailable while the broker is down.
    """
    async with database.writing() as connection:
        await lock_media(connection, media_id)
        row = await queries.row_to_change(connection, caller, media_id)
        if not row["may_change"]:
            raise Forbidden(f"You may see {public_id(media_id)} but not change it.")
        if row["status"] != "processing":
            raise Conflict(
                f"{public_id(media_id)} is {row['status']}; only what is processing can be stopped."
            )
        media = show(row, base_url)
    generation = str(row["generation"]).encode()
    # For jobs that still wait, then for those that run: one that begins in between is found by either.
    await bus.kv(topology.CANCELLED).put(str(media_id), generation)
    await bus.broadcast(topology.cancel(str(media_id)), generation)
    return media
