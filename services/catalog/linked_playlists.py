"""Playlists as a signed link shows them: what they name is signed too, for as long, as players send no token."""

import re
from collections.abc import Callable

import msgspec
import structlog
from litestar.response.base import ASGIResponse

from services.catalog.conditions import quoted
from services.catalog.delivery import Asked, File, headers
from shared.errors import NotFound
from shared.storage.blobs import BlobMissing, Blobs

log = structlog.get_logger()

_KINDS = frozenset({"application/vnd.apple.mpegurl", "text/vtt"})
_MOST_BYTES = 8 * 1024 * 1024  # read whole; the processor writes none that is nearly as long
# An address as the processor writes it: a variant of the same media, at the beginning of a line or within quotes.
_ADDRESS = re.compile(rb'(?m)(^|URI=")([A-Za-z0-9_-]{1,64})(\.[a-z0-9]{1,8})?\?v=([0-9a-f]{1,64})(?=$|["#])')


def bare(name: str) -> str:
    """The variant's name, without the ending that playlists put behind it."""
    return name.removesuffix(".mp4").removesuffix(".m3u8")


def is_one(file: File) -> bool:
    """Whether this variant names others by addresses that are relative to its own."""
    return file.mime_type in _KINDS and file.size <= _MOST_BYTES


async def answer(
    blobs: Blobs, file: File, asked: Asked, sign: Callable[[str], str], *, head: bool
) -> ASGIResponse:
    """The answer to a GET, or a HEAD, by a link: whole, as a range of it would be of no use to anybody. `sign` gives
    the query of the link to the variant of a name, which ends with this one: so the same link shows the same bytes.

    Raises PreconditionFailed, NotFound when the row has no object behind it, Unavailable.
    """
    shown = msgspec.structs.replace(file, etag=quoted(f"{file.version}-{asked.until}"))
    fields = headers(shown, asked) | {"Accept-Ranges": "none"}
    asked.conditions.require(shown.etag, shown.modified)
    if asked.conditions.not_modified(shown.etag, shown.modified):
        return ASGIResponse(status_code=304, headers=fields)
    body = _signed(await _read(blobs, file.key), sign)
    fields |= {"Content-Type": file.mime_type, "Content-Length": str(len(body))}
    return ASGIResponse(body=b"" if head else body, headers=fields, is_head_response=head)


async def _read(blobs: Blobs, key: str) -> bytes:
    try:
        async with blobs.get(key) as chunks:
            return b"".join([chunk async for chunk in chunks])
    except BlobMissing as error:
        log.error("delivery.object_missing", key=key)  # noqa: TRY400 - the key says it all
        raise NotFound("The file is not in the store.") from error


def _signed(text: bytes, sign: Callable[[str], str]) -> bytes:
    links: dict[bytes, bytes] = {}  # a playlist has one line a segment, all of the same film

    def linked(found: re.Match[bytes]) -> bytes:
        before, name, ending, version = found.groups(b"")
        if name not in links:
            links[name] = sign(name.decode()).encode()
        return before + name + ending + b"?v=" + version + b"&" + links[name]

    return _ADDRESS.sub(linked, text)
