"""How often each original was fetched: counted here, written by the batch, so that no download waits for a row."""

import asyncio
import uuid
from collections import Counter
from contextlib import suppress

import structlog
from sqlalchemy import BigInteger, Uuid, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from services.catalog.database import Database
from services.catalog.models import downloads, media
from shared.errors import Unavailable

log = structlog.get_logger()

PAUSE_SECONDS = 5.0
MOST_WAITING = 100_000
"""Media whose counts wait for a database that is down; more are not counted."""

_told = (
    func.unnest(bindparam("ids", type_=ARRAY(Uuid)), bindparam("counts", type_=ARRAY(BigInteger)))
    .table_valued(column("media_id", Uuid), column("count", BigInteger))
    .render_derived()
)
# Only of what is there still: a media may have gone since it was fetched. In one order, so that two replicas that write
# the same counts wait for each other instead of for ever.
_rows = (
    select(media.c.id, media.c.owner, _told.c.count)
    .join(_told, _told.c.media_id == media.c.id)
    .order_by(media.c.id)
)
_insert = upsert(downloads).from_select(["media_id", "owner", "count"], _rows)
_WRITE = _insert.on_conflict_do_update(
    index_elements=[downloads.c.media_id], set_={"count": downloads.c.count + _insert.excluded.count}
)


class Downloads:
    """The counts of one process. What was not written when it dies is not counted: they are figures, not facts."""

    def __init__(self) -> None:
        self._waiting: Counter[uuid.UUID] = Counter()

    def note(self, media_id: uuid.UUID) -> None:
        """Somebody was sent the original, or its beginning."""
        if media_id in self._waiting or len(self._waiting) < MOST_WAITING:
            self._waiting[media_id] += 1

    async def keep_writing(self, database: Database, stop: asyncio.Event) -> None:
        """Every few seconds, and once more when `stop` is set."""
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), PAUSE_SECONDS)
            await self.write(database)

    async def write(self, database: Database) -> None:
        """What waits; all of it waits on where the database does not answer."""
        if not self._waiting:
            return
        told, self._waiting = self._waiting, Counter()
        try:
            async with database.writing(tell=False) as connection:
                await connection.execute(_WRITE, {"ids": list(told), "counts": list(told.values())})
        except Unavailable as error:
            self._waiting.update(told)
            log.info("downloads.not_counted_yet", reason=error.detail)
