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
from services.catalog.statistics import Amount, By, Downloaded
from shared.auth import Caller
from shared.errors import Forbidden, Invalid


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What there is, together and apart; sizes in bytes, months of the uploads in UTC. `by_owner`, the largest 100, is
    for those who see all."""

    total: Amount
    by_media_type: dict[str, Amount]
    by_status: dict[str, Amount]
    by_profile: dict[str, Amount] = {}
    by_entity_type: dict[str, Amount] = {}
    by_month: dict[str, Amount] = {}
    by_owner: dict[str, Amount] = {}
    top_downloads: list[Downloaded] = []


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
            found = await _of_owner(connection, caller, owner, settings.http.base_url)
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
        kinds = _named(await statistics.amounts(connection, caller, owner=owner, by=("media_type",)))
    originals = sum(amount.bytes for amount in kinds.values())
    variants = sum(amount.variant_bytes for amount in kinds.values())
    found = Storage(originals=originals, variants=variants, total=originals + variants, by_media_type=kinds)
    return Response(found, headers=OWN_ANSWER)


def _may_ask(caller: Caller, owner: str | None) -> None:
    if owner is not None and not caller.sees_all and owner != caller.sub:
        raise Forbidden("What somebody else has is told to moderators, services and admins alone.")


async def _of_owner(
    connection: AsyncConnection, caller: Caller, owner: str | None, base_url: str
) -> Statistics:
    kinds: tuple[By, ...] = ("media_type", "status", "profile", "entity_type", "month")
    apart = {by: _named(await statistics.amounts(connection, caller, owner=owner, by=(by,))) for by in kinds}
    total = (await statistics.amounts(connection, caller, owner=owner)).get((), Amount())
    everybody = caller.sees_all and owner is None
    by_owner = _named(await statistics.amounts(connection, caller, by=("owner",))) if everybody else {}
    apart["entity_type"].pop("", None)  # what hangs on nothing
    return Statistics(
        total=total,
        by_media_type=apart["media_type"],
        by_status=apart["status"],
        by_profile=apart["profile"],
        by_entity_type=apart["entity_type"],
        by_month=dict(sorted(apart["month"].items())),
        by_owner=by_owner,
        top_downloads=await statistics.top_downloads(connection, caller, owner=owner, base_url=base_url),
    )


async def _of_entity(
    connection: AsyncConnection, caller: Caller, entity_type: str, entity_id: str
) -> Statistics:
    entity = await registry.find_entity(connection, entity_type, entity_id)
    theirs = entity is not None and caller.sub in {*entity.owners, *entity.admins}
    if entity is None or entity.deleted or not (theirs or caller.sees_all):
        raise registry.no_entity(entity_type, entity_id)
    found = [
        _named(await statistics.entity_amounts(connection, entity_type, entity_id, (by,)))
        for by in ("media_type", "status")
    ]
    total = (await statistics.entity_amounts(connection, entity_type, entity_id)).get((), Amount())
    return Statistics(total=total, by_media_type=found[0], by_status=found[1])


def _named(found: dict[tuple[str, ...], Amount]) -> dict[str, Amount]:
    return {key[0]: amount for key, amount in found.items()}


HANDLERS = (stats, storage)
