"""The content service's API under /api/v1/media: everybody reads, and whoever uploaded a media changes it."""

import uuid
from typing import Annotated, Any

from litestar import Request, Router, delete, get, put, route
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.types import ASGIApp
from msgspec import UNSET

from services.catalog import commands, queries
from services.catalog.database import Database
from services.catalog.dialects.finding import BYTES, find, find_numbered_page, find_page
from services.catalog.queries import Filters
from services.catalog.routes.common import PARTS, problems
from services.catalog.routes.files import deliver
from services.catalog.row_security import unrestricted
from services.catalog.schemas import Disposition, MediaPatch
from services.catalog.settings import CatalogSettings
from shared.auth import Caller
from shared.dialects import content
from shared.dialects.content import (
    ContentMedia,
    ContentMediaList,
    ContentMediaType,
    ContentMediaUpdate,
    ContentMessage,
)
from shared.dialects.view import View
from shared.dialects.wording import worded
from shared.errors import Forbidden
from shared.http import provide_lenient_caller
from shared.openapi import PUBLIC


@get("/", summary="List media, newest first", responses=problems(401, 422))
async def list_media(
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    *,
    media_type: FromQuery[ContentMediaType | None] = None,
    uploaded_by: FromQuery[str | None] = None,
    content_id: FromQuery[str | None] = None,
    page: Annotated[int, QueryParameter(ge=1, le=10_000_000)] = 1,
    page_size: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
) -> ContentMediaList:
    """All media that the caller may see, narrowed to a type, an uploader, a content; pages count from 1."""
    filters = _filters(
        media_type=media_type,
        owner_uuid=content.check_uuid("uploaded_by", uploaded_by) if uploaded_by else None,
        content_id=content.check_uuid("content_id", content_id) if content_id else None,
    )
    total, found = await find_numbered_page(database, caller, filters, page=page, size=page_size)
    return ContentMediaList(
        items=[content.shape(view, settings.http.base_url) for view in found],
        total=total,
        page=page,
        page_size=page_size,
        total_pages=-(-total // page_size),
    )


@get(
    "/content/{content_id:str}/media",
    summary="The media of one content",
    security=PUBLIC,
    responses=problems(401, 422),
)
async def list_of_content(
    content_id: FromPath[str],
    optional_caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    *,
    media_type: FromQuery[ContentMediaType | None] = None,
) -> list[ContentMedia]:
    """In the order in which they came, at most 10,000; none where the content has none, or is not known."""
    filters = _filters(media_type=media_type, content_id=content.check_uuid("content_id", content_id))
    found = await find_page(database, optional_caller, filters, sort="created_at")
    return [content.shape(view, settings.http.base_url) for view in found]


@get("/{media_id:str}", summary="One media", security=PUBLIC, responses=problems(401, 404))
async def get_media(
    media_id: FromPath[str],
    optional_caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> ContentMedia:
    """What is known of it; the file is at its `url`."""
    view = await _find(database, optional_caller, content.check_uuid("media_id", media_id))
    return content.shape(view, settings.http.base_url)


@route(
    "/{media_id:str}/download",
    summary="The file of a media",
    security=PUBLIC,
    **BYTES,
)
async def download(
    media_id: FromPath[str],
    request: Request[Any, Any, Any],
    optional_caller: NamedDependency[Caller],
    database: NamedDependency[Database],
) -> ASGIApp:
    """The optimised file under the original's name; the original itself while, or because, there is no other."""
    view = await _find(database, optional_caller, content.check_uuid("media_id", media_id))
    return await _file(request, optional_caller, view, "attachment")


@route(
    "/files/{file_path:path}",
    summary="The file at a path of the store",
    security=PUBLIC,
    **BYTES,
)
async def get_file(
    file_path: FromPath[str],
    request: Request[Any, Any, Any],
    optional_caller: NamedDependency[Caller],
    database: NamedDependency[Database],
) -> ASGIApp:
    """What a `url` or `thumbnail_url` names: the optimised file, for images, or the thumbnail."""
    path = str(file_path).lstrip("/")
    named = content.named(path)
    if named is None:
        raise content.absent("File")
    view = await _find(database, optional_caller, named.media_id, "File")
    if not content.leads_to(view, path):
        raise content.absent("File")
    if named.thumbnail:
        return await deliver(request, optional_caller, view.media.id, variant=content.THUMBNAIL)
    return await _file(request, optional_caller, view, "inline")


@put("/{media_id:str}", summary="Change name and metadata", responses=problems(401, 403, 404, 413, 422))
async def update_media(
    media_id: FromPath[str],
    data: JSONBody[ContentMediaUpdate],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> ContentMedia:
    """Only whoever uploaded it may. The file itself stays as it is."""
    view = await _own(database, caller, media_id, "update")
    patch = MediaPatch(
        filename=UNSET if data.filename is None else data.filename,
        metadata=UNSET if data.metadata is None else data.metadata,
    )
    await commands.edit(
        database, caller, view.media.id, patch, replace_metadata=True, base_url=settings.http.base_url
    )
    changed = await _find(database, caller, view.media.id)
    return content.shape(changed, settings.http.base_url)


@delete("/{media_id:str}", status_code=200, summary="Delete a media", responses=problems(401, 403, 404))
async def delete_media(
    media_id: FromPath[str], caller: NamedDependency[Caller], database: NamedDependency[Database]
) -> ContentMessage:
    """Only whoever uploaded it may. Its row is gone at once, its files within moments."""
    view = await _own(database, caller, media_id, "delete")
    await commands.remove(database, caller, view.media.id)
    return ContentMessage(message="Media deleted successfully")


def _filters(
    *,
    media_type: ContentMediaType | None = None,
    owner_uuid: uuid.UUID | None = None,
    content_id: uuid.UUID | None = None,
) -> Filters:
    return Filters(
        profiles=(content.PROFILE,),
        media_type=media_type,
        owner_uuid=owner_uuid,
        entity_type=content.ENTITY if content_id else None,
        entity_id=str(content_id) if content_id else None,
    )


async def _find(database: Database, caller: Caller, media_id: uuid.UUID, what: str = "Media") -> View:
    """Raises NotFound in the document's words."""
    return await find(database, caller, _filters(), media_id=media_id, absent=content.absent(what))


async def _own(database: Database, caller: Caller, media_id: str, to: str) -> View:
    """Raises NotFound, Forbidden: who owns the content has no right to its media here."""
    wanted = content.check_uuid("media_id", media_id)
    async with database.reading_for(caller) as connection:
        view = await queries.find_view(connection, caller, filters=_filters(), media_id=wanted, base_url="")
        async with unrestricted(connection):  # their document tells another's from what is not there
            hidden = view is None and await queries.exists_elsewhere(
                connection, filters=_filters(), media_id=wanted
            )
    if hidden or (view is not None and view.media.owner != caller.sub and not caller.governs):
        raise Forbidden(f"You don't have permission to {to} this media")
    if view is None:
        raise content.absent()
    return view


async def _file(request: Request[Any, Any, Any], caller: Caller, view: View, shown: Disposition) -> ASGIApp:
    return await deliver(
        request,
        caller,
        view.media.id,
        variant=content.OPTIMISED,
        or_original=True,
        filename=view.media.filename,
        disposition=shown,
    )


ROUTER = Router(
    "/api/v1/media",
    route_handlers=[
        list_media, list_of_content, get_media, download, get_file, update_media, delete_media,
    ],
    dependencies={**PARTS, "optional_caller": Provide(provide_lenient_caller)},
    exception_handlers=worded(content.reword),
    tags=["content"],
)  # fmt: skip
