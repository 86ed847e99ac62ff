"""The API of the media library: what its answers show, and what somebody without a token may do."""

from datetime import datetime

import msgspec

from shared.auth import Caller
from shared.dialects.settings import Anonymous
from shared.dialects.users import ANONYMOUS, caller_integer_id, integer_id
from shared.dialects.view import View
from shared.dialects.whole import whole
from shared.errors import Forbidden, Invalid, NotFound, Unauthenticated
from shared.events.messages import MediaType

PROFILE = "library"
_OPEN = frozenset({"service"})


class LibraryFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file; size in bytes, times in UTC to the microsecond, as filters compare them. `user_id` is null for a user
    who has no number."""

    id: int
    filename: str
    file_size: int
    mime_type: str
    file_type: MediaType
    description: str | None
    alt_text: str | None
    user_id: int | None
    is_public: bool
    url: str
    download_url: str
    created_at: datetime
    updated_at: datetime


class LibraryUploaded(msgspec.Struct, frozen=True, kw_only=True):
    """What an upload is answered; size in bytes."""

    id: int
    filename: str
    file_size: int
    file_type: MediaType
    url: str
    download_url: str
    message: str = "File uploaded successfully"


class LibraryDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """That it is gone."""

    message: str = "File deleted successfully"


class StorageInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Where files are kept: `local` in a folder, or `s3` in a bucket at an endpoint."""

    backend: str
    bucket_name: str | None
    media_folder: str | None
    endpoint_url: str | None


def shape(view: View, base_url: str) -> LibraryFile:
    media = view.media
    url = _url(base_url, media.number)
    return LibraryFile(
        id=media.number,
        filename=media.filename,
        file_size=media.size,
        mime_type=media.mime_type,
        file_type=media.media_type,
        description=media.description,
        alt_text=media.alt_text,
        user_id=integer_id(media.owner, view.owner_uid),
        is_public=media.is_public,
        url=url,
        download_url=url,
        created_at=media.created_at,
        updated_at=media.updated_at,
    )


def uploaded(view: View, base_url: str) -> LibraryUploaded:
    media = view.media
    url = _url(base_url, media.number)
    return LibraryUploaded(
        id=media.number,
        filename=media.filename,
        file_size=media.size,
        file_type=media.media_type,
        url=url,
        download_url=url,
    )


def _url(base_url: str, number: int) -> str:
    return f"{base_url}/media/{number}/download"


def reading(caller: Caller, mode: Anonymous) -> Caller:
    """Who asks to read. Raises Unauthenticated where a token is needed for that."""
    if mode == "full":
        return _opened(caller)
    if caller.sub is None and mode == "none":
        raise unauthenticated()
    return caller


def writing(caller: Caller, mode: Anonymous) -> Caller:
    """Who asks to upload or to change something. Raises Unauthenticated where a token is needed for that."""
    if mode == "full":
        return _opened(caller)
    if caller.sub is None:
        raise unauthenticated()
    return caller


def _opened(caller: Caller) -> Caller:
    """Where nobody needs a token everybody may do everything. It reaches the files of this profile alone, because
    every lookup of the dialect narrows to them."""
    return msgspec.structs.replace(caller, sub=caller.sub or ANONYMOUS, roles=caller.roles | _OPEN)


def unauthenticated() -> Unauthenticated:
    return Unauthenticated("Not authenticated")


def owner(caller: Caller, user_id: str | None) -> str | None:
    """The user to whom an upload shall belong, None for the caller. Raises Invalid for what is no number, Forbidden
    for another user's where the caller may not say so."""
    if not user_id:
        return None
    number = whole(user_id)
    if number is None:
        raise Invalid(f"user_id is {user_id[:40]!r}; allowed is a whole number.", field="user_id")
    if number == caller_integer_id(caller):
        return None
    if not caller.governs:
        raise Forbidden(f"Uploads for user {number} need the service role; your token does not have it.")
    return str(number)


def absent(media_id: str) -> NotFound:
    """The one answer for what is not there and what the caller may not know of."""
    return NotFound(f"Media file {media_id[:80]} not found")
