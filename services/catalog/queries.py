"""The questions: each a function of the caller that returns structs. All of them ask `rights` first."""

import uuid
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Select,
    Uuid,
    any_,
    bindparam,
    exists,
    func,
    or_,
    select,
    true,
    tuple_,
    union,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import cursors, rights
from services.catalog.cursors import Place
from services.catalog.estimate import estimated
from services.catalog.filters.fields import owned_by
from services.catalog.models import media
from services.catalog.row_security import restricted, unrestricted
from services.catalog.rows import Record, shaped, shaped_for, shaped_rows, show_to_caller, view
from services.catalog.schemas import Count, CountKind, TimeSort
from shared.auth import ANONYMOUS, Caller
from shared.dialects.view import View
from shared.errors import NotFound
from shared.events.messages import VariantRef
from shared.media import Media

COUNT_CAP = 10_001
MOST_NUMBER = 2**53 - 1
PLACE = (media.c.created_at, media.c.id)
_EQUAL = (
    "media_type", "status", "entity_type", "entity_id", "entity_field", "owner", "owner_uuid", "is_public",
    "sha256",
)  # fmt: skip


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list is narrowed to; None and no profiles narrow nothing.

    `owner_uid_or_sub`: the owner is this number to APIs that know users by number. `owner_uuid`: the same for those
    that know them by UUID. `ids`: these alone, none where it is empty. `created_before`: older than this.
    """

    profiles: tuple[str, ...] = ()
    media_type: str | None = None
    status: str | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    entity_field: str | None = None
    owner: str | None = None
    owner_uid_or_sub: int | None = None
    owner_uuid: uuid.UUID | None = None
    is_public: bool | None = None
    sha256: str | None = None
    ids: tuple[uuid.UUID, ...] | None = None
    created_before: datetime | None = None


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
    sort: TimeSort,
    limit: int,
    after: Place | None,
    base_url: str,
) -> Page:
    """One page in the order of `sort`, ties by id, from behind `after`."""
    async with unrestricted(connection):  # by the indexes alone, whose columns say nothing of rights
        found = await connection.execute(listing(caller, filters, sort=sort, limit=limit + 1, after=after))
        places = found.all()
    rows = await shaped_rows(connection, caller, (place.id for place in places[:limit]))
    end = (
        cursors.place(sort, rows[-1]["created_at"], rows[-1]["id"]) if rows and len(places) > limit else None
    )
    return Page(items=[show_to_caller(row, base_url) for row in rows], end=end)


def listing(
    caller: Caller, filters: Filters, *, sort: TimeSort, limit: int, after: Place | None
) -> Select[Any]:
    """The places of the first rows behind `after`."""
    order = order_of(sort)
    narrowed = select(*PLACE).where(*conditions(filters)).order_by(*order).limit(limit)
    if after is not None:
        known = tuple_(bindparam("at", after.at, media.c.created_at.type), bindparam("last", after.id))
        narrowed = narrowed.where(tuple_(*PLACE) > known if sort == "created_at" else tuple_(*PLACE) < known)
    ways = _on_each_ground(caller, filters, narrowed)
    return select(ways.c.created_at, ways.c.id).order_by(*_placed(ways, sort)).limit(limit)


def _placed(ways: Any, sort: TimeSort) -> tuple[ColumnElement[Any], ...]:
    ends = (ways.c.created_at, ways.c.id)
    return ends if sort == "created_at" else tuple(column.desc() for column in ends)


def order_of(sort: TimeSort) -> tuple[ColumnElement[Any], ...]:
    return PLACE if sort == "created_at" else tuple(column.desc() for column in PLACE)


def _on_each_ground(caller: Caller, filters: Filters, narrowed: Select[Any]) -> Any:
    """Places of rows that the caller may see. Each ground on which they may is asked by itself, because each has an
    index in this order: somebody who may see ten of a million rows does not wait for the million."""
    ways = [narrowed.where(ground) for ground in _grounds(caller, filters)]
    return (union(*ways) if len(ways) > 1 else ways[0]).subquery()


def _grounds(caller: Caller, filters: Filters) -> tuple[ColumnElement[bool], ...]:
    """What is narrowed to the caller's own needs no other ground."""
    own = caller.sub is not None and filters.owner == caller.sub
    return (true(),) if own else rights.grounds(caller)


