"""The counter that ingest takes numbers from: the catalog creates it, because it knows the highest one."""

import structlog
from sqlalchemy import func, select

from services.catalog.commands import HIGHEST_NUMBER
from services.catalog.database import Database
from services.catalog.models import marks, media
from shared.events import topology
from shared.events.bus import Bus, KeyConflict
from shared.imports import MOST_NUMBER

log = structlog.get_logger()

KEY = "media.number"


async def ensure_counter(database: Database, bus: Bus) -> int:
    """The next number as the broker has it now: created where absent, raised where it is behind the rows, never
    lowered. Raises Unavailable."""
    bucket = bus.kv(topology.COUNTERS)
    least = await lowest_free(database)
    while True:
        entry = await bucket.get(KEY)
        current = int(entry.value) if entry else 0
        if current >= least:
            return current
        try:
            if entry is None:
                await bucket.create(KEY, str(least).encode())
            else:
                await bucket.update(KEY, str(least).encode(), entry.revision)
        except KeyConflict:
            continue
        log.info("numbers.counter_set", before=current or None, now=least)


async def lowest_free(database: Database) -> int:
    """One more than the highest number that any media was given or, deleted, had."""
    given = select(func.max(media.c.number)).where(media.c.number <= MOST_NUMBER)
    async with database.reading() as connection:
        highest = await connection.scalar(given)
        mark = await connection.scalar(select(marks.c.value).where(marks.c.name == HIGHEST_NUMBER))
    return max(highest or 0, mark or 0) + 1
