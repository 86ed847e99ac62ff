"""The entities API's reads and deletions under /v1/media: by entity, by number, by public id, and how much there is."""

from collections.abc import Sequence
from typing import Any

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from services.catalog import commands, queries
from services.catalog.database import Database
from services.catalog.dialects.finding import find, find_page
from services.catalog.queries import Filters
from services.catalog.routes.common import PARTS, no_nul, problems
from services.catalog.settings import CatalogSettings
from services.catalog.totals import Total, apart, together, totals
from shared.auth import Caller
from shared.dialects import entities
from shared.dialects.entities import (
    EntityDeletions,
    EntityMedia,
    EntityMessage,
    EntityStorage,
    EntityWeight,
    weight,
)
from shared.dialects.view import View
from shared.errors import Forbidden, TripodError
from shared.ids import parse_ref
from shared.openapi import PUBLIC
from shared.profiles import of_entities


@get("/entity/{entity_type:str}/{entity_id:str}", summary="The media of one entity", security=PUBLIC,
     responses=problems(401, 422))  # fmt: skip
async def list_of_entity(
    entity_type: FromPath[str],
    entity_id: FromPath[str],
    optional_caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    *,
    entity_field: FromQuery[str | None] = None,
) -> list[EntityMedia]:
    """Primary ones first, the newest of them before all: a new avatar goes before the former. The others by sort
    order, then as they came. At most 10,000; none where the entity has none that the caller may see, or is unknown."""
    no_nul(entity_type=entity_type, entity_id=entity_id, entity_field=entity_field)
    filters = Filters(
        profiles=of_entities(settings.profiles),
        entity_type=entity_type,
        entity_id=entity_id,
        entity_field=entity_field,
    )
    found = await find_page(
        database, optional_caller, filters, sort="created_at", base_url=settings.http.base_url
    )
    shown = [entities.shape(view) for view in found]
    return sorted(shown, key=_place)


def _of_this_api(settings: CatalogSettings) -> Filters:
    return Filters(profiles=of_entities(settings.profiles))


def _place(media: EntityMedia) -> tuple[bool, int, int]:
    if media.is_primary:
        return (False, -media.id, 0)
    return (True, media.sort_order, media.id)


@get("/public/{public_id:str}", summary="One media by its public id", security=PUBLIC,
     responses=problems(401, 404))  # fmt: skip
async def get_public(
    public_id: FromPath[str],
    optional_caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> EntityMedia:
    """By `MED-...`."""
    media_id = None
    if public_id.startswith("MED-") and "\0" not in public_id:
        async with database.reading_for(optional_caller) as connection:
            media_id = parse_ref(public_id) or await queries.imported_as(connection, public_id)
    view = await find(
        database,
        optional_caller,
        _of_this_api(settings),
        media_id=media_id,
        absent=entities.absent(public_id),
        base_url=settings.http.base_url,
    )
    return entities.shape(view)


async def show(
    number: int, caller: Caller, database: Database, settings: CatalogSettings
) -> Response[EntityMedia]:
    """GET /v1/media/{number}."""
    view = await _find(number, caller, database, settings)
    return Response(
        entities.shape(view), headers={"Cache-Control": "private, no-cache", "Vary": "Authorization"}
    )


async def remove(
    number: int, caller: Caller, database: Database, settings: CatalogSettings
) -> Response[EntityMessage]:
    """DELETE /v1/media/{number}."""
    view = await _find(number, caller, database, settings)
    try:
        await commands.remove(database, caller, view.media.id)
    except Forbidden as error:
        raise entities.reword_of_media(error) from error
    return Response(EntityMessage(message="Media deleted successfully"), status_code=200)


async def _find(number: int, caller: Caller, database: Database, settings: CatalogSettings) -> View:
    return await find(
        database,
        caller,
        _of_this_api(settings),
        number=number,
        absent=entities.absent(number),
        base_url=settings.http.base_url,
    )


async def delete_many(
    numbers: Sequence[int], caller: Caller, database: Database, settings: CatalogSettings
) -> EntityDeletions:
    """POST /v1/media/batch/delete of numbers. Each stands alone: what cannot be deleted is told of among `failed`."""
    outcomes: dict[int, TripodError | None] = {}
    for number in dict.fromkeys(numbers):
        try:
            view = await _find(number, caller, database, settings)
            outcomes |= {
                number: (await commands.remove_many(database, caller, [view.media.id]))[view.media.id]
            }
        except TripodError as error:
            outcomes[number] = error
    return entities.deleted(outcomes)


@get("/analytics/storage", summary="How much there is", responses=problems(401, 422))
async def storage(
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    *,
    entity_type: FromQuery[str | None] = None,
) -> EntityStorage:
    """Of what the caller may see, of one type of entity where that is asked for. Sizes are those of originals."""
    no_nul(entity_type=entity_type)
    filters = Filters(profiles=of_entities(settings.profiles), entity_type=entity_type)
    async with database.reading_for(caller) as connection:
        found = await totals(connection, caller, filters, by=("media_type", "entity_type"))
    return EntityStorage(
        **_weight(together(found)),
        entity_type=entity_type,
        by_media_type=_weights(found, 0),
        by_entity_type=_weights(found, 1),
    )


def _weights(found: list[Total], place: int) -> dict[str, EntityWeight]:
    """By what the keys have at this place."""
    weights = {kind or "none": EntityWeight(**_weight(total)) for kind, total in apart(found, place).items()}
    return dict(sorted(weights.items()))


def _weight(total: Total) -> dict[str, Any]:
    return weight(total.count, total.bytes)


ROUTER = Router(
    "/v1/media",
    route_handlers=[list_of_entity, get_public, storage],
    dependencies=PARTS,
    tags=["entities"],
)
