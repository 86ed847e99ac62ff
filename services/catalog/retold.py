"""Finds out what a relay had told before it could remember that it had.

The broker knows a repeated message for two minutes. A relay that died between telling and committing, and was away for
longer, would store its events a second time, and the first ones would never be erased with their media.
"""

import uuid
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import structlog
from sqlalchemy import Row, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.models import marks
from services.catalog.outbox import EVENT
from shared.events import topology
from shared.events.bus import Bus

log = structlog.get_logger()

TOLD_UP_TO = "told_up_to"
"""The mark behind which, in the media stream, lies all that was told and not remembered."""
RECENT = timedelta(seconds=60)  # well within the broker's own memory
FURTHEST = 10_000  # places that are looked at, should the mark be very old

_NEW = upsert(marks)
_REMEMBER = _NEW.on_conflict_do_update(
    index_elements=[marks.c.name], set_={"value": func.greatest(marks.c.value, _NEW.excluded.value)}
)


class _Identified(msgspec.Struct):
    id: str


async def told_before(
    connection: AsyncConnection, bus: Bus, rows: Sequence[Row[Any]], buried: AbstractSet[uuid.UUID]
) -> dict[uuid.UUID, int]:
    """Where in the stream those rows are that it holds already, of those too old for the broker to know itself and
    of the buried ones, which are not told again. Raises Unavailable."""
    now = datetime.now(UTC)
    wanted = {
        str(row.id): row.id
        for row in rows
        if row.kind == EVENT and (row.id in buried or now - row.created_at > RECENT)
    }
    if not wanted:
        return {}
    mark = await connection.scalar(select(marks.c.value).where(marks.c.name == TOLD_UP_TO))
    last = await bus.last_sequence(topology.MEDIA)
    found: dict[uuid.UUID, int] = {}
    for sequence in range(max(mark or 0, last - FURTHEST) + 1, last + 1):
        message = await bus.read(topology.MEDIA, sequence)
        if message is not None:
            known = wanted.get(msgspec.json.decode(message.data, type=_Identified).id)
            if known is not None:
                found[known] = sequence
    log.info("outbox.looked_back", rows=len(wanted), places=last - (mark or 0), found=len(found))
    return found


async def remember(connection: AsyncConnection, sequence: int) -> None:
    """Whatever was told up to this place is remembered with this transaction."""
    await connection.execute(_REMEMBER, {"name": TOLD_UP_TO, "value": sequence})
