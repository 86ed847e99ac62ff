"""What a listener has missed: the events behind a place of the stream, as far as the caller may see them now."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Mapping

import msgspec

from services.catalog.database import Database
from services.catalog.listeners import Listener, LiveMessage
from services.catalog.live import as_hidden, as_outsiders_see, shown_as
from services.catalog.sight import Sight, seen
from shared.auth import Caller
from shared.events import topology
from shared.events.bus import Bus
from shared.events.messages import MediaCreated, MediaDeleted, MediaUpdated, decode
from shared.trace import continue_from

MOST = 5_000
"""Places that are looked at; whoever was away for longer asks for everything anew."""
AT_ONCE = 100


async def from_there_on(
    database: Database, bus: Bus, listener: Listener, since: int | None
) -> AsyncGenerator[LiveMessage, None]:
    """What the listener has missed since that place, then what happens; nothing twice and nothing left out. Ends when
    this process leaves. Raises Unavailable."""
    known = 0
    if since is not None:
        known = await bus.last_sequence(topology.MEDIA)
        async for behind in missed(
            database, bus, listener.caller, since=since, until=known, only=listener.only
        ):
            yield behind
    while (message := await listener.next()) is not None:
        if message.sequence is None or message.sequence > known:
            yield message


class _Told(msgspec.Struct, frozen=True):
    """A stored event that listeners are told of."""

    message: LiveMessage
    owner: str | None
    hidden: bool


async def missed(
    database: Database,
    bus: Bus,
    caller: Caller,
    *,
    since: int,
    until: int,
    only: frozenset[str] | None = None,
) -> AsyncGenerator[LiveMessage, None]:
    """In order, from behind `since` up to `until`. A `resync` alone where that is too much, or where the stream is not
    the one that `since` was a place of. `only` as a listener has it. Raises Unavailable."""
    if not 0 <= until - since <= MOST:
        yield LiveMessage(type="resync")
        return
    for first in range(since + 1, until + 1, AT_ONCE):
        places = range(first, min(first + AT_ONCE, until + 1))
        told = [found for found in await asyncio.gather(*(_at(bus, place) for place in places)) if found]
        # What was public once may not be so any more, and what is so now may not have been: row and event decide.
        ids = {found.message.id for found in told if found.message.id}
        sights = await seen(database, caller, ids, only)
        for found in told:
            message = _for(caller, found, sights, only)
            if message is not None:
                yield message


async def _at(bus: Bus, place: int) -> _Told | None:
    stored = await bus.read(topology.MEDIA, place)
    if stored is None:
        return None
    envelope, event = decode(stored.data)
    if not isinstance(event, MediaCreated | MediaUpdated | MediaDeleted):
        return None
    trace_id = continue_from(envelope.traceparent).trace_id if envelope.traceparent else None
    message = msgspec.structs.replace(shown_as(event), sequence=place, trace_id=trace_id)
    return _Told(message, event.owner, isinstance(event, MediaUpdated) and event.hidden is True)


def _for(
    caller: Caller, told: _Told, sights: Mapping[uuid.UUID, Sight], only: frozenset[str] | None
) -> LiveMessage | None:
    """What the caller is told of it; None where that is nothing. Of what is deleted no row tells any more whose it
    was."""
    message = told.message
    if message.type == "media.deleted":
        return message if caller.sees_all or caller.sub == told.owner is not None else None
    sight, shown = sights.get(message.id) if message.id else None, message.media or {}
    if sight is None or not sight.covers(shown):
        heard = told.hidden and (only is None or shown.get("profile") in only)
        return as_hidden(message) if heard else None
    return message if sight.changes(shown) else as_outsiders_see(message)
