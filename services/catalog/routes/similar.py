"""What looks alike, and what is there more than once: /v1/media/{ref}/similar and /v1/media/duplicates."""

from typing import Annotated

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from services.catalog import cursors
from services.catalog.cursors import Place
from services.catalog.database import Database
from services.catalog.groups import Groups, Kind, Wanted, groups
from services.catalog.openapi import VARY
from services.catalog.routes.common import OWN_ANSWER, TAG_MEDIA, media_id_of, no_nul, problems
from services.catalog.settings import CatalogSettings
from services.catalog.similar import similar_media
from shared.auth import Caller
from shared.openapi import PUBLIC
from shared.similar import MOST_BITS, Neighbours
from shared.turns import TRANSFORMS, tolerance


@get(
    "/media/{ref:str}/similar",
    tags=[TAG_MEDIA],
    summary="What looks alike",
    security=PUBLIC,
    response_headers=[VARY],
    responses=problems(401, 404, 422),
)
async def similar(
    ref: FromPath[str],
    optional_caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    *,
    max_distance: Annotated[int, QueryParameter(ge=0, le=MOST_BITS)] = MOST_BITS,
    transforms: Annotated[str, QueryParameter(description=TRANSFORMS, max_length=100)] = "",
) -> Response[Neighbours]:
    """Pictures whose perceptual hash differs in at most `max_distance` of 64 bits, nearest first, at most 200.
    0 is identical, 1 to 5 very similar, 6 to 10 similar. A picture of one colour is like no other."""
    media_id, wanted = media_id_of(ref), tolerance(transforms)
    async with database.reading_for(optional_caller) as connection:
        found = await similar_media(
            connection,
            optional_caller,
            media_id,
            max_distance=max_distance,
            base_url=settings.http.base_url,
            tolerance=wanted,
        )
    return Response(found, headers=OWN_ANSWER)


@get(
    "/media/duplicates",
    tags=[TAG_MEDIA],
    summary="What is there more than once",
    response_headers=[VARY],
    responses=problems(401, 422),
)
async def duplicates(
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    *,
    kind: FromQuery[Kind] = "exact",
    max_distance: Annotated[int, QueryParameter(ge=0, le=MOST_BITS)] = 5,
    owner: Annotated[str | None, QueryParameter(min_length=1, max_length=255)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=50)] = 20,
    cursor: Annotated[str | None, QueryParameter(max_length=1000)] = None,
) -> Response[Groups]:
    """Groups of media of one owner, the caller unless another is named, of whom then only what the caller may see.
    `exact`: with the same bytes. `near`: pictures within `max_distance` bits of each other, directly or through others
    of the group. With each group comes which one to keep, and what the others take. A new media is in its groups
    within seconds; a page may hold fewer groups than asked for, also none, and not be the last."""
    whose = owner or caller.sub or ""
    no_nul(owner=whose)
    order = f"duplicates {kind} {max_distance} {whose}"
    after = cursors.read(settings.links.secret, cursor, caller, sort=order).id if cursor else None
    wanted = Wanted(owner=whose, kind=kind, max_distance=max_distance)
    async with database.reading_for(caller) as connection:
        found = await groups(
            connection, caller, wanted, limit=limit, after=after, base_url=settings.http.base_url
        )
    following = (
        cursors.write(settings.links.secret, Place(order, 0, found.end), caller) if found.end else None
    )
    freed = sum(group.bytes_to_free for group in found.groups)
    return Response(
        Groups(items=found.groups, bytes_to_free=freed, next_cursor=following), headers=OWN_ANSWER
    )


HANDLERS = (similar, duplicates)
