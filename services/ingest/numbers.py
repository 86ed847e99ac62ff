"""Numbers for media, unique over all replicas: blocks reserved from one counter by compare-and-set."""

import asyncio

import structlog

from services.ingest.contention import step_aside
from services.ingest.limits import RETRY_SECONDS
from shared.errors import Unavailable
from shared.events.bus import KeyConflict, KeyValue

KEY = "media.number"
"""Where the counter is; its value is the next number in decimal digits. Only the catalog creates it."""

BLOCK = 100
_ATTEMPTS = 50

log = structlog.get_logger()


class Numbers:
    """Hands out numbers, each once. What is left of a block when the process ends is never used: gaps are fine,
    repeats are not."""

    def __init__(self, counters: KeyValue) -> None:
        self._counters = counters
        self._next = 0
        self._end = 0
        self._lock = asyncio.Lock()

    async def check(self) -> None:
        """Return when numbers can be had. Raises Unavailable while the catalog has not made the counter."""
        if self._next >= self._end and await self._counters.get(KEY) is None:
            raise _absent()

    async def take(self) -> int:
        """The next number. Raises Unavailable."""
        async with self._lock:
            if self._next >= self._end:
                self._next = await self._reserve()
                self._end = self._next + BLOCK
            number = self._next
            self._next += 1
            return number

    def forget(self) -> None:
        """Drop what is left of the block. To be called when the broker was away: should it have lost its state, the
        catalog makes the counter anew, and this block may be somebody else's."""
        self._next = self._end = 0

    async def _reserve(self) -> int:
        for attempt in range(_ATTEMPTS):
            entry = await self._counters.get(KEY)
            if entry is None:
                raise _absent()
            first = int(entry.value)
            try:
                await self._counters.update(KEY, str(first + BLOCK).encode(), entry.revision)
            except KeyConflict:  # another replica was faster
                await step_aside(attempt)
                continue
            log.info("numbers.reserved", first=first, count=BLOCK)
            return first
        raise Unavailable(
            f"No block of numbers could be reserved in {_ATTEMPTS} attempts.", retry_after=RETRY_SECONDS
        )


def _absent() -> Unavailable:
    return Unavailable(
        f"The counter {KEY!r} does not exist yet; the catalog makes it when it starts for the first time.",
        retry_after=RETRY_SECONDS,
    )
