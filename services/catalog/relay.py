"""Tells the outbox to the broker, and erases from the broker what described media that are deleted.

One relay works at a time, by advisory lock: the rows of one media then leave in the order in which their
transactions were committed (each held the media's lock while it took its position), whatever number of catalogs
runs. Different media have no order among each other and go at once, so one process is fast enough.
"""

import asyncio
import itertools
import uuid
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
import structlog
from sqlalchemy import Row, bindparam, delete, func, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.database import ERASER, REGISTRAR, RELAY, Database, try_lock
from services.catalog.models import outbox, stored_events, tombstones
from services.catalog.outbox import EVENT, REGISTRY
from services.catalog.retold import remember, told_before
from shared import failpoints, trace
from shared.entities import Entity
from shared.errors import TripodError, Unavailable
from shared.events import topology
from shared.events.bus import Bus, KeyConflict
from shared.events.consumer import unless

log = structlog.get_logger()

BATCH = 100
LOOK_SECONDS = 0.25  # for rows that another process has written
GATHER_SECONDS = 0.02  # after something was told: what follows at once goes together, at the price of few
ERASE_SECONDS = 0.5  # between two looks for what is to be erased
DOWN_SECONDS = 1.0  # between attempts while a part is down
MEASURE_SECONDS = 5.0
SEQUENCE_HEADER = "Tripod-Sequence"
_DELETED = topology.media_subject("deleted", "")

# Built once: for short statements, building costs more than running.
_OLDEST = (
    select(outbox)
    .where(outbox.c.kind == bindparam("kind"))
    .order_by(outbox.c.position)
    .limit(BATCH)
    .with_for_update(skip_locked=True)
)
_REMOVE = text("DELETE FROM outbox WHERE position = ANY(CAST(:positions AS bigint[]))")
_NOTE = text(
    "INSERT INTO stored_events (stream, sequence, media_id) SELECT CAST(:stream AS text), * FROM"
    " unnest(CAST(:sequences AS bigint[]), CAST(:ids AS uuid[])) ON CONFLICT DO NOTHING"
)
_ARE_DELETED = text("SELECT media_id FROM tombstones WHERE media_id = ANY(CAST(:ids AS uuid[]))")


class Lag(Protocol):
    """Where the relay reports how far behind it is."""

    def report(self, *, rows: int, seconds: float) -> None: ...


class Told(msgspec.Struct, frozen=True):
    """A row that the broker has acknowledged; `sequence` is 0 for a registry entry, and for what was dropped."""

    row: Row[Any]
    sequence: int


async def relay(database: Database, bus: Bus, stop: asyncio.Event, lag: Lag) -> None:
    """Tell until `stop` is set; whatever is down is waited for. The registry beside the events: a broker that is slow
    to store a hundred of these does not keep a right that was taken away."""
    await asyncio.gather(
        _keep_telling(database, bus, stop, EVENT, database.written),
        _keep_telling(database, bus, stop, REGISTRY, database.registered),
        _measuring(database, stop, lag),
    )


async def _keep_telling(
    database: Database, bus: Bus, stop: asyncio.Event, kind: str, written: asyncio.Event
) -> None:
    while not stop.is_set():
        written.clear()
        pause = LOOK_SECONDS
        try:
            if bus.connected:
                while (count := await tell_batch(database, bus, kind)) == BATCH:
                    if stop.is_set():
                        return
                if count:
                    await unless(stop, asyncio.sleep(GATHER_SECONDS))
        except Unavailable as error:
            log.warning("outbox.waits", reason=error.detail)
            pause = DOWN_SECONDS
        await _pause(written, stop, pause)


async def _measuring(database: Database, stop: asyncio.Event, lag: Lag) -> None:
    while not stop.is_set():
        with suppress(Unavailable):  # the telling says so
            await measure(database, lag)
        await unless(stop, asyncio.sleep(MEASURE_SECONDS))


async def erasing(database: Database, bus: Bus, stop: asyncio.Event) -> None:
    """Erase until `stop` is set. Beside the telling: the broker takes its time for each erased message, and a right
    that was taken away must not wait for thousands of them."""
    while not stop.is_set():
        pause = ERASE_SECONDS
        try:
            if bus.connected:
                while await erase_batch(database, bus) == BATCH:
                    if stop.is_set():
                        return
        except Unavailable as error:
            log.warning("erasing.waits", reason=error.detail)
            pause = DOWN_SECONDS
        await unless(stop, asyncio.sleep(pause))


