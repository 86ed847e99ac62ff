"""Pictures that look alike: those whose perceptual hashes differ in few bits."""

import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
import structlog
from sqlalchemy import BIGINT, Integer, Select, Uuid, bindparam, column, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import queries, rights
from services.catalog.database import Database
from services.catalog.hashes import from_hex
from services.catalog.models import media
from services.catalog.rows import shaped_for, show_to_caller
from shared.auth import Caller
from shared.events.bus import Message
from shared.similar import Asked, Neighbour, Neighbours, label
from shared.turns import TURNS, Tolerance, Transform, tolerated

log = structlog.get_logger()

SIMILAR_MOST = 200  # neighbours that one answer holds
ANSWER_BYTES = 768 * 1024  # of one over the broker, which takes messages of a megabyte
_FOUND = (column("id", Uuid), column("distance", Integer))


def near(phash: int, distance: int) -> Select[Any]:
    """A select of (id, distance) of all media whose hash is within `distance` bits, at most 11; exact and no scan."""
    found = func.media_near(bindparam("phash", phash, BIGINT), bindparam("most", distance, Integer))
    return select(found.table_valued(*_FOUND, name="near"))


async def similar_media(
    connection: AsyncConnection,
    caller: Caller,
    media_id: uuid.UUID,
    *,
    max_distance: int,
    base_url: str,
    tolerance: frozenset[Tolerance] = frozenset(),
) -> Neighbours:
    """What looks like this media, nearest first; none for a media without a telling hash. Raises NotFound."""
    asked = await queries.readable_row(connection, caller, media_id)
    if asked["phash"] is None or asked["degenerate"]:
        return Neighbours(items=[])
    turned = dict(zip(TURNS, asked["phash_turned"] or (), strict=False))
    looks: list[tuple[Transform, int]] = [("none", asked["phash"])]
    looks += [(turn, turned[turn]) for turn in tolerated(tolerance) if turn in turned]
    return await find(
        connection, caller, looks, max_distance=max_distance, base_url=base_url, besides=media_id
    )


async def find(
    connection: AsyncConnection,
    caller: Caller,
    looks: Iterable[tuple[Transform, int]],
    *,
    max_distance: int,
    base_url: str,
    besides: uuid.UUID | None = None,
    limit: int = SIMILAR_MOST,
) -> Neighbours:
    """What the caller may see that is near to any of these hashes, by the nearest of them; the first of equally near
    ones names the way that it lies."""
    wanted = list(looks)
    nearest = _nearest([phash for _, phash in wanted], max_distance).subquery("nearest")
    answer = (
        shaped_for(caller, nearest.c.distance, nearest.c.place)
        .join(nearest, nearest.c.id == media.c.id)
        .where(rights.readable(caller))
        .order_by(nearest.c.distance, media.c.id)
        .limit(limit)
    )
    if besides is not None:
        answer = answer.where(media.c.id != besides)
    rows = (await connection.execute(answer)).mappings().all()
    items = [
        Neighbour(
            distance=row["distance"],
            label=label(row["distance"]),
            transform=wanted[row["place"] - 1][0],
            media=show_to_caller(row, base_url),
        )
        for row in rows
    ]
    return Neighbours(items=items, searched=tuple(transform for transform, _ in wanted))


def _nearest(phashes: list[int], distance: int) -> Select[Any]:
    """(id, distance, place) of all media near to one of these hashes: by which, counted from 1, and how near."""
    asked = func.unnest(bindparam("phashes", phashes, ARRAY(BIGINT)))
    looks = asked.table_valued(
        column("phash", BIGINT), with_ordinality="place", name="looks"
    ).render_derived()
    found = func.media_near(looks.c.phash, bindparam("most", distance, Integer))
    each = found.table_valued(*_FOUND, name="near").lateral()
    return (
        select(each.c.id, each.c.distance, looks.c.place)
        .select_from(looks.join(each, true()))
        .ext(distinct_on(each.c.id))
        .order_by(each.c.id, each.c.distance, looks.c.place)
    )


def finding_similar(database: Database, base_url: str) -> Callable[[Message], Awaitable[bytes]]:
    """Answers `catalog.v1.find_similar`: what the one who asks may see, as many of the nearest as a message holds."""

    async def answer(message: Message) -> bytes:
        asked = msgspec.json.decode(message.data, type=Asked)
        looks = [
            (look.transform, phash) for look in asked.looks if (phash := from_hex(look.phash)) is not None
        ]
        async with database.reading_for(asked.caller) as connection:
            found = await find(
                connection,
                asked.caller,
                looks,
                max_distance=asked.max_distance,
                base_url=base_url,
                limit=min(asked.limit, SIMILAR_MOST),
            )
        return fitting(found)

    return answer


def fitting(found: Neighbours, most: int = ANSWER_BYTES) -> bytes:
    """As JSON of at most so many bytes; those that look least alike are left out where it would be longer."""
    while len(data := msgspec.json.encode(found)) > most:
        kept = found.items[: len(found.items) * most // (len(data) + 1)]
        log.info("similar.shortened", found=len(found.items), told=len(kept))
        found = msgspec.structs.replace(found, items=kept)
    return data
