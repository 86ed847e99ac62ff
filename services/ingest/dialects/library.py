"""Uploads as the media library takes them: any file, for its user or, where that is allowed, without a token."""

import msgspec
from litestar import Response, Router, post
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIType, Schema

from services.ingest.context import Ingest
from services.ingest.dialects.described import described, form_of
from services.ingest.dialects.forms import TAKES_FILES, Said, answering, last, reading
from services.ingest.fields import Options
from services.ingest.requests import AnyRequest, upload_form
from services.ingest.source import Reading
from shared.auth import Caller
from shared.dialects import library
from shared.dialects.library import PROFILE, LibraryUploaded
from shared.openapi import PUBLIC

_TAKES = ("description", "alt_text", "is_public")
_USER = {
    "user_id": Schema(type=OpenAPIType.INTEGER, description="The owner; another user needs the service role.")
}


def _reading(caller: Caller) -> Reading:
    def owned(found: Options, said: Said) -> Options:
        return msgspec.structs.replace(found, owner=library.owner(caller, last(said, "user_id")))

    return reading(PROFILE, _TAKES, also=owned)


@post(
    "/media/upload",
    **TAKES_FILES,
    operation_class=form_of(*_TAKES, name="uploadLibraryFile", also=_USER),
    responses=described(LibraryUploaded),
    security=PUBLIC,
    summary="Upload a file of any type",
)
async def upload(request: AnyRequest, optional_caller: NamedDependency[Caller]) -> Response[bytes]:
    """The form has a `file` and may have `description`, `alt_text`, `user_id` and `is_public`. It needs a token unless
    the library is open to everybody."""
    ingest: Ingest = request.app.state.ingest
    settings, base = ingest.settings.dialects, ingest.settings.http.base_url
    caller = library.writing(optional_caller, settings.anonymous)
    return await upload_form(
        request,
        caller,
        reading=_reading(caller),
        answering=answering(request, lambda view: library.uploaded(view, base)),
        largest=settings.largest.get("library"),
    )


ROUTER = Router("/", route_handlers=[upload], tags=["library"])
