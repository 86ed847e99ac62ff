"""Variants in the object store: kept under keys that name what was asked for, and erased with their media."""

import asyncio
import uuid
from collections.abc import Iterable

from services.processor.frames import Variant
from shared import failpoints
from shared.events.messages import VariantRef
from shared.storage import keys
from shared.storage.blobs import Blobs

_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/avif": "avif"}


async def keep(
    blobs: Blobs, media_id: uuid.UUID, variants: Iterable[Variant], *, again: bool
) -> tuple[VariantRef, ...]:
    """Store each variant; where to find them. Raises Unavailable.

    With `again` an earlier run may have stored some: a key says what its bytes were asked to be, so what is there
    stays, and only what a changed recipe asks for is written.
    """
    there = {info.key: info.size async for info in blobs.list(keys.variants(media_id))} if again else {}
    return tuple(await asyncio.gather(*(_keep_one(blobs, media_id, variant, there) for variant in variants)))


async def _keep_one(blobs: Blobs, media_id: uuid.UUID, variant: Variant, there: dict[str, int]) -> VariantRef:
    key = keys.variant(
        media_id, spec=variant.spec, name=variant.name, extension=_EXTENSIONS[variant.mime_type]
    )
    size = there.get(key, 0)
    if not size:
        size = (await blobs.put_bytes(key, variant.body, content_type=variant.mime_type)).size
        failpoints.reach("processor.mid_variants")
    return VariantRef(
        name=variant.name,
        key=key,
        mime_type=variant.mime_type,
        width=variant.width,
        height=variant.height,
        size=size,
        spec=variant.spec,
    )


async def erase(blobs: Blobs, media_id: uuid.UUID) -> int:
    """Remove every variant of a media; how many there were. None is success. Raises Unavailable."""
    found = [info.key async for info in blobs.list(keys.variants(media_id))]
    for key in found:
        await blobs.delete(key)
        failpoints.reach("processor.mid_erase")
    return len(found)
