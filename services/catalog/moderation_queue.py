"""What waits for moderators, oldest upload first, and who has taken which of it to look at.

A claim keeps others from being given the same media for some minutes. It ends by itself, with the decision, or when it
is released.
"""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    true,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import cursors
from services.catalog.cursors import Place
from services.catalog.database import Database, lock_text
from services.catalog.models import media, moderation_claims, moderation_decisions
from services.catalog.moderation import decision_of
from services.catalog.moderation_schemas import (
    Claim,
    Claimed,
    ClaimRequest,
    Claims,
    StateCount,
    Waiting,
)
from services.catalog.rows import Record, Shaped, shaped_for, show_to_caller
from shared.auth import Caller
from shared.media import Moderation

WAITING: tuple[Moderation, ...] = ("pending", "flagged")
"""The states that ask for a person."""
COUNT_CAP = 10_000
SORT = "moderation"
_ORDER = (media.c.created_at, media.c.id)
_LOCK = "moderation claims"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the queue is narrowed to. `before`: uploaded before that moment."""

    states: tuple[Moderation, ...] = WAITING
    profile: str | None = None
    media_type: str | None = None
    owner: str | None = None
    before: datetime | None = None
    claimed: Claimed = "any"


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """`end` is the place behind the last item, None when nothing follows."""

    items: list[Waiting]
    end: Place | None


async def page(
    connection: AsyncConnection,
    caller: Caller,
    wanted: Wanted,
    *,
    limit: int,
    after: Place | None,
    base_url: str,
) -> Page:
    """From behind `after`. Whoever asks must be a moderator."""
    ids = _union(_of_state(state, caller, wanted, limit=limit + 1, after=after) for state in wanted.states)
    rows = (await connection.execute(_shown(caller, ids).limit(limit + 1))).mappings().all()
    shown = rows[:limit]
    end = cursors.place(SORT, shown[-1]["created_at"], shown[-1]["id"]) if len(rows) > limit else None
    return Page(items=[_waiting(row, base_url) for row in shown], end=end)


async def counts(connection: AsyncConnection, caller: Caller, wanted: Wanted) -> dict[str, StateCount]:
    """By each state that was asked for, up to a cap: the queue may be long, and its index is walked."""
    found: dict[str, StateCount] = {}
    for state in wanted.states:
        some = select(media.c.id).where(*_conditions(state, caller, wanted)).limit(COUNT_CAP + 1).subquery()
        value = await connection.scalar(select(func.count()).select_from(some)) or 0
        found[state] = StateCount(value=min(value, COUNT_CAP), capped=value > COUNT_CAP)
    return found


async def claim(database: Database, caller: Caller, asked: ClaimRequest, *, base_url: str) -> Claims:
    """What the caller has claimed, its time begun anew, and as many more as fill it up to the limit. Asking again is
    harmless. One claim at a time is made, so that no two are given the same."""
    until = datetime.now(UTC) + timedelta(minutes=asked.minutes)
    table, mine = moderation_claims, moderation_claims.c.reviewer == caller.sub
    async with database.writing(tell=False) as connection:
        await lock_text(connection, _LOCK)
        await connection.execute(delete(table).where(table.c.until <= func.now()))
        held = (await connection.execute(update(table).where(mine).values(until=until))).rowcount
        if held < asked.limit:
            chosen = await _free(connection, caller, asked, asked.limit - held)
            if chosen:
                rows = [{"media_id": media_id, "reviewer": caller.sub, "until": until} for media_id in chosen]
                await connection.execute(insert(table), rows)
        return await claims(connection, caller, base_url=base_url)


async def claims(connection: AsyncConnection, caller: Caller, *, base_url: str) -> Claims:
    """What the caller has claimed."""
    ids = (
        select(*_ORDER)
        .join(moderation_claims, moderation_claims.c.media_id == media.c.id)
        .where(moderation_claims.c.reviewer == caller.sub, moderation_claims.c.until > func.now())
        .subquery()
    )
    rows = (await connection.execute(_shown(caller, ids))).mappings().all()
    items = [_waiting(row, base_url) for row in rows]
    return Claims(items=items, until=min((each.claim.until for each in items if each.claim), default=None))


async def release(database: Database, caller: Caller, media_id: uuid.UUID | None = None) -> int:
    """Let go of a media, or of all that the caller has claimed; how many. An admin lets go of another's, too."""
    table = moderation_claims
    released = delete(table).where(table.c.until > func.now())
    if media_id is not None:
        released = released.where(table.c.media_id == media_id)
    if media_id is None or "admin" not in caller.roles:
        released = released.where(table.c.reviewer == caller.sub)
    async with database.writing(tell=False) as connection:
        return (await connection.execute(released)).rowcount


