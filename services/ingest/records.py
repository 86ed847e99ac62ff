"""What is kept of an acknowledged upload for a day: the answer to "where does it stand" while the catalog is down."""

import asyncio
import uuid

import msgspec
import structlog

from services.ingest.context import Ingest
from services.ingest.intents import Intent
from services.ingest.leases import Lease
from shared.errors import Unavailable
from shared.events.messages import MediaUploaded

log = structlog.get_logger()


class UploadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`idempotency`: where the bucket of answers keeps that of this upload; `head`: the file's fingerprint."""

    event: MediaUploaded
    idempotency: str | None = None
    head: str | None = None


class _Envelope(msgspec.Struct, frozen=True):
    data: MediaUploaded


def record_of(intent: Intent) -> UploadRecord:
    """What is kept of an intent that is stored."""
    if intent.announcement is None:
        raise ValueError(intent.state)
    event = msgspec.json.decode(intent.announcement.envelope, type=_Envelope).data
    return UploadRecord(event=event, idempotency=intent.idempotency, head=intent.head)


async def find(ingest: Ingest, media_id: uuid.UUID) -> UploadRecord | None:
    """Raises Unavailable."""
    entry = await ingest.uploads.get(str(media_id))
    return msgspec.json.decode(entry.value, type=UploadRecord) if entry else None


async def settle(ingest: Ingest, lease: Lease[Intent]) -> None:
    """After the acknowledgement: note the upload and drop its intent. What fails here the sweep does later."""
    record = record_of(lease.record)
    done = await asyncio.gather(
        ingest.uploads.put(lease.key, msgspec.json.encode(record)), lease.delete(), return_exceptions=True
    )
    for outcome in done:
        if isinstance(outcome, Unavailable):
            log.warning("upload.not_settled", media_id=lease.key, error=outcome.detail)
        elif isinstance(outcome, BaseException):
            raise outcome
