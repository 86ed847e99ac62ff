"""Room for the numbers of older systems: ranges that no upload of ours was, or will be, given a number from.

Uploads take blocks from one counter, and some of a block may be in the hands of a process that nobody can ask. So an
import may keep a number only where the counter was lifted over it: what it jumped is nobody's. The counter and the list
of such ranges are two values. What is about to be lifted is written down first, with an end that no sequence of blocks
leads to from where the counter stood; so whoever comes upon it can tell whether the lift has happened.
"""

import msgspec
import structlog

from services.ingest.contention import step_aside
from services.ingest.context import Ingest
from services.ingest.limits import RETRY_SECONDS
from services.ingest.numbers import BLOCK, KEY
from shared.errors import Invalid, Unavailable
from shared.events import topology
from shared.events.bus import Entry, KeyConflict
from shared.imports import MOST_NUMBER

log = structlog.get_logger()

_RANGES = "ranges"
_TRIES = 20


class _Lift(msgspec.Struct, frozen=True, kw_only=True):
    """From a counter that stood at `first` to `end`."""

    first: int
    end: int


class Ranges(msgspec.Struct, frozen=True, kw_only=True):
    """Ranges of numbers, both ends included, in ascending order; and what may have been added to them."""

    free: list[tuple[int, int]] = []
    lifting: _Lift | None = None

    def has(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self.free)


async def ranges(ingest: Ingest) -> Ranges:
    """Those that are known for sure. Raises Unavailable."""
    return _decoded(await ingest.bus.kv(topology.IMPORTS).get(_RANGES))


async def can_have(ingest: Ingest, number: int) -> bool:
    """Whether an import may keep the number, as far as uploads are concerned, once room is made for it."""
    counter = await ingest.bus.kv(topology.COUNTERS).get(KEY)
    return (counter is not None and number >= int(counter.value)) or (await ranges(ingest)).has(number)


async def make_room(ingest: Ingest, highest: int) -> Ranges:
    """Lift the counter above `highest`, unless it is there; the ranges afterwards. Raises Invalid, Unavailable."""
    if not 0 < highest <= MOST_NUMBER:
        raise Invalid(f"highest is {highest}; allowed is 1 to {MOST_NUMBER}.", field="highest")
    for attempt in range(_TRIES):
        try:
            done = await _step(ingest, highest)
        except KeyConflict:  # another import, or an upload that took a block
            await step_aside(attempt, seconds=0.01)
            continue
        if done is not None:
            return done
    raise Unavailable("The counter of numbers is contended; try again.", retry_after=RETRY_SECONDS)


async def _step(ingest: Ingest, highest: int) -> Ranges | None:
    """One step towards it; the ranges once there is none left. Raises KeyConflict where somebody was faster."""
    bucket, counters = ingest.bus.kv(topology.IMPORTS), ingest.bus.kv(topology.COUNTERS)
    noted, counter = await bucket.get(_RANGES), await counters.get(KEY)
    if counter is None:
        raise Unavailable(f"The counter {KEY!r} does not exist yet.", retry_after=RETRY_SECONDS)
    known, stands = _decoded(noted), int(counter.value)
    if known.lifting is not None:
        settled = msgspec.json.encode(_settled(known, stands))
        await bucket.update(_RANGES, settled, noted.revision if noted else 0)
        return None
    if highest < stands:
        return known
    end = highest + 1
    if (end - stands) % BLOCK == 0:
        end += 1
    lifting = msgspec.json.encode(
        msgspec.structs.replace(known, lifting=_Lift(first=stands, end=end)),
    )
    await (bucket.update(_RANGES, lifting, noted.revision) if noted else bucket.create(_RANGES, lifting))
    await counters.update(KEY, str(end).encode(), counter.revision)
    log.info("numbers.lifted", before=stands, now=end)
    return None


def _settled(known: Ranges, stands: int) -> Ranges:
    """What was about to be lifted has been, or has not: `stands` is the counter now."""
    lift = known.lifting
    if lift is None or stands < lift.end or (stands - lift.end) % BLOCK:
        return Ranges(free=known.free)
    free = [*known.free]
    if free and free[-1][1] + 1 == lift.first:
        free[-1] = (free[-1][0], lift.end - 1)
    else:
        free.append((lift.first, lift.end - 1))
    return Ranges(free=free)


def _decoded(entry: Entry | None) -> Ranges:
    return msgspec.json.decode(entry.value, type=Ranges) if entry else Ranges()
