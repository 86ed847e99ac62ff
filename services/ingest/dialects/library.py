"""Uploads as the media library takes them: any file, for its user or, where that is allowed, without a token."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Response, Router, post
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIType, Schema

from services.ingest import fields
from services.ingest.answers import Answering
from services.ingest.body import answer_early
from services.ingest.context import Ingest
from services.ingest.dialects.described import described, form_of
from services.ingest.fields import Options
from services.ingest.requests import AnyRequest, upload_form
from services.ingest.source import Reading
from shared.auth import Caller
from shared.dialects import library
from shared.dialects.library import PROFILE, LibraryUploaded
from shared.dialects.view import View
from shared.openapi import PUBLIC

_TAKES = {name: name for name in ("description", "alt_text", "is_public")}
_USER = {
    "user_id": Schema(type=OpenAPIType.INTEGER, description="The owner; another user needs the service role.")
}


def _reading(caller: Caller) -> Reading:
    def parse(said: Mapping[str, Sequence[str]], *, complete: bool = True) -> Options:
        found = fields.parse(fields.translated(said, _TAKES, {"profile": PROFILE}), complete=complete)
        user_id = said.get("user_id", ("",))[-1].strip()
        return msgspec.structs.replace(found, owner=library.owner(caller, user_id))

    return Reading(parse=parse, profile_known=lambda _said: True, profiles=(PROFILE,))


@post(
    "/media/upload",
    request_max_body_size=None,
    middleware=[answer_early],
    operation_class=form_of("description", "alt_text", "is_public", name="uploadLibraryFile", also=_USER),
    responses=described(LibraryUploaded),
    security=PUBLIC,
    tags=["library"],
    summary="Upload a file of any type",
)
async def upload(request: AnyRequest, optional_caller: NamedDependency[Caller]) -> Response[bytes]:
    """The form has a `file` and may have `description`, `alt_text`, `user_id` and `is_public`. It needs a token unless
    the library is open to everybody."""
    ingest: Ingest = request.app.state.ingest
    settings, base_url = ingest.settings.dialects, ingest.settings.http.base_url
    caller = library.writing(optional_caller, settings.anonymous)

    def shape(view: View) -> Any:
        return library.uploaded(view, base_url)

    return await upload_form(
        request,
        caller,
        reading=_reading(caller),
        answering=Answering(seconds=settings.wait, shape=shape),
        largest=settings.largest.get("library"),
    )


ROUTER = Router("/", route_handlers=[upload])
