"""Uploads whose client died half-way: found and removed, in memory and on real servers alike."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import Unavailable
from shared.storage import leftovers
from shared.storage.blobs import Blobs, Unfinished
from tests.contract.brokers import until
from tests.contract.stores import PART_BYTES, Store, body, keys, read

KEY = "2026/11/21/video.mp4"
NEIGHBOUR = f"{KEY}.more"
LARGE = 3 * PART_BYTES


async def test_a_finished_upload_is_not_unfinished(blobs: Blobs) -> None:
    await blobs.put(KEY, body(LARGE), size=None, content_type="video/mp4")
    assert await blobs.unfinished() == ()
    assert await blobs.unfinished(KEY) == ()
    assert await leftovers.abort(blobs, KEY) == 0
    assert await keys(blobs) == [KEY]


async def test_what_a_dead_client_left_is_found_by_its_key_and_among_all(store: Store, blobs: Blobs) -> None:
    for key in (KEY, KEY, NEIGHBOUR):
        await store.abandon(key)
    assert sorted(upload.key for upload in await blobs.unfinished()) == [KEY, KEY, NEIGHBOUR]
    found = await blobs.unfinished(KEY)
    assert [upload.key for upload in found] == [KEY, KEY]
    assert len({upload.upload for upload in found}) == 2
    assert all(abs(upload.begun - datetime.now(UTC)) < timedelta(seconds=60) for upload in found)
    assert await blobs.unfinished("2026/11/21/video") == ()
    assert await keys(blobs) == []


async def test_more_than_a_page_of_unfinished_uploads_is_listed_whole(store: Store, blobs: Blobs) -> None:
    many = [f"videos/{number}.mp4" for number in range(5)]
    for key in (*many, *[KEY] * 5):
        await store.abandon(key)
    assert sorted(upload.key for upload in await blobs.unfinished()) == sorted([*many, *[KEY] * 5])
    assert len({upload.upload for upload in await blobs.unfinished(KEY)}) == 5


async def test_erasing_a_key_leaves_no_byte_of_it_and_touches_no_other(store: Store, blobs: Blobs) -> None:
    await blobs.put_bytes(KEY, b"old", content_type="video/mp4")
    for key in (KEY, KEY, NEIGHBOUR):
        await store.abandon(key)
    await leftovers.erase(blobs, KEY)
    await leftovers.erase(blobs, KEY)
    await leftovers.erase(blobs, "never/there")
    assert await keys(blobs) == []
    assert [upload.key for upload in await blobs.unfinished()] == [NEIGHBOUR]
    await leftovers.erase(blobs, NEIGHBOUR)
    await until(lambda: store.leftovers() == [])


async def test_aborting_leaves_the_object_that_is_there(store: Store, blobs: Blobs) -> None:
    await blobs.put_bytes(KEY, b"kept", content_type="video/mp4")
    await store.abandon(KEY)
    assert await leftovers.abort(blobs, KEY) == 1
    assert await read(blobs, KEY) == b"kept"
    await until(lambda: store.leftovers() == [])


async def test_what_is_aborted_twice_or_never_was_is_no_error(store: Store, blobs: Blobs) -> None:
    await store.abandon(KEY)
    (upload,) = await blobs.unfinished(KEY)
    await blobs.abort(upload)
    await blobs.abort(upload)
    await blobs.abort(Unfinished(key=NEIGHBOUR, upload=upload.upload, begun=upload.begun))


async def test_what_a_dead_client_left_is_removed_also_after_a_restart_of_the_store(
    store: Store, blobs: Blobs
) -> None:
    await store.abandon(KEY)
    await store.stop()
    await store.start()
    await leftovers.erase(blobs, KEY)
    assert await blobs.unfinished(KEY) == ()
    await until(lambda: store.leftovers() == [])


async def test_a_put_whose_upload_another_one_aborts_is_unavailable_and_leaves_nothing(
    store: Store, blobs: Blobs
) -> None:
    halfway, aborted = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        async for piece in body(LARGE):
            yield piece
        halfway.set()
        await aborted.wait()
        async for piece in body(LARGE):
            yield piece

    putting = asyncio.create_task(blobs.put(KEY, slow(), size=None, content_type="video/mp4"))
    await asyncio.wait_for(halfway.wait(), 20)
    assert await leftovers.abort(blobs, KEY) == 1
    aborted.set()
    with pytest.raises(Unavailable):
        await putting
    assert await keys(blobs) == []
    await until(lambda: store.leftovers() == [])
