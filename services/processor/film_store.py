"""Films in the object store: streamed from the disk they were written to, never through memory."""

import asyncio
import hashlib
import os
import uuid
from collections.abc import AsyncIterator, Iterable
from typing import TypeAlias

import msgspec

from services.processor import variant_store
from services.processor.frames import Film
from shared import failpoints
from shared.events.messages import VariantRef
from shared.film_recipes import FilmSpec
from shared.sound_recipes import SoundSpec
from shared.storage import keys
from shared.storage.blobs import Blobs

Spec: TypeAlias = FilmSpec | SoundSpec


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """A film of a ladder, with its playlist."""

    spec: FilmSpec
    film: Film
    playlist: bytes


_CHUNK = 1024 * 1024


async def there(
    blobs: Blobs, media_id: uuid.UUID, wanted: Iterable[Spec], told: tuple[VariantRef, ...]
) -> frozenset[str]:
    """The codes of those films that need not be made: what an earlier result told of where it is whole, and what
    a worker that was stopped has finished, which the store shows only whole. Raises Unavailable."""
    films = {spec.code: spec for spec in wanted}
    known = [ref for ref in told if f"{ref.spec}-{ref.name}" in films]
    whole = await variant_store.whole(blobs, media_id, known)
    unknown = films.keys() - {f"{ref.spec}-{ref.name}" for ref in known}
    finished = [code for code in unknown if await blobs.head(key_of(media_id, films[code])) is not None]
    return frozenset(
        [code for code in (*whole, *finished) if await _has_playlist(blobs, media_id, films[code])]
    )


async def _has_playlist(blobs: Blobs, media_id: uuid.UUID, spec: Spec) -> bool:
    return not spec.fragmented or await blobs.head(playlist_key_of(media_id, spec)) is not None


def playlist_key_of(media_id: uuid.UUID, spec: Spec) -> str:
    return keys.variant(media_id, spec=spec.hash, name=f"{spec.name}_playlist", extension="m3u8")


def key_of(media_id: uuid.UUID, spec: Spec) -> str:
    return keys.variant(media_id, spec=spec.hash, name=spec.name, extension=spec.extension)


async def keep(blobs: Blobs, media_id: uuid.UUID, spec: Spec, film: Film, descriptor: int) -> VariantRef:
    """Store what was written to `descriptor`. Raises Unavailable."""
    digest, size = hashlib.sha256(), os.fstat(descriptor).st_size
    key = key_of(media_id, spec)

    def piece(place: int) -> bytes:
        data = os.pread(descriptor, min(_CHUNK, size - place), place)
        digest.update(data)
        return data

    async def body() -> AsyncIterator[bytes]:
        place = 0
        while place < size:
            data = await asyncio.to_thread(piece, place)
            if not data:
                return
            place += len(data)
            yield data

    await blobs.put(key, body(), size=size, content_type=spec.mime_type)
    failpoints.reach("processor.mid_variants")
    return _ref(spec, film, key, size, digest.hexdigest())


async def found(blobs: Blobs, media_id: uuid.UUID, spec: Spec, film: Film) -> VariantRef:
    """One that was there already. Raises BlobMissing, Unavailable."""
    digest, size, key = hashlib.sha256(), 0, key_of(media_id, spec)
    async with blobs.get(key) as chunks:
        async for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
    return _ref(spec, film, key, size, digest.hexdigest())


def _ref(spec: Spec, film: Film, key: str, size: int, sha256: str) -> VariantRef:
    return VariantRef(
        name=spec.name,
        key=key,
        mime_type=spec.mime_type,
        width=film.width,
        height=film.height,
        size=size,
        spec=spec.hash,
        sha256=sha256,
    )