def conditions(filters: Filters) -> list[ColumnElement[bool]]:
    """What a row fulfils that the filters let through, whoever asks."""
    found = [media.c[name] == value for name in _EQUAL if (value := getattr(filters, name)) is not None]
    if len(filters.profiles) == 1:  # an equality, so that an index that begins with it keeps its order
        found.append(media.c.profile == filters.profiles[0])
    elif filters.profiles:
        found.append(media.c.profile.in_(filters.profiles))
    if filters.owner_uid_or_sub is not None:
        found.append(owned_by(filters.owner_uid_or_sub))
    if filters.ids is not None:
        found.append(media.c.id == any_(bindparam(None, list(filters.ids), ARRAY(Uuid))))
    if filters.created_before is not None:
        found.append(media.c.created_at < filters.created_before)
    return found


async def offset_page(
    connection: AsyncConnection,
    caller: Caller,
    filters: Filters,
    *,
    sort: TimeSort,
    offset: int,
    limit: int,
    base_url: str,
) -> list[View]:
    """A page of an API that counts its rows from 0. Its time grows with its depth, which that of a cursor does not."""
    async with unrestricted(connection):
        found = offset_listing(caller, filters, sort=sort, offset=offset, limit=limit)
        ids = (await connection.scalars(found)).all()
    return [view(row, base_url) for row in await shaped_rows(connection, caller, ids)]


def offset_listing(
    caller: Caller, filters: Filters, *, sort: TimeSort, offset: int, limit: int
) -> Select[Any]:
    """The ids of the rows behind the first `offset` ones. Only places are skipped, never whole rows, so that pages
    deeper than 10,000 rows are found as well."""
    order = order_of(sort)
    narrowed = select(*PLACE).where(*conditions(filters)).order_by(*order).limit(offset + limit)
    ways = _on_each_ground(caller, filters, narrowed)
    return select(ways.c.id).order_by(*_placed(ways, sort)).offset(offset).limit(limit)


async def count(connection: AsyncConnection, caller: Caller, filters: Filters) -> int:
    """How many there are, exactly."""
    return (
        await connection.scalar(select(func.count()).select_from(media).where(*readable(caller, filters)))
        or 0
    )


def readable(caller: Caller, filters: Filters) -> list[ColumnElement[bool]]:
    """What a row fulfils that the filters let through and that the caller may see."""
    return [or_(*_grounds(caller, filters)), *conditions(filters)]


async def find_view(
    connection: AsyncConnection,
    caller: Caller,
    *,
    filters: Filters,
    number: int | None = None,
    media_id: uuid.UUID | None = None,
    base_url: str,
) -> View | None:
    """The one of this number or id; None where there is none that the filters let through and the caller may see."""
    one = _one(number, media_id)
    if one is None:
        return None
    found = shaped_for(caller).where(one, *readable(caller, filters))
    row = (await connection.execute(found)).mappings().first()
    return None if row is None else view(row, base_url)


async def imported_as(connection: AsyncConnection, name: str) -> uuid.UUID | None:
    """The media of this public id in the older system that it came from, whoever may see it."""
    named = select(media.c.id).where(media.c.imported_as == name).order_by(media.c.id).limit(1)
    found: uuid.UUID | None = await connection.scalar(named)
    return found


