"""Makes objects and rows agree again (I3): what no row names goes, what a row misses is made anew; what failed long ago
goes, too.

Who wrote an object erases it: the catalog may only read, so it asks ingest or the processor. An original that is gone
nobody can make again: its row stays as it is, so that a backup of the object heals it, and its name is told.
"""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import structlog
from sqlalchemy import select

from services.catalog import checks, commands, failed
from services.catalog.census import Census, Row, Tell, media_of, take_census
from services.catalog.database import JANITOR, Database, lock_media, try_lock
from services.catalog.models import media
from services.catalog.reconcile import due, reconcile
from services.catalog.restoring import altered, misses_variants, restore, undecided
from shared.errors import Conflict, Unavailable
from shared.events import topology
from shared.events.bus import Bus, NoAnswer
from shared.storage.blobs import Blobs
from shared.storage.keys import VARIANTS
from shared.storage.unreferenced import ask_to_abort, ask_to_erase

log = structlog.get_logger()


class Tidied(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has done, or in a dry run would do. `aborted`: keys of which something was left unfinished; `young`:
    orphans and unfinished uploads that may still belong to work under way; `failed`: media that failed long ago and are
    deleted; `begun`: uploads that ingest has begun and not ended, `stuck`: those of them begun so long ago that ingest
    should have ended them; `lost`: media whose original is gone, which nobody but a backup can help."""

    dry_run: bool
    announced: int
    detached: int
    departed: int
    erased: list[str]
    aborted: list[str]
    restored: list[uuid.UUID]
    reprocessed: list[uuid.UUID]
    failed: list[uuid.UUID]
    begun: int
    stuck: list[uuid.UUID]
    young: int
    lost: list[uuid.UUID]


async def tidy(
    database: Database,
    bus: Bus,
    blobs: Blobs,
    tell: Tell,
    *,
    grace: timedelta,
    stale: timedelta,
    base_url: str,
    ages: failed.Ages,
    cascading: frozenset[str] = frozenset(),
    dry_run: bool,
) -> Tidied:
    """Raises Conflict while another one is at it, Unavailable."""
    now = datetime.now(UTC)
    async with database.writing(tell=False) as lock:
        if not await try_lock(lock, JANITOR):
            raise Conflict("Another janitor is at work.")
        census = await take_census(database, bus, blobs, tell)
        old, young = split(unnamed(census), census, now - grace)
        broken_off, begun = abandoned(census, now - grace)
        lost_rows = altered(census)
        broken = [row.id async for row in lacking(census, blobs)]
        waiting = await due(database, stale=stale, now=now)
        done = Tidied(
            dry_run=dry_run,
            announced=waiting.announced,
            detached=waiting.detached,
            departed=waiting.departed,
            erased=old,
            aborted=broken_off,
            restored=list(lost_rows),
            reprocessed=broken,
            failed=await failed.find(database, ages, now=now),
            begun=len(census.intents),
            stuck=sorted(intent.id for intent in census.intents if intent.started_at < now - stale),
            young=young + begun,
            lost=await lost(database, census, blobs),
        )
        if dry_run:
            return done
        found = await reconcile(database, stale=stale, base_url=base_url, cascading=cascading)
        restored = [
            media_id for media_id, told in lost_rows.items() if await restore(database, media_id, told)
        ]
        made = [media_id for media_id in broken if await make_again(database, media_id, base_url)]
        tell("media to be made again", len(made))
        return msgspec.structs.replace(
            done,
            announced=found.announced,
            detached=found.detached,
            departed=found.departed,
            erased=sorted(await erase(bus, old)),
            aborted=sorted(await abort(bus, broken_off)),
            restored=restored,
            reprocessed=made,
            failed=await failed.clean(database, ages, now=now),
        )


def unnamed(census: Census) -> Iterator[str]:
    """Objects that no row names, nor an upload under way, nor an upload that is told and has no row yet."""
    expected = {intent.key for intent in census.intents}
    expected |= {
        e.key for uploads in census.story.told.values() for e in uploads if e.id not in census.tombstones
    }
    for key in sorted(census.objects.keys() - checks.named(census) - expected):
        if not undecided(census.rows.get(media_of(key) or uuid.UUID(int=0)), key, census):
            yield key


async def lacking(census: Census, blobs: Blobs) -> AsyncIterator[Row]:
    """Rows of which variants are not in the store; asked once more, for some may have come since all was counted."""
    for row in census.rows.values():
        if misses_variants(row, census):
            told = census.story.derived.get(row.id)
            files = (*row.variants, *(told.variants if told else ()))
            for key in {file.key for file in files} - census.objects.keys():
                if await blobs.head(key) is None:
                    yield row
                    break


async def lost(database: Database, census: Census, blobs: Blobs) -> list[uuid.UUID]:
    """Media whose original is not in the store: asked once more, and not those that were deleted meanwhile."""
    gone = [
        row.id
        for row in census.rows.values()
        if row.key not in census.objects and await blobs.head(row.key) is None
    ]
    async with database.reading() as connection:
        return list(await connection.scalars(select(media.c.id).where(media.c.id.in_(gone))))


def split(keys: Iterator[str], census: Census, before: datetime) -> tuple[list[str], int]:
    """Those that were there before that moment, and how many are younger."""
    old, young = [], 0
    for key in keys:
        if census.objects[key].modified <= before:
            old.append(key)
        else:
            young += 1
    return old, young


def abandoned(census: Census, before: datetime) -> tuple[list[str], int]:
    """Keys of multipart uploads begun before that moment that no intent names, and how many more no intent names."""
    under_way = {intent.key for intent in census.intents}
    left = [upload for upload in census.unfinished if upload.key not in under_way]
    old = {upload.key for upload in left if upload.begun <= before}
    return sorted(old), len({upload.key for upload in left} - old)


async def erase(bus: Bus, keys: list[str]) -> list[str]:
    """Ask those who wrote them. Raises Unavailable."""
    return await _by_writer(keys, lambda subject, part: ask_to_erase(bus, subject, part))


async def abort(bus: Bus, keys: list[str]) -> list[str]:
    """Ask those who wrote them to remove what they left unfinished of these. Raises Unavailable."""
    return await _by_writer(keys, lambda subject, part: ask_to_abort(bus, subject, part))


async def _by_writer(keys: list[str], ask: Callable[[str, list[str]], Awaitable[list[str]]]) -> list[str]:
    done = []
    for subject, part in (
        (topology.PROCESSOR_ERASE, [key for key in keys if key.startswith(VARIANTS)]),
        (topology.INGEST_ERASE, [key for key in keys if not key.startswith(VARIANTS)]),
    ):
        try:
            done += await ask(subject, part)
        except NoAnswer as error:
            raise Unavailable(f"Nobody answers on {subject}: is that service running?") from error
    return done


async def make_again(database: Database, media_id: uuid.UUID, base_url: str) -> bool:
    """Whether there still is something to be made again."""
    async with database.writing() as connection:
        await lock_media(connection, media_id)
        found = await connection.execute(select(media).where(media.c.id == media_id))
        row = found.mappings().first()
        if row is None or row["status"] != "ready" or row["error_code"] is not None:
            return False
        await commands.begin_again(connection, row, base_url=base_url)
        log.warning("media.made_again", media_id=str(media_id))
        return True
