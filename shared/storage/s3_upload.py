"""Bodies on their way into the store: counted, cut into parts, and never left half-done."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, Mapping

from shared.errors import Unavailable
from shared.storage.blobs import BlobMissing
from shared.storage.s3_again import KEEP_BYTES
from shared.storage.s3_http import S3Http, unreachable

STALL_SECONDS = 30.0
"""How long the store may take to accept one piece of a body."""


class Stream:
    """A body of exactly `size` bytes for one PUT, read by the HTTP client in a task of its own.

    The last piece is held back until the body has ended: whatever it raises at its end, and every byte too
    much, still keeps the object from appearing.
    """

    def __init__(self, body: AsyncIterable[bytes], size: int, limit: asyncio.Timeout) -> None:
        self._body = body
        self._size = size
        self._limit = limit
        self._pieces: AsyncGenerator[bytes, None] | None = None
        self._resting = asyncio.Event()
        self._resting.set()
        self.error: Exception | None = None
        """What the body raised."""

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        self._pieces = self._send()
        return self._pieces

    async def _send(self) -> AsyncGenerator[bytes, None]:
        self._resting.clear()
        try:
            async with contextlib.aclosing(_exact(self._body, self._size)) as pieces:
                async for piece in pieces:
                    self._expect(STALL_SECONDS)
                    self._resting.set()
                    yield piece
                    self._resting.clear()
                    self._expect(None)
        except Exception as error:
            self.error = error
            raise
        finally:
            self._resting.set()

    def _expect(self, seconds: float | None) -> None:
        if not self._limit.expired():
            now = asyncio.get_running_loop().time()
            self._limit.reschedule(None if seconds is None else now + seconds)

    async def left(self) -> None:
        """Return when nobody reads the body any more. To be called when the request is over."""
        if self._pieces is not None:
            await self._resting.wait()
            await self._pieces.aclose()


async def _exact(body: AsyncIterable[bytes], size: int) -> AsyncGenerator[bytes, None]:
    seen, last = 0, b""
    async for piece in body:
        if not piece:
            continue
        seen += len(piece)
        if seen > size:
            raise ValueError(f"The body is longer than the {size} bytes that were announced.")
        if seen < size:
            yield piece
        else:
            last = piece
    if seen < size:
        raise ValueError(f"The body ended after {seen} of the {size} bytes that were announced.")
    if last:
        yield last


async def collected(body: AsyncIterable[bytes], size: int) -> bytes:
    """All of a body of exactly `size` bytes, once it has ended. Raises ValueError for one of another length."""
    return b"".join([piece async for piece in _exact(body, size)])


async def put_stream(
    http: S3Http,
    key: str,
    what: str,
    body: AsyncIterable[bytes],
    size: int,
    *,
    query: Mapping[str, str] | None = None,
    content_type: str | None = None,
) -> Mapping[str, str]:
    """Send exactly `size` bytes as one PUT, as they come; the headers of the answer. What the body raises comes out
    unchanged. Raises Unavailable, also where the store takes no more bytes."""
    limit = asyncio.timeout(None)
    stream = Stream(body, size, limit)
    headers = {"Content-Length": str(size)}
    if content_type is not None:
        headers["Content-Type"] = content_type
    try:
        async with limit:
            told, _ = await http.fetch(
                "PUT", key, what, query=query, headers=headers, data=stream, ask_first=size > KEEP_BYTES
            )
    except TimeoutError as error:
        raise unreachable(error, what) from error
    except (Unavailable, BlobMissing):
        await stream.left()
        if stream.error is not None:
            raise stream.error from None
        raise
    finally:
        await stream.left()
    return told


class Rest:
    """A body of which the beginning is read by one and what remains by another."""

    def __init__(self, body: AsyncIterable[bytes]) -> None:
        self._pieces = aiter(body)
        self._surplus = b""

    async def first(self, size: int) -> AsyncGenerator[bytes, None]:
        """The next `size` bytes, fewer where the body ends; nothing is read after them."""
        if self._surplus:
            piece, self._surplus = self._surplus[:size], self._surplus[size:]
            size -= len(piece)
            yield piece
        while size:
            try:
                piece = await anext(self._pieces)
            except StopAsyncIteration:
                return
            piece, self._surplus = piece[:size], piece[size:]
            size -= len(piece)
            yield piece

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        if self._surplus:
            yield self._surplus
        async for piece in self._pieces:
            yield piece


class Part:
    """Pieces that make up one part. They are let go as they are sent."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.size += len(piece)

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        self._pieces.reverse()
        while self._pieces:
            yield self._pieces.pop()


async def cut(body: AsyncIterable[bytes], size: int) -> AsyncGenerator[Part, None]:
    """Parts of exactly `size` bytes; the last one is shorter, and empty where nothing is left for it."""
    part = Part()
    async for piece in body:
        rest = piece
        while part.size + len(rest) >= size:
            take = size - part.size
            part.add(rest[:take])
            rest = rest[take:]
            yield part
            part = Part()
        if rest:
            part.add(rest)
    yield part
