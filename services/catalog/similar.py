"""Pictures that look alike: those whose perceptual hashes differ in few bits."""

import uuid
from typing import Any

from sqlalchemy import BIGINT, Integer, any_, bindparam, cast, func, literal_column, select, union
from sqlalchemy.dialects.postgresql import ARRAY, BIT
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import queries, rights
from services.catalog.hashes import neighbours
from services.catalog.models import SIMILAR, band_sql, media
from services.catalog.rows import shaped_for, show_to_caller
from services.catalog.schemas import Label, Neighbour
from shared.auth import Caller

SIMILAR_MOST = 200  # neighbours that one answer holds


async def similar_media(
    connection: AsyncConnection, caller: Caller, media_id: uuid.UUID, *, max_distance: int, base_url: str
) -> list[Neighbour]:
    """What looks like this media, nearest first; none for a media without a telling hash. Raises NotFound."""
    asked = await queries.readable_row(connection, caller, media_id)
    if asked["phash"] is None or asked["degenerate"]:
        return []
    found = near(asked["phash"], max_distance).subquery()
    answer = (
        shaped_for(caller, found.c.distance)
        .join(found, found.c.id == media.c.id)
        .where(media.c.id != media_id, rights.readable(caller))
        .order_by(found.c.distance, media.c.id)
        .limit(SIMILAR_MOST)
    )
    rows = (await connection.execute(answer)).mappings().all()
    return [
        Neighbour(distance=row["distance"], label=label(row["distance"]), media=show_to_caller(row, base_url))
        for row in rows
    ]


def near(phash: int, distance: int) -> Any:
    """A select of (id, distance) of all media whose hash is within `distance` bits, exact and without a scan."""
    differing = cast(media.c.phash.op("#")(bindparam("phash", phash, BIGINT)), BIT(64))
    bits = func.bit_count(differing, type_=Integer).label("distance")
    tries = [
        select(media.c.id, bits).where(
            literal_column(band_sql(band), BIGINT) == any_(bindparam(f"band_{band}", values, ARRAY(BIGINT))),
            SIMILAR,
            bits <= distance,
        )
        for band, values in enumerate(neighbours(phash, distance))
        if values
    ]
    return union(*tries) if len(tries) > 1 else tries[0]


def label(distance: int) -> Label:
    """0 identical, 1 to 5 very similar, from 6 on similar."""
    if distance == 0:
        return "identical"
    return "very_similar" if distance <= 5 else "similar"
