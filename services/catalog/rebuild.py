"""`python -m services.catalog rebuild`: the rows made again from what the broker has kept, into an empty database.

Each row is the greatest of all that was told, so replaying the whole history ends in the same rows: uploads and results
as the projector takes them in, people's edits from the states that `media.updated` tells, deletions as tombstones, and
entities from the registry, and who has left from the events of users. Nothing is published. The durable consumers need
no reset: they stand where they stood, and what comes to them again changes nothing.
"""

import asyncio
import uuid
from datetime import datetime
from typing import Any

import msgspec
import structlog
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import announcing, contested, departures, letters, slots
from services.catalog.census import Stored, Tell, events
from services.catalog.commands import raise_mark
from services.catalog.database import RELAY, Database, try_lock
from services.catalog.models import (
    early_results,
    entities,
    media,
    moderation_decisions,
    outbox,
    tombstones,
)
from services.catalog.moderation import row_of
from services.catalog.projector import note_stored, take_in
from services.catalog.registry_replay import RegistryStory, forget_departed, keep_entity, read_story
from services.catalog.retold import remember
from shared.entities import Entity
from shared.errors import Conflict
from shared.events import topology
from shared.events.bus import Bus
from shared.events.messages import (
    EntityLink,
    MediaCreated,
    MediaDeleted,
    MediaFailed,
    MediaModerated,
    MediaProcessed,
    MediaUpdated,
    MediaUploaded,
    ReprocessRequested,
)

log = structlog.get_logger()

IN_ONE_COMMIT = 500
HEARTBEATS_SECONDS = 2.5
_EDITED = (
    "filename", "is_public", "description", "alt_text", "caption", "tags", "metadata", "moderation",
)  # fmt: skip
"""What people may change; the entity is added to it in its columns."""


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What was made."""

    events: int
    media: int
    tombstones: int
    entities: int


async def rebuild(database: Database, bus: Bus, tell: Tell, single: frozenset[str] = frozenset()) -> Rebuilt:
    """What a newer media of a `single` profile's slot has replaced without that having been told is deleted. Raises
    Conflict where the database is not empty or a catalog runs, Unavailable."""
    async with database.writing(tell=False) as lock:
        if not await try_lock(lock, RELAY):
            raise Conflict("A catalog is at work on this database: stop it first.")
        await _require_empty(lock)
        await _require_quiet(bus)
        count, known = await replay_all(database, bus, tell)
        await letters.note(database, bus)
        await slots.settle(database, single)
        await departures.delete_remaining(database)
        async with database.reading() as connection:
            made = await connection.scalar(select(func.count()).select_from(media)) or 0
            gone = await connection.scalar(select(func.count()).select_from(tombstones)) or 0
    return Rebuilt(events=count, media=made, tombstones=gone, entities=known)


async def replay_all(database: Database, bus: Bus, tell: Tell) -> tuple[int, int]:
    """Make the rows of all that the broker has kept in an empty database where nobody else is at work; of how many
    events and entities. Nothing is published. Raises Unavailable."""
    story = await read_story(bus, tell)
    known = await _entities(database, bus, story)
    replay, batch, count = Replay(), list[Stored](), 0
    async for sequence, found in events(bus, topology.MEDIA, tell):
        if found is None:
            log.warning("rebuild.unreadable", sequence=sequence)
            continue
        batch.append(found)
        count += 1
        if len(batch) == IN_ONE_COMMIT:
            await _take(database, replay, batch)
    await _take(database, replay, batch)
    await forget_departed(database, story)
    return count, known


async def _require_quiet(bus: Bus) -> None:
    """A catalog, on whatever database, would acknowledge what this one then never hears of."""
    async with bus.listen(topology.CATALOG_HEARTBEAT) as beats:
        try:
            async with asyncio.timeout(HEARTBEATS_SECONDS):
                await anext(beats)
        except TimeoutError:
            return
    raise Conflict("A catalog is running on this broker: stop all of them first.")


async def _require_empty(connection: AsyncConnection) -> None:
    for table in (media, tombstones, early_results, entities, outbox):
        if await connection.scalar(select(select(table).exists())):
            raise Conflict(f"The database is not empty (table {table.name}): rebuild into a new one.")


async def _take(database: Database, replay: "Replay", batch: list[Stored]) -> None:
    async with database.writing(tell=False) as connection:
        for stored in batch:
            await replay.take(connection, stored)
        if replay.ours:
            await remember(connection, replay.ours)
    batch.clear()


class Replay:
    """Takes events in the stream's order. `told`: the moments of each media that were no edit's; `seen`: the catalog's
    own events that were taken, because one that somebody stored again must not undo what came between."""

    def __init__(self) -> None:
        self.told: dict[uuid.UUID, set[datetime]] = {}
        self.seen: set[str] = set()
        self.ours = 0
        """The last place where the catalog itself told something."""

    async def take(self, connection: AsyncConnection, stored: Stored) -> None:
        """One event, in the transaction of its batch."""
        event = stored.event
        if isinstance(
            event, MediaDeleted | ReprocessRequested | MediaCreated | MediaUpdated | MediaModerated
        ):
            if stored.envelope.id in self.seen:
                return
            self.seen.add(stored.envelope.id)
            self.ours = stored.sequence
        if isinstance(event, MediaDeleted):
            self.told.pop(event.id, None)
            await _bury(connection, event, stored.sequence)
        elif isinstance(event, MediaUploaded | MediaProcessed | MediaFailed):
            self.told.setdefault(event.id, set()).add(_moment(event))
            await take_in(connection, event, stored.sequence, alone=True)
        elif isinstance(event, ReprocessRequested):
            self.told.setdefault(event.id, set()).add(event.requested_at)
            await _reprocess(connection, event)
            await note_stored(connection, event.id, stored.sequence)
        elif isinstance(event, MediaCreated | MediaUpdated):
            await self._state(connection, event)
            await note_stored(connection, event.id, stored.sequence)
        elif isinstance(event, MediaModerated):
            await _decision(connection, event)
            await note_stored(connection, event.id, stored.sequence)

    async def _state(self, connection: AsyncConnection, event: MediaCreated | MediaUpdated) -> None:
        """A state tells all that people may change, and the number that a media has. One that was changed last at a
        moment that no upload, request or result told is the work of an edit."""
        shown = event.media
        values: dict[str, Any] = {name: shown[name] for name in _EDITED if name in shown}
        changed = datetime.fromisoformat(shown["updated_at"])
        if changed not in self.told.get(event.id, ()):
            values["edited_at"] = changed
        change = update(media).where(media.c.id == event.id).returning(media.c.number)
        number = await connection.scalar(change.values(**values, **_entity_columns(shown)))
        if number not in {None, shown["number"]}:
            await contested.assign(connection, event.id, shown["number"])


def _moment(event: MediaUploaded | MediaProcessed | MediaFailed) -> datetime:
    """When it happened, as the row of its media says it."""
    if isinstance(event, MediaUploaded):
        return event.created_at
    return event.processed_at if isinstance(event, MediaProcessed) else event.failed_at


def _entity_columns(shown: dict[str, Any]) -> dict[str, Any]:
    link = msgspec.convert(shown["entity"], EntityLink) if shown.get("entity") else None
    return {
        "entity_type": link.type if link else None,
        "entity_id": link.id if link else None,
        "entity_field": link.field if link else None,
        "is_primary": link.is_primary if link else False,
        "sort_order": link.sort_order if link else 0,
    }


async def _reprocess(connection: AsyncConnection, event: ReprocessRequested) -> None:
    """A request for a greater generation began it; any other was the reconciler's, for the one that was waited for."""
    began = (
        update(media)
        .where(media.c.id == event.id, media.c.generation < event.generation)
        .values(
            generation=event.generation,
            status="processing",
            status_at=event.requested_at,
            error_code=None,
            error_detail=None,
        )
    )
    if not (await connection.execute(began)).rowcount:
        again = update(media).where(
            media.c.id == event.id,
            media.c.generation == event.generation,
            media.c.status_at != event.requested_at,
        )
        await connection.execute(again.values(announced_at=event.requested_at))


