"""Media that failed long ago, and that nobody has asked to process again, are deleted: nothing was made of them."""

import asyncio
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec
import structlog
from sqlalchemy import ColumnElement, and_, or_, select, tuple_

from services.catalog import commands
from services.catalog.database import CLEANER, Database, lock_media, try_lock
from services.catalog.models import media
from shared.dialects import mediafiles
from shared.env import Env
from shared.errors import Unavailable
from shared.events.messages import MediaType
from shared.profiles import Profiles

log = structlog.get_logger()

EVERY_SECONDS = 86_400.0
RETRY_SECONDS = 60.0
BATCH = 100  # media in one transaction
GIVEN_UP = "interrupted"
"""The processor's code for a job that never got to a verdict: that is no fault of the file."""


class Ages(msgspec.Struct, frozen=True, kw_only=True):
    """After how many days what failed is deleted; 0 is never. `mediafiles`: of that API, which promises it whatever
    the reason was; `others`: of all else, unless the processor has given up without a verdict on the file, or it is
    one of those that its profile keeps whatever is wrong with them: `kept`, pairs of profile and media type."""

    mediafiles: int = 7
    others: int = 7
    kept: tuple[tuple[str, MediaType], ...] = ()

    @classmethod
    def from_env(cls, env: Env, profiles: Profiles) -> "Ages":
        return cls(
            mediafiles=env.integer("TRIPOD_MEDIAFILES_FAILED_DAYS", 7, least=0, most=36_500),
            others=env.integer("TRIPOD_FAILED_DAYS", 7, least=0, most=36_500),
            kept=tuple((name, kind) for name, profile in profiles.items() for kind in profile.keep_failed),
        )

    def overdue(self, now: datetime) -> ColumnElement[bool]:
        """The rows whose time is up."""
        promised = media.c.profile == mediafiles.PROFILE
        of: list[ColumnElement[bool]] = []
        if self.mediafiles:
            of.append(and_(promised, media.c.status_at < now - timedelta(days=self.mediafiles)))
        if self.others:
            old = media.c.status_at < now - timedelta(days=self.others)
            kept = tuple_(media.c.profile, media.c.media_type).in_(self.kept)
            of.append(and_(~promised, ~kept, old, media.c.error_code.is_distinct_from(GIVEN_UP)))
        return and_(media.c.status == "failed", or_(False, *of))  # noqa: FBT003 - SQL's


async def keep_cleaning(database: Database, ages: Ages, *, stop: asyncio.Event) -> None:
    """Once a day until `stop` is set."""
    while not stop.is_set():
        pause = EVERY_SECONDS
        try:
            await clean(database, ages)
        except Unavailable as error:
            log.info("failed.not_cleaned", reason=error.detail)
            pause = RETRY_SECONDS
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)


async def find(database: Database, ages: Ages, *, now: datetime | None = None) -> list[uuid.UUID]:
    """The media that `clean` would delete. Raises Unavailable."""
    async with database.reading() as connection:
        found = select(media.c.id).where(ages.overdue(now or datetime.now(UTC)))
        return list(await connection.scalars(found.order_by(media.c.status_at)))


async def clean(database: Database, ages: Ages, *, now: datetime | None = None) -> list[uuid.UUID]:
    """The media that failed longer ago than their age and were deleted, each as a DELETE would.

    Does nothing while another process is at it. Raises Unavailable.
    """
    overdue = ages.overdue(now or datetime.now(UTC))
    oldest = select(media.c.id).where(overdue).order_by(media.c.status_at).limit(BATCH)
    gone: list[uuid.UUID] = []
    while True:
        async with database.writing() as connection:
            if not await try_lock(connection, CLEANER):
                return gone
            found = (await connection.scalars(oldest)).all()
            for media_id in sorted(found):
                await lock_media(connection, media_id)
                rows = await connection.execute(select(media).where(media.c.id == media_id, overdue))
                row = rows.mappings().first()
                if row is not None:  # else somebody was faster: it is processed again, or gone
                    await commands.bury(connection, row)
                    gone.append(media_id)
        if len(found) < BATCH:
            break
    if gone:
        log.info("failed.cleaned", media=len(gone))
    return gone