async def tell_batch(database: Database, bus: Bus, kind: str = EVENT) -> int:
    """Tell up to BATCH rows of a kind and remove them; how many were there. What cannot be told stays, and so does
    everything behind it in its line. Raises Unavailable when something could not."""
    async with database.writing(tell=False) as connection:
        if not await try_lock(connection, RELAY if kind == EVENT else REGISTRAR):
            return 0
        found = (await connection.execute(_OLDEST, {"kind": kind})).all()
        if not found:
            return 0
        lines = [
            list(line)
            for _, line in itertools.groupby(
                sorted(found, key=lambda r: (r.line, r.position)), lambda r: r.line
            )
        ]
        failures: list[TripodError] = []
        buried = await _buried(connection, found)
        before = await told_before(connection, bus, found, buried)
        told = list(
            itertools.chain(
                *await asyncio.gather(*(_tell_line(bus, line, before, buried, failures) for line in lines))
            )
        )
        if told:
            failpoints.reach("catalog.after_relay")
            positions = [t.row.position for t in told]
            await connection.execute(_REMOVE, {"positions": positions})
            await _note(connection, told)
            if not failures:  # else the outcome of one may be unknown, and its place lower than others'
                await remember(connection, max(t.sequence for t in told))
    if failures:
        raise Unavailable(failures[0].detail) from failures[0]
    return len(found)


async def _buried(connection: AsyncConnection, found: Sequence[Row[Any]]) -> set[uuid.UUID]:
    """The rows that speak of media which are deleted by now: nobody is to hear of them any more. Some may have been
    told all the same, by a relay that died before it could remember that."""
    ids = {row.media_id for row in found if row.media_id is not None}
    gone = set((await connection.scalars(_ARE_DELETED, {"ids": list(ids)})).all())
    return {row.id for row in found if row.media_id in gone and not row.subject.startswith(_DELETED)}


async def _tell_line(
    bus: Bus,
    line: list[Row[Any]],
    before: Mapping[uuid.UUID, int],
    buried: AbstractSet[uuid.UUID],
    failures: list[TripodError],
) -> list[Told]:
    told = []
    for row in line:
        try:
            sequence = before.get(row.id, 0)
            if not sequence and row.id not in buried:
                sequence = await _tell(bus, row)
            told.append(Told(row, sequence))
        except TripodError as error:
            # Also what the broker refuses for good stays: an event is never dropped, and the lag shows it.
            log.warning("outbox.not_told", outbox_id=str(row.id), subject=row.subject, reason=error.detail)
            failures.append(error)
            break
    return told


async def _tell(bus: Bus, row: Row[Any]) -> int:
    if row.kind == REGISTRY:
        await register(bus, row.subject, bytes(row.data))
        return 0
    headers = {trace.HEADER: row.traceparent} if row.traceparent else {}
    failpoints.reach("catalog.before_relay")
    sequence = await bus.publish(row.subject, bytes(row.data), message_id=str(row.id), headers=headers)
    # The live feeds of all replicas hear it with its place in the stream, by which a client asks for a replay.
    await bus.broadcast(
        topology.live(row.line), bytes(row.data), headers={**headers, SEQUENCE_HEADER: str(sequence)}
    )
    return sequence


async def register(bus: Bus, key: str, data: bytes) -> None:
    """Write an entity to the registry unless a newer state of it is there. Raises Unavailable."""
    bucket = bus.kv(topology.ENTITIES)
    ours = msgspec.json.decode(data, type=Entity)
    while True:
        entry = await bucket.get(key)
        try:
            if entry is None:
                await bucket.create(key, data)
            elif msgspec.json.decode(entry.value, type=Entity).version < ours.version:
                await bucket.update(key, data, entry.revision)
        except KeyConflict:
            continue
        return


async def _note(connection: Any, told: list[Told]) -> None:
    """Remember where events lie that will have to be erased with their media, and where the deletions lie."""
    events = [t for t in told if t.row.media_id is not None]
    deletions = [t for t in events if t.row.subject.startswith(_DELETED)]
    for t in deletions:
        await connection.execute(
            update(tombstones).where(tombstones.c.media_id == t.row.media_id).values(sequence=t.sequence)
        )
    told_of = {t.row.id for t in deletions}
    rest = [t for t in events if t.row.id not in told_of and t.sequence]
    if rest:
        await connection.execute(
            _NOTE,
            {
                "stream": topology.MEDIA,
                "sequences": [t.sequence for t in rest],
                "ids": [t.row.media_id for t in rest],
            },
        )


async def erase_batch(database: Database, bus: Bus) -> int:
    """Erase up to BATCH stored events of deleted media from the broker; how many. Raises Unavailable."""
    place = (stored_events.c.stream, stored_events.c.sequence)
    async with database.writing(tell=False) as connection:
        if not await try_lock(connection, ERASER):
            return 0
        condemned = (
            select(*place).join(tombstones, tombstones.c.media_id == stored_events.c.media_id).limit(BATCH)
        )
        found = (await connection.execute(condemned)).all()
        for stream, sequence in found:
            await bus.erase(stream, sequence)
            failpoints.reach("catalog.mid_erase")
        if found:
            await connection.execute(
                delete(stored_events).where(tuple_(*place).in_([tuple(f) for f in found]))
            )
    return len(found)


async def measure(database: Database, lag: Lag) -> None:
    """Report how many rows wait and for how long the oldest has."""
    async with database.reading() as connection:
        count, oldest = (
            await connection.execute(select(func.count(), func.min(outbox.c.created_at)).select_from(outbox))
        ).one()
    lag.report(rows=count, seconds=(datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0)


async def _pause(wake: asyncio.Event, stop: asyncio.Event, seconds: float) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in (wake, stop)]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
