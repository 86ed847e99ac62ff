"""Reading and changing the files of the media library, with a token or, as far as the setting allows, without."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

import msgspec
from litestar import Request, delete, get, patch, route
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.router import Router
from litestar.types import ASGIApp
from msgspec import UNSET, UnsetType

from services.catalog import commands
from services.catalog.database import Database
from services.catalog.dialects import library_filter, library_links, library_live
from services.catalog.dialects.finding import BYTES, find_page
from services.catalog.dialects.library_callers import CALLERS
from services.catalog.dialects.library_find import find
from services.catalog.queries import Filters
from services.catalog.routes.common import PARTS, problems
from services.catalog.routes.files import deliver
from services.catalog.schemas import MediaPatch
from services.catalog.settings import CatalogSettings
from shared.auth import Caller
from shared.dialects import library
from shared.dialects.library import PROFILE, LibraryDeleted, LibraryFile, StorageInfo
from shared.dialects.whole import whole
from shared.errors import Invalid
from shared.events.messages import MediaType
from shared.openapi import PUBLIC

_TYPES: tuple[MediaType, ...] = get_args(MediaType)
_LIST: Mapping[str, Any] = {"security": PUBLIC, "responses": problems(401, 422)}
Skip = Annotated[int, QueryParameter(ge=0, le=2**31 - 1, description="How many to leave out")]
Limit = Annotated[int, QueryParameter(ge=0, le=10_000, description="How many at most")]


class LibraryPatch(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change; what is left out stays. Null removes a text, and says nothing of the rest."""

    description: str | UnsetType | None = UNSET
    alt_text: str | UnsetType | None = UNSET
    filename: str | UnsetType | None = UNSET
    is_public: bool | UnsetType | None = UNSET

    def patch(self) -> MediaPatch:
        return MediaPatch(
            description=self.description,
            alt_text=self.alt_text,
            filename=UNSET if self.filename is None else self.filename,
            is_public=UNSET if self.is_public is None else self.is_public,
        )


async def _page(
    database: Database, caller: Caller, settings: CatalogSettings, *, skip: int, limit: int, **narrowed: Any
) -> list[LibraryFile]:
    base_url = settings.http.base_url
    filters = Filters(profiles=(PROFILE,), **narrowed)
    found = await find_page(database, caller, filters, skip=skip, limit=limit, base_url=base_url)
    return [library.shape(view, base_url) for view in found]


@get("/media", summary="All files", **_LIST)
async def list_all(
    reader: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    *,
    skip: Skip = 0,
    limit: Limit = 100,
) -> list[LibraryFile]:
    """Those that the caller may see, newest first."""
    return await _page(database, reader, settings, skip=skip, limit=limit)


@get("/media/user/{user_id:str}", summary="The files of a user", **_LIST)
async def list_of_user(
    user_id: FromPath[str],
    reader: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    *,
    skip: Skip = 0,
    limit: Limit = 100,
) -> list[LibraryFile]:
    """Those that the caller may see, newest first."""
    number = whole(user_id)
    if number is None:
        raise Invalid(f"The user_id {user_id[:40]!r} is no whole number.", field="user_id")
    return await _page(database, reader, settings, skip=skip, limit=limit, owner_uid_or_sub=number)


@get("/media/type/{file_type:str}", summary="The files of a type", **_LIST)
async def list_of_type(
    file_type: FromPath[str],
    reader: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    *,
    skip: Skip = 0,
    limit: Limit = 100,
) -> list[LibraryFile]:
    """`image`, `video`, `audio`, `document` or `other`: those that the caller may see, newest first."""
    if file_type not in _TYPES:
        raise Invalid(
            f"The type {file_type[:40]!r} is unknown; there are {', '.join(_TYPES)}.", field="file_type"
        )
    return await _page(database, reader, settings, skip=skip, limit=limit, media_type=file_type)


@get("/media/public/list", summary="All public files", **_LIST)
async def list_public(
    reader: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    *,
    skip: Skip = 0,
    limit: Limit = 100,
) -> list[LibraryFile]:
    """Newest first."""
    return await _page(database, reader, settings, skip=skip, limit=limit, is_public=True)


@get(
    "/media/stats/info",
    summary="Where files are kept",
    security=PUBLIC,
    responses=problems(401),
    sync_to_thread=False,
)
def storage_info(
    optional_caller: NamedDependency[Caller], settings: NamedDependency[CatalogSettings]
) -> StorageInfo:
    """A folder or a bucket. It needs a token unless the library is open to everybody."""
    library.writing(optional_caller, settings.dialects.anonymous)
    folder = settings.dialects.folder
    if folder:
        return StorageInfo(backend="local", bucket_name=None, media_folder=folder, endpoint_url=None)
    store = settings.store
    return StorageInfo(backend="s3", bucket_name=store.bucket, media_folder=None, endpoint_url=store.endpoint)


@get(
    "/media/{media_id:str}",
    summary="One file",
    security=PUBLIC,
    responses=problems(401, 404),
)
async def get_file(
    media_id: FromPath[str],
    reader: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> LibraryFile:
    """What is known of it, with its URLs."""
    return library.shape(await find(database, reader, settings, media_id), settings.http.base_url)


@route(
    "/media/{media_id:str}/download",
    summary="The bytes of a file",
    security=PUBLIC,
    **BYTES,
)
async def download(
    media_id: FromPath[str],
    request: Request[Any, Any, Any],
    reader: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> ASGIApp:
    """As they were uploaded, with Range and the conditional headers. A browser shows it in place where nothing in
    its type is active."""
    found = await find(database, reader, settings, media_id)
    return await deliver(request, reader, found.media.id, disposition="inline")


@patch(
    "/media/{media_id:str}",
    summary="Change what is said of a file",
    security=PUBLIC,
    responses=problems(401, 403, 404, 413, 422),
)
async def patch_file(
    media_id: FromPath[str],
    data: JSONBody[LibraryPatch],
    writer: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> LibraryFile:
    """What the body leaves out stays as it is. Of another's public file: 403."""
    base_url = settings.http.base_url
    found = await find(database, writer, settings, media_id)
    await commands.edit(database, writer, found.media.id, data.patch(), base_url=base_url)
    return library.shape(await find(database, writer, settings, media_id), base_url)


@delete(
    "/media/{media_id:str}",
    status_code=200,
    summary="Delete a file",
    security=PUBLIC,
    responses=problems(401, 403, 404),
)
async def delete_file(
    media_id: FromPath[str],
    writer: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> LibraryDeleted:
    """It is gone at once; its bytes follow within moments."""
    found = await find(database, writer, settings, media_id)
    await commands.remove(database, writer, found.media.id)
    return LibraryDeleted()


ROUTER = Router(
    "/",
    route_handlers=[
        list_all,
        list_of_user,
        list_of_type,
        list_public,
        storage_info,
        *library_filter.HANDLERS,
        *library_links.HANDLERS,
        *library_live.HANDLERS,
        get_file,
        download,
        patch_file,
        delete_file,
    ],
    dependencies={**PARTS, **CALLERS},
    tags=["library"],
)
