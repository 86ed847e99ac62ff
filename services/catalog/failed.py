"""Media that failed long ago, and that nobody has asked to process again, are deleted where their API promises it."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import select

from services.catalog import commands
from services.catalog.database import CLEANER, Database, lock_media, try_lock
from services.catalog.models import media
from shared.errors import Unavailable

log = structlog.get_logger()

EVERY_SECONDS = 86_400.0
RETRY_SECONDS = 60.0
BATCH = 100  # media in one transaction


async def keep_cleaning(database: Database, profile: str, *, days: int, stop: asyncio.Event) -> None:
    """Once a day until `stop` is set; 0 days is never."""
    while days and not stop.is_set():
        pause = EVERY_SECONDS
        try:
            await clean(database, profile, age=timedelta(days=days))
        except Unavailable as error:
            log.info("failed.not_cleaned", reason=error.detail)
            pause = RETRY_SECONDS
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)


async def clean(database: Database, profile: str, *, age: timedelta, now: datetime | None = None) -> int:
    """How many media of the profile, failed for longer than `age`, were deleted, each as a DELETE would.

    Does nothing while another process is at it. Raises Unavailable.
    """
    overdue = (
        media.c.profile == profile,
        media.c.status == "failed",
        media.c.status_at < (now or datetime.now(UTC)) - age,
    )
    oldest = select(media.c.id).where(*overdue).order_by(media.c.status_at).limit(BATCH)
    count = 0
    while True:
        async with database.writing() as connection:
            if not await try_lock(connection, CLEANER):
                return count
            found = (await connection.scalars(oldest)).all()
            for media_id in sorted(found):
                await lock_media(connection, media_id)
                rows = await connection.execute(select(media).where(media.c.id == media_id, *overdue))
                row = rows.mappings().first()
                if row is not None:  # else somebody was faster: it is processed again, or gone
                    await commands.bury(connection, row)
                    count += 1
        if len(found) < BATCH:
            break
    if count:
        log.info("failed.cleaned", profile=profile, media=count)
    return count
