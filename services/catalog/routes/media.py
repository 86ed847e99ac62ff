"""Reading and changing media: /v1/media and /v1/media/{ref}."""

from typing import Annotated, Any
from urllib.parse import urlencode

from litestar import Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter

from services.catalog import cancelling, commands, cursors, dialects, queries
from services.catalog.candidates import Search
from services.catalog.conditions import etag_of, none_match
from services.catalog.database import Database
from services.catalog.lookup import media_of
from services.catalog.measures import CatalogMetrics
from services.catalog.openapi import ETAG, LINK, VARY
from services.catalog.orders import by_time
from services.catalog.queries import Filters
from services.catalog.routes.common import (
    NO_CONTENT,
    NOT_MODIFIED,
    OWN_ANSWER,
    TAG_MEDIA,
    media_id_of,
    no_nul,
    problems,
)
from services.catalog.schemas import (
    CountKind,
    Lookup,
    LookupRequest,
    MediaPage,
    MediaPatch,
    Reprocessing,
    Sort,
)
from services.catalog.search import as_filter, sorted_page
from services.catalog.settings import CatalogSettings
from shared.auth import Caller
from shared.dialects.entities import EntityMessage
from shared.events.messages import MediaType
from shared.media import Media, Status
from shared.openapi import PUBLIC

_BY_NUMBER = {
    200: ResponseSpec(EntityMessage, generate_examples=False, description="Of a number: it is deleted")
}
_SHA256 = "Of the original, as 64 hexadecimal digits: whether a file is there already, before it is sent."


@get(
    "/media",
    tags=[TAG_MEDIA],
    summary="List what the caller may see",
    security=PUBLIC,
    response_headers=[LINK, VARY],
    responses=problems(401, 422),
)
async def list_media(
    request: Request[Any, Any, Any],
    optional_caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    metrics: NamedDependency[CatalogMetrics],
    *,
    media_type: FromQuery[MediaType | None] = None,
    status: FromQuery[Status | None] = None,
    entity_type: FromQuery[str | None] = None,
    entity_id: FromQuery[str | None] = None,
    owner: FromQuery[str | None] = None,
    is_public: FromQuery[bool | None] = None,
    sha256: Annotated[str | None, QueryParameter(pattern="^[0-9a-f]{64}$", description=_SHA256)] = None,
    sort: FromQuery[Sort] = "-created_at",
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    cursor: FromQuery[str | None] = None,
    count: FromQuery[CountKind | None] = None,
) -> Response[MediaPage]:
    """Newest first unless `sort` says otherwise; what has no `taken_at` or `duration` comes where the least would.
    `next_cursor`, also as `Link: <...>; rel="next"`, continues the list where this page ends, whatever came or went
    meanwhile; in other orders than that of time a page may be short. Without a token: what is public."""
    no_nul(entity_type=entity_type, entity_id=entity_id, owner=owner)
    filters = Filters(
        media_type=media_type,
        status=status,
        entity_type=entity_type,
        entity_id=entity_id,
        owner=owner,
        is_public=is_public,
        sha256=sha256,
    )
    secret, base_url = settings.links.secret, settings.http.base_url
    after = cursors.read(secret, cursor, optional_caller, sort=sort) if cursor else None
    if by_time(sort):
        async with database.reading_for(optional_caller) as connection:
            page = await queries.list_media(
                connection,
                optional_caller,
                filters,
                sort=sort,
                limit=limit,
                after=after,
                base_url=base_url,
            )
    else:
        asked = Search(caller=optional_caller, asked=as_filter(filters), sort=sort, limit=limit, after=after)
        page = await sorted_page(database, asked, base_url)
    counted = None
    if count:
        async with database.reading_for(optional_caller) as connection:
            counted = await queries.count_media(connection, optional_caller, filters, count)
    metrics.rows_served.labels("list").inc(len(page.items))
    following = cursors.write(secret, page.end, optional_caller) if page.end else None
    return Response(
        MediaPage(items=page.items, next_cursor=following, count=counted),
        headers={**OWN_ANSWER, **_next_link(request, base_url, following)},
    )


def _next_link(request: Request[Any, Any, Any], base_url: str, cursor: str | None) -> dict[str, str]:
    if cursor is None:
        return {}
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    return {"Link": f'<{base_url}{request.url.path}?{urlencode([*query, ("cursor", cursor)])}>; rel="next"'}


