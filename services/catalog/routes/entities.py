"""Entities: who owns and administers the things of other systems, told by those systems."""

from litestar import delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from services.catalog import registry
from services.catalog.database import Database
from services.catalog.routes.common import TAG_ENTITIES, problems
from services.catalog.schemas import EntityBody
from services.catalog.settings import CatalogSettings
from shared.auth import Caller
from shared.entities import Entity, check_name, check_people
from shared.errors import Forbidden

_PATH = "/entities/{entity_type:str}/{entity_id:str}"


@put(_PATH, tags=[TAG_ENTITIES], summary="Register an entity", responses=problems(401, 403, 413, 422))
async def put_entity(
    entity_type: FromPath[str],
    entity_id: FromPath[str],
    data: JSONBody[EntityBody],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
) -> Entity:
    """Create it or replace what is known of it. Needs the role service or admin."""
    _only_services(caller)
    check_name(entity_type, entity_id)
    check_people(*data.owners, *data.admins, data.display_id)
    wanted = Entity(
        type=entity_type, id=entity_id, owners=data.owners, admins=data.admins, display_id=data.display_id
    )
    return await registry.put_entity(database, wanted)


@get(_PATH, tags=[TAG_ENTITIES], summary="One entity", responses=problems(401, 403, 404, 422))
async def get_entity(
    entity_type: FromPath[str],
    entity_id: FromPath[str],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
) -> Entity:
    """Needs the role service or admin."""
    _only_services(caller)
    check_name(entity_type, entity_id)
    return await registry.get_entity(database, entity_type, entity_id)


@delete(_PATH, tags=[TAG_ENTITIES], summary="Remove an entity", responses=problems(401, 403, 404, 422))
async def delete_entity(
    entity_type: FromPath[str],
    entity_id: FromPath[str],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> None:
    """Its media are deleted or hang on nothing any more, as their profile says. Needs the role service or admin."""
    _only_services(caller)
    check_name(entity_type, entity_id)
    if not await registry.delete_entity(
        database, entity_type, entity_id, cascading=settings.cascading, base_url=settings.http.base_url
    ):
        raise registry.no_entity(entity_type, entity_id)


def _only_services(caller: Caller) -> None:
    if not caller.governs:
        raise Forbidden("Entities are kept by other systems: the role service or admin is needed.")


HANDLERS = (put_entity, get_entity, delete_entity)
