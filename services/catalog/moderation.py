"""Decisions on media: who may take them, what they change, and what is told of them. Each is one transaction with its
row of history and its events.

`media.moderation` is the state of now; `moderation_decisions` is how it came to be. Two moderators do not overwrite
each other: a decision that would overturn another person's needs to say which state it has seen (If-Match, `expected`
or a claim), and what somebody has claimed nobody else but an admin decides on.
"""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import structlog
from sqlalchemy import RowMapping, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import commands, outbox, queries
from services.catalog.conditions import etag_of, matches
from services.catalog.database import Database, lock_media
from services.catalog.models import media, moderation_claims, moderation_decisions
from services.catalog.moderation_schemas import (
    HISTORY,
    NOTE_CHARS,
    REASON_CHARS,
    Claim,
    Decision,
    ModerationRecord,
    ModerationRequest,
)
from services.catalog.rows import Record, show_to_caller
from services.catalog.sight import is_public
from shared.auth import Caller
from shared.errors import Conflict, Forbidden, Invalid, PreconditionFailed
from shared.events.messages import MediaModerated
from shared.fields import check_limited
from shared.ids import new_id, public_id
from shared.media import Media

log = structlog.get_logger()

NEEDS_REASON = ("rejected", "flagged")
_TICK = timedelta(microseconds=1)


