"""The bytes of one file on their way into the store: looked at, counted, digested, cut at the limit."""

from collections.abc import AsyncIterator, Callable

import msgspec

from services.ingest.digest import Digest
from services.ingest.moving import Moving
from services.ingest.sniff import HEAD_BYTES
from shared import failpoints
from shared.errors import Invalid, TripodError


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first bytes of a file, held back to look at. `whole`: there are no more."""

    data: bytes
    whole: bool


async def read_head(chunks: AsyncIterator[bytes]) -> Head:
    """Raises Invalid for an empty file."""
    pieces: list[bytes] = []
    size = 0
    async for piece in chunks:
        pieces.append(piece)
        size += len(piece)
        if size >= HEAD_BYTES:
            return Head(data=b"".join(pieces), whole=False)
    if size == 0:
        raise Invalid("The file is empty (0 bytes).", field="file")
    return Head(data=b"".join(pieces), whole=True)


class Transfer:
    """Counts and digests what flows, and the pictures of what moves."""

    def __init__(self) -> None:
        self.received = 0
        self.digest = Digest()
        self.moving = Moving()

    async def flow(
        self, head: Head, chunks: AsyncIterator[bytes], limit: int, too_much: Callable[[], TripodError]
    ) -> AsyncIterator[bytes]:
        """The head and the rest; the byte after the limit raises what `too_much` makes."""
        yield await self._seen(head.data, limit, too_much)
        if head.whole:
            return
        pieces = 0
        async for piece in chunks:
            pieces += 1
            if pieces == 2:  # the store has some of it, and more has come
                failpoints.reach("ingest.mid_body")
            yield await self._seen(piece, limit, too_much)

    async def _seen(self, piece: bytes, limit: int, too_much: Callable[[], TripodError]) -> bytes:
        self.received += len(piece)
        if self.received > limit:
            raise too_much()
        self.moving.see(piece)
        await self.digest.update(piece)
        return piece
