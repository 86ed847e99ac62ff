"""How much there is: GET /v1/stats and /v1/stats/storage."""

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import registry, statistics
from services.catalog.database import Database
from services.catalog.openapi import VARY
from services.catalog.routes.common import OWN_ANSWER, TAG_MEDIA, no_nul, problems
from services.catalog.settings import CatalogSettings
from services.catalog.statistics import Amount, Statistics, named
from shared.auth import Caller
from shared.errors import Forbidden, Invalid


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored, in bytes: the originals, and what was made of them."""

    originals: int
    variants: int
    total: int
    by_media_type: dict[str, Amount]


@get(
    "/stats",
    tags=[TAG_MEDIA],
    summary="How much there is",
    response_headers=[VARY],
    responses=problems(401, 403, 404, 422),
)
async def stats(
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    *,
    owner: FromQuery[str | None] = None,
    entity_type: FromQuery[str | None] = None,
    entity_id: FromQuery[str | None] = None,
) -> Response[Statistics]:
    """Of the caller's media; of all media for moderators, services and admins, or of one `owner`'s. With `entity_type`
    and `entity_id` of what hangs on an entity, for those who own or administer it. Kept with the rows: exact, and as
    quick for a million media as for ten."""
    no_nul(owner=owner, entity_type=entity_type, entity_id=entity_id)
    if (entity_type is None) != (entity_id is None):
        raise Invalid("An entity is named by entity_type and entity_id together.", field="entity_id")
    async with database.reading_for(caller) as connection:
        if entity_type is not None and entity_id is not None:
            found = await _of_entity(connection, caller, entity_type, entity_id)
        else:
            _may_ask(caller, owner)
            found = await statistics.of_owner(connection, caller, owner, settings.http.base_url)
    return Response(found, headers=OWN_ANSWER)


@get(
    "/stats/storage",
    tags=[TAG_MEDIA],
    summary="How much is stored",
    response_headers=[VARY],
    responses=problems(401, 403, 422),
)
async def storage(
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    *,
    owner: FromQuery[str | None] = None,
) -> Response[Storage]:
    """Of the same media as the statistics."""
    no_nul(owner=owner)
    _may_ask(caller, owner)
    async with database.reading_for(caller) as connection:
        kinds = named(await statistics.amounts(connection, caller, owner=owner, by=("media_type",)))
    originals = sum(amount.bytes for amount in kinds.values())
    variants = sum(amount.variant_bytes for amount in kinds.values())
    found = Storage(originals=originals, variants=variants, total=originals + variants, by_media_type=kinds)
    return Response(found, headers=OWN_ANSWER)


def _may_ask(caller: Caller, owner: str | None) -> None:
    if owner is not None and not caller.sees_all and owner != caller.sub:
        raise Forbidden("What somebody else has is told to moderators, services and admins alone.")


async def _of_entity(
    connection: AsyncConnection, caller: Caller, entity_type: str, entity_id: str
) -> Statistics:
    entity = await registry.find_entity(connection, entity_type, entity_id)
    theirs = entity is not None and caller.sub in {*entity.owners, *entity.admins}
    if entity is None or entity.deleted or not (theirs or caller.sees_all):
        raise registry.no_entity(entity_type, entity_id)
    return await statistics.of_entity(connection, entity_type, entity_id)


HANDLERS = (stats, storage)
