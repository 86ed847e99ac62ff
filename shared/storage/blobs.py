"""The object store as the services see it. Two implementations pass one contract suite: `s3` and `memory`."""

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol, runtime_checkable

import msgspec


class BlobMissing(Exception):
    """No object has this key."""


class BlobInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An object of the store; size in bytes, `etag` without quotes."""

    key: str
    size: int
    etag: str
    modified: datetime


class Unfinished(msgspec.Struct, frozen=True, kw_only=True):
    """A multipart upload that nobody has completed or aborted yet."""

    key: str
    upload: str
    begun: datetime


@runtime_checkable  # the HTTP framework checks what it injects
class Blobs(Protocol):
    """One bucket. Every call raises Unavailable when the store does not answer."""

    async def ensure_bucket(self) -> None:
        """Make the bucket where it is absent."""
        ...

    async def check(self) -> None:
        """Return when the store answers; raises Unavailable with the reason when it does not."""
        ...

    async def put(
        self,
        key: str,
        body: AsyncIterable[bytes],
        *,
        size: int | None,
        content_type: str,
        at_least: int = 0,
    ) -> BlobInfo:
        """Store `body` under `key`, replacing what was there; the object appears whole or not at all.

        A known `size` streams without a buffer. None streams the first `at_least` bytes, as many as the body
        is sure to have, and buffers the rest, one part at a time. Whatever `body` raises comes out unchanged,
        after the transfer was aborted: then nothing new is in the store, and no unfinished multipart either.
        A body that is shorter than `at_least`, or shorter or longer than `size`, raises ValueError, likewise.
        Afterwards nobody reads `body` any more; to close it is the caller's.
        """
        ...

    async def put_bytes(self, key: str, body: bytes, *, content_type: str) -> BlobInfo:
        """Store bytes that are in memory already."""
        ...

    def get(
        self, key: str, *, start: int = 0, length: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The bytes from `start`, `length` of them or all the rest, in chunks. Raises BlobMissing, and
        RangeNotSatisfiable for a start behind the end, on entry. A transfer that ends early raises Unavailable,
        never a short body."""
        ...

    async def head(self, key: str) -> BlobInfo | None:
        """What is there, None when nothing is."""
        ...

    async def delete(self, key: str) -> None:
        """Remove; absent is success."""
        ...

    def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """All objects whose key starts with `prefix`, in key order."""
        ...

    async def unfinished(self, key: str | None = None) -> tuple[Unfinished, ...]:
        """Multipart uploads under way or left behind: of exactly this key, or all that the store lists.

        What of a key is unfinished is found as long as the store can still use it. The list of all is a help and no
        proof: some stores make it from memory and have lost it after a restart.
        """
        ...

    async def abort(self, upload: Unfinished) -> None:
        """Let the store forget its parts; absent is success. Whoever still sends them gets Unavailable."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
