"""The original, from the object store into memory that a child can be handed."""

import contextlib
import os
from collections.abc import AsyncIterator

from services.processor import failures
from services.processor.failures import JobFailed
from shared.storage.blobs import BlobMissing, Blobs


@contextlib.asynccontextmanager
async def fetched(blobs: Blobs, key: str, *, limit: int) -> AsyncIterator[int]:
    """A descriptor of the whole original in anonymous memory, gone when the context is left.

    Raises JobFailed when there is no such object or it is longer than `limit` bytes, Unavailable when the store
    is down.
    """
    descriptor = os.memfd_create("original")
    try:
        await _fill(descriptor, blobs, key, limit)
        yield descriptor
    finally:
        os.close(descriptor)


async def _fill(descriptor: int, blobs: Blobs, key: str, limit: int) -> None:
    size = 0
    try:
        async with blobs.get(key) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                if size > limit:
                    raise JobFailed(failures.too_large(limit))
                os.write(descriptor, chunk)
    except BlobMissing as error:
        raise JobFailed(failures.missing()) from error
