"""The broker's registry of entities: seen to know every one of them, also after the broker has lost it.

The relay tells it each change. What it was told before it was lost only the catalog knows.
"""

import asyncio
from contextlib import suppress

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.database import ANNOUNCER, Database, try_lock
from services.catalog.models import entities as table
from services.catalog.relay import register
from shared import entities
from shared.entities import Entity
from shared.errors import Unavailable
from shared.events import topology
from shared.events.bus import Bus
from shared.events.consumer import unless
from shared.events.topology import Topology

log = structlog.get_logger()

COMPLETE = "complete"
"""The key that says that all entities were told to this bucket; theirs have a dot."""
AT_ONCE = 100
LOOK_SECONDS = 2.0


async def ensure_registry(database: Database, bus: Bus) -> int:
    """Tell the broker all entities unless it has been told; how many. One process does it at a time, and newer states
    that others tell meanwhile stay. Raises Unavailable."""
    bucket = bus.kv(topology.ENTITIES)
    if await bucket.get(COMPLETE) is not None:
        return 0
    async with database.writing(tell=False) as connection:
        if not await try_lock(connection, ANNOUNCER):
            return 0
        known = await all_entities(connection)
        for start in range(0, len(known), AT_ONCE):
            await asyncio.gather(*(_register(bus, entity) for entity in known[start : start + AT_ONCE]))
        await bucket.put(COMPLETE, b"")
    log.info("registry.announced", entities=len(known))
    return len(known)


async def keep_registry(database: Database, bus: Bus, wanted: Topology, stop: asyncio.Event) -> None:
    """See to it until `stop` is set, also where the broker has lost the bucket alone."""
    while not stop.is_set():
        try:
            await ensure_registry(database, bus)
        except Unavailable as error:
            log.info("registry.waits", reason=error.detail)
            if bus.connected:
                with suppress(Unavailable):
                    await bus.ensure(wanted)
        await unless(stop, asyncio.sleep(LOOK_SECONDS))


async def all_entities(connection: AsyncConnection) -> list[Entity]:
    """Those of the catalog, deleted ones included."""
    columns = (getattr(table.c, name) for name in Entity.__struct_fields__)
    found = await connection.execute(select(*columns).order_by(table.c.type, table.c.id))
    return [
        Entity(**{**row, "owners": tuple(row["owners"]), "admins": tuple(row["admins"])})
        for row in found.mappings()
    ]


async def _register(bus: Bus, entity: Entity) -> None:
    await register(bus, entities.key(entity.type, entity.id), msgspec.json.encode(entity))


async def registered(bus: Bus) -> dict[str, Entity]:
    """What the broker's registry holds, by key. Raises Unavailable."""
    bucket = bus.kv(topology.ENTITIES)
    found: dict[str, Entity] = {}
    names = [name for name in await bucket.keys() if name != COMPLETE]
    for start in range(0, len(names), AT_ONCE):
        entries = await asyncio.gather(*(bucket.get(name) for name in names[start : start + AT_ONCE]))
        found |= {
            entry.key: msgspec.json.decode(entry.value, type=Entity) for entry in entries if entry is not None
        }
    return found
