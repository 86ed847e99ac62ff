"""What becomes of a user who leaves: what was theirs goes, and nothing that names them stays."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import commands, registry
from services.catalog.database import Database, lock_media
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


async def delete_user(database: Database, sub: str, *, until: datetime | None = None) -> int:
    """Delete all that a user has uploaded `until` then (now, where that is not said), as each DELETE would, and forget
    them elsewhere; how many media. What somebody of the same id uploads later on stays. Raises Unavailable; to be
    repeated then, which is harmless."""
    until = until or datetime.now(UTC)
    async with database.writing(tell=False) as connection:
        await connection.execute(_NOTE, {"sub": sub, "until": until})
    count = 0
    while (buried := await _bury_some(database, sub, until)) is not None:
        count += buried
    await registry.forget_user(database, sub)
    async with database.writing(tell=False) as connection:
        await _forget_reviewer(connection, sub)
    return count


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


async def _forget_reviewer(connection: AsyncConnection, sub: str) -> None:
    await connection.execute(delete(moderation_claims).where(moderation_claims.c.reviewer == sub))
    await connection.execute(
        update(moderation_decisions).where(moderation_decisions.c.reviewer == sub).values(reviewer=SOMEBODY)
    )
