"""The janitor's round: objects that no row names go now and then by themselves, without counting all that there is.

They are what an outage of all of ingest leaves behind when it lasts longer than intents are kept. What rows miss is
left to `tripod reconcile`: somebody should know of it.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.catalog.census import Story, events, open_intents
from services.catalog.database import JANITOR, Database, try_lock
from services.catalog.janitor import erase
from services.catalog.models import marks, media, variants
from shared.errors import Unavailable
from shared.events import topology
from shared.events.bus import Bus
from shared.events.messages import MediaProcessed, MediaUploaded
from shared.storage.blobs import Blobs
from shared.storage.keys import VARIANTS, rendering_of

log = structlog.get_logger()

GRACE = timedelta(days=1)
LOOK_SECONDS = 60.0
ASKED_AT_ONCE = 5000
_IDS = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
SWEPT_AT = "swept_at"
"""The mark with the second of the last round."""


async def keep_sweeping(
    database: Database, bus: Bus, blobs: Blobs, *, every: float, stop: asyncio.Event
) -> None:
    """A round every so many seconds, whichever catalog makes it, until `stop` is set; 0 is never."""
    while every and not stop.is_set():
        try:
            await sweep(database, bus, blobs, every=every)
        except Unavailable as error:
            log.info("orphans.not_swept", reason=error.detail)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), min(LOOK_SECONDS, every))


async def sweep(
    database: Database, bus: Bus, blobs: Blobs, *, every: float, grace: timedelta = GRACE
) -> list[str] | None:
    """The keys that were erased; None where the last round was less than `every` seconds ago, or another process is
    at it. Raises Unavailable, and then the next look tries again."""
    async with database.writing(tell=False) as lock:
        if not await try_lock(lock, JANITOR):
            return None
        last = await lock.scalar(select(marks.c.value).where(marks.c.name == SWEPT_AT)) or 0
        now = int(time.time())
        if now - last < every:
            return None
        done = await erase(bus, await _orphans(database, bus, blobs, before=datetime.now(UTC) - grace))
        mark = upsert(marks).values(name=SWEPT_AT, value=now)
        await lock.execute(
            mark.on_conflict_do_update(index_elements=[marks.c.name], set_={"value": mark.excluded.value})
        )
    if done:
        log.warning("orphans.erased", count=len(done))
    return done


async def _orphans(database: Database, bus: Bus, blobs: Blobs, *, before: datetime) -> list[str]:
    """Keys from before that moment that no row names, nor an upload under way, nor one that is told and has no row
    yet."""
    found: list[str] = []
    batch: list[str] = []
    async for info in blobs.list(""):
        if info.modified <= before:
            batch.append(info.key)
        if len(batch) == ASKED_AT_ONCE:
            found += await _unnamed(database, batch)
            batch.clear()
    found += await _unnamed(database, batch)
    if not found:
        return []
    under_way = {intent.key for intent in await open_intents(bus)}
    suspects = frozenset(found)
    of_variants = {media_id for key in suspects if key.startswith(VARIANTS) for media_id in ids_in(key)}
    told, story = set[str](), Story()
    async for _, stored in events(bus, topology.MEDIA, lambda _what, _count: None):
        event = stored.event if stored is not None else None
        if isinstance(event, MediaUploaded) and event.key in suspects:
            told.add(event.key)
        elif isinstance(event, MediaProcessed) and event.id in of_variants:
            story.made(event)
    spared = under_way | told | await _due(database, story, suspects)
    # Again, because a row may have come for what was told: that is looked at last.
    return [key for key in await _unnamed(database, found) if key not in spared]


async def _due(database: Database, story: Story, suspects: frozenset[str]) -> set[str]:
    """Variants of media that are there, which their newest result names though no row does, or of which the stream has
    no result: `tripod reconcile` puts that right, and must find them."""
    keys = {key: ids_in(key) for key in suspects if key.startswith(VARIANTS)}
    ids = {media_id for found in keys.values() for media_id in found}
    async with database.reading() as connection:
        living = set(
            await connection.scalars(
                select(media.c.id).where(media.c.id.in_(ids), media.c.derived_at.is_not(None))
            )
        )
    named = {
        ref.key for media_id in living & story.derived.keys() for ref in story.derived[media_id].variants
    }
    lost = living - story.derived.keys()
    return {key for key, found in keys.items() if key in named or found & lost}


async def _unnamed(database: Database, keys: Sequence[str]) -> list[str]:
    """Those that no row names, letter for letter: what a key seems to say of its media is a way to find the row and
    no more. Variants of a media that is being processed are left alone, because its result is under way."""
    ids = {media_id for key in keys for media_id in ids_in(key)}
    columns = select(media.c.id, media.c.key, media.c.status)
    async with database.reading() as connection:
        found = (await connection.execute(columns.where(media.c.id.in_(ids)))).all()
        files = await connection.scalars(select(variants.c.key).where(variants.c.media_id.in_(ids)))
        named = {row.key for row in found} | set(files)
        rest = [key for key in keys if key not in named and not key.startswith(VARIANTS)]
        if rest:
            # Keys without an id; there is no index for them, so one question for many.
            named |= set(await connection.scalars(select(media.c.key).where(media.c.key.in_(rest))))
    there = {row.id for row in found}
    named |= {key for key in keys if rendering_of(key) in there}
    busy = {row.id for row in found if row.status == "processing"}
    return [key for key in keys if key not in named and not (key.startswith(VARIANTS) and busy & ids_in(key))]


def ids_in(key: str) -> set[uuid.UUID]:
    """Every id that a key could hold, with hyphens or without: the owner's and the entity's, too."""
    return {uuid.UUID(found) for found in _IDS.findall(key)}
