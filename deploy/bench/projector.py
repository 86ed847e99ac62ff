"""How many events a second the projector takes in, beside the same rows written by plain batched statements.

What the projector adds is what nobody may leave out: the broker's hand-out and acknowledgement of each event, the check
for tombstones and early results, the note of the event's place, and the event that is told of the row.
"""

import asyncio
import itertools
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import bindparam, insert, update

from deploy.bench.results import Row, Setting, compared
from deploy.stack import EmbeddedStack
from services.catalog import duties, moderation_flags, projector
from services.catalog.app import EVENTS, PROJECTORS
from services.catalog.database import Database, DatabaseSettings
from services.catalog.measures import CatalogMetrics
from services.catalog.models import media, variants
from shared.events import messages, topology
from shared.events.bus import Bus
from shared.events.consumer import EventContext, consume
from shared.events.jetstream import BusSettings, connect
from shared.events.messages import MediaProcessed, MediaUploaded, VariantRef
from shared.ids import id_time, new_id
from shared.storage import keys

BATCH = 100  # rows of a plain transaction, and events that the projector keeps ready
_PATIENCE_SECONDS = 300
_BASE = "http://localhost"
_SPEC = "5pec0001"
_numbers = itertools.count(2_000_000_000)
_NAMES = ("thumbnail", "small", "medium", "large", "webp", "avif")


def measure(stack: EmbeddedStack, setting: Setting) -> list[Row]:
    """Uploads, and results with six variants each, in turns with plain inserts and updates of the same columns."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        return asyncio.run(_measure(stack, setting))
    finally:
        structlog.reset_defaults()


async def _measure(stack: EmbeddedStack, setting: Setting) -> list[Row]:
    many, rounds = (500, 3) if setting.quick else (2000, 5)
    database = Database(DatabaseSettings(url=stack.database_url))
    bus = await connect(BusSettings(url=stack.nats_url), wait=10)
    figures: dict[str, list[float]] = {name: [] for name in ("up", "plain up", "results", "plain results")}
    try:
        await bus.ensure(topology.TOPOLOGY)
        for number in range(rounds + 1):
            setting.console.print(
                f"[dim]events of the projector, round {number} of {rounds}[/]", highlight=False
            )
            found = await _round(database, bus, many)
            if number:  # the first warms connections and caches
                for name, figure in found.items():
                    figures[name].append(figure)
    finally:
        await bus.close()
        await database.close()
    note = f"{many} at a time, {PROJECTORS} transactions at once; plain: {BATCH} rows in a transaction"
    return [
        compared(
            "rows", f"projector, {what} a second", figures[name], "/s",
            baseline="plain batched " + how, against=figures[f"plain {name}"], note=note,
        )
        for name, what, how in (
            ("up", "uploads", "inserts"), ("results", "results of six variants", "updates and inserts"),
        )
    ]  # fmt: skip


async def _round(database: Database, bus: Bus, many: int) -> dict[str, float]:
    told, plain = [_upload() for _ in range(many)], [_upload() for _ in range(many)]
    return {
        "up": await _projected(database, bus, told),
        "plain up": await _rate(many, lambda: _inserted(database, plain)),
        "results": await _projected(database, bus, [_result(upload) for upload in told]),
        "plain results": await _rate(many, lambda: _updated(database, [_result(upload) for upload in plain])),
    }


async def _rate(many: int, work: Callable[[], Awaitable[None]]) -> float:
    started = time.perf_counter()
    await work()
    return many / (time.perf_counter() - started)


async def _projected(database: Database, bus: Bus, events: Sequence[MediaUploaded | MediaProcessed]) -> float:
    """Told beforehand, then taken in as a running catalog does."""
    for start in range(0, len(events), BATCH):
        await asyncio.gather(*(_tell(bus, event) for event in events[start : start + BATCH]))
    handle = duties.projecting(
        database,
        bus,
        CatalogMetrics(CollectorRegistry()),
        _BASE,
        cascading=frozenset(),
        single=frozenset(),
        distance=moderation_flags.DISTANCE,
        places=PROJECTORS,
    )
    stop, handled = asyncio.Event(), itertools.count(1)

    async def counted(context: EventContext) -> None:
        await handle(context)
        if next(handled) == len(events):
            stop.set()

    durable = topology.TOPOLOGY.durable("catalog-projector")
    work = consume(bus, durable, counted, stop=stop, concurrency=EVENTS, batch=BATCH)
    return await _rate(len(events), lambda: asyncio.wait_for(work, _PATIENCE_SECONDS))


async def _tell(bus: Bus, event: MediaUploaded | MediaProcessed) -> None:
    message_id = uuid.uuid4().hex
    data = messages.encode(
        event,
        source="bench",
        event_id=message_id,
        subject=str(event.id),
        time=id_time(event.id),
        traceparent=None,
    )
    subject = (
        topology.uploaded("image", "fresh")
        if isinstance(event, MediaUploaded)
        else topology.media_subject("processed", "image")
    )
    await bus.publish(subject, data, message_id=message_id)


async def _inserted(database: Database, uploads: Sequence[MediaUploaded]) -> None:
    for start in range(0, len(uploads), BATCH):
        rows = [projector.row_of(upload, None) for upload in uploads[start : start + BATCH]]
        async with database.writing(tell=False) as connection:
            await connection.execute(insert(media), rows)


async def _updated(database: Database, results: Sequence[MediaProcessed]) -> None:
    for start in range(0, len(results), BATCH):
        some = results[start : start + BATCH]
        values = [_columns(result) for result in some]
        change = (
            update(media)
            .where(media.c.id == bindparam("which"))
            .values({name: bindparam(f"new_{name}") for name in values[0]})
        )
        given = [
            {"which": result.id} | {f"new_{name}": value for name, value in columns.items()}
            for result, columns in zip(some, values, strict=True)
        ]
        files = [row for result in some for row in projector.variant_rows(result.id, result.variants)]
        async with database.writing(tell=False) as connection:
            await connection.execute(change, given)
            await connection.execute(insert(variants), files)


def _columns(result: MediaProcessed) -> dict[str, Any]:
    nothing = {"derived_generation": 0, "derived_at": None}
    known = {"generation": 1, "status": "processing", "status_at": result.processed_at, "error_code": None}
    return {
        **projector.status_part(nothing | known, result),
        **projector.derived_part(nothing | known, result),
    }


def _upload() -> MediaUploaded:
    media_id = new_id()
    return MediaUploaded(
        id=media_id,
        number=next(_numbers),
        owner="the one of the bench",
        profile="default",
        recipe="standard",
        key=f"2026/11/21/{media_id}_photo.jpg",
        filename="photo.jpg",
        mime_type="image/jpeg",
        media_type="image",
        size=1_000_000,
        sha256=media_id.hex * 2,
        is_public=False,
        created_at=id_time(media_id),
    )


def _result(upload: MediaUploaded) -> MediaProcessed:
    digits = upload.id.hex[-16:]  # no two pictures alike
    return MediaProcessed(
        id=upload.id,
        generation=1,
        owner=upload.owner,
        media_type="image",
        recipe=upload.recipe,
        width=4000,
        height=3000,
        phash=digits,
        dhash=digits,
        ahash=digits,
        variants=tuple(
            VariantRef(
                name=name,
                key=keys.variant(upload.id, spec=_SPEC, name=name, extension="jpg"),
                mime_type="image/jpeg",
                width=800,
                height=600,
                size=50_000,
                spec=_SPEC,
                sha256=upload.sha256,
            )
            for name in _NAMES
        ),
        processed_at=upload.created_at,
    )
