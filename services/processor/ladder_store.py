"""Playlists of a ladder of films in the object store: one of each film, and the one that names them all."""

import hashlib
import re
import uuid

from services.processor.film_store import Rung, playlist_key_of
from shared.events.messages import VariantRef
from shared.film_recipes import CODECS, FilmSpec
from shared.storage import keys
from shared.storage.blobs import Blobs

MIME_TYPE = "application/vnd.apple.mpegurl"
NAME = "hls"
MOST_BYTES = 1024 * 1024
_CODECS = re.compile(rf"^{CODECS}(avc1\.[0-9a-f]{{6}}(?:,mp4a\.40\.2)?)$", re.MULTILINE)
_SEGMENT = re.compile(r"#EXTINF:([\d.]+),\n#EXT-X-BYTERANGE:(\d+)@")


async def keep(blobs: Blobs, media_id: uuid.UUID, spec: FilmSpec, text: bytes) -> VariantRef:
    """Raises Unavailable."""
    return await _put(blobs, playlist_key_of(media_id, spec), f"{spec.name}_playlist", spec.hash, text)


async def found(blobs: Blobs, media_id: uuid.UUID, spec: FilmSpec) -> tuple[VariantRef, bytes]:
    """One that was there already. Raises BlobMissing, Unavailable."""
    key = playlist_key_of(media_id, spec)
    async with blobs.get(key) as chunks:
        text = b"".join([chunk async for chunk in chunks])
    return _ref(key, f"{spec.name}_playlist", spec.hash, text), text


async def keep_master(blobs: Blobs, media_id: uuid.UUID, rungs: list[Rung]) -> VariantRef:
    """The playlist of all of them, by which players choose. Raises Unavailable."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for rung in rungs:
        peak, average = _bits(rung.playlist)
        lines.append(
            f"#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},"
            f"RESOLUTION={rung.film.width}x{rung.film.height}{_codecs(rung.playlist)}"
        )
        lines.append(f"{rung.spec.name}_playlist.m3u8?v={rung.spec.hash}")
    text = ("\n".join(lines) + "\n").encode()
    made_of = hashlib.sha256(text).hexdigest()[:8]
    key = keys.variant(media_id, spec=made_of, name=NAME, extension="m3u8")
    return await _put(blobs, key, NAME, made_of, text)


def _codecs(playlist: bytes) -> str:
    """Nothing where the playlist is of before they were told: players then look into the film."""
    found = _CODECS.search(playlist.decode("ascii", "replace"))
    return f',CODECS="{found[1]}"' if found else ""


def _bits(playlist: bytes) -> tuple[int, int]:
    """Bits a second of the greediest segment and of all."""
    segments = [
        (float(length), int(size)) for length, size in _SEGMENT.findall(playlist.decode("ascii", "replace"))
    ]
    peak = max((size * 8 / max(length, 0.1) for length, size in segments), default=0.0)
    whole = sum(length for length, _ in segments)
    return round(peak) or 1, round(sum(size for _, size in segments) * 8 / whole) if whole else 1


async def _put(blobs: Blobs, key: str, name: str, spec: str, text: bytes) -> VariantRef:
    await blobs.put_bytes(key, text, content_type=MIME_TYPE)
    return _ref(key, name, spec, text)


def _ref(key: str, name: str, spec: str, text: bytes) -> VariantRef:
    digest = hashlib.sha256(text).hexdigest()
    return VariantRef(
        name=name, key=key, mime_type=MIME_TYPE, width=0, height=0, size=len(text), spec=spec, sha256=digest
    )
