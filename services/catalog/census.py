"""All that there is, counted once: rows, objects, stored events and open intents, for those who compare them."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import func, select

from services.catalog.database import Database
from services.catalog.models import early_results, media, outbox, tombstones, variants
from shared.errors import TripodError
from shared.events import dead_letters, topology
from shared.events.bus import Bus, Message
from shared.events.messages import Envelope, Event, MediaDeleted, MediaRejected, MediaUploaded, decode
from shared.storage.blobs import BlobInfo, Blobs, Unfinished

READ_AT_ONCE = 128
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

Tell = Callable[[str, int], None]
"""Hears how many of what have been counted."""


class File(msgspec.Struct, frozen=True, kw_only=True):
    """An object that a row names."""

    name: str
    key: str
    size: int


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What the catalog says of one media."""

    id: uuid.UUID
    number: int
    status: str
    key: str
    size: int
    sha256: str
    variants: tuple[File, ...] = ()


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


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """`told`: the uploads in the stream by media, each event once; `remains`: other events of media, by media."""

    rows: dict[uuid.UUID, Row]
    tombstones: frozenset[uuid.UUID]
    objects: dict[str, BlobInfo]
    unfinished: tuple[Unfinished, ...]
    told: dict[uuid.UUID, list[MediaUploaded]]
    remains: dict[uuid.UUID, list[str]]
    unreadable: tuple[int, ...]
    intents: tuple[OpenIntent, ...]
    letters: int
    outbox: int
    early: tuple[uuid.UUID, ...]


async def take_census(database: Database, bus: Bus, blobs: Blobs, tell: Tell) -> Census:
    """Keeps some hundred bytes of memory for each media. Raises Unavailable."""
    told: dict[uuid.UUID, list[MediaUploaded]] = {}
    remains: dict[uuid.UUID, list[str]] = {}
    unreadable: list[int] = []
    # The stream first: what it tells has a row by the time that the rows are read, or is late.
    async for sequence, found in events(bus, topology.MEDIA, tell):
        if found is None:
            unreadable.append(sequence)
        elif isinstance(found.event, MediaUploaded):
            told.setdefault(found.event.id, []).append(found.event)
        elif not isinstance(found.event, MediaDeleted | MediaRejected):
            remains.setdefault(uuid.UUID(found.envelope.subject), []).append(found.envelope.type)
    intents = await open_intents(bus)
    objects = {info.key: info async for info in blobs.list("")}
    tell("objects", len(objects))
    rows = await _rows(database)
    tell("rows", len(rows))
    async with database.reading() as connection:
        buried = frozenset((await connection.scalars(select(tombstones.c.media_id))).all())
        waiting = await connection.scalar(select(func.count()).select_from(outbox)) or 0
        early = tuple((await connection.scalars(select(early_results.c.media_id).distinct())).all())
    return Census(
        rows=rows,
        tombstones=buried,
        objects=objects,
        unfinished=await blobs.unfinished(),
        told=told,
        remains=remains,
        unreadable=tuple(unreadable),
        intents=intents,
        letters=len(await dead_letters.list_all(bus)),
        outbox=waiting,
        early=early,
    )


async def _rows(database: Database) -> dict[uuid.UUID, Row]:
    files: dict[uuid.UUID, list[File]] = {}
    rows: dict[uuid.UUID, Row] = {}
    v, m = variants.c, media.c
    async with database.reading() as connection:
        ordered = select(v.media_id, v.name, v.key, v.size).order_by(v.media_id, v.position)
        async for found in await connection.stream(ordered):
            files.setdefault(found.media_id, []).append(File(name=found.name, key=found.key, size=found.size))
        described = select(m.id, m.number, m.status, m.key, m.size, m.sha256).order_by(m.id)
        async for row in await connection.stream(described):
            rows[row.id] = Row(**row._asdict(), variants=tuple(files.get(row.id, ())))
    return rows


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
