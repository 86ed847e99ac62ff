"""A body of which only the least length is known: what it is sure to have streams, and nothing else changes."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator

import pytest

from shared.errors import Unavailable
from shared.storage.blobs import Blobs
from tests.contract.brokers import until
from tests.contract.stores import PART_BYTES, Store, body, digest, keys, read

KEY = "2026/11/21/film.mp4"
SURE = 2 * PART_BYTES + 77


class Refused(Exception):
    """What a body raises when a limit is passed."""


async def test_what_was_put_is_got_byte_for_byte(blobs: Blobs) -> None:
    for sure, more in ((SURE, 0), (SURE, 12_345), (SURE, PART_BYTES + 1), (9, PART_BYTES)):
        size = sure + more
        info = await blobs.put(
            KEY, body(size, piece=60_001), size=None, content_type="video/mp4", at_least=sure
        )
        assert (info.key, info.size) == (KEY, size)
        assert hashlib.sha256(await read(blobs, KEY)).hexdigest() == digest(size)


async def test_a_put_that_breaks_off_anywhere_leaves_nothing(store: Store, blobs: Blobs) -> None:
    for sent in (0, 1000, SURE - 1, SURE, SURE + 1000):
        error = Refused(f"after {sent}")
        with pytest.raises(Refused) as caught:
            await blobs.put(KEY, body(sent, error=error), size=None, content_type="video/mp4", at_least=SURE)
        assert caught.value is error
    for sent in (1000, SURE - 1):
        with pytest.raises(ValueError, match="announced"):
            await blobs.put(KEY, body(sent), size=None, content_type="video/mp4", at_least=SURE)
    assert await keys(blobs) == []
    await until(lambda: store.leftovers() == [])


async def test_a_put_that_is_cancelled_while_it_streams_leaves_nothing(store: Store, blobs: Blobs) -> None:
    sent = asyncio.Event()

    async def endless() -> AsyncGenerator[bytes, None]:
        async for piece in body(PART_BYTES):
            yield piece
        sent.set()
        await asyncio.Event().wait()

    whole = endless()
    putting = asyncio.create_task(blobs.put(KEY, whole, size=None, content_type="video/mp4", at_least=SURE))
    await asyncio.wait_for(sent.wait(), 20)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    await whole.aclose()  # fails where somebody still reads it
    assert await keys(blobs) == []
    await until(lambda: store.leftovers() == [])


async def test_a_store_that_dies_while_a_part_streams_is_unavailable(store: Store, blobs: Blobs) -> None:
    halfway, stopped = asyncio.Event(), asyncio.Event()

    async def long_body() -> AsyncGenerator[bytes, None]:
        async for piece in body(PART_BYTES):
            yield piece
        halfway.set()
        await stopped.wait()
        async for piece in body(SURE):
            yield piece

    whole = long_body()
    putting = asyncio.create_task(blobs.put(KEY, whole, size=None, content_type="video/mp4", at_least=SURE))
    await asyncio.wait_for(halfway.wait(), 20)
    await store.stop()
    stopped.set()
    with pytest.raises(Unavailable):
        await putting
    await whole.aclose()
    await store.start()
    assert await keys(blobs) == []
