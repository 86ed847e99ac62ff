"""What becomes of a user who leaves: what was theirs goes, and nothing that names them stays."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import commands, registry
from services.catalog.database import Database, lock_media, lock_owner, lock_text
from services.catalog.models import media, moderation_claims, moderation_decisions

BATCH = 100  # media in one transaction
LEEWAY = timedelta(minutes=1)
"""By which the clocks of two systems may differ: what was uploaded just before must not outlive its owner."""
SOMEBODY = "a user who has left"
"""The reviewer of decisions whose moderator has left."""
_NOTE = text(
    "INSERT INTO departed_users (digest, left_at) VALUES (sha256(convert_to(:sub, 'UTF8')), :until)"
    " ON CONFLICT (digest) DO UPDATE SET left_at = greatest(departed_users.left_at, excluded.left_at)"
)

# Digests cannot be looked up in the rows; the tallies have every owner, and far fewer lines than there are media.
_REMAINING = text(
    "SELECT told.owner, gone.left_at"
    " FROM (SELECT owner FROM tallies UNION SELECT owner FROM tally_changes) AS told"
    " JOIN departed_users AS gone ON gone.digest = sha256(convert_to(told.owner, 'UTF8'))"
    " WHERE EXISTS (SELECT FROM media WHERE media.owner = told.owner AND media.created_at <= gone.left_at)"
)


async def delete_user(database: Database, sub: str, *, until: datetime | None = None) -> int:
    """Delete all that a user has uploaded `until` then (now, where that is not said), as each DELETE would, and forget
    them elsewhere; how many media. What somebody of the same id uploads or decides later on stays, and where entities
    told of later on name them. Raises Unavailable; to be repeated then, which is harmless."""
    until = until or datetime.now(UTC)
    async with database.writing(tell=False) as connection:
        # Who has asked before us whether they have left is waited for; who asks later on hears of it.
        await lock_text(connection, registry.NAMING)
        await lock_owner(connection, sub)
        await note(connection, sub, until)
    count = 0
    while (buried := await _bury_some(database, sub, until)) is not None:
        count += buried
    await registry.forget_user(database, sub, until)
    async with database.writing(tell=False) as connection:
        await forget_reviewer(connection, sub, until)
    return count


async def delete_remaining(database: Database) -> int:
    """Delete what is there of users who have left before it; how many media. Raises Unavailable."""
    async with database.reading() as connection:
        found = (await connection.execute(_REMAINING)).all()
    count = 0
    for owner, left_at in found:
        while (buried := await _bury_some(database, owner, left_at)) is not None:
            count += buried
    return count


async def count_remaining(connection: AsyncConnection) -> int:
    """How many media `delete_remaining` would delete."""
    counts = [
        await connection.scalar(
            select(func.count()).where(media.c.owner == owner, media.c.created_at <= left_at)
        )
        for owner, left_at in (await connection.execute(_REMAINING)).all()
    ]
    return sum(count or 0 for count in counts)


async def _bury_some(database: Database, sub: str, until: datetime) -> int | None:
    """How many of them; None where there are none left."""
    theirs = select(media.c.id).where(media.c.owner == sub, media.c.created_at <= until).limit(BATCH)
    count = 0
    async with database.writing() as connection:
        found = (await connection.scalars(theirs)).all()
        for media_id in sorted(found):
            await lock_media(connection, media_id)
            row = (await connection.execute(select(media).where(media.c.id == media_id))).mappings().first()
            if row is not None:
                await commands.bury(connection, row)
                count += 1
    return count if found else None


async def note(connection: AsyncConnection, sub: str, until: datetime) -> None:
    """Keep a digest of who has left `until` then."""
    await connection.execute(_NOTE, {"sub": sub, "until": until})


async def forget_reviewer(connection: AsyncConnection, sub: str, until: datetime) -> None:
    """Let the decisions that they have made `until` then be somebody's, and nothing be kept for them to look at."""
    await connection.execute(delete(moderation_claims).where(moderation_claims.c.reviewer == sub))
    theirs = (moderation_decisions.c.reviewer == sub, moderation_decisions.c.decided_at <= until)
    await connection.execute(update(moderation_decisions).where(*theirs).values(reviewer=SOMEBODY))
