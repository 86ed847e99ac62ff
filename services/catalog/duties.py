"""What the catalog does without being asked over HTTP: takes events in, answers over the broker, keeps watch."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import msgspec
import structlog
from sqlalchemy import text

from services.catalog import commands, departures, numbers, registry, rows
from services.catalog.database import Database
from services.catalog.measures import CatalogMetrics
from services.catalog.projector import Outcome, Told, project
from services.catalog.reconcile import reconcile
from services.catalog.together import Together
from shared import entities, failpoints, trace
from shared.errors import Malformed, Unavailable
from shared.events import topology
from shared.events.bus import REPLY_HEADER, Bus, Message
from shared.events.consumer import EventContext
from shared.events.kv_token import kv_token
from shared.events.messages import (
    EntityDeleted,
    EntityUpserted,
    MediaFailed,
    MediaProcessed,
    MediaUploaded,
    UserDeleted,
)
from shared.ids import parse_ref
from shared.media import Media
from shared.storage.blobs import Blobs

log = structlog.get_logger()

HEARTBEAT_SECONDS = 1.0
BUCKET_SECONDS = 1.0
COUNTER_SECONDS = 5.0
RECONCILE_SECONDS = 60.0


def projecting(
    database: Database,
    bus: Bus,
    metrics: CatalogMetrics,
    base_url: str,
    *,
    cascading: frozenset[str],
    single: frozenset[str],
    distance: int,
    places: int,
) -> Callable[[EventContext], Awaitable[None]]:
    """The handler of `catalog-projector`. `places`: how many connections it holds at most."""
    free = asyncio.Semaphore(places)
    together = Together(database, base_url, free)

    async def take_in(event: Told, sequence: int) -> tuple[Outcome, Media | None]:
        if isinstance(event, MediaUploaded):
            created = await together.take_in(event, sequence)
            if created is not None:
                return "created", created
        async with free:
            return await project(
                database,
                event,
                sequence=sequence,
                base_url=base_url,
                cascading=cascading,
                single=single,
                distance=distance,
            )

    async def handle(context: EventContext) -> None:
        event = context.event
        if not isinstance(event, MediaUploaded | MediaProcessed | MediaFailed):
            raise Malformed(f"The projector has no use for {context.envelope.type}.")
        outcome, media = await take_in(event, context.sequence)
        failpoints.reach("catalog.after_commit")
        metrics.projected.labels(context.envelope.type, outcome).inc()
        log.info("media.projected", media_id=str(event.id), type=context.envelope.type, outcome=outcome)
        reply = context.headers.get(REPLY_HEADER)
        if reply and media is not None and isinstance(event, MediaUploaded):
            # Ingest waits 300 ms for this; when it cannot be said, ingest answers 202 and all is well.
            with suppress(Unavailable):
                await bus.broadcast(reply, msgspec.json.encode(media), headers=_traced())

    return handle


def registering(
    database: Database, bus: Bus, base_url: str, cascading: frozenset[str]
) -> Callable[[EventContext], Awaitable[None]]:
    """The handler of `catalog-registry`."""

    async def handle(context: EventContext) -> None:
        event, told_at = context.event, registry.plausible(context.envelope.time)
        if isinstance(event, EntityUpserted):
            entities.check_name(event.type, event.id)
            entities.check_people(*event.owners, *event.admins, event.display_id)
            wanted = entities.Entity(**msgspec.structs.asdict(event))
            await registry.put_entity(database, wanted, told_at=told_at)
        elif isinstance(event, EntityDeleted):
            entities.check_name(event.type, event.id)
            await registry.delete_entity(
                database, event.type, event.id, cascading=cascading, base_url=base_url, told_at=told_at
            )
        elif isinstance(event, UserDeleted):
            entities.check_people(event.sub)
            count = await departures.delete_user(database, event.sub, until=told_at + departures.LEEWAY)
            await bus.kv(topology.QUOTAS).wipe(kv_token(event.sub))
            log.info("user.deleted", media=count)
        else:
            raise Malformed(f"The registry has no use for {context.envelope.type}.")

    return handle


def finding(database: Database, base_url: str) -> Callable[[Message], Awaitable[bytes]]:
    """Answers `catalog.v1.find_upload`: the media object of {"id"}, nothing where there is none. Whoever asks
    decides who may see it."""

    async def answer(message: Message) -> bytes:
        asked = msgspec.json.decode(message.data, type=dict[str, str])
        media_id = parse_ref(asked.get("id", ""))
        if media_id is None:
            return b""
        async with database.reading() as connection:
            media = await rows.load(connection, media_id, base_url)
        return b"" if media is None else msgspec.json.encode(media)

    return answer


def taking_back(database: Database) -> Callable[[Message], Awaitable[bytes]]:
    """Answers `catalog.v1.take_back`: deletes the media of {"id"} whose first processing has failed, as ingest asks
    where it refuses the upload for that. `true` where there was one."""

    async def answer(message: Message) -> bytes:
        asked = msgspec.json.decode(message.data, type=dict[str, str])
        media_id = parse_ref(asked.get("id", ""))
        done = media_id is not None and await commands.take_back(database, media_id)
        return msgspec.json.encode(done)

    return answer


async def heartbeat(database: Database, bus: Bus, stop: asyncio.Event) -> None:
    """Say that rows can be committed, as long as that is so: ingest waits for us only then."""
    async for _ in _every(HEARTBEAT_SECONDS, stop):
        with suppress(Unavailable):
            await alive(database)
            await bus.broadcast(topology.CATALOG_HEARTBEAT, b"")


async def keep_counter(database: Database, bus: Bus, stop: asyncio.Event) -> None:
    """See to it that there is a counter, also after the broker lost what it had."""
    async for _ in _every(COUNTER_SECONDS, stop):
        with suppress(Unavailable):
            await numbers.ensure_counter(database, bus)


async def keep_reconciling(
    database: Database, stale: float, base_url: str, cascading: frozenset[str], stop: asyncio.Event
) -> None:
    """Run the reconciler now and then."""
    async for _ in _every(min(RECONCILE_SECONDS, stale), stop):
        try:
            await reconcile(database, stale=timedelta(seconds=stale), base_url=base_url, cascading=cascading)
        except Unavailable as error:
            log.info("reconcile.waits", reason=error.detail)


async def have_bucket(blobs: Blobs, stop: asyncio.Event) -> None:
    """Make the bucket, as soon as the store is there."""
    there = False
    async for _ in _every(BUCKET_SECONDS, stop):
        if not there:
            with suppress(Unavailable):
                await blobs.ensure_bucket()
                there = True


async def alive(database: Database) -> None:
    """Return when the database answers. Raises Unavailable."""
    async with database.reading() as connection:
        await connection.execute(text("SELECT 1"))


async def _every(seconds: float, stop: asyncio.Event) -> AsyncIterator[None]:
    while not stop.is_set():
        yield
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)


def _traced() -> dict[str, str]:
    current = trace.traceparent()
    return {trace.HEADER: current} if current else {}
