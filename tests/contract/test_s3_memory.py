"""How much memory a transfer takes: a known length streams, an unknown one holds a part or two."""

import tracemalloc

import pytest

from tests.contract.stores import PART_BYTES, S3Store, body

SIZE = 64 * 1024 * 1024
MEBIBYTE = 1024 * 1024


@pytest.fixture
async def rclone_with_bucket(rclone: S3Store) -> S3Store:
    client = rclone.connect()
    await client.ensure_bucket()
    await client.close()
    return rclone


@pytest.mark.parametrize(
    ("size", "at_least", "most"),
    [
        (SIZE, 0, 2 * MEBIBYTE),
        (None, 0, 2 * PART_BYTES + 2 * MEBIBYTE),
        (None, SIZE - MEBIBYTE, 3 * MEBIBYTE),
    ],
)
async def test_a_put_holds_no_more_than_it_must(
    rclone_with_bucket: S3Store, size: int | None, at_least: int, most: int
) -> None:
    blobs = rclone_with_bucket.connect()
    await blobs.put_bytes("warm/up", b"", content_type="text/plain")
    tracemalloc.start()
    await blobs.put("large", body(SIZE), size=size, content_type="video/mp4", at_least=at_least)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await blobs.close()
    assert peak < most


async def test_a_get_holds_no_more_than_it_must(rclone_with_bucket: S3Store) -> None:
    blobs = rclone_with_bucket.connect()
    await blobs.put("large", body(SIZE), size=SIZE, content_type="video/mp4")
    tracemalloc.start()
    async with blobs.get("large") as chunks:
        async for _ in chunks:
            pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await blobs.close()
    assert peak < 2 * MEBIBYTE
