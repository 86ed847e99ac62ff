"""Blobs in memory, for tests."""

import contextlib
import hashlib
import uuid
from collections.abc import AsyncIterable, AsyncIterator
from datetime import UTC, datetime

import msgspec

from shared.errors import RangeNotSatisfiable, Unavailable
from shared.storage.blobs import BlobInfo, BlobMissing, Unfinished

CHUNK_BYTES = 64 * 1024
PART_BYTES = 5 * 1024 * 1024
"""From here on a body of unknown size is an unfinished upload until it ends."""


class _Object(msgspec.Struct, frozen=True, kw_only=True):
    info: BlobInfo
    body: bytes
    content_type: str


class MemoryBlobs:
    """See `blobs.Blobs`. `stop` and `start` are an outage; a transfer under way notices it."""

    def __init__(self) -> None:
        self.objects: dict[str, _Object] = {}
        self.uploads: dict[str, Unfinished] = {}
        self.running = True
        self._bucket = False

    def stop(self) -> None:
        """Be down: every call raises Unavailable, what is stored stays."""
        self.running = False

    def start(self) -> None:
        """Be there again."""
        self.running = True

    async def ensure_bucket(self) -> None:
        self._check()
        self._bucket = True

    async def check(self) -> None:
        self._check()
        if not self._bucket:
            raise Unavailable("The object store has no such bucket.")

    async def put(
        self,
        key: str,
        body: AsyncIterable[bytes],
        *,
        size: int | None,
        content_type: str,
        at_least: int = 0,
    ) -> BlobInfo:
        self._check()
        fewest = at_least if size is None else size
        gathered = bytearray()
        upload = Unfinished(key=key, upload=uuid.uuid4().hex, begun=datetime.now(UTC))
        begun = False
        try:
            async for piece in body:
                self._check()
                gathered += piece
                if size is not None and len(gathered) > size:
                    raise ValueError(f"The body is longer than the {size} bytes that were announced.")
                if size is None and len(gathered) >= PART_BYTES and not begun:
                    self.uploads[upload.upload] = upload
                    begun = True
            if len(gathered) < fewest:
                raise ValueError(
                    f"The body ended after {len(gathered)} of the {fewest} bytes that were announced."
                )
            if begun and upload.upload not in self.uploads:
                raise Unavailable(f"The object store has forgotten the upload: store {key}.")
            return await self.put_bytes(key, bytes(gathered), content_type=content_type)
        finally:
            self.uploads.pop(upload.upload, None)

    async def put_bytes(self, key: str, body: bytes, *, content_type: str) -> BlobInfo:
        self._check()
        info = BlobInfo(
            key=key,
            size=len(body),
            etag=hashlib.md5(body, usedforsecurity=False).hexdigest(),
            modified=datetime.now(UTC),
        )
        self.objects[key] = _Object(info=info, body=body, content_type=content_type)
        return info

    @contextlib.asynccontextmanager
    async def get(
        self, key: str, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self._check()
        if key not in self.objects:
            raise BlobMissing(key)
        body = self.objects[key].body
        if length != 0 and start and start >= len(body):
            raise RangeNotSatisfiable(f"The range lies outside of the {key!r} that is stored.")
        end = len(body) if length is None else start + length
        yield self._chunks(body[start:end])

    async def _chunks(self, body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), CHUNK_BYTES):
            self._check()
            yield body[start : start + CHUNK_BYTES]

    async def head(self, key: str) -> BlobInfo | None:
        self._check()
        return self.objects[key].info if key in self.objects else None

    async def delete(self, key: str) -> None:
        self._check()
        self.objects.pop(key, None)

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        self._check()
        for key in sorted(self.objects):
            if key.startswith(prefix) and key in self.objects:
                yield self.objects[key].info

    async def unfinished(self, key: str | None = None) -> tuple[Unfinished, ...]:
        self._check()
        return tuple(upload for upload in self.uploads.values() if key in {None, upload.key})

    async def abort(self, upload: Unfinished) -> None:
        self._check()
        self.uploads.pop(upload.upload, None)

    async def close(self) -> None:
        """Nothing to let go of."""

    def _check(self) -> None:
        if not self.running:
            raise Unavailable("The object store is not reachable.")