async def _free(
    connection: AsyncConnection, caller: Caller, asked: ClaimRequest, count: int
) -> list[uuid.UUID]:
    """The next ones that nobody looks at; locked, so that none is deleted before it is claimed."""
    wanted = Wanted(
        states=WAITING if asked.state is None else (asked.state,),
        profile=asked.profile,
        media_type=asked.media_type,
        owner=asked.owner,
        claimed="free",
    )
    ids = _union(_of_state(state, caller, wanted, limit=count) for state in wanted.states)
    first = select(ids.c.id).order_by(ids.c.created_at, ids.c.id).limit(count)
    locked = (
        select(media.c.id)
        .where(media.c.id.in_(first))
        .with_for_update(read=True, key_share=True, skip_locked=True)
    )
    return list((await connection.scalars(locked)).all())


def _of_state(
    state: Moderation, caller: Caller, wanted: Wanted, *, limit: int, after: Place | None = None
) -> Select[Any]:
    found = select(*_ORDER).where(*_conditions(state, caller, wanted)).order_by(*_ORDER).limit(limit)
    if after is None:
        return found
    return found.where(tuple_(*_ORDER) > tuple_(bindparam("at", after.at), bindparam("last", after.id)))


def _conditions(state: Moderation, caller: Caller, wanted: Wanted) -> list[ColumnElement[bool]]:
    # The state stands in the statement itself: the index is one of some states only.
    found = [media.c.moderation == bindparam(None, state, Text, literal_execute=True)]
    equal = {name: getattr(wanted, name) for name in ("profile", "media_type", "owner")}
    found += [media.c[name] == value for name, value in equal.items() if value is not None]
    if wanted.before is not None:
        found.append(media.c.created_at < wanted.before)
    if wanted.claimed == "mine":
        found.append(_claimed(moderation_claims.c.reviewer == caller.sub))
    if wanted.claimed == "free":
        found.append(~_claimed(true()))
    return found


def _claimed(by: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists(
        select(moderation_claims.c.media_id).where(
            moderation_claims.c.media_id == media.c.id, moderation_claims.c.until > func.now(), by
        )
    )


def _union(ways: Iterable[Select[Any]]) -> Any:
    return union_all(*(select(way.subquery()) for way in ways)).subquery()


def _shown(caller: Caller, ids: Any) -> Shaped:
    """The rows of these places in order, each with its claim and its last decision."""
    newest = (
        select(moderation_decisions)
        .where(moderation_decisions.c.media_id == media.c.id)
        .order_by(moderation_decisions.c.decided_at.desc())
        .limit(1)
        .lateral("newest")
    )
    held = moderation_claims
    current = and_(held.c.media_id == media.c.id, held.c.until > func.now())
    columns = [newest.c[name].label(f"decided_{name}") for name in newest.c.keys()]  # noqa: SIM118 - not a dict
    return (
        shaped_for(caller, held.c.reviewer.label("claimed_by"), held.c.until.label("claimed_until"), *columns)
        .join(ids, ids.c.id == media.c.id)
        .outerjoin(held, current)
        .outerjoin(newest, true())
        .order_by(*_ORDER)
    )


def _waiting(row: Record, base_url: str) -> Waiting:
    decided = {
        name.removeprefix("decided_"): value for name, value in row.items() if name.startswith("decided_")
    }
    decision = decision_of(decided, moderator=True) if decided["id"] is not None else None
    claimed = Claim(reviewer=row["claimed_by"], until=row["claimed_until"]) if row["claimed_by"] else None
    return Waiting(
        media=show_to_caller(row, base_url),
        since=decision.decided_at if decision else row["created_at"],
        decision=decision,
        claim=claimed,
    )
