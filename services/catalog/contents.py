"""What must hold of the bytes in the store: they are those that were told, and variants reveal nothing. Reads them."""

import hashlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from services.catalog.census import Census, Tell
from services.catalog.checks import Finding, finding_of
from services.catalog.revealing import revealing
from shared.errors import Unavailable
from shared.storage import keys
from shared.storage.blobs import BlobMissing, Blobs

T = TypeVar("T")

TRIES = 2


class Unreadable(Exception):
    """The store answers, and does not give this object."""


async def read_originals(
    census: Census, blobs: Blobs, ids: set[uuid.UUID], tell: Tell
) -> AsyncIterator[Finding]:
    """I1: the bytes of these originals are those that the row has the digest of. Reads all of them."""
    for count, media_id in enumerate(sorted(ids & census.rows.keys()), 1):
        row = census.rows[media_id]
        if row.key not in census.objects:
            continue  # `originals` has told
        try:
            digest = await _read(blobs, row.key, _digest)
        except Unreadable as error:
            yield finding_of("unreadable", row.id, f"{row.key}: {error}")
        else:
            if digest != row.sha256:
                yield finding_of("bytes", row.id, f"{row.key} has the digest {digest}, the row {row.sha256}")
        tell("originals read", count)


async def read_variants(census: Census, blobs: Blobs, tell: Tell) -> AsyncIterator[Finding]:
    """I2 and I8: the bytes of every variant are those that were told, where a digest was, and none carries metadata
    of the camera, the place or the owner; nor does any rendering. Reads all of them."""
    count = 0
    for row in census.rows.values():
        for file in row.variants:
            if file.key not in census.objects:
                continue  # `derived` has told
            try:
                body = await _read(blobs, file.key, _whole)
            except Unreadable as error:
                yield finding_of("unreadable", row.id, f"{file.name}: {file.key}: {error}")
                continue
            digest = hashlib.sha256(body).hexdigest()
            if file.sha256 not in {None, digest}:
                yield finding_of(
                    "bytes", row.id, f"{file.name}: {file.key} has the digest {digest}, the row {file.sha256}"
                )
            if found := revealing(body):
                yield finding_of("revealing", row.id, f"{file.name} carries {', '.join(found)}")
            count += 1
        tell("variants read", count)
    async for finding in _read_renderings(census, blobs):
        yield finding


async def _read_renderings(census: Census, blobs: Blobs) -> AsyncIterator[Finding]:
    for key in sorted(census.objects):
        media_id = keys.rendering_of(key)
        if media_id is None or media_id not in census.rows:
            continue
        try:
            body = await _read(blobs, key, _whole)
        except Unreadable as error:
            yield finding_of("unreadable", media_id, f"{key}: {error}")
        else:
            if found := revealing(body):
                yield finding_of("revealing", media_id, f"{key} carries {', '.join(found)}")


async def _read(blobs: Blobs, key: str, take: Callable[[AsyncIterator[bytes]], Awaitable[T]]) -> T:
    """What `take` makes of an object that was listed. Raises Unreadable when it cannot be read while the store answers
    otherwise, Unavailable when the store does not."""
    reason = ""
    for _ in range(TRIES):
        try:
            async with blobs.get(key) as chunks:
                return await take(chunks)
        except BlobMissing:
            reason = "it is listed, and not there when it is read"
        except Unavailable as error:
            await blobs.check()
            reason = error.detail
    raise Unreadable(reason)


async def _digest(chunks: AsyncIterator[bytes]) -> str:
    digest = hashlib.sha256()
    async for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


async def _whole(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])
