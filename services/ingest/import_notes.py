"""What imports note for ever: who took a name, and which id a row was given. Many names share one key of the broker."""

import msgspec

from services.ingest.contention import step_aside
from services.ingest.context import Ingest
from services.ingest.limits import RETRY_SECONDS
from shared.errors import Unavailable
from shared.events import topology
from shared.events.bus import Entry, KeyConflict

_TRIES = 50


async def taker(ingest: Ingest, key: str, name: str) -> str | None:
    """What is noted under the name."""
    return (await _takers(ingest, key))[1].get(name)


async def note(ingest: Ingest, key: str, name: str, value: str) -> str:
    """What is noted under the name from now on: who comes first stays. Raises Unavailable."""
    bucket = ingest.bus.kv(topology.IMPORTS)
    for attempt in range(_TRIES):
        entry, takers = await _takers(ingest, key)
        if name in takers:
            return takers[name]
        data = msgspec.json.encode({**takers, name: value})
        try:
            await (bucket.create(key, data) if entry is None else bucket.update(key, data, entry.revision))
        except KeyConflict:  # a neighbour was faster
            await step_aside(attempt)
            continue
        return value
    raise Unavailable("The ids beside this one are contended; try again.", retry_after=RETRY_SECONDS)


async def _takers(ingest: Ingest, key: str) -> tuple[Entry | None, dict[str, str]]:
    entry = await ingest.bus.kv(topology.IMPORTS).get(key)
    return entry, msgspec.json.decode(entry.value, type=dict[str, str]) if entry else {}
