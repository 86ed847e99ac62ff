"""A broker that has lost its registry of entities is told all of them again."""

import msgspec
import nats

from services.catalog import announcing, registry
from services.catalog.database import ANNOUNCER, Database, try_lock
from services.catalog.relay import register
from shared import entities
from shared.entities import Entity
from shared.errors import Unavailable
from shared.events import topology
from shared.events.bus import Bus
from shared.events.messages import EntityDeleted, EntityUpserted
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog.service import Service


async def test_a_registry_whose_bucket_was_deleted_comes_back_with_every_entity(catalog: Service) -> None:
    for number in range(150):
        await registry.put_entity(catalog.database, Entity(type="post", id=str(number), owners=("ann",)))
    await catalog.tell(EntityUpserted(type="persona", id="gone", owners=("bob",)))
    await catalog.tell(EntityDeleted(type="persona", id="gone"))

    async def told() -> dict[str, Entity] | None:
        try:
            found = await announcing.registered(catalog.bus)
        except Unavailable:  # the bucket is not there at this very moment
            return None
        gone = found.get(entities.key("persona", "gone"))
        return found if len(found) == 151 and gone is not None and gone.deleted else None

    before = await eventually_async(told, "the registry to be told")
    client = await nats.connect(catalog.settings.bus.url)
    assert await client.jetstream().delete_key_value(topology.ENTITIES)
    await client.close()
    assert await eventually_async(told, "the registry to be told again") == before


async def test_entities_are_told_again_by_one_process_and_newer_states_stay(
    database: Database, bus: Bus
) -> None:
    stored = await registry.put_entity(database, Entity(type="post", id="1", owners=("ann",)))
    newer = msgspec.structs.replace(stored, owners=("bob",), version=stored.version + 1)
    await register(bus, entities.key("post", "1"), msgspec.json.encode(newer))
    async with database.writing(tell=False) as connection:
        assert await try_lock(connection, ANNOUNCER)
        assert await announcing.ensure_registry(database, bus) == 0
    assert await announcing.ensure_registry(database, bus) == 1
    assert await announcing.ensure_registry(database, bus) == 0
    assert await announcing.registered(bus) == {entities.key("post", "1"): newer}
