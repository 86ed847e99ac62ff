"""`POST /v1/media/similar`: what looks like a picture that one has at hand."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import QueryParameter

from services.ingest.body import answer_early
from services.ingest.context import Ingest
from services.ingest.form import boundary_of
from services.ingest.limits import FORM_OVERHEAD_BYTES
from services.ingest.openapi import FILE, RESPONSES, shown
from services.ingest.requests import AnyRequest, body_of, wish_of
from services.ingest.similar import PROFILE, READING, Wanted, search
from services.ingest.source import Source, from_form
from shared.auth import Caller
from shared.similar import MOST_BITS, Neighbours
from shared.turns import TRANSFORMS, tolerance

_STATUSES = (400, 401, 403, 408, 413, 415, 422, 429, 503)
MOST = 50  # of what one answer tells: it comes over the broker


@dataclass
class SimilarOperation(Operation):
    """The body is read by hand, so it is described by hand."""

    def __post_init__(self) -> None:
        schema = Schema(type=OpenAPIType.OBJECT, properties={"file": FILE}, required=["file"])
        self.request_body = RequestBody(
            content={"multipart/form-data": OpenAPIMediaType(schema=schema)}, required=True
        )
        self.operation_id = "searchByPicture"
        self.summary = "Find what looks like a picture"


@post(
    "/v1/media/similar",
    status_code=200,
    request_max_body_size=None,
    middleware=[answer_early],
    operation_class=SimilarOperation,
    responses={
        200: shown(Neighbours, "What of all that the caller may see looks like it, nearest first"),
        **{status: RESPONSES[status] for status in _STATUSES},
    },
    tags=["uploads"],
)
async def post_similar(
    request: AnyRequest,
    caller: NamedDependency[Caller],
    *,
    max_distance: Annotated[int, QueryParameter(ge=0, le=MOST_BITS)] = MOST_BITS,
    transforms: Annotated[str, QueryParameter(description=TRANSFORMS, max_length=100)] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=MOST)] = 20,
) -> Response[Neighbours]:
    """Nothing of the picture is kept. It has the limits of an upload in the profile `default`, and counts as one for
    rates; it must have enough in it to compare."""
    ingest: Ingest = request.app.state.ingest
    wanted = Wanted(max_distance=max_distance, tolerance=tolerance(transforms), limit=limit)
    boundary = boundary_of(request.headers.get("content-type", ""))
    wish = msgspec.structs.replace(wish_of(request, caller), reading=READING, key=None)
    largest = ingest.settings.profiles[PROFILE].max_bytes.get("image")
    read = body_of(request, wish, FORM_OVERHEAD_BYTES, profiles=READING.profiles, largest=largest)

    async def open_source() -> Source:
        source = await from_form(read, boundary, READING, length=wish.asked.length)
        return msgspec.structs.replace(source, chunks=wish.promised.file(source.chunks))

    found = await search(ingest, wish, wanted, open_source)
    return Response(found, headers={"Cache-Control": "no-store"})


ROUTES = (post_similar,)
