"""What every upload route does with its request: who asks for what, how the body is read, and the answer."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec
from litestar import Request, Response

from services.ingest import early, rules
from services.ingest.answers import Answering
from services.ingest.attempt import Wish
from services.ingest.body import Read, reader
from services.ingest.context import Ingest
from services.ingest.digest_fields import CONTENT, REPR, Promised
from services.ingest.digest_fields import parse as parse_digests
from services.ingest.form import boundary_of
from services.ingest.idempotency import Answer, Asked, check_key
from services.ingest.imported import Import
from services.ingest.limits import FORM_OVERHEAD_BYTES
from services.ingest.source import OURS, Reading, Source, from_form
from services.ingest.upload import upload
from shared.auth import Caller
from shared.errors import Malformed, TooLarge
from shared.profiles import Profile

AnyRequest = Request[Any, Any, Any]


async def upload_form(
    request: AnyRequest,
    caller: Caller,
    *,
    reading: Reading = OURS,
    answering: Answering | None = None,
    largest: int | None = None,
    imported: Import | None = None,
) -> Response[bytes]:
    """Take the one file of a form. `largest`: a limit in bytes for any file, whatever its profile allows.
    Raises the TripodError that refuses it."""
    ingest: Ingest = request.app.state.ingest
    boundary = boundary_of(request.headers.get("content-type", ""))
    wish = msgspec.structs.replace(wish_of(request, caller, answering), reading=reading, imported=imported)
    read = body_of(request, wish, FORM_OVERHEAD_BYTES, profiles=reading.profiles, largest=largest)

    async def open_source() -> Source:
        source = await from_form(read, boundary, reading, length=wish.asked.length)
        chunks = wish.promised.file(source.chunks)
        if largest is not None and largest < _widest(ingest, reading.profiles):
            chunks = _within(largest, chunks)
        return msgspec.structs.replace(source, chunks=chunks)

    answer, replayed = await upload(ingest, wish, open_source)
    return response(answer, replayed=replayed)


def wish_of(request: AnyRequest, caller: Caller, answering: Answering | None = None) -> Wish:
    """Raises Malformed for a header that cannot be read, UnsupportedType for a coded body."""
    early.check_headers(
        encoding=request.headers.get("content-encoding"), content_range=request.headers.get("content-range")
    )
    key = request.headers.get("idempotency-key")
    query = request.scope["query_string"].decode("latin-1")
    preferences = request.headers.get("prefer", "").lower().replace(" ", "")
    wanted = answering or Answering()
    if "respond-async" in preferences.split(","):
        wanted = msgspec.structs.replace(wanted, until="acknowledged")
    return Wish(
        caller=caller,
        asked=Asked(
            method=request.method,
            path=request.scope["path"] + (f"?{query}" if query else ""),
            length=_length(request),
        ),
        key=None if key is None else check_key(key),
        answering=wanted,
        promised=Promised(
            *(parse_digests(name, request.headers.getall(name, [])) for name in (CONTENT, REPR))
        ),
    )


def body_of(
    request: AnyRequest,
    wish: Wish,
    overhead: int,
    *,
    profiles: tuple[str, ...] = (),
    largest: int | None = None,
    files: int = 1,
) -> Read:
    """Reads the body of at most so many files; one that says itself that it is too long is refused before it is
    read."""
    ingest: Ingest = request.app.state.ingest
    widest = _widest(ingest, profiles) * files
    if largest is not None:
        widest = min(widest, largest)

    def too_much() -> TooLarge:
        return rules.too_large(widest, "any file here" if files == 1 else f"{files} files here")

    if wish.asked.length is not None and wish.asked.length > widest + overhead:
        raise too_much()
    return wish.promised.body(reader(request.receive, most=widest + overhead, too_much=too_much))


def _widest(ingest: Ingest, profiles: tuple[str, ...]) -> int:
    """The largest file in bytes that any of these profiles takes, of all where there are none."""
    known = ingest.settings.profiles
    candidates: Iterable[Profile] = [known[name] for name in profiles] or known.values()
    return max(profile.widest for profile in candidates)


async def _within(most: int, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes. Raises TooLarge where there are more."""
    received = 0
    async for piece in chunks:
        received += len(piece)
        if received > most:
            raise rules.too_large(most, "any file here")
        yield piece


def response(answer: Answer, *, replayed: bool) -> Response[bytes]:
    headers = {"Location": answer.location, "Cache-Control": "no-store"}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return Response(
        answer.body.encode(), status_code=answer.status, headers=headers, media_type="application/json"
    )


def _length(request: AnyRequest) -> int | None:
    given = request.headers.get("content-length")
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) < 19):
        raise Malformed(f"The Content-Length {given[:40]!r} is no number of bytes.")
    return int(given)
