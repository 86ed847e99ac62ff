"""What a transaction wants told to others: rows that are committed with it, and told by the relay afterwards."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.models import outbox
from shared import entities, trace
from shared.entities import Entity
from shared.errors import Malformed
from shared.events import messages, topology
from shared.events.messages import (
    Event,
    MediaCreated,
    MediaDeleted,
    MediaModerated,
    MediaUpdated,
    ReprocessRequested,
)
from shared.ids import new_id
from shared.media import Media

EVENT, REGISTRY = "event", "registry"
SOURCE = "catalog"
_DISPENSABLE = ("exif", "metadata", "timings", "warnings", "caption", "description", "alt_text", "tags")
"""What an event leaves out, in this order, when it would be longer than the wire allows."""

_INSERT = insert(outbox)
_INSERT_MANY = text(
    "INSERT INTO outbox (id, kind, line, media_id, subject, data, traceparent, created_at)"
    " SELECT id, kind, line, media_id, subject, convert_to(data, 'UTF8'), traceparent, created_at"
    " FROM json_to_recordset(CAST(:rows AS json)) AS r(id uuid, kind text, line text, media_id uuid, subject text,"
    " data text, traceparent text, created_at timestamptz)"
)
Row: TypeAlias = dict[str, Any]


async def created(connection: AsyncConnection, media: Media) -> None:
    await connection.execute(_INSERT, created_row(media))


async def updated(connection: AsyncConnection, media: Media, *, was_public: bool) -> None:
    await connection.execute(_INSERT, updated_row(media, was_public=was_public))


def created_row(media: Media) -> Row:
    """What says that a media is new, for `insert_many`; it is part of the trace that runs now."""
    return _state("created", MediaCreated, media)


def updated_row(media: Media, *, was_public: bool) -> Row:
    """The same for one that changed. `was_public`: everybody could see it until now."""
    hidden = was_public and not (media.is_public and media.moderation == "approved")
    return _state("updated", partial(MediaUpdated, hidden=True) if hidden else MediaUpdated, media)


def deleted_row(event: MediaDeleted) -> Row:
    """The same for one that is gone."""
    return _event("deleted", event)


async def insert_many(connection: AsyncConnection, rows: list[Row]) -> None:
    """As if each was told by itself, in one statement."""
    told = [{**row, "data": row["data"].decode()} for row in rows]
    await connection.execute(_INSERT_MANY, {"rows": msgspec.json.encode(told).decode()})


async def deleted(connection: AsyncConnection, event: MediaDeleted) -> None:
    await connection.execute(_INSERT, _event("deleted", event))


async def moderated(connection: AsyncConnection, event: MediaModerated) -> None:
    await connection.execute(_INSERT, _event("moderated", event))


async def reprocess_requested(connection: AsyncConnection, event: ReprocessRequested) -> None:
    await connection.execute(_INSERT, _event("reprocess_requested", event))


async def registry(connection: AsyncConnection, entity: Entity) -> None:
    """The state of an entity, for the broker's registry that ingest reads."""
    key = entities.key(entity.type, entity.id)
    await connection.execute(_INSERT, _row(REGISTRY, line=key, subject=key, data=msgspec.json.encode(entity)))


def _state(name: str, kind: Callable[..., MediaCreated | MediaUpdated], media: Media) -> Row:
    shown: dict[str, Any] = msgspec.to_builtins(media)
    left_out: list[str] = []
    while True:
        try:
            return _event(name, kind(id=media.id, owner=media.owner, media=shown), media.media_type)
        except Malformed:
            rest = [part for part in _DISPENSABLE if part in shown]
            if not rest:
                raise
            shown = {key: value for key, value in shown.items() if key != rest[0]}
            left_out.append(rest[0])
            shown["left_out"] = left_out


def _event(
    name: str,
    event: MediaCreated | MediaUpdated | MediaDeleted | MediaModerated | ReprocessRequested,
    media_type: str = "",
) -> Row:
    message_id = new_id()
    kind = media_type or getattr(event, "media_type", "")
    return _row(
        EVENT,
        line=str(event.id),
        subject=topology.media_subject(name, kind),
        data=_encode(event, message_id, event.id),
        media_id=event.id,
        message_id=message_id,
    )


def _encode(event: Event, message_id: uuid.UUID, media_id: uuid.UUID) -> bytes:
    return messages.encode(
        event,
        source=SOURCE,
        event_id=str(message_id),
        subject=str(media_id),
        time=datetime.now(UTC),
        traceparent=trace.traceparent(),
    )


def _row(
    kind: str,
    *,
    line: str,
    subject: str,
    data: bytes,
    media_id: uuid.UUID | None = None,
    message_id: uuid.UUID | None = None,
) -> Row:
    return {
        "id": message_id or new_id(),
        "kind": kind,
        "line": line,
        "media_id": media_id,
        "subject": subject,
        "data": data,
        "traceparent": trace.traceparent(),
        "created_at": datetime.now(UTC),
    }
