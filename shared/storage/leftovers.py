"""What a dead process has left under a key: parts of an upload that nobody will finish, and perhaps an object."""

import structlog

from shared.storage.blobs import Blobs

log = structlog.get_logger()


async def abort(blobs: Blobs, key: str) -> int:
    """Abort every unfinished upload of exactly this key; how many there were. Whoever still sends parts of one gets
    Unavailable. Raises Unavailable."""
    found = await blobs.unfinished(key)
    for upload in found:
        await blobs.abort(upload)
        log.warning("upload.unfinished_aborted", key=key, begun=upload.begun)
    return len(found)


async def erase(blobs: Blobs, key: str) -> None:
    """Leave no byte under this key; absent is success. Raises Unavailable."""
    # In this order: what is aborted cannot become an object any more.
    await abort(blobs, key)
    await blobs.delete(key)
