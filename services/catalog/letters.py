"""Dead letters of media: noted where the events that describe a media are noted, so that they are erased with it."""

import asyncio
from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.catalog.database import Database
from services.catalog.models import marks, stored_events
from shared.errors import Unavailable
from shared.events import dead_letters
from shared.events.bus import Bus
from shared.events.consumer import unless
from shared.events.topology import DEAD

LOOK_SECONDS = 5.0
NOTED_UP_TO = "letters_noted_up_to"
"""The mark behind which lie the letters that nobody has looked at."""


async def note(database: Database, bus: Bus) -> int:
    """Note the letters that came since; how many tell of a media. One that tells an eraser to erase is left out: it
    names what has to go, and no more. Raises Unavailable."""
    async with database.reading() as connection:
        mark = await connection.scalar(select(marks.c.value).where(marks.c.name == NOTED_UP_TO)) or 0
    last = await bus.last_sequence(DEAD)
    if last == mark:
        return 0
    # A broker that lost its letters counts them from 1 again.
    found = [listed async for listed in dead_letters.after(bus, mark if mark < last else 0)]
    rows = [
        {"stream": DEAD, "sequence": listed.sequence, "media_id": listed.letter.media_id}
        for listed in found
        if listed.letter.media_id is not None and not listed.letter.of_deletion
    ]
    async with database.writing(tell=bool(rows)) as connection:
        if rows:
            place = [stored_events.c.stream, stored_events.c.sequence]
            new = upsert(stored_events)
            change = {"media_id": new.excluded.media_id}
            await connection.execute(new.on_conflict_do_update(index_elements=place, set_=change), rows)
        moved = upsert(marks).values(name=NOTED_UP_TO, value=last)
        await connection.execute(
            moved.on_conflict_do_update(index_elements=[marks.c.name], set_={"value": moved.excluded.value})
        )
    return len(rows)


async def keep_noting(database: Database, bus: Bus, stop: asyncio.Event) -> None:
    """Note what comes until `stop` is set."""
    while not stop.is_set():
        with suppress(Unavailable):  # what is down is waited for
            await note(database, bus)
        await unless(stop, asyncio.sleep(LOOK_SECONDS))
