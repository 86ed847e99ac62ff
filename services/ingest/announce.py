"""Telling the others: `media.uploaded` until the broker has it, `media.rejected` where it can be told."""

import asyncio
import uuid
from datetime import UTC, datetime

import msgspec
import structlog

from services.ingest.context import Ingest
from services.ingest.intents import Announcement
from services.ingest.limits import RETRY_SECONDS
from shared import trace
from shared.errors import Invalid, Malformed, TripodError, Unavailable
from shared.events import topology
from shared.events.bus import REPLY_HEADER
from shared.events.messages import MAX_EVENT_BYTES, MediaRejected, MediaUploaded, encode

log = structlog.get_logger()

_PAUSES = (0.1, 0.4, 1.0)
_HEADER_ROOM = (
    1024  # the stream counts the headers, too, and what it refuses would wait in its intent for ever
)


_LONG = {
    **{name: name for name in ("filename", "description", "alt_text", "caption", "tags", "metadata")},
    "the token's sub": "owner",
    "the token's preferred_username": "owner_name",
}


class Unannounced(Unavailable):
    """The file is stored and the broker does not say whether it knows: recovery will see to it."""


def prepare(event: MediaUploaded, lane: str) -> Announcement:
    """The event as it will be published, now or by whoever recovers it. Raises Invalid where it is too long."""
    message_id = str(uuid.uuid5(event.id, f"media.uploaded.{event.generation}"))
    traceparent = trace.traceparent()
    try:
        envelope = encode(
            event,
            source="ingest",
            event_id=message_id,
            subject=str(event.id),
            time=datetime.now(UTC),
            traceparent=traceparent,
        )
    except Malformed as error:
        raise _too_long(event) from error
    if len(envelope) > MAX_EVENT_BYTES - _HEADER_ROOM:
        raise _too_long(event)
    return Announcement(
        subject=topology.uploaded(event.media_type, lane),
        message_id=message_id,
        envelope=envelope.decode(),
        traceparent=traceparent,
    )


def _too_long(event: MediaUploaded) -> Invalid:
    sizes = {name: len(msgspec.json.encode(getattr(event, field))) for name, field in _LONG.items()}
    longest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:3]
    told = ", ".join(f"{name} with {sizes[name]} bytes" for name in longest)
    return Invalid(
        f"What is said beside the file is too long; together it may have some 60 KiB. The longest are {told}."
    )


async def publish(ingest: Ingest, announcement: Announcement, reply: str | None = None) -> int:
    """Publish until it is acknowledged; its sequence. Each attempt has the same message id, so that one which
    only seemed to fail does no harm. Raises Unannounced when all have failed."""
    headers = {}
    if announcement.traceparent:
        headers[trace.HEADER] = announcement.traceparent
    if reply:
        headers[REPLY_HEADER] = reply
    data = announcement.envelope.encode()
    for pause in (*_PAUSES, None):
        try:
            return await ingest.bus.publish(
                announcement.subject, data, message_id=announcement.message_id, headers=headers
            )
        except TripodError as error:
            log.warning("media.publish_failed", message_id=announcement.message_id, error=error.detail)
            if pause is None:
                raise Unannounced(
                    "The file is stored, but the message broker did not confirm that it was announced. Ask again "
                    "with the same Idempotency-Key; without one, the upload may still appear by itself.",
                    retry_after=RETRY_SECONDS,
                ) from error
            await asyncio.sleep(pause)
    raise AssertionError  # pragma: no cover - the loop returns or raises


async def reject(ingest: Ingest, event: MediaRejected) -> None:
    """Say that an upload was refused. Nothing depends on it, so a broker that is away is no further trouble."""
    message_id = str(uuid.uuid5(event.id, f"media.rejected.{event.rejected_at.timestamp()}"))
    data = encode(
        event,
        source="ingest",
        event_id=message_id,
        subject=str(event.id),
        time=event.rejected_at,
        traceparent=trace.traceparent(),
    )
    try:
        await ingest.bus.publish(
            topology.media_subject("rejected", event.media_type), data, message_id=message_id
        )
    except TripodError as error:
        log.warning("media.rejection_not_told", media_id=str(event.id), error=error.detail)
