"""What every object store promises about objects, in memory and on real servers alike."""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import RangeNotSatisfiable, Unavailable
from shared.storage.blobs import BlobMissing, Blobs
from tests.contract.stores import PART_BYTES, Store, body, digest, keys, read

KEY = "2026/11/21/01987d6c-0000-7000-8000-000000000000_photo.jpg"


async def test_the_bucket_can_be_made_again(blobs: Blobs) -> None:
    await blobs.put_bytes(KEY, b"kept", content_type="image/jpeg")
    await blobs.ensure_bucket()
    await blobs.check()
    assert await read(blobs, KEY) == b"kept"


async def test_a_bucket_that_does_not_exist_is_unavailable(store: Store) -> None:
    other = store.connect("another-bucket")
    with pytest.raises(Unavailable):
        await other.check()
    await other.close()


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    "size", [0, 1, 65_536, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 7]
)
async def test_what_was_put_is_got_byte_for_byte(blobs: Blobs, size: int, known: bool) -> None:  # noqa: FBT001
    info = await blobs.put(KEY, body(size), size=size if known else None, content_type="image/jpeg")
    assert (info.key, info.size) == (KEY, size)
    assert hashlib.sha256(await read(blobs, KEY)).hexdigest() == digest(size)
    found = await blobs.head(KEY)
    assert found is not None
    assert (found.key, found.size, found.etag) == (KEY, size, info.etag)
    assert '"' not in found.etag
    assert abs(found.modified - datetime.now(UTC)) < timedelta(seconds=60)


@pytest.mark.parametrize("piece", [1000, 7 * 1024 * 1024])
async def test_the_pieces_of_a_body_may_be_of_any_size(blobs: Blobs, piece: int) -> None:
    size = 2 * PART_BYTES + 12_345

    async def pieces() -> AsyncIterator[bytes]:
        held = b""
        async for chunk in body(size):
            held += chunk
            while len(held) >= piece:
                yield held[:piece]
                held = held[piece:]
        yield b""
        yield held

    await blobs.put(KEY, pieces(), size=None, content_type="image/jpeg")
    assert hashlib.sha256(await read(blobs, KEY)).hexdigest() == digest(size)


async def test_putting_again_replaces(blobs: Blobs) -> None:
    await blobs.put(KEY, body(10_000), size=10_000, content_type="image/jpeg")
    await blobs.put_bytes(KEY, b"new", content_type="image/jpeg")
    assert await read(blobs, KEY) == b"new"
    assert await keys(blobs) == [KEY]


async def test_the_same_bytes_have_the_same_etag(blobs: Blobs) -> None:
    one = await blobs.put_bytes("some/one", b"same", content_type="text/plain")
    two = await blobs.put("some/two", body_of(b"same"), size=4, content_type="text/plain")
    three = await blobs.put_bytes("some/three", b"other", content_type="text/plain")
    assert one.etag == two.etag != three.etag


async def body_of(data: bytes) -> AsyncIterator[bytes]:
    yield data


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, None, b"0123456789"),
        (0, 1, b"0"),
        (0, 10, b"0123456789"),
        (0, 99, b"0123456789"),
        (3, None, b"3456789"),
        (3, 4, b"3456"),
        (9, 1, b"9"),
        (9, 99, b"9"),
        (0, 0, b""),
        (5, 0, b""),
    ],
)
async def test_a_range_is_exactly_what_was_asked_for(
    blobs: Blobs, start: int, length: int | None, expected: bytes
) -> None:
    await blobs.put_bytes(KEY, b"0123456789", content_type="text/plain")
    assert await read(blobs, KEY, start=start, length=length) == expected


@pytest.mark.parametrize(("start", "length"), [(10, None), (10, 1), (11, 5)])
async def test_a_range_behind_the_end_is_not_satisfiable(
    blobs: Blobs, start: int, length: int | None
) -> None:
    await blobs.put_bytes(KEY, b"0123456789", content_type="text/plain")
    with pytest.raises(RangeNotSatisfiable):
        await read(blobs, KEY, start=start, length=length)


async def test_a_range_of_a_large_object_is_right(blobs: Blobs) -> None:
    size = 2 * PART_BYTES
    await blobs.put(KEY, body(size), size=size, content_type="video/mp4")
    whole = await read(blobs, KEY)
    for start, length in ((PART_BYTES - 10, 20), (size - 5, None), (1_234_567, 2_345_678)):
        end = size if length is None else start + length
        assert await read(blobs, KEY, start=start, length=length) == whole[start:end]


