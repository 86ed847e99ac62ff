"""A store that fails for a moment: what may be sent again is, and never another body than the one meant."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator

import pytest

from shared.errors import Unavailable
from shared.storage import s3
from shared.storage.s3 import S3Blobs, S3Settings
from shared.storage.s3_again import KEEP_BYTES, StoreFault
from tests.contract.stores import S3Store

FAULT = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
DENIED = FAULT.replace(b"500 Internal Server Error", b"403 Forbidden")
STORED = b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
SIZES = [20_000, KEEP_BYTES, KEEP_BYTES + 1, 3 * KEEP_BYTES]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "RETRY_PAUSES", (0.01, 0.01))


class Refusing:
    """Refuses so many PUTs, then takes the rest. `reads`: bytes of a body that it takes before it refuses."""

    def __init__(self, times: int, answer: bytes = FAULT, reads: int = 0) -> None:
        self.asked = 0
        self.body = b""
        self._times = times
        self._answer = answer
        self._reads = reads

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if head.startswith(b"head "):
                writer.write(STORED.replace(b"Length: 0", b"Length: %d" % len(self.body)))
                await writer.drain()
                writer.close()
                return
            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            self.asked += 1
            refuses = self.asked <= self._times
            if b"expect: 100-continue" in head and not (refuses and self._reads == 0):
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            received = await reader.readexactly(min(self._reads, length) if refuses else length)
            if not refuses:
                self.body = received
            writer.write(self._answer if refuses else STORED)
            await writer.drain()
            await reader.read(
                KEEP_BYTES
            )  # a close with bytes unread would reset the connection under the answer
        writer.close()


@contextlib.asynccontextmanager
async def client_of(store: Refusing) -> AsyncIterator[S3Blobs]:
    server = await asyncio.start_server(store.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    blobs = S3Blobs(
        S3Settings(endpoint=f"http://127.0.0.1:{port}", bucket="b", access_key="A", secret_key="S")
    )
    async with server:
        try:
            yield blobs
        finally:
            await blobs.close()


class Body:
    """Different bytes all along, in pieces; what was read of it is not there a second time."""

    def __init__(self, size: int) -> None:
        self.data = hashlib.shake_128(b"%d" % size).digest(size)
        self._left = self.data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._left:
            piece, self._left = self._left[:7000], self._left[7000:]
            await asyncio.sleep(0)
            yield piece


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("known", [True, False])
async def test_a_store_that_fails_twice_at_once_gets_the_whole_body_the_third_time(
    size: int, *, known: bool
) -> None:
    store, body = Refusing(2), Body(size)
    async with client_of(store) as blobs:
        await blobs.put("new/folder/key", body, size=size if known else None, content_type="x/y")
    assert (store.asked, store.body == body.data) == (3, True)


async def test_a_kept_body_is_sent_again_also_when_the_store_had_read_all_of_it() -> None:
    store, body = Refusing(1, reads=90_000), Body(90_000)
    async with client_of(store) as blobs:
        await blobs.put("key", body, size=90_000, content_type="x/y")
    assert (store.asked, store.body == body.data) == (2, True)


@pytest.mark.parametrize(
    ("store", "size"),
    [(Refusing(9), 20_000), (Refusing(9), 3 * KEEP_BYTES)],
    ids=["a small one", "a large one"],
)
async def test_a_store_that_keeps_failing_is_given_up(store: Refusing, size: int) -> None:
    async with client_of(store) as blobs:
        with pytest.raises(StoreFault, match="500"):
            await blobs.put("key", Body(size), size=size, content_type="x/y")
    assert store.asked == 3


async def test_a_refusal_is_not_asked_for_again() -> None:
    store = Refusing(9, answer=DENIED)
    async with client_of(store) as blobs:
        with pytest.raises(Unavailable, match="403"):
            await blobs.put("key", Body(20_000), size=20_000, content_type="x/y")
    assert store.asked == 1


async def test_a_large_body_that_has_flowed_is_not_sent_in_part() -> None:
    store, size = Refusing(1, reads=8 * KEEP_BYTES), 9 * KEEP_BYTES
    async with client_of(store) as blobs:
        with pytest.raises(StoreFault):
            await blobs.put("key", Body(size), size=size, content_type="x/y")
    assert (store.asked, store.body) == (1, b"")


async def test_first_files_of_many_folders_arrive_together(rclone: S3Store) -> None:
    blobs = rclone.connect()
    await blobs.ensure_bucket()
    body = b"x" * 5000

    async def pieces() -> AsyncIterator[bytes]:
        yield body

    keys = [f"{folder}/{folder}/{folder}/{file}" for folder in range(25) for file in range(4)]
    await asyncio.gather(*(blobs.put(key, pieces(), size=None, content_type="x/y") for key in keys))
    assert sorted([info.key async for info in blobs.list("")]) == sorted(keys)
    await blobs.close()
