"""Searching media: POST /v1/media/search."""

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from services.catalog import cursors
from services.catalog.database import Database
from services.catalog.filters import language
from services.catalog.measures import CatalogMetrics
from services.catalog.openapi import VARY
from services.catalog.routes.common import OWN_ANSWER, TAG_MEDIA, problems
from services.catalog.schemas import MediaPage, SearchRequest
from services.catalog.search import search_media
from services.catalog.settings import CatalogSettings
from shared.auth import Caller
from shared.openapi import PUBLIC


@post(
    "/media/search",
    status_code=200,
    tags=[TAG_MEDIA],
    summary="Find what a filter lets through",
    security=PUBLIC,
    response_headers=[VARY],
    responses=problems(401, 413, 422),
)
async def search(
    data: JSONBody[SearchRequest],
    optional_caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    metrics: NamedDependency[CatalogMetrics],
) -> Response[MediaPage]:
    """`filter` is `{field, operator, value}`, or `{and: [...]}`, `{or: [...]}`, `{not: ...}` of filters. A value that
    a media does not have is equal to nothing. One request looks at 20,000 media at most, so a page may be short, even
    empty; the list ends where `next_cursor` is null."""
    asked = language.read(data.filter) if data.filter is not None else None
    secret = settings.links.secret
    after = cursors.read(secret, data.cursor, sort=data.sort) if data.cursor else None
    async with database.reading_for(optional_caller) as connection:
        page = await search_media(
            connection,
            optional_caller,
            asked,
            sort=data.sort,
            limit=data.limit,
            after=after,
            base_url=settings.http.base_url,
        )
    metrics.rows_served.labels("search").inc(len(page.items))
    following = cursors.write(secret, page.end) if page.end else None
    return Response(MediaPage(items=page.items, next_cursor=following), headers=OWN_ANSWER)


HANDLERS = (search,)
