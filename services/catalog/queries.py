"""The questions: each a function of the caller that returns structs. All of them ask `rights` first."""

import uuid
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    BIGINT,
    ColumnElement,
    Integer,
    any_,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    tuple_,
    union,
)
from sqlalchemy.dialects.postgresql import ARRAY, BIT
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import cursors, rights
from services.catalog.cursors import Place
from services.catalog.hashes import neighbours
from services.catalog.models import SIMILAR, band_sql, media
from services.catalog.rows import Record, Shaped, shaped, shaped_for, show_to_caller
from services.catalog.schemas import Count, CountKind, Label, Neighbour, Sort
from shared.auth import Caller
from shared.errors import NotFound
from shared.events.messages import VariantRef
from shared.media import Media

COUNT_CAP = 10_001
SIMILAR_MOST = 200  # neighbours that one answer holds


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list is narrowed to; None narrows nothing."""

    media_type: str | None = None
    status: str | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    owner: str | None = None
    is_public: bool | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """`end` is the place behind the last item, None when nothing follows."""

    items: list[Media]
    end: Place | None


def absent(ref: str) -> NotFound:
    """The one answer for what is not there and what the caller may not know of."""
    return NotFound(f"There is no media {ref[:80]}.")


async def list_media(
    connection: AsyncConnection,
    caller: Caller,
    filters: Filters,
    *,
    sort: Sort,
    limit: int,
    after: Place | None,
    base_url: str,
) -> Page:
    """One page in the order of `sort`, ties by id, from behind `after`."""
    found = listing(caller, filters, sort=sort, limit=limit + 1, after=after)
    rows = (await connection.execute(found)).mappings().all()
    shown = rows[:limit]
    end = cursors.place(sort, shown[-1]["created_at"], shown[-1]["id"]) if len(rows) > limit else None
    return Page(items=[show_to_caller(row, base_url) for row in shown], end=end)


def listing(caller: Caller, filters: Filters, *, sort: Sort, limit: int, after: Place | None) -> Shaped:
    """The first rows behind `after`. Each ground on which the caller may see a row is asked by itself, because each
    has an index in this order: somebody who may see ten of a million rows does not wait for the million."""
    place = (media.c.created_at, media.c.id)
    order = place if sort == "created_at" else tuple(column.desc() for column in place)
    narrowed = select(*place).where(*_conditions(filters)).order_by(*order).limit(limit)
    if after is not None:
        known = tuple_(bindparam("at", after.at, media.c.created_at.type), bindparam("last", after.id))
        narrowed = narrowed.where(tuple_(*place) > known if sort == "created_at" else tuple_(*place) < known)
    ways = [narrowed.where(ground) for ground in rights.grounds(caller)]
    ids = (union(*ways) if len(ways) > 1 else ways[0]).subquery()
    return shaped_for(caller).join(ids, ids.c.id == media.c.id).order_by(*order).limit(limit)


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    wanted = msgspec.structs.asdict(filters)
    return [media.c[name] == value for name, value in wanted.items() if value is not None]


async def count_media(
    connection: AsyncConnection, caller: Caller, filters: Filters, kind: CountKind
) -> Count:
    """How many the list has. An estimate speaks of rows that the caller may not see, so only those who see all
    get one; others get the capped count."""
    matching = select(media.c.id).where(rights.readable(caller), *_conditions(filters))
    if kind == "estimated" and caller.sees_all:
        return Count(value=await _estimate(connection, matching), kind=kind)
    if kind == "exact":
        value = await connection.scalar(select(func.count()).select_from(matching.subquery()))
        return Count(value=value or 0, kind=kind)
    capped = matching.limit(COUNT_CAP).subquery()
    return Count(value=await connection.scalar(select(func.count()).select_from(capped)) or 0, kind="capped")


async def _estimate(connection: AsyncConnection, matching: Any) -> int:
    compiled = matching.compile(dialect=connection.dialect)
    plan = await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {compiled}", compiled.params)
    return int(plan.scalar_one()[0]["Plan"]["Plan Rows"])


async def get_media(connection: AsyncConnection, caller: Caller, media_id: uuid.UUID, base_url: str) -> Media:
    """Raises NotFound, also for what the caller may not see."""
    return show_to_caller(await _readable_row(connection, caller, media_id), base_url)


async def _readable_row(connection: AsyncConnection, caller: Caller, media_id: uuid.UUID) -> Record:
    found = shaped_for(caller).where(media.c.id == media_id, rights.readable(caller))
    row = (await connection.execute(found)).mappings().first()
    if row is None:
        raise absent(str(media_id))
    return row


async def row_to_change(connection: AsyncConnection, caller: Caller, media_id: uuid.UUID) -> Record:
    """A shaped row with `may_change`; the media must be locked. Raises NotFound."""
    return await _readable_row(connection, caller, media_id)


class Deliverable(msgspec.Struct, frozen=True, kw_only=True):
    """What delivering needs to know of a media; `made_at` is None while nothing is derived yet."""

    id: uuid.UUID
    key: str
    filename: str
    mime_type: str
    size: int
    sha256: str
    is_public: bool
    status: str
    created_at: datetime
    made_at: datetime | None
    variants: tuple[VariantRef, ...]


async def deliverable(connection: AsyncConnection, caller: Caller | None, media_id: uuid.UUID) -> Deliverable:
    """`caller` is None where a signed link has given the right. Raises NotFound."""
    found = shaped().where(media.c.id == media_id)
    if caller is not None:
        found = found.where(rights.readable(caller))
    row = (await connection.execute(found)).mappings().first()
    if row is None:
        raise absent(str(media_id))
    return Deliverable(
        id=row["id"],
        key=row["key"],
        filename=row["filename"],
        mime_type=row["mime_type"],
        size=row["size"],
        sha256=row["sha256"],
        is_public=row["is_public"],
        status=row["status"],
        created_at=row["created_at"],
        made_at=row["derived_at"],
        variants=tuple(VariantRef(**ref) for ref in row["variants"] or ()),
    )


async def similar_media(
    connection: AsyncConnection, caller: Caller, media_id: uuid.UUID, *, max_distance: int, base_url: str
) -> list[Neighbour]:
    """What looks like this media, nearest first; none for a media without a telling hash. Raises NotFound."""
    asked = await _readable_row(connection, caller, media_id)
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


async def entity_media_ids(
    connection: AsyncConnection, entity_type: str, entity_id: str, limit: int
) -> list[Any]:
    """Some ids of what hangs on an entity, for the catalog itself."""
    found = select(media.c.id).where(media.c.entity_type == entity_type, media.c.entity_id == entity_id)
    return list((await connection.scalars(found.limit(limit))).all())


async def owner_media_ids(connection: AsyncConnection, owner: str, limit: int) -> list[Any]:
    """Some ids of what a user owns, for the catalog itself."""
    return list(
        (await connection.scalars(select(media.c.id).where(media.c.owner == owner).limit(limit))).all()
    )
