"""A body that can be sent a second time, and the answers after which that is worth it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable

from shared.errors import Unavailable

KEEP_BYTES = 256 * 1024
"""Up to this length a body is kept while it is sent; a longer one is only sent once the store asks for it. Servers
written in Go read as much of a body that they do not want; behind more of it a refusal would be lost in a reset."""


class StoreFault(Unavailable):
    """The store says that something went wrong on its side (500), so the same request may well succeed.

    The embedded store does this when two objects are the first of a folder at once and both make it.
    """


class Again:
    """The same bytes each time it is read, as far as they are there. One reader at a time; `close` when all is over.

    `keep`: hold on to what was read. A reader that is cancelled while it waits takes nothing away then.
    """

    def __init__(self, body: AsyncIterable[bytes], *, keep: bool) -> None:
        self._source = aiter(body)
        self._keep = keep
        self._kept: list[bytes] = []
        self._coming: asyncio.Task[bytes | None] | None = None
        self._lost = False

    @property
    def possible(self) -> bool:
        """Whether all that was read can be read once more."""
        return not self._lost

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        if not self._keep:
            self._lost = True
            async for piece in self._source:
                yield piece
            return
        for kept in tuple(self._kept):
            yield kept
        while (coming := await self._next()) is not None:
            self._kept.append(coming)
            yield coming

    async def _next(self) -> bytes | None:
        if self._coming is None:
            self._coming = asyncio.create_task(self._read())
        piece = await asyncio.shield(self._coming)
        self._coming = None
        return piece

    async def _read(self) -> bytes | None:
        return await anext(self._source, None)

    async def close(self) -> None:
        """Nobody reads the body any more when this returns."""
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.gather(self._coming, return_exceptions=True)
