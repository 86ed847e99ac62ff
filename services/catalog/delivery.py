"""Bytes on their way out: which file is meant, which headers it gets, and the stream from the store."""

import mimetypes
import time
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from urllib.parse import quote

import msgspec
import structlog
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Receive, Scope, Send

from services.catalog.conditions import Conditions, http_date, quoted
from services.catalog.multirange import Multipart, Span, content_range
from services.catalog.presigned import Redirects
from services.catalog.queries import Deliverable
from services.catalog.schemas import Disposition
from shared import problem
from shared.errors import NotFound, RangeNotSatisfiable
from shared.events.messages import VariantRef
from shared.storage.blobs import BlobMissing, Blobs

log = structlog.get_logger()

_YEAR = 31_536_000
VERSION_DIGITS = 8
UNTOLD_SECONDS = 600
INLINE = frozenset(
    {
        "image/jpeg", "image/png", "image/webp", "image/gif", "image/avif",
        "video/mp4", "video/webm", "video/ogg", "video/quicktime",
        "audio/mpeg", "audio/mp4", "audio/ogg", "audio/wav", "audio/x-wav", "audio/flac", "audio/aac", "audio/webm",
    }
)  # fmt: skip
"""What a browser may show in place: nothing in it is active. SVG and HEIC are not here."""


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One object as it is handed out. `version` in a URL promises that the bytes behind it never change."""

    media_id: uuid.UUID
    key: str
    size: int
    mime_type: str
    filename: str
    etag: str
    version: str
    modified: datetime
    shown: Disposition
    """How a browser takes it unless asked otherwise."""
    is_public: bool


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """How it is asked for; `until` is the end of a signed link in Unix seconds. `vary` names the header by which the
    answer was chosen."""

    conditions: Conditions
    disposition: Disposition | None = None
    version: str | None = None
    until: int | None = None
    vary: str | None = None
    told: bool = False
    """Shared caches are told what to forget, so they may keep it as long as others."""


def original(found: Deliverable) -> File:
    return File(
        media_id=found.id,
        key=found.key,
        size=found.size,
        mime_type=found.mime_type,
        filename=found.filename,
        etag=quoted(found.sha256),
        version=found.sha256[:VERSION_DIGITS],
        modified=found.created_at,
        shown="attachment",
        is_public=found.is_public,
    )


def variant(found: Deliverable, name: str) -> File | None:
    """None while or because there is none of this name."""
    ref = next((ref for ref in found.variants if ref.name == name), None)
    if ref is None:
        return None
    return File(
        media_id=found.id,
        key=ref.key,
        size=ref.size,
        mime_type=ref.mime_type,
        filename=variant_filename(found.filename, ref),
        etag=quoted(ref.spec),
        version=ref.spec,
        modified=found.made_at or found.created_at,
        shown="inline",
        is_public=found.is_public,
    )


def variant_filename(filename: str, ref: VariantRef) -> str:
    stem = filename.rsplit(".", 1)[0] if "." in filename[1:] else filename
    return f"{stem}-{ref.name}{mimetypes.guess_extension(ref.mime_type) or ''}"


def headers(file: File, asked: Asked) -> dict[str, str]:
    """What every answer about a file carries, also 304."""
    return {
        **_for_caches(file, asked),
        "ETag": file.etag,
        "Last-Modified": http_date(file.modified),
        "Accept-Ranges": "bytes",
        "Content-Disposition": content_disposition(disposition(file, asked.disposition), file.filename),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }


def tag(media_id: uuid.UUID) -> str:
    """By which shared caches find all that they keep of a media."""
    return f"media-{media_id}"


def _for_caches(file: File, asked: Asked) -> dict[str, str]:
    fields = {"Cache-Control": cache_control(file, asked)}
    if asked.vary:
        fields["Vary"] = asked.vary
    if file.is_public:  # nothing else is kept by a shared cache
        fields |= {"Surrogate-Key": tag(file.media_id), "Cache-Tag": tag(file.media_id)}
    return fields


def disposition(file: File, wanted: Disposition | None) -> Disposition:
    """Inline only where it was asked for or is usual, and the type is harmless."""
    return "inline" if (wanted or file.shown) == "inline" and file.mime_type in INLINE else "attachment"


def content_disposition(kind: Disposition, filename: str) -> str:
    """RFC 6266: the name in ASCII for old clients, and as it is in UTF-8."""
    # Some split at a semicolon before they look for quotes.
    plain = "".join(c if 32 <= ord(c) < 127 and c not in '"\\%;' else "_" for c in filename)
    # RFC 8187 allows these unescaped; `quote` adds the unreserved ones.
    return (
        f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='!#$&+^`|', errors='replace')}"
    )


def cache_control(file: File, asked: Asked) -> str:
    """Public for what everybody may see. Without a version a cache asks again: a deleted file must vanish. What a link
    has shown is kept no longer than the link holds."""
    scope = "public" if file.is_public else "private"
    if asked.until is not None:
        left = max(asked.until - int(time.time()), 0)
        return f"{scope}, max-age={min(left, _YEAR)}{_for_shared(file, asked, left)}"
    if asked.version == file.version:
        return f"{scope}, max-age={_YEAR}, immutable{_for_shared(file, asked, _YEAR)}"
    return f"{scope}, no-cache"


def _for_shared(file: File, asked: Asked, most: int) -> str:
    """A shared cache that nobody tells what to forget asks again soon: the media may be private by then, or gone."""
    return f", s-maxage={min(most, UNTOLD_SECONDS)}" if file.is_public and not asked.told else ""


class Delivery:
    """The answer to a GET or HEAD of a file, as an ASGI app: the store is asked before anything is sent, so that
    its refusal is still a proper answer."""

    def __init__(
        self,
        blobs: Blobs,
        file: File,
        asked: Asked,
        *,
        redirects: Redirects | None = None,
        on_sending: Callable[[], None] | None = None,
    ) -> None:
        """`redirects`: the store hands the file out where it is harmless. `on_sending` hears when the beginning of the
        file goes out."""
        self._on_sending = on_sending
        self._redirects = redirects
        self._blobs = blobs
        self._file = file
        self._asked = asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises PreconditionFailed, NotFound when the row has no object behind it, Unavailable when the store does
        not answer."""
        file, conditions = self._file, self._asked.conditions
        fields = headers(file, self._asked)
        conditions.require(file.etag, file.modified)
        if conditions.not_modified(file.etag, file.modified):
            await _empty(304, fields)(scope, receive, send)
            return
        fields |= {"Content-Type": file.mime_type, "Content-Length": str(file.size)}
        if scope.get("method") == "HEAD":  # ranges are defined for GET alone
            await _empty(200, fields)(scope, receive, send)
            return
        try:
            parts = conditions.parts(file.size, file.etag, file.modified)
        except RangeNotSatisfiable as error:
            await _refuse(error, file.size)(scope, receive, send)
            return
        if self._redirects is not None and self._redirects.ready and file.mime_type in INLINE:
            self._note(parts)
            await self._redirect(self._redirects)(scope, receive, send)
            return
        await self._stream(fields, parts, scope, receive, send)

    async def _stream(
        self, fields: dict[str, str], parts: list[Span] | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        file, several = self._file, None
        if parts is not None and len(parts) > 1:
            several = Multipart(parts=parts, size=file.size, mime_type=file.mime_type)
            fields |= {"Content-Type": several.content_type, "Content-Length": str(several.length)}
        elif parts is not None:
            fields |= {
                "Content-Range": content_range(parts[0], file.size),
                "Content-Length": str(parts[0][1]),
            }
        start, length = parts[0] if parts is not None else (0, file.size)
        try:
            async with self._blobs.get(file.key, start=start, length=length) as first:
                self._note(parts)
                body = several.body(self._blobs, file.key, first) if several else first
                answer = ASGIStreamingResponse(
                    iterator=body, headers=fields, status_code=200 if parts is None else 206
                )
                await answer(scope, receive, send)
        except BlobMissing as error:
            log.error("delivery.object_missing", key=file.key)  # noqa: TRY400 - the key says it all
            raise NotFound("The file is not in the store.") from error

    def _note(self, parts: list[Span] | None) -> None:
        if self._on_sending is not None and (parts is None or any(start == 0 for start, _ in parts)):
            self._on_sending()

    def _redirect(self, redirects: Redirects) -> ASGIStreamingResponse:
        """The way to the store. It is kept for half of the time that it holds, and only where the file itself might be
        kept: a cache that asks again must come here."""
        file, asked = self._file, self._asked
        found = redirects.address(
            file.key,
            mime_type=file.mime_type,
            disposition=content_disposition(disposition(file, asked.disposition), file.filename),
            until=asked.until,
        )
        fields = {**_for_caches(file, asked), "Location": found.url, "Content-Length": "0"}
        if "no-cache" not in fields["Cache-Control"]:
            scope = "public" if file.is_public else "private"
            fields["Cache-Control"] = f"{scope}, max-age={found.keep}"
        return _empty(307, fields | {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"})


def _empty(status: int, fields: dict[str, str]) -> ASGIStreamingResponse:
    return ASGIStreamingResponse(
        iterator=_pieces(), headers=fields, status_code=status, is_head_response=True
    )


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _refuse(error: RangeNotSatisfiable, size: int) -> ASGIStreamingResponse:
    body = msgspec.json.encode(problem.document(error))
    return ASGIStreamingResponse(
        iterator=_pieces(body),
        headers={
            **problem.headers(error),
            "Content-Type": problem.MEDIA_TYPE,
            "Content-Range": f"bytes */{size}",
            "Content-Length": str(len(body)),
        },
        status_code=error.status,
    )