async def exists_elsewhere(
    connection: AsyncConnection,
    *,
    filters: Filters,
    number: int | None = None,
    media_id: uuid.UUID | None = None,
) -> bool:
    """Whether there is such a media at all, the caller's to see or not: rights are ignored here. Only for APIs whose
    document answers 403 where ours would answer 404."""
    one = _one(number, media_id)
    if one is None:
        return False
    return bool(await connection.scalar(select(exists().where(one, *conditions(filters)))))


def _one(number: int | None, media_id: uuid.UUID | None) -> ColumnElement[bool] | None:
    """None for a number that no media can have."""
    if media_id is not None:
        return media.c.id == media_id
    return media.c.number == number if number is not None and 0 <= number <= MOST_NUMBER else None


async def count_media(
    connection: AsyncConnection, caller: Caller, filters: Filters, kind: CountKind
) -> Count:
    """How many the list has. An estimate speaks of rows that the caller may not see, so only those who see all
    get one; others get the capped count."""
    matching = select(media.c.id).where(*readable(caller, filters))
    if kind == "estimated" and caller.sees_all:
        return Count(value=await estimated(connection, matching), kind=kind)
    if kind == "exact":
        value = await connection.scalar(select(func.count()).select_from(matching.subquery()))
        return Count(value=value or 0, kind=kind)
    capped = matching.limit(COUNT_CAP).subquery()
    return Count(value=await connection.scalar(select(func.count()).select_from(capped)) or 0, kind="capped")


async def get_media(connection: AsyncConnection, caller: Caller, media_id: uuid.UUID, base_url: str) -> Media:
    """Raises NotFound, also for what the caller may not see."""
    return show_to_caller(await readable_row(connection, caller, media_id), base_url)


async def readable_row(connection: AsyncConnection, caller: Caller, media_id: uuid.UUID) -> Record:
    """A shaped row with `may_change`. Raises NotFound."""
    found = shaped_for(caller).where(media.c.id == media_id, rights.readable(caller))
    row = (await connection.execute(found)).mappings().first()
    if row is None:
        raise absent(str(media_id))
    return row


async def row_to_change(connection: AsyncConnection, caller: Caller, media_id: uuid.UUID) -> Record:
    """A shaped row with `may_change`; the media must be locked. Raises NotFound."""
    async with restricted(connection, caller):
        return await readable_row(connection, caller, media_id)


class Deliverable(msgspec.Struct, frozen=True, kw_only=True):
    """What delivering needs to know of a media; `made_at` is None while nothing is derived yet. `is_public`: everybody
    may see it, so caches may keep it for everybody."""

    id: uuid.UUID
    owner: str
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
    error_code: str | None = None
    error_detail: str | None = None


async def deliverable(connection: AsyncConnection, caller: Caller | None, media_id: uuid.UUID) -> Deliverable:
    """`caller` is None where a signed link has given the right, which holds for what is approved: no link leads around
    a moderator. Raises NotFound."""
    found = shaped(rights.readable(ANONYMOUS).label("open_to_all")).where(media.c.id == media_id)
    found = found.where(media.c.moderation == "approved" if caller is None else rights.readable(caller))
    row = (await connection.execute(found)).mappings().first()
    if row is None:
        raise absent(str(media_id))
    return Deliverable(
        id=row["id"],
        owner=row["owner"],
        key=row["key"],
        filename=row["filename"],
        mime_type=row["mime_type"],
        size=row["size"],
        sha256=row["sha256"],
        is_public=row["open_to_all"],
        status=row["status"],
        created_at=row["created_at"],
        made_at=row["derived_at"],
        variants=tuple(VariantRef(**ref) for ref in row["variants"] or ()),
        error_code=row["error_code"],
        error_detail=row["error_detail"],
    )


async def entity_media_ids(
    connection: AsyncConnection, entity_type: str, entity_id: str, limit: int
) -> list[Any]:
    """Some ids of what hangs on an entity, for the catalog itself."""
    found = select(media.c.id).where(media.c.entity_type == entity_type, media.c.entity_id == entity_id)
    return list((await connection.scalars(found.limit(limit))).all())
