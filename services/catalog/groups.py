"""Groups of duplicates: media of one owner with the same bytes, or that look alike, directly or through others.

A group is what hangs together by `likenesses`. Only its oldest members are looked for, page by page, and each page
follows the links from there, so a page costs what it shows, at any size of the table.
"""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec
from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    column,
    exists,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import rights
from services.catalog.models import likenesses, media
from services.catalog.row_security import unrestricted
from services.catalog.rows import shaped_rows, show_to_caller
from shared.auth import Caller
from shared.media import Media
from shared.similar import Label, label

Kind: TypeAlias = Literal["exact", "near"]
MEMBERS_SHOWN = 50
MEMBERS_COUNTED = 500
_FIRST = uuid.UUID(int=0)
_WEIGHED = (
    media.c.id, media.c.size, media.c.sha256, media.c.width, media.c.height, media.c.phash, media.c.degenerate,
    media.c.created_at,
)  # fmt: skip


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Whose duplicates, of what kind, and how far apart those that look alike may be, in bits."""

    owner: str
    kind: Kind
    max_distance: int


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A media of a group. `same_bytes` and `distance` (in bits, where both have a telling hash) are between it and the
    one to keep."""

    id: uuid.UUID
    public_id: str
    owner: str
    filename: str
    mime_type: str
    size: int
    width: int | None
    height: int | None
    same_bytes: bool
    distance: int | None
    label: Label | None
    url: str
    thumbnail_url: str | None
    created_at: datetime


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Media of which one would do. `keep`: the one with most pixels, among these the largest file, among these the
    oldest. `bytes_to_free`: what the originals of the others take. `count`: of all members, of whom 50 at most are
    shown; where `complete` is false there are more, which were not counted."""

    id: uuid.UUID
    keep: uuid.UUID
    count: int
    bytes_to_free: int
    complete: bool
    members: list[Member]


class Groups(msgspec.Struct, frozen=True, kw_only=True):
    """A page of groups, those with the oldest media first; `next_cursor` is null on the last one. `bytes_to_free`: of
    this page."""

    items: list[Group]
    bytes_to_free: int
    next_cursor: str | None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Groups, and behind which media the next page starts; None where there is none."""

    groups: list[Group]
    end: uuid.UUID | None


async def groups(
    connection: AsyncConnection,
    caller: Caller,
    wanted: Wanted,
    *,
    limit: int,
    after: uuid.UUID | None,
    base_url: str,
) -> Found:
    """At most `limit` groups that begin behind the media `after`. The connection reads for this caller."""
    # Nobody may read likenesses; those count whose ends the caller may see.
    async with unrestricted(connection):
        begun = await _oldest(connection, caller, wanted, after or _FIRST, limit + 1)
        parts = await _hanging_together(connection, caller, wanted, begun[:limit])
    known = {
        row["id"]: row for row in await _weighed(connection, caller, (i for part, _ in parts for i in part))
    }
    split = [(_by_age(known[i] for i in part if i in known), complete) for part, complete in parts]
    found = [_kept_first(rows, complete=complete) for rows, complete in split if len(rows) > 1]
    first_ones = [row["id"] for rows, _ in found for row in rows[:MEMBERS_SHOWN]]
    shown = {
        row["id"]: show_to_caller(row, base_url) for row in await shaped_rows(connection, caller, first_ones)
    }
    return Found(
        groups=[_group(rows, shown, complete=complete) for rows, complete in found],
        end=begun[limit - 1] if len(begun) > limit else None,
    )


async def _oldest(
    connection: AsyncConnection, caller: Caller, wanted: Wanted, after: uuid.UUID, most: int
) -> Sequence[uuid.UUID]:
    """Media that have likenesses and none to an older one: each group has one at least, its oldest among them."""
    link, former = likenesses.alias("link"), likenesses.alias("former")
    linked = (
        select(link.c.older)
        .distinct()
        .where(link.c.owner == wanted.owner, link.c.older > after, _counts(link, caller, wanted))
        .order_by(link.c.older)
        .subquery("linked")
    )
    # With a limit it is asked of one after the other, as many as the page needs; else all would be joined.
    older_one = (
        select(former.c.older)
        .where(former.c.newer == linked.c.older, _counts(former, caller, wanted))
        .limit(1)
        .scalar_subquery()
    )
    begun = select(linked.c.older).where(older_one.is_(None)).order_by(linked.c.older).limit(most)
    return (await connection.scalars(begun)).all()


