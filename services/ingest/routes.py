"""The HTTP routes of ingest."""

from litestar import Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from services.ingest import fields
from services.ingest.batch import upload_batch
from services.ingest.batch_answer import answered
from services.ingest.body import answer_early
from services.ingest.context import Ingest
from services.ingest.form import FILE
from services.ingest.openapi import (
    ONE_RESPONSES,
    STATUS_RESPONSES,
    FormOperation,
    RawOperation,
    StatusOperation,
)
from services.ingest.openapi_batch import BATCH_RESPONSES, BatchOperation
from services.ingest.requests import AnyRequest, body_of, response, upload_form, wish_of
from services.ingest.schemas import UploadStatus
from services.ingest.source import Source, from_body
from services.ingest.status import status_of
from services.ingest.upload import upload
from shared.auth import Caller


@post(
    "/v1/uploads",
    request_max_body_size=None,
    middleware=[answer_early],
    operation_class=FormOperation,
    responses=ONE_RESPONSES,
    tags=["uploads"],
)
async def post_upload(request: AnyRequest, caller: NamedDependency[Caller]) -> Response[bytes]:
    """Upload one file as a multipart form."""
    return await upload_form(request, caller)


@post(
    "/v1/uploads/batch",
    request_max_body_size=None,
    middleware=[answer_early],
    operation_class=BatchOperation,
    responses=BATCH_RESPONSES,
    tags=["uploads"],
)
async def post_batch(request: AnyRequest, caller: NamedDependency[Caller]) -> Response[bytes]:
    """Upload many files as one multipart form; each stands alone."""
    return answered(await upload_batch(request, caller, also=(FILE,)))


@put(
    "/v1/uploads/raw/{filename:str}",
    request_max_body_size=None,
    status_code=201,
    middleware=[answer_early],
    operation_class=RawOperation,
    responses=ONE_RESPONSES,
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
    wish = wish_of(request, caller)
    read = body_of(request, wish, 0)
    declared = request.headers.get("content-type", "")

    async def open_source() -> Source:
        return from_body(read, filename, declared, wish.asked.length, options)

    answer, replayed = await upload(ingest, wish, open_source)
    return response(answer, replayed=replayed)


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


ROUTES = (post_upload, post_batch, put_raw, get_upload)
