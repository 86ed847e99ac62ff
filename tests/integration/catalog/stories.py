"""Events as ingest and processor would tell them, for tests of what the catalog makes of them."""

import hashlib
import itertools
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from shared.events.messages import (
    Colour,
    EntityLink,
    MediaFailed,
    MediaProcessed,
    MediaUploaded,
    VariantRef,
)
from shared.ids import id_time, new_id
from shared.storage import keys

BODY = bytes(range(256)) * 40
SPEC = "5pec0001"
_numbers = itertools.count(1)
_moments = itertools.count()


def uploaded(owner: str = "ann", body: bytes = BODY, **changes: Any) -> MediaUploaded:
    """An upload of a JPEG (or so it says) of a user."""
    media_id: uuid.UUID = changes.pop("id", None) or new_id()
    event = MediaUploaded(
        id=media_id,
        number=next(_numbers),
        owner=owner,
        profile="default",
        recipe="standard",
        key=f"originals/{media_id}.jpg",
        filename="photo.jpg",
        mime_type="image/jpeg",
        media_type="image",
        size=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        is_public=False,
        created_at=id_time(media_id) + timedelta(microseconds=next(_moments)),
    )
    return msgspec.structs.replace(event, **changes)


def processed(upload: MediaUploaded, generation: int = 1, **changes: Any) -> MediaProcessed:
    """A result with two variants, two seconds per generation after the upload."""
    event = MediaProcessed(
        id=upload.id,
        generation=generation,
        owner=upload.owner,
        media_type=upload.media_type,
        recipe=upload.recipe,
        width=400 + generation,
        height=300,
        exif={"make": f"Maker {generation}", "gps": {"latitude": 48.2}},
        taken_at="2024-05-17T14:03:22",
        phash=f"{generation:016x}",
        dhash="0123456789abcdef",
        ahash="ffff00000000ffff",
        colour_hash="07000000000",
        colours=(Colour(hex="#1e90ff", share=0.5),),
        placeholder="abc=",
        variants=tuple(variant(upload.id, name, generation) for name in ("thumbnail", "small")),
        warnings=("odd",),
        timings={"decode": 1.5},
        processed_at=upload.created_at + timedelta(seconds=2 * generation),
    )
    return msgspec.structs.replace(event, **changes)


def failed(upload: MediaUploaded, generation: int = 1, **changes: Any) -> MediaFailed:
    """A result that is none, a second per generation after the upload."""
    event = MediaFailed(
        id=upload.id,
        generation=generation,
        owner=upload.owner,
        media_type=upload.media_type,
        code=f"code_{generation}",
        detail="It is broken.",
        failed_at=upload.created_at + timedelta(seconds=generation),
    )
    return msgspec.structs.replace(event, **changes)


def variant(media_id: uuid.UUID, name: str, generation: int = 1) -> VariantRef:
    spec = f"{SPEC[:-1]}{generation}"
    return VariantRef(
        name=name,
        key=keys.variant(media_id, spec=spec, name=name, extension="jpg"),
        mime_type="image/jpeg",
        width=150,
        height=100,
        size=len(BODY),
        spec=spec,
        sha256=hashlib.sha256(BODY[::-1]).hexdigest(),
    )


def link(entity_id: str = "1", **changes: Any) -> EntityLink:
    return msgspec.structs.replace(EntityLink(type="post", id=entity_id, field="media"), **changes)


def now() -> datetime:
    return datetime.now(UTC)
