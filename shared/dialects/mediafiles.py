"""The mediafiles API, as both services speak it: what its answers look like, and what its refusals say."""

import re
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

import msgspec
from msgspec import UNSET, UnsetType

from shared.dialects.refusals import is_too_large, is_wrong_type, megabytes
from shared.dialects.users import integer_id, username
from shared.dialects.view import View, to_second
from shared.dialects.whole import whole
from shared.errors import (
    Invalid,
    Malformed,
    NotFound,
    TripodError,
    Unauthenticated,
)
from shared.media import Status

PROFILE = "mediafiles"
FileType: TypeAlias = Literal["image", "video", "audio"]
FILE_TYPES: tuple[FileType, ...] = get_args(FileType)
STATUSES: tuple[Status, ...] = ("ready", "processing", "failed", "uploading")
TRANSCODED = "transcoded"
PLACES = {
    "thumbnail": ("thumbnails", "jpg"),
    "small": ("small", "jpg"),
    "medium": ("medium", "jpg"),
    "large": ("large", "jpg"),
    "webp": ("webp", "webp"),
    TRANSCODED: (TRANSCODED, ""),
}
"""The folder and the extension of each version of a file; that of what plays is its format's."""
_PLAYS: dict[str, str] = {"video": "mp4", "audio": "mp3"}
"""By type of media the variant that is played, and its extension."""
_VARIANT = re.compile(
    r"(?P<number>[0-9]{1,18})_.+_(?P<variant>thumbnail|small|medium|large|webp|transcoded)\.(?:jpg|webp|mp4|mp3)"
)
_FORMATS = "JPEG, PNG, GIF, WebP, BMP; MP4, QuickTime, AVI, MKV, WebM; MP3, WAV, OGG, AAC, M4A"


class MediaUrls(msgspec.Struct, frozen=True, kw_only=True):
    """Where each version of a file is: of an image also while it is being made, of all else once it is; null for what
    the file does not have. `transcoded`, of videos and sound alone: the MP4 or the MP3."""

    thumbnail: str | None
    small: str | None
    medium: str | None
    large: str | None
    webp: str | None
    original: str
    transcoded: str | UnsetType | None = UNSET


class MediafilesMedia(msgspec.Struct, frozen=True, kw_only=True):
    """One media. Size in bytes, sides in pixels, duration in seconds; null while they are not known."""

    id: int
    user: int | None
    user_username: str
    file_type: str
    status: Status
    file_size: int
    mime_type: str
    display_url: str
    thumbnail_url: str | None
    urls: MediaUrls
    width: int | None
    height: int | None
    duration: float | None
    bitrate: int | None
    metadata: dict[str, Any]
    is_public: bool
    created_at: datetime
    updated_at: datetime


class MediafilesPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list, and the addresses of its neighbours."""

    count: int
    next: str | None
    previous: str | None
    results: list[MediafilesMedia]


class ByType(msgspec.Struct, kw_only=True):
    """Numbers of media."""

    image: int = 0
    video: int = 0
    audio: int = 0


class ByStatus(msgspec.Struct, kw_only=True):
    """Numbers of media."""

    ready: int = 0
    processing: int = 0
    failed: int = 0
    uploading: int = 0


class MediafilesStats(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller has; `total_size` in bytes."""

    total: int
    by_type: ByType
    by_status: ByStatus
    total_size: int


def shape(view: View, base_url: str) -> MediafilesMedia:
    media, urls = view.media, _urls(view, base_url)
    shown = urls.medium if view.variant("medium") else urls.transcoded or None
    return MediafilesMedia(
        id=media.number,
        user=integer_id(media.owner, view.owner_uid),
        user_username=username(media.owner, view.owner_name),
        file_type=media.media_type,
        status=media.status,
        file_size=media.size,
        mime_type=media.mime_type,
        display_url=shown or urls.original,
        thumbnail_url=urls.thumbnail,
        urls=urls,
        width=media.width,
        height=media.height,
        duration=media.duration,
        bitrate=media.bitrate,
        metadata=media.metadata or media.exif,
        is_public=media.is_public,
        created_at=to_second(media.created_at),
        updated_at=to_second(media.updated_at),
    )


def _urls(view: View, base_url: str) -> MediaUrls:
    urls = {
        name: f"{base_url}/media/{variant_path(view, name)}" if _has(view, name) else None for name in PLACES
    }
    if view.media.media_type not in _PLAYS:
        del urls[TRANSCODED]
    return MediaUrls(**urls, original=f"{base_url}/media/{view.key}")


def _has(view: View, name: str) -> bool:
    """Whether it is there. What is made of an image comes so soon that whoever asks for it is let wait."""
    media = view.media
    coming = media.media_type == "image" and media.status in {"uploading", "processing"}
    return coming or view.variant(variant_named(view, name)) is not None


def variant_named(view: View, name: str) -> str:
    """Our name of the variant that is called `name` in these addresses."""
    return _PLAYS.get(view.media.media_type, name) if name == TRANSCODED else name


def variant_path(view: View, name: str) -> str:
    """Where below /media a variant is: `thumbnails/1_photo_thumbnail.jpg`."""
    folder, extension = PLACES[name]
    ending = extension or _PLAYS.get(view.media.media_type, "")
    return f"{folder}/{view.stored_name.rpartition('.')[0]}_{name}.{ending}"


def variant_of(filename: str) -> tuple[int, str] | None:
    """The number of the media and the variant that a file name can mean; None for a name that no variant has."""
    match = _VARIANT.fullmatch(filename)
    return None if match is None else (int(match["number"]), match["variant"])


def number_of(filename: str) -> int | None:
    """The number that the name of an original begins with."""
    return whole(filename.partition("_")[0])


def check_choice(name: str, value: str | None, allowed: tuple[str, ...]) -> str | None:
    """None for no choice. Raises Malformed for one that there is not."""
    if not value:
        return None
    if value not in allowed:
        raise Malformed(
            f"Select a valid choice for {name}: {value[:40]!r} is not one of {', '.join(allowed)}.",
            field=name,
        )
    return value


def absent() -> NotFound:
    """For what is not there and what is somebody else's."""
    return NotFound("Not found.")


def reword(error: TripodError) -> TripodError:
    """Whatever is refused for what it is is a bad request here."""
    if isinstance(error, Unauthenticated):
        return Unauthenticated(
            f"Authentication credentials were not provided or are not valid. {error.detail}"
        )
    if is_too_large(error):
        what = f" for {kind} files" if (kind := error.extra.get("media_type")) else ""
        limit = megabytes(error.extra["limit"])
        return Malformed(f"File size exceeds maximum allowed size ({limit}{what})", **error.extra)
    if is_wrong_type(error):
        return Malformed(f"Unsupported file type. {error.detail} Supported are {_FORMATS}.", **error.extra)
    if isinstance(error, Invalid):
        return Malformed(error.detail, **error.extra)
    return error
