"""A hash of a stream, computed beside the transfer: large pieces in a thread, for hashlib lets go of the GIL."""

import asyncio
import hashlib

_BATCH = 256 * 1024  # below this the hop to a thread costs more than it frees


class Digest:
    """Feed it pieces in order; at most two batches are held at any time."""

    def __init__(self, algorithm: str = "sha256") -> None:
        self._hash = hashlib.new(algorithm)
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._running: asyncio.Future[None] | None = None

    async def update(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._waiting += len(piece)
        if self._waiting >= _BATCH:
            await self._join()
            pieces, self._pieces, self._waiting = self._pieces, [], 0
            self._running = asyncio.get_running_loop().run_in_executor(None, self._work, pieces)

    async def hexdigest(self) -> str:
        return (await self.digest()).hex()

    async def digest(self) -> bytes:
        await self._join()
        self._work(self._pieces)
        self._pieces = []
        return self._hash.digest()

    async def _join(self) -> None:
        if self._running is not None:
            await self._running
            self._running = None

    def _work(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self._hash.update(piece)
