"""Finishing what a dead process began: stored uploads are announced, others are erased."""

import asyncio
import secrets
import uuid

import msgspec
import structlog

from services.ingest import announce, intents, records
from services.ingest.context import Ingest
from services.ingest.intents import Intent
from services.ingest.leases import Lease, now_plus
from services.ingest.records import UploadRecord
from shared.errors import TripodError, Unavailable
from shared.events.bus import Entry, KeyConflict
from shared.events.consumer import unless
from shared.storage import leftovers

log = structlog.get_logger()

_AGAIN_SECONDS = 2.0


async def finish_former(ingest: Ingest, media_id: uuid.UUID) -> UploadRecord | None:
    """What a dead holder had stored under this id, announced now if it was not yet; None where it had stored
    nothing. Raises Unavailable."""
    record = await records.find(ingest, media_id)
    if record is not None:
        return record
    entry = await ingest.intents.get(str(media_id))
    if entry is None or intents.decode(entry.value).state != "stored":
        return None
    try:
        lease = await _taken(ingest, entry, intents.decode(entry.value))
    except KeyConflict as error:
        raise Unavailable("The upload is being finished elsewhere; ask again.", retry_after=1) from error
    return await _announce(ingest, lease)


async def sweep(ingest: Ingest) -> int:
    """Finish or undo every intent whose lease has run out; how many there were. Several sweeps at once, also of
    other processes, do no harm: each intent is claimed by compare-and-set, and every step may be repeated."""
    keys = await ingest.intents.keys()
    ingest.metrics.open_intents.set(len(keys))
    swept = 0
    for key in keys:
        entry = await ingest.intents.get(key)
        if entry is None:
            continue
        intent = intents.decode(entry.value)
        if intent.expired:
            try:
                swept += await _recover(ingest, entry, intent)
            except Unavailable as error:  # the next one may be luckier, and the next sweep comes
                log.warning("intent.not_recovered", media_id=key, error=error.detail)
    return swept


async def _recover(ingest: Ingest, entry: Entry, intent: Intent) -> int:
    try:
        lease = await _taken(ingest, entry, intent)
    except KeyConflict:
        return 0  # its holder lives, or another sweep was faster
    if await records.find(ingest, intent.id) is not None:
        # Acknowledged, so the intent is a leftover, in whatever state: nothing may be erased or told for it again.
        await lease.delete()
        how = "dropped"
    elif intent.state == "stored":
        await _announce(ingest, lease)
        how = "announced"
    else:
        await leftovers.erase(ingest.blobs, intent.key)
        await lease.delete()
        how = "erased"
    ingest.metrics.recovered.labels(how).inc()
    log.warning("intent.recovered", media_id=str(intent.id), how=how, key=intent.key)
    return 1


async def _taken(ingest: Ingest, entry: Entry, intent: Intent) -> Lease[Intent]:
    """The intent under a lease of ours. Raises KeyConflict."""
    ours = msgspec.structs.replace(
        intent,
        holder=secrets.token_hex(8),
        until=now_plus(ingest.settings.timing.lease),
        state="stored" if intent.state == "stored" else "erasing",
    )
    return await Lease.take_over(ingest.intents, entry.key, ours, entry.revision)


async def _announce(ingest: Ingest, lease: Lease[Intent]) -> UploadRecord:
    if lease.record.announcement is None:
        raise ValueError(lease.key)
    sequence = await announce.publish(ingest, lease.record.announcement)
    record = records.record_of(lease.record)
    await ingest.quota.doubt(record.event.owner, sequence)
    await records.settle(ingest, lease)
    return record


async def keep_sweeping(ingest: Ingest, stop: asyncio.Event) -> None:
    """Sweep at start and then every so often until `stop` is set; soon again where the broker was not there."""
    while not stop.is_set():
        wait = ingest.settings.timing.sweep
        try:
            await sweep(ingest)
        except TripodError as error:
            log.info("intents.not_swept", error=error.detail)
            wait = min(wait, _AGAIN_SECONDS)
        await unless(stop, asyncio.sleep(wait))
