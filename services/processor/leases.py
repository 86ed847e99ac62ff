"""Work that one processor does while others wait: a key of a bucket, held and renewed until the work is done."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Literal, overload

import structlog

from shared.errors import Unavailable
from shared.events.bus import KeyConflict, KeyValue

log = structlog.get_logger()

LASTING = 15.0  # seconds without a renewal after which a holder counts as dead
_RENEWED = 4.0
_LOOK = 0.05


@contextlib.asynccontextmanager
async def held(bucket: KeyValue, key: str, *, lasting: float = LASTING) -> AsyncIterator[None]:
    """Hold the key alone among all processors; waits as long as another holds it. Raises Unavailable.

    A lease that is lost all the same costs the same work twice, and no more.
    """
    revision = await _taken(bucket, key, lasting)
    async with _kept(bucket, key, revision):
        yield


@contextlib.asynccontextmanager
async def alone(bucket: KeyValue, key: str, *, lasting: float = LASTING) -> AsyncIterator[bool]:
    """Hold the key, or False where another is alive that holds it. To tell takes as long as a renewal does, and
    `lasting` where the other is dead. Raises Unavailable."""
    revision = await _taken(bucket, key, lasting, wait=False)
    if revision is None:
        yield False
        return
    async with _kept(bucket, key, revision):
        yield True


@contextlib.asynccontextmanager
async def _kept(bucket: KeyValue, key: str, revision: int) -> AsyncIterator[None]:
    over = asyncio.Event()
    renewing = asyncio.create_task(_renew(bucket, key, revision, over), name="render-lease")
    try:
        yield
    finally:
        # Not cancelled: a write cut off in the middle would leave its revision unknown.
        over.set()
        with contextlib.suppress(KeyConflict, Unavailable):
            await bucket.delete(key, await renewing)


@overload
async def _taken(bucket: KeyValue, key: str, lasting: float) -> int: ...
@overload
async def _taken(bucket: KeyValue, key: str, lasting: float, *, wait: Literal[False]) -> int | None: ...
async def _taken(bucket: KeyValue, key: str, lasting: float, *, wait: bool = True) -> int | None:
    """The revision of our own, None where we do not `wait` and somebody else is at work. A holder is judged by whether
    its revision moves, so clocks need not agree."""
    seen, since = 0, time.monotonic()
    while True:
        with contextlib.suppress(KeyConflict):
            return await bucket.create(key, b"")
        entry = await bucket.get(key)
        if entry is None:
            continue
        if seen and entry.revision != seen and not wait:
            return None
        if entry.revision != seen:
            seen, since = entry.revision, time.monotonic()
        elif time.monotonic() - since > lasting:
            log.warning("lease.taken_over", key=key)
            with contextlib.suppress(KeyConflict):
                return await bucket.update(key, b"", seen)
        await asyncio.sleep(_LOOK)


async def _renew(bucket: KeyValue, key: str, revision: int, over: asyncio.Event) -> int:
    """The last revision of ours."""
    while not over.is_set():
        try:
            await asyncio.wait_for(over.wait(), _RENEWED)
        except TimeoutError:
            try:
                revision = await bucket.update(key, b"", revision)
            except (KeyConflict, Unavailable) as error:
                log.warning("lease.not_renewed", key=key, error=repr(error))
    return revision