async def _decision(connection: AsyncConnection, event: MediaModerated) -> None:
    """A row of history, of a media that is there. What a rejection led to has been told as well."""
    if await connection.scalar(select(media.c.id).where(media.c.id == event.id)) is None:
        return
    spread_at = event.moderated_at if event.state == "rejected" else None
    kept = upsert(moderation_decisions).values(**row_of(event), spread_at=spread_at)
    await connection.execute(kept.on_conflict_do_nothing())


async def _bury(connection: AsyncConnection, event: MediaDeleted, sequence: int) -> None:
    await connection.execute(delete(early_results).where(early_results.c.media_id == event.id))
    await connection.execute(delete(media).where(media.c.id == event.id))
    stone = upsert(tombstones).values(media_id=event.id, deleted_at=event.deleted_at, sequence=sequence)
    await connection.execute(
        stone.on_conflict_do_update(
            index_elements=[tombstones.c.media_id], set_={"sequence": stone.excluded.sequence}
        )
    )
    if event.number is not None:
        await raise_mark(connection, event.number)


async def _entities(database: Database, bus: Bus, story: RegistryStory) -> int:
    """All that the registry knows; how many."""
    bucket = bus.kv(topology.ENTITIES)
    names = await bucket.keys()
    if announcing.COMPLETE not in names:
        log.warning("rebuild.registry_incomplete", entities=len(names))
    names = [name for name in names if name != announcing.COMPLETE]
    for name in names:
        entry = await bucket.get(name)
        if entry is None:
            continue
        entity = msgspec.json.decode(entry.value, type=Entity)
        await keep_entity(database, story, entity, entry.created)
    return len(names)
