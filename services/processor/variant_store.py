"""Variants in the object store: kept under keys that name what was asked for, and erased with their media."""

import asyncio
import hashlib
import uuid
from collections.abc import Iterable

from services.processor.frames import Variant
from shared import failpoints
from shared.events.messages import VariantRef
from shared.recipes import Recipe
from shared.storage import keys
from shared.storage.blobs import BlobInfo, BlobMissing, Blobs

_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/avif": "avif"} | {
    "text/vtt": "vtt",
    "application/json": "json",
    "audio/mpeg": "mp3",
    "text/plain": "txt",
    "video/mp4": "mp4",
    "application/vnd.apple.mpegurl": "m3u8",
}


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
    key = _key(media_id, variant)
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


async def whole(blobs: Blobs, media_id: uuid.UUID, told: Iterable[VariantRef]) -> dict[str, VariantRef]:
    """Of what an earlier run has told of, what is there with the very bytes: by code. Raises Unavailable.

    They are read, because stores differ in what their ETags are, and this is where damage is found and mended.
    """
    refs = [ref for ref in told if ref.sha256 is not None and ref.key == _key(media_id, ref)]
    found = await asyncio.gather(*(_is_whole(blobs, ref) for ref in refs))
    return {f"{ref.spec}-{ref.name}": ref for ref, is_whole in zip(refs, found, strict=True) if is_whole}


def in_order(recipe: Recipe, refs: Iterable[VariantRef]) -> tuple[VariantRef, ...]:
    """As the recipe has them; what it does not name comes last."""
    places = {spec.name: place for place, spec in enumerate(recipe.variants)}
    return tuple(sorted(refs, key=lambda ref: places.get(ref.name, len(places))))


async def _is_whole(blobs: Blobs, ref: VariantRef) -> bool:
    digest, size = hashlib.sha256(), 0
    try:
        async with blobs.get(ref.key) as chunks:
            async for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                if size > ref.size:
                    return False
    except BlobMissing:
        return False
    return size == ref.size and digest.hexdigest() == ref.sha256


def _key(media_id: uuid.UUID, variant: Variant | VariantRef) -> str:
    extension = _EXTENSIONS.get(variant.mime_type, "bin")
    return keys.variant(media_id, spec=variant.spec, name=variant.name, extension=extension)


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
