"""All that there is, counted once: rows, objects, events, entities and open intents, for those who compare them."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import func, select

from services.catalog import announcing
from services.catalog.database import Database
from services.catalog.models import early_results, media, outbox, tombstones, variants
from shared import entities
from shared.entities import Entity
from shared.errors import TripodError
from shared.events import dead_letters, topology
from shared.events.bus import Bus, Message
from shared.events.dead_letters import Listed
from shared.events.messages import (
    Envelope,
    Event,
    MediaCreated,
    MediaDeleted,
    MediaFailed,
    MediaProcessed,
    MediaRejected,
    MediaUpdated,
    MediaUploaded,
    VariantRef,
    decode,
)
from shared.storage.blobs import BlobInfo, Blobs, Unfinished

READ_AT_ONCE = 128
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

Tell = Callable[[str, int], None]
"""Hears how many of what have been counted."""


class Derived(msgspec.Struct, frozen=True, kw_only=True):
    """What the pipeline has made of a media, as its newest success tells it. `made`: generation and moment; of two
    results the one with the greater is the newer."""

    made: tuple[int, datetime]
    variants: tuple[VariantRef, ...] = ()


class Audience(msgspec.Struct, frozen=True, kw_only=True):
    """What decides who may see a media; `entity` is its type and id."""

    owner: str
    is_public: bool
    moderation: str
    entity: tuple[str, str] | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What the catalog says of one media. `made`: generation and moment of the result that its variants are from."""

    id: uuid.UUID
    number: int
    status: str
    generation: int
    error_code: str | None
    key: str
    size: int
    sha256: str
    audience: Audience
    made: tuple[int, datetime] | None = None
    variants: tuple[VariantRef, ...] = ()


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the media stream."""

    sequence: int
    envelope: Envelope
    event: Event


class OpenIntent(msgspec.Struct, frozen=True):
    """What is read of ingest's records of uploads under way."""

    id: uuid.UUID
    key: str
    state: str
    started_at: datetime


class Story(msgspec.Struct, kw_only=True):
    """What the stream tells. `told`: uploads by media, each event once; `remains`: the types of all other events by
    media; `audiences`: who may see a media by the newest state of it; `results`: generation and `ready` or the code of
    the failure, as the processor told them; `derived`: the newest success of each media."""

    told: dict[uuid.UUID, list[MediaUploaded]] = {}
    remains: dict[uuid.UUID, list[str]] = {}
    audiences: dict[uuid.UUID, Audience] = {}
    results: dict[uuid.UUID, set[tuple[int, str]]] = {}
    derived: dict[uuid.UUID, Derived] = {}
    unreadable: list[int] = []
    states: set[str] = set()

    def take(self, found: "Stored") -> None:
        """One event, in the stream's order."""
        event = found.event
        if isinstance(event, MediaUploaded):
            self.told.setdefault(event.id, []).append(event)
            return
        if isinstance(event, MediaDeleted | MediaRejected):
            return
        self.remains.setdefault(uuid.UUID(found.envelope.subject), []).append(found.envelope.type)
        if isinstance(event, MediaProcessed | MediaFailed):
            code = event.code if isinstance(event, MediaFailed) else "ready"
            self.results.setdefault(event.id, set()).add((event.generation, code))
            if isinstance(event, MediaProcessed):
                self.made(event)
        elif isinstance(event, MediaCreated | MediaUpdated) and found.envelope.id not in self.states:
            # One that somebody stored again is no newer state.
            self.states.add(found.envelope.id)
            self.audiences[event.id] = _audience(event)

    def made(self, event: MediaProcessed) -> None:
        """One success, in any order."""
        made = (event.generation, event.processed_at)
        known = self.derived.get(event.id)
        if known is None or known.made < made:
            self.derived[event.id] = Derived(made=made, variants=event.variants)


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """Entities by their key in the registry: `entities` as the catalog has them, `registered` as the broker has."""

    rows: dict[uuid.UUID, Row]
    tombstones: frozenset[uuid.UUID]
    objects: dict[str, BlobInfo]
    unfinished: tuple[Unfinished, ...]
    story: Story
    intents: tuple[OpenIntent, ...]
    letters: tuple[Listed, ...]
    outbox: int
    early: tuple[uuid.UUID, ...]
    entities: dict[str, Entity]
    registered: dict[str, Entity]


