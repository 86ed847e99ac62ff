"""Uploads of the mediafiles API: POST /api/media/upload/, answered while the file is still being processed."""

from collections.abc import Mapping, Sequence

from litestar import Response, Router, post
from litestar.di import NamedDependency

from services.ingest import fields
from services.ingest.answers import Answering
from services.ingest.body import answer_early
from services.ingest.context import Ingest
from services.ingest.dialects.described import described, form_of
from services.ingest.fields import Options
from services.ingest.requests import AnyRequest, upload_form
from services.ingest.source import Reading
from shared.auth import Caller
from shared.dialects import mediafiles
from shared.dialects.wording import worded

_TAKES = {"is_public": "is_public"}


def _parse(said: Mapping[str, Sequence[str]], *, complete: bool = True) -> Options:
    ours = fields.translated(said, _TAKES, {"profile": mediafiles.PROFILE})
    return fields.parse(ours, complete=complete)


_READING = Reading(parse=_parse, profile_known=lambda _said: True, profiles=(mediafiles.PROFILE,))


@post(
    "/upload",
    request_max_body_size=None,
    middleware=[answer_early],
    operation_class=form_of("is_public", name="uploadMediafile"),
    responses=described(mediafiles.MediafilesMedia),
    summary="Upload one file",
)
async def upload(request: AnyRequest, caller: NamedDependency[Caller]) -> Response[bytes]:
    """Answered with status `processing` and the addresses at which its versions will be. `is_public` false keeps the
    file to its owner."""
    ingest: Ingest = request.app.state.ingest
    base = ingest.settings.http.base_url
    answering = Answering(
        seconds=ingest.settings.dialects.wait, shape=lambda view: mediafiles.shape(view, base)
    )
    return await upload_form(request, caller, reading=_READING, answering=answering)


ROUTER = Router(
    "/api/media",
    route_handlers=[upload],
    exception_handlers=worded(mediafiles.reword),
    tags=["mediafiles"],
)