@pytest.mark.parametrize(("start", "length"), [(0, None), (3, 4), (0, 0)])
async def test_an_absent_object_is_missing_on_entry(blobs: Blobs, start: int, length: int | None) -> None:
    with pytest.raises(BlobMissing):
        async with blobs.get("not/there", start=start, length=length):
            pytest.fail("entered")


async def read_and_raise(blobs: Blobs, error: Exception) -> None:
    async with blobs.get(KEY) as chunks:
        await anext(aiter(chunks))
        raise error


async def test_a_reader_may_leave_early_and_its_own_errors_come_out_unchanged(blobs: Blobs) -> None:
    size = 2 * PART_BYTES
    await blobs.put(KEY, body(size), size=size, content_type="video/mp4")
    for error in (FileNotFoundError("mine"), TimeoutError("mine"), KeyError("mine")):
        with pytest.raises(type(error), match="mine"):
            await read_and_raise(blobs, error)
    assert hashlib.sha256(await read(blobs, KEY)).hexdigest() == digest(size)


async def test_head_of_an_absent_object_is_none(blobs: Blobs) -> None:
    assert await blobs.head("not/there") is None


async def test_a_deleted_object_is_gone_and_deleting_again_is_success(blobs: Blobs) -> None:
    await blobs.put_bytes(KEY, b"x", content_type="text/plain")
    await blobs.delete(KEY)
    await blobs.delete(KEY)
    await blobs.delete("never/there")
    assert await blobs.head(KEY) is None
    assert await keys(blobs) == []


async def test_a_listing_is_complete_in_key_order_and_only_of_the_prefix(blobs: Blobs) -> None:
    wanted = ["a.txt", "a/1", "a/10", "a/2", "a/b/c", "ab", "b/1", "b/2"]
    for key in reversed(wanted):
        await blobs.put_bytes(key, key.encode(), content_type="text/plain")
    assert await keys(blobs) == sorted(wanted)
    assert await keys(blobs, "a/") == ["a/1", "a/10", "a/2", "a/b/c"]
    assert await keys(blobs, "a/1") == ["a/1", "a/10"]
    assert await keys(blobs, "z") == []
    infos = {info.key: info async for info in blobs.list("b/")}
    head = await blobs.head("b/1")
    assert head is not None
    assert (infos["b/1"].size, infos["b/1"].etag) == (3, head.etag)


@pytest.mark.parametrize("key", ["a b/c+d", "ü/ß.txt", "a%20b", "a&b=c?d#e", "~tilde'(x)*!"])
async def test_odd_keys_are_kept_apart(blobs: Blobs, key: str) -> None:
    await blobs.put_bytes("plain/key", b"plain", content_type="text/plain")
    await blobs.put_bytes(key, key.encode(), content_type="text/plain")
    assert await read(blobs, key) == key.encode()
    assert await keys(blobs) == sorted(["plain/key", key])
    await blobs.delete(key)
    assert await blobs.head(key) is None


async def test_while_the_store_is_down_every_call_is_unavailable_and_works_after(
    store: Store, blobs: Blobs
) -> None:
    await blobs.put_bytes(KEY, b"kept", content_type="text/plain")
    await store.stop()
    for call in (
        blobs.check,
        blobs.ensure_bucket,
        lambda: blobs.put(KEY, body(10), size=10, content_type="text/plain"),
        lambda: blobs.put(KEY, body(10), size=None, content_type="text/plain"),
        lambda: blobs.put(KEY, body(2 * PART_BYTES), size=None, content_type="text/plain"),
        lambda: blobs.put_bytes(KEY, b"", content_type="text/plain"),
        lambda: read(blobs, KEY),
        lambda: blobs.head(KEY),
        lambda: blobs.delete(KEY),
        lambda: keys(blobs),
        blobs.unfinished,
        lambda: blobs.unfinished(KEY),
    ):
        with pytest.raises(Unavailable):
            await call()
    await store.start()
    assert await read(blobs, KEY) == b"kept"


async def test_a_download_that_breaks_off_is_unavailable_and_never_just_short(
    store: Store, blobs: Blobs
) -> None:
    size = 16 * PART_BYTES
    await blobs.put(KEY, body(size), size=size, content_type="video/mp4")

    async def read_on_while_the_store_goes() -> None:
        async with blobs.get(KEY) as chunks:
            await anext(aiter(chunks))
            await store.stop()
            async for _ in chunks:
                pass

    with pytest.raises(Unavailable):
        await read_on_while_the_store_goes()
