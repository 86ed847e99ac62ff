"""Uploads of the mediafiles API: POST /api/media/upload/, answered while the file is still being processed."""

from litestar import Response, Router, post
from litestar.di import NamedDependency

from services.ingest.dialects.described import described, form_of
from services.ingest.dialects.forms import TAKES_FILES, answering, reading
from services.ingest.requests import AnyRequest, upload_form
from shared.auth import Caller
from shared.dialects import mediafiles
from shared.dialects.wording import worded

_READING = reading(mediafiles.PROFILE, ("is_public",))


@post(
    "/upload",
    **TAKES_FILES,
    operation_class=form_of("is_public", name="uploadMediafile"),
    responses=described(mediafiles.MediafilesMedia),
    summary="Upload one file",
)
async def upload(request: AnyRequest, caller: NamedDependency[Caller]) -> Response[bytes]:
    """Answered with status `processing` and the addresses at which its versions will be. `is_public` false keeps the
    file to its owner."""
    base = request.app.state.ingest.settings.http.base_url
    told = answering(request, lambda view: mediafiles.shape(view, base))
    return await upload_form(request, caller, reading=_READING, answering=told)


ROUTER = Router(
    "/api/media",
    route_handlers=[upload],
    exception_handlers=worded(mediafiles.reword),
    tags=["mediafiles"],
)
