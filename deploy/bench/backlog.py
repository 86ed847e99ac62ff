"""Somebody else's backlog: many uploads that wait to be processed.

The first go through ingest, as many as a flood has before it is one and some more; the others are told to the broker
as ingest would tell them, because only what happens behind that is measured. They share the bytes of one object.
"""

import asyncio
import itertools
import time
import uuid
from datetime import UTC, datetime

import msgspec
import psycopg

from deploy.bench import load, system
from deploy.stack import EmbeddedStack
from shared.events import messages, topology
from shared.events.jetstream import BusSettings, JetStreamBus, connect
from shared.events.messages import MediaUploaded
from shared.ids import id_time, new_id

CROWD = "the one with the backlog"
_BY_HTTP = 100  # of which 60 are fresh
_AT_ONCE = 100
_FIRST_NUMBER = 1_000_000_000  # ingest gives out those from 1 on
_PATIENCE_SECONDS = 300


def pile_up(stack: EmbeddedStack, picture: bytes, many: int) -> None:
    """Return when the catalog has rows for all of them. The processor must be stopped."""
    url = f"{stack.ingest_url}/v1/uploads/raw/photo.jpg"
    headers = {"Authorization": f"Bearer {stack.token(CROWD)}", "Prefer": "respond-async"}
    first = min(many, _BY_HTTP)
    load.send_all(url, [load.request("PUT", url, picture, headers)] * first, 8)
    asyncio.run(_tell(stack, many - first))
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (found := waiting(stack)) < many:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the catalog has {found} of {many} rows after {_PATIENCE_SECONDS} s")
        time.sleep(0.1)


def upload_one(stack: EmbeddedStack, picture: bytes) -> None:
    """The one whose bytes the others share."""
    url = f"{stack.ingest_url}/v1/uploads/raw/photo.jpg"
    headers = {"Authorization": f"Bearer {stack.token(CROWD)}", "Prefer": "respond-async"}
    load.send_all(url, [load.request("PUT", url, picture, headers)], 1)


def tell(stack: EmbeddedStack, many: int) -> None:
    """That many more in the bulk lane; one has been uploaded."""
    asyncio.run(_tell(stack, many))


def waiting(stack: EmbeddedStack) -> int:
    """How many are not processed yet."""
    with psycopg.connect(system.dsn(stack.database_url)) as connection:
        found = connection.execute(
            "SELECT count(*) FROM media WHERE owner = %s AND status = 'processing'", (CROWD,)
        ).fetchone()
    return int(found[0]) if found else 0


async def _tell(stack: EmbeddedStack, many: int) -> None:
    bus = await connect(BusSettings(url=stack.nats_url), wait=10)
    try:
        pattern = await _an_upload(bus)
        numbers = itertools.islice(itertools.count(_FIRST_NUMBER), many)

        async def work() -> None:
            for number in numbers:
                await _tell_one(bus, pattern, number)

        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    finally:
        await bus.close()


async def _an_upload(bus: JetStreamBus) -> MediaUploaded:
    """One of those that came through ingest; its object is there."""
    for place in range(await bus.last_sequence(topology.MEDIA), 0, -1):
        message = await bus.read(topology.MEDIA, place)
        event = messages.decode(message.data)[1] if message else None
        if isinstance(event, MediaUploaded) and event.owner == CROWD:
            return event
    raise LookupError(CROWD)


async def _tell_one(bus: JetStreamBus, pattern: MediaUploaded, number: int) -> None:
    media_id = new_id()
    event = msgspec.structs.replace(pattern, id=media_id, number=number, created_at=id_time(media_id))
    message_id = str(uuid.uuid4())
    data = messages.encode(
        event,
        source="ingest",
        event_id=message_id,
        subject=str(media_id),
        time=datetime.now(UTC),
        traceparent=None,
    )
    await bus.publish(topology.uploaded(event.media_type, "bulk"), data, message_id=message_id)
