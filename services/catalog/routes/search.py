"""Searching media: POST /v1/media/search."""

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from services.catalog import cursors, texts_query
from services.catalog.candidates import Search
from services.catalog.database import Database
from services.catalog.filters import language
from services.catalog.measures import CatalogMetrics
from services.catalog.openapi import VARY
from services.catalog.routes.common import OWN_ANSWER, TAG_MEDIA, no_nul, problems
from services.catalog.schemas import SearchPage, SearchRequest, SearchSort
from services.catalog.search import search_media
from services.catalog.settings import CatalogSettings
from services.catalog.texts_stems import Stems
from shared.auth import Caller
from shared.errors import Invalid
from shared.openapi import PUBLIC


@post(
    "/media/search",
    status_code=200,
    tags=[TAG_MEDIA],
    summary="Find what has some words, and what a filter lets through",
    security=PUBLIC,
    response_headers=[VARY],
    responses=problems(401, 413, 422),
)
async def search(
    data: JSONBody[SearchRequest],
    optional_caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    *,
    metrics: NamedDependency[CatalogMetrics],
    stems: NamedDependency[Stems],
) -> Response[SearchPage]:
    """`q` are words as in any search box: all of them must be there, in any form; `"in quotes"` as they stand,
    `-without`, `this or that`, `begin*`. `filter` is `{field, operator, value}`, or `{and: [...]}`, `{or: [...]}`,
    `{not: ...}` of filters. A value that a media does not have is equal to nothing. One request looks at 20,000 media
    at most, so a page may be short, even empty; the list ends where `next_cursor` is null."""
    asked = language.read(data.filter) if data.filter is not None else None
    no_nul(q=data.q)
    sort = _sort(data)
    secret = settings.links.secret
    page = await search_media(
        database,
        Search(
            caller=optional_caller,
            asked=asked,
            sort=sort,
            limit=data.limit,
            after=cursors.read(secret, data.cursor, optional_caller, sort=sort) if data.cursor else None,
        ),
        question=None if data.q is None else texts_query.read(data.q),
        stems=stems,
        base_url=settings.http.base_url,
    )
    metrics.rows_served.labels("search").inc(len(page.items))
    following = cursors.write(secret, page.end, optional_caller) if page.end else None
    return Response(
        SearchPage(items=page.items, next_cursor=following, matches=page.matches), headers=OWN_ANSWER
    )


def _sort(data: SearchRequest) -> SearchSort:
    """Raises Invalid for relevance to nothing."""
    if data.sort is None:
        return "-created_at" if data.q is None else "relevance"
    if data.sort == "relevance" and data.q is None:
        raise Invalid("sort=relevance needs q, the words that media are to be relevant to.", field="sort")
    return data.sort


HANDLERS = (search,)
