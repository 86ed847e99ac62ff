"""The eraser: when a media is deleted, what ingest has written of it goes."""

import asyncio

from services.ingest import idempotency, records
from services.ingest.context import Ingest
from shared import failpoints
from shared.events.consumer import ConsumerMetrics, EventContext, consume
from shared.events.messages import MediaDeleted
from shared.storage import leftovers

DURABLE = "ingest-eraser"
_AT_ONCE = 8


async def erase(ingest: Ingest, context: EventContext) -> None:
    """Absence is success, so it may be repeated. Raises Unavailable."""
    event = context.event
    if not isinstance(event, MediaDeleted):
        return
    key = str(event.id)
    record = await records.find(ingest, event.id)
    if event.key:
        await leftovers.erase(ingest.blobs, event.key)
        failpoints.reach("ingest.mid_erase")
    if record is not None and record.idempotency:
        await idempotency.bury(ingest.idempotency, record.idempotency, event.id)
    await ingest.intents.delete(key)
    await ingest.uploads.delete(key)
    if event.owner is not None:
        await ingest.quota.doubt(event.owner)  # the row is gone: a new count gives its bytes back, once


async def keep_erasing(ingest: Ingest, stop: asyncio.Event, metrics: ConsumerMetrics) -> None:
    """Follow the deletes until `stop` is set."""

    async def handle(context: EventContext) -> None:
        await erase(ingest, context)

    await consume(
        ingest.bus,
        ingest.settings.bus.topology.durable(DURABLE),
        handle,
        stop=stop,
        concurrency=_AT_ONCE,
        metrics=metrics,
    )
