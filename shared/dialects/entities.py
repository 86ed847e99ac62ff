"""What the entities API answers: its media with an address for every size, its messages, and its refusals."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from shared.dialects.refusals import MIB, is_too_large, is_wrong_type
from shared.dialects.users import integer_id
from shared.dialects.view import View, to_second
from shared.dialects.whole import number_or_text
from shared.errors import Forbidden, Invalid, Malformed, NotFound, TripodError
from shared.events.messages import MediaType
from shared.formats import BY_MIME
from shared.media import Moderation, Status

_LABELS = (
    ("JPG", "image/jpeg"), ("PNG", "image/png"), ("GIF", "image/gif"), ("WebP", "image/webp"), ("BMP", "image/bmp"),
    ("TIFF", "image/tiff"),
    ("MP4", "video/mp4"), ("MOV", "video/quicktime"), ("AVI", "video/x-msvideo"), ("MKV", "video/x-matroska"),
    ("WebM", "video/webm"), ("M4V", "video/mp4"),
)  # fmt: skip
"""Formats as the document calls them, in its order."""
_LABELLED = frozenset(mime for _, mime in _LABELS)
MOST_DELETED = 100
PLACE_TAKEN = "gps"
"""The part of the EXIF data that this API, which promises the camera's alone, does not tell: most of its media is
public."""


class EntityMedia(msgspec.Struct, frozen=True, kw_only=True):
    """One media as clients of this API know it. Sizes in bytes, sides in pixels, `duration` in seconds; an address is
    null until the size is made. `entity_id` and `uploaded_by` are numbers where they are decimal ones."""

    id: int
    public_id: str
    filename: str
    original_url: str
    thumbnail_url: str | None
    small_url: str | None
    medium_url: str | None
    large_url: str | None
    media_type: MediaType
    content_type: str
    mime_type: str
    file_size: int
    width: int | None
    height: int | None
    duration: float | None
    alt_text: str | None
    caption: str | None
    tags: tuple[str, ...]
    entity_type: str | None
    entity_id: int | str | None
    entity_field: str | None
    is_primary: bool
    sort_order: int
    is_public: bool
    status: Status
    moderation_status: Moderation
    phash: str | None
    exif: dict[str, Any]
    uploaded_by: int | None
    created_at: datetime
    updated_at: datetime


class EntityUpload(msgspec.Struct, frozen=True, kw_only=True):
    """What an upload is answered."""

    media: EntityMedia
    message: str


class FailedEntityUpload(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a batch that was not taken, and why."""

    filename: str
    error: str


