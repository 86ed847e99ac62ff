"""The original, from the object store into memory that a child can be handed."""

import asyncio
import contextlib
import mmap
import os
from collections.abc import AsyncIterator, Awaitable, Callable

from services.processor import failures
from services.processor.failures import JobFailed
from shared.jpeg_frame import jpeg_frame
from shared.storage.blobs import BlobMissing, Blobs

LOOKS = (0.05, 0.2, 0.8)
"""Seconds before looking again. The embedded store was seen to hide objects for some 20 ms after it took them."""


@contextlib.asynccontextmanager
async def fetched(blobs: Blobs, key: str, *, limit: int) -> AsyncIterator[int]:
    """A descriptor of the whole original in anonymous memory, gone when the context is left.

    Raises JobFailed when there is no such object or it is longer than `limit` bytes, Unavailable when the store
    is down.
    """
    descriptor = os.memfd_create("original")
    try:
        await _look_again(lambda: _fill(descriptor, blobs, key, limit))
        yield descriptor
    finally:
        os.close(descriptor)


async def filled(descriptor: int, blobs: Blobs, key: str, *, limit: int) -> None:
    """Write the whole original to a file. Raises as `fetched` does."""
    await _look_again(lambda: _fill(descriptor, blobs, key, limit))


def is_heavy(original: int) -> bool:
    """Whether this is a JPEG that takes very much memory; only lengths of its segments are looked at here."""
    if os.fstat(original).st_size == 0:  # which cannot be mapped
        return False
    with mmap.mmap(original, 0, prot=mmap.PROT_READ) as view:
        frame = jpeg_frame(view)
    return frame is not None and frame.is_heavy


async def _look_again(fill: Callable[[], Awaitable[None]]) -> None:
    """Fill; an object that was acknowledged may be hidden for a moment, and a media must not fail for that."""
    for wait in LOOKS:
        try:
            return await fill()
        except BlobMissing:
            await asyncio.sleep(wait)
    try:
        return await fill()
    except BlobMissing as error:
        raise JobFailed(failures.missing()) from error


async def _fill(descriptor: int, blobs: Blobs, key: str, limit: int) -> None:
    size = 0
    async with blobs.get(key) as chunks:
        async for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise JobFailed(failures.too_large(limit))
            os.write(descriptor, chunk)