async def _hanging_together(
    connection: AsyncConnection, caller: Caller, wanted: Wanted, begun: Sequence[uuid.UUID]
) -> list[tuple[set[uuid.UUID], bool]]:
    """What is linked with each of these, directly or through others, and whether that is all of it. Each group comes
    once, with the oldest of all that it begins with, on whatever page that is."""
    firsts = func.unnest(bindparam("begun", list(begun), ARRAY(Uuid)))
    first = firsts.table_valued(column("id", Uuid)).render_derived(name="first")
    link = likenesses.alias("link")
    walk = select(literal_column("first.id", Uuid).label("id")).cte("walk", recursive=True, nesting=True)
    walk = walk.union(
        select(case((link.c.older == walk.c.id, link.c.newer), else_=link.c.older))
        .join(walk, or_(link.c.older == walk.c.id, link.c.newer == walk.c.id))
        .where(_counts(link, caller, wanted))
    )
    part = select(walk.c.id).limit(MEMBERS_COUNTED + 1).lateral("part")
    rows = await connection.execute(select(first.c.id, part.c.id).select_from(first.join(part, true())))
    found: dict[uuid.UUID, list[uuid.UUID]] = {}
    for start, member in rows:
        found.setdefault(start, []).append(member)
    return [
        (set(members[:MEMBERS_COUNTED]), len(members) <= MEMBERS_COUNTED)
        for start, members in found.items()
        if min(members) == start
    ]


def _counts(link: Any, caller: Caller, wanted: Wanted) -> ColumnElement[bool]:
    """Whether a likeness is of the kind that is asked for, between media that the caller may see."""
    near = link.c.distance <= bindparam("most", wanted.max_distance)
    kind: ColumnElement[bool] = link.c.same_bytes if wanted.kind == "exact" else near
    if caller.sees_all or caller.sub == wanted.owner:
        return kind
    ends = (
        exists(select(media.c.id).where(media.c.id == end, rights.readable(caller)).correlate(link))
        for end in (link.c.older, link.c.newer)
    )
    return and_(kind, *ends)


async def _weighed(
    connection: AsyncConnection, caller: Caller, ids: Iterable[uuid.UUID]
) -> Sequence[RowMapping]:
    those = media.c.id == any_(bindparam("ids", list(ids), ARRAY(Uuid)))
    return (
        (await connection.execute(select(*_WEIGHED).where(those, rights.readable(caller)))).mappings().all()
    )


def _by_age(rows: Iterable[RowMapping]) -> list[RowMapping]:
    return sorted(rows, key=lambda row: (row["created_at"], row["id"]))


def _kept_first(rows: list[RowMapping], *, complete: bool) -> tuple[list[RowMapping], bool]:
    """The one to keep, then the others as they came."""

    def worth(row: RowMapping) -> tuple[int, int, float]:
        return (row["width"] or 0) * (row["height"] or 0), row["size"], -row["created_at"].timestamp()

    keep = max(rows, key=worth)
    return [keep, *(row for row in rows if row is not keep)], complete


def _group(rows: list[RowMapping], shown: dict[uuid.UUID, Media], *, complete: bool) -> Group:
    keep = rows[0]
    return Group(
        id=min(row["id"] for row in rows),
        keep=keep["id"],
        count=len(rows),
        bytes_to_free=sum(row["size"] for row in rows[1:]),
        complete=complete,
        members=[_member(row, keep, shown[row["id"]]) for row in rows[:MEMBERS_SHOWN] if row["id"] in shown],
    )


def _member(row: RowMapping, keep: RowMapping, media_: Media) -> Member:
    telling = all(one["phash"] is not None and not one["degenerate"] for one in (row, keep))
    distance = ((row["phash"] ^ keep["phash"]) % 2**64).bit_count() if telling else None
    return Member(
        id=media_.id,
        public_id=media_.public_id,
        owner=media_.owner,
        filename=media_.filename,
        mime_type=media_.mime_type,
        size=media_.size,
        width=media_.width,
        height=media_.height,
        same_bytes=row["sha256"] == keep["sha256"],
        distance=distance,
        label=None if distance is None else label(distance),
        url=media_.url,
        thumbnail_url=media_.thumbnail_url,
        created_at=media_.created_at,
    )
