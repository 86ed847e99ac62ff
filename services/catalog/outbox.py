"""What a transaction wants told to others: rows that are committed with it, and told by the relay afterwards."""

import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.models import outbox
from shared import entities, trace
from shared.entities import Entity
from shared.errors import Malformed
from shared.events import messages, topology
from shared.events.messages import Event, MediaCreated, MediaDeleted, MediaUpdated, ReprocessRequested
from shared.ids import new_id
from shared.media import Media

EVENT, REGISTRY = "event", "registry"
SOURCE = "catalog"
_DISPENSABLE = ("exif", "metadata", "timings", "warnings", "caption", "description", "alt_text", "tags")
"""What an event leaves out, in this order, when it would be longer than the wire allows."""

_INSERT = insert(outbox)


async def created(connection: AsyncConnection, media: Media) -> None:
    await _state(connection, "created", MediaCreated, media)


async def updated(connection: AsyncConnection, media: Media) -> None:
    await _state(connection, "updated", MediaUpdated, media)


async def deleted(connection: AsyncConnection, event: MediaDeleted) -> None:
    await _event(connection, "deleted", event)


async def reprocess_requested(connection: AsyncConnection, event: ReprocessRequested) -> None:
    await _event(connection, "reprocess_requested", event)


async def registry(connection: AsyncConnection, entity: Entity) -> None:
    """The state of an entity, for the broker's registry that ingest reads."""
    key = entities.key(entity.type, entity.id)
    await _add(connection, REGISTRY, line=key, subject=key, data=msgspec.json.encode(entity))


async def _state(
    connection: AsyncConnection, name: str, kind: type[MediaCreated | MediaUpdated], media: Media
) -> None:
    shown: dict[str, Any] = msgspec.to_builtins(media)
    left_out: list[str] = []
    while True:
        try:
            await _event(
                connection, name, kind(id=media.id, owner=media.owner, media=shown), media.media_type
            )
        except Malformed:
            rest = [part for part in _DISPENSABLE if part in shown]
            if not rest:
                raise
            shown = {key: value for key, value in shown.items() if key != rest[0]}
            left_out.append(rest[0])
            shown["left_out"] = left_out
        else:
            return


async def _event(
    connection: AsyncConnection,
    name: str,
    event: MediaCreated | MediaUpdated | MediaDeleted | ReprocessRequested,
    media_type: str = "",
) -> None:
    message_id = new_id()
    kind = media_type or getattr(event, "media_type", "")
    await _add(
        connection,
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


async def _add(
    connection: AsyncConnection,
    kind: str,
    *,
    line: str,
    subject: str,
    data: bytes,
    media_id: uuid.UUID | None = None,
    message_id: uuid.UUID | None = None,
) -> None:
    await connection.execute(
        _INSERT,
        {
            "id": message_id or new_id(),
            "kind": kind,
            "line": line,
            "media_id": media_id,
            "subject": subject,
            "data": data,
            "traceparent": trace.traceparent(),
            "created_at": datetime.now(UTC),
        },
    )
