"""Bodies on their way into the store: counted, cut into parts, and never left half-done."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable

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
            async with contextlib.aclosing(self._exact()) as pieces:
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

    async def _exact(self) -> AsyncGenerator[bytes, None]:
        seen, last = 0, b""
        async for piece in self._body:
            if not piece:
                continue
            seen += len(piece)
            if seen > self._size:
                raise ValueError(f"The body is longer than the {self._size} bytes that were announced.")
            if seen < self._size:
                yield piece
            else:
                last = piece
        if seen < self._size:
            raise ValueError(f"The body ended after {seen} of the {self._size} bytes that were announced.")
        if last:
            yield last

    def _expect(self, seconds: float | None) -> None:
        if not self._limit.expired():
            now = asyncio.get_running_loop().time()
            self._limit.reschedule(None if seconds is None else now + seconds)

    async def left(self) -> None:
        """Return when nobody reads the body any more. To be called when the request is over."""
        if self._pieces is not None:
            await self._resting.wait()
            await self._pieces.aclose()


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
