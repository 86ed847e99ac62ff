"""Variants in the object store: kept under keys that name what was asked for, and erased with their media."""

import asyncio
import hashlib
import uuid
from collections.abc import Iterable

from services.processor.frames import Variant
from shared import failpoints
from shared.events.messages import VariantRef
from shared.storage import keys
from shared.storage.blobs import BlobInfo, Blobs

_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/avif": "avif"}


async def keep(
    blobs: Blobs, media_id: uuid.UUID, variants: Iterable[Variant], *, again: bool
) -> tuple[VariantRef, ...]:
    """Store each variant; where to find them. Raises Unavailable.

    With `again` an earlier run may have stored some: a key says what its bytes were asked to be, so what is there
    and has the very bytes stays. What a changed recipe asks for is written, and what was damaged in the store.
    """
    there = {info.key: info async for info in blobs.list(keys.variants(media_id))} if again else {}
    return tuple(await asyncio.gather(*(_keep_one(blobs, media_id, variant, there) for variant in variants)))


async def _keep_one(
    blobs: Blobs, media_id: uuid.UUID, variant: Variant, there: dict[str, BlobInfo]
) -> VariantRef:
    key = keys.variant(
        media_id, spec=variant.spec, name=variant.name, extension=_EXTENSIONS[variant.mime_type]
    )
    if not _is(there.get(key), variant.body):
        await blobs.put_bytes(key, variant.body, content_type=variant.mime_type)
        failpoints.reach("processor.mid_variants")
    return VariantRef(
        name=variant.name,
        key=key,
        mime_type=variant.mime_type,
        width=variant.width,
        height=variant.height,
        size=len(variant.body),
        spec=variant.spec,
        sha256=hashlib.sha256(variant.body).hexdigest(),
    )


def _is(found: BlobInfo | None, body: bytes) -> bool:
    """Whether those bytes are there. A store whose ETags are no MD5 is written to once more, which is harmless."""
    if found is None or found.size != len(body):
        return False
    return found.etag == hashlib.md5(body, usedforsecurity=False).hexdigest()


async def erase(blobs: Blobs, media_id: uuid.UUID) -> int:
    """Remove every variant of a media; how many there were. None is success. Raises Unavailable."""
    found = [info.key async for info in blobs.list(keys.variants(media_id))]
    for key in found:
        await blobs.delete(key)
        failpoints.reach("processor.mid_erase")
    return len(found)
