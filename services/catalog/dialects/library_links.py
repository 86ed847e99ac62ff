"""Addresses of the library's files that work without a token for a while: pre-signed ones, an hour unless asked
otherwise."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from services.catalog.database import Database
from services.catalog.dialects.library_find import find
from services.catalog.openapi import VARY
from services.catalog.routes.common import OWN_ANSWER, problems
from services.catalog.routes.files import original_path
from services.catalog.settings import CatalogSettings
from shared import links
from shared.auth import Caller
from shared.openapi import PUBLIC

_MOST_SECONDS = 7 * 24 * 3600
Seconds = Annotated[
    int | None, QueryParameter(ge=1, le=_MOST_SECONDS, description="For how long it works at least")
]


class LibraryLink(msgspec.Struct, frozen=True, kw_only=True):
    """An address that works without a token; seconds, and the time at which it ends."""

    url: str
    expires_in: int
    expires_at: datetime


@get(
    "/media/{media_id:str}/presigned",
    summary="A pre-signed URL of a file",
    security=PUBLIC,
    response_headers=[VARY],
    responses=problems(401, 404, 422),
)
async def presigned(
    media_id: FromPath[str],
    writer: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    *,
    expires_in: Seconds = None,
) -> Response[LibraryLink]:
    """For whoever may read the file, to hand on. It needs a token unless the library is open to everybody."""
    found = await find(database, writer, settings, media_id)
    signed, until = links.sign(settings.links, original_path(found.media.id), seconds=expires_in)
    ends = datetime.fromtimestamp(until, UTC)
    link = LibraryLink(
        url=f"{settings.http.base_url}{signed}",
        expires_in=int((ends - datetime.now(UTC)).total_seconds()),
        expires_at=ends,
    )
    return Response(link, headers=OWN_ANSWER)


HANDLERS = (presigned,)
