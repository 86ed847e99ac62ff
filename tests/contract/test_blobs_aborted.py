"""What is left of a transfer that breaks off: nothing, in memory and on real servers alike."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from shared.errors import Unavailable
from shared.storage.blobs import Blobs
from tests.contract.brokers import until
from tests.contract.stores import PART_BYTES, Store, body, keys, read

KEY = "2026/11/21/photo.jpg"
SMALL, LARGE = 100_000, 3 * PART_BYTES


class Refused(Exception):
    """What a body raises when the client breaks off or a limit is passed."""


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("sent", [0, SMALL, PART_BYTES, LARGE])
async def test_what_the_body_raises_comes_out_and_nothing_is_left(
    store: Store,
    blobs: Blobs,
    sent: int,
    known: bool,  # noqa: FBT001
) -> None:
    error = Refused("too large")
    with pytest.raises(Refused) as caught:
        await blobs.put(
            KEY, body(sent, error=error), size=sent + 1 if known else None, content_type="image/jpeg"
        )
    assert caught.value is error
    assert await keys(blobs) == []
    await until(lambda: store.leftovers() == [])


@pytest.mark.parametrize("size", [0, SMALL, LARGE])
async def test_an_error_after_the_last_byte_still_keeps_the_object_from_appearing(
    blobs: Blobs, size: int
) -> None:
    for announced in (size, None):
        with pytest.raises(Refused):
            await blobs.put(
                KEY, body(size, error=Refused("digest")), size=announced, content_type="image/jpeg"
            )
        assert await keys(blobs) == []


async def test_an_object_does_not_appear_before_its_body_has_ended(blobs: Blobs) -> None:
    seen: list[object] = []

    async def ends_late() -> AsyncIterator[bytes]:
        async for piece in body(SMALL):
            yield piece
        for _ in range(20):  # time enough for a store that has every byte
            seen.append(await blobs.head(KEY))
            await asyncio.sleep(0.01)
        raise Refused("digest")

    with pytest.raises(Refused):
        await blobs.put(KEY, ends_late(), size=SMALL, content_type="image/jpeg")
    assert seen == [None] * 20
    assert await keys(blobs) == []


async def test_an_error_of_the_body_that_looks_like_one_of_the_store_is_still_the_bodys(blobs: Blobs) -> None:
    for error in (
        Unavailable("mine"),
        TimeoutError("mine"),
        ConnectionResetError("mine"),
        ValueError("mine"),
    ):
        for size in (SMALL + 1, None):
            with pytest.raises(type(error)) as caught:
                await blobs.put(KEY, body(SMALL, error=error), size=size, content_type="image/jpeg")
            assert caught.value is error


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("off", [-1, 1, -SMALL, SMALL])
async def test_a_body_of_another_length_than_announced_is_refused(
    store: Store, blobs: Blobs, size: int, off: int
) -> None:
    with pytest.raises(ValueError, match="announced"):
        await blobs.put(KEY, body(size), size=size + off, content_type="image/jpeg")
    assert await keys(blobs) == []
    await until(lambda: store.leftovers() == [])


async def test_a_body_where_none_was_announced_is_refused(blobs: Blobs) -> None:
    with pytest.raises(ValueError, match="announced"):
        await blobs.put(KEY, body(1), size=0, content_type="image/jpeg")
    assert await keys(blobs) == []


@pytest.mark.parametrize("known", [True, False])
async def test_a_failed_put_leaves_what_was_there_before(blobs: Blobs, known: bool) -> None:  # noqa: FBT001
    await blobs.put_bytes(KEY, b"before", content_type="text/plain")
    with pytest.raises(Refused):
        await blobs.put(
            KEY,
            body(LARGE, error=Refused("late")),
            size=LARGE if known else None,
            content_type="image/jpeg",
        )
    assert await read(blobs, KEY) == b"before"


@pytest.mark.parametrize("known", [True, False])
async def test_a_cancelled_put_leaves_nothing_and_lets_the_body_go(
    store: Store,
    blobs: Blobs,
    known: bool,  # noqa: FBT001
) -> None:
    sent, let_go = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            async for piece in body(LARGE):
                yield piece
            sent.set()
            await asyncio.Event().wait()
        finally:
            let_go.set()

    size = LARGE + 1 if known else None
    whole = endless()
    putting = asyncio.create_task(blobs.put(KEY, whole, size=size, content_type="image/jpeg"))
    await asyncio.wait_for(sent.wait(), 20)
    assert await blobs.head(KEY) is None
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    await whole.aclose()
    assert let_go.is_set()
    assert await keys(blobs) == []
    await until(lambda: store.leftovers() == [])


async def test_an_object_appears_whole_or_not_at_all(blobs: Blobs) -> None:
    await blobs.put_bytes(KEY, b"before", content_type="text/plain")
    seen: list[bytes] = []

    async def peeking() -> AsyncIterator[bytes]:
        async for piece in body(LARGE):
            yield piece
            if len(seen) < 3:
                seen.append(await read(blobs, KEY))

    await blobs.put(KEY, peeking(), size=LARGE, content_type="image/jpeg")
    assert seen == [b"before"] * 3


@pytest.mark.parametrize("known", [True, False])
async def test_a_store_that_dies_during_a_put_is_unavailable_and_the_body_is_let_go(
    store: Store,
    blobs: Blobs,
    known: bool,  # noqa: FBT001
) -> None:
    halfway, stopped, let_go = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def long_body() -> AsyncGenerator[bytes, None]:
        try:
            async for piece in body(LARGE):
                yield piece
            halfway.set()
            await stopped.wait()
            async for piece in body(LARGE):
                yield piece
        finally:
            let_go.set()

    size = 2 * LARGE if known else None
    whole = long_body()
    putting = asyncio.create_task(blobs.put(KEY, whole, size=size, content_type="image/jpeg"))
    await asyncio.wait_for(halfway.wait(), 20)
    await store.stop()
    stopped.set()
    with pytest.raises(Unavailable):
        await putting
    await whole.aclose()  # fails where somebody still reads it
    assert let_go.is_set()
    await store.start()
    assert await keys(blobs) == []
