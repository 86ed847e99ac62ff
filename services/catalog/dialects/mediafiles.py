"""The mediafiles API: /api/media/..., where each user has their own media alone, and the files below /media/."""

from typing import Annotated, Any
from urllib.parse import urlencode

from litestar import Request, Response, Router, delete, get, post, route
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.types import ASGIApp

from services.catalog import commands
from services.catalog.database import Database
from services.catalog.dialects.finding import BYTES, find, find_numbered_page
from services.catalog.queries import Filters
from services.catalog.routes.common import NO_CONTENT, PARTS, problems
from services.catalog.routes.files import deliver
from services.catalog.settings import CatalogSettings
from services.catalog.totals import NOTHING, apart, together, totals
from shared.auth import Caller
from shared.dialects import mediafiles
from shared.dialects.mediafiles import ByStatus, ByType, MediafilesMedia, MediafilesPage, MediafilesStats
from shared.dialects.view import View
from shared.dialects.whole import whole
from shared.dialects.wording import worded
from shared.errors import NotFound
from shared.openapi import PUBLIC

PAGE, LARGEST_PAGE = 20, 100
_LAST_PAGE = 10**12  # far behind any that there is


@get("/api/media", summary="List the caller's media", responses=problems(401, 404))
async def list_media(
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    *,
    of_type: Annotated[str | None, QueryParameter(name="type")] = None,
    status: FromQuery[str | None] = None,
    page: FromQuery[str | None] = None,
    page_size: FromQuery[str | None] = None,
) -> MediafilesPage:
    """Newest first, narrowed to a type (image, video, audio) and a status (uploading, processing, ready, failed).
    A page has 20 media unless `page_size` says otherwise, and at most 100."""
    filters = _own(
        caller,
        media_type=mediafiles.check_choice("type", of_type, mediafiles.FILE_TYPES),
        status=mediafiles.check_choice("status", status, mediafiles.STATUSES),
    )
    size = min(whole(page_size or "") or PAGE, LARGEST_PAGE)
    at = min(whole(page or "1") or 0, _LAST_PAGE)
    count, found = await find_numbered_page(database, caller, filters, page=max(at, 1), size=size)
    pages = max(1, -(-count // size))
    if not 1 <= at <= pages:
        raise NotFound("Invalid page.")
    asked = {"type": of_type, "status": status, "page_size": page_size}

    def address(number: int) -> str | None:
        """As the document has it: the first page needs no number."""
        said = {**asked, "page": str(number) if number > 1 else None}
        query = urlencode({name: value for name, value in said.items() if value})
        there = 1 <= number <= pages
        return f"{settings.http.base_url}/api/media/{'?' if query else ''}{query}" if there else None

    return MediafilesPage(
        count=count,
        next=address(at + 1),
        previous=address(at - 1),
        results=[mediafiles.shape(view, settings.http.base_url) for view in found],
    )


@get("/api/media/stats", summary="What the caller has", responses=problems(401))
async def stats(caller: NamedDependency[Caller], database: NamedDependency[Database]) -> MediafilesStats:
    """Numbers by type and by status, and the size of all originals in bytes."""
    async with database.reading_for(caller) as connection:
        found = await totals(connection, caller, _own(caller), by=("media_type", "status"))
    every, by_type, by_status = together(found), apart(found, 0), apart(found, 1)
    return MediafilesStats(
        total=every.count,
        by_type=ByType(**{kind: by_type.get(kind, NOTHING).count for kind in mediafiles.FILE_TYPES}),
        by_status=ByStatus(**{each: by_status.get(each, NOTHING).count for each in mediafiles.STATUSES}),
        total_size=every.bytes,
    )


@get("/api/media/{media_id:str}", summary="One media", responses=problems(401, 404))
async def get_media(
    media_id: FromPath[str],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> MediafilesMedia:
    """One of the caller's own; `status` tells how far it is."""
    view = await _find(database, caller, _own(caller), whole(media_id))
    return mediafiles.shape(view, settings.http.base_url)


@delete(
    "/api/media/{media_id:str}",
    summary="Delete a media",
    responses={**NO_CONTENT, **problems(401, 404)},
)
async def delete_media(
    media_id: FromPath[str], caller: NamedDependency[Caller], database: NamedDependency[Database]
) -> None:
    """Its row is gone at once, its files within moments."""
    view = await _find(database, caller, _own(caller), whole(media_id))
    await commands.remove(database, caller, view.media.id)


@post(
    "/api/media/{media_id:str}/reprocess",
    status_code=202,
    summary="Process a media again",
    responses=problems(401, 404),
)
async def reprocess(
    media_id: FromPath[str],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> Response[MediafilesMedia]:
    """For one that failed, or stays at processing; one that is ready may be made anew as well. What it has meanwhile
    stays as it is."""
    base = settings.http.base_url
    view = await _find(database, caller, _own(caller), whole(media_id))
    await commands.reprocess(database, caller, view.media.id, base_url=base)
    again = await _find(database, caller, _own(caller), view.media.number)
    location = f"{base}/api/media/{again.media.number}/"
    return Response(mediafiles.shape(again, base), headers={"Location": location})


@route(
    [f"/media/{folder}/{{filename:str}}" for folder, _ in mediafiles.PLACES.values()],
    summary="A version of a file",
    security=PUBLIC,
    **BYTES,
)
async def get_variant(
    filename: FromPath[str],
    request: Request[Any, Any, Any],
    optional_caller: NamedDependency[Caller],
    database: NamedDependency[Database],
) -> ASGIApp:
    """As `urls` names it. One that is being made is waited for; then it is 404 with Retry-After."""
    number, name = mediafiles.variant_of(filename) or (None, "")
    view = await _find(database, optional_caller, _ANY, number)
    if request.scope["path"].strip("/") != f"media/{mediafiles.variant_path(view, name)}":
        raise mediafiles.absent()
    variant = mediafiles.variant_named(view, name)
    return await deliver(request, optional_caller, view.media.id, variant=variant)


@route(
    "/media/{folder:str}/{file_type:str}/{filename:str}",
    summary="An original",
    security=PUBLIC,
    **BYTES,
)
async def get_original(
    folder: FromPath[str],
    file_type: FromPath[str],
    filename: FromPath[str],
    *,
    request: Request[Any, Any, Any],
    optional_caller: NamedDependency[Caller],
    database: NamedDependency[Database],
) -> ASGIApp:
    """Exactly the bytes that were uploaded; to its owner alone where it is not public."""
    view = await _find(database, optional_caller, _ANY, mediafiles.number_of(filename))
    if view.key != f"{folder}/{file_type}/{filename}":
        raise mediafiles.absent()
    return await deliver(request, optional_caller, view.media.id, disposition="inline")


_ANY = Filters(profiles=(mediafiles.PROFILE,))


def _own(caller: Caller, **more: Any) -> Filters:
    """Whatever else a caller may see, here it is their own alone."""
    return Filters(profiles=(mediafiles.PROFILE,), owner=caller.sub, **more)


async def _find(database: Database, caller: Caller, filters: Filters, number: int | None) -> View:
    return await find(database, caller, filters, number=number, absent=mediafiles.absent())


ROUTER = Router(
    "/",
    route_handlers=[list_media, stats, get_media, delete_media, reprocess, get_variant, get_original],
    dependencies=PARTS,
    exception_handlers=worded(mediafiles.reword),
    tags=["mediafiles"],
)