async def take_census(database: Database, bus: Bus, blobs: Blobs, tell: Tell) -> Census:
    """Keeps a few KB of memory for each media. Raises Unavailable."""
    story = Story()
    # The stream first: what it tells has a row by the time that the rows are read, or is late.
    async for sequence, found in events(bus, topology.MEDIA, tell):
        if found is None:
            story.unreadable.append(sequence)
        else:
            story.take(found)
    intents = await open_intents(bus)
    objects = {info.key: info async for info in blobs.list("")}
    tell("objects", len(objects))
    rows = await _rows(database)
    tell("rows", len(rows))
    async with database.reading() as connection:
        buried = frozenset((await connection.scalars(select(tombstones.c.media_id))).all())
        waiting = await connection.scalar(select(func.count()).select_from(outbox)) or 0
        early = tuple((await connection.scalars(select(early_results.c.media_id).distinct())).all())
        known = await announcing.all_entities(connection)
    return Census(
        rows=rows,
        tombstones=buried,
        objects=objects,
        unfinished=await blobs.unfinished(),
        story=story,
        intents=intents,
        letters=tuple(await dead_letters.list_all(bus)),
        outbox=waiting,
        early=early,
        entities={entities.key(entity.type, entity.id): entity for entity in known},
        registered=await announcing.registered(bus),
    )


def _audience(event: MediaCreated | MediaUpdated) -> Audience:
    shown = event.media
    link = shown.get("entity")
    return Audience(
        owner=shown["owner"],
        is_public=shown["is_public"],
        moderation=shown["moderation"],
        entity=(link["type"], link["id"]) if link else None,
    )


async def _rows(database: Database) -> dict[uuid.UUID, Row]:
    files: dict[uuid.UUID, list[VariantRef]] = {}
    rows: dict[uuid.UUID, Row] = {}
    v, m = variants.c, media.c
    async with database.reading() as connection:
        columns = [v[name] for name in VariantRef.__struct_fields__]
        ordered = select(v.media_id, *columns).order_by(v.media_id, v.position)
        async for media_id, *values in await connection.stream(ordered):
            named = zip(VariantRef.__struct_fields__, values, strict=True)
            files.setdefault(media_id, []).append(VariantRef(**dict(named)))
        described = select(
            m.id, m.number, m.status, m.generation, m.error_code, m.key, m.size, m.sha256,
            m.owner, m.is_public, m.moderation, m.entity_type, m.entity_id, m.derived_generation, m.derived_at,
        ).order_by(m.id)  # fmt: skip
        async for row in await connection.stream(described):
            rows[row.id] = _row(row, tuple(files.get(row.id, ())))
    return rows


def _row(found: Any, files: tuple[VariantRef, ...]) -> Row:
    return Row(
        id=found.id,
        number=found.number,
        status=found.status,
        generation=found.generation,
        error_code=found.error_code,
        key=found.key,
        size=found.size,
        sha256=found.sha256,
        audience=Audience(
            owner=found.owner,
            is_public=found.is_public,
            moderation=found.moderation,
            entity=(found.entity_type, found.entity_id) if found.entity_type is not None else None,
        ),
        made=(found.derived_generation, found.derived_at) if found.derived_at is not None else None,
        variants=files,
    )


async def events(
    bus: Bus, stream: str, tell: Tell, *, after: int = 0
) -> AsyncIterator[tuple[int, Stored | None]]:
    """Every event that a stream holds behind a place, in order; None for one that cannot be read."""
    last = await bus.last_sequence(stream)
    for start in range(after + 1, last + 1, READ_AT_ONCE):
        places = range(start, min(start + READ_AT_ONCE, last + 1))
        messages = await asyncio.gather(*(bus.read(stream, place) for place in places))
        for place, message in zip(places, messages, strict=True):
            if message is not None:
                yield place, _decoded(place, message)
        tell(f"events of {stream}", places[-1])


def _decoded(place: int, message: Message) -> Stored | None:
    try:
        envelope, event = decode(message.data)
    except TripodError:
        return None
    return Stored(sequence=place, envelope=envelope, event=event)


async def open_intents(bus: Bus) -> tuple[OpenIntent, ...]:
    """The uploads that ingest has begun and not ended. Raises Unavailable."""
    bucket = bus.kv(topology.INTENTS)
    found = [await bucket.get(key) for key in await bucket.keys()]
    return tuple(msgspec.json.decode(entry.value, type=OpenIntent) for entry in found if entry is not None)


def media_of(key: str) -> uuid.UUID | None:
    """The media whose id is in a key of whatever template; None where there is none."""
    found: list[Any] = _UUID.findall(key)
    return uuid.UUID(found[0]) if found else None