@post(
    "/media/lookup",
    status_code=200,
    tags=[TAG_MEDIA],
    summary="The media of many entities",
    security=PUBLIC,
    response_headers=[VARY],
    responses=problems(401, 413, 422),
)
async def look_up(
    data: JSONBody[LookupRequest],
    optional_caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    metrics: NamedDependency[CatalogMetrics],
) -> Response[Lookup]:
    """Of each entity what the caller may see, newest first, at most 50; an empty list where that is nothing. Without
    a token: what is public."""
    no_nul(type=data.type, ids="".join(data.ids))
    async with database.reading_for(optional_caller) as connection:
        items = await media_of(connection, optional_caller, data.type, data.ids, settings.http.base_url)
    metrics.rows_served.labels("lookup").inc(sum(len(found) for found in items.values()))
    return Response(Lookup(items=items), headers=OWN_ANSWER)


@get(
    "/media/{ref:str}",
    tags=[TAG_MEDIA],
    summary="One media",
    security=PUBLIC,
    response_headers=[ETAG, VARY],
    responses={**NOT_MODIFIED, **problems(401, 404)},
)
async def get_media(
    ref: FromPath[str],
    optional_caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    metrics: NamedDependency[CatalogMetrics],
    *,
    if_none_match: Annotated[str | None, HeaderParameter(name="If-None-Match")] = None,
) -> Response[Media]:
    """By UUID or `MED-...`; by number as the entities API answers it. The ETag changes with anything that is shown;
    If-None-Match saves the body."""
    show = dialects.numbered(settings, "show", ref)
    if show is not None:
        return await show(int(ref), optional_caller, database, settings)
    media_id = media_id_of(ref)
    async with database.reading_for(optional_caller) as connection:
        media = await queries.get_media(connection, optional_caller, media_id, settings.http.base_url)
    etag = etag_of(media)
    headers = {**OWN_ANSWER, "ETag": etag}
    if if_none_match is not None and none_match(if_none_match, etag):
        return Response(None, status_code=304, headers=headers)  # type: ignore[arg-type] # has no body
    metrics.rows_served.labels("get").inc()
    return Response(media, headers=headers)


@patch(
    "/media/{ref:str}",
    tags=[TAG_MEDIA],
    summary="Change a media",
    response_headers=[ETAG, VARY],
    responses=problems(401, 403, 404, 412, 413, 422),
)
async def patch_media(
    ref: FromPath[str],
    data: JSONBody[MediaPatch],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    *,
    if_match: Annotated[str | None, HeaderParameter(name="If-Match")] = None,
) -> Response[Media]:
    """What the body leaves out stays as it is. With If-Match only if nobody was faster."""
    media = await commands.edit(
        database, caller, media_id_of(ref), data, if_match=if_match, base_url=settings.http.base_url
    )
    return Response(media, headers={**OWN_ANSWER, "ETag": etag_of(media)})


@delete(
    "/media/{ref:str}",
    tags=[TAG_MEDIA],
    summary="Delete a media",
    responses={**NO_CONTENT, **_BY_NUMBER, **problems(401, 403, 404)},
)
async def delete_media(
    ref: FromPath[str],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> Response[None]:
    """It is gone at once; its files follow within moments. What remains is a tombstone of id and time. By number as
    the entities API answers it."""
    remove = dialects.numbered(settings, "remove", ref)
    if remove is not None:
        return await remove(int(ref), caller, database, settings)
    await commands.remove(database, caller, media_id_of(ref))
    return Response(None)


@post(
    "/media/{ref:str}/reprocess",
    status_code=202,
    tags=[TAG_MEDIA],
    summary="Run the pipeline again",
    responses=problems(401, 403, 404),
)
async def reprocess(
    ref: FromPath[str],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> Response[Reprocessing]:
    """Variants and metadata are derived anew from the original, as the next generation."""
    begun = await commands.reprocess(database, caller, media_id_of(ref), base_url=settings.http.base_url)
    return Response(begun, headers={"Location": begun.media.url})


@post(
    "/media/{ref:str}/cancel",
    status_code=202,
    tags=[TAG_MEDIA],
    summary="Stop the pipeline",
    responses=problems(401, 403, 404, 409),
)
async def cancel(
    ref: FromPath[str],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    request: Request[Any, Any, Any],
) -> Response[Media]:
    """What is being made of it is stopped within two seconds; the media then fails as `cancelled` and can be processed
    again. One that is not processing answers 409."""
    media = await cancelling.cancel(
        database, request.app.state.bus, caller, media_id_of(ref), base_url=settings.http.base_url
    )
    return Response(media, headers={"Location": media.url})


HANDLERS = (list_media, look_up, get_media, patch_media, delete_media, reprocess, cancel)
