"""Uploads of the content service's API: two routes under /api/v1/media."""

import msgspec
from litestar import Response, Router, post
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIFormat, OpenAPIType, Schema
from litestar.params import FromPath

from services.ingest.context import Ingest
from services.ingest.dialects.described import described, form_of
from services.ingest.dialects.forms import TAKES_FILES, Said, answering, last, of_profile, reading
from services.ingest.fields import Options
from services.ingest.openapi import problem
from services.ingest.requests import AnyRequest, upload_form
from services.ingest.source import Reading
from shared.auth import Caller
from shared.dialects import content
from shared.dialects.refusals import is_too_large
from shared.dialects.wording import worded
from shared.errors import Malformed, NotFound, TooLarge, TripodError

_MEDIA_TYPE = {
    "media_type": Schema(
        type=OpenAPIType.STRING, enum=list(content.MEDIA_TYPES), description="What the file is."
    )
}
_CONTENT_ID = {
    "content_id": Schema(
        type=OpenAPIType.STRING, format=OpenAPIFormat.UUID, description="The content that it belongs to."
    )
}

_ANSWERS = described(content.ContentMedia) | {
    500: problem(
        content.ProcessingFailed,
        "The file cannot be processed; nothing of it is kept",
        "File processing failed: The file cannot be processed: it ends in the middle of the picture.",
    )
}


@post(
    "/upload",
    **TAKES_FILES,
    operation_class=form_of(
        "metadata", name="uploadContentMedia", also={**_MEDIA_TYPE, **_CONTENT_ID}, needs=("media_type",)
    ),
    responses=_ANSWERS,
    summary="Upload one file",
)
async def upload(request: AnyRequest, caller: NamedDependency[Caller]) -> Response[bytes]:
    """The answer comes with processing done, unless that takes longer than some seconds."""
    return await _take(request, caller, None)


@post(
    "/content/{content_id:str}/upload",
    **TAKES_FILES,
    operation_class=form_of("metadata", name="uploadMediaOfContent", also=_MEDIA_TYPE, needs=("media_type",)),
    responses=_ANSWERS,
    summary="Upload one file of a content",
)
async def upload_to(
    request: AnyRequest, caller: NamedDependency[Caller], content_id: FromPath[str]
) -> Response[bytes]:
    """As an upload whose content_id is that of the path."""
    return await _take(request, caller, str(content.check_uuid("content_id", content_id)))


async def _take(request: AnyRequest, caller: Caller, content_id: str | None) -> Response[bytes]:
    ingest: Ingest = request.app.state.ingest
    settings, base = ingest.settings.dialects, ingest.settings.http.base_url
    most = settings.largest["content"]
    told = answering(request, lambda view: content.shape(view, base), until="processed")
    try:
        return await upload_form(request, caller, reading=_reading(content_id), answering=told, largest=most)
    except TooLarge as error:
        # Below the limit of all requests it is the limit of a type that was passed.
        of_a_type = is_too_large(error) and error.extra["limit"] < most
        raise content.over_a_type(error) if of_a_type else error from error


def _reading(content_id: str | None) -> Reading:
    def parse(said: Said, *, complete: bool = True) -> Options:
        about, kind = content_id or last(said, "content_id"), last(said, "media_type")
        if about:
            about = content_id or str(content.check_uuid("content_id", about))
        if complete and not kind:
            raise Malformed("media_type is missing: say what the file is", field="media_type")
        of_content = {"entity_type": content.ENTITY, "entity_id": about} if about else {}
        return msgspec.structs.replace(
            reading(content.PROFILE, ("metadata",), of_content).parse(said, complete=complete),
            media_type=content.check_media_type(kind) if kind else None,
        )

    return of_profile(content.PROFILE, parse)


def _reword(error: TripodError) -> TripodError:
    """What is not found by an upload is the content."""
    return content.absent("Content") if isinstance(error, NotFound) else content.reword(error)


ROUTER = Router(
    "/api/v1/media",
    route_handlers=[upload, upload_to],
    exception_handlers=worded(_reword),
    tags=["content"],
)
