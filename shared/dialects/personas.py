"""The API of the personas system: what its answers show, and the words of its refusals."""

from datetime import datetime

import msgspec

from shared.dialects.refusals import is_too_large, is_wrong_type, megabytes
from shared.dialects.users import integer_id
from shared.dialects.view import View, to_second
from shared.dialects.whole import number_or_text
from shared.errors import Malformed, NotFound, TooLarge, TripodError, Unauthenticated
from shared.events.messages import MediaType

PROFILE = "persona"
ENTITY = "persona"
_ALLOWED = {
    "image": ("image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp", "image/tiff"),
    "video": (
        "video/mp4", "video/avi", "video/mov", "video/wmv", "video/flv", "video/webm", "video/mkv", "video/3gp",
    ),
}  # fmt: skip
"""As its document lists them; what counts is the types of the profile."""


class PersonaFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a persona; size in bytes, times in UTC without a zone. `user_id` is null for a user who has no
    number."""

    id: int
    filename: str
    original_filename: str
    file_size: int
    mime_type: str
    media_type: MediaType
    persona_id: int | str | None
    user_id: int | None
    description: str | None
    created_at: str
    updated_at: str


class PersonaStats(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller has; `files_per_persona` by the persona's id."""

    total_files: int
    total_images: int
    total_videos: int
    total_size_bytes: int
    total_size_mb: float
    files_per_persona: dict[str, int]


class PersonaFileDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """That it is gone."""

    message: str = "Media file deleted successfully"


def shape(view: View) -> PersonaFile:
    media = view.media
    return PersonaFile(
        id=media.number,
        filename=view.stored_name,
        original_filename=media.filename,
        file_size=media.size,
        mime_type=media.mime_type,
        media_type=media.media_type,
        persona_id=None if media.entity is None else number_or_text(media.entity.id),
        user_id=integer_id(media.owner, view.owner_uid),
        description=media.description,
        created_at=_naive(media.created_at),
        updated_at=_naive(media.updated_at),
    )


def _naive(time: datetime) -> str:
    return to_second(time).replace(tzinfo=None).isoformat()


def no_persona(persona_id: str) -> NotFound:
    """The one answer for a persona that is not registered and for another's."""
    return NotFound(f"Persona {persona_id[:80]} not found")


def absent(media_id: str) -> NotFound:
    """The one answer for a file that is not there and for another's."""
    return NotFound(f"Media file {media_id[:80]} not found")


def reword(error: TripodError) -> TripodError:
    """The refusals that its document prints; the text of ours goes along as `reason`."""
    if isinstance(error, Unauthenticated):
        return Unauthenticated("Not authenticated", reason=error.detail)
    if is_too_large(error):
        kind = str(error.extra.get("media_type", "")).capitalize()
        what = f"{kind} file" if kind else "File"
        detail = f"{what} too large. Maximum size is {megabytes(error.extra['limit']).replace(' ', '')}"
        return TooLarge(detail, **error.extra, reason=error.detail)
    if is_wrong_type(error):
        return Malformed(_wrong_type(error), **error.extra, reason=error.detail)
    return error


def _wrong_type(error: TripodError) -> str:
    """Of the kind that the file claims to be, or else is."""
    said = str(error.extra.get("claimed") or error.extra.get("media_type") or "")
    kind = said.partition("/")[0]
    names = _ALLOWED.get(kind)
    if names is None:
        kind, names = "file", _ALLOWED["image"] + _ALLOWED["video"]
    return f"Invalid {kind} type. Allowed types: {', '.join(names)}"
