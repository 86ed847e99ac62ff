"""The HTTP routes of ingest."""

from typing import Any

import msgspec
from litestar import Request, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from services.ingest import fields, rules
from services.ingest.body import Read, answer_early, reader
from services.ingest.context import Ingest
from services.ingest.digest_fields import CONTENT, REPR, Promised
from services.ingest.digest_fields import parse as parse_digests
from services.ingest.form import boundary_of
from services.ingest.idempotency import Answer, Asked, check_key
from services.ingest.limits import FORM_OVERHEAD_BYTES
from services.ingest.openapi import RESPONSES, STATUS_RESPONSES, FormOperation, RawOperation, StatusOperation
from services.ingest.schemas import UploadStatus
from services.ingest.source import Source, from_body, from_form
from services.ingest.status import status_of
from services.ingest.taking import Wish
from services.ingest.upload import upload
from shared.auth import Caller
from shared.errors import Malformed, TooLarge

AnyRequest = Request[Any, Any, Any]


@post(
    "/v1/uploads",
    request_max_body_size=None,
    middleware=[answer_early],
    operation_class=FormOperation,
    responses=RESPONSES,
    tags=["uploads"],
)
async def post_upload(request: AnyRequest, caller: NamedDependency[Caller]) -> Response[bytes]:
    """Upload one file as a multipart form."""
    ingest: Ingest = request.app.state.ingest
    boundary = boundary_of(request.headers.get("content-type", ""))
    wish = _wish(request, caller)
    read = _reader(request, ingest, wish, FORM_OVERHEAD_BYTES)

    async def open_source() -> Source:
        source = await from_form(read, boundary)
        return msgspec.structs.replace(source, chunks=wish.promised.file(source.chunks))

    answer, replayed = await upload(ingest, wish, open_source)
    return _response(answer, replayed=replayed)


@put(
    "/v1/uploads/raw/{filename:str}",
    request_max_body_size=None,
    status_code=201,
    middleware=[answer_early],
    operation_class=RawOperation,
    responses=RESPONSES,
    tags=["uploads"],
)
async def put_raw(
    request: AnyRequest, caller: NamedDependency[Caller], filename: FromPath[str]
) -> Response[bytes]:
    """Upload one file as the body."""
    ingest: Ingest = request.app.state.ingest
    query = request.query_params
    said = {name: query.getall(name) for name in dict.fromkeys(query.keys())}
    options = fields.parse(said, body_is_file=True)
    wish = _wish(request, caller)
    read = _reader(request, ingest, wish, 0)
    declared = request.headers.get("content-type", "")

    async def open_source() -> Source:
        return from_body(read, filename, declared, wish.asked.length, options)

    answer, replayed = await upload(ingest, wish, open_source)
    return _response(answer, replayed=replayed)


@get(
    "/v1/uploads/{ref:str}",
    operation_class=StatusOperation,
    responses=STATUS_RESPONSES,
    tags=["uploads"],
)
async def get_upload(
    request: AnyRequest, caller: NamedDependency[Caller], ref: FromPath[str]
) -> Response[UploadStatus]:
    """Where an upload stands."""
    found = await status_of(request.app.state.ingest, caller, ref)
    return Response(found, headers={"Cache-Control": "no-store"})


ROUTES = (post_upload, put_raw, get_upload)


def _wish(request: AnyRequest, caller: Caller) -> Wish:
    key = request.headers.get("idempotency-key")
    query = request.scope["query_string"].decode("latin-1")
    preferences = request.headers.get("prefer", "").lower().replace(" ", "")
    return Wish(
        caller=caller,
        asked=Asked(
            method=request.method,
            path=request.scope["path"] + (f"?{query}" if query else ""),
            length=_length(request),
        ),
        key=None if key is None else check_key(key),
        wait="respond-async" not in preferences.split(","),
        promised=Promised(
            *(parse_digests(name, request.headers.getall(name, [])) for name in (CONTENT, REPR))
        ),
    )


def _length(request: AnyRequest) -> int | None:
    given = request.headers.get("content-length")
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) < 19):
        raise Malformed(f"The Content-Length {given[:40]!r} is no number of bytes.")
    return int(given)


def _reader(request: AnyRequest, ingest: Ingest, wish: Wish, overhead: int) -> Read:
    """Reads the body; one that says itself that it is too long is refused before it is read."""
    widest = max(profile.widest for profile in ingest.settings.profiles.values())

    def too_much() -> TooLarge:
        return rules.too_large(widest, "any file here")

    if wish.asked.length is not None and wish.asked.length > widest + overhead:
        raise too_much()
    read = reader(
        request.receive,
        most=widest + overhead,
        too_much=too_much,
    )
    return wish.promised.body(read)


def _response(answer: Answer, *, replayed: bool) -> Response[bytes]:
    headers = {"Location": answer.location, "Cache-Control": "no-store"}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return Response(
        answer.body.encode(), status_code=answer.status, headers=headers, media_type="application/json"
    )