class EntityUploads(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch is answered: each file stands alone."""

    uploaded: list[EntityMedia]
    uploaded_count: int
    failed: list[FailedEntityUpload]
    failed_count: int
    message: str


class EntityMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What was done."""

    message: str


class FailedEntityDeletion(msgspec.Struct, frozen=True, kw_only=True):
    """A media that is still there, or never was, and why."""

    id: int
    error: str


class EntityDeletions(msgspec.Struct, frozen=True, kw_only=True):
    """What became of many media that were to be deleted: each stands alone."""

    deleted: list[int]
    deleted_count: int
    failed: list[FailedEntityDeletion]
    failed_count: int
    message: str


class EntityWeight(msgspec.Struct, frozen=True, kw_only=True):
    """How many files there are, and what their originals weigh: in bytes, and in units of 1024^2 and 1024^3."""

    total_files: int
    total_size_bytes: int
    total_size_mb: float
    total_size_gb: float


class EntityStorage(EntityWeight, frozen=True, kw_only=True):
    """All together and apart, by type of media and by type of entity."""

    entity_type: str | None
    by_media_type: dict[str, EntityWeight]
    by_entity_type: dict[str, EntityWeight]


def shape(view: View) -> EntityMedia:
    media, link = view.media, view.media.entity
    return EntityMedia(
        id=media.number,
        public_id=view.imported_as or media.public_id,
        filename=media.filename,
        original_url=media.download_url,
        thumbnail_url=_url(view, "thumbnail"),
        small_url=_url(view, "small"),
        medium_url=_url(view, "medium"),
        large_url=_url(view, "large"),
        media_type=media.media_type,
        content_type=media.mime_type,
        mime_type=media.mime_type,
        file_size=media.size,
        width=media.width,
        height=media.height,
        duration=media.duration,
        alt_text=media.alt_text,
        caption=media.caption,
        tags=media.tags,
        entity_type=link.type if link else None,
        entity_id=number_or_text(link.id) if link else None,
        entity_field=(link.field or None) if link else None,
        is_primary=link.is_primary if link else False,
        sort_order=link.sort_order if link else 0,
        is_public=media.is_public,
        status=media.status,
        moderation_status=media.moderation,
        phash=media.phash,
        exif={name: value for name, value in media.exif.items() if name != PLACE_TAKEN},
        uploaded_by=integer_id(media.owner, view.owner_uid),
        created_at=to_second(media.created_at),
        updated_at=to_second(media.updated_at),
    )


def batch(
    count: int, *, uploaded: list[EntityMedia], failed: Sequence[tuple[str, TripodError]]
) -> EntityUploads:
    """The answer to a batch of so many files; each failure is a file's name and what refused it."""
    return EntityUploads(
        uploaded=uploaded,
        uploaded_count=len(uploaded),
        failed=[FailedEntityUpload(filename=name, error=reword(error).detail) for name, error in failed],
        failed_count=len(failed),
        message=f"Successfully uploaded {len(uploaded)} of {count} files",
    )


def deleted(outcomes: Mapping[int, TripodError | None]) -> EntityDeletions:
    """The answer to a deletion of many: why each number is still there, or None for one that is gone."""
    gone = [number for number, error in outcomes.items() if error is None]
    failed = [
        FailedEntityDeletion(id=number, error=reword_of_media(error).detail)
        for number, error in outcomes.items()
        if error is not None
    ]
    return EntityDeletions(
        deleted=gone,
        deleted_count=len(gone),
        failed=failed,
        failed_count=len(failed),
        message=f"Successfully deleted {len(gone)} of {len(outcomes)} media",
    )


def absent(ref: int | str) -> NotFound:
    """For what is not there and what the caller may not know of."""
    return NotFound(f"Media {str(ref)[:80]} not found")


def reword_of_media(error: TripodError) -> TripodError:
    if isinstance(error, Forbidden):
        return Forbidden("Not authorized to delete this media")
    return error


def weight(files: int, size: int) -> dict[str, Any]:
    """The members of a EntityWeight."""
    return {
        "total_files": files,
        "total_size_bytes": size,
        "total_size_mb": round(size / MIB, 2),
        "total_size_gb": round(size / 2**30, 4),
    }


def _url(view: View, name: str) -> str | None:
    variant = view.variant(name)
    return variant.url if variant else None


def reword(error: TripodError) -> TripodError:
    """This API knows no 413 and 415: a file that it does not take is a bad request."""
    if is_too_large(error):
        return Malformed(f"File too large. {_most(error)}", **error.extra)
    if is_wrong_type(error):
        return Malformed(f"Invalid file type. {_types(error)}", **error.extra)
    if isinstance(error, Invalid) and error.extra.get("field") == "file":
        if error.extra.get("reason") == "dimensions":
            return Malformed(f"Invalid image dimensions. {error.detail}", **error.extra)
        small = "limit" in error.extra
        return Malformed(f"File too small. {error.detail}" if small else error.detail, **error.extra)
    if isinstance(error, Invalid) and "width" in error.extra:
        return Malformed(f"Invalid image dimensions. {error.detail}", **error.extra)
    return error


def forbidden(who: str) -> Forbidden:
    return Forbidden(f"Not authorized. {who} can upload media here.")


def _most(error: TripodError) -> str:
    limit = error.extra["limit"]
    what = error.extra.get("media_type")
    size = f"{limit // MIB} MB" if limit % MIB == 0 and limit else f"{limit} bytes"
    return f"Maximum size for {what} is {size}." if what else f"Maximum size is {size}."


def _types(error: TripodError) -> str:
    """The formats that are taken, as the document writes them; where the file is one of those but claims to be
    another, what it claims."""
    if "claimed" in error.extra:
        return error.detail
    return f"The file is {error.extra['found']}; allowed are {_formats(error.extra.get('allowed', []))}."


def _formats(allowed: Sequence[str]) -> str:
    """`allowed`: MIME types, and media types of which all formats are."""
    kinds: dict[str, list[str]] = {}
    for label, mime in _LABELS:
        if mime in allowed:
            kinds.setdefault(mime.partition("/")[0], []).append(label)
    for mime in allowed:
        if mime not in BY_MIME:
            kinds.setdefault(mime, []).append(f"every {mime}")
        elif mime not in _LABELLED:
            kinds.setdefault(BY_MIME[mime].media_type, []).append(BY_MIME[mime].extension.upper())
    return "; ".join(", ".join(labels) for labels in kinds.values())