def require_moderator(caller: Caller) -> None:
    """Raises Forbidden."""
    if not caller.sees_all:
        raise Forbidden("Moderation needs the role moderator, admin or service.")


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is decided of a media, by whom; without a reviewer by the catalog, because of `matched`."""

    state: str
    reason: str | None = None
    note: str | None = None
    reviewer: str | None = None
    matched: uuid.UUID | None = None
    distance: int | None = None


async def decide(
    database: Database,
    caller: Caller,
    media_id: uuid.UUID,
    asked: ModerationRequest,
    *,
    if_match: str | None,
    base_url: str,
) -> tuple[ModerationRecord, Media]:
    """How the media stands afterwards, and the media itself. The same decision once more changes nothing, but that
    the caller looks at it no more. Raises NotFound, Forbidden, Invalid, Conflict, PreconditionFailed."""
    async with database.writing() as connection:
        await lock_media(connection, media_id)
        row = await queries.row_to_change(connection, caller, media_id)
        require_moderator(caller)
        verdict = _verdict(caller, asked)
        last = await last_decision(connection, media_id)
        ended = moderation_claims.c.media_id == media_id
        if _repeats(verdict, row, last):  # somebody else may look at it since
            ended = and_(ended, moderation_claims.c.reviewer == caller.sub)
        else:
            told = _matched(if_match, etag_of(show_to_caller(row, base_url)), media_id)
            claim = await _claim(connection, media_id)
            _require_seen(caller, asked, row, last=last, claim=claim, told=told)
            await record(connection, row, verdict, last=last)
            await commands.tell_updated(connection, media_id, base_url, was_public=is_public(row))
        await connection.execute(delete(moderation_claims).where(ended))
        row = await queries.readable_row(connection, caller, media_id)
        return await _record(connection, row, moderator=True), show_to_caller(row, base_url)


def _matched(if_match: str | None, etag: str, media_id: uuid.UUID) -> bool:
    """Whether the caller has said which state they have seen; `*` says nothing. Raises PreconditionFailed."""
    if if_match is None or if_match.strip() == "*":
        return False
    if not matches(if_match, etag):
        raise PreconditionFailed(
            f"{public_id(media_id)} has changed since: its ETag is {etag}, If-Match says {if_match[:200]}."
        )
    return True


def _verdict(caller: Caller, asked: ModerationRequest) -> Verdict:
    reason = None if asked.reason is None else check_limited("reason", asked.reason, REASON_CHARS)
    note = None if asked.note is None else check_limited("note", asked.note, NOTE_CHARS)
    if reason is None and asked.state in NEEDS_REASON:
        raise Invalid(f"A media is {asked.state} for a reason: say it in `reason`.", field="reason")
    return Verdict(state=asked.state, reason=reason, note=note, reviewer=caller.sub)


def _repeats(verdict: Verdict, row: Record, last: RowMapping | None) -> bool:
    """Whether it is the very decision that was taken last: a retry."""
    if last is None or row["moderation"] != verdict.state:
        return False
    return all(last[name] == getattr(verdict, name) for name in ("state", "reason", "note", "reviewer"))


def _require_seen(
    caller: Caller,
    asked: ModerationRequest,
    row: Record,
    *,
    last: RowMapping | None,
    claim: Claim | None,
    told: bool,
) -> None:
    """Raises Conflict where the caller does not know of what another has done. `told`: If-Match has said it."""
    name, state = public_id(row["id"]), row["moderation"]
    if asked.expected is not None and asked.expected != state:
        raise Conflict(f"{name} is {state} by now, not {asked.expected}.", state=state)
    mine = claim is not None and claim.reviewer == caller.sub
    if claim is not None and not mine and "admin" not in caller.roles:
        raise Conflict(
            f"{name} is claimed by another moderator until {claim.until:%Y-%m-%dT%H:%M:%SZ}.", state=state
        )
    known = told or mine or asked.expected is not None
    if not known and last is not None and last["reviewer"] not in {None, caller.sub}:
        raise Conflict(
            f"Another moderator has decided that {name} is {state}. To decide anew, say what you have seen: "
            f'"expected": "{state}", or If-Match.',
            state=state,
        )


async def record(
    connection: AsyncConnection, row: Record, verdict: Verdict, *, last: RowMapping | None
) -> None:
    """A decision on a locked media: its row, the state, and `media.moderated`. Whoever calls tells the new state."""
    decided_at = datetime.now(UTC)
    if last is not None:  # two in one tick of the clock, or by two clocks, keep their order
        decided_at = max(decided_at, last["decided_at"] + _TICK)
    event = MediaModerated(
        id=row["id"],
        decision=new_id(),
        owner=row["owner"],
        media_type=row["media_type"],
        was=row["moderation"],
        moderated_at=decided_at,
        **msgspec.structs.asdict(verdict),
    )
    await connection.execute(insert(moderation_decisions).values(row_of(event)))
    await connection.execute(
        update(media)
        .where(media.c.id == row["id"])
        .values(moderation=verdict.state, edited_at=func.greatest(media.c.edited_at, decided_at))
    )
    await outbox.moderated(connection, event)
    log.info(
        "media.moderated",
        media_id=str(event.id),
        was=event.was,
        state=event.state,
        reviewer=event.reviewer,
        matched=str(event.matched) if event.matched else None,
        decision=str(event.decision),
    )


def row_of(event: MediaModerated) -> dict[str, Any]:
    """The row of history that a decision is."""
    return {
        "id": event.decision,
        "media_id": event.id,
        "was": event.was,
        "state": event.state,
        "reason": event.reason,
        "note": event.note,
        "reviewer": event.reviewer,
        "matched": event.matched,
        "distance": event.distance,
        "decided_at": event.moderated_at,
    }


async def last_decision(connection: AsyncConnection, media_id: uuid.UUID) -> RowMapping | None:
    found = select(moderation_decisions).where(moderation_decisions.c.media_id == media_id)
    newest = found.order_by(moderation_decisions.c.decided_at.desc()).limit(1)
    return (await connection.execute(newest)).mappings().first()


async def history(connection: AsyncConnection, caller: Caller, media_id: uuid.UUID) -> ModerationRecord:
    """Owners are told state and reasons, moderators who and why as well. Raises NotFound, and Forbidden where the
    caller may only see the media."""
    row = await queries.readable_row(connection, caller, media_id)
    if not row["may_change"] and not caller.sees_all:
        raise Forbidden(f"You may see {public_id(media_id)}, but what was decided of it is for its owner.")
    return await _record(connection, row, moderator=caller.sees_all)


async def _record(connection: AsyncConnection, row: Record, *, moderator: bool) -> ModerationRecord:
    found = (
        select(moderation_decisions)
        .where(moderation_decisions.c.media_id == row["id"])
        .order_by(moderation_decisions.c.decided_at.desc())
        .limit(HISTORY)
    )
    decisions = [
        decision_of(each, moderator=moderator) for each in (await connection.execute(found)).mappings()
    ]
    return ModerationRecord(
        id=row["id"],
        public_id=public_id(row["id"]),
        state=row["moderation"],
        reason=decisions[0].reason if decisions else None,
        since=decisions[0].decided_at if decisions else row["created_at"],
        claim=await _claim(connection, row["id"]) if moderator else None,
        history=decisions,
    )


def decision_of(row: Any, *, moderator: bool) -> Decision:
    """A row of history as it is shown."""
    return Decision(
        state=row["state"],
        was=row["was"],
        reason=row["reason"],
        automatic=row["reviewer"] is None,
        decided_at=row["decided_at"],
        reviewer=row["reviewer"] if moderator else None,
        note=row["note"] if moderator else None,
        matched=row["matched"] if moderator else None,
        distance=row["distance"] if moderator else None,
    )


async def _claim(connection: AsyncConnection, media_id: uuid.UUID) -> Claim | None:
    """Whoever looks at it now."""
    found = select(moderation_claims.c.reviewer, moderation_claims.c.until).where(
        moderation_claims.c.media_id == media_id, moderation_claims.c.until > func.now()
    )
    row = (await connection.execute(found)).mappings().first()
    return None if row is None else Claim(**row)
