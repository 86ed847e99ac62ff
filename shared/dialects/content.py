"""The content service's API, as both services speak it: what its answers look like, and what its refusals say."""

import math
import re
import uuid
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from shared.dialects.refusals import is_too_large, is_wrong_type, megabytes
from shared.dialects.users import uuid_id
from shared.dialects.view import View, to_second
from shared.errors import Invalid, Malformed, NotFound, TooLarge, TripodError
from shared.formats import BY_MIME

PROFILE = "content"
ENTITY = "content"
OPTIMISED, THUMBNAIL = "optimised", "thumbnail"
FILES = "/api/v1/media/files"
ContentMediaType: TypeAlias = Literal["image", "video", "audio", "document"]
MEDIA_TYPES: tuple[ContentMediaType, ...] = get_args(ContentMediaType)
_NAMED = re.compile(r"(?:.*/)?[^/]*_(?P<id>[0-9a-f]{32})(?P<thumb>_thumb)?\.[A-Za-z0-9]+")


class ProcessingFailed(TripodError):
    """The file cannot be processed: what is wrong is the file, but the document promises a 500."""

    code = "processing_failed"
    title = "Processing failed"


class ContentMedia(msgspec.Struct, frozen=True, kw_only=True):
    """One media. Size, type and sides are those of the optimised file once there is one, of the original before.
    Size in bytes, sides in pixels, duration in whole seconds."""

    id: uuid.UUID
    content_id: uuid.UUID | None
    media_type: str
    filename: str
    url: str
    thumbnail_url: str | None
    storage_path: str
    file_size: int
    mime_type: str
    width: int | None
    height: int | None
    duration: int | None
    metadata: dict[str, Any]
    uploaded_by: uuid.UUID
    created_at: datetime
    updated_at: datetime


class ContentMediaList(msgspec.Struct, frozen=True, kw_only=True):
    """One page; pages are counted from 1."""

    items: list[ContentMedia]
    total: int
    page: int
    page_size: int
    total_pages: int


class ContentMediaUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change; what is left out, or null, stays. `metadata` replaces all that there was."""

    filename: str | None = None
    metadata: dict[str, Any] | None = None


class ContentMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What was done."""

    message: str


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What the path of a file says: of which media, and whether it is the thumbnail."""

    media_id: uuid.UUID
    thumbnail: bool


def shape(view: View, base_url: str) -> ContentMedia:
    media, optimised = view.media, view.variant(OPTIMISED)
    return ContentMedia(
        id=media.id,
        content_id=_content_id(view),
        media_type=media.media_type,
        filename=media.filename,
        url=f"{base_url}{FILES}/{view.key}",
        thumbnail_url=_thumbnail_url(view, base_url),
        storage_path=view.key,
        file_size=optimised.size if optimised else media.size,
        mime_type=optimised.mime_type if optimised else media.mime_type,
        width=optimised.width if optimised else media.width,
        height=optimised.height if optimised else media.height,
        duration=None if media.duration is None else math.floor(media.duration + 0.5),
        metadata=media.metadata,
        uploaded_by=uuid_id(media.owner),
        created_at=to_second(media.created_at),
        updated_at=to_second(media.updated_at),
    )


def _content_id(view: View) -> uuid.UUID | None:
    link = view.media.entity
    return parse_uuid(link.id) if link is not None and link.type == ENTITY else None


def _thumbnail_url(view: View, base_url: str) -> str | None:
    thumbnail = view.variant(THUMBNAIL)
    if thumbnail is None:
        return None
    return f"{base_url}{FILES}/{thumbnail_path(view.key, BY_MIME[thumbnail.mime_type].extension)}"


def thumbnail_path(key: str, extension: str) -> str:
    """Where the thumbnail of the original at `key` is: beside it, under the same name with `_thumb`."""
    return f"{key.rpartition('.')[0]}_thumb.{extension}"


def named(path: str) -> Named | None:
    """The media whose file this path can be; None for a path that no file of ours has."""
    match = _NAMED.fullmatch(path)
    if match is None:
        return None
    return Named(media_id=uuid.UUID(match["id"]), thumbnail=match["thumb"] is not None)


def leads_to(view: View, path: str) -> bool:
    """Whether this is the path of the media's file, or of its thumbnail, in whatever format that comes."""
    stem, dot, extension = path.rpartition(".")
    known = view.key.rpartition(".")[0]
    return path == view.key or bool(stem == f"{known}_thumb" and dot and extension)


def parse_uuid(text: str) -> uuid.UUID | None:
    """A UUID in its usual form of 36 characters, None for anything else."""
    try:
        return uuid.UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def check_uuid(name: str, text: str) -> uuid.UUID:
    """Raises Malformed for what is no UUID."""
    found = parse_uuid(text)
    if found is None:
        raise Malformed(f"Invalid {name} format: {text[:80]!r} is not a UUID", field=name)
    return found


def check_media_type(text: str) -> ContentMediaType:
    """Raises Malformed for a type of media that there is not."""
    found = next((known for known in MEDIA_TYPES if known == text.strip().lower()), None)
    if found is None:
        raise Malformed(
            f"Invalid media_type {text[:40]!r}: allowed are {', '.join(MEDIA_TYPES)}", field="media_type"
        )
    return found


def absent(what: str = "Media") -> NotFound:
    """For what is not there and what the caller may not know of."""
    return NotFound(f"{what} not found")


def reword(error: TripodError) -> TripodError:
    """A file over the limit of its type, or of a wrong type, is a bad request here."""
    if is_too_large(error) and "media_type" in error.extra:
        return over_a_type(error)
    if is_wrong_type(error):
        return Malformed(f"Invalid file type: {error.detail}", **error.extra)
    if isinstance(error, Invalid) and "reason" in error.extra:
        return ProcessingFailed(f"File processing failed: {error.detail}", **error.extra)
    if isinstance(error, Invalid | TooLarge) and error.extra.get("field") == "metadata":
        return Malformed(f"Invalid metadata JSON: {error.detail}", **error.extra)
    return error


def over_a_type(error: TripodError) -> Malformed:
    """What is over the limit of its type, which `error` names, is a bad request; 413 is over that of all requests."""
    what = error.extra.get("media_type", "any file")
    return Malformed(
        f"File too large: the maximum size for {what} is {megabytes(error.extra['limit'])}", **error.extra
    )
