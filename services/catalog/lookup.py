"""The media of many entities at once: what a page that lists entities asks for."""

from collections.abc import Sequence

from sqlalchemy import Text, bindparam, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import rights
from services.catalog.models import media
from services.catalog.rows import shaped_for, show_to_caller
from shared.auth import Caller
from shared.media import Media

MOST = 50
"""Media of one entity."""


async def media_of(
    connection: AsyncConnection, caller: Caller, entity_type: str, ids: Sequence[str], base_url: str
) -> dict[str, list[Media]]:
    """What the caller may see of each entity, newest first; an empty list where that is nothing."""
    items: dict[str, list[Media]] = {entity_id: [] for entity_id in ids}
    asked = func.unnest(bindparam("ids", list(items), ARRAY(Text))).table_valued("id").render_derived("asked")
    newest = (media.c.created_at.desc(), media.c.id.desc())
    # Entity by entity, so that one with a million media costs no more than one with fifty.
    some = (
        select(media.c.id)
        .where(media.c.entity_type == entity_type, media.c.entity_id == asked.c.id, rights.readable(caller))
        .order_by(*newest)
        .limit(MOST)
        .lateral()
    )
    picked = select(some.c.id).select_from(asked.join(some, true())).subquery()
    found = shaped_for(caller).join(picked, picked.c.id == media.c.id).order_by(*newest)
    for row in (await connection.execute(found)).mappings():
        items[row["entity_id"]].append(show_to_caller(row, base_url))
    return items
